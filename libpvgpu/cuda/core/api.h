/* SPDX-License-Identifier: MIT */
/*
 * The parts of generated public functions (docs/calls.md), inside libcuda. Other libraries have
 * the same names from client/client.h. All but those that return an object return a CUresult.
 */
#ifndef PVGPU_CUDA_API_H
#define PVGPU_CUDA_API_H

#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/numbers.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"

#include "link/session.h"
#include "pvgpu_stubs.h"

static inline struct pvgpu_session *api_session(void)
{
	return session();
}

static inline int api_enter(void)
{
	return guest_enter();
}

static inline int api_current(struct ctx **c)
{
	return ctx_enter(c);
}

/* The object behind a handle; the state of its context. */
static inline int api_find(enum pvgpu_handle_type type, const void *handle, void **object)
{
	const int r = guest_enter();
	struct object *o;

	if (r)
		return r;
	o = object_find(type, handle);
	*object = o;
	if (!o)
		return CUDA_ERROR_INVALID_HANDLE;
	return o->ctx ? atomic_load_explicit(&o->ctx->state, memory_order_relaxed) : 0;
}

static inline int api_stream(CUstream stream, bool per_thread, struct target *t)
{
	return stream_enter(stream, per_thread, t);
}

/* Numbers that travel together, see numbers.c. */
static inline int api_pack(struct numbers *k, uint64_t bytes)
{
	return numbers_begin(k, bytes);
}

static inline void api_packs(struct numbers *k, uint64_t at, const void *from, uint64_t bytes)
{
	numbers_put(k, at, from, bytes);
}

static inline void api_packed(struct numbers *k, bool posted)
{
	numbers_end(k, posted);
}

/* A result for this context (NULL: for none) is kept when it is one that lasts. */
static inline int api_result(struct ctx *c, int r)
{
	return c ? ctx_result(c, r) : r;
}

#endif
