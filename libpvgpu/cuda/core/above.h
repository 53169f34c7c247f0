/* SPDX-License-Identifier: MIT */
/*
 * Calls from a lower folder to a higher one, resolved at link time. Those for streams that are
 * captured are in capture.h, those for generated calls in target.h and numbers.h.
 */
#ifndef PVGPU_CUDA_CORE_ABOVE_H
#define PVGPU_CUDA_CORE_ABOVE_H

#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct graph_exec;
struct green;
struct link;
struct module;
struct range;
struct texture;
struct thread;

/* streams/stream.c */
/* Give back the thread's own streams: at its end. */
void stream_thread_end(struct thread *t);

/* streams/green.c: the object is retired: free the guest's data of it. */
void green_forget(struct green *g);

/* streams/done.c */
/* This thread's last command has waited for all work of the context. */
void done_wait_ctx(struct ctx *c);
/* Nothing was posted since. */
bool done_ctx_at_rest(struct ctx *c);

/* streams/hostfunc.c */
void hostfunc_run(void *arg, uint64_t id, uint32_t status);
void hostfunc_forget_ctx(struct ctx *c);

/* memory/memory_map.c */
/*
 * Remove the device ranges of a context. Called before the worker is told to end it: afterwards the
 * addresses may be reused for other memory at any time.
 */
void range_remove_ctx_device(struct ctx *c);
/* Remove a context's host ranges, when the worker no longer uses them; fn is called with each, with
 * no lock held. */
void range_remove_ctx_host(const struct ctx *c, void (*fn)(const struct range *r));

/* memory/host.c: the range is gone: give the memory back that is the library's. */
void host_free(const struct range *r);

/* memory/pool_alloc.c */
/* Memory ran out: pools give back what they keep unused; when that was not enough, they wait for
 * the work that still uses freed memory. To be called until the allocation succeeds, with 0 at
 * first. False: there is no more. */
bool pool_reclaim(unsigned int *tries);
/* After a call that has waited: pools give back what is above their thresholds. */
void pool_rest_slow(void);
extern _Atomic bool pool_excess;
static inline void pool_rest(void)
{
	if (unlikely(atomic_load_explicit(&pool_excess, memory_order_relaxed)))
		pool_rest_slow();
}

/* memory/texture.c, kernels/: the object is retired: free the guest's data of it. */
void texture_forget(struct texture *t);
void module_forget(struct module *m);
void link_forget(struct link *l);
/* graphs/graph.c: the same. */
void graph_exec_forget(struct graph_exec *x);

/* graphs/pageable.c: the context is gone, and so are its host functions. */
void paged_forget_ctx(const struct ctx *c);
/* graphs/retain.c: the same. */
void functions_forget_ctx(const struct ctx *c);
/* Graphs have been given registered memory. */
extern _Atomic bool graphs_use_registered;

/* kernels/library.c */
/* The context is gone: forget what libraries have in it. */
void library_forget_ctx(const struct ctx *c);

/* kernels/occupancy.c: a setting has changed that any function's may depend on. */
void occupancy_forget_all(void);

#endif
