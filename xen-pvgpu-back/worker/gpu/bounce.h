/* SPDX-License-Identifier: MIT */
/* Copies from and to an arena that is not registered: bounce.c. */
#ifndef PVGPU_WORKER_BOUNCE_H
#define PVGPU_WORKER_BOUNCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;
struct stream;

struct bounce {
	pthread_mutex_t lock;
	pthread_cond_t moved;  /* none is inside */
	LIST_HEAD(, move) all; /* that have not run */
	unsigned int inside;   /* that move bytes now */
};

/* One side: lines of a copy at addr, `pitch` bytes apart, `rows` of them in a slice; or a place in
 * an array: bytes, rows, slices. */
struct bounce_side {
	int at; /* enum where */
	uint64_t addr, pitch, rows;
	CUarray array;
	uint64_t origin[3];
};
struct bounce_copy {
	struct bounce_side dst, src; /* at least one in the arena */
	uint64_t width, height, depth;
};

void bounce_init(struct gpu *g);
/* Is this how copies are made? */
bool bounce_needed(struct gpu *g);
/* Both sides are checked, and there is room for the stream. A CUresult. */
int bounce_copy(struct gpu *g, struct stream *s, const struct bounce_copy *c);
/* The context's slots go; its work has ended, or never will. */
void bounce_forget(struct gpu *g, struct ctx *c);
void bounce_free(struct gpu *g);

#endif
