/* SPDX-License-Identifier: MIT */
/* Atomic operations: real ones, since blocks of several threads and processes run at once. */
#include "tests/simcuda/ptx/exec.h"

typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

static u32 add_float(u32 a, u32 b)
{
	float x, y;
	u32 v;

	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	x += y;
	memcpy(&v, &x, sizeof(v));
	return x != x ? 0x7fffffffu : v;
}

static u64 add_double(u64 a, u64 b)
{
	double x, y;

	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	x += y;
	memcpy(&a, &x, sizeof(x));
	return a;
}

/* The new value of an operation; b is the operand. */
static u32 combine32(enum atom op, enum type t, u32 old, u32 b)
{
	if (type_info[t].kind == KIND_F && t != TY_F32)
		return half_atomic(op, t, old, b);
	switch (op) {
	case ATOM_ADD:
		return t == TY_F32 ? add_float(old, b) : old + b;
	case ATOM_MIN:
		return t == TY_S32 ? (int32_t)old < (int32_t)b ? old : b : old < b ? old : b;
	case ATOM_MAX:
		return t == TY_S32 ? (int32_t)old > (int32_t)b ? old : b : old > b ? old : b;
	case ATOM_AND:
		return old & b;
	case ATOM_OR:
		return old | b;
	case ATOM_XOR:
		return old ^ b;
	case ATOM_INC:
		return old >= b ? 0 : old + 1;
	case ATOM_DEC:
		return old == 0 || old > b ? b : old - 1;
	default:
		return b;
	}
}

static u64 combine64(enum atom op, enum type t, u64 old, u64 b)
{
	switch (op) {
	case ATOM_ADD:
		return t == TY_F64 ? add_double(old, b) : old + b;
	case ATOM_MIN:
		return t == TY_S64 ? (int64_t)old < (int64_t)b ? old : b : old < b ? old : b;
	case ATOM_MAX:
		return t == TY_S64 ? (int64_t)old > (int64_t)b ? old : b : old > b ? old : b;
	case ATOM_AND:
		return old & b;
	case ATOM_OR:
		return old | b;
	case ATOM_XOR:
		return old ^ b;
	default:
		return b;
	}
}

static u32 atomic32(u32 *p, enum atom op, enum type t, u32 b, u32 c)
{
	u32 old, new;

	if (op == ATOM_ADD && t != TY_F32 && type_info[t].kind != KIND_F)
		return __atomic_fetch_add(p, b, __ATOMIC_SEQ_CST);
	if (op == ATOM_EXCH)
		return __atomic_exchange_n(p, b, __ATOMIC_SEQ_CST);
	if (op == ATOM_CAS) {
		__atomic_compare_exchange_n(p, &b, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return b;
	}
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	do
		new = combine32(op, t, old, b);
	while (!__atomic_compare_exchange_n(p, &old, new, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
	return old;
}

static u64 atomic64(u64 *p, enum atom op, enum type t, u64 b, u64 c)
{
	u64 old, new;

	if (op == ATOM_ADD && t != TY_F64)
		return __atomic_fetch_add(p, b, __ATOMIC_SEQ_CST);
	if (op == ATOM_EXCH)
		return __atomic_exchange_n(p, b, __ATOMIC_SEQ_CST);
	if (op == ATOM_CAS) {
		__atomic_compare_exchange_n(p, &b, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return b;
	}
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	do
		new = combine64(op, t, old, b);
	while (!__atomic_compare_exchange_n(p, &old, new, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
	return old;
}

static u16 atomic16(u16 *p, enum atom op, enum type t, u16 b, u16 c)
{
	u16 old, new;

	if (op == ATOM_CAS) {
		__atomic_compare_exchange_n(p, &b, c, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return b;
	}
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	do
		new = (u16)half_atomic(op, t, old, b);
	while (!__atomic_compare_exchange_n(p, &old, new, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
	return old;
}

uint64_t atomic_at(void *p, const struct mem_op *m, uint64_t b, uint64_t c)
{
	enum atom op = (enum atom)m->atom;
	enum type t = (enum type)m->atom_type;

	switch (m->bytes) {
	case 2:
		return atomic16(p, op, t, (u16)b, (u16)c);
	case 4:
		return atomic32(p, op, t, (u32)b, (u32)c);
	default:
		return atomic64(p, op, t, b, c);
	}
}

/* Local memory is the thread's own: operate on a copy. */
static u64 atomic_local(struct warp *w, u32 lane, u32 at, const struct mem_op *m, u64 b, u64 c)
{
	u64 old, v = local_get(w->local, lane, at, m->bytes);

	old = v;
	atomic_at(&v, m, b, c);
	local_put(w->local, lane, at, m->bytes, v);
	return old;
}

static bool check_own(struct warp *w, u32 lane, u64 at, u64 size, u32 bytes, u64 window)
{
	if (at & (bytes - 1)) {
		fault(w, lane, PTX_FAULT_MISALIGNED, at | window);
		return false;
	}
	if (size < bytes || at > size - bytes) {
		fault(w, lane, PTX_FAULT_ADDRESS, at | window);
		return false;
	}
	return true;
}

static bool atomic_lane(struct warp *w, const struct mem_op *m, u32 lane, u64 addr, u64 b, u64 c,
			u64 *old)
{
	enum space space = (enum space)m->space;
	u64 one[LANES];

	if (space == SPACE_GENERIC) {
		one[0] = addr;
		for (int l = 1; l < LANES; l++)
			one[l] = addr;
		same_window(one, 1, &space);
		if (space != SPACE_GLOBAL)
			addr &= ~WINDOW_MASK;
	}
	if (space == SPACE_SHARED) {
		uint8_t *at = guest_place(w, lane, space, addr, m->bytes, true);

		if (at)
			*old = atomic_at(at, m, b, c);
		return at != NULL;
	}
	if (space == SPACE_LOCAL) {
		if (!check_own(w, lane, addr, w->local_bytes, m->bytes, LOCAL_WINDOW))
			return false;
		*old = atomic_local(w, lane, (u32)addr, m, b, c);
		return true;
	}
	if (space == SPACE_PARAM) {
		fault(w, lane, PTX_FAULT_ADDRESS, addr | PARAM_WINDOW);
		return false;
	}
	*old = atomic_at((void *)(uintptr_t)addr, m, b, c);
	return true;
}

/* Is it an attempt that has failed, or nothing but a look? What min and max leave is no sign. */
static bool leaves(const struct mem_op *m, u64 old, u64 b)
{
	switch (m->atom) {
	case ATOM_CAS:
		return old != b;
	case ATOM_EXCH:
		return old == b;
	case ATOM_ADD:
	case ATOM_OR:
	case ATOM_XOR:
		return !b && type_info[m->atom_type].kind != KIND_F;
	case ATOM_AND:
		return b == ~0ull >> (64 - 8 * m->bytes);
	default:
		return false;
	}
}

/* A lock that is not free, or a value that is only looked at: who spins on it lets others run. */
static int after_atom(struct warp *w, const struct insn *i, u32 mask, const u64 *addr, const u64 *b,
		      const u64 *old)
{
	const struct mem_op *m = i->ptr;
	const u32 first = (u32)__builtin_ctz(mask);
	enum space space = (enum space)m->space;

	for (u32 n = mask; n; n &= n - 1) {
		const int l = __builtin_ctz(n);

		if (!leaves(m, old[l], b[l])) {
			no_spin(w);
			return STEP_NEXT;
		}
	}
	if (space == SPACE_GENERIC)
		same_window(addr, 1u << first, &space);
	if (space != SPACE_SHARED && space != SPACE_GLOBAL)
		return STEP_NEXT;
	return maybe_spins(w, i, space == SPACE_SHARED ? addr[first] & ~WINDOW_MASK : addr[first],
			   space == SPACE_SHARED, m->bytes, old[first]);
}

/* One lane after the other, as the lanes of a warp on one address must be. */
int op_atom(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mem_op *m = i->ptr;
	u64 addr[LANES], b[LANES], c[LANES] = {0}, old[LANES] = {0};
	u32 global = mask;

	addresses(w, i, m, mask, addr);
	get_wide(w, i->b, (enum cls)m->cls, b);
	if (i->c != OPERAND_NONE)
		get_wide(w, i->c, (enum cls)m->cls, c);
	if (m->space == SPACE_SHARED) {
		global = 0;
	} else if (m->space == SPACE_GENERIC) {
		for (u32 n = mask; n; n &= n - 1) {
			u32 l = (u32)__builtin_ctz(n);
			u64 top = addr[l] & WINDOW_MASK;

			if (top == SHARED_WINDOW || top == LOCAL_WINDOW || top == PARAM_WINDOW)
				global &= ~(1u << l);
		}
	}
	if (global) {
		u64 at[LANES];

		for (int l = 0; l < LANES; l++)
			at[l] = global >> l & 1 ? addr[l] : addr[__builtin_ctz(global)];
		if (!check_global(w, at, global, m->bytes, m->bytes, true))
			return STEP_FAULT;
	}
	for (u32 n = mask; n; n &= n - 1) {
		u32 l = (u32)__builtin_ctz(n);

		if (!atomic_lane(w, m, l, addr[l], b[l], c[l], &old[l]))
			return STEP_FAULT;
	}
	if (i->d != OPERAND_NONE)
		put_wide(w, i->d, (enum cls)m->cls, old, mask);
	return after_atom(w, i, mask, addr, b, old);
}
