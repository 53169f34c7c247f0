/* SPDX-License-Identifier: MIT */
/* Functions and kernels: function.c. */
#ifndef PVGPU_CUDA_KERNELS_FUNCTION_H
#define PVGPU_CUDA_KERNELS_FUNCTION_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct library;
struct module;
struct occupancy;
struct old_launch;

enum { FUNCTION_ATTRS = 16 };

/* A CUfunction or a CUkernel. Everything but attr is fixed when it is published. */
struct function {
	struct object o;            /* ctx: NULL for kernels */
	struct function *next;      /* of the module, the library or the kernel */
	struct module *module;      /* functions of modules */
	struct library *library;    /* kernels, and functions of kernels */
	struct function *kernel;    /* functions of kernels */
	struct function *instances; /* kernels: their functions in contexts; under library_lock */
	char *name;
	_Atomic int attr[FUNCTION_ATTRS];
	/* Bits by attribute: attr is its value, though -1; it was set to that by the application.
	 */
	_Atomic uint32_t attr_known, attr_set;
	_Atomic uint32_t cache_set; /* 1 + the cache configuration that was set last */
	struct occupancy *_Atomic occupancy;
	struct old_launch *old; /* old_launch.c; NULL: nothing is set */
	bool params_known;
	uint32_t param_count, param_bytes;
	struct pvgpu_param_info *params;
};

/* A func_info, its parameters and a name, as in a reply. */
struct function_info {
	uint32_t len;
	_Alignas(8) char bytes[12 * 1024];
};
/* Fill f from a reply; name NULL: it is in the reply. */
int function_fill(struct function *f, const struct function_info *info, const char *name);
/* The function is retired, or was never published. */
void function_free(struct function *f);
/* A CUfunction, or a CUkernel that was cast to one, as launches and occupancy allow. */
struct function *function_find(CUfunction h);

static inline int function_attr(const struct function *f, CUfunction_attribute attr)
{
	return atomic_load_explicit(&f->attr[attr], memory_order_relaxed);
}

int function_get_attribute(struct function *f, CUfunction_attribute attr, int *value);
int function_set_attribute(struct function *f, CUfunction_attribute attr, int value);
int function_set_cache_config(struct function *f, CUfunc_cache config);
int function_param_info(const struct function *f, size_t index, size_t *offset, size_t *size);

#endif
