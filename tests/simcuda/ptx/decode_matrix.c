/* SPDX-License-Identifier: MIT */
/* Matrices in the registers of a warp: mma, wmma, ldmatrix, stmatrix, movmatrix. */
#include "tests/simcuda/ptx/exec_matrix.h"
#include "tests/simcuda/ptx/parser.h"

#include <stdio.h>

struct shape {
	uint32_t m, n, k;
};

/* An instruction of all lanes of the warp. */
static struct insn *emit_matrix(struct parser *p, const struct matrix_op *m, uint32_t d, uint32_t a,
				void (*show)(struct warp *, const struct insn *, uint32_t),
				void (*finish)(struct warp *, const struct insn *, uint32_t))
{
	struct sync_op *s = parse_alloc(p, sizeof(*s));
	struct insn *i;

	s->show = show;
	s->finish = finish;
	s->q = OPERAND_NONE;
	s->members = constant(p, CLS_W, FULL_MASK, NULL, NULL);
	s->detail = m;
	i = emit3(p, op_sync, d, a, OPERAND_NONE, OPERAND_NONE);
	i->ptr = s;
	return i;
}

/* m16n8k16 */
static struct shape take_shape(struct parser *p, struct raw *r)
{
	struct shape s;

	for (uint32_t i = 0; i < r->mod_count; i++) {
		char text[16] = "";
		int end = 0;

		if (r->mods_used >> i & 1 || r->mods[i].len >= sizeof(text))
			continue;
		memcpy(text, r->mods[i].s, r->mods[i].len);
		if (sscanf(text, "m%un%uk%u%n", &s.m, &s.n, &s.k, &end) == 3 &&
		    (size_t)end == r->mods[i].len) {
			r->mods_used |= 1u << i;
			return s;
		}
	}
	unknown_instruction(p, r);
}

static enum type register_type(enum type t)
{
	switch (t) {
	case TY_F64:
		return TY_F64;
	case TY_F32:
		return TY_F32;
	default:
		return TY_B32;
	}
}

/* The registers of operand n, with `elements` elements for each lane. */
static void take_registers(struct parser *p, struct raw *r, uint32_t n, bool is_dst,
			   struct fragment *f)
{
	struct operand *o = &r->ops[n], *e = o;
	const enum type t = register_type((enum type)f->type);
	const uint32_t each = type_info[t].bytes * 8 / element_bits((enum type)f->type);

	uint16_t *places = parse_alloc(p, f->elements * LANES * sizeof(*places));

	for (uint32_t i = 0; i < f->elements * LANES; i++)
		places[i] = (uint16_t)fragment_place(f, i % LANES, i / LANES);
	f->places = places;
	f->count = (uint8_t)(f->elements / each);
	f->cls = type_info[t].cls;
	if (o->kind == OPK_VECTOR)
		e = o->elems;
	if ((o->kind == OPK_VECTOR ? o->count : 1) != f->count)
		bad_operand(p, r, n);
	for (uint32_t i = 0; i < f->count; i++)
		f->regs[i] = is_dst ? dst_operand(p, r, &e[i], t) : src_operand(p, r, &e[i], t);
}

static struct fragment part(enum matrix_part which, enum type t, uint32_t rows, uint32_t cols,
			    enum matrix_layout layout, bool is_col)
{
	return (struct fragment){.type = (uint8_t)t,
				 .part = (uint8_t)which,
				 .layout = (uint8_t)layout,
				 .is_col = is_col,
				 .rows = (uint16_t)rows,
				 .cols = (uint16_t)cols,
				 .elements = (uint16_t)(rows * cols / LANES)};
}

static void product_flags(struct raw *r, struct matrix_op *m)
{
	m->satfinite = take(r, "satfinite");
	m->is_xor = take(r, "xor");
	take(r, "and");
	take(r, "popc");
	take(r, "sync");
	take(r, "aligned");
}

/* The next of .row and .col: is it .col? */
static bool take_layout(struct raw *r)
{
	for (uint32_t i = 0; i < r->mod_count; i++) {
		bool is_col = word_is(r->mods[i].s, r->mods[i].len, "col");

		if (!(r->mods_used >> i & 1) &&
		    (is_col || word_is(r->mods[i].s, r->mods[i].len, "row"))) {
			r->mods_used |= 1u << i;
			return is_col;
		}
	}
	return false;
}

/* mma.sync.aligned.shape.row.col.dtype.atype.btype.ctype d, a, b, c */
static void decode_mma(struct parser *p, struct raw *r, int arg)
{
	struct matrix_op *m = parse_alloc(p, sizeof(*m));
	struct shape s = take_shape(p, r);
	bool col[2], quad;
	enum type t[4];

	product_flags(r, m);
	col[0] = take_layout(r);
	col[1] = take_layout(r);
	for (int i = 0; i < 4; i++)
		t[i] = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	quad = s.m == 8 && s.k == 4 && t[1] == TY_F16;
	m->d = part(PART_C, t[0], s.m, s.n, quad ? LAYOUT_QUAD : LAYOUT_GROUP, false);
	m->a = part(PART_A, t[1], s.m, s.k, quad ? LAYOUT_QUAD : LAYOUT_GROUP, col[0]);
	m->b = part(PART_B, t[2], s.k, s.n, quad ? LAYOUT_QUAD : LAYOUT_GROUP, col[1]);
	m->c = part(PART_C, t[3], s.m, s.n, quad ? LAYOUT_QUAD : LAYOUT_GROUP, false);
	if (quad) { /* four products, of eight lanes each */
		m->a.elements = m->b.elements = 4;
		m->c.elements = m->d.elements = 8;
	}
	take_registers(p, r, 0, true, &m->d);
	take_registers(p, r, 1, false, &m->a);
	take_registers(p, r, 2, false, &m->b);
	take_registers(p, r, 3, false, &m->c);
	emit_matrix(p, m, OPERAND_NONE, OPERAND_NONE, show_nothing, finish_mma);
}

/* Elements of one lane's fragment of A or B: those of f16 are held more than once. */
static uint32_t open_elements(enum type t, uint32_t rows, uint32_t cols)
{
	return t == TY_F16 ? 16 : rows * cols / LANES;
}

/* wmma.load.a.sync.aligned.layout.shape.space.type r, [p], stride; wmma.store.d the other way */
static void decode_wmma_move(struct parser *p, struct raw *r, bool store)
{
	struct matrix_op *m = parse_alloc(p, sizeof(*m));
	enum matrix_part which = take(r, "a") ? PART_A : take(r, "b") ? PART_B : PART_C;
	struct shape s = take_shape(p, r);
	const uint32_t n = store ? 0 : 1;
	bool is_col;
	uint32_t a = 0, rows, cols;
	enum type t;

	take(r, "c");
	take(r, "d");
	take(r, "sync");
	take(r, "aligned");
	is_col = take_layout(r);
	m->space = m->at.space = (uint8_t)take_space(r);
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 2, 3);
	rows = which == PART_B ? s.k : s.m;
	cols = which == PART_A ? s.k : s.n;
	m->store = store;
	m->d = part(which, t, rows, cols, LAYOUT_OPEN, is_col);
	if (which != PART_C)
		m->d.elements = (uint16_t)open_elements(t, rows, cols);
	decode_address(p, r, n, &m->at, &a);
	m->space = m->at.space;
	take_registers(p, r, 1 - n, !store, &m->d);
	m->stride = r->op_count == 3 ? src(p, r, 2, TY_U32)
				     : constant(p, CLS_W, is_col ? rows : cols, NULL, NULL);
	emit_matrix(p, m, OPERAND_NONE, a, show_nothing, finish_wmma_move);
}

/* wmma.mma.sync.aligned.alayout.blayout.shape.dtype{.atype.btype}.ctype d, a, b, c */
static void decode_wmma(struct parser *p, struct raw *r, int arg)
{
	struct matrix_op *m = parse_alloc(p, sizeof(*m));
	enum type t[4] = {TY_NONE};
	struct shape s;
	int types = 0;

	if (take(r, "load") || take(r, "store")) {
		decode_wmma_move(p, r, word_is(r->mods[0].s, r->mods[0].len, "store"));
		return;
	}
	take(r, "mma");
	s = take_shape(p, r);
	product_flags(r, m);
	take_layout(r);
	take_layout(r);
	take(r, "rn");
	while (types < 4 && (t[types] = take_type(r)) != TY_NONE)
		types++;
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if (types == 2) {
		t[3] = t[1];
		t[1] = t[2] = TY_F16;
	}
	m->d = part(PART_C, t[0], s.m, s.n, LAYOUT_OPEN, false);
	m->a = part(PART_A, t[1], s.m, s.k, LAYOUT_OPEN, false);
	m->b = part(PART_B, t[2], s.k, s.n, LAYOUT_OPEN, false);
	m->c = part(PART_C, t[3], s.m, s.n, LAYOUT_OPEN, false);
	m->a.elements = (uint16_t)open_elements(t[1], s.m, s.k);
	m->b.elements = (uint16_t)open_elements(t[2], s.k, s.n);
	take_registers(p, r, 0, true, &m->d);
	take_registers(p, r, 1, false, &m->a);
	take_registers(p, r, 2, false, &m->b);
	take_registers(p, r, 3, false, &m->c);
	emit_matrix(p, m, OPERAND_NONE, OPERAND_NONE, show_nothing, finish_mma);
}

/* ldmatrix.sync.aligned.m8n8.num{.trans}{.shared}.b16 r, [p]; stmatrix the other way */
static void decode_ldmatrix(struct parser *p, struct raw *r, int store)
{
	struct matrix_op *m = parse_alloc(p, sizeof(*m));
	struct operand *o = &r->ops[store ? 1 : 0], *e = o;
	uint32_t a = 0;

	take(r, "sync");
	take(r, "aligned");
	take(r, "m8n8");
	m->store = (uint8_t)store;
	m->trans = take(r, "trans");
	m->count = take(r, "x1") ? 1 : take(r, "x2") ? 2 : take(r, "x4") ? 4 : 0;
	m->at.space = (uint8_t)take_space(r);
	take(r, "b16");
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	decode_address(p, r, store ? 0 : 1, &m->at, &a);
	m->space = m->at.space;
	if (o->kind == OPK_VECTOR)
		e = o->elems;
	if ((o->kind == OPK_VECTOR ? o->count : 1) != m->count)
		bad_operand(p, r, store ? 1 : 0);
	for (uint32_t i = 0; i < m->count; i++)
		m->regs[i] =
			store ? src_operand(p, r, &e[i], TY_B32) : dst_operand(p, r, &e[i], TY_B32);
	emit_matrix(p, m, OPERAND_NONE, a, show_nothing, finish_matrix_move);
}

/* movmatrix.sync.aligned.m8n8.trans.b16 d, a */
static void decode_movmatrix(struct parser *p, struct raw *r, int arg)
{
	uint32_t d, a;

	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 2, 2);
	d = dst(p, r, 0, TY_B32);
	a = src(p, r, 1, TY_B32);
	emit_matrix(p, NULL, d, a, show_word, finish_movmatrix);
}

const struct opcode opcodes_matrix[] = {
	{"mma", decode_mma, 0},
	{"wmma", decode_wmma, 0},
	{"ldmatrix", decode_ldmatrix, 0},
	{"stmatrix", decode_ldmatrix, 1},
	{"movmatrix", decode_movmatrix, 0},
	{NULL, NULL, 0},
};
