/* SPDX-License-Identifier: MIT */
/* Operands as written: registers, numbers, names, addresses, vectors, lists. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static const struct {
	const char *name, *field;
	enum special id;
} specials[] = {
	{"%tid", "x", SPECIAL_TID_X},
	{"%tid", "y", SPECIAL_TID_Y},
	{"%tid", "z", SPECIAL_TID_Z},
	{"%tid", "w", SPECIAL_ZERO},
	{"%ntid", "x", SPECIAL_NTID_X},
	{"%ntid", "y", SPECIAL_NTID_Y},
	{"%ntid", "z", SPECIAL_NTID_Z},
	{"%ntid", "w", SPECIAL_ONE},
	{"%ctaid", "x", SPECIAL_CTAID_X},
	{"%ctaid", "y", SPECIAL_CTAID_Y},
	{"%ctaid", "z", SPECIAL_CTAID_Z},
	{"%ctaid", "w", SPECIAL_ZERO},
	{"%nctaid", "x", SPECIAL_NCTAID_X},
	{"%nctaid", "y", SPECIAL_NCTAID_Y},
	{"%nctaid", "z", SPECIAL_NCTAID_Z},
	{"%nctaid", "w", SPECIAL_ONE},
	{"%clusterid", "x", SPECIAL_CLUSTERID_X},
	{"%clusterid", "y", SPECIAL_CLUSTERID_Y},
	{"%clusterid", "z", SPECIAL_CLUSTERID_Z},
	{"%clusterid", "w", SPECIAL_ZERO},
	{"%nclusterid", "x", SPECIAL_NCLUSTERID_X},
	{"%nclusterid", "y", SPECIAL_NCLUSTERID_Y},
	{"%nclusterid", "z", SPECIAL_NCLUSTERID_Z},
	{"%nclusterid", "w", SPECIAL_ONE},
	{"%cluster_ctaid", "x", SPECIAL_CLUSTER_CTAID_X},
	{"%cluster_ctaid", "y", SPECIAL_CLUSTER_CTAID_Y},
	{"%cluster_ctaid", "z", SPECIAL_CLUSTER_CTAID_Z},
	{"%cluster_ctaid", "w", SPECIAL_ZERO},
	{"%cluster_nctaid", "x", SPECIAL_CLUSTER_NCTAID_X},
	{"%cluster_nctaid", "y", SPECIAL_CLUSTER_NCTAID_Y},
	{"%cluster_nctaid", "z", SPECIAL_CLUSTER_NCTAID_Z},
	{"%cluster_nctaid", "w", SPECIAL_ONE},
	{"%cluster_ctarank", "", SPECIAL_CLUSTER_CTARANK},
	{"%cluster_nctarank", "", SPECIAL_CLUSTER_NCTARANK},
	{"%is_explicit_cluster", "", SPECIAL_IS_CLUSTER},
	{"%laneid", "", SPECIAL_LANEID},
	{"%warpid", "", SPECIAL_WARPID},
	{"%nwarpid", "", SPECIAL_NWARPID},
	{"%smid", "", SPECIAL_SMID},
	{"%nsmid", "", SPECIAL_NSMID},
	{"%gridid", "", SPECIAL_GRIDID},
	{"%lanemask_eq", "", SPECIAL_LANEMASK_EQ},
	{"%lanemask_le", "", SPECIAL_LANEMASK_LE},
	{"%lanemask_lt", "", SPECIAL_LANEMASK_LT},
	{"%lanemask_ge", "", SPECIAL_LANEMASK_GE},
	{"%lanemask_gt", "", SPECIAL_LANEMASK_GT},
	{"%clock", "", SPECIAL_CLOCK},
	{"%clock_hi", "", SPECIAL_CLOCK_HI},
	{"%clock64", "", SPECIAL_CLOCK64},
	{"%globaltimer", "", SPECIAL_GLOBALTIMER},
	{"%globaltimer_lo", "", SPECIAL_GLOBALTIMER_LO},
	{"%globaltimer_hi", "", SPECIAL_GLOBALTIMER_HI},
	{"%dynamic_smem_size", "", SPECIAL_DYNAMIC_SMEM},
	{"%total_smem_size", "", SPECIAL_TOTAL_SMEM},
	{"%aggr_smem_size", "", SPECIAL_TOTAL_SMEM},
};

int special_by_name(const char *s, size_t len, const char *field, size_t field_len)
{
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (word_is(s, len, specials[i].name) &&
		    word_is(field, field_len, specials[i].field))
			return (int)specials[i].id;
	}
	if (!field_len && len > 7 && !memcmp(s, "%envreg", 7))
		return SPECIAL_ZERO;
	if (!field_len && len == 4 && !memcmp(s, "%pm", 3))
		return SPECIAL_ZERO;
	return -1;
}

static bool special_operand(struct parser *p, struct operand *o, struct token word)
{
	struct token field = p->t;
	int id;

	if (field.kind == TOK_DOT) {
		id = special_by_name(word.s, word.len, field.s, field.len);
		if (id >= 0)
			next(p);
	} else {
		id = special_by_name(word.s, word.len, "", 0);
	}
	if (id < 0)
		return false;
	o->kind = OPK_SPECIAL;
	o->special = (uint32_t)id;
	return true;
}

/* A vector register: all its elements, or one of them: %r.x, %r.y, %r.z, %r.w */
static void vector_operand(struct parser *p, struct operand *o, const struct sym *s, uint32_t row,
			   uint32_t count)
{
	static const uint16_t bytes[] = {0, 64, 128, 256};
	const enum type type = s->kind == SYM_VAR ? s->var->type : s->type;
	const uint32_t each = bytes[type_info[type].cls];
	const char *at;

	if (p->t.kind == TOK_DOT) {
		static const char names[] = "xyzwrgba";

		at = p->t.len == 1 ? memchr(names, *p->t.s, 8) : NULL;
		if (!at || (uint32_t)(at - names) % 4 >= count)
			parse_fail(p, p->t.line, "vector register '%.100s' has no element '.%.*s'",
				   s->name->s, (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
		o->kind = OPK_REG;
		o->type = type;
		o->row = row + (uint32_t)(at - names) % 4 * each;
		next(p);
		return;
	}
	o->kind = OPK_VECTOR;
	o->count = count;
	o->elems = parse_alloc(p, sizeof(*o->elems) * count);
	for (uint32_t i = 0; i < count; i++)
		o->elems[i] =
			(struct operand){.kind = OPK_REG, .type = type, .row = row + i * each};
}

/* The bytes that one step of an array's n-th subscript is. */
static uint64_t subscript_bytes(const struct var *v, uint32_t n)
{
	uint64_t bytes = v->element;

	for (uint32_t i = n + 1; i < v->dim_count; i++)
		bytes *= v->dims[i];
	return bytes;
}

/* A register in a subscript: the address is computed, and the operand becomes its register. */
static void add_scaled(struct parser *p, struct operand *o, const struct sym *index, uint64_t bytes)
{
	const enum type t = index->type;
	uint32_t base = o->kind == OPK_REG ? o->row : address_value(p, o, CLS_D);
	bool wide = type_info[t].bytes == 8;
	struct insn *i;

	if (index->vector || t == TY_PRED || type_info[t].bytes < 4 || type_info[t].kind == KIND_F)
		parse_fail(p, p->t.line, "'%.100s' cannot be a subscript", index->name->s);
	i = emit(p,
		 int3_fn(wide ? I3_MAD_LO : I3_MAD_WIDE, wide                          ? TY_U64
							 : type_info[t].kind == KIND_S ? TY_S32
										       : TY_U32));
	i->d = new_row(p, CLS_D);
	i->a = index->row;
	i->b = constant(p, wide ? CLS_D : CLS_W, bytes, NULL, NULL);
	i->c = base;
	o->kind = OPK_REG;
	o->type = TY_U64;
	o->row = i->d;
	o->value = 0;
}

/* a[2], a[%r], a[%r+1], a[1][2]: the address of an element. */
static void subscripts(struct parser *p, struct operand *o)
{
	const struct var *v = o->var;
	uint64_t offset = 0;

	for (uint32_t n = 0; accept(p, '['); n++) {
		uint64_t bytes = subscript_bytes(v, n);
		struct sym *s = NULL;

		if (n && n >= v->dim_count)
			parse_fail(p, p->t.line, "'%.100s' has fewer dimensions", v->name);
		if (p->t.kind == TOK_NAME && !word_is(p->t.s, p->t.len, "WARP_SZ")) {
			s = lookup(p, intern(p, p->t.s, p->t.len));
			if (!s || s->kind != SYM_REG)
				parse_fail(p, p->t.line, "unknown subscript '%.*s'",
					   (int)(p->t.len < 100 ? p->t.len : 100), p->t.s);
			add_scaled(p, o, s, bytes);
			next(p);
		}
		if (!s || is_punct(p, '+') || is_punct(p, '-'))
			offset += (uint64_t)parse_expression(p) * bytes;
		expect(p, ']');
	}
	o->is_element = true;
	o->value += offset;
}

static void name_operand(struct parser *p, struct operand *o)
{
	struct token word = p->t;
	struct name *n = intern(p, word.s, word.len);
	struct sym *s = lookup(p, n);

	next(p);
	o->name = n;
	if (!s) {
		if (word_is(word.s, word.len, "_")) {
			o->kind = OPK_SINK;
		} else if (word_is(word.s, word.len, "WARP_SZ")) {
			o->kind = OPK_INT;
			o->value = PTX_WARP_SIZE;
		} else if (!special_operand(p, o, word)) {
			o->kind = OPK_NAME;
		}
		return;
	}
	switch (s->kind) {
	case SYM_REG:
		if (s->vector) {
			vector_operand(p, o, s, s->row, s->vector);
			break;
		}
		o->kind = OPK_REG;
		o->type = s->type;
		o->row = s->row;
		break;
	case SYM_VAR:
		if (s->var->vector) {
			vector_operand(p, o, s, (uint32_t)s->var->offset, s->var->vector);
			break;
		}
		o->kind = OPK_VAR;
		o->var = s->var;
		if (is_punct(p, '[') && !o->var->is_row)
			subscripts(p, o);
		break;
	case SYM_FUNC:
		o->kind = OPK_FUNC;
		o->func = s->func;
		break;
	default:
		o->kind = OPK_NAME;
	}
}

static void number_operand(struct parser *p, struct operand *o)
{
	bool negative = false;

	if (is_punct(p, '-') && p->lx.p < p->lx.end) {
		struct lexer ahead = p->lx;
		struct token t;

		lex_next(&ahead, &t);
		if (t.kind == TOK_FLOAT32 || t.kind == TOK_FLOAT64) {
			negative = true;
			next(p);
		}
	}
	if (p->t.kind == TOK_FLOAT32 || p->t.kind == TOK_FLOAT64) {
		o->kind = p->t.kind == TOK_FLOAT32 ? OPK_FLOAT32 : OPK_FLOAT64;
		o->value = p->t.value;
		o->is_decimal = p->t.is_decimal;
		if (negative)
			o->value ^= o->kind == OPK_FLOAT32 ? 1ull << 31 : 1ull << 63;
		next(p);
		return;
	}
	o->kind = OPK_INT;
	o->value = (uint64_t)parse_expression(p);
}

static void parse_group(struct parser *p, struct operand *o, char close, uint32_t max)
{
	struct operand list[MAX_ARGS];
	uint32_t n = 0;

	if (++p->nesting > 4)
		parse_fail(p, p->t.line, "operands are nested too deeply");
	memset(list, 0, max * sizeof(list[0]));
	while (!is_punct(p, close)) {
		if (n == max)
			parse_fail(p, p->t.line, "more than %u operands in a group", max);
		parse_operand(p, &list[n++]);
		if (!accept(p, ','))
			break;
	}
	expect(p, close);
	o->count = n;
	o->elems = parse_alloc(p, sizeof(list[0]) * (n + 1));
	memcpy(o->elems, list, sizeof(list[0]) * n);
	p->nesting--;
}

/* [reg], [reg+n], [name], [name+n], [name[m]], [n], [object, coordinates], each with .unified */
static void address_operand(struct parser *p, struct operand *o)
{
	if (p->t.kind == TOK_NAME && !word_is(p->t.s, p->t.len, "WARP_SZ")) {
		name_operand(p, o);
		if (o->kind != OPK_REG && o->kind != OPK_VAR)
			parse_fail(p, p->t.line, "unknown name '%.100s' in an address", o->name->s);
		o->base = o->kind;
		if (is_punct(p, '+') || is_punct(p, '-'))
			o->value += (uint64_t)parse_expression(p);
	} else {
		o->base = OPK_INT;
		o->value = (uint64_t)parse_expression(p);
	}
	o->kind = OPK_ADDR;
	if (accept(p, ',')) {
		o->at = parse_alloc(p, sizeof(*o->at));
		parse_operand(p, o->at);
		if (is_punct(p, ','))
			parse_fail(p, p->t.line,
				   "a sampler beside a texture (independent mode) is "
				   "not supported");
	}
	expect(p, ']');
	accept_dot(p, "unified");
}

void parse_operand(struct parser *p, struct operand *o)
{
	memset(o, 0, sizeof(*o));
	if (accept(p, '[')) {
		address_operand(p, o);
	} else if (accept(p, '{')) {
		parse_group(p, o, '}', MAX_VECTOR);
		o->kind = OPK_VECTOR;
	} else if (is_punct(p, '(') && p->group_is_list) {
		next(p);
		p->group_is_list = false;
		parse_group(p, o, ')', MAX_ARGS);
		p->group_is_list = true;
		o->kind = OPK_LIST;
	} else if (is_punct(p, '!')) {
		struct lexer ahead = p->lx;
		struct token t;

		lex_next(&ahead, &t);
		if (t.kind != TOK_NAME) {
			number_operand(p, o);
			return;
		}
		next(p);
		name_operand(p, o);
		o->negated = true;
	} else if (p->t.kind == TOK_NAME) {
		name_operand(p, o);
		if ((o->kind == OPK_VAR || o->kind == OPK_FUNC) &&
		    (is_punct(p, '+') || is_punct(p, '-')))
			o->value += (uint64_t)parse_expression(p);
		if (accept(p, '|')) {
			o->pair = parse_alloc(p, sizeof(*o->pair));
			if (p->t.kind != TOK_NAME)
				parse_fail(p, p->t.line, "expected a register after '|'");
			name_operand(p, o->pair);
		}
	} else {
		number_operand(p, o);
	}
}
