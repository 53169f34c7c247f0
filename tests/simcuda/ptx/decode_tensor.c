/* SPDX-License-Identifier: MIT */
/* Copies of boxes of tensors, and what fences and prefetches their maps. */
#include "tests/simcuda/ptx/exec_async.h"
#include "tests/simcuda/ptx/parser.h"

static uint32_t take_rank(struct raw *r)
{
	static const char *const names[] = {"1d", "2d", "3d", "4d", "5d"};

	for (uint32_t i = 0; i < PTX_TENSOR_RANK; i++)
		if (take(r, names[i]))
			return i + 1;
	return 0;
}

/* [map, {coordinates}] */
static void take_map(struct parser *p, struct raw *r, uint32_t n, struct tensor_op *t)
{
	struct operand *o = &r->ops[n], *c = o->kind == OPK_ADDR ? o->at : NULL;

	if (!c || (c->kind == OPK_VECTOR ? c->count != t->rank : t->rank > 1))
		bad_operand(p, r, n);
	for (uint32_t i = 0; i < t->rank; i++)
		t->at[i] = src_operand(p, r, c->kind == OPK_VECTOR ? &c->elems[i] : c, TY_S32);
	o->at = NULL;
	take_place(p, r, n, SPACE_GENERIC, &t->map);
}

/* {by w, by h, by d}, of as many dimensions as an image has */
static void take_offsets(struct parser *p, struct raw *r, uint32_t n, struct tensor_op *t)
{
	struct operand *o = &r->ops[n];

	t->offset_count = (uint8_t)(t->rank - 2);
	if (o->kind == OPK_VECTOR ? o->count != t->offset_count : t->offset_count > 1)
		bad_operand(p, r, n);
	for (uint32_t i = 0; i < t->offset_count; i++)
		t->offsets[i] = src_operand(p, r, o->kind == OPK_VECTOR ? &o->elems[i] : o, TY_U16);
}

/*
 * cp.async.bulk.tensor: to shared memory [to], [map, {..}], [mbarrier]{, {offsets}}{, ranks}; from
 * there [map, {..}], [from], also with .reduce. The mode is in the table.
 */
void decode_tensor(struct parser *p, struct raw *r, bool reduces)
{
	struct tensor_op *t = parse_alloc(p, sizeof(*t));
	const bool multicast = take(r, "multicast::cluster"), offsets = take(r, "im2col");
	uint32_t n;

	t->rank = (uint8_t)take_rank(r);
	t->ranks = OPERAND_NONE;
	t->to_global = take(r, "bulk_group");
	t->is_im2col = offsets || take(r, "im2col_no_offs");
	t->reduces = reduces;
	if (reduces)
		t->atom = (uint8_t)take_atom(r);
	r->mods_used = (1u << r->mod_count) - 1;
	n = t->to_global ? 2 : 3u + offsets + multicast;
	need_operands(p, r, n, n);
	take_map(p, r, t->to_global ? 0 : 1, t);
	take_place(p, r, t->to_global ? 1 : 0, SPACE_SHARED, &t->shared);
	if (!t->to_global) {
		t->tells = 1;
		take_place(p, r, 2, SPACE_SHARED, &t->barrier);
	}
	if (offsets)
		take_offsets(p, r, 3, t);
	if (multicast)
		t->ranks = src(p, r, n - 1, TY_B16);
	emit(p, op_tensor)->ptr = t;
}
