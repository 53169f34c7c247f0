/* SPDX-License-Identifier: MIT */
/* The histograms that a worker reports. They are read when statistics are asked for, not when a
 * decision is made. */
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

/* More than any GPU can do. */
#define COMMANDS_A_US 64u
#define SLACK         4096u
#define TIME_MOST     (UINT64_MAX / 4) /* the sum of reported times must not wrap */

#define LOAD(p)       __atomic_load_n(p, __ATOMIC_RELAXED)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Adds the growth of one histogram, at most so many times. Returns their number. */
static uint64_t add_growth(struct pvgpu_latency *sum, struct pvgpu_latency *last,
			   const struct pvgpu_latency *told, uint64_t most)
{
	const uint64_t left = most;
	uint64_t ns = LOAD(&told->ns), now;

	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++) {
		now = LOAD(&told->n[i]);
		if (now > last->n[i]) {
			const uint64_t n = least(now - last->n[i], most);

			sum->n[i] += n;
			most -= n;
		}
		last->n[i] = now;
	}
	if (ns > last->ns)
		sum->ns = least(sum->ns + least(ns - last->ns, TIME_MOST), TIME_MOST);
	last->ns = ns;
	return left - most;
}

/* An adopted worker's first report: a former pvgpud has counted it. */
static void base(struct gate *g)
{
	struct pvgpu_latency ignored = {0};

	add_growth(&ignored, &g->waits, &g->far->waits, 0);
	add_growth(&ignored, &g->kernels, &g->far->kernels, 0);
	g->waits_commands = LOAD(&g->far->commands);
}

void latency_take(struct gate *g, uint64_t now)
{
	struct tenant_stats *n = g->tenant->count;
	uint64_t most, commands, waited;

	if (!g->waits_at)
		g->waits_at = g->taken_at;
	most = (now > g->waits_at ? now - g->waits_at : 0) / 1000 * COMMANDS_A_US + SLACK;
	g->waits_at = now;
	if (g->session.adopted) {
		base(g);
		return;
	}
	commands = LOAD(&g->far->commands);
	waited = add_growth(&n->command_wait, &g->waits, &g->far->waits, most);
	add_growth(&n->kernels, &g->kernels, &g->far->kernels, most);
	/* The commands that were never parked. */
	commands = commands > g->waits_commands ? least(commands - g->waits_commands, most) : 0;
	g->waits_commands += commands;
	if (commands > waited)
		n->command_wait.n[0] += commands - waited;
}

uint64_t latency_parked(const struct gate *g)
{
	return least(LOAD(&g->far->parked), UINT32_MAX);
}
