/* SPDX-License-Identifier: MIT */
/* Modules. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/found.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/image.h"
#include "cuda/kernels/jit.h"
#include "cuda/kernels/library.h"
#include "cuda/kernels/link.h"
#include "cuda/kernels/module.h"
#include "cuda/memory/memory_map.h"

#include <pthread.h>
#include <stdatomic.h>

#include "pvgpu_stubs.h"

static struct module *owner_of(struct found *l)
{
	return (struct module *)((char *)l - offsetof(struct module, found));
}

static int ask(struct found *l, const char *name, uint32_t index, uint64_t wire,
	       struct function_info *info)
{
	const struct module *m = owner_of(l);

	return ctx_result(
		m->o.ctx,
		name ? pvgpu_do_module_get_function(session(), m->o.wire, name, wire, info->bytes,
						    sizeof(info->bytes), &info->len)
		     : pvgpu_do_module_function_at(session(), m->o.wire, index, wire, info->bytes,
						   sizeof(info->bytes), &info->len));
}

static void adopt(struct found *l, struct function *f)
{
	f->module = owner_of(l);
	f->o.ctx = f->module->o.ctx;
}

struct module *module_new(struct ctx *c)
{
	struct module *m = object_new(PVGPU_H_MODULE);

	if (!m)
		return NULL;
	m->o.ctx = c;
	m->found = (struct found){.type = PVGPU_H_FUNCTION, .ask = ask, .adopt = adopt};
	m->variables = (struct variables){0};
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void module_forget(struct module *m)
{
	struct function *f;

	range_remove_owner(&m->o);
	pthread_mutex_lock(&m->lock);
	while ((f = found_take(&m->found)))
		if (object_retire(&f->o))
			function_free(f);
	pthread_mutex_unlock(&m->lock);
	if (m->library)
		library_forget_module(m);
	variables_free(&m->variables);
	object_free(&m->o);
}

static int send(struct ctx *c, const struct module *m, const struct image *image, struct jit *jit)
{
	unsigned int tries = 0;
	int r;

	do {
		r = pvgpu_do_module_load(
			session(), c->o.wire, (uintptr_t)image->mem, image->size, jit->scalar,
			(uint32_t)(jit->scalars * sizeof(jit->scalar[0])),
			jit_log_room(jit->info_size), jit_log_room(jit->error_size), m->o.wire,
			jit->info, jit_log_room(jit->info_size), &jit->info_len, jit->error,
			jit_log_room(jit->error_size), &jit->error_len, &jit->wall_time);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	return r;
}

/* Load an image that is in the arena, and free the arena memory. */
static int load(struct ctx *c, struct image *image, struct jit *jit, CUmodule *out)
{
	struct module *m = module_new(c);
	int r;

	if (!m) {
		image_free(image);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = variables_place(image, c->device, &m->o, &m->variables);
	if (!r)
		r = send(c, m, image, jit);
	image_free(image);
	jit_finish(jit);
	if (r) {
		range_remove_owner(&m->o);
		variables_free(&m->variables);
		object_free(&m->o);
		return ctx_result(c, r);
	}
	object_publish(&m->o);
	*out = object_handle(&m->o);
	return 0;
}

static int load_data(CUmodule *module, const void *data, unsigned int n, CUjit_option *options,
		     void **values)
{
	struct image image;
	struct jit jit;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!module)
		return CUDA_ERROR_INVALID_VALUE;
	r = jit_parse(n, options, values, &jit);
	if (r)
		return r;
	r = image_from_memory(data, jit_sm(&jit, c->device), &image);
	if (!r)
		r = load(c, &image, &jit, module);
	if (r != CUDA_ERROR_NO_BINARY_FOR_GPU && r != CUDA_ERROR_INVALID_IMAGE)
		return r;
	if (link_prelinked(data, c, &jit, &image, &r))
		r = load(c, &image, &jit, module);
	return r;
}

PUBLIC CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
	return load_data(module, image, 0, NULL, NULL);
}

PUBLIC CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int num_options,
				   CUjit_option *options, void **values)
{
	return load_data(module, image, num_options, options, values);
}

PUBLIC CUresult cuModuleLoadFatBinary(CUmodule *module, const void *fatbin)
{
	return load_data(module, fatbin, 0, NULL, NULL);
}

PUBLIC CUresult cuModuleLoad(CUmodule *module, const char *path)
{
	struct image image;
	struct jit jit;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!module)
		return CUDA_ERROR_INVALID_VALUE;
	jit_parse(0, NULL, NULL, &jit);
	r = image_from_file(path, jit_sm(&jit, c->device), &image);
	return r ? r : load(c, &image, &jit, module);
}

/* The module, in a usable context. */
static int enter(CUmodule h, struct module **m)
{
	const int r = guest_enter();

	if (r)
		return r;
	*m = object_find(PVGPU_H_MODULE, h);
	return *m ? atomic_load(&(*m)->o.ctx->state) : CUDA_ERROR_INVALID_HANDLE;
}

PUBLIC CUresult cuModuleUnload(CUmodule module)
{
	struct module *m;
	int r = enter(module, &m);

	if (r)
		return r;
	if (m->library || !object_retire(&m->o))
		return CUDA_ERROR_INVALID_HANDLE;
	/* Work in flight may use them. */
	if (m->variables.count)
		ctx_synchronize_all();
	range_remove_owner(&m->o);
	r = pvgpu_do_module_unload(session(), m->o.wire);
	module_forget(m);
	return r;
}

PUBLIC CUresult cuModuleGetFunction(CUfunction *fn, CUmodule module, const char *name)
{
	struct function *f;
	struct module *m;
	int r = enter(module, &m);

	if (r)
		return r;
	if (!fn || !name)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&m->lock);
	r = found_named(&m->found, name, &f);
	pthread_mutex_unlock(&m->lock);
	if (!r)
		*fn = object_handle(&f->o);
	return r;
}

PUBLIC CUresult cuModuleEnumerateFunctions(CUfunction *fns, unsigned int max, CUmodule module)
{
	unsigned int count;
	struct module *m;
	int r = enter(module, &m);

	if (r)
		return r;
	if (!fns || !max)
		return CUDA_ERROR_INVALID_VALUE;
	r = cuModuleGetFunctionCount(&count, module);
	pthread_mutex_lock(&m->lock);
	if (!r)
		r = found_first(&m->found, count < max ? count : max, (void **)fns);
	pthread_mutex_unlock(&m->lock);
	return r;
}

PUBLIC CUresult cuModuleGetGlobal_v2(CUdeviceptr *addr, size_t *bytes, CUmodule module,
				     const char *name)
{
	struct range range = {.kind = RANGE_GLOBAL};
	struct module *m;
	int r = enter(module, &m);

	if (r)
		return r;
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	if (variables_find(m->library ? &m->library->variables : &m->variables, name, addr, bytes))
		return CUDA_SUCCESS;
	r = pvgpu_do_module_get_global(session(), m->o.wire, name, &range.base, &range.size);
	if (r)
		return ctx_result(m->o.ctx, r);
	range.ctx = m->o.ctx;
	range.owner = &m->o;
	r = range_add(&range);
	if (r)
		return r;
	if (addr)
		*addr = range.base;
	if (bytes)
		*bytes = range.size;
	return CUDA_SUCCESS;
}
