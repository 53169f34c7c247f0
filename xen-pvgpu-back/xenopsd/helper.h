/* SPDX-License-Identifier: MIT */
/*
 * The life of pvgpu-vgpu for one domain. xenopsd reads its keys below /local/domain/N:
 *
 *   vgpu-pid         the process
 *   vgpu/state       initialising: it attaches; running: all vGPUs are attached; error
 *   vgpu/error-code  the reason of an error, which xapi shows
 *
 * The source of the protocol: xen-api, ocaml/xenopsd/xc/device.ml and service.ml.
 */
#ifndef PVGPU_XENOPSD_HELPER_H
#define PVGPU_XENOPSD_HELPER_H

#include "xen-pvgpu-back/toolstack/attach.h"
#include "xen-pvgpu-back/xenopsd/request.h"

enum helper_is {
	HELPER_STARTS,
	HELPER_RUNS,
	HELPER_FAILED, /* the error is written; nothing is attached */
	HELPER_GONE,   /* the domain has ended */
};

struct helper {
	struct store *store;
	const struct request *ask;
	const char *site_dir;
	double limit_s; /* for all vGPUs to be attached */
	double full_s; /* for room on the GPU: a VM may be started just after another was stopped */
	double begun;  /* in the time of store_now() */
	enum helper_is is;
	struct attached {
		bool made;    /* once, at least */
		bool leaves;  /* taken away by an operator: it is not attached again */
		bool watched; /* the backend domain watched_be is */
		uint32_t watched_be;
		struct pvgpu_ids ids;
		char why[ATTACH_ERROR]; /* it is not attached */
	} v[REQUEST_DEVICES];
};

/* Does another process serve the domain already? */
bool helper_is_served(struct store *s, uint32_t domid);
/* Writes the keys, and watches what an attach may wait for. 0; -EALREADY: another process serves
 * the domain; or another negative errno. */
int helper_begin(struct helper *h, double now);
/* Looks at everything once: attaches what is missing, and writes the state. */
void helper_look(struct helper *h, double now);
/* Seconds to the next look if no event comes; below 0: no limit. */
double helper_wait(const struct helper *h, double now);
/* Asks for the end of all vGPUs. */
void helper_leave(struct helper *h);
/* Have both ends closed all of them, as far as they can? */
bool helper_has_left(struct helper *h);
/* Removes all keys. */
void helper_end(struct helper *h);

#endif
