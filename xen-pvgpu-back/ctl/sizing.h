/* SPDX-License-Identifier: MIT */
/* pvgpuctl sizing: the number of vGPUs with a mix of loads that one GPU carries. Needs neither Xen
 * nor pvgpud. */
#ifndef PVGPU_CTL_SIZING_H
#define PVGPU_CTL_SIZING_H

/* Sets all options to their defaults. */
void sizing_reset(void);
/* Takes an option: 0, or an exit status after the error was printed. */
int sizing_option(const char *name, const char *value);

#endif
