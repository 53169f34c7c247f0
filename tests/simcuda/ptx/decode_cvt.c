/* SPDX-License-Identifier: MIT */
/* cvt and the conversions of addresses. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"
#include "tests/simcuda/ptx/cvt.h"

static bool is_float(enum type t)
{
	return type_info[t].kind == KIND_F;
}

static bool is_integer(enum type t)
{
	return type_info[t].kind == KIND_U || type_info[t].kind == KIND_S;
}

static uint32_t cvt_flags(struct parser *p, struct raw *r)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} modes[] = {
		{"rn", CVT_ROUNDED | FLOAT_RN},   {"rz", CVT_ROUNDED | FLOAT_RZ},
		{"rm", CVT_ROUNDED | FLOAT_RM},   {"rp", CVT_ROUNDED | FLOAT_RP},
		{"rna", CVT_ROUNDED | CVT_AWAY},  {"rni", CVT_INTEGRAL | FLOAT_RN},
		{"rzi", CVT_INTEGRAL | FLOAT_RZ}, {"rmi", CVT_INTEGRAL | FLOAT_RM},
		{"rpi", CVT_INTEGRAL | FLOAT_RP},
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (take(r, modes[i].name)) {
			flags |= modes[i].flags;
			break;
		}
	}
	if (take(r, "relu"))
		flags |= FLOAT_RELU;
	if (take(r, "ftz"))
		flags |= FLOAT_FTZ;
	if (take(r, "sat"))
		flags |= FLOAT_SAT;
	if (take(r, "satfinite"))
		flags |= CVT_FINITE;
	return flags;
}

/* Common pairs have loops of their own. */
static exec_fn quick_cvt(enum type dt, enum type st, uint8_t dc, uint8_t sc, uint32_t flags)
{
	static const struct {
		enum type dt, st;
		uint32_t flags;
		exec_fn fn;
	} quick[] = {
		{TY_U64, TY_U32, 0, op_cvt_u64_u32},
		{TY_S64, TY_U32, 0, op_cvt_u64_u32},
		{TY_U64, TY_S32, 0, op_cvt_s64_s32},
		{TY_S64, TY_S32, 0, op_cvt_s64_s32},
		{TY_U32, TY_U64, 0, op_cvt_u32_u64},
		{TY_S32, TY_U64, 0, op_cvt_u32_u64},
		{TY_U32, TY_S64, 0, op_cvt_u32_u64},
		{TY_S32, TY_S64, 0, op_cvt_u32_u64},
		{TY_F64, TY_F32, 0, op_cvt_f64_f32},
		{TY_F32, TY_S32, CVT_ROUNDED | FLOAT_RN, op_cvt_f32_s32},
		{TY_F64, TY_S32, CVT_ROUNDED | FLOAT_RN, op_cvt_f64_s32},
		{TY_F64, TY_U32, CVT_ROUNDED | FLOAT_RN, op_cvt_f64_u32},
		{TY_F32, TY_F64, CVT_ROUNDED | FLOAT_RN, op_cvt_f32_f64},
		{TY_S32, TY_F32, CVT_INTEGRAL | FLOAT_RZ, op_cvt_s32_f32},
	};

	if (dc != type_info[dt].cls || sc != type_info[st].cls)
		return NULL;
	for (size_t i = 0; i < sizeof(quick) / sizeof(quick[0]); i++) {
		if (quick[i].dt == dt && quick[i].st == st && quick[i].flags == flags)
			return quick[i].fn;
	}
	return NULL;
}

static exec_fn general_cvt(struct parser *p, struct raw *r, enum type dt, enum type st,
			   uint32_t flags)
{
	bool df = is_float(dt), sf = is_float(st);
	bool narrows = df && sf && type_info[dt].bytes < type_info[st].bytes;

	if ((!df && !is_integer(dt)) || (!sf && !is_integer(st)) || dt == TY_F16X2 ||
	    dt == TY_BF16X2 || st == TY_F16X2 || st == TY_BF16X2 || st == TY_TF32)
		unknown_instruction(p, r);
	if (!df && !sf) {
		if (flags & ~FLOAT_SAT)
			unknown_instruction(p, r);
		return op_cvt_int;
	}
	/* a rounding is demanded exactly where a value may change */
	if (df && !sf && !(flags & CVT_ROUNDED))
		unknown_instruction(p, r);
	if (!df && sf && !(flags & CVT_INTEGRAL))
		unknown_instruction(p, r);
	if (narrows && !(flags & CVT_ROUNDED))
		unknown_instruction(p, r);
	if (dt == TY_TF32 && st != TY_F32)
		unknown_instruction(p, r);
	return df ? sf ? op_cvt_float : op_cvt_to_float : op_cvt_from_float;
}

/* cvt.rn.f16x2.f32 d, a, b: a is the upper half */
static void decode_cvt_pack(struct parser *p, struct raw *r, enum type dt, uint32_t flags)
{
	uint32_t d, a, b;

	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (!(flags & CVT_ROUNDED) || (flags & FLOAT_RMASK) > FLOAT_RZ)
		unknown_instruction(p, r);
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, TY_F32);
	b = src(p, r, 2, TY_F32);
	emit3(p, op_cvt_pack, d, a, b, OPERAND_NONE)->x = flags | CVT_TYPES(dt, TY_F32, 0, 0);
}

static bool is_fp8_pair(enum type t)
{
	return t == TY_E4M3X2 || t == TY_E5M2X2;
}

/* cvt.rn.satfinite.e4m3x2.f32 d, a, b; .f16x2 d, a; and cvt.rn.f16x2.e4m3x2 d, a */
static void decode_cvt_fp8(struct parser *p, struct raw *r, enum type dt, enum type st,
			   uint32_t flags)
{
	const uint32_t sources = st == TY_F32 ? 2 : 1;
	uint32_t d, a, b = OPERAND_NONE;

	done_mods(p, r);
	need_operands(p, r, 1 + sources, 1 + sources);
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, st);
	if (sources == 2)
		b = src(p, r, 2, st);
	emit3(p, is_fp8_pair(dt) ? op_cvt_fp8 : op_cvt_from_fp8, d, a, b, OPERAND_NONE)->x =
		flags | CVT_TYPES(dt, st, 0, 0);
}

/* cvt.pack.sat.type.s32 d, a, b; .type.s32.b32 d, a, b, c */
static void decode_cvt_pack_int(struct parser *p, struct raw *r)
{
	enum type dt, at;
	uint32_t d, a, b, c = OPERAND_NONE;
	bool third;

	take(r, "sat");
	dt = need_type(p, r);
	at = need_type(p, r);
	third = take(r, "b32");
	done_mods(p, r);
	need_operands(p, r, 3 + third, 3 + third);
	d = dst(p, r, 0, TY_B32);
	a = src(p, r, 1, at);
	b = src(p, r, 2, at);
	if (third)
		c = src(p, r, 3, TY_B32);
	emit3(p, op_cvt_pack_int, d, a, b, c)->x = CVT_TYPES(dt, at, 0, 0);
}

static void decode_cvt(struct parser *p, struct raw *r, int arg)
{
	uint32_t flags, d, a;
	enum type dt, st;
	uint8_t dc, sc;
	struct insn *i;
	exec_fn fn;

	if (take(r, "pack")) {
		decode_cvt_pack_int(p, r);
		return;
	}
	flags = cvt_flags(p, r);
	dt = need_type(p, r);
	st = need_type(p, r);
	if (is_fp8_pair(dt) || is_fp8_pair(st)) {
		decode_cvt_fp8(p, r, dt, st, flags);
		return;
	}
	if ((dt == TY_F16X2 || dt == TY_BF16X2) && st == TY_F32) {
		decode_cvt_pack(p, r, dt, flags);
		return;
	}
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	fn = general_cvt(p, r, dt, st, flags);
	d = wide_dst(p, r, &r->ops[0], dt, &dc);
	a = wide_src(p, r, &r->ops[1], st, &sc);
	if (quick_cvt(dt, st, dc, sc, flags))
		fn = quick_cvt(dt, st, dc, sc, flags);
	i = emit3(p, fn, d, a, OPERAND_NONE, OPERAND_NONE);
	i->x = flags | CVT_TYPES(dt, st, dc, sc);
	if (fn == op_cvt_to_float && (flags & FLOAT_RMASK) && (dt == TY_F32 || dt == TY_F64)) {
		i->inner = fn;
		i->fn = op_rounded;
	}
}

static uint64_t window_of(struct parser *p, struct raw *r)
{
	if (take(r, "shared") || take(r, "shared::cta") || take(r, "shared::cluster"))
		return SHARED_WINDOW;
	if (take(r, "local"))
		return LOCAL_WINDOW;
	if (take(r, "param") || take(r, "param::entry"))
		return PARAM_WINDOW;
	if (take(r, "global") || take(r, "const"))
		return 0;
	unknown_instruction(p, r);
}

static void decode_cvta(struct parser *p, struct raw *r, int arg)
{
	bool to = take(r, "to");
	bool is_const = !to && r->mod_count && word_is(r->mods[0].s, r->mods[0].len, "const");
	uint64_t window = window_of(p, r);
	enum type t = need_type(p, r);
	uint32_t d, a;

	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (t != TY_U64)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	if (is_const) {
		/* where pointers of .const have 32 bits, only those are known */
		uint32_t low = new_row(p, CLS_W);
		uint32_t whole;

		emit3(p, op_szext, low, a, OPERAND_NONE, OPERAND_NONE)->x = CLS_D | CLS_W << 2;
		whole = whole_constant_address(p, low);
		a = whole == OPERAND_NONE ? a : whole;
	}
	if (!window)
		emit3(p, mov_fn(CLS_D), d, a, OPERAND_NONE, OPERAND_NONE);
	else
		emit3(p, to ? op_cvta_to : op_cvta, d, a, OPERAND_NONE, OPERAND_NONE)->imm =
			(int64_t)window;
}

static void decode_isspacep(struct parser *p, struct raw *r, int arg)
{
	bool is_const = r->mod_count == 1 && word_is(r->mods[0].s, r->mods[0].len, "const");
	bool of_cluster =
		r->mod_count == 1 && word_is(r->mods[0].s, r->mods[0].len, "shared::cluster");
	struct insn *i;
	uint64_t window;
	uint32_t d, a;

	window = window_of(p, r);
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	d = dst(p, r, 0, TY_PRED);
	a = src(p, r, 1, TY_U64);
	/* constants lie in ordinary memory: nothing is known to be constant */
	i = emit3(p, op_isspacep, d, a, OPERAND_NONE, OPERAND_NONE);
	i->imm = is_const ? (int64_t)WINDOW_MASK : (int64_t)window;
	i->x = window == SHARED_WINDOW && !of_cluster ? CLUSTER_STRIDE : WINDOW_SIZE;
}

const struct opcode opcodes_cvt[] = {
	{"cvt", decode_cvt, 0},
	{"cvta", decode_cvta, 0},
	{"isspacep", decode_isspacep, 0},
	{NULL, NULL, 0},
};
