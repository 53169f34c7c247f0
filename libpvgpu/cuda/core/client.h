/* SPDX-License-Identifier: MIT */
/*
 * The table by which pvgpu's other libraries in the guest (libcublas) use its libcuda: a
 * function returns it. Both are built from one tree; `size` says whether they were.
 */
#ifndef PVGPU_CUDA_CLIENT_H
#define PVGPU_CUDA_CLIENT_H

#include "cuda/core/numbers.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"

#include "link/session.h"

#define PVGPU_CLIENT_SYMBOL "pvgpuClient"

struct pvgpu_client {
	uint32_t size; /* of this table */
	struct pvgpu_session *(*session)(void);
	int (*enter)(void);
	int (*current)(struct ctx **c);
	int (*stream)(CUstream stream, bool per_thread, struct target *t);
	void (*describe)(const struct target *t, const void *bytes, size_t len); /* capture.h */
	int (*result)(struct ctx *c, int r);
	struct object_table *tables;
	void *(*object_new)(enum pvgpu_handle_type type);
	void (*object_publish)(struct object *o);
	bool (*object_retire)(struct object *o);
	void (*object_free)(struct object *o);
	CUresult (*copy2d)(const CUDA_MEMCPY2D *c);
	CUresult (*copy2d_async)(const CUDA_MEMCPY2D *c, CUstream stream);
	int (*pack)(struct numbers *k, uint64_t bytes);
	void (*packs)(struct numbers *k, uint64_t at, const void *from, uint64_t bytes);
	void (*packed)(struct numbers *k, bool posted);
	/* As in link/session.h. */
	int (*post)(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n);
	int (*post_mark)(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
			 unsigned int n);
	int (*call)(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
		    uint32_t cap, uint32_t *rep_len);
	int (*broken)(struct pvgpu_session *s, const char *what);
	const struct pvgpu_session_info *(*info)(const struct pvgpu_session *s);
};

const struct pvgpu_client *pvgpuClient(void);
/* Calls of this process's so far that waited for the worker's answer: for tests. */
uint64_t pvgpuAwaited(void);

#endif
