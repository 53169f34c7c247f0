/* SPDX-License-Identifier: MIT */
/* Links: inputs go to the worker one by one, and the image that they become comes back. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/image.h"
#include "cuda/kernels/jit.h"
#include "cuda/kernels/link.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/fatbin.h"
#include "pvgpu_stubs.h"

/* The link, in a usable context. */
static int enter(CUlinkState h, struct link **l)
{
	const int r = guest_enter();

	if (r)
		return r;
	*l = object_find(PVGPU_H_LINK, h);
	return *l ? atomic_load(&(*l)->o.ctx->state) : CUDA_ERROR_INVALID_HANDLE;
}

void link_forget(struct link *l)
{
	free(l->image);
	l->image = NULL;
	object_free(&l->o);
}

static int create(struct ctx *c, const struct jit *jit, struct link **out)
{
	struct link *l = object_new(PVGPU_H_LINK);
	int r;

	if (!l)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->o.ctx = c;
	l->jit = *jit;
	r = pvgpu_do_link_create(session(), c->o.wire, jit->scalar,
				 (uint32_t)(jit->scalars * sizeof(jit->scalar[0])),
				 jit_log_room(jit->info_size), jit_log_room(jit->error_size),
				 l->o.wire);
	if (r) {
		object_free(&l->o);
		return ctx_result(c, r);
	}
	*out = l;
	return 0;
}

static int destroy(struct link *l)
{
	const int r = pvgpu_do_link_destroy(session(), l->o.wire);

	link_forget(l);
	return r;
}

/* An input that is in the arena, which is freed. */
static int add(struct link *l, CUjitInputType type, struct image *image, const char *name,
	       const struct jit *options)
{
	struct jit *jit = &l->jit;
	char label[1000];
	int r;

	snprintf(label, sizeof(label), "%s", name ? name : "");
	r = pvgpu_do_link_add(session(), l->o.wire, (uint32_t)type, (uintptr_t)image->mem,
			      image->size, label, options->scalar,
			      (uint32_t)(options->scalars * sizeof(options->scalar[0])), jit->info,
			      jit_log_room(jit->info_size), &jit->info_len, jit->error,
			      jit_log_room(jit->error_size), &jit->error_len);
	image_free(image);
	jit_finish(jit);
	return ctx_result(l->o.ctx, r);
}

static int complete(struct link *l, uint64_t *size)
{
	struct jit *jit = &l->jit;
	const int r = pvgpu_do_link_complete(
		session(), l->o.wire, size, jit->info, jit_log_room(jit->info_size), &jit->info_len,
		jit->error, jit_log_room(jit->error_size), &jit->error_len, &jit->wall_time);

	jit_finish(jit);
	return ctx_result(l->o.ctx, r);
}

/* The linked image, in arena memory. */
static int fetch(struct link *l, uint64_t size, struct image *out)
{
	int r = size ? image_from_bytes(NULL, size, out) : CUDA_ERROR_INVALID_IMAGE;

	if (r)
		return r;
	r = pvgpu_do_link_read(session(), l->o.wire, 0, (uintptr_t)out->mem, size);
	if (r)
		image_free(out);
	return ctx_result(l->o.ctx, r);
}

PUBLIC CUresult cuLinkCreate_v2(unsigned int num_options, CUjit_option *options, void **values,
				CUlinkState *state)
{
	struct link *l;
	struct jit jit;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	r = jit_parse(num_options, options, values, &jit);
	if (!r)
		r = create(c, &jit, &l);
	if (r)
		return r;
	jit_finish(&l->jit);
	object_publish(&l->o);
	*state = object_handle(&l->o);
	return 0;
}

PUBLIC CUresult cuLinkCreate(unsigned int num_options, CUjit_option *options, void **values,
			     CUlinkState *state)
{
	return cuLinkCreate_v2(num_options, options, values, state);
}

/* All arguments of an input but its bytes. */
static int begin_add(CUlinkState state, CUjitInputType type, unsigned int num_options,
		     CUjit_option *options, void **values, struct link **l, struct jit *jit)
{
	int r = enter(state, l);

	if (!r)
		r = jit_parse(num_options, options, values, jit);
	if (r)
		return r;
	if ((unsigned int)type >= CU_JIT_NUM_INPUT_TYPES || (*l)->image)
		return CUDA_ERROR_INVALID_VALUE;
	return type == CU_JIT_INPUT_NVVM ? CUDA_ERROR_NOT_SUPPORTED : 0;
}

PUBLIC CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
				 const char *name, unsigned int num_options, CUjit_option *options,
				 void **values)
{
	struct image image;
	struct link *l;
	struct jit jit;
	int r = begin_add(state, type, num_options, options, values, &l, &jit);

	if (r)
		return r;
	if (!data || !size)
		return CUDA_ERROR_INVALID_VALUE;
	r = image_from_bytes(data, size, &image);
	return r ? r : add(l, type, &image, name, &jit);
}

PUBLIC CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t size,
			      const char *name, unsigned int num_options, CUjit_option *options,
			      void **values)
{
	return cuLinkAddData_v2(state, type, data, size, name, num_options, options, values);
}

PUBLIC CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
				 unsigned int num_options, CUjit_option *options, void **values)
{
	struct image image;
	struct link *l;
	struct jit jit;
	int r = begin_add(state, type, num_options, options, values, &l, &jit);

	if (!r)
		r = image_from_any_file(path, &image);
	return r ? r : add(l, type, &image, path, &jit);
}

PUBLIC CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path,
			      unsigned int num_options, CUjit_option *options, void **values)
{
	return cuLinkAddFile_v2(state, type, path, num_options, options, values);
}

PUBLIC CUresult cuLinkComplete(CUlinkState state, void **out, size_t *size)
{
	struct image image;
	struct link *l;
	uint64_t bytes;
	int r = enter(state, &l);

	if (r)
		return r;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (!l->image) {
		r = complete(l, &bytes);
		if (!r)
			r = fetch(l, bytes, &image);
		if (r)
			return r;
		l->image = malloc(bytes);
		if (l->image)
			memcpy(l->image, image.mem, bytes);
		l->size = bytes;
		image_free(&image);
	}
	if (!l->image)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*out = l->image;
	if (size)
		*size = l->size;
	return 0;
}

PUBLIC CUresult cuLinkDestroy(CUlinkState state)
{
	struct link *l;
	int r = guest_enter();

	if (r)
		return r;
	l = object_find(PVGPU_H_LINK, state);
	if (!l || !object_retire(&l->o))
		return CUDA_ERROR_INVALID_HANDLE;
	return destroy(l);
}

static int add_part(struct link *l, const void *part, unsigned int number)
{
	const struct jit none = {.scalars = 0};
	struct image image;
	char name[32];
	int r = image_from_memory(part, 0, &image);

	if (r)
		return r;
	snprintf(name, sizeof(name), "part %u", number);
	return add(l, CU_JIT_INPUT_FATBINARY, &image, name, &none);
}

bool link_prelinked(const void *data, struct ctx *c, struct jit *jit, struct image *out,
		    int *result)
{
	const void *const *part = image_prelinked(data);
	struct link *l = NULL;
	uint64_t size;
	int r;

	if (!part)
		return false;
	r = create(c, jit, &l);
	for (unsigned int i = 0; !r && part[i]; i++)
		r = add_part(l, part[i], i + 1);
	if (!r)
		r = complete(l, &size);
	if (!r)
		r = fetch(l, size, out);
	if (l)
		destroy(l);
	*result = r;
	return !r;
}
