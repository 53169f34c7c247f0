/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous copies and mbarrier objects. A copy is done where it is begun, which a device may
 * do, too; so waiting for it has nothing left to do.
 */
#include "tests/simcuda/ptx/exec_async.h"

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define COUNT_BITS 20
#define COUNT_MAX  ((1u << COUNT_BITS) - 1)

/* An mbarrier object: the arrivals that its phase still lacks, those that each phase expects, the
 * bytes that are under way, and the number of the phase, odd or even. */
struct state {
	u32 pending, expected;
	int32_t bytes;
	u32 parity;
};

static struct state unpacked(u64 v)
{
	return (struct state){.pending = v & COUNT_MAX,
			      .expected = v >> COUNT_BITS & COUNT_MAX,
			      .bytes = (int32_t)((int64_t)(v << 2) >> 42),
			      .parity = (u32)(v >> 63)};
}

static u64 packed(const struct state *s)
{
	return s->pending | (u64)s->expected << COUNT_BITS |
	       ((u64)(u32)s->bytes & 0x3fffffu) << 40 | (u64)s->parity << 63;
}

static void end_phase(struct state *s)
{
	if (s->pending || s->bytes)
		return;
	s->parity ^= 1;
	s->pending = s->expected;
}

void place_addresses(const struct warp *w, const struct place_op *p, uint32_t mask,
		     uint64_t out[LANES])
{
	const struct insn i = {.a = p->row};

	addresses(w, &i, &p->at, mask, out);
}

void tell_barrier(uint8_t *barrier, uint32_t bytes)
{
	struct state s;
	u64 v;

	memcpy(&v, barrier, sizeof(v));
	s = unpacked(v);
	s.bytes -= (int32_t)bytes;
	end_phase(&s);
	v = packed(&s);
	memcpy(barrier, &v, sizeof(v));
}

static void reduce_all(u8 *to, const u8 *from, u32 bytes, const struct mem_op *m)
{
	for (u32 at = 0; at < bytes; at += m->bytes) {
		u64 v = 0;

		memcpy(&v, from + at, m->bytes);
		atomic_at(to + at, m, v, 0);
	}
}

struct lane_copy {
	u64 to, from, barrier;
	u32 bytes, given; /* what is behind the given bytes is zero */
};

static bool copy_to(struct warp *w, const struct copy_op *c, u32 lane, const struct lane_copy *n)
{
	u8 *tells = NULL, *d, *s;

	d = guest_block(w, lane, (enum space)c->to.at.space, n->to, n->bytes, true);
	s = d && n->given
		    ? guest_block(w, lane, (enum space)c->from.at.space, n->from, n->given, false)
		    : d;
	if (d && c->tells)
		tells = guest_place(w, lane, (enum space)c->barrier.at.space, n->barrier, 8, true);
	if (!d || !s || (c->tells && !tells))
		return false;
	if (c->reduces) {
		reduce_all(d, s, n->bytes, &c->reduce);
	} else {
		memmove(d, s, n->given);
		memset(d + n->given, 0, n->bytes - n->given);
	}
	if (tells)
		tell_barrier(tells, n->bytes);
	return true;
}

/* To the same place in each block of a mask, whose barrier is told. */
static bool copy_to_all(struct warp *w, const struct copy_op *c, u32 lane, struct lane_copy *n)
{
	const u64 to = n->to, barrier = n->barrier;
	u32 ranks = ((const uint16_t *)row(w, c->ranks))[lane];

	for (; ranks; ranks &= ranks - 1) {
		const u32 rank = (u32)__builtin_ctz(ranks);

		if (rank >= w->cta->cluster->count) {
			fault(w, lane, PTX_FAULT_INSTRUCTION, rank);
			return false;
		}
		n->to = cluster_address(w->cta, to, rank);
		n->barrier = cluster_address(w->cta, barrier, rank);
		if (!copy_to(w, c, lane, n))
			return false;
	}
	return true;
}

static bool copy_lane(struct warp *w, const struct copy_op *c, u32 lane, struct lane_copy *n)
{
	const u32 bytes = c->bytes ? c->bytes : ((const u32 *)row(w, c->size))[lane];
	const u32 align = c->bulk ? 16 : bytes;

	n->bytes = n->given = bytes;
	if (c->from_size != OPERAND_NONE)
		n->given = ((const u32 *)row(w, c->from_size))[lane];
	if (c->ignore != OPERAND_NONE && pred_row(w, c->ignore) >> lane & 1)
		n->given = 0;
	n->given = n->given < bytes ? n->given : bytes;
	if (n->to % align || (n->given && n->from % align) || (c->bulk && bytes % 16)) {
		fault(w, lane, PTX_FAULT_MISALIGNED, n->to % align ? n->to : n->from);
		return false;
	}
	return c->ranks == OPERAND_NONE ? copy_to(w, c, lane, n) : copy_to_all(w, c, lane, n);
}

int op_cp(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct copy_op *c = i->ptr;
	u64 to[LANES], from[LANES], barrier[LANES] = {0};

	no_spin(w);
	place_addresses(w, &c->to, mask, to);
	place_addresses(w, &c->from, mask, from);
	if (c->tells)
		place_addresses(w, &c->barrier, mask, barrier);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 l = (u32)__builtin_ctz(n);
		struct lane_copy one = {.to = to[l], .from = from[l], .barrier = barrier[l]};

		if (!copy_lane(w, c, l, &one))
			return STEP_FAULT;
	}
	return STEP_NEXT;
}

static bool change(struct state *s, const struct mbarrier_op *m, u32 n)
{
	switch (m->what) {
	case MBARRIER_INIT:
		*s = (struct state){.pending = n, .expected = n};
		return n && n <= COUNT_MAX;
	case MBARRIER_INVAL:
		*s = (struct state){0};
		return true;
	case MBARRIER_EXPECT:
		s->bytes += (int32_t)n;
		return true;
	case MBARRIER_COMPLETE:
		s->bytes -= (int32_t)n;
		end_phase(s);
		return true;
	default:
		if (m->expects) {
			s->bytes += (int32_t)n;
			n = 1;
		}
		if (!n || n > s->pending)
			return false;
		s->pending -= n;
		if (m->what == MBARRIER_DROP)
			s->expected -= n;
		end_phase(s);
		return true;
	}
}

/* d: the object's state before, which names the phase that the lane arrived in. */
int op_mbarrier(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mbarrier_op *m = i->ptr;
	const u32 *count = row(w, m->count);
	u64 addr[LANES], old[LANES] = {0};

	no_spin(w);
	if (m->what == MBARRIER_COUNT) {
		const u64 *state = row(w, i->a);
		u32 t[LANES];

		for (int l = 0; l < LANES; l++)
			t[l] = unpacked(state[l]).pending;
		put32(row(w, i->d), t, mask);
		return STEP_NEXT;
	}
	place_addresses(w, &m->at, mask, addr);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 l = (u32)__builtin_ctz(n);
		u8 *at = guest_place(w, l, (enum space)m->at.at.space, addr[l], 8, true);
		struct state s;
		u64 v;

		if (!at)
			return STEP_FAULT;
		memcpy(&old[l], at, 8);
		s = unpacked(old[l]);
		if (!change(&s, m, count[l]))
			return fault(w, l, PTX_FAULT_INSTRUCTION, addr[l]);
		v = packed(&s);
		memcpy(at, &v, 8);
	}
	if (i->d != OPERAND_NONE)
		put64(row(w, i->d), old, mask);
	return STEP_NEXT;
}

/* test_wait and try_wait: has the phase of a state, or that of a parity, ended? */
int op_mbarrier_wait(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct mbarrier_op *m = i->ptr;
	const u32 first = (u32)__builtin_ctz(mask);
	u64 addr[LANES], now[LANES] = {0};
	u32 ended = 0;
	u8 *at;

	place_addresses(w, &m->at, mask, addr);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 l = (u32)__builtin_ctz(n);
		u32 parity;

		at = guest_place(w, l, (enum space)m->at.at.space, addr[l], 8, false);
		if (!at)
			return STEP_FAULT;
		memcpy(&now[l], at, 8);
		parity = m->by_parity ? ((const u32 *)row(w, m->count))[l] & 1
				      : unpacked(((const u64 *)row(w, m->count))[l]).parity;
		ended |= (u32)(unpacked(now[l]).parity != parity) << l;
	}
	put_pred(w, i->d, ended, mask);
	if (ended)
		return STEP_NEXT;
	at = guest_place(w, first, (enum space)m->at.at.space, addr[first], 8, false);
	if (at < w->cta->shared || at >= w->cta->shared + w->cta->shared_bytes)
		return STEP_NEXT; /* not of this block */
	return maybe_spins(w, i, (u64)(at - w->cta->shared), true, 8, now[first]);
}
