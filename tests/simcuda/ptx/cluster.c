/* SPDX-License-Identifier: MIT */
/* Clusters: the ranks of their blocks, their barrier, and shared memory of one for all. */
#include "tests/simcuda/ptx/exec.h"

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* Number i of x, y, z that follow each other from `first` on. */
static u32 dimension(enum special id, enum special first)
{
	return (u32)id - (u32)first;
}

uint32_t cluster_special(const struct ptx_cta *c, enum special id)
{
	const struct cluster *k = c->cluster;
	u32 n;

	switch (id) {
	case SPECIAL_CLUSTERID_X:
	case SPECIAL_CLUSTERID_Y:
	case SPECIAL_CLUSTERID_Z:
		n = dimension(id, SPECIAL_CLUSTERID_X);
		return c->id[n] / k->size[n];
	case SPECIAL_NCLUSTERID_X:
	case SPECIAL_NCLUSTERID_Y:
	case SPECIAL_NCLUSTERID_Z:
		n = dimension(id, SPECIAL_NCLUSTERID_X);
		return c->launch->grid[n] / k->size[n];
	case SPECIAL_CLUSTER_CTAID_X:
	case SPECIAL_CLUSTER_CTAID_Y:
	case SPECIAL_CLUSTER_CTAID_Z:
		n = dimension(id, SPECIAL_CLUSTER_CTAID_X);
		return c->id[n] % k->size[n];
	case SPECIAL_CLUSTER_NCTAID_X:
	case SPECIAL_CLUSTER_NCTAID_Y:
	case SPECIAL_CLUSTER_NCTAID_Z:
		return k->size[dimension(id, SPECIAL_CLUSTER_NCTAID_X)];
	case SPECIAL_CLUSTER_CTARANK:
		return c->rank;
	case SPECIAL_CLUSTER_NCTARANK:
		return k->count;
	case SPECIAL_IS_CLUSTER:
		return c->launch->cluster[0] != 0;
	default:
		return 0;
	}
}

uint8_t *shared_place(const struct ptx_cta *c, uint64_t offset, uint32_t bytes, bool *ended)
{
	const u64 rank = offset / CLUSTER_STRIDE;

	*ended = false;
	if (rank) {
		if (rank > c->cluster->count)
			return NULL;
		offset %= CLUSTER_STRIDE;
		*ended = !c->cluster->blocks[rank - 1]->live_warps;
		c = c->cluster->blocks[rank - 1];
	}
	return offset <= c->shared_bytes && bytes <= c->shared_bytes - offset ? c->shared + offset
									      : NULL;
}

uint8_t *shared_of_lane(struct warp *w, uint32_t lane, uint64_t offset, uint32_t bytes)
{
	bool ended;
	u8 *at = shared_place(w->cta, offset, bytes, &ended);

	if (at && !ended)
		return at;
	fault(w, lane, at ? PTX_FAULT_CLUSTER : PTX_FAULT_ADDRESS, offset | SHARED_WINDOW);
	return NULL;
}

uint64_t cluster_address(const struct ptx_cta *c, uint64_t addr, uint32_t rank)
{
	const u64 offset = addr & (WINDOW_SIZE - 1);

	if (c->cluster->count == 1)
		return addr;
	return addr - offset + offset % CLUSTER_STRIDE + (rank + 1ull) * CLUSTER_STRIDE;
}

/* The address of the same variable in the block of rank b. x: class of the addresses. */
int op_mapa(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct ptx_cta *c = w->cta;
	const u32 *rank = row(w, i->b);
	u64 a[LANES];

	get_wide(w, i->a, (enum cls)i->x, a);
	for (u32 n = mask; n; n &= n - 1) {
		const u32 l = (u32)__builtin_ctz(n);

		if (rank[l] >= c->cluster->count)
			return fault(w, l, PTX_FAULT_INSTRUCTION, rank[l]);
		a[l] = cluster_address(c, a[l], rank[l]);
	}
	put_wide(w, i->d, (enum cls)i->x, a, mask);
	return STEP_NEXT;
}

/* x: class of the addresses. */
int op_getctarank(struct warp *w, const struct insn *i, uint32_t mask)
{
	u64 a[LANES];
	u32 t[LANES];

	get_wide(w, i->a, (enum cls)i->x, a);
	for (int l = 0; l < LANES; l++) {
		const u64 rank = (a[l] & (WINDOW_SIZE - 1)) / CLUSTER_STRIDE;

		t[l] = rank ? (u32)rank - 1 : w->cta->rank;
	}
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}

/* Threads have arrived at the barrier, or exited. */
void cluster_check_barrier(struct cluster *k)
{
	bool busy = false;

	for (u32 n = 0; n < k->count; n++) {
		const struct ptx_cta *c = k->blocks[n];

		busy |= c->barriers[CLUSTER_BARRIER].busy;
		if (!barrier_complete(c, &c->barriers[CLUSTER_BARRIER]))
			return;
	}
	if (!busy)
		return;
	for (u32 n = 0; n < k->count; n++)
		barrier_release(k->blocks[n], CLUSTER_BARRIER);
	k->phase++;
}

int op_cluster_arrive(struct warp *w, const struct insn *i, uint32_t mask)
{
	struct ptx_cta *c = w->cta;
	struct barrier *b = &c->barriers[CLUSTER_BARRIER];

	part_with_others(w, mask, current_pc(w, i) + 1);
	no_spin(w);
	for (u32 l = 0; l < LANES; l++)
		if (mask >> l & 1)
			w->cluster_phase[l] = c->cluster->phase;
	b->busy = true;
	b->arrived[w->index] |= mask;
	w->cur->pc = current_pc(w, i) + 1;
	cluster_check_barrier(c->cluster);
	return STEP_PICK;
}

/* barrier.cluster.wait: for the phase in which these lanes arrived. */
int op_cluster_wait(struct warp *w, const struct insn *i, uint32_t mask)
{
	struct ptx_cta *c = w->cta;
	u32 pc = current_pc(w, i), waiting = 0;

	for (u32 l = 0; l < LANES; l++)
		waiting |= (u32)(w->cluster_phase[l] == c->cluster->phase) << l;
	waiting &= mask & c->barriers[CLUSTER_BARRIER].arrived[w->index];
	if (!waiting)
		return STEP_NEXT;
	part_with_others(w, waiting, pc + 1);
	w->cur->pc = pc;
	w->cur->state = SPLIT_BARRIER;
	w->cur->barrier = CLUSTER_BARRIER;
	return STEP_PICK;
}
