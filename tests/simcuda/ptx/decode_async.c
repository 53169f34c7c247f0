/* SPDX-License-Identifier: MIT */
/* Asynchronous copies, mbarrier objects, and addresses in a cluster. */
#include "tests/simcuda/ptx/exec_async.h"
#include "tests/simcuda/ptx/parser.h"

void take_place(struct parser *p, struct raw *r, uint32_t n, enum space space, struct place_op *to)
{
	to->at.space = (uint8_t)space;
	decode_address(p, r, n, &to->at, &to->row);
}

static bool is_pred(const struct operand *o)
{
	return o->kind == OPK_REG && o->type == TY_PRED;
}

/* cp.async.ca.shared.global [to], [from], bytes{, bytes of from | ignore} */
static void decode_copy(struct parser *p, struct raw *r, struct copy_op *c)
{
	const bool whole = take(r, "cg");

	take(r, "ca");
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 3, 4);
	if (r->ops[2].kind != OPK_INT)
		bad_operand(p, r, 2);
	c->bytes = (uint32_t)r->ops[2].value;
	if (c->bytes != 16 && (whole || (c->bytes != 4 && c->bytes != 8)))
		bad_operand(p, r, 2);
	take_place(p, r, 0, SPACE_SHARED, &c->to);
	take_place(p, r, 1, SPACE_GLOBAL, &c->from);
	if (r->op_count == 4 && is_pred(&r->ops[3]))
		c->ignore = pred_src(p, r, &r->ops[3]);
	else if (r->op_count == 4)
		c->from_size = src(p, r, 3, TY_B32);
	emit(p, op_cp)->ptr = c;
}

enum atom take_atom(struct raw *r)
{
	static const char *const names[] = {"add", "min", "max", "and", "or", "xor", "inc", "dec"};
	static const enum atom ops[] = {ATOM_ADD, ATOM_MIN, ATOM_MAX, ATOM_AND,
					ATOM_OR,  ATOM_XOR, ATOM_INC, ATOM_DEC};

	for (uint32_t i = 0; i < 8; i++)
		if (take(r, names[i]))
			return ops[i];
	return ATOM_ADD;
}

static void take_reduction(struct parser *p, struct raw *r, struct copy_op *c)
{
	enum type t = need_type(p, r);

	c->reduce.atom = (uint8_t)take_atom(r);
	c->reduce.atom_type = (uint8_t)t;
	c->reduce.bytes = type_info[t].bytes;
	c->reduces = 1;
}

/* cp{.reduce}.async.bulk.to.from.completion [to], [from], bytes{, [mbarrier]} */
static void decode_bulk(struct parser *p, struct raw *r, struct copy_op *c, bool reduces)
{
	const bool is_store = take(r, "bulk_group"), from_global = take(r, "global") && !is_store;
	const bool multicast = take(r, "multicast::cluster");

	c->bulk = 1;
	if (reduces)
		take_reduction(p, r, c);
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, is_store ? 3 : 4 + multicast, is_store ? 3 : 4 + multicast);
	take_place(p, r, 0, is_store ? SPACE_GLOBAL : SPACE_SHARED, &c->to);
	take_place(p, r, 1, from_global ? SPACE_GLOBAL : SPACE_SHARED, &c->from);
	c->size = src(p, r, 2, TY_U32);
	if (!is_store) {
		c->tells = 1;
		take_place(p, r, 3, SPACE_SHARED, &c->barrier);
	}
	if (multicast)
		c->ranks = src(p, r, 4, TY_B16);
	emit(p, op_cp)->ptr = c;
}

static uint32_t one(struct parser *p)
{
	return constant(p, CLS_W, 1, NULL, NULL);
}

/* cp.async.mbarrier.arrive{.noinc} [mbarrier] */
static void decode_copies_arrive(struct parser *p, struct raw *r)
{
	struct mbarrier_op *m = parse_alloc(p, sizeof(*m));
	const bool arrives = take(r, "noinc");
	enum space space = take_space(r);

	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 1, 1);
	m->what = MBARRIER_ARRIVE;
	m->count = one(p);
	take_place(p, r, 0, space, &m->at);
	/* what it would add to the arrivals that are expected it takes away at once */
	emit(p, arrives ? op_mbarrier : op_nop)->ptr = m;
}

static void decode_cp(struct parser *p, struct raw *r, int arg)
{
	struct copy_op *c = parse_alloc(p, sizeof(*c));
	const bool reduces = take(r, "reduce");

	c->from_size = c->ignore = c->ranks = OPERAND_NONE;
	take(r, "async");
	if (take(r, "commit_group") || take(r, "wait_all")) {
		need_operands(p, r, 0, 0);
		emit(p, op_nop);
	} else if (take(r, "wait_group")) {
		need_operands(p, r, 1, 1);
		if (r->ops[0].kind != OPK_INT)
			bad_operand(p, r, 0);
		emit(p, op_nop);
	} else if (take(r, "mbarrier")) {
		decode_copies_arrive(p, r);
	} else {
		take_policy(p, r);
		if (take(r, "prefetch")) {
			r->mods_used = (1u << r->mod_count) - 1;
			need_operands(p, r, 1, 2);
			emit(p, op_nop);
		} else if (take(r, "tensor")) {
			take(r, "bulk");
			decode_tensor(p, r, reduces);
		} else if (take(r, "bulk")) {
			decode_bulk(p, r, c, reduces);
		} else {
			decode_copy(p, r, c);
		}
	}
}

/* mbarrier.arrive{.expect_tx|.noComplete}.b64 state, [at]{, n} and its like */
static void decode_mbarrier_change(struct parser *p, struct raw *r, struct mbarrier_op *m)
{
	const bool has_state = m->what == MBARRIER_ARRIVE || m->what == MBARRIER_DROP;
	const uint32_t n = has_state;
	enum space space;
	uint32_t d = OPERAND_NONE;

	m->expects = has_state && take(r, "expect_tx");
	space = take_space(r);
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, n + 1, n + 2);
	take_place(p, r, n, space, &m->at);
	if (r->op_count == n + 2)
		m->count = src(p, r, n + 1, TY_U32);
	else if (m->expects || m->what == MBARRIER_INIT || m->what == MBARRIER_EXPECT ||
		 m->what == MBARRIER_COMPLETE)
		need_operands(p, r, n + 2, n + 2);
	else
		m->count = one(p);
	if (has_state)
		d = dst(p, r, 0, TY_B64);
	emit3(p, op_mbarrier, d, OPERAND_NONE, OPERAND_NONE, OPERAND_NONE)->ptr = m;
}

/* mbarrier.test_wait{.parity}.b64 p, [at], state or parity; try_wait may have a time as well */
static void decode_mbarrier_wait(struct parser *p, struct raw *r, struct mbarrier_op *m)
{
	enum space space;
	uint32_t d;

	m->by_parity = take(r, "parity");
	space = take_space(r);
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 3, 4);
	take_place(p, r, 1, space, &m->at);
	m->count = src(p, r, 2, m->by_parity ? TY_U32 : TY_B64);
	if (r->op_count == 4)
		src(p, r, 3, TY_U32);
	d = dst(p, r, 0, TY_PRED);
	emit3(p, op_mbarrier_wait, d, OPERAND_NONE, OPERAND_NONE, OPERAND_NONE)->ptr = m;
}

static void decode_mbarrier(struct parser *p, struct raw *r, int arg)
{
	static const char *const names[] = {"init",        "inval",     "arrive",
					    "arrive_drop", "expect_tx", "complete_tx"};
	struct mbarrier_op *m = parse_alloc(p, sizeof(*m));

	for (uint32_t i = 0; i < 6; i++) {
		if (word_is(r->mods[0].s, r->mods[0].len, names[i])) {
			take(r, names[i]);
			m->what = (uint8_t)i;
			decode_mbarrier_change(p, r, m);
			return;
		}
	}
	if (!take(r, "pending_count")) {
		decode_mbarrier_wait(p, r, m);
		return;
	}
	m->what = MBARRIER_COUNT;
	m->count = one(p);
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 2, 2);
	emit3(p, op_mbarrier, dst(p, r, 0, TY_B32), src(p, r, 1, TY_B64), OPERAND_NONE,
	      OPERAND_NONE)
		->ptr = m;
}

/* mapa{.shared::cluster}.type d, a, rank */
static void decode_mapa(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	uint32_t d, a, rank;

	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 3, 3);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	rank = src(p, r, 2, TY_U32);
	emit3(p, op_mapa, d, a, rank, OPERAND_NONE)->x = type_info[t].cls;
}

static void decode_getctarank(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	uint32_t d, a;

	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 2, 2);
	d = dst(p, r, 0, TY_U32);
	a = src(p, r, 1, t);
	emit3(p, op_getctarank, d, a, OPERAND_NONE, OPERAND_NONE)->x = type_info[t].cls;
}

const struct opcode opcodes_async[] = {
	{"cp", decode_cp, 0},     {"mbarrier", decode_mbarrier, 0},
	{"mapa", decode_mapa, 0}, {"getctarank", decode_getctarank, 0},
	{NULL, NULL, 0},
};
