/* SPDX-License-Identifier: MIT */
#include "libpvgpu/image/ptx_variable.h"

#include <string.h>

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return n > UINT64_MAX - to ? UINT64_MAX : (n + to - 1) / to * to;
}

/* Bytes of a fundamental type; 0: it is none. */
static unsigned int type_bytes(const struct ptx_word *w)
{
	static const char *const opaque[] = {".texref", ".samplerref", ".surfref"};
	unsigned int bits = 0;
	size_t i = 2;

	for (size_t k = 0; k < sizeof(opaque) / sizeof(opaque[0]); k++)
		if (ptx_is(w, opaque[k]))
			return 8;
	if (ptx_is(w, ".pred"))
		return 1;
	if (ptx_is(w, ".f16x2") || ptx_is(w, ".bf16x2"))
		return 4;
	if (w->len < 3 || w->at[0] != '.')
		return 0;
	if (w->len > 3 && w->at[1] == 'b' && w->at[2] == 'f')
		i = 3;
	else if (!strchr("busf", w->at[1]))
		return 0;
	for (; i < w->len && bits <= 128; i++) {
		if (w->at[i] < '0' || w->at[i] > '9')
			return 0;
		bits = 10 * bits + (unsigned int)(w->at[i] - '0');
	}
	return bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128 ? bits / 8 : 0;
}

static void attributes(struct ptx_text *t, struct ptx_element *e)
{
	struct ptx_word w;

	if (!ptx_next(t, &w) || !ptx_is(&w, "("))
		return;
	while (ptx_next(t, &w) && !ptx_is(&w, ")"))
		e->is_managed |= ptx_is(&w, ".managed");
}

void ptx_element(struct ptx_text *t, struct ptx_element *e)
{
	unsigned int vector = 1;
	struct ptx_word w;

	while (ptx_next(t, &w)) {
		if (w.at[0] != '.') {
			ptx_back(t, &w);
			break;
		}
		e->part = type_bytes(&w);
		if (e->part) {
			e->is_float = w.at[1] == 'f' || (w.len > 2 && w.at[2] == 'f');
			break;
		}
		if (ptx_is(&w, ".align")) {
			int64_t n;

			if (ptx_number(t, &n) && n > 0 && n <= 1 << 30)
				e->align = (uint64_t)n > e->align ? (uint64_t)n : e->align;
		} else if (w.len == 3 && w.at[1] == 'v' && w.at[2] >= '2' && w.at[2] <= '8') {
			vector = (unsigned int)(w.at[2] - '0');
		} else if (ptx_is(&w, ".attribute")) {
			attributes(t, e);
		}
	}
	e->bytes = (uint64_t)e->part * vector;
}

/*
 * The initial value: how many elements it gives a variable whose first dimension is left open. In
 * brackets of their own the values of an outer element may be fewer than `inner`. Stops before `,`
 * or `;`.
 */
static uint64_t initial(struct ptx_text *t, uint64_t inner)
{
	uint64_t values = 1, outer = 1;
	unsigned int depth = 0;
	bool nested = false;
	struct ptx_word w;

	while (ptx_next(t, &w)) {
		if (!depth && (ptx_is(&w, ",") || ptx_is(&w, ";"))) {
			ptx_back(t, &w);
			break;
		}
		if (ptx_is(&w, "{"))
			nested |= depth++ > 0;
		else if (ptx_is(&w, "}") && depth)
			depth--;
		else if (ptx_is(&w, ",")) {
			values++;
			outer += depth == 1;
		}
	}
	return nested ? times(outer, inner) : round_up(values, inner ? inner : 1);
}

/* Behind a `[`. False: the dimension is left open. */
static bool dimension(struct ptx_text *t, struct ptx_variable *v, uint64_t *inner)
{
	int64_t size = 0;
	const bool known = ptx_number(t, &size);
	const uint64_t n = size > 0 ? (uint64_t)size : 0;

	if (v->dims < PTX_DIMS_MAX)
		v->dim[v->dims] = known ? n : 0;
	if (v->dims <= PTX_DIMS_MAX)
		v->dims++;
	if (known)
		*inner = times(*inner, n);
	return known;
}

bool ptx_variable(struct ptx_text *t, struct ptx_variable *v)
{
	uint64_t n = 1, inner = 1, given = 0;
	bool open = false;
	struct ptx_word w;
	int64_t many;

	*v = (struct ptx_variable){0};
	if (!ptx_next(t, &v->name))
		return false;
	if (!ptx_is_name(&v->name)) {
		ptx_back(t, &v->name);
		return false;
	}
	while (ptx_next(t, &w)) {
		if (ptx_is(&w, "<")) {
			v->is_many = true;
			if (ptx_literal(t, &many))
				n = times(n, (uint64_t)many);
		} else if (ptx_is(&w, "[")) {
			open |= !dimension(t, v, &inner);
		} else if (ptx_is(&w, "=")) {
			v->value = t->at;
			given = initial(t, inner);
		} else if (ptx_is(&w, ",") || ptx_is(&w, ";")) {
			ptx_back(t, &w);
			break;
		}
	}
	v->count = times(n, open ? given : inner);
	return true;
}
