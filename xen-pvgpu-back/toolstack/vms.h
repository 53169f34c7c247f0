/* SPDX-License-Identifier: MIT */
/* pvgpu-vms.conf(5): the vGPUs that VMs get whenever they start. One file for each VM. */
#ifndef PVGPU_CTL_VMS_H
#define PVGPU_CTL_VMS_H

#include "xen-pvgpu-back/toolstack/domains.h"
#include "xen-pvgpu-back/toolstack/vgpu_spec.h"

#define VMS_DIR   "/etc/pvgpu/vms.d"
#define XAPI_DIR  "/run/pvgpu-xapi" /* of pvgpu-xapi(8) */
#define VMS_ERROR 1280
#define VMS_PATH  512
#define VMS_VGPUS 128

struct vm_conf {
	char path[VMS_PATH];
	char name[DOMAIN_NAME];     /* empty: the uuid identifies the VM */
	char uuid[PVGPU_UUID_TEXT]; /* empty: the name identifies the VM */
	bool by_xl;                 /* a configuration of xl */
	struct vgpu_spec *vgpus;    /* each with its id */
	size_t n;
};

struct vms {
	struct vm_conf *v;
	size_t n;
};

/* One file. 0, or a negative errno with an error that names file, line, key and value. */
int vm_conf_read(struct vm_conf *c, const char *path, char err[VMS_ERROR]);
/* The file that pvgpu-xapi keeps of a VM; one without a vGPU says that the VM has none. -ENOENT:
 * xapi says nothing of it. */
int vm_conf_of_xapi(struct vm_conf *c, const char *dir, const char *uuid, char err[VMS_ERROR]);
void vm_conf_free(struct vm_conf *c);
/* Replaces the file atomically. Comments in it are lost. */
int vm_conf_write(const struct vm_conf *c, char err[VMS_ERROR]);
struct vgpu_spec *vm_conf_vgpu(struct vm_conf *c, uint32_t id);
/* A new one; NULL: too many, or out of memory. */
struct vgpu_spec *vm_conf_add(struct vm_conf *c, uint32_t id);

/*
 * All *.conf of a folder, in the order of their names; a missing folder has none. A file with an
 * error is left out and reported to bad(). Returns the number of such files, or a negative errno
 * when the folder cannot be read.
 */
int vms_read(struct vms *v, const char *dir, void (*bad)(void *arg, const char *err), void *arg);
void vms_free(struct vms *v);
/* The file of a domain, by uuid or else by name; NULL: none. */
struct vm_conf *vms_find(const struct vms *v, const struct domain *d);

/* For attach and detach --persistent. vms_keep writes the VM's file, or a new one; `made` is the
 * vGPU as it was attached, with id and uuid. */
int vms_keep(const char *dir, const struct domain *d, const struct vgpu_spec *made,
	     char err[VMS_ERROR]);
/* d NULL: no such domain runs, and vm is the name or uuid in a file. all: every vGPU of the VM,
 * else the one of that id. 0, or -ENOENT when there is none. */
int vms_forget(const char *dir, const struct domain *d, const char *vm, bool all, uint32_t id,
	       char err[VMS_ERROR]);

#endif
