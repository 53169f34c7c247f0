/* SPDX-License-Identifier: MIT */
/* Common parts of the instruction decoders: modifiers, operands, the table of opcodes. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"
#include "tests/simcuda/ptx/isa.h"

#include <stdio.h>

static uint32_t opcode_hash(const char *s, size_t len)
{
	uint32_t h = 5381;

	for (size_t i = 0; i < len; i++)
		h = h * 33 ^ (uint8_t)s[i];
	return h & (OPCODE_SLOTS - 1);
}

static void add_opcodes(struct parser *p, const struct opcode *o)
{
	for (; o->name; o++) {
		uint32_t at = opcode_hash(o->name, strlen(o->name));

		while (p->opcodes[at])
			at = (at + 1) & (OPCODE_SLOTS - 1);
		p->opcodes[at] = o;
	}
}

void opcodes_init(struct parser *p)
{
	isa_init(p);
	add_opcodes(p, opcodes_int);
	add_opcodes(p, opcodes_float);
	add_opcodes(p, opcodes_compare);
	add_opcodes(p, opcodes_cvt);
	add_opcodes(p, opcodes_mem);
	add_opcodes(p, opcodes_control);
	add_opcodes(p, opcodes_warp);
	add_opcodes(p, opcodes_video);
	add_opcodes(p, opcodes_tex);
	add_opcodes(p, opcodes_matrix);
	add_opcodes(p, opcodes_async);
}

static void spell(const struct raw *r, char *to, size_t size)
{
	size_t n =
		(size_t)snprintf(to, size, "%.*s", (int)(r->op.len < 40 ? r->op.len : 40), r->op.s);

	for (uint32_t i = 0; i < r->mod_count && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, ".%.*s",
				      (int)(r->mods[i].len < 40 ? r->mods[i].len : 40),
				      r->mods[i].s);
}

void unknown_instruction(struct parser *p, const struct raw *r)
{
	char text[256];

	spell(r, text, sizeof(text));
	if (isa_is_refused(text))
		parse_fail(p, r->line, "instruction '%s' is not supported", text);
	parse_fail(p, r->line, "unknown instruction '%s'", text);
}

void bad_operand(struct parser *p, const struct raw *r, uint32_t n)
{
	char text[256];

	spell(r, text, sizeof(text));
	parse_fail(p, r->line, "operand %u of '%s' is of the wrong kind or size", n + 1, text);
}

bool take(struct raw *r, const char *mod)
{
	for (uint32_t i = 0; i < r->mod_count; i++) {
		if (!(r->mods_used >> i & 1) && word_is(r->mods[i].s, r->mods[i].len, mod)) {
			r->mods_used |= 1u << i;
			return true;
		}
	}
	return false;
}

enum type take_type(struct raw *r)
{
	for (uint32_t i = 0; i < r->mod_count; i++) {
		enum type t;

		if (r->mods_used >> i & 1)
			continue;
		t = type_by_name(r->mods[i].s, r->mods[i].len);
		if (t != TY_NONE) {
			r->mods_used |= 1u << i;
			return t;
		}
	}
	return TY_NONE;
}

enum type need_type(struct parser *p, struct raw *r)
{
	enum type t = take_type(r);

	if (t == TY_NONE)
		unknown_instruction(p, r);
	return t;
}

void done_mods(struct parser *p, struct raw *r)
{
	if (r->mods_used != (1u << r->mod_count) - 1)
		unknown_instruction(p, r);
}

void need_operands(struct parser *p, const struct raw *r, uint32_t min, uint32_t max)
{
	char text[256];

	if (r->op_count >= min && r->op_count <= max)
		return;
	spell(r, text, sizeof(text));
	parse_fail(p, r->line, "'%s' has %u operands", text, r->op_count);
}

struct insn *emit3(struct parser *p, exec_fn fn, uint32_t d, uint32_t a, uint32_t b, uint32_t c)
{
	struct insn *i = emit(p, fn);

	i->d = d;
	i->a = a;
	i->b = b;
	i->c = c;
	return i;
}

uint32_t address_value(struct parser *p, struct operand *o, enum cls cls)
{
	struct var *v = o->var;

	if (v->is_row)
		return (uint32_t)v->offset;
	note_use(p, NULL, v);
	if (v->in_frame) {
		uint32_t d = new_row(p, cls);
		struct insn *i = emit(p, op_local_address);

		i->d = d;
		i->x = cls;
		i->imm = (int64_t)(v->offset + o->value);
		return d;
	}
	if (v->space == SPACE_PARAM && !v->is_kernel_param)
		return constant(p, cls, FRAME_PARAMS + v->offset + o->value, NULL, NULL);
	if (v->space == SPACE_PARAM)
		return constant(p, cls, v->offset + o->value, NULL, NULL);
	return constant(p, cls, o->value, v, NULL);
}

enum cls special_cls(uint32_t special)
{
	if (special == SPECIAL_IS_CLUSTER)
		return CLS_P;
	return special >= SPECIAL_FIRST64 ? CLS_D : CLS_W;
}

static uint32_t special_value(struct parser *p, const struct operand *o, enum cls cls)
{
	enum cls natural = special_cls(o->special);
	uint32_t d = new_row(p, natural);
	struct insn *i = emit(p, op_special);

	i->d = d;
	i->x = o->special;
	if (cls == natural)
		return d;
	/* older code reads %tid as 16 bits and %gridid as 32 */
	uint32_t e = new_row(p, cls);

	i = emit(p, op_szext);
	i->d = e;
	i->a = d;
	i->x = (uint32_t)natural | (uint32_t)cls << 2;
	return e;
}

static uint64_t float_value(struct operand *o, enum type t)
{
	double d;
	float f;
	uint32_t bits;

	if (o->kind == OPK_FLOAT32)
		return o->value;
	if (type_info[t].bytes == 8)
		return o->value;
	memcpy(&d, &o->value, sizeof(d));
	f = (float)d;
	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* The address of an element whose subscript is a register, as a 32-bit or 64-bit value. */
static uint32_t element_address(struct parser *p, struct raw *r, struct operand *o, enum type t)
{
	uint32_t at = new_row(p, CLS_D), low;
	struct insn *i;

	if (type_info[t].bytes < 4 || type_info[t].kind == KIND_F)
		bad_operand(p, r, 0);
	emit3(p, int2_fn(I2_ADD, TY_U64), at, o->row, constant(p, CLS_D, o->value, NULL, NULL),
	      OPERAND_NONE);
	if (type_info[t].bytes == 8)
		return at;
	low = new_row(p, CLS_W);
	i = emit3(p, op_szext, low, at, OPERAND_NONE, OPERAND_NONE);
	i->x = CLS_D | CLS_W << 2;
	return low;
}

uint32_t src_operand(struct parser *p, struct raw *r, struct operand *o, enum type t)
{
	const struct type_info *info = &type_info[t];
	uint32_t n = (uint32_t)(o - r->ops) < MAX_OPERANDS ? (uint32_t)(o - r->ops) : 0;

	if (o->negated && t != TY_PRED)
		bad_operand(p, r, n);
	switch (o->kind) {
	case OPK_REG:
		if (o->is_element)
			return element_address(p, r, o, t);
		if (type_info[o->type].cls != info->cls)
			bad_operand(p, r, n);
		return t == TY_PRED ? pred_src(p, r, o) : o->row;
	case OPK_INT:
		if (info->kind == KIND_F && info->bytes > 2 && t != TY_F16X2 && t != TY_BF16X2)
			bad_operand(p, r, n);
		if (t == TY_PRED)
			return constant(p, CLS_P, o->value != 0, NULL, NULL);
		return constant(p, info->cls, o->value, NULL, NULL);
	case OPK_FLOAT32:
	case OPK_FLOAT64:
		if (t != TY_F32 && t != TY_F64 && t != TY_B32 && t != TY_B64)
			bad_operand(p, r, n);
		if ((o->kind == OPK_FLOAT32) != (info->bytes == 4) && t != TY_F32)
			bad_operand(p, r, n);
		return constant(p, info->cls, float_value(o, t), NULL, NULL);
	case OPK_VAR:
		if (o->var->is_row ? o->var->row_cls != info->cls : info->bytes < 4)
			bad_operand(p, r, n);
		return address_value(p, o, info->cls);
	case OPK_FUNC:
		if (info->bytes != 8)
			bad_operand(p, r, n);
		o->func->referenced = true;
		o->func->address_taken = true;
		note_use(p, o->func, NULL);
		return constant(p, CLS_D, o->value, NULL, o->func);
	case OPK_SPECIAL:
		if (o->special == SPECIAL_IS_CLUSTER ? info->cls != CLS_P : info->bytes < 2)
			bad_operand(p, r, n);
		return special_value(p, o, info->cls);
	case OPK_NAME:
		parse_fail(p, r->line, "unknown name '%.100s'", o->name->s);
	default:
		bad_operand(p, r, n);
	}
}

uint32_t src(struct parser *p, struct raw *r, uint32_t n, enum type t)
{
	if (n >= r->op_count)
		need_operands(p, r, n + 1, MAX_OPERANDS);
	return src_operand(p, r, &r->ops[n], t);
}

uint32_t pred_src(struct parser *p, struct raw *r, struct operand *o)
{
	uint32_t d;
	struct insn *i;

	if (o->kind != OPK_REG || o->type != TY_PRED) {
		if (o->kind == OPK_INT)
			return constant(p, CLS_P, (o->value != 0) ^ o->negated, NULL, NULL);
		bad_operand(p, r, 0);
	}
	if (!o->negated)
		return o->row;
	d = new_row(p, CLS_P);
	i = emit(p, op_not_pred);
	i->d = d;
	i->a = o->row;
	return d;
}

uint32_t dst_operand(struct parser *p, struct raw *r, struct operand *o, enum type t)
{
	uint32_t n = (uint32_t)(o - r->ops) < MAX_OPERANDS ? (uint32_t)(o - r->ops) : 0;

	if (o->kind == OPK_SINK)
		return new_row(p, type_info[t].cls);
	if (o->kind == OPK_VAR && o->var->is_row && o->var->row_cls == type_info[t].cls)
		return (uint32_t)o->var->offset;
	if (o->kind != OPK_REG || o->negated || o->is_element ||
	    type_info[o->type].cls != type_info[t].cls)
		bad_operand(p, r, n);
	return o->row;
}

uint32_t dst(struct parser *p, struct raw *r, uint32_t n, enum type t)
{
	if (n >= r->op_count)
		need_operands(p, r, n + 1, MAX_OPERANDS);
	if (r->ops[n].pair)
		bad_operand(p, r, n);
	return dst_operand(p, r, &r->ops[n], t);
}

static bool wide_register(const struct operand *o, enum type t, uint8_t *cls, uint32_t *row)
{
	static const uint8_t bytes[] = {0, 2, 4, 8};

	if (t == TY_PRED)
		return false;
	if (o->kind == OPK_REG && !o->negated && !o->is_element) {
		*cls = type_info[o->type].cls;
		*row = o->row;
	} else if (o->kind == OPK_VAR && o->var->is_row) {
		*cls = o->var->row_cls;
		*row = (uint32_t)o->var->offset;
	} else {
		return false;
	}
	return *cls != CLS_P && bytes[*cls] >= type_info[t].bytes;
}

uint32_t wide_src(struct parser *p, struct raw *r, struct operand *o, enum type t, uint8_t *cls)
{
	uint32_t at;

	if (wide_register(o, t, cls, &at))
		return at;
	*cls = type_info[t].cls;
	return src_operand(p, r, o, t);
}

uint32_t wide_dst(struct parser *p, struct raw *r, struct operand *o, enum type t, uint8_t *cls)
{
	uint32_t at;

	if (wide_register(o, t, cls, &at))
		return at;
	*cls = type_info[t].cls;
	return dst_operand(p, r, o, t);
}

/* A statement may become several instructions; all of them are under its guard. */
void decode(struct parser *p, struct raw *r)
{
	uint32_t at = opcode_hash(r->op.s, r->op.len);
	uint32_t before = p->m->code_count;

	while (p->opcodes[at]) {
		const struct opcode *o = p->opcodes[at];

		if (word_is(r->op.s, r->op.len, o->name)) {
			o->decode(p, r, o->arg);
			if (p->m->code_count > before && p->guard != GUARD_NONE)
				for (uint32_t i = before; i < p->m->code_count; i++)
					p->m->code[i].guard = p->guard;
			return;
		}
		at = (at + 1) & (OPCODE_SLOTS - 1);
	}
	unknown_instruction(p, r);
}
