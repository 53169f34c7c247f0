/* SPDX-License-Identifier: MIT */
/* Special registers. */
#include "tests/simcuda/ptx/exec.h"

typedef uint32_t u32;
typedef uint64_t u64;

/* Follows the device's time, and each call returns a larger value. */
uint64_t cta_clock(struct ptx_cta *c)
{
	u64 ns = c->env->globaltimer_ns(c->env->arg);
	u64 clock = ns / 1000000 * c->env->clock_khz + ns % 1000000 * c->env->clock_khz / 1000000;

	c->last_clock = clock > c->last_clock ? clock : c->last_clock + 1;
	return c->last_clock;
}

static u32 lanemask(enum special id, u32 l)
{
	u32 eq = 1u << l, lt = eq - 1;

	switch (id) {
	case SPECIAL_LANEMASK_EQ:
		return eq;
	case SPECIAL_LANEMASK_LT:
		return lt;
	case SPECIAL_LANEMASK_LE:
		return lt | eq;
	case SPECIAL_LANEMASK_GT:
		return ~(lt | eq);
	default:
		return ~lt;
	}
}

static u64 same_for_all(struct warp *w, enum special id)
{
	struct ptx_cta *c = w->cta;
	const struct ptx_launch *l = c->launch;
	const struct ptx_env *env = c->env;

	switch (id) {
	case SPECIAL_ONE:
		return 1;
	case SPECIAL_NTID_X:
		return l->block[0];
	case SPECIAL_NTID_Y:
		return l->block[1];
	case SPECIAL_NTID_Z:
		return l->block[2];
	case SPECIAL_CTAID_X:
		return c->id[0];
	case SPECIAL_CTAID_Y:
		return c->id[1];
	case SPECIAL_CTAID_Z:
		return c->id[2];
	case SPECIAL_NCTAID_X:
		return l->grid[0];
	case SPECIAL_NCTAID_Y:
		return l->grid[1];
	case SPECIAL_NCTAID_Z:
		return l->grid[2];
	case SPECIAL_WARPID:
		return w->index;
	case SPECIAL_NWARPID:
		return 64;
	case SPECIAL_SMID:
		return c->smid;
	case SPECIAL_NSMID:
		return env->sm_count;
	case SPECIAL_GRIDID:
		return l->grid_id;
	case SPECIAL_CLOCK:
		return (u32)cta_clock(c);
	case SPECIAL_CLOCK_HI:
		return cta_clock(c) >> 32;
	case SPECIAL_CLOCK64:
		return cta_clock(c);
	case SPECIAL_GLOBALTIMER:
		return env->globaltimer_ns(env->arg);
	case SPECIAL_GLOBALTIMER_LO:
		return (u32)env->globaltimer_ns(env->arg);
	case SPECIAL_GLOBALTIMER_HI:
		return env->globaltimer_ns(env->arg) >> 32;
	case SPECIAL_DYNAMIC_SMEM:
		return l->dynamic_shared;
	case SPECIAL_TOTAL_SMEM:
		return l->kernel->shared_bytes + l->dynamic_shared;
	case SPECIAL_ZERO:
		return 0;
	default:
		return cluster_special(c, id);
	}
}

int op_special(struct warp *w, const struct insn *i, uint32_t mask)
{
	enum special id = (enum special)i->x;
	u32 t[LANES];

	if (id == SPECIAL_IS_CLUSTER) {
		put_pred(w, i->d, same_for_all(w, id) ? FULL_MASK : 0, mask);
		return STEP_NEXT;
	}
	if (id >= SPECIAL_FIRST64) {
		u64 v = same_for_all(w, id), t64[LANES];

		for (int l = 0; l < LANES; l++)
			t64[l] = v;
		put64(row(w, i->d), t64, mask);
		return STEP_NEXT;
	}
	if (id >= SPECIAL_TID_X && id <= SPECIAL_TID_Z) {
		put32(row(w, i->d), w->tid[id - SPECIAL_TID_X], mask);
		return STEP_NEXT;
	}
	if (id == SPECIAL_LANEID || (id >= SPECIAL_LANEMASK_EQ && id <= SPECIAL_LANEMASK_GT)) {
		for (u32 l = 0; l < LANES; l++)
			t[l] = id == SPECIAL_LANEID ? l : lanemask(id, l);
	} else {
		u32 v = (u32)same_for_all(w, id);

		for (int l = 0; l < LANES; l++)
			t[l] = v;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}
