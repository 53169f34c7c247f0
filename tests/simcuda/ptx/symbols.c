/* SPDX-License-Identifier: MIT */
/* Names, scopes, registers, constants and the growing code array. */
#include "tests/simcuda/ptx/parser.h"

#include <stdlib.h>

#define MAX_CONST_BYTES (64u << 20)

static uint32_t hash_bytes(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	return h;
}

static void grow_names(struct parser *p)
{
	uint32_t cap = p->name_cap ? p->name_cap * 2 : 256;
	struct name **t = calloc(cap, sizeof(*t));

	if (!t)
		parse_no_memory(p);
	for (uint32_t i = 0; i < p->name_cap; i++) {
		while (p->names[i]) {
			struct name *n = p->names[i];

			p->names[i] = n->next;
			n->next = t[n->hash & (cap - 1)];
			t[n->hash & (cap - 1)] = n;
		}
	}
	free(p->names);
	p->names = t;
	p->name_cap = cap;
}

struct name *intern(struct parser *p, const char *s, size_t len)
{
	uint32_t h = hash_bytes(s, len);
	struct name *n;

	if (len > 4096)
		parse_fail(p, p->t.line, "identifier of %zu characters is too long", len);
	if (p->name_count >= p->name_cap)
		grow_names(p);
	for (n = p->names[h & (p->name_cap - 1)]; n; n = n->next) {
		if (n->hash == h && n->len == len && !memcmp(n->s, s, len))
			return n;
	}
	n = parse_alloc(p, sizeof(*n) + len + 1);
	n->hash = h;
	n->len = (uint32_t)len;
	memcpy(n->s, s, len);
	n->next = p->names[h & (p->name_cap - 1)];
	p->names[h & (p->name_cap - 1)] = n;
	p->name_count++;
	return n;
}

struct sym *declare_at(struct parser *p, uint32_t scope, struct name *n, enum sym_kind kind,
		       uint32_t line)
{
	struct sym *s;

	if (n->sym && n->sym->scope == scope)
		parse_fail(p, line, "'%.100s' is declared twice", n->s);
	s = parse_alloc(p, sizeof(*s));
	s->kind = kind;
	s->name = n;
	s->scope = scope;
	s->unit = p->unit_number;
	s->shadowed = n->sym;
	s->scope_next = p->scopes[scope];
	p->scopes[scope] = s;
	n->sym = s;
	return s;
}

struct sym *declare(struct parser *p, struct name *n, enum sym_kind kind, uint32_t line)
{
	return declare_at(p, p->scope, n, kind, line);
}

void scope_open(struct parser *p)
{
	if (p->scope + 1 >= MAX_NESTING)
		parse_fail(p, p->t.line, "blocks are nested deeper than %d", MAX_NESTING);
	p->scope++;
	p->scopes[p->scope] = NULL;
	p->scope_params[p->scope] = p->param_top;
	p->scope_fixups[p->scope] = p->fixup_count;
}

static void resolve_fixups(struct parser *p)
{
	uint32_t keep = p->scope_fixups[p->scope];

	for (uint32_t i = keep; i < p->fixup_count; i++) {
		struct fixup *f = &p->fixups[i];
		struct sym *s = f->label->sym;

		if (s && s->kind == SYM_LABEL) {
			if (f->target)
				*f->target = s->row;
			else
				p->m->code[f->pc].x = s->row;
		} else {
			p->fixups[keep++] = *f;
		}
	}
	p->fixup_count = keep;
}

/* A label may be used before it is defined, so branches are resolved where its scope ends. */
void scope_close(struct parser *p)
{
	resolve_fixups(p);
	for (struct sym *s = p->scopes[p->scope]; s; s = s->scope_next)
		s->name->sym = s->shadowed;
	p->param_top = p->scope_params[p->scope];
	p->scope--;
}

static void grow_ranges(struct parser *p)
{
	uint32_t cap = p->range_cap ? p->range_cap * 2 : 1024;
	struct range_entry *t = calloc(cap, sizeof(*t));

	if (!t)
		parse_no_memory(p);
	for (uint32_t i = 0; i < p->range_cap; i++) {
		uint64_t key = p->ranges[i].key;
		uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (cap - 1);

		if (!key)
			continue;
		while (t[at].key)
			at = (at + 1) & (cap - 1);
		t[at] = p->ranges[i];
	}
	free(p->ranges);
	p->ranges = t;
	p->range_cap = cap;
}

/* Registers of a range such as %r<100> get a row when they are first used. */
uint32_t range_row(struct parser *p, struct sym *range, uint32_t number)
{
	uint64_t key = ((uint64_t)range->id << 32) | number;
	uint32_t at;

	if (2 * p->range_count >= p->range_cap)
		grow_ranges(p);
	at = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (p->range_cap - 1);
	while (p->ranges[at].key) {
		if (p->ranges[at].key == key)
			return p->ranges[at].row;
		at = (at + 1) & (p->range_cap - 1);
	}
	p->ranges[at].key = key;
	p->ranges[at].row = vector_rows(p, range->type, range->vector ? range->vector : 1);
	p->range_count++;
	return p->ranges[at].row;
}

static bool split_number(const struct name *n, uint32_t *prefix, uint32_t *number)
{
	uint32_t i = n->len;
	uint64_t v = 0;

	while (i > 0 && n->s[i - 1] >= '0' && n->s[i - 1] <= '9')
		i--;
	if (i == n->len || i == 0 || n->len - i > 9 || (n->s[i] == '0' && n->len - i > 1))
		return false;
	for (uint32_t k = i; k < n->len; k++)
		v = v * 10 + (uint32_t)(n->s[k] - '0');
	*prefix = i;
	*number = (uint32_t)v;
	return true;
}

/* The meaning of a name in the current scope. A register of a range is in p->found until the next
 * call. */
struct sym *lookup(struct parser *p, struct name *n)
{
	uint32_t prefix, number;
	struct name *base;
	struct sym *s;

	/* what only other texts have declared has no meaning here */
	if (n->sym && (n->sym->scope != SCOPE_MODULE || n->sym->unit == p->unit_number))
		return n->sym;
	if (!split_number(n, &prefix, &number))
		return NULL;
	base = intern(p, n->s, prefix);
	for (s = base->sym; s; s = s->shadowed) {
		if (s->kind == SYM_RANGE && number < s->count)
			break;
	}
	if (!s)
		return NULL;
	p->found = (struct sym){.kind = SYM_REG, .name = n, .type = s->type, .vector = s->vector};
	p->found.row = range_row(p, s, number);
	return &p->found;
}

uint32_t new_row(struct parser *p, enum cls cls)
{
	static const uint32_t bytes[] = {4, 64, 128, 256};
	struct func *f = p->fn;
	uint32_t row;

	if (cls == CLS_P) {
		if (!f->p_rows) {
			f->p_next = f->row_bytes;
			f->row_bytes += ROW_ALIGN;
			f->p_rows = ROW_ALIGN / 4;
		}
		f->p_rows--;
		row = f->p_next;
		f->p_next += 4;
	} else {
		row = f->row_bytes;
		f->row_bytes += bytes[cls];
		f->reg_words += cls == CLS_D ? 2 : 1;
	}
	if (f->row_bytes > MAX_ROWS)
		parse_fail(p, p->t.line, "function '%.100s' uses too many registers", f->name);
	return row;
}

static uint32_t const_slot(const struct constant *k, uint32_t cap)
{
	uint64_t h = (k->value + k->cls + (uintptr_t)k->var + (uintptr_t)k->func) *
		     0x9e3779b97f4a7c15ull;

	return (uint32_t)(h >> 33) & (cap - 1);
}

static void grow_constants(struct parser *p)
{
	struct ptx_module *m = p->m;
	uint32_t cap = m->const_cap ? m->const_cap * 2 : 64;
	struct constant *c = realloc(m->consts, cap * sizeof(*c));
	uint32_t *h;

	if (!c)
		parse_no_memory(p);
	m->consts = c;
	m->const_cap = cap;
	h = calloc(cap * 2, sizeof(*h));
	if (!h)
		parse_no_memory(p);
	free(p->const_hash);
	p->const_hash = h;
	p->const_hash_cap = cap * 2;
	for (uint32_t i = 0; i < m->const_count; i++) {
		uint32_t at = const_slot(&c[i], cap * 2);

		while (h[at])
			at = (at + 1) & (cap * 2 - 1);
		h[at] = i + 1;
	}
}

uint32_t constant(struct parser *p, enum cls cls, uint64_t value, const struct var *var,
		  const struct func *func)
{
	static const uint32_t bytes[] = {64, 64, 128, 256};
	static const uint64_t masks[] = {1, 0xffff, 0xffffffff, ~0ull};
	struct ptx_module *m = p->m;
	struct constant k = {.value = value & masks[cls], .var = var, .func = func, .cls = cls};
	uint32_t at;

	if (m->const_count >= m->const_cap)
		grow_constants(p);
	at = const_slot(&k, p->const_hash_cap);
	while (p->const_hash[at]) {
		const struct constant *o = &m->consts[p->const_hash[at] - 1];

		if (o->value == k.value && o->cls == cls && o->var == var && o->func == func)
			return o->row | OPERAND_CONST;
		at = (at + 1) & (p->const_hash_cap - 1);
	}
	k.row = m->const_bytes;
	m->const_bytes += bytes[cls];
	if (m->const_bytes > MAX_CONST_BYTES)
		parse_fail(p, p->t.line, "too many constants");
	m->consts[m->const_count++] = k;
	p->const_hash[at] = m->const_count;
	return k.row | OPERAND_CONST;
}

struct insn *emit(struct parser *p, exec_fn fn)
{
	struct ptx_module *m = p->m;
	struct insn *i;

	if (m->code_count >= m->code_cap) {
		uint32_t cap = m->code_cap ? m->code_cap * 2 : 256;
		struct insn *code;
		uint32_t *lines;

		if (cap > (1u << 24))
			parse_no_memory(p);
		code = realloc(m->code, cap * sizeof(*code));
		if (!code)
			parse_no_memory(p);
		m->code = code;
		lines = realloc(m->lines, cap * sizeof(*lines));
		if (!lines)
			parse_no_memory(p);
		m->lines = lines;
		m->code_cap = cap;
	}
	i = &m->code[m->code_count];
	memset(i, 0, sizeof(*i));
	m->lines[m->code_count++] = p->stmt_line;
	i->fn = fn;
	i->guard = GUARD_NONE;
	i->d = i->a = i->b = i->c = OPERAND_NONE;
	return i;
}

void add_fixup(struct parser *p, struct name *label, uint32_t *target, uint32_t pc, uint32_t line)
{
	if (p->fixup_count >= p->fixup_cap) {
		uint32_t cap = p->fixup_cap ? p->fixup_cap * 2 : 64;
		struct fixup *f = realloc(p->fixups, cap * sizeof(*f));

		if (!f)
			parse_no_memory(p);
		p->fixups = f;
		p->fixup_cap = cap;
	}
	p->fixups[p->fixup_count++] =
		(struct fixup){.label = label, .target = target, .pc = pc, .line = line};
}

void note_use(struct parser *p, struct func *func, struct var *var)
{
	const struct func **noted = func ? &func->noted_in : &var->noted_in;
	struct use *u;

	if (*noted == p->fn)
		return;
	*noted = p->fn;
	u = parse_alloc(p, sizeof(*u));
	u->func = func;
	u->var = var;
	u->next = p->fn->uses;
	p->fn->uses = u;
}

/* At a function's end no label may be left without a place. */
void resolve_labels(struct parser *p)
{
	if (p->fixup_count) {
		struct fixup f = p->fixups[0];

		p->fixup_count = 0;
		parse_fail(p, f.line, "undefined label '%.100s'", f.label->s);
	}
}
