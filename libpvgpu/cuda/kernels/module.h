/* SPDX-License-Identifier: MIT */
/* Modules: module.c. */
#ifndef PVGPU_CUDA_KERNELS_MODULE_H
#define PVGPU_CUDA_KERNELS_MODULE_H

#include "cuda/core/object.h"
#include "cuda/kernels/found.h"
#include "cuda/kernels/variables.h"

#include <pthread.h>

struct ctx;
struct library;

struct module {
	struct object o;
	pthread_mutex_t lock;
	struct found found; /* functions; under lock */
	struct variables variables;
	/* A library's module in a context: not to be unloaded by itself. Under library_lock. */
	struct library *library;
	struct module *next;
};
/* A module object to be loaded into c; NULL when out of handles. */
struct module *module_new(struct ctx *c);

#endif
