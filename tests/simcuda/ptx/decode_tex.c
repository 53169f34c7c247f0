/* SPDX-License-Identifier: MIT */
/* Textures and surfaces, by objects; references (.texref, .surfref) are not known. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static void take_geometry(struct raw *r, struct tex_op *t)
{
	t->layered = take(r, "a1d") ? 1 : take(r, "a2d") ? 2 : 0;
	if (t->layered)
		t->dims = t->layered;
	else
		t->dims = take(r, "1d") ? 1 : take(r, "2d") ? 2 : (take(r, "3d"), 3);
}

/* The object of [object, at], a register of 64 bits. */
static uint32_t object_row(struct parser *p, struct raw *r, uint32_t n)
{
	struct operand o = r->ops[n];

	if (o.kind != OPK_ADDR || o.value)
		bad_operand(p, r, n);
	if (o.base == OPK_VAR && !o.var->is_row)
		parse_fail(p, r->line, "'%.100s' is no texture or surface object",
			   o.var->name ? o.var->name : "_");
	o.kind = o.base;
	return src_operand(p, r, &o, TY_B64);
}

/* {x}, {x, y}, {x, y, z, _}; layered: {layer, x}, {layer, x, y, _}; x alone for 1d. */
static void take_coordinates(struct parser *p, struct raw *r, uint32_t n, struct tex_op *t)
{
	struct operand *c = r->ops[n].at;
	const uint32_t need = t->dims + (t->layered ? 1u : 0);
	uint32_t k = 0;

	if (!c || (c->kind == OPK_VECTOR ? c->count < need || c->count > 4 : need > 1))
		bad_operand(p, r, n);
	if (t->layered)
		t->layer = src_operand(p, r, &c->elems[k++], TY_B32);
	for (uint32_t i = 0; i < t->dims; i++, k++)
		t->at[i] = src_operand(p, r, c->kind == OPK_VECTOR ? &c->elems[k] : c,
				       t->is_float ? TY_F32 : TY_B32);
}

static void take_values(struct parser *p, struct raw *r, uint32_t n, enum type type,
			struct tex_op *t)
{
	struct operand *o = &r->ops[n], *e = o->kind == OPK_VECTOR ? o->elems : o;
	uint8_t cls = 0;

	if (o->kind == OPK_VECTOR ? o->count != t->count : t->count > 1)
		bad_operand(p, r, n);
	for (uint32_t i = 0; i < t->count; i++) {
		t->regs[i] = t->store ? wide_src(p, r, &e[i], type, &cls)
				      : wide_dst(p, r, &e[i], type, &cls);
		if (i && cls != t->cls)
			bad_operand(p, r, n);
		t->cls = cls;
	}
}

/* How coordinates change in one direction. */
static void take_gradient(struct parser *p, struct raw *r, uint32_t n, const struct tex_op *t,
			  uint32_t by[3])
{
	struct operand *o = &r->ops[n];
	const uint32_t need = t->dims == 3 ? 4 : t->dims;

	if (o->kind == OPK_VECTOR ? o->count != need : need > 1)
		bad_operand(p, r, n);
	for (uint32_t i = 0; i < t->dims; i++)
		by[i] = src_operand(p, r, o->kind == OPK_VECTOR ? &o->elems[i] : o, TY_F32);
}

/*
 * tex.geom.v4.type.coordinates d, [object, at]; base: the same; level: and a level; grad: and two
 * gradients; tld4.channel: that channel of the four texels which filtering would take
 */
static void decode_tex(struct parser *p, struct raw *r, int gathers)
{
	static const char *const channels[] = {"r", "g", "b", "a"};
	struct tex_op *t = parse_alloc(p, sizeof(*t));
	const bool level = take(r, "level"), grad = !level && take(r, "grad");
	const uint32_t n = level ? 3 : grad ? 4 : 2;
	enum type type;
	uint32_t a;

	if (!level && !grad)
		take(r, "base");

	for (uint32_t i = 0; gathers && i < 4; i++)
		if (take(r, channels[i]))
			t->gather = (uint8_t)(i + 1);
	take_geometry(r, t);
	take(r, "v4");
	type = need_type(p, r);
	t->is_float = need_type(p, r) == TY_F32;
	done_mods(p, r);
	need_operands(p, r, n, n);
	if (r->ops[0].kind != OPK_VECTOR || r->ops[0].pair)
		bad_operand(p, r, 0);
	t->count = 4;
	a = object_row(p, r, 1);
	take_coordinates(p, r, 1, t);
	t->level_by = level ? LEVEL_GIVEN : grad ? LEVEL_BY_GRADIENTS : LEVEL_FIRST;
	if (level)
		t->by[0][0] = src(p, r, 2, TY_F32);
	for (uint32_t i = 0; grad && i < 2; i++)
		take_gradient(p, r, 2 + i, t, t->by[i]);
	take_values(p, r, 0, type, t);
	if (t->cls != CLS_W)
		bad_operand(p, r, 0);
	emit3(p, op_tex, OPERAND_NONE, a, OPERAND_NONE, OPERAND_NONE)->ptr = t;
}

static void decode_surface(struct parser *p, struct raw *r, int store)
{
	struct tex_op *t = parse_alloc(p, sizeof(*t));
	static const char *const hints[] = {"b", "ca", "cg", "cs", "cv", "wb", "wt"};
	enum type type;
	uint32_t a;

	take_geometry(r, t);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		take(r, hints[i]);
	t->store = (uint8_t)store;
	t->is_surface = 1;
	t->count = take(r, "v2") ? 2 : take(r, "v4") ? 4 : 1;
	t->outside = take(r, "clamp")  ? OUTSIDE_CLAMP
		     : take(r, "zero") ? OUTSIDE_ZERO
				       : (take(r, "trap"), OUTSIDE_TRAP);
	type = need_type(p, r);
	t->bytes = type_info[type].bytes;
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	a = object_row(p, r, store ? 0 : 1);
	take_coordinates(p, r, store ? 0 : 1, t);
	take_values(p, r, store ? 1 : 0, type, t);
	emit3(p, op_surface, OPERAND_NONE, a, OPERAND_NONE, OPERAND_NONE)->ptr = t;
}

static void decode_query(struct parser *p, struct raw *r, int is_surface)
{
	static const char *const names[] = {"width", "height", "depth", "array_size",
					    "num_mipmap_levels"};
	struct tex_op *t = parse_alloc(p, sizeof(*t));
	const bool level = take(r, "level");
	uint32_t a;

	while (!take(r, names[t->what]))
		t->what++;
	need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 2 + level, 2 + level);
	if (level) {
		t->level_by = LEVEL_GIVEN;
		t->by[0][0] = src(p, r, 2, TY_B32);
	}
	t->is_surface = (uint8_t)is_surface;
	if (r->ops[1].at)
		bad_operand(p, r, 1);
	a = object_row(p, r, 1);
	emit3(p, op_query, dst(p, r, 0, TY_B32), a, OPERAND_NONE, OPERAND_NONE)->ptr = t;
}

const struct opcode opcodes_tex[] = {
	{"tex", decode_tex, 0},
	{"tld4", decode_tex, 1},
	{"suld", decode_surface, 0},
	{"sust", decode_surface, 1},
	{"txq", decode_query, 0},
	{"suq", decode_query, 1},
	{NULL, NULL, 0},
};
