/* SPDX-License-Identifier: MIT */
/* pvgpuctl check FILE: a dump of keys against their description; exit status 0 when all is well, 1
 * when not, 2 if it is no dump. */
#ifndef PVGPU_CTL_CHECK_H
#define PVGPU_CTL_CHECK_H

int check_main(int argc, char **argv);

#endif
