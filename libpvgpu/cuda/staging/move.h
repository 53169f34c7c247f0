/* SPDX-License-Identifier: MIT */
/* Asynchronous copies from and to memory that the worker does not reach, in pieces: move.c. */
#ifndef PVGPU_CUDA_STAGING_MOVE_H
#define PVGPU_CUDA_STAGING_MOVE_H

#include <stdbool.h>
#include <stdint.h>

struct pvgpu_mark;
struct target;

struct moving {
	uint64_t user, extent; /* the application's memory that it touches */
	uint64_t dev, len;     /* of a linear copy */
	void *what;            /* of the functions; freed when the copy has ended */
	bool to_device;
	unsigned int pieces;
	uint64_t piece; /* bytes of the arena that one takes at most */
	/* Copy piece k between the application's memory and mem: in another thread. */
	void (*pack)(const struct moving *v, unsigned int k, char *mem);
	/* Post the copy of piece k between mem and the device. */
	int (*post)(const struct moving *v, const struct target *t, unsigned int k, char *mem,
		    struct pvgpu_mark *m);
};
/* MOVE_BUSY: there is no memory, or not with this worker; `what` is the caller's then. */
enum { MOVE_BUSY = -1 };
int move_async(const struct target *t, const struct moving *v);
/* Has any of them not ended? */
bool move_pending(void);
/* The application's memory goes: none touches it from here on. */
void move_forget(uint64_t base, uint64_t len);

#endif
