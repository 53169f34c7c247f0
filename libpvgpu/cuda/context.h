/* SPDX-License-Identifier: MIT */
/* Contexts: what context.c, current.c and primary.c give each other. */
#ifndef PVGPU_CUDA_CONTEXT_H
#define PVGPU_CUDA_CONTEXT_H

#include "guest.h"

/* context.c */
bool ctx_flags_valid(unsigned int flags);
unsigned int ctx_flags_wire(unsigned int flags);

/* current.c */

/* The current context, for questions that the guest answers itself: a fault does not matter. */
int ctx_current(struct ctx **out);
/* ctx, or the current context when it is NULL. */
int ctx_given(CUcontext ctx, struct ctx **out);
/* Make it current on top of what is. */
int ctx_push(struct ctx *c);
/* It was destroyed: take it off the top of this thread's stack. */
void ctx_drop_current(const struct ctx *c);

#endif
