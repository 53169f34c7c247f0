/* SPDX-License-Identifier: MIT */
/* pvgpu-vms.conf(5): the vGPUs that VMs get whenever they start. One file a VM. */
#ifndef PVGPU_CTL_VMS_H
#define PVGPU_CTL_VMS_H

#include "xen-pvgpu-back/ctl/domains.h"
#include "xen-pvgpu-back/ctl/wish.h"

#define VMS_DIR   "/etc/pvgpu/vms.d"
#define VMS_ERROR 768
#define VMS_PATH  512
#define VMS_VGPUS 128

struct vm_conf {
	char path[VMS_PATH];
	char name[DOMAIN_NAME];     /* empty: only the uuid counts */
	char uuid[PVGPU_UUID_TEXT]; /* empty: only the name counts */
	struct wish *vgpus;         /* each with its id */
	size_t n;
};

struct vms {
	struct vm_conf *v;
	size_t n;
};

/* One file. 0, or a negative errno with an error for people: file, line, key, value. */
int vm_conf_read(struct vm_conf *c, const char *path, char err[VMS_ERROR]);
void vm_conf_free(struct vm_conf *c);
/* Whole or not at all. Comments that were in the file are lost. */
int vm_conf_write(const struct vm_conf *c, char err[VMS_ERROR]);
struct wish *vm_conf_vgpu(struct vm_conf *c, uint32_t id);

/*
 * All *.conf of a folder, in the order of their names; a folder that is not there has none. Files
 * with errors are left out: each is told to bad, and the answer is the number of them, or a
 * negative errno when the folder cannot be read.
 */
int vms_read(struct vms *v, const char *dir, void (*bad)(void *arg, const char *err), void *arg);
void vms_free(struct vms *v);
/* The file of a domain: by uuid, else by name; NULL: it has none. */
struct vm_conf *vms_find(const struct vms *v, const struct domain *d);

/*
 * attach --persistent and its opposite. made is as it was attached: with id and uuid. The first
 * writes the file that the VM has, or a new one.
 */
int vms_keep(const char *dir, const struct domain *d, const struct wish *made, char err[VMS_ERROR]);
/* vm: by name, uuid or file name when there is no such domain now. all: else the one of that id.
 * 0, -ENOENT when there is none. */
int vms_forget(const char *dir, const struct domain *d, const char *vm, bool all, uint32_t id,
	       char err[VMS_ERROR]);

#endif
