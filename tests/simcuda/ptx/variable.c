/* SPDX-License-Identifier: MIT */
/* Types, constant expressions, variables with their initial values, register declarations. */
#include "tests/simcuda/ptx/parser.h"

#define MAX_VAR_BYTES  (1ull << 40)
#define MAX_INIT_BYTES (256u << 20)

const struct type_info type_info[] = {
	[TY_NONE] = {"", 0, KIND_B, CLS_W},         [TY_U8] = {"u8", 1, KIND_U, CLS_H},
	[TY_U16] = {"u16", 2, KIND_U, CLS_H},       [TY_U32] = {"u32", 4, KIND_U, CLS_W},
	[TY_U64] = {"u64", 8, KIND_U, CLS_D},       [TY_S8] = {"s8", 1, KIND_S, CLS_H},
	[TY_S16] = {"s16", 2, KIND_S, CLS_H},       [TY_S32] = {"s32", 4, KIND_S, CLS_W},
	[TY_S64] = {"s64", 8, KIND_S, CLS_D},       [TY_B8] = {"b8", 1, KIND_B, CLS_H},
	[TY_B16] = {"b16", 2, KIND_B, CLS_H},       [TY_B32] = {"b32", 4, KIND_B, CLS_W},
	[TY_B64] = {"b64", 8, KIND_B, CLS_D},       [TY_F16] = {"f16", 2, KIND_F, CLS_H},
	[TY_F16X2] = {"f16x2", 4, KIND_F, CLS_W},   [TY_BF16] = {"bf16", 2, KIND_F, CLS_H},
	[TY_BF16X2] = {"bf16x2", 4, KIND_F, CLS_W}, [TY_TF32] = {"tf32", 4, KIND_F, CLS_W},
	[TY_F32] = {"f32", 4, KIND_F, CLS_W},       [TY_F64] = {"f64", 8, KIND_F, CLS_D},
	[TY_E4M3X2] = {"e4m3x2", 2, KIND_F, CLS_H}, [TY_E5M2X2] = {"e5m2x2", 2, KIND_F, CLS_H},
	[TY_E4M3] = {"e4m3", 0, KIND_F, CLS_W},     [TY_E5M2] = {"e5m2", 0, KIND_F, CLS_W},
	[TY_B1] = {"b1", 0, KIND_B, CLS_W},         [TY_U2] = {"u2", 0, KIND_U, CLS_W},
	[TY_S2] = {"s2", 0, KIND_S, CLS_W},         [TY_U4] = {"u4", 0, KIND_U, CLS_W},
	[TY_S4] = {"s4", 0, KIND_S, CLS_W},         [TY_PRED] = {"pred", 0, KIND_P, CLS_P},
};

enum type type_by_name(const char *s, size_t len)
{
	for (enum type t = TY_U8; t <= TY_PRED; t++) {
		if (word_is(s, len, type_info[t].name))
			return t;
	}
	return TY_NONE;
}

bool parse_type(struct parser *p, enum type *t)
{
	if (p->t.kind != TOK_DOT)
		return false;
	*t = type_by_name(p->t.s, p->t.len);
	if (*t == TY_NONE || (*t != TY_PRED && !type_info[*t].bytes))
		return false;
	next(p);
	return true;
}

static int64_t primary(struct parser *p)
{
	int64_t v;

	if (++p->nesting > MAX_NESTING)
		parse_fail(p, p->t.line, "expression is nested too deeply");
	if (accept(p, '(')) {
		if (p->t.kind == TOK_DOT) { /* a cast: (.s64) or (.u64) */
			next(p);
			expect(p, ')');
			v = primary(p);
		} else {
			v = parse_expression(p);
			expect(p, ')');
		}
	} else if (accept(p, '-')) {
		v = (int64_t)(0 - (uint64_t)primary(p));
	} else if (accept(p, '+')) {
		v = primary(p);
	} else if (accept(p, '~')) {
		v = ~primary(p);
	} else if (accept(p, '!')) {
		v = !primary(p);
	} else if (p->t.kind == TOK_NAME && word_is(p->t.s, p->t.len, "WARP_SZ")) {
		v = PTX_WARP_SIZE;
		next(p);
	} else {
		if (p->t.kind != TOK_INT)
			parse_fail(p, p->t.line, "expected an integer at '%.*s'",
				   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
		v = (int64_t)p->t.value;
		next(p);
	}
	p->nesting--;
	return v;
}

/* Two-character operators arrive as two tokens. */
static int take_operator(struct parser *p, int *precedence)
{
	static const struct {
		char a, b;
		int precedence;
	} ops[] = {
		{'|', '|', 1}, {'&', '&', 2}, {'=', '=', 6}, {'!', '=', 6}, {'<', '<', 8},
		{'>', '>', 8}, {'<', '=', 7}, {'>', '=', 7}, {'|', 0, 3},   {'^', 0, 4},
		{'&', 0, 5},   {'<', 0, 7},   {'>', 0, 7},   {'+', 0, 9},   {'-', 0, 9},
		{'*', 0, 10},  {'/', 0, 10},
	};
	char c = p->t.punct, n = p->lx.p < p->lx.end ? *p->lx.p : 0;

	if (p->t.kind != TOK_PUNCT)
		return 0;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (ops[i].a != c || (ops[i].b && ops[i].b != n))
			continue;
		if (ops[i].precedence < *precedence)
			return 0;
		*precedence = ops[i].precedence;
		next(p);
		if (ops[i].b)
			next(p);
		return ops[i].a | (ops[i].b << 8);
	}
	return 0;
}

static int64_t apply(int op, int64_t a, int64_t b)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;

	switch (op) {
	case '|' | '|' << 8:
		return a || b;
	case '&' | '&' << 8:
		return a && b;
	case '=' | '=' << 8:
		return a == b;
	case '!' | '=' << 8:
		return a != b;
	case '<' | '<' << 8:
		return y < 64 ? (int64_t)(x << y) : 0;
	case '>' | '>' << 8:
		return a >> (y < 63 ? y : 63);
	case '<' | '=' << 8:
		return a <= b;
	case '>' | '=' << 8:
		return a >= b;
	case '|':
		return a | b;
	case '^':
		return a ^ b;
	case '&':
		return a & b;
	case '<':
		return a < b;
	case '>':
		return a > b;
	case '+':
		return (int64_t)(x + y);
	case '-':
		return (int64_t)(x - y);
	case '*':
		return (int64_t)(x * y);
	default:
		return b == -1 ? (int64_t)(0 - x) : b ? a / b : 0;
	}
}

static int64_t binary(struct parser *p, int precedence)
{
	int64_t v = primary(p);

	if (++p->nesting > MAX_NESTING)
		parse_fail(p, p->t.line, "expression is nested too deeply");
	for (;;) {
		int level = precedence;
		int op = take_operator(p, &level);

		if (!op)
			break;
		v = apply(op, v, binary(p, level + 1));
	}
	p->nesting--;
	return v;
}

int64_t parse_expression(struct parser *p)
{
	return binary(p, 0);
}

static void store(uint8_t *at, uint64_t v, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

/* name, name+n, generic(name)+n */
static void init_address(struct parser *p, struct var *v, uint64_t at, uint32_t bytes,
			 uint32_t shift)
{
	bool generic = word_is(p->t.s, p->t.len, "generic");
	struct reloc *r = parse_alloc(p, sizeof(*r));
	struct sym *s;

	if (generic) {
		next(p);
		expect(p, '(');
	}
	if (p->t.kind != TOK_NAME)
		parse_fail(p, p->t.line, "expected a variable in the initial value of '%s'",
			   v->name);
	s = lookup(p, intern(p, p->t.s, p->t.len));
	if (!s || (s->kind != SYM_VAR && s->kind != SYM_FUNC) ||
	    (s->kind == SYM_VAR && s->var->space != SPACE_GLOBAL && s->var->space != SPACE_CONST))
		parse_fail(p, p->t.line, "initial value of '%s' refers to unknown '%.*s'", v->name,
			   (int)(p->t.len < 100 ? p->t.len : 100), p->t.s);
	next(p);
	r->var = s->kind == SYM_VAR ? s->var : NULL;
	r->func = s->kind == SYM_FUNC ? s->func : NULL;
	if (r->func) {
		s->func->referenced = true;
		s->func->address_taken = true;
	}
	if (generic)
		expect(p, ')');
	if (is_punct(p, '+') || is_punct(p, '-'))
		r->addend = (uint64_t)parse_expression(p);
	r->offset = at;
	r->bytes = (uint8_t)bytes;
	r->shift = (uint8_t)shift;
	r->next = v->relocs;
	v->relocs = r;
}

static void init_number(struct parser *p, struct var *v, uint64_t at, uint32_t bytes)
{
	bool negative = accept(p, '-');
	uint64_t value = p->t.value;
	enum token_kind kind = p->t.kind;

	if (kind != TOK_FLOAT32 && kind != TOK_FLOAT64) {
		value = (uint64_t)parse_expression(p);
		/* 0xFF00(name): one byte of an address, in packed structures */
		if (is_punct(p, '(') && !negative && value && bytes == 1) {
			next(p);
			init_address(p, v, at, 1, (uint32_t)__builtin_ctzll(value));
			expect(p, ')');
			return;
		}
		if (negative)
			value = 0 - value;
		if (v->type == TY_F32 || v->type == TY_F64)
			parse_fail(p, p->t.line, "integer in the initial value of '%s'", v->name);
		store(v->init + at, value, bytes);
		return;
	}
	next(p);
	if (kind == TOK_FLOAT64) {
		double d;
		float f;

		memcpy(&d, &value, sizeof(d));
		d = negative ? -d : d;
		f = (float)d;
		memcpy(&value, &d, sizeof(d));
		if (bytes == 4) {
			value = 0;
			memcpy(&value, &f, sizeof(f));
		}
	} else if (negative) {
		value ^= 0x80000000u;
	}
	store(v->init + at, value, bytes);
}

static void init_grow(struct parser *p, struct var *v, uint64_t room)
{
	uint8_t *init;

	if (room > MAX_INIT_BYTES)
		parse_fail(p, p->t.line, "'%s' is too big for an initial value", v->name);
	init = parse_alloc(p, room);
	memcpy(init, v->init, v->room);
	v->init = init;
	v->room = room;
}

static void init_element(struct parser *p, struct var *v, uint64_t at)
{
	uint32_t bytes = type_info[v->type].bytes;

	if (at + bytes > v->room) {
		if (!v->is_dynamic)
			parse_fail(p, p->t.line, "initial value is longer than '%s'", v->name);
		init_grow(p, v, 2 * v->room > at + bytes ? 2 * v->room : at + bytes);
	}
	if (p->t.kind == TOK_NAME && !word_is(p->t.s, p->t.len, "WARP_SZ"))
		init_address(p, v, at, bytes, 0);
	else
		init_number(p, v, at, bytes);
}

/*
 * As in C: braces inside others hold a row of the array, or a vector, whose missing elements are
 * zero; without them elements follow each other. room: the bytes that the list may fill, 0: any.
 * Returns where the next element would be.
 */
static uint64_t init_list(struct parser *p, struct var *v, uint64_t at, uint32_t level,
			  uint64_t room)
{
	const uint64_t begin = at;
	uint64_t part = level < v->dim_count ? v->element : 0;

	if (++p->nesting > MAX_NESTING)
		parse_fail(p, p->t.line, "initial value is nested too deeply");
	for (uint32_t i = level + 1; i < v->dim_count; i++)
		part *= v->dims[i];
	while (!is_punct(p, '}')) {
		if (accept(p, '{')) {
			bool is_row = part > type_info[v->type].bytes;
			uint64_t end = init_list(p, v, at, level + is_row, is_row ? part : 0);

			at = is_row ? at + part : end;
		} else {
			init_element(p, v, at);
			at += type_info[v->type].bytes;
		}
		if (room && at - begin > room)
			parse_fail(p, p->t.line, "a row of the initial value of '%s' is too long",
				   v->name);
		if (!accept(p, ','))
			break;
	}
	if (!accept(p, '}'))
		parse_fail(p, p->t.line, "expected '}' after the initial value of '%s'", v->name);
	p->nesting--;
	return at;
}

static void parse_init(struct parser *p, struct var *v)
{
	uint64_t end = type_info[v->type].bytes, row = v->element;

	if (v->size > MAX_INIT_BYTES)
		parse_fail(p, p->t.line, "'%s' is too big for an initial value", v->name);
	v->room = v->size;
	v->init = parse_alloc(p, v->size ? v->size : 1);
	if (accept(p, '{'))
		end = init_list(p, v, 0, 0, 0);
	else
		init_element(p, v, 0);
	if (!v->is_dynamic)
		return;
	for (uint32_t i = 1; i < v->dim_count; i++)
		row *= v->dims[i];
	v->dims[0] = row ? (end + row - 1) / row : 0;
	v->size = v->dims[0] * row;
	if (v->size > v->room)
		init_grow(p, v, v->size);
	v->is_dynamic = false;
}

static void parse_dimensions(struct parser *p, struct var *v)
{
	bool open = false;

	v->element = v->size;
	while (accept(p, '[')) {
		uint64_t n = 0;

		if (v->dim_count == MAX_DIMS || (v->dim_count && is_punct(p, ']')))
			parse_fail(p, p->t.line, "'%s' has too many or unknown dimensions",
				   v->name ? v->name : "_");
		if (is_punct(p, ']'))
			open = true;
		else
			n = (uint64_t)parse_expression(p);
		expect(p, ']');
		v->dims[v->dim_count++] = n;
		if (!open &&
		    (__builtin_mul_overflow(v->size, n, &v->size) || v->size > MAX_VAR_BYTES))
			parse_fail(p, p->t.line, "'%s' is too big", v->name ? v->name : "_");
	}
	if (open) {
		v->size = 0;
		v->is_dynamic = true;
	}
}

static uint32_t parse_align(struct parser *p)
{
	uint64_t a;

	if (!accept_dot(p, "align"))
		return 0;
	a = expect_int(p);
	if (!a || a > 4096 || (a & (a - 1)))
		parse_fail(p, p->t.line, "alignment %llu is not a power of two up to 4096",
			   (unsigned long long)a);
	return (uint32_t)a;
}

static uint32_t vector_count(struct parser *p)
{
	if (accept_dot(p, "v2"))
		return 2;
	return accept_dot(p, "v4") ? 4 : 1;
}

static struct name *expect_name(struct parser *p)
{
	struct name *n;

	if (p->t.kind != TOK_NAME)
		parse_fail(p, p->t.line, "expected a name at '%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	n = intern(p, p->t.s, p->t.len);
	next(p);
	return n;
}

/* .attribute(.managed) */
static bool parse_managed(struct parser *p, enum space space, bool in_body)
{
	const uint32_t line = p->t.line;

	if (!accept_dot(p, "attribute"))
		return false;
	expect(p, '(');
	if (!accept_dot(p, "managed"))
		parse_fail(p, line, "attribute '%.*s' is not supported",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	expect(p, ')');
	if (space != SPACE_GLOBAL || in_body)
		parse_fail(p, line, "only a module's .global variable can be managed");
	return true;
}

/* [.attribute] [.align n] [.v2|.v4] .type name[dims] [= value], the space already read. */
struct var *parse_variable(struct parser *p, enum space space, enum linkage linkage, bool in_body)
{
	struct var *v = parse_alloc(p, sizeof(*v));
	bool is_extern = linkage == LINK_EXTERN;
	uint32_t align, count, line;
	struct name *n;

	v->is_managed = parse_managed(p, space, in_body);
	align = parse_align(p);
	count = vector_count(p);
	if (!align)
		align = parse_align(p);
	if (!parse_type(p, &v->type) || v->type == TY_PRED)
		parse_fail(p, p->t.line, "expected a type at '.%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	line = p->t.line;
	n = expect_name(p);
	v->name = n->s;
	v->space = space;
	v->line = line;
	v->size = type_info[v->type].bytes * count;
	v->align = align ? align : v->size;
	parse_dimensions(p, v);
	v->is_extern = is_extern;
	v->linkage = linkage;
	v->unit = p->unit;
	v->unit_number = p->unit_number;
	if (v->is_dynamic && !(space == SPACE_SHARED && is_extern) && !is_extern &&
	    !is_punct(p, '='))
		parse_fail(p, line, "'%s' has no size", v->name);
	if (!in_body) {
		v = link_variable(p, v, n);
	} else {
		declare(p, n, SYM_VAR, line)->var = v;
		if (space != SPACE_PARAM) {
			*p->m->vars_tail = v;
			p->m->vars_tail = &v->next;
		}
	}
	if (space == SPACE_GLOBAL || space == SPACE_CONST) {
		if (accept(p, '='))
			parse_init(p, v);
	} else if (is_punct(p, '=')) {
		parse_fail(p, line, "'%s' cannot have an initial value", v->name);
	}
	return v;
}

/* One formal parameter, .param or .reg; the caller decides where it lies. */
struct var *parse_parameter(struct parser *p, bool anonymous)
{
	struct var *v = parse_alloc(p, sizeof(*v));
	uint32_t align, count, line = p->t.line;
	bool is_reg = accept_dot(p, "reg");

	if (!is_reg && !accept_dot(p, "param"))
		parse_fail(p, line, "expected .param or .reg");
	align = parse_align(p);
	count = vector_count(p);
	if (!parse_type(p, &v->type) || (v->type == TY_PRED && !is_reg))
		parse_fail(p, line, "expected a parameter's type");
	if (accept_dot(p, "ptr")) {
		if (!accept_dot(p, "global") && !accept_dot(p, "shared") && !accept_dot(p, "const"))
			accept_dot(p, "local");
		parse_align(p);
	}
	if (!align)
		align = parse_align(p);
	v->space = SPACE_PARAM;
	v->line = line;
	v->size = type_info[v->type].bytes * count;
	v->align = align ? align : v->size;
	v->is_row = is_reg;
	v->row_cls = type_info[v->type].cls;
	if (is_reg && count > 1) {
		if (v->type == TY_PRED)
			parse_fail(p, line, "a predicate has no vectors");
		v->vector = (uint8_t)count;
		v->size = type_info[v->type].bytes;
	}
	if (p->t.kind == TOK_NAME) {
		struct name *n = expect_name(p);

		v->name = n->s;
		if (!anonymous)
			declare(p, n, SYM_VAR, line)->var = v;
	} else if (!anonymous) {
		parse_fail(p, line, "expected a parameter's name");
	}
	parse_dimensions(p, v);
	if (v->is_dynamic || v->size > MAX_PARAM_BYTES)
		parse_fail(p, line, "parameter '%s' is too big", v->name ? v->name : "_");
	return v;
}

uint32_t vector_rows(struct parser *p, enum type t, uint32_t count)
{
	uint32_t row = new_row(p, type_info[t].cls);

	for (uint32_t i = 1; i < count; i++)
		new_row(p, type_info[t].cls);
	return row;
}

/* After .reg: [.v2|.v4] .type %a, %b<10>; */
void parse_registers(struct parser *p)
{
	uint32_t vector = vector_count(p);
	enum type t;

	if (!parse_type(p, &t) || (vector > 1 && t == TY_PRED))
		parse_fail(p, p->t.line, "expected a register type at '.%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	do {
		uint32_t line = p->t.line;
		struct name *n = expect_name(p);
		struct sym *s;

		if (accept(p, '<')) {
			s = declare(p, n, SYM_RANGE, line);
			s->count = (uint32_t)expect_int(p);
			s->id = ++p->range_ids;
			expect(p, '>');
		} else {
			s = declare(p, n, SYM_REG, line);
			s->row = vector_rows(p, t, vector);
		}
		s->vector = vector > 1 ? vector : 0;
		s->type = t;
	} while (accept(p, ','));
	expect(p, ';');
}
