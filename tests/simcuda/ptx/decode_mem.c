/* SPDX-License-Identifier: MIT */
/* Loads, stores, atomics and fences. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

enum space take_space(struct raw *r)
{
	if (take(r, "global"))
		return SPACE_GLOBAL;
	/* an address tells whether it is another block's */
	if (take(r, "shared") || take(r, "shared::cta") || take(r, "shared::cluster"))
		return SPACE_SHARED;
	if (take(r, "local"))
		return SPACE_LOCAL;
	if (take(r, "const"))
		return SPACE_CONST;
	if (take(r, "param") || take(r, "param::entry") || take(r, "param::func"))
		return SPACE_PARAM;
	return SPACE_GENERIC;
}

/* A load that another thread's store is meant to change. */
static bool take_strong(struct raw *r)
{
	bool strong = take(r, "relaxed");

	strong |= take(r, "volatile");
	strong |= take(r, "mmio");
	return take(r, "cv") || strong;
}

/* The operand of .L2::cache_hint, the last one: a policy, which changes nothing. */
void take_policy(struct parser *p, struct raw *r)
{
	if (!take(r, "L2::cache_hint"))
		return;
	need_operands(p, r, 2, MAX_OPERANDS);
	src(p, r, r->op_count - 1, TY_B64);
	r->op_count--;
}

/* Ordering and cache operators: every ordering becomes a full fence. */
static bool take_order(struct raw *r)
{
	static const char *const ignored[] = {
		"weak",
		"ca",
		"cg",
		"cs",
		"lu",
		"wb",
		"wt",
		"nc",
		"cta",
		"cluster",
		"gpu",
		"sys",
		"noftz",
		"L1::evict_normal",
		"L1::evict_unchanged",
		"L1::evict_first",
		"L1::evict_last",
		"L1::no_allocate",
		"L2::64B",
		"L2::128B",
		"L2::256B",
		"L2::evict_normal",
		"L2::evict_last",
		"L2::evict_first",
	};
	bool fence = take(r, "acquire") || take(r, "release") || take(r, "acq_rel");

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		take(r, ignored[i]);
	return fence;
}

/* a[1] is [a[1]]. */
static void element_is_address(struct operand *o)
{
	if (!o->is_element || o->kind == OPK_ADDR)
		return;
	o->base = o->kind;
	o->kind = OPK_ADDR;
}

uint32_t whole_constant_address(struct parser *p, uint32_t low)
{
	const struct var *v = p->m->vars;
	uint32_t distance, d;

	while (v && (v->space != SPACE_CONST || v->is_extern))
		v = v->next;
	if (!v)
		return OPERAND_NONE;
	distance = new_row(p, CLS_W);
	d = new_row(p, CLS_D);
	emit3(p, int2_fn(I2_SUB, TY_U32), distance, low, constant(p, CLS_W, 0, v, NULL),
	      OPERAND_NONE);
	emit3(p, int3_fn(I3_MAD_WIDE, TY_S32), d, distance, constant(p, CLS_W, 1, NULL, NULL),
	      constant(p, CLS_D, 0, v, NULL));
	return d;
}

/* The address operand: base row in *a, offset in the mem_op. */
void decode_address(struct parser *p, struct raw *r, uint32_t n, struct mem_op *m, uint32_t *a)
{
	struct operand *o = &r->ops[n];
	const struct var *v = o->var;

	element_is_address(o);
	if (o->kind != OPK_ADDR || o->at)
		bad_operand(p, r, n);
	if (o->is_element && m->space == SPACE_GENERIC)
		m->space = v->space;
	if (o->is_element && m->space != v->space)
		bad_operand(p, r, n);
	if (o->base == OPK_REG || (o->base == OPK_VAR && v->is_row)) {
		m->base_cls = o->base == OPK_REG ? type_info[o->type].cls : v->row_cls;
		*a = o->base == OPK_REG ? o->row : (uint32_t)v->offset;
		m->offset = (int64_t)o->value;
		if (m->base_cls != CLS_W && m->base_cls != CLS_D)
			bad_operand(p, r, n);
		if (m->base_cls == CLS_W && m->space == SPACE_CONST) {
			uint32_t whole = whole_constant_address(p, *a);

			if (whole != OPERAND_NONE) {
				m->base_cls = CLS_D;
				*a = whole;
			}
		}
		return;
	}
	m->base_cls = CLS_D;
	if (o->base == OPK_INT) {
		*a = constant(p, CLS_D, o->value, NULL, NULL);
		return;
	}
	if (m->space != v->space && m->space != SPACE_GENERIC)
		bad_operand(p, r, n);
	note_use(p, NULL, o->var);
	if (m->space == SPACE_GENERIC) /* a variable's name is an address in its own space */
		m->space = v->space;
	if (v->in_frame) {
		m->frame_local = 1;
		*a = constant(p, CLS_D, v->offset + o->value, NULL, NULL);
	} else if (v->space == SPACE_PARAM) {
		uint64_t at = v->offset + o->value + (v->is_kernel_param ? 0 : FRAME_PARAMS);

		*a = constant(p, CLS_D, at, NULL, NULL);
		m->offset = 0;
		m->is_const_param = v->is_kernel_param;
		m->param_at = (uint32_t)at;
	} else {
		*a = constant(p, CLS_D, o->value, v, NULL);
	}
}

static uint32_t vector_count(struct raw *r)
{
	if (take(r, "v2"))
		return 2;
	return take(r, "v4") ? 4 : 1;
}

static void value_registers(struct parser *p, struct raw *r, uint32_t n, enum type t, bool is_dst,
			    struct mem_op *m)
{
	struct operand *o = &r->ops[n], *e = o;
	uint8_t cls = 0;

	/* one register may stand in braces, too */
	if (o->kind == OPK_VECTOR ? o->count != m->count : m->count > 1)
		bad_operand(p, r, n);
	if (o->kind == OPK_VECTOR)
		e = o->elems;
	for (uint32_t i = 0; i < m->count; i++) {
		m->regs[i] =
			is_dst ? wide_dst(p, r, &e[i], t, &cls) : wide_src(p, r, &e[i], t, &cls);
		if (i && cls != m->cls)
			bad_operand(p, r, n);
		m->cls = cls;
	}
}

static void decode_ldst(struct parser *p, struct raw *r, int store)
{
	struct mem_op *m = parse_alloc(p, sizeof(*m));
	uint32_t a = 0;
	struct insn *i;
	enum type t;

	take_policy(p, r);
	m->strong = take_strong(r);
	m->fence = take_order(r);
	m->strong |= m->fence;
	m->space = (uint8_t)take_space(r);
	m->count = (uint8_t)vector_count(r);
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (t == TY_PRED || t == TY_TF32 || (store && m->space == SPACE_CONST))
		unknown_instruction(p, r);
	m->bytes = type_info[t].bytes;
	m->is_signed = type_info[t].kind == KIND_S;
	if (m->bytes * m->count > 16)
		unknown_instruction(p, r);
	decode_address(p, r, store ? 0 : 1, m, &a);
	value_registers(p, r, store ? 1 : 0, t, !store, m);
	m->may_coalesce = m->bytes >= 4 && m->bytes == 1u << m->cls && !m->frame_local &&
			  m->space != SPACE_LOCAL && m->space != SPACE_PARAM;
	i = emit3(p,
		  store       ? op_st
		  : m->strong ? op_ld_strong
			      : op_ld,
		  OPERAND_NONE, a, OPERAND_NONE, OPERAND_NONE);
	if (!store && m->is_const_param && p->fn->is_entry)
		i->fn = op_ld_kernel_param;
	i->ptr = m;
}

static int atom_op(struct raw *r)
{
	static const char *const names[] = {"add", "min",  "max", "and", "or",
					    "xor", "exch", "cas", "inc", "dec"};

	for (int i = 0; i < 10; i++) {
		if (take(r, names[i]))
			return i;
	}
	return -1;
}

static bool atom_allowed(int op, enum type t)
{
	switch (op) {
	case ATOM_ADD:
		return t == TY_U32 || t == TY_S32 || t == TY_U64 || t == TY_S64 ||
		       type_info[t].kind == KIND_F;
	case ATOM_MIN:
	case ATOM_MAX:
		return t == TY_U32 || t == TY_S32 || t == TY_U64 || t == TY_S64 || t == TY_F16 ||
		       t == TY_F16X2 || t == TY_BF16 || t == TY_BF16X2;
	case ATOM_AND:
	case ATOM_OR:
	case ATOM_XOR:
		return t == TY_B32 || t == TY_B64;
	case ATOM_EXCH:
		return t == TY_B32 || t == TY_B64;
	case ATOM_CAS:
		return t == TY_B16 || t == TY_B32 || t == TY_B64;
	default:
		return t == TY_U32;
	}
}

/* The operands of one element of an atomic: of a vector, or the only one. */
static struct operand *element(struct parser *p, struct raw *r, uint32_t n, uint32_t k,
			       uint32_t count)
{
	struct operand *o = &r->ops[n];

	if (o->kind != OPK_VECTOR && count == 1)
		return o;
	if (o->kind != OPK_VECTOR || o->count != count)
		bad_operand(p, r, n);
	return &o->elems[k];
}

/* Each element of a vector is an atomic of its own. */
static void emit_atom(struct parser *p, struct raw *r, const struct mem_op *of, bool red,
		      uint32_t count)
{
	uint32_t d[8], a = 0, n = red ? 1 : 2;
	enum type t = (enum type)of->atom_type;
	struct mem_op *m = NULL;

	for (uint32_t k = 0; k < count && !red; k++)
		d[k] = dst_operand(p, r, element(p, r, 0, k, count), t);
	for (uint32_t k = 0; k < count; k++) {
		struct insn *i;
		uint32_t b, c = OPERAND_NONE;

		m = parse_alloc(p, sizeof(*m));
		*m = *of;
		decode_address(p, r, n - 1, m, &a);
		m->offset += k * of->bytes;
		b = src_operand(p, r, element(p, r, n, k, count), t);
		if (of->atom == ATOM_CAS)
			c = src(p, r, n + 1, t);
		i = emit3(p, op_atom, red ? OPERAND_NONE : d[k], a, b, c);
		i->ptr = m;
	}
}

static void decode_atom(struct parser *p, struct raw *r, int red)
{
	struct mem_op m = {.count = 1};
	uint32_t n = red ? 2 : 3, count;
	int op = atom_op(r);
	enum type t;

	take_policy(p, r);
	take_strong(r);
	m.fence = take_order(r);
	m.space = (uint8_t)take_space(r);
	count = take(r, "v8") ? 8 : vector_count(r);
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, n + (op == ATOM_CAS), n + (op == ATOM_CAS));
	if (op < 0 || !atom_allowed(op, t) || t == TY_TF32 ||
	    (red && op >= ATOM_EXCH && op <= ATOM_CAS) ||
	    (m.space != SPACE_GENERIC && m.space != SPACE_GLOBAL && m.space != SPACE_SHARED))
		unknown_instruction(p, r);
	m.atom = (uint8_t)op;
	m.atom_type = (uint8_t)t;
	m.bytes = type_info[t].bytes;
	m.cls = type_info[t].cls;
	emit_atom(p, r, &m, red, count);
}

static void decode_fence(struct parser *p, struct raw *r, int arg)
{
	const bool acquires = take(r, "acquire"); /* a tensor map: its address and size */

	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, acquires ? 2 : 0, acquires ? 2 : 0);
	emit(p, op_fence);
}

/* Hints: the address may be anything, nothing is read. */
static void decode_prefetch(struct parser *p, struct raw *r, int arg)
{
	take_policy(p, r);
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, 1, 2);
	if (r->ops[0].at)
		bad_operand(p, r, 0);
	emit(p, op_nop);
}

/* A policy of the L2 cache is a number that only cache hints take; they change nothing. */
static void decode_createpolicy(struct parser *p, struct raw *r, int arg)
{
	bool is_range = take(r, "range"), converts = take(r, "cvt");
	uint32_t d;

	if (converts) {
		need_operands(p, r, 2, 2);
		src(p, r, 1, TY_B64);
	} else if (is_range) {
		need_operands(p, r, 4, 4);
		src(p, r, 2, TY_B32);
		src(p, r, 3, TY_B32);
	} else {
		need_operands(p, r, 1, 2);
		if (r->op_count == 2)
			src(p, r, 1, TY_F32);
	}
	r->mods_used = (1u << r->mod_count) - 1;
	d = dst(p, r, 0, TY_B64);
	emit3(p, mov_fn(CLS_D), d, constant(p, CLS_D, 1, NULL, NULL), OPERAND_NONE, OPERAND_NONE);
}

/* Kernels of one stream follow each other, and registers are without number. */
static void decode_no_effect(struct parser *p, struct raw *r, int operands)
{
	r->mods_used = (1u << r->mod_count) - 1;
	need_operands(p, r, (uint32_t)operands, (uint32_t)operands);
	emit(p, op_nop);
}

const struct opcode opcodes_mem[] = {
	{"ld", decode_ldst, 0},
	{"ldu", decode_ldst, 0},
	{"st", decode_ldst, 1},
	{"atom", decode_atom, 0},
	{"red", decode_atom, 1},
	{"membar", decode_fence, 0},
	{"fence", decode_fence, 0},
	{"prefetch", decode_prefetch, 0},
	{"prefetchu", decode_prefetch, 0},
	{"discard", decode_prefetch, 0},
	{"applypriority", decode_prefetch, 0},
	{"createpolicy", decode_createpolicy, 0},
	{"griddepcontrol", decode_no_effect, 0},
	{"setmaxnreg", decode_no_effect, 1},
	{NULL, NULL, 0},
};
