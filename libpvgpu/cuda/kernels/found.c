/* SPDX-License-Identifier: MIT */
/*
 * The functions of a module or the kernels of a library that the application has asked for. Each
 * request makes a handle in the worker that lasts as long as the owner, so each function is
 * requested once and remembered.
 */
#include "cuda/core/guest.h"

#include <stdlib.h>
#include <string.h>

static struct function *known(const struct found *l, const char *name)
{
	struct function *f = l->first;

	while (f && strcmp(f->name, name))
		f = f->next;
	return f;
}

/* name NULL asks for the index-th one. */
static int ask(struct found *l, const char *name, uint32_t index, struct function **out)
{
	struct function *f = object_new(l->type), *same;
	struct function_info info;
	int r;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
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
	l->at = NULL;
	l->n = l->room = 0;
	if (f)
		l->first = f->next;
	return f;
}
