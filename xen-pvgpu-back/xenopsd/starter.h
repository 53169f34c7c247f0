/* SPDX-License-Identifier: MIT */
/*
 * Starts pvgpu-vgpu for domains before xenopsd looks for it. xenopsd binds the physical GPU to
 * dom0's driver unless the program runs already (xen-api: ocaml/xenopsd/xc/device.ml, start_vgpu),
 * which would take it away from a driver domain.
 */
#ifndef PVGPU_XENOPSD_STARTER_H
#define PVGPU_XENOPSD_STARTER_H

#include "xen-pvgpu-back/toolstack/domains.h"

#define STARTER_SUFFIX ".vgpu" /* of the files of pvgpu-xapi(8) that name a VM's vGPUs */
#define STARTER_WORDS  12u     /* of a command line */
#define STARTER_WORD   512u

struct starter {
	struct store *store;
	const char *xapi_dir;
	const char *program; /* as xenopsd calls it */
	/* Starts a process; argv ends with NULL. */
	void (*start)(void *arg, char *const argv[]);
	void *arg;
	struct domains domains;
	bool again[PVGPU_DOMID_MAX + 1]; /* as domains_update() has it */
	bool done[PVGPU_DOMID_MAX + 1];  /* domains that are served, or will not be */
};

/* 0 or a negative errno. */
int starter_watch(struct starter *s);
/* Looks at all domains once. */
int starter_look(struct starter *s);

#endif
