/* SPDX-License-Identifier: MIT */
#include "libpvgpu/image/managed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX ((uint64_t)1 << 40)
#define ALIGN_MAX 4096u
#define USES_MAX  8 /* names in one instruction */

static int compare(const void *a, const void *b)
{
	const struct managed_variable *x = a, *y = b;

	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

static const struct managed_variable *named(const struct managed *m, const struct ptx_word *w)
{
	const struct managed_variable key = {.name = w->at, .name_len = w->len};

	return m->count && ptx_is_name(w)
		       ? bsearch(&key, m->variable, m->count, sizeof(key), compare)
		       : NULL;
}

/* Room for one more element of an array that grows by doubling. */
static void *grown(void *array, size_t count, size_t each)
{
	return count & (count - 1) ? array : realloc(array, (count ? 2 * count : 1) * each);
}

static int add_variable(struct managed *m, const struct ptx_element *e,
			const struct ptx_variable *v)
{
	struct managed_variable *all = grown(m->variable, m->count, sizeof(*all)), *one;

	if (!all)
		return -ENOMEM;
	m->variable = all;
	one = &all[m->count];
	*one = (struct managed_variable){
		.name = v->name.at, .name_len = v->name.len, .element = *e, .declared = *v};
	if (!e->bytes || e->align > ALIGN_MAX || v->is_many || v->dims > PTX_DIMS_MAX ||
	    __builtin_mul_overflow(e->bytes, v->count, &one->bytes) || !one->bytes ||
	    one->bytes > BYTES_MAX)
		return -EINVAL;
	m->count++;
	return 0;
}

static int add_declaration(struct managed *m, const char *begin, const char *end)
{
	struct managed_span *all = grown(m->declaration, m->declarations, sizeof(*all));

	if (!all)
		return -ENOMEM;
	m->declaration = all;
	all[m->declarations++] = (struct managed_span){begin, end};
	return 0;
}

/* Behind a `.global`. begin: where the declaration does. */
static int declaration(struct managed *m, struct ptx_text *t, const char *begin, bool is_extern)
{
	struct ptx_element e = {0};
	struct ptx_variable v;
	struct ptx_word w;
	int r;

	ptx_element(t, &e);
	if (!e.is_managed)
		return 0;
	if (is_extern)
		return -EINVAL;
	do {
		if (!ptx_variable(t, &v))
			return -EINVAL;
		r = add_variable(m, &e, &v);
		if (r)
			return r;
		if (!ptx_next(t, &w))
			return -EINVAL;
	} while (ptx_is(&w, ","));
	return ptx_is(&w, ";") ? add_declaration(m, begin, t->at) : -EINVAL;
}

static bool is_linkage(const struct ptx_word *w)
{
	return ptx_is(w, ".visible") || ptx_is(w, ".weak") || ptx_is(w, ".common") ||
	       ptx_is(w, ".extern");
}

int managed_find(const char *text, size_t len, struct managed *m)
{
	struct ptx_text t = {.at = text, .end = text + strnlen(text, len)};
	const char *begin = NULL;
	bool is_extern = false;
	struct ptx_word w;
	int r = 0;

	*m = (struct managed){.text = t};
	if (!memmem(text, (size_t)(t.end - text), ".managed", 8))
		return 0;
	while (!r && ptx_next(&t, &w)) {
		if (is_linkage(&w)) {
			begin = begin ? begin : w.at;
			is_extern |= ptx_is(&w, ".extern");
			continue;
		}
		if (ptx_is(&w, ".global"))
			r = declaration(m, &t, begin ? begin : w.at, is_extern);
		begin = NULL;
		is_extern = false;
	}
	if (m->count)
		qsort(m->variable, m->count, sizeof(*m->variable), compare);
	for (size_t i = 1; !r && i < m->count; i++)
		if (!compare(&m->variable[i - 1], &m->variable[i]))
			r = -EINVAL;
	return r;
}

void managed_free(struct managed *m)
{
	free(m->variable);
	free(m->declaration);
	*m = (struct managed){0};
}

/* Behind a name: + or - a number, several times. The text is left where the last of them ends. */
static bool offset(struct ptx_text *t, uint64_t *value)
{
	struct ptx_text end = *t;
	struct ptx_word w;
	int64_t n;

	while (ptx_next(t, &w)) {
		const bool plus = ptx_is(&w, "+");

		if (!plus && !ptx_is(&w, "-")) {
			*t = end;
			/* x[1] is an element of the array. */
			return !ptx_is(&w, "[");
		}
		if (!ptx_literal(t, &n))
			return false;
		*value += plus ? (uint64_t)n : 0 - (uint64_t)n;
		end = *t;
	}
	return true;
}

/* name, name + n or generic(name) + n, of which the first word has been read. False: it is no
 * managed variable's address; *is_other: another name's, as far as is known. */
static bool address(const struct managed *m, struct ptx_text *t, const struct ptx_word *first,
		    uint64_t *value, bool *is_other)
{
	const bool generic = ptx_is(first, "generic");
	const struct managed_variable *v;
	struct ptx_word w = *first;

	*is_other = true;
	if (generic && (!ptx_next(t, &w) || !ptx_is(&w, "(") || !ptx_next(t, &w)))
		return false;
	v = named(m, &w);
	if (!v)
		return false;
	*is_other = false;
	*value = v->address;
	if (generic && (!ptx_next(t, &w) || !ptx_is(&w, ")")))
		return false;
	return offset(t, value);
}

/* 0f3F800000 and 0d3FF0000000000000: bits of a number. */
static bool is_float_bits(const struct ptx_word *w)
{
	return (w->len == 10 && (w->at[1] | 32) == 'f' && w->at[0] == '0') ||
	       (w->len == 18 && (w->at[1] | 32) == 'd' && w->at[0] == '0');
}

/* A whole number of up to 64 bits; ptx_number() knows those of 63. */
static bool whole(const struct ptx_word *w, uint64_t *value)
{
	char text[32], *end;

	if (w->len >= sizeof(text) || w->at[0] < '0' || w->at[0] > '9')
		return false;
	memcpy(text, w->at, w->len);
	text[w->len] = '\0';
	*value = strtoull(text, &end, 0);
	return !*end || (*end == 'U' && !end[1]);
}

static bool float_value(const struct ptx_word *w, bool negative, unsigned int bytes,
			uint64_t *value)
{
	char text[20];
	const unsigned int digits = bytes * 2;

	if (!is_float_bits(w) || w->len != digits + 2)
		return false;
	memcpy(text, w->at + 2, digits);
	text[digits] = '\0';
	*value = strtoull(text, NULL, 16);
	if (negative)
		*value ^= 1ull << (8 * bytes - 1);
	return true;
}

static bool element_value(const struct managed *m, struct ptx_text *t, const struct ptx_element *e,
			  uint64_t *value)
{
	struct ptx_text again = *t;
	bool negative, other;
	struct ptx_word w;
	int64_t n;

	if (!ptx_next(t, &w))
		return false;
	if (ptx_is_name(&w) && !ptx_is(&w, "WARP_SZ"))
		return e->part == 8 && address(m, t, &w, value, &other);
	negative = ptx_is(&w, "-");
	if (negative && !ptx_next(t, &w))
		return false;
	if (e->is_float)
		return float_value(&w, negative, e->part, value);
	if (whole(&w, value)) {
		struct ptx_word after;

		if (negative)
			*value = 0 - *value;
		if (!ptx_next(t, &after))
			return true;
		ptx_back(t, &after);
		if (strchr(",;}", after.at[0]))
			return true;
	}
	*t = again;
	if (!ptx_number(t, &n))
		return false;
	*value = (uint64_t)n;
	return true;
}

struct list {
	const struct managed *m;
	const struct managed_variable *v;
	struct ptx_text t;
	unsigned char *to;
};

static bool put(struct list *l, uint64_t *at)
{
	const unsigned int part = l->v->element.part;
	uint64_t value;

	if (part > sizeof(value) || *at > l->v->bytes || part > l->v->bytes - *at ||
	    !element_value(l->m, &l->t, &l->v->element, &value))
		return false;
	memcpy(l->to + *at, &value, part);
	*at += part;
	return true;
}

/* Bytes of what brackets at this depth hold: all of it, a row of the first dimension, ... */
static uint64_t row_bytes(const struct managed_variable *v, unsigned int depth)
{
	uint64_t n = v->element.bytes;

	if (!depth)
		return v->bytes;
	for (unsigned int i = depth; i < v->declared.dims; i++)
		n *= v->declared.dim[i];
	return n;
}

/* Behind a `{`. As in C: inner brackets hold a row, the rest of which is zero. */
static bool list(struct list *l, unsigned int depth, uint64_t at)
{
	const uint64_t begin = at, row = row_bytes(l->v, depth + 1);
	struct ptx_word w;

	if (depth > PTX_DIMS_MAX)
		return false;
	while (ptx_next(&l->t, &w)) {
		if (ptx_is(&w, "}"))
			return at - begin <= row_bytes(l->v, depth);
		if (ptx_is(&w, ",") && at > begin)
			continue;
		if (ptx_is(&w, "{")) {
			if (at > l->v->bytes || !list(l, depth + 1, at))
				return false;
			at += row;
		} else {
			ptx_back(&l->t, &w);
			if (!put(l, &at))
				return false;
		}
	}
	return false;
}

bool managed_initial(const struct managed *m, const struct managed_variable *v, void *to)
{
	struct list l = {
		.m = m, .v = v, .t = {.at = v->declared.value, .end = m->text.end}, .to = to};
	uint64_t at = 0;
	struct ptx_word w;

	if (!v->declared.value)
		return true;
	if (!ptx_next(&l.t, &w))
		return false;
	if (ptx_is(&w, "{"))
		return list(&l, 0, 0);
	ptx_back(&l.t, &w);
	return put(&l, &at);
}

/* An instruction's or a value's names and what stands in their place. */
struct use {
	const char *at, *end;
	uint64_t value;
};

struct rewriter {
	const struct managed *m;
	struct ptx_text t;
	FILE *out;
	const char *copied;                  /* so far */
	size_t dropped;                      /* declarations */
	const char *statement;               /* its begin; NULL: at none */
	unsigned int words, depth, brackets; /* of the statement; blocks; {} in a statement */
	bool is_section, has_value;
	struct use use[USES_MAX];
	unsigned int uses;
};

static void copy(struct rewriter *r, const char *to)
{
	fwrite(r->copied, 1, (size_t)(to - r->copied), r->out);
	r->copied = to;
}

/*
 * { .reg .b64 %p0; mov.b64 %p0, 123; ld.global.u32 %r1, [%p0]; }
 *
 * An absolute address in brackets has only 32 bits.
 */
static void instruction(struct rewriter *r)
{
	if (!r->uses)
		return;
	copy(r, r->statement);
	fputs("{ .reg .b64 ", r->out);
	for (unsigned int i = 0; i < r->uses; i++)
		fprintf(r->out, "%s%%__pvgpu%u", i ? ", " : "", i);
	for (unsigned int i = 0; i < r->uses; i++)
		fprintf(r->out, "; mov.b64 %%__pvgpu%u, %" PRIu64, i, r->use[i].value);
	fputs("; ", r->out);
	for (unsigned int i = 0; i < r->uses; i++) {
		copy(r, r->use[i].at);
		fprintf(r->out, "%%__pvgpu%u", i);
		r->copied = r->use[i].end;
	}
	copy(r, r->t.at);
	fputs(" }", r->out);
}

static void statement_end(struct rewriter *r)
{
	r->statement = NULL;
	r->words = 0;
	r->uses = 0;
	r->has_value = false;
}

/* A managed variable's name, or generic(), has been read. */
static bool use(struct rewriter *r, const struct ptx_word *w)
{
	const struct ptx_text before = r->t;
	bool other;
	uint64_t value;

	if (!address(r->m, &r->t, w, &value, &other)) {
		r->t = before;
		return other;
	}
	if (r->is_section || (!r->depth && r->has_value)) {
		copy(r, w->at);
		fprintf(r->out, "%" PRIu64, value);
		r->copied = r->t.at;
		return true;
	}
	/* In a declaration it is another thing's name. */
	if (!r->depth || r->statement[0] == '.' || r->uses == USES_MAX)
		return false;
	r->use[r->uses++] = (struct use){w->at, r->t.at, value};
	return true;
}

static void opened(struct rewriter *r)
{
	if (r->brackets || (r->depth ? r->words > 0 : r->has_value)) {
		r->brackets++;
		return;
	}
	r->depth++;
	statement_end(r);
}

static void closed(struct rewriter *r)
{
	if (r->brackets) {
		r->brackets--;
		return;
	}
	if (r->depth && !--r->depth)
		r->is_section = false;
	statement_end(r);
}

/* .loc and .file end with their line. */
static bool is_line(const struct rewriter *r, const struct ptx_word *w)
{
	return !r->is_section && (ptx_is(w, ".loc") || ptx_is(w, ".file"));
}

static void skip_line(struct rewriter *r)
{
	const char *end = memchr(r->t.at, '\n', (size_t)(r->t.end - r->t.at));

	r->t.at = end ? end : r->t.end;
}

/* False: names are used in an unknown way. */
static bool word(struct rewriter *r, const struct ptx_word *w)
{
	if (ptx_is(w, ";")) {
		instruction(r);
		statement_end(r);
	} else if (ptx_is(w, "{")) {
		opened(r);
	} else if (ptx_is(w, "}")) {
		closed(r);
	} else if (ptx_is(w, ":") && r->words == 1) {
		const bool ok = !r->uses;

		statement_end(r);
		return ok;
	} else if (is_line(r, w)) {
		skip_line(r);
	} else {
		if (!r->words++)
			r->statement = w->at;
		r->has_value |= !r->depth && ptx_is(w, "=");
		r->is_section |= !r->depth && ptx_is(w, ".section");
		return !ptx_is_name(w) || (!named(r->m, w) && !ptx_is(w, "generic")) || use(r, w);
	}
	return true;
}

static bool rewrite(struct rewriter *r)
{
	const struct managed_span *d = r->m->declaration;
	struct ptx_word w;

	while (ptx_next(&r->t, &w)) {
		if (r->dropped < r->m->declarations && w.at >= d[r->dropped].begin) {
			copy(r, w.at);
			r->copied = r->t.at = d[r->dropped++].end;
			statement_end(r);
		} else if (!word(r, &w)) {
			return false;
		}
	}
	copy(r, r->t.end);
	return true;
}

int managed_rewrite(const struct managed *m, char **text, size_t *len)
{
	struct rewriter r = {.m = m, .t = m->text, .copied = m->text.at};
	bool known, failed;

	*text = NULL;
	r.out = open_memstream(text, len);
	if (!r.out)
		return -ENOMEM;
	known = rewrite(&r);
	failed = ferror(r.out);
	failed |= fclose(r.out) != 0;
	if (known && !failed)
		return 0;
	free(*text);
	*text = NULL;
	return failed ? -ENOMEM : -EINVAL;
}
