/* SPDX-License-Identifier: MIT */
/* Libraries: modules that belong to no context, and their kernels. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/core/thread.h"
#include "cuda/kernels/found.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/image.h"
#include "cuda/kernels/jit.h"
#include "cuda/kernels/library.h"
#include "cuda/kernels/link.h"
#include "cuda/kernels/module.h"
#include "cuda/memory/memory_map.h"

#include <pthread.h>

#include "pvgpu_stubs.h"

pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

static struct library *libraries; /* under library_lock */

static int enter(CUlibrary h, struct library **l)
{
	const int r = guest_enter();

	if (r)
		return r;
	*l = object_find(PVGPU_H_LIBRARY, h);
	return *l ? 0 : CUDA_ERROR_INVALID_HANDLE;
}

/* The device that an image is for: libraries may be loaded without a context. */
static int home_device(void)
{
	const bool some = self.current.ctx && ctx_ref_live(&self.current);

	return some ? self.current.ctx->device : 0;
}

static struct library *owner_of(struct found *l)
{
	return (struct library *)((char *)l - offsetof(struct library, found));
}

static int ask(struct found *l, const char *name, uint32_t index, uint64_t wire,
	       struct function_info *info)
{
	const uint64_t library = owner_of(l)->o.wire;

	return name ? pvgpu_do_library_get_kernel(session(), library, name, wire, info->bytes,
						  sizeof(info->bytes), &info->len)
		    : pvgpu_do_library_kernel_at(session(), library, index, wire, info->bytes,
						 sizeof(info->bytes), &info->len);
}

static void adopt(struct found *l, struct function *f)
{
	f->library = owner_of(l);
}

static int send(const struct library *l, const struct image *image, struct jit *jit)
{
	unsigned int tries = 0;
	int r;

	do {
		r = pvgpu_do_library_load(
			session(), device_at(home_device())->wire, (uintptr_t)image->mem,
			image->size, jit->scalar, (uint32_t)(jit->scalars * sizeof(jit->scalar[0])),
			jit_log_room(jit->info_size), jit_log_room(jit->error_size), l->o.wire,
			jit->info, jit_log_room(jit->info_size), &jit->info_len, jit->error,
			jit_log_room(jit->error_size), &jit->error_len, &jit->wall_time);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	return r;
}

/* Load an image that is in the arena, and free the arena memory. */
static int load(struct image *image, struct jit *jit, CUlibrary *out)
{
	struct library *l = object_new(PVGPU_H_LIBRARY);
	int r;

	if (!l) {
		image_free(image);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = variables_place(image, home_device(), &l->o, &l->variables);
	if (!r)
		r = send(l, image, jit);
	image_free(image);
	jit_finish(jit);
	if (r) {
		range_remove_owner(&l->o);
		variables_free(&l->variables);
		object_free(&l->o);
		return r;
	}
	l->found = (struct found){.type = PVGPU_H_KERNEL, .ask = ask, .adopt = adopt};
	pthread_mutex_lock(&library_lock);
	l->next = libraries;
	libraries = l;
	object_publish(&l->o);
	pthread_mutex_unlock(&library_lock);
	*out = object_handle(&l->o);
	return 0;
}

/* BINARY_IS_PRESERVED is accepted and not needed: the image is copied. A table of host functions
 * would be useless to the worker. */
static int check_options(unsigned int n, const CUlibraryOption *options, void *const *values)
{
	if (n && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < n; i++) {
		if ((unsigned int)options[i] >= CU_LIBRARY_NUM_OPTIONS)
			return CUDA_ERROR_INVALID_VALUE;
		if (options[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	return 0;
}

/* All arguments of a load but the image. */
static int begin_load(const CUlibrary *library, CUjit_option *jit_options, void **jit_values,
		      unsigned int num_jit, CUlibraryOption *options, void **values,
		      unsigned int num_options, struct jit *jit)
{
	int r = guest_enter();

	if (r)
		return r;
	if (!library)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_options(num_options, options, values);
	return r ? r : jit_parse(num_jit, jit_options, jit_values, jit);
}

PUBLIC CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jit_options,
				  void **jit_values, unsigned int num_jit, CUlibraryOption *options,
				  void **values, unsigned int num_options)
{
	struct image image;
	struct ctx *c;
	struct jit jit;
	int r = begin_load(library, jit_options, jit_values, num_jit, options, values, num_options,
			   &jit);

	if (r)
		return r;
	r = image_from_memory(code, jit_sm(&jit, 0), &image);
	if (!r)
		r = load(&image, &jit, library);
	if (r != CUDA_ERROR_NO_BINARY_FOR_GPU && r != CUDA_ERROR_INVALID_IMAGE)
		return r;
	/* A link needs a context; a library's load without one has no place for it. */
	if (!ctx_enter(&c) && link_prelinked(code, c, &jit, &image, &r))
		r = load(&image, &jit, library);
	return r;
}

PUBLIC CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *path,
				      CUjit_option *jit_options, void **jit_values,
				      unsigned int num_jit, CUlibraryOption *options, void **values,
				      unsigned int num_options)
{
	struct image image;
	struct jit jit;
	int r = begin_load(library, jit_options, jit_values, num_jit, options, values, num_options,
			   &jit);

	if (!r)
		r = image_from_file(path, jit_sm(&jit, 0), &image);
	return r ? r : load(&image, &jit, library);
}

/* Under library_lock. */
static void drop_instances(struct function *kernel, const struct ctx *c)
{
	for (struct function **at = &kernel->instances, *f; (f = *at);) {
		if (c && f->o.ctx != c) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		if (object_retire(&f->o))
			function_free(f);
	}
}

void library_forget_ctx(const struct ctx *c)
{
	pthread_mutex_lock(&library_lock);
	for (struct library *l = libraries; l; l = l->next)
		for (struct function *k = l->found.first; k; k = k->next)
			drop_instances(k, c);
	pthread_mutex_unlock(&library_lock);
}

void library_forget_module(struct module *m)
{
	struct module **at;

	pthread_mutex_lock(&library_lock);
	at = &m->library->modules;
	while (*at && *at != m)
		at = &(*at)->next;
	if (*at)
		*at = m->next;
	pthread_mutex_unlock(&library_lock);
}

static void drop_contents(struct library *l)
{
	struct function *k;
	struct module *m;

	pthread_mutex_lock(&library_lock);
	for (struct library **at = &libraries; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	while ((k = found_take(&l->found))) {
		drop_instances(k, NULL);
		if (object_retire(&k->o))
			function_free(k);
	}
	m = l->modules;
	l->modules = NULL;
	pthread_mutex_unlock(&library_lock);
	while (m) {
		struct module *next = m->next;

		if (object_retire(&m->o))
			module_forget(m);
		m = next;
	}
}

PUBLIC CUresult cuLibraryUnload(CUlibrary library)
{
	struct library *l;
	int r = enter(library, &l);

	if (r)
		return r;
	if (!object_retire(&l->o))
		return CUDA_ERROR_INVALID_HANDLE;
	/* Work in flight may use them. */
	if (l->variables.count)
		ctx_synchronize_all();
	drop_contents(l);
	range_remove_owner(&l->o);
	r = pvgpu_do_library_unload(session(), l->o.wire);
	variables_free(&l->variables);
	object_free(&l->o);
	return r;
}

PUBLIC CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
	struct function *f;
	struct library *l;
	int r = enter(library, &l);

	if (r)
		return r;
	if (!kernel || !name)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&library_lock);
	r = found_named(&l->found, name, &f);
	pthread_mutex_unlock(&library_lock);
	if (!r)
		*kernel = object_handle(&f->o);
	return r;
}

PUBLIC CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int max, CUlibrary library)
{
	unsigned int count;
	struct library *l;
	int r = enter(library, &l);

	if (r)
		return r;
	if (!kernels || !max)
		return CUDA_ERROR_INVALID_VALUE;
	r = cuLibraryGetKernelCount(&count, library);
	pthread_mutex_lock(&library_lock);
	if (!r)
		r = found_first(&l->found, count < max ? count : max, (void **)kernels);
	pthread_mutex_unlock(&library_lock);
	return r;
}

int library_module(struct library *l, struct ctx *c, CUmodule *out)
{
	struct module *m;
	int r = 0;

	pthread_mutex_lock(&library_lock);
	for (m = l->modules; m; m = m->next)
		if (m->o.ctx == c)
			break;
	if (!m) {
		m = module_new(c);
		r = m ? pvgpu_do_library_get_module(session(), l->o.wire, c->o.wire, m->o.wire)
		      : CUDA_ERROR_OUT_OF_MEMORY;
		if (r && m)
			object_free(&m->o);
		if (!r) {
			m->library = l;
			m->next = l->modules;
			l->modules = m;
			object_publish(&m->o);
		}
	}
	if (!r)
		*out = object_handle(&m->o);
	pthread_mutex_unlock(&library_lock);
	return ctx_result(c, r);
}

/* The library, and the context that the answer is for. */
static int enter_in_ctx(CUlibrary h, struct library **l, struct ctx **c)
{
	const int r = ctx_enter(c);

	return r ? r : enter(h, l);
}

PUBLIC CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library)
{
	struct library *l;
	struct ctx *c;
	const int r = enter_in_ctx(library, &l, &c);

	if (r)
		return r;
	return module ? library_module(l, c, module) : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuLibraryGetGlobal(CUdeviceptr *addr, size_t *bytes, CUlibrary library,
				   const char *name)
{
	struct range range = {.kind = RANGE_GLOBAL};
	struct library *l;
	int r = enter_in_ctx(library, &l, &range.ctx);

	if (r)
		return r;
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	if (variables_find(&l->variables, name, addr, bytes))
		return CUDA_SUCCESS;
	r = pvgpu_do_library_get_global(session(), l->o.wire, range.ctx->o.wire, name, &range.base,
					&range.size);
	if (r)
		return ctx_result(range.ctx, r);
	range.owner = &l->o;
	r = range_add(&range);
	if (r)
		return r;
	if (addr)
		*addr = range.base;
	if (bytes)
		*bytes = range.size;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuLibraryGetManaged(CUdeviceptr *addr, size_t *bytes, CUlibrary library,
				    const char *name)
{
	struct library *l;
	struct ctx *c;
	const int r = enter_in_ctx(library, &l, &c);

	if (r)
		return r;
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	return variables_find(&l->variables, name, addr, bytes) ? CUDA_SUCCESS
								: CUDA_ERROR_NOT_FOUND;
}
