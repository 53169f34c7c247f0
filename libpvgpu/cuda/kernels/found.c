/* SPDX-License-Identifier: MIT */
/*
 * The functions of a module or the kernels of a library that the application has asked for. Each
 * request makes a handle in the worker that lasts as long as the owner, so each function is
 * requested once and remembered.
 */
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/found.h"
#include "cuda/kernels/function.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h;
}

/* The place of a name among by_name, which has free ones. */
static struct function **place(const struct found *l, const char *name)
{
	uint32_t i = hash(name);

	while (l->by_name[i & (l->names_room - 1)] &&
	       strcmp(l->by_name[i & (l->names_room - 1)]->name, name))
		i++;
	return &l->by_name[i & (l->names_room - 1)];
}

static struct function *known(const struct found *l, const char *name)
{
	return l->names_room ? *place(l, name) : NULL;
}

/* Room for one more name; half of the places stay free. */
static int names_extend(struct found *l)
{
	struct found grown = {.names_room = l->names_room ? 2 * l->names_room : 16};

	if (2 * l->names < l->names_room)
		return 0;
	grown.by_name = calloc(grown.names_room, sizeof(*grown.by_name));
	if (!grown.by_name)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < l->names_room; i++)
		if (l->by_name[i])
			*place(&grown, l->by_name[i]->name) = l->by_name[i];
	free(l->by_name);
	l->by_name = grown.by_name;
	l->names_room = grown.names_room;
	return 0;
}

/* name NULL asks for the index-th one. */
static int ask(struct found *l, const char *name, uint32_t index, struct function **out)
{
	struct function *f = object_new(l->type), *same;
	struct function_info info;
	int r;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = names_extend(l);
	if (!r)
		r = l->ask(l, name, index, f->o.wire, &info);
	if (!r)
		r = function_fill(f, &info, name);
	same = !r && !name ? known(l, f->name) : NULL;
	if (r || same) {
		function_free(f);
		*out = same;
		return r;
	}
	l->adopt(l, f);
	f->next = l->first;
	l->first = f;
	*place(l, f->name) = f;
	l->names++;
	object_publish(&f->o);
	*out = f;
	return 0;
}

int found_named(struct found *l, const char *name, struct function **out)
{
	*out = known(l, name);
	return *out ? 0 : ask(l, name, 0, out);
}

/* Room for one more at the end. */
static int extend(struct found *l)
{
	const uint32_t room = l->room ? 2 * l->room : 8;
	struct function **grown;

	if (l->n < l->room)
		return 0;
	grown = realloc(l->at, room * sizeof(*grown));
	if (!grown)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->at = grown;
	l->room = room;
	return 0;
}

int found_first(struct found *l, uint32_t count, void **handles)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i == l->n) {
			int r = extend(l);

			if (!r)
				r = ask(l, NULL, i, &l->at[i]);
			if (r)
				return r;
			l->n++;
		}
		handles[i] = object_handle(&l->at[i]->o);
	}
	return 0;
}

struct function *found_take(struct found *l)
{
	struct function *f = l->first;

	free(l->at);
	free(l->by_name);
	l->at = l->by_name = NULL;
	l->n = l->room = l->names = l->names_room = 0;
	if (f)
		l->first = f->next;
	return f;
}
