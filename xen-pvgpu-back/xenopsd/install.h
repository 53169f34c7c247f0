/* SPDX-License-Identifier: MIT */
/* Makes this program xenopsd's `vgpu`, by a symbolic link, and takes that back. */
#ifndef PVGPU_XENOPSD_INSTALL_H
#define PVGPU_XENOPSD_INSTALL_H

#include <stdbool.h>

#define INSTALL_ERROR 1024
#define INSTALL_SAVED ".pvgpu-saved" /* the suffix of a program that it has replaced */

/* self: this program's path. A program at `path` that is not pvgpu's, as NVIDIA's, is replaced with
 * force only, and kept. 0 or a negative errno with an error; twice is as once. */
int install_vgpu(const char *path, const char *self, bool force, char err[INSTALL_ERROR]);
/* Puts back what install_vgpu has replaced. A program that is not pvgpu's stays. */
int uninstall_vgpu(const char *path, const char *self, char err[INSTALL_ERROR]);

#endif
