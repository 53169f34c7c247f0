/* SPDX-License-Identifier: MIT */
/* pvgpuctl sizing: how many vGPUs of a mix of loads one GPU carries. Needs neither Xen nor pvgpud.
 */
#ifndef PVGPU_CTL_SIZING_H
#define PVGPU_CTL_SIZING_H

/* As at the beginning of the program. */
void sizing_reset(void);
/* An option of it: 0, or an exit status, and what is wrong has been said. */
int sizing_option(const char *name, const char *value);
int sizing_main(int argc, char **argv);

#endif
