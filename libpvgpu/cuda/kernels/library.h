/* SPDX-License-Identifier: MIT */
/* Libraries, whose kernels need no context: library.c. */
#ifndef PVGPU_CUDA_KERNELS_LIBRARY_H
#define PVGPU_CUDA_KERNELS_LIBRARY_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/found.h"
#include "cuda/kernels/variables.h"

#include <pthread.h>

struct ctx;
struct module;

struct library {
	struct object o;
	struct library *next;   /* of all; under library_lock, as all below */
	struct found found;     /* kernels */
	struct module *modules; /* in contexts */
	struct variables variables;
};
extern pthread_mutex_t library_lock;

void library_forget_module(struct module *m);
/* The library's module in a context. */
int library_module(struct library *l, struct ctx *c, CUmodule *out);

#endif
