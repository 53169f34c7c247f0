/* SPDX-License-Identifier: MIT */
/* Loads and stores. */
#include "tests/simcuda/ptx/exec.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* The thread sanitizer does not know fences; an operation on one common word orders as much. */
static void full_fence(void)
{
#ifdef __SANITIZE_THREAD__
	static u32 common;

	__atomic_fetch_add(&common, 0, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* One element of each lane as read; the operation's size selects the member. */
union element {
	u8 b8[LANES];
	u16 b16[LANES];
	u32 b32[LANES];
	u64 b64[LANES];
};

static bool uniform(const u64 *at)
{
	u64 differs = 0, first = at[0];

	for (int l = 0; l < LANES; l++)
		differs |= at[l] ^ first;
	return !differs;
}

/*
 * Other threads and processes may write the same memory: each element is one access, and so is what
 * all lanes read at one address. Code of GCC's for OpenMP rests on that.
 */
#define GATHER(BITS)                                                                               \
	static inline void gather##BITS(u##BITS *t, const u64 *at, u32 offset)                     \
	{                                                                                          \
		if (uniform(at)) {                                                                 \
			u##BITS one = __atomic_load_n((const u##BITS *)(uintptr_t)(*at + offset),  \
						      __ATOMIC_RELAXED);                           \
			for (int l = 0; l < LANES; l++)                                            \
				t[l] = one;                                                        \
			return;                                                                    \
		}                                                                                  \
		for (int l = 0; l < LANES; l++)                                                    \
			t[l] = __atomic_load_n((const u##BITS *)(uintptr_t)(at[l] + offset),       \
					       __ATOMIC_RELAXED);                                  \
	}                                                                                          \
	static inline void scatter##BITS(const u##BITS *t, const u64 *at, u32 offset, u32 mask)    \
	{                                                                                          \
		for (u32 m = mask; m; m &= m - 1) {                                                \
			int l = __builtin_ctz(m);                                                  \
			__atomic_store_n((u##BITS *)(uintptr_t)(at[l] + offset), t[l],             \
					 __ATOMIC_RELAXED);                                        \
		}                                                                                  \
	}
GATHER(8)
GATHER(16)
GATHER(32)
GATHER(64)

static void gather(union element *e, const u64 *at, u32 offset, u32 bytes)
{
	switch (bytes) {
	case 1:
		gather8(e->b8, at, offset);
		break;
	case 2:
		gather16(e->b16, at, offset);
		break;
	case 4:
		gather32(e->b32, at, offset);
		break;
	default:
		gather64(e->b64, at, offset);
		break;
	}
}

static void scatter(const union element *e, const u64 *at, u32 offset, u32 bytes, u32 mask)
{
	switch (bytes) {
	case 1:
		scatter8(e->b8, at, offset, mask);
		break;
	case 2:
		scatter16(e->b16, at, offset, mask);
		break;
	case 4:
		scatter32(e->b32, at, offset, mask);
		break;
	default:
		scatter64(e->b64, at, offset, mask);
		break;
	}
}

/* To a register that is wider than the element: by its sign or with zeros. */
static void widen(struct warp *w, const struct mem_op *m, u32 reg, const union element *e, u32 mask)
{
	u64 t[LANES];

	for (int l = 0; l < LANES; l++) {
		u64 v = m->bytes == 1 ? e->b8[l] : m->bytes == 2 ? e->b16[l] : e->b32[l];
		u32 drop = 64 - 8u * m->bytes;

		t[l] = m->is_signed ? (u64)((int64_t)(v << drop) >> drop) : v;
	}
	put_wide(w, reg, (enum cls)m->cls, t, mask);
}

static void put_element(struct warp *w, const struct mem_op *m, u32 reg, const union element *e,
			u32 mask)
{
	if (m->bytes == 4 && m->cls == CLS_W)
		put32(row(w, reg), e->b32, mask);
	else if (m->bytes == 8)
		put64(row(w, reg), e->b64, mask);
	else if (m->bytes == 2 && m->cls == CLS_H)
		put16(row(w, reg), e->b16, mask);
	else
		widen(w, m, reg, e, mask);
}

static void get_element(const struct warp *w, const struct mem_op *m, u32 reg, union element *e)
{
	u64 t[LANES];

	if (m->bytes == (1u << m->cls)) {
		memcpy(e, row(w, reg), (size_t)LANES * m->bytes);
		return;
	}
	get_wide(w, reg, (enum cls)m->cls, t);
	for (int l = 0; l < LANES; l++) {
		if (m->bytes == 1)
			e->b8[l] = (u8)t[l];
		else if (m->bytes == 2)
			e->b16[l] = (u16)t[l];
		else
			e->b32[l] = (u32)t[l];
	}
}

static bool check_offsets(struct warp *w, const u64 *at, u64 base, u64 size, u32 mask, u32 bytes,
			  u64 window)
{
	if (size >= bytes && all_within(at, base, base + size - bytes, bytes))
		return true;
	for (u32 m = mask; m; m &= m - 1) {
		u32 l = (u32)__builtin_ctz(m);

		if (at[l] & (bytes - 1)) {
			fault(w, l, PTX_FAULT_MISALIGNED, at[l] | window);
			return false;
		}
		if (size < bytes || at[l] - base > size - bytes) {
			fault(w, l, PTX_FAULT_ADDRESS, at[l] | window);
			return false;
		}
	}
	return true;
}

/* Offsets in shared memory, of any block of the cluster, become addresses of the host. */
static bool shared_addresses(struct warp *w, u64 *at, u32 mask, u32 bytes)
{
	const struct ptx_cta *c = w->cta;
	const u32 first = (u32)__builtin_ctz(mask);

	if (c->cluster->count == 1 ||
	    (c->shared_bytes >= bytes && all_within(at, 0, c->shared_bytes - bytes, bytes))) {
		if (!check_offsets(w, at, 0, c->shared_bytes, mask, bytes, SHARED_WINDOW))
			return false;
		for (int l = 0; l < LANES; l++)
			at[l] += (uintptr_t)c->shared;
		return true;
	}
	for (u32 m = mask; m; m &= m - 1) {
		const u32 l = (u32)__builtin_ctz(m);
		const u8 *p = guest_place(w, l, SPACE_SHARED, at[l], bytes, false);

		if (!p)
			return false;
		at[l] = (uintptr_t)p;
	}
	for (int l = 0; l < LANES; l++)
		at[l] = mask >> l & 1 ? at[l] : at[first];
	return true;
}

/* All lanes use the same address: the words lie side by side. */
static void load_same(struct warp *w, const struct mem_op *m, const u32 *from, u32 reg, u32 mask)
{
	union element e;

	if (m->bytes == 4 && m->cls == CLS_W) {
		put32(row(w, reg), from, mask);
		return;
	}
	for (int l = 0; l < LANES; l++) {
		if (m->bytes == 4)
			e.b32[l] = from[l];
		else
			e.b64[l] = from[l] | (u64)from[l + LANES] << 32;
	}
	put_element(w, m, reg, &e, mask);
}

static void load_rows(struct warp *w, const struct mem_op *m, const u32 *rows, const u64 *at,
		      u32 mask)
{
	bool same = m->bytes >= 4 && uniform(at);

	for (u32 k = 0; k < m->count; k++) {
		union element e;

		if (same) {
			load_same(w, m, rows + (size_t)((at[0] + k * m->bytes) / 4) * LANES,
				  m->regs[k], mask);
			continue;
		}
		for (u32 l = 0; l < LANES; l++) {
			u64 v = local_get(rows, l, (u32)at[l] + k * m->bytes, m->bytes);

			if (m->bytes == 1)
				e.b8[l] = (u8)v;
			else if (m->bytes == 2)
				e.b16[l] = (u16)v;
			else if (m->bytes == 4)
				e.b32[l] = (u32)v;
			else
				e.b64[l] = v;
		}
		put_element(w, m, m->regs[k], &e, mask);
	}
}

static void store_same(const struct mem_op *m, u32 *to, const union element *e, u32 mask)
{
	u32 half[LANES];

	if (m->bytes == 4) {
		put32(to, e->b32, mask);
		return;
	}
	for (int l = 0; l < LANES; l++)
		half[l] = (u32)e->b64[l];
	put32(to, half, mask);
	for (int l = 0; l < LANES; l++)
		half[l] = (u32)(e->b64[l] >> 32);
	put32(to + LANES, half, mask);
}

static void store_rows(struct warp *w, const struct mem_op *m, u32 *rows, const u64 *at, u32 mask)
{
	bool same = m->bytes >= 4 && uniform(at);

	for (u32 k = 0; k < m->count; k++) {
		union element e;

		get_element(w, m, m->regs[k], &e);
		if (same) {
			store_same(m, rows + (size_t)((at[0] + k * m->bytes) / 4) * LANES, &e,
				   mask);
			continue;
		}
		for (u32 n = mask; n; n &= n - 1) {
			u32 l = (u32)__builtin_ctz(n);
			u64 v = m->bytes == 1   ? e.b8[l]
				: m->bytes == 2 ? e.b16[l]
				: m->bytes == 4 ? e.b32[l]
						: e.b64[l];

			local_put(rows, l, (u32)at[l] + k * m->bytes, m->bytes, v);
		}
	}
}

/* .param space: the launch's buffer below FRAME_PARAMS, the frame's own rows above. */
static int param_access(struct warp *w, const struct mem_op *m, u64 *at, u32 mask, bool store)
{
	const struct ptx_launch *launch = w->cta->launch;
	u32 bytes = (u32)m->bytes * m->count;

	if (at[__builtin_ctz(mask)] >= FRAME_PARAMS) {
		if (!check_offsets(w, at, FRAME_PARAMS, w->frame->func->frame_params, mask, bytes,
				   PARAM_WINDOW))
			return STEP_FAULT;
		for (int l = 0; l < LANES; l++)
			at[l] -= FRAME_PARAMS;
		if (store)
			store_rows(w, m, w->frame->params, at, mask);
		else
			load_rows(w, m, w->frame->params, at, mask);
		return STEP_NEXT;
	}
	if (store)
		return fault(w, (u32)__builtin_ctz(mask), PTX_FAULT_ADDRESS,
			     at[__builtin_ctz(mask)] | PARAM_WINDOW);
	if (!check_offsets(w, at, 0, launch->kernel->param_bytes, mask, bytes, PARAM_WINDOW))
		return STEP_FAULT;
	for (u32 k = 0; k < m->count; k++) {
		union element e;

		for (int l = 0; l < LANES; l++) {
			u64 v = 0;

			memcpy(&v, (const u8 *)launch->params + at[l] + k * m->bytes, m->bytes);
			if (m->bytes == 1)
				e.b8[l] = (u8)v;
			else if (m->bytes == 2)
				e.b16[l] = (u16)v;
			else if (m->bytes == 4)
				e.b32[l] = (u32)v;
			else
				e.b64[l] = v;
		}
		put_element(w, m, m->regs[k], &e, mask);
	}
	return STEP_NEXT;
}

/*
 * What all lanes store at one address is one write: between two of them another block might write
 * there, which has seen the first one. Which lane's value it is the manual does not say.
 */
static u32 one_writer(const u64 at[LANES], u32 mask)
{
	const u32 last = 31 - (u32)__builtin_clz(mask);
	u64 others = 0;

	for (u32 l = 0; l < LANES; l++)
		others |= mask >> l & 1 ? at[l] ^ at[last] : 0;
	return others ? mask : 1u << last;
}

static int access_space(struct warp *w, const struct mem_op *m, enum space space, u64 *at, u32 mask,
			bool store)
{
	u32 bytes = (u32)m->bytes * m->count;
	/* straight into the register */
	const bool whole = mask == FULL_MASK && m->bytes == (1u << m->cls);
	union element e;

	switch (space) {
	case SPACE_SHARED:
		if (!shared_addresses(w, at, mask, bytes))
			return STEP_FAULT;
		break;
	case SPACE_LOCAL:
		if (!check_offsets(w, at, 0, w->local_bytes, mask, bytes, LOCAL_WINDOW))
			return STEP_FAULT;
		if (store)
			store_rows(w, m, w->local, at, mask);
		else
			load_rows(w, m, w->local, at, mask);
		return STEP_NEXT;
	case SPACE_PARAM:
		return param_access(w, m, at, mask, store);
	default:
		if (!check_global(w, at, mask, bytes, bytes, store))
			return STEP_FAULT;
	}
	if (store)
		mask = one_writer(at, mask);
	for (u32 k = 0; k < m->count; k++) {
		if (store) {
			get_element(w, m, m->regs[k], &e);
			scatter(&e, at, k * m->bytes, m->bytes, mask);
		} else if (whole && m->bytes == 4) {
			gather32(row(w, m->regs[k]), at, k * m->bytes);
		} else if (whole && m->bytes == 8) {
			gather64(row(w, m->regs[k]), at, k * m->bytes);
		} else {
			gather(&e, at, k * m->bytes, m->bytes);
			put_element(w, m, m->regs[k], &e, mask);
		}
	}
	return STEP_NEXT;
}

/* Generic addresses: the lanes of each window in turn. */
static int access_generic(struct warp *w, const struct mem_op *m, const u64 *addr, u32 mask,
			  bool store)
{
	int result = STEP_NEXT;
	u32 all = mask;

	while (mask && result == STEP_NEXT) {
		enum space space;
		u32 part = same_window(addr, mask, &space);
		u64 at[LANES], first = addr[__builtin_ctz(part)];

		u64 keep = space == SPACE_GLOBAL ? ~0ull : ~WINDOW_MASK;

		for (int l = 0; l < LANES; l++)
			at[l] = addr[l] & keep;
		for (int l = 0; l < LANES && part != all; l++)
			at[l] = part >> l & 1 ? at[l] : first & keep;
		result = access_space(w, m, space, at, part, store);
		mask &= ~part;
	}
	return result;
}

/*
 * A vector load's destination may be its own address register, so addresses are taken first;
 * that also lets a fault leave the registers as they were.
 */
static __attribute__((noinline)) int load_lanes(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mem_op *m = i->ptr;
	u64 addr[LANES];

	addresses(w, i, m, mask, addr);
	if (m->space == SPACE_GENERIC)
		return access_generic(w, m, addr, mask, false);
	return access_space(w, m, (enum space)m->space, addr, mask, false);
}

int op_ld(struct warp *w, const struct insn *i, uint32_t mask)
{
	return access_coalesced(w, i, mask, false) ? STEP_NEXT : load_lanes(w, i, mask);
}

/* A load that others may be meant to change: one that repeats lets them run. */
int op_ld_strong(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mem_op *m = i->ptr;
	const u32 first = (u32)__builtin_ctz(mask);
	enum space space = (enum space)m->space;
	u64 addr[LANES], seen[LANES];
	int r;

	addresses(w, i, m, mask, addr);
	r = op_ld(w, i, mask);
	if (m->fence)
		full_fence();
	if (space == SPACE_GENERIC)
		same_window(addr, mask, &space);
	if (r != STEP_NEXT || m->count > 1 || !uniform(addr) ||
	    (space != SPACE_SHARED && space != SPACE_GLOBAL))
		return r;
	get_wide(w, m->regs[0], (enum cls)m->cls, seen);
	if (m->bytes < 8)
		seen[first] &= (1ull << 8 * m->bytes) - 1;
	if (space == SPACE_SHARED)
		addr[first] &= ~WINDOW_MASK;
	return maybe_spins(w, i, addr[first], space == SPACE_SHARED, m->bytes, seen[first]);
}

int op_st(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mem_op *m = i->ptr;
	u64 addr[LANES];

	if (m->fence)
		full_fence();
	no_spin(w);
	if (access_coalesced(w, i, mask, true))
		return STEP_NEXT;
	addresses(w, i, m, mask, addr);
	if (m->space == SPACE_GENERIC)
		return access_generic(w, m, addr, mask, true);
	return access_space(w, m, (enum space)m->space, addr, mask, true);
}

/* A kernel parameter at a constant offset is the same for every lane. */
int op_ld_kernel_param(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mem_op *m = i->ptr;
	const struct ptx_launch *launch = w->cta->launch;
	u32 at = m->param_at, bytes = (u32)m->bytes * m->count;

	if (at & (bytes - 1))
		return fault(w, (u32)__builtin_ctz(mask), PTX_FAULT_MISALIGNED, PARAM_WINDOW | at);
	if (launch->kernel->param_bytes < bytes || at > launch->kernel->param_bytes - bytes)
		return fault(w, (u32)__builtin_ctz(mask), PTX_FAULT_ADDRESS, PARAM_WINDOW | at);
	for (u32 k = 0; k < m->count; k++) {
		u64 v = 0, t[LANES];
		u32 drop = 64 - 8u * m->bytes;

		memcpy(&v, (const u8 *)launch->params + at + k * m->bytes, m->bytes);
		if (m->is_signed)
			v = (u64)((int64_t)(v << drop) >> drop);
		for (int l = 0; l < LANES; l++)
			t[l] = v;
		put_wide(w, m->regs[k], (enum cls)m->cls, t, mask);
	}
	return STEP_NEXT;
}

int op_fence(struct warp *w, const struct insn *i, uint32_t mask)
{
	full_fence();
	return STEP_NEXT;
}

/* x: class of d. Local addresses count from the frame's part of the thread's local memory. */
int op_local_address(struct warp *w, const struct insn *i, uint32_t mask)
{
	u64 v = (u64)i->imm + w->frame->local_base, t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = v;
	put_wide(w, i->d, (enum cls)i->x, t, mask);
	return STEP_NEXT;
}
