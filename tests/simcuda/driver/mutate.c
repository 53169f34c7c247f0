/* SPDX-License-Identifier: MIT */
/*
 * Silent errors in kernels, made in the text of a module before it is parsed: a mutation run
 * switches on one at a time to prove that test programs check what they compute.
 *   add sub mul fma   arithmetic gives a wrong result     store   a global store is dropped
 *   bar               a barrier is skipped                 shared  a shared store is dropped
 *   atom              an atomic's update is lost           shfl    a shuffle returns its own value
 *   cmp               a comparison's result is inverted   half    one of two halves is an operand
 *   matrix            a matrix is not stored
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/mutate.h"
#include "tests/simcuda/driver/sim.h"

#define OPERAND 128

struct text {
	char *p;
	size_t len, room;
};

struct mutation {
	const char *name;
	bool (*matches)(const char *op);
	/* Write the new statement; op and args (up to the semicolon) are NUL terminated. */
	void (*write)(struct text *out, const char *op, const char *args);
};

static const struct mutation *selected;
static uint64_t nth;

static void put(struct text *t, const char *s, size_t n)
{
	while (t->p && t->len + n + 1 > t->room) {
		char *p = realloc(t->p, t->room * 2);

		if (!p)
			free(t->p);
		t->p = p;
		t->room *= 2;
	}
	if (!t->p)
		return;
	memcpy(t->p + t->len, s, n);
	t->len += n;
	t->p[t->len] = 0;
}

static void puts_to(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static bool starts(const char *s, const char *what)
{
	return !strncmp(s, what, strlen(what));
}

static const char *last_suffix(const char *op)
{
	const char *dot = strrchr(op, '.');

	return dot ? dot : op;
}

/* 64-bit integer sums are mostly addresses; a wrong one would be no silent error. */
static bool is_data(const char *op)
{
	const char *type = last_suffix(op);

	return strcmp(type, ".s64") && strcmp(type, ".u64") && !strstr(op, "f16");
}

static bool is_add(const char *op)
{
	return starts(op, "add.") && !starts(op, "add.cc") && is_data(op);
}

static bool is_sub(const char *op)
{
	return starts(op, "sub.") && !starts(op, "sub.cc") && is_data(op);
}

static bool is_mul(const char *op)
{
	return starts(op, "mul.") && !starts(op, "mul.wide") && is_data(op);
}

static bool is_fma(const char *op)
{
	return (starts(op, "fma.") || starts(op, "mad.")) && is_data(op);
}

static bool is_half(const char *op)
{
	return strstr(op, "f16x2") && !starts(op, "cvt") && !starts(op, "set");
}

static bool is_matrix(const char *op)
{
	return starts(op, "stmatrix.");
}

static bool is_store(const char *op)
{
	return starts(op, "st.global") || starts(op, "st.volatile.global") ||
	       starts(op, "st.relaxed.gpu.global") || starts(op, "st.u") || starts(op, "st.f") ||
	       starts(op, "st.b") || starts(op, "st.s32") || starts(op, "st.v");
}

static bool is_shared_store(const char *op)
{
	return starts(op, "st.shared");
}

static bool is_bar(const char *op)
{
	return starts(op, "bar.sync") || starts(op, "barrier.sync") || starts(op, "bar.warp") ||
	       starts(op, "barrier.cta.sync");
}

static bool is_atom(const char *op)
{
	return starts(op, "atom.") || starts(op, "red.");
}

static bool is_shfl(const char *op)
{
	return starts(op, "shfl.");
}

static bool is_cmp(const char *op)
{
	return starts(op, "setp.");
}

static void write_nothing(struct text *out, const char *op, const char *args)
{
	puts_to(out, "// dropped");
}

static void rename_to(struct text *out, const char *op, const char *args, size_t old,
		      const char *name)
{
	puts_to(out, name);
	puts_to(out, op + old);
	puts_to(out, args);
	puts_to(out, ";");
}

static void write_add(struct text *out, const char *op, const char *args)
{
	rename_to(out, op, args, 3, "sub");
}

static void write_sub(struct text *out, const char *op, const char *args)
{
	rename_to(out, op, args, 3, "add");
}

/* mul d, a, b becomes a plain copy of a. */
static void write_first(struct text *out, const char *op, const char *args)
{
	const char *first = strchr(args, ','), *second = first ? strchr(first + 1, ',') : NULL;
	const char *type = last_suffix(op);

	puts_to(out, "mov");
	puts_to(out, type);
	put(out, args, second ? (size_t)(second - args) : strlen(args));
	puts_to(out, ";");
}

/* op d, a, b of a pair of halves becomes a copy of a. */
static void write_pair(struct text *out, const char *op, const char *args)
{
	write_first(out, ".b32", args);
}

/* The old value is read, the new one is not written. A reduction discards the old value. */
static void write_atom(struct text *out, const char *op, const char *args)
{
	const char *close = strchr(args, ']'), *type = last_suffix(op);

	if (starts(op, "red.") || !close) {
		puts_to(out, "// dropped");
		return;
	}
	puts_to(out, "ld");
	if (strstr(op, ".global"))
		puts_to(out, ".global");
	else if (strstr(op, ".shared"))
		puts_to(out, ".shared");
	puts_to(out, type);
	put(out, args, (size_t)(close - args) + 1);
	puts_to(out, ";");
}

/* shfl d|p, a, ... becomes a copy of a, and p true. */
static void write_shfl(struct text *out, const char *op, const char *args)
{
	const char *bar = strchr(args, '|'), *comma = strchr(args, ',');
	const char *second = comma ? strchr(comma + 1, ',') : NULL;

	if (!second) {
		puts_to(out, op);
		puts_to(out, args);
		puts_to(out, ";");
		return;
	}
	puts_to(out, "mov.b32 ");
	put(out, args, (size_t)((bar && bar < comma ? bar : comma) - args));
	put(out, comma, (size_t)(second - comma));
	puts_to(out, ";");
	if (bar && bar < comma) {
		puts_to(out, " setp.eq.u32 ");
		put(out, bar + 1, (size_t)(comma - bar - 1));
		puts_to(out, ", 0, 0;");
	}
}

static void write_cmp(struct text *out, const char *op, const char *args)
{
	static const char *const pairs[][2] = {
		{".eq.", ".ne."}, {".ne.", ".eq."}, {".lt.", ".ge."}, {".ge.", ".lt."},
		{".gt.", ".le."}, {".le.", ".gt."}, {".lo.", ".hs."}, {".hs.", ".lo."},
		{".hi.", ".ls."}, {".ls.", ".hi."},
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const char *at = strstr(op, pairs[i][0]);

		if (!at)
			continue;
		put(out, op, (size_t)(at - op));
		puts_to(out, pairs[i][1]);
		puts_to(out, at + 4);
		puts_to(out, args);
		puts_to(out, ";");
		return;
	}
	puts_to(out, op);
	puts_to(out, args);
	puts_to(out, ";");
}

static const struct mutation mutations[] = {
	{"add", is_add, write_add},         {"sub", is_sub, write_sub},
	{"mul", is_mul, write_first},       {"fma", is_fma, write_first},
	{"store", is_store, write_nothing}, {"shared", is_shared_store, write_nothing},
	{"bar", is_bar, write_nothing},     {"atom", is_atom, write_atom},
	{"shfl", is_shfl, write_shfl},      {"cmp", is_cmp, write_cmp},
	{"half", is_half, write_pair},      {"matrix", is_matrix, write_nothing},
};

bool mutate_select(const char *what, uint64_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(mutations); i++)
		if (!strcmp(mutations[i].name, what)) {
			selected = &mutations[i];
			nth = n;
			return true;
		}
	return false;
}

/* mad.wide and the like give another type than their operands: a copy would not parse. */
static bool fits(const char *op)
{
	return selected->matches(op) && !strstr(op, ".wide");
}

/*
 * One statement, "op args" up to the semicolon, as clang writes it: on a line of its own, after an
 * optional "@p " guard, which stays in place.
 */
static bool mutate_line(struct text *out, const char *line, size_t len)
{
	char buf[1024], *op = buf, *args, *end;
	size_t lead, start = out->len;

	if (len >= sizeof(buf))
		return false;
	memcpy(buf, line, len);
	buf[len] = 0;
	op += strspn(op, " \t");
	if (*op == '@') {
		op += strcspn(op, " \t");
		op += strspn(op, " \t");
	}
	lead = (size_t)(op - buf);
	args = op + strcspn(op, " \t;");
	end = strchr(args, ';');
	if (!end || !*args)
		return false;
	*end = 0;
	put(out, buf, lead);
	if (*args) {
		char opcode[OPERAND];
		size_t n = (size_t)(args - op);

		if (n >= sizeof(opcode))
			return false;
		memcpy(opcode, op, n);
		opcode[n] = 0;
		selected->write(out, opcode, args);
	} else {
		selected->write(out, op, "");
	}
	if (out->p && starts(out->p + start + lead, "//")) { /* the guard would apply to the next */
		out->len = start;
		puts_to(out, "// dropped");
	}
	return true;
}

static bool line_matches(const char *line, size_t len)
{
	char op[OPERAND];
	size_t i = 0, n = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (i < len && line[i] == '@') {
		while (i < len && line[i] != ' ' && line[i] != '\t')
			i++;
		while (i < len && (line[i] == ' ' || line[i] == '\t'))
			i++;
	}
	while (i < len && n < sizeof(op) - 1 && line[i] != ' ' && line[i] != '\t' && line[i] != ';')
		op[n++] = line[i++];
	op[n] = 0;
	return fits(op);
}

char *fault_mutate(const char *text, size_t len, size_t *new_len)
{
	struct text out = {.room = len + 256};
	const char *p = text, *end = text + len;
	uint64_t seen = 0;

	if (likely(!selected))
		return NULL;
	out.p = malloc(out.room);
	while (p < end && out.p) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p), keep = out.len;

		if (!line_matches(p, n) || (++seen != nth && nth) || !mutate_line(&out, p, n)) {
			out.len = keep;
			put(&out, p, n);
		}
		if (nl)
			put(&out, "\n", 1);
		p += n + (nl != NULL);
	}
	*new_len = out.len;
	return out.p;
}
