/* SPDX-License-Identifier: MIT */
/*
 * The line pvgpu = ["KEY=VALUE,...", ...] of xl's configuration files (xl.cfg(5)): one text for
 * each vGPU, with the keys of pvgpu-vms.conf(5) and `id`. xl itself passes over names that it does
 * not know.
 */
#ifndef PVGPU_XL_CONFIG_H
#define PVGPU_XL_CONFIG_H

#include "xen-pvgpu-back/toolstack/vms.h"

#define XL_DIR "/etc/xen"

/* One file. 1: it has vGPUs; 0: it has none, or no name; or a negative errno with an error that
 * names file and line. A file that does not speak of pvgpu is not looked at further. */
int xl_config_read(struct vm_conf *c, const char *path, char err[VMS_ERROR]);
/* Adds those of *.cfg of a folder behind the others in v. As vms_read, for a folder. */
int xl_configs_add(struct vms *v, const char *dir, void (*bad)(void *arg, const char *err),
		   void *arg);

#endif
