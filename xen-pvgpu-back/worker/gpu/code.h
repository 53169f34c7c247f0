/* SPDX-License-Identifier: MIT */
/* The guest's code: module.c, library.c, function.c, find.c and link.c. */
#ifndef PVGPU_WORKER_CODE_H
#define PVGPU_WORKER_CODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "estimate.h"
#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;
struct link;
struct pvgpu_param_info;

/* find.c: the functions of a module or the kernels of a library, in the far end's order. Lane for
 * loads. */
struct listing {
	void **handle;
	unsigned int count;
	bool made;
};
void listing_free(struct listing *l);

struct module {
	struct obj o;
	CUmodule far;
	struct listing all;
	bool borrowed;   /* a library's: goes with it */
	uint64_t charge; /* by image_charge */
};

struct library {
	struct obj o;
	CUlibrary far;
	struct listing all;
	uint64_t charge, declared; /* as in image.h */
	atomic_bool leaving;       /* the guest has unloaded it */
};

struct function { /* functions and kernels */
	struct obj o;
	union {
		CUfunction fn;
		CUkernel kernel;
	} far;
	struct obj *holder;     /* a kernel's library; referenced */
	bool known;             /* the far end told the parameters' layout */
	uint32_t params, bytes; /* number, size of the packed buffer */
	struct pvgpu_param_info *param;
	struct { /* launched last; decoding thread */
		struct estimate *e;
		uint64_t tag;
		uint32_t last[WORK_SHAPE];
	} shape;
};

/* Its context goes. */
void module_retire(struct gpu *g, struct module *m);
/* Destroy it with everything in it; PVGPU_PENDING, or a CUresult. */
int library_drop(struct gpu *g, struct library *l, uint32_t seq, bool reply);

/* link.c: its context goes; and its memory, after the last reference */
void link_retire(struct gpu *g, struct link *l);
void link_free(struct link *l);
CUlinkState link_far(const struct link *l);

#endif
