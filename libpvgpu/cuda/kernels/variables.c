/* SPDX-License-Identifier: MIT */
/*
 * Managed variables: they lie in the arena, as other managed memory does, and the code that is sent
 * has their addresses in it (image/managed.h). Of a fatbin's entries that takes PTX which is not
 * compressed; where there is some that declares managed variables it is used in place of machine
 * code. Other images are sent as they are: kernels then have the variable, the CPU has not.
 */
#include "cuda/kernels/variables.h"
#include "cuda/core/above.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/kernels/image.h"
#include "cuda/memory/managed.h"
#include "cuda/memory/memory_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/fatbin.h"
#include "image/managed.h"
#include "link/pages.h"
#include "link/session.h"

struct variable {
	char *name;
	uint64_t addr, bytes;
};

static bool is_packed(const struct fatbin_entry *e)
{
	return e->flags & (FATBIN_LZ4 | FATBIN_ZSTD);
}

/* The text that the variables are looked for in: of a fatbin's the newest. NULL: there is none. */
static const char *text_of(const struct image *image, size_t *len)
{
	unsigned int newest = 0;
	const char *text = NULL;
	struct fatbin_entry e;
	size_t at = 0;

	if (image_kind(image->mem, image->size) == IMAGE_PTX) {
		*len = image->size;
		return image->mem;
	}
	while (fatbin_next(image->mem, image->size, &at, &e) > 0)
		if (e.kind == FATBIN_PTX && !is_packed(&e) && e.sm >= newest &&
		    memmem(e.payload, e.stored, ".managed", 8)) {
			newest = e.sm;
			text = e.payload;
			*len = e.stored;
		}
	return text;
}

static uint64_t pages(uint64_t bytes)
{
	return (bytes + PVGPU_PAGE - 1) & ~(uint64_t)(PVGPU_PAGE - 1);
}

void variables_free(struct variables *v)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct range r = {.base = v->all[i].addr,
					.size = v->all[i].bytes,
					.kind = RANGE_PINNED,
					.flags = RANGE_MANAGED};

		host_free(&r);
		free(v->all[i].name);
	}
	free(v->all);
	*v = (struct variables){0};
}

static int place(const struct managed_variable *m, struct variables *v)
{
	struct variable one = {.bytes = m->bytes};
	int r;

	one.name = strndup(m->name, m->name_len);
	if (!one.name)
		return CUDA_ERROR_OUT_OF_MEMORY;
	one.addr = (uintptr_t)pvgpu_arena_alloc(session(), pages(m->bytes), false);
	if (!one.addr) {
		free(one.name);
		r = pvgpu_session_status(session());
		return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	v->all[v->count++] = one;
	return 0;
}

static int place_all(struct managed *m, struct variables *v)
{
	int r = 0;

	v->all = calloc(m->count, sizeof(*v->all));
	if (!v->all)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < m->count && !r; i++) {
		r = place(&m->variable[i], v);
		if (!r)
			m->variable[i].address = v->all[i].addr;
	}
	return r;
}

/* False: an initial value is not known. */
static bool fill(const struct managed *m)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct managed_variable *v = &m->variable[i];
		void *p = (void *)(uintptr_t)v->address;

		memset(p, 0, pages(v->bytes));
		if (!managed_initial(m, v, p))
			return false;
	}
	return true;
}

static int replace(const struct managed *m, struct image *image)
{
	struct image without;
	char *text;
	size_t len;
	int r = managed_rewrite(m, &text, &len);

	if (r)
		return r;
	r = image_from_bytes(text, len + 1, &without);
	free(text);
	if (r)
		return r;
	image_free(image);
	*image = without;
	return 0;
}

/* They belong to no context, as code of a library does not. */
static int publish(const struct variables *v, const struct object *owner)
{
	int r = 0;

	for (size_t i = 0; i < v->count && !r; i++)
		r = range_add(&(const struct range){.base = v->all[i].addr,
						    .size = v->all[i].bytes,
						    .kind = RANGE_PINNED,
						    .flags = RANGE_MANAGED,
						    .owner = owner});
	return r;
}

static int place_found(struct managed *m, struct image *image, const struct object *owner,
		       struct variables *out)
{
	int r = place_all(m, out);

	if (!r)
		r = fill(m) ? replace(m, image) : -EINVAL;
	if (!r)
		r = publish(out, owner);
	if (r) {
		range_remove_owner(owner);
		variables_free(out);
	}
	/* Code that is not understood goes to the far end as it is. */
	return r == -EINVAL ? 0 : r == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY : r;
}

int variables_place(struct image *image, int device, const struct object *owner,
		    struct variables *out)
{
	struct managed m;
	const char *text;
	size_t len;
	int r;

	*out = (struct variables){0};
	text = device_value(device, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY) ? text_of(image, &len)
									: NULL;
	if (!text)
		return 0;
	r = managed_find(text, len, &m);
	if (!r && m.count)
		r = place_found(&m, image, owner, out);
	managed_free(&m);
	return r == -ENOMEM ? CUDA_ERROR_OUT_OF_MEMORY : r == -EINVAL ? 0 : r;
}

bool variables_find(const struct variables *v, const char *name, CUdeviceptr *addr, size_t *bytes)
{
	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->all[i].name, name) != 0)
			continue;
		if (addr)
			*addr = v->all[i].addr;
		if (bytes)
			*bytes = v->all[i].bytes;
		return true;
	}
	return false;
}
