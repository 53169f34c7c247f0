/* SPDX-License-Identifier: MIT */
/* Contexts: interfaces between context.c, current.c and primary.c. */
#ifndef PVGPU_CUDA_CONTEXT_H
#define PVGPU_CUDA_CONTEXT_H

#include "cuda/core/guest.h"

/* context.c */
bool ctx_flags_valid(unsigned int flags);
unsigned int ctx_flags_wire(unsigned int flags);

/* current.c */

/* The current context, for queries that the guest answers itself: also after a fault. */
int ctx_current(struct ctx **out);
/* ctx, or the current context when it is NULL. */
int ctx_given(CUcontext ctx, struct ctx **out);
/* The same; what is no handle of a context, of none that ever was, counts as NULL. */
int ctx_given_or_current(CUcontext ctx, struct ctx **out);
/* Push it on the thread's stack of contexts: it becomes current. */
int ctx_push(struct ctx *c);
/* It was destroyed: pop it from the top of this thread's stack. */
void ctx_drop_current(const struct ctx *c);

#endif
