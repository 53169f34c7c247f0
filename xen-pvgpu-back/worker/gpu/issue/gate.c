/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the gate: may GPU work be issued, and what pvgpud must be told of it.
 *
 * The decoding thread does all of it. Commands that wait for the gate are parked (submit.c); a ring
 * of pvgpud's and the end of work in flight both make that thread look again. Each side stores its
 * word before it looks at the other's, so no wake-up is lost: here `wants`, `sleeps` and `drained`
 * before `open`, `contended` and the allowances.
 */
#include <pthread.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/swap.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/worker.h"

#define LOOK_MS        100 /* while work is in flight and no other vGPU wants the GPU */
#define FENCE_LEAST_NS 100000u
#define FENCE_MOST_NS  (PVGPU_GATE_ALONE_NS / 4)

static void put_word(uint32_t *word, bool value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void ring(const struct gate *t)
{
	const uint64_t one = 1;

	if (t->bell >= 0 && write(t->bell, &one, sizeof(one)) < 0) {
		/* Full: pvgpud has rings to take. Or it is gone. */
	}
}

void gate_withdraw_slow(struct gate *t)
{
	gate_put(&t->report->commands, --t->commands);
	gate_abort(t);
}

void gate_awaited(struct gate *t, uint64_t commands)
{
	gate_put(&t->report->awaited, commands);
}

/* Completion threads write to the report, too. */
void gate_set_report(struct gpu *g, struct pvgpu_gate_report *r)
{
	pthread_mutex_lock(&g->complete.lock);
	g->gate.report = r;
	pthread_mutex_unlock(&g->complete.lock);
}

/* ---- may more be issued? ---- */

static uint64_t bound(const struct gate *t)
{
	return gate_number(&t->page->inflight_ns);
}

static bool shut(const struct gate *t, bool copies)
{
	const struct pvgpu_gate *p = t->page;

	return !gate_word(&p->open) || t->commands + t->nodes >= gate_number(&p->commands) ||
	       (copies && t->bytes >= gate_number(&p->bytes));
}

static void tell_state(struct gate *t, bool wants, bool drained, bool sleeps)
{
	t->wants = wants;
	t->drained = drained;
	t->sleeps = sleeps;
	t->steady = wants && !drained && !sleeps;
	put_word(&t->report->wants, wants);
	put_word(&t->report->drained, drained);
	put_word(&t->report->sleeps, sleeps);
}

static void tell_issued(struct gate *t, bool issued)
{
	t->issued = issued;
	put_word(&t->report->issued, issued);
}

/* How exactly pvgpud wants to be told, and so how far apart fences are. */
static void take_mode(struct gate *t)
{
	const uint32_t depth = gate_word(&t->page->depth);
	uint64_t fence = bound(t) / 4;

	t->exact = t->sleeps || gate_word(&t->page->contended) || !gate_word(&t->page->open);
	if (bound(t) != PVGPU_GATE_NO_LIMIT && fence > FENCE_MOST_NS)
		fence = FENCE_MOST_NS;
	t->fence_cost = fence < FENCE_LEAST_NS ? FENCE_LEAST_NS : fence;
	t->fence_work = depth ? depth / 4 + 1 : UINT64_MAX;
}

/* Closed, or an allowance used up. False: it has opened while this was reported. */
static bool refuse(struct gpu *g, bool copies)
{
	struct gate *t = &g->gate;

	t->closed |= !gate_word(&t->page->open);
	if (!t->sleeps) {
		flight_poll(g);
		tell_state(t, true, flight_is_off(g), true);
		if (!shut(t, copies))
			return false;
		take_mode(t);
		tell_issued(t, false);
		ring(t);
	}
	flight_watch(g);
	return true;
}

/* New work, by q, needs room in flight. */
static bool pass(struct gpu *g, const struct request *q, bool copies)
{
	struct gate *t = &g->gate;
	bool begins;

	for (;;) {
		if (shut(t, copies) && refuse(g, copies))
			return false;
		if (t->sleeps)
			tell_state(t, true, t->drained, false);
		if (q && !flight_room(q))
			return false;
		begins = t->drained;
		if (!t->steady)
			tell_state(t, true, false, false);
		/* pvgpud may have closed it without having seen that there is work. */
		if (!begins || !shut(t, copies))
			break;
	}
	take_mode(t);
	return true;
}

bool gate_admits_slow(const struct request *q, bool copies)
{
	return pass(q->g, q, copies);
}

bool gate_resumes(struct gpu *g)
{
	if (!flight_any_resumes(g))
		return true;
	do {
		if (!pass(g, NULL, false))
			return false;
	} while (!gate_announce(&g->gate));
	flight_resume(g);
	return true;
}

bool gate_deep_slow(struct gpu *g)
{
	struct gate *t = &g->gate;
	const uint32_t depth = gate_word(&t->page->depth);

	if (t->flying.work < depth)
		return false;
	if (!t->watched)
		flight_poll(g);
	if (t->flying.work - flight_stalled(t).work < depth)
		return false;
	flight_watch(g);
	/* As in flight_room(). */
	return t->flying.work >= depth;
}

/* ---- telling pvgpud ---- */

/* All that waited for the gate is on the GPU: the next vGPU may have the grant before that ends. */
static void see_issued(struct gpu *g)
{
	struct gate *t = &g->gate;

	if (t->issued || g->park.work || !gate_word(&t->page->tell) ||
	    !gate_word(&t->page->contended) || !gate_word(&t->page->open))
		return;
	tell_issued(t, true);
	ring(t);
}

void gate_settle(struct gpu *g)
{
	struct gate *t = &g->gate;
	const bool look = t->look, rung = t->rung;
	const bool wants = (g->park.work && !swap_is_out(g)) || callbacks_wait(g);

	take_mode(t);
	if (!t->exact && !look)
		return;
	t->look = t->rung = false;
	flight_fence(g);
	flight_poll(g);
	if (!flight_is_off(g)) {
		if (t->exact)
			flight_watch(g);
		see_issued(g);
		return;
	}
	if (t->flying.work) {
		gate_oldest(t);
		flight_tell(g);
	}
	if (!rung && t->drained && t->wants == wants)
		return;
	tell_state(t, wants, true, t->sleeps && wants);
	take_mode(t);
	if (t->exact)
		ring(t);
}

void gpu_gate_look(struct worker *w, bool rung)
{
	struct gate *t = &worker_gpu(w)->gate;

	t->look = true;
	t->rung |= rung;
	worker_kick(w);
}

int gpu_gate_look_ms(struct worker *w)
{
	struct gpu *g = worker_gpu(w);
	const int ms = swap_look_ms(g);

	/* A full stream that can have no fence says only when it is asked that it has room. */
	return ms >= 0 ? ms : g->gate.flying.work || g->full_streams ? LOOK_MS : -1;
}

void gate_tell_all(struct gpu *g)
{
	struct gate *t = &g->gate;
	struct pvgpu_gate_report *r = t->report;

	flight_tell(g);
	gate_put(&r->copy_bytes, t->bytes);
	gate_put(&r->commands, t->commands);
	gate_put(&r->launches, t->launches);
	gate_put(&r->nodes, t->nodes);
	gate_put(&r->oldest_ns, t->oldest);
	gate_put(&r->full, t->full);
	put_word(&r->counts_full, true);
	put_word(&r->issued, t->issued);
	latency_tell(g);
	/* Parked work looks at the new page, and then says again that it waits. */
	tell_state(t, t->wants, t->drained, false);
}

void gate_init(struct gpu *g)
{
	struct gate *t = &g->gate;

	t->page = &gate_page_own;
	t->report = &t->unread;
	t->bell = -1;
	flight_init(t);
	t->issued = true;
	tell_state(t, false, true, false);
	take_mode(t);
}

void gate_free(struct gpu *g)
{
	gate_page_drop(g);
	flight_free(&g->gate);
}
