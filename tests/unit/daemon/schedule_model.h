/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's scheduling under the clock of schedule_clock.h, with a GPU and workers to go with it:
 * whole seconds of several vGPUs' work in a moment, the same each time.
 *
 * The GPU serves the processes that have work on it in turn, for 2 ms each; within one of them
 * streams run beside each other. A vGPU has one process unless others say that they are its own.
 * Pieces of work cannot be stopped. A worker obeys its gate at once, knows the length of each piece
 * once one of the stream has ended, and follows worker/gpu/gate.h: its work in flight stays below
 * the bound in time to drain, or is one piece of a stream.
 */
#ifndef PVGPU_TEST_SCHEDULE_MODEL_H
#define PVGPU_TEST_SCHEDULE_MODEL_H

#include "tests/unit/daemon/schedule_clock.h"

#define US           1000ull
#define QUANTUM      (2 * MS)
#define STREAMS      4
#define VGPUS_MOST   128
#define UNKNOWN_NS   MS       /* what a piece is taken to last before one has ended */
#define PAIR_MOST_NS (5 * MS) /* two pieces that are shorter together may be in flight */
#define PAIR_LONE_NS (10 * MS)

struct stream {
	uint64_t length, think; /* of each piece; from its end to the next one, of a depth of 1 */
	unsigned int depth;     /* pieces issued or parked; 0: no such stream */
	unsigned int every;     /* one of so many pieces lasts for `longer`; 0: none does */
	uint64_t longer;
	/* */
	unsigned int flying, waiting;
	uint64_t left;  /* of the first in flight */
	uint64_t again; /* when the program goes on */
	bool known;
	unsigned int ended;
};

struct model {
	struct stream stream[STREAMS];
	uint64_t from, until; /* when its program begins and ends; 0: at once, never */
	struct sched_share share;
	unsigned int of; /* so many places behind the first process of its vGPU; 0: it is that */
	/* */
	struct tenant *t;
	struct fake f;
	bool begun;
	uint64_t used, oldest, busy, ticket, commands;
	uint64_t waits_from, longest; /* 0: it does not wait; the longest time in which it had work,
					 and none of it on the GPU */
};

static struct model m[VGPUS_MOST];
static unsigned int ms_n;
static int owner; /* of the GPU; -1 */
static uint64_t quantum_end, tickets;
static uint64_t away_until; /* pvgpud does nothing until then; the others go on */
/* Called at the end of a piece: for how long pvgpud and all workers have no processor then. NULL:
 * they have one. */
static uint64_t (*stall)(void);
static uint64_t stalled_until;
#define WAKES_NS (MS / 2) /* pvgpud first, then the workers */

/* Of its first piece in flight. */
static uint64_t length_of(const struct stream *q)
{
	return q->every && q->ended % q->every == q->every - 1 ? q->longer : q->length;
}

static uint64_t estimate(const struct stream *q)
{
	return q->known ? q->length : UNKNOWN_NS;
}

static unsigned int flying(const struct model *v)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < STREAMS; i++)
		n += v->stream[i].flying;
	return n;
}

static unsigned int parked(const struct model *v)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < STREAMS; i++)
		n += v->stream[i].waiting;
	return n;
}

static uint64_t drain_of(const struct model *v)
{
	uint64_t ns = 0;

	for (unsigned int i = 0; i < STREAMS; i++) {
		const struct stream *q = &v->stream[i];
		const uint64_t d = q->flying * estimate(q);

		ns = d > ns ? d : ns;
	}
	return ns;
}

/* May one more of the stream be issued with an open gate? */
static bool admits(const struct model *v, const struct stream *q)
{
	const uint64_t bound = v->f.word->inflight_ns, e = estimate(q);
	const uint64_t pair = v->f.word->contended ? PAIR_MOST_NS : PAIR_LONE_NS;

	if (!q->waiting)
		return false;
	if (!q->flying)
		return true;
	if (!bound)
		return false;
	if (!q->known)
		return false;
	if (q->flying < 2 && 2 * e <= pair)
		return true;
	return e <= bound && q->flying * e < bound;
}

static void say(struct model *v, bool all)
{
	struct pvgpu_gate_report *r = v->f.says;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < STREAMS; i++)
		sum += v->stream[i].flying * estimate(&v->stream[i]);
	r->inflight_ns = sum;
	r->drain_ns = drain_of(v);
	r->busy_ns = v->busy;
	r->oldest_ns = v->oldest;
	r->commands = v->commands;
	r->parked = parked(v);
	r->counts_full = 1;
	if (!all)
		return;
	r->wants = flying(v) || parked(v);
	r->drained = !flying(v);
}

/* The worker does what it can now. True: it did anything. */
static bool worker(struct model *v)
{
	struct pvgpu_gate_report was = *v->f.says;
	bool any = false;

	for (unsigned int i = 0; i < STREAMS && is_open(&v->f); i++) {
		struct stream *q = &v->stream[i];

		while (admits(v, q)) {
			if (!flying(v))
				v->oldest = clock_ns;
			if (!q->flying)
				q->left = length_of(q);
			q->flying++;
			q->waiting--;
			v->commands++;
			any = true;
			if (!v->ticket)
				v->ticket = ++tickets;
		}
	}
	if (any && parked(v))
		v->f.says->full++;
	if (is_open(&v->f)) {
		v->f.says->sleeps = 0;
		say(v, true);
		if (!parked(v) && flying(v) && !v->f.says->issued && v->f.word->tell &&
		    v->f.word->contended) {
			v->f.says->issued = 1;
			ring(&v->f);
			return true;
		}
		if (v->f.word->contended && (was.drained != v->f.says->drained) &&
		    v->f.says->drained)
			ring(&v->f);
		return any;
	}
	say(v, true);
	if (parked(v) && !was.sleeps) {
		v->f.says->sleeps = 1;
		v->f.says->issued = 0;
		ring(&v->f);
		return true;
	}
	if (v->f.says->drained != was.drained || v->f.says->wants != was.wants) {
		ring(&v->f);
		return true;
	}
	return any;
}

static bool all_workers(void)
{
	bool any = false;

	for (unsigned int i = 0; i < ms_n && clock_ns >= stalled_until; i++) {
		if (!m[i].begun)
			continue;
		if (rung(&m[i].f) && m[i].f.word->contended && !flying(&m[i]) && !parked(&m[i]) &&
		    m[i].f.says->wants) {
			say(&m[i], true);
			ring(&m[i].f);
		}
		any |= worker(&m[i]);
	}
	return any;
}

static void gpu_switch(void)
{
	int best = -1;

	for (unsigned int i = 0; i < ms_n; i++) {
		if (!flying(&m[i])) {
			m[i].ticket = 0;
			continue;
		}
		if (best < 0 || m[i].ticket < m[best].ticket)
			best = (int)i;
	}
	owner = best;
	quantum_end = clock_ns + QUANTUM;
	if (best >= 0)
		m[best].ticket = ++tickets;
}

static void ended(struct model *v, struct stream *q)
{
	const uint64_t ns = stall && clock_ns >= away_until ? stall() : 0;

	if (ns) {
		away_until = clock_ns + ns;
		stalled_until = away_until + WAKES_NS;
	}
	v->busy += length_of(q);
	q->flying--;
	q->ended++;
	q->known = true;
	q->left = length_of(q);
	v->oldest = flying(v) ? clock_ns : 0;
	q->again = clock_ns + q->think;
	v->f.says->awaited = parked(v) || flying(v) ? 0 : v->commands;
}

static void count_wait(struct model *v)
{
	if (flying(v) || !parked(v)) {
		v->waits_from = 0;
		return;
	}
	if (!v->waits_from)
		v->waits_from = clock_ns;
	if (clock_ns - v->waits_from > v->longest)
		v->longest = clock_ns - v->waits_from;
}

/* The programs launch what they may. */
static void programs(void)
{
	for (unsigned int i = 0; i < ms_n; i++) {
		struct model *v = &m[i];

		if (!v->begun && clock_ns >= v->from) {
			v->begun = true;
			v->f = join(v->t, false);
			v->f.says->drained = 1;
		}
		for (unsigned int k = 0; k < STREAMS && v->begun; k++) {
			struct stream *q = &v->stream[k];

			if (clock_ns < q->again || (v->until && clock_ns >= v->until))
				continue;
			while (q->flying + q->waiting < q->depth)
				q->waiting++;
		}
	}
}

static uint64_t next_event(void)
{
	uint64_t at = away_until > clock_ns ? away_until : timer_at;

	if (stalled_until > clock_ns && stalled_until < at)
		at = stalled_until;
	if (owner >= 0) {
		at = quantum_end < at ? quantum_end : at;
		for (unsigned int k = 0; k < STREAMS; k++) {
			const struct stream *q = &m[owner].stream[k];

			if (q->flying && clock_ns + q->left < at)
				at = clock_ns + q->left;
		}
	}
	for (unsigned int i = 0; i < ms_n; i++) {
		if (!m[i].begun)
			at = m[i].from < at ? m[i].from : at;
		for (unsigned int k = 0; k < STREAMS; k++) {
			if (m[i].stream[k].again > clock_ns && m[i].stream[k].again < at)
				at = m[i].stream[k].again;
		}
	}
	return at;
}

static void gpu_runs(uint64_t ns)
{
	struct model *v = &m[owner];

	v->used += ns;
	for (unsigned int k = 0; k < STREAMS; k++) {
		if (v->stream[k].flying)
			v->stream[k].left -= ns;
	}
	clock_ns += ns;
	for (unsigned int k = 0; k < STREAMS; k++) {
		if (v->stream[k].flying && !v->stream[k].left)
			ended(v, &v->stream[k]);
	}
}

static void hear(void)
{
	if (clock_ns >= away_until)
		bells();
}

/* Time passes for all of them. */
static void play(uint64_t ns)
{
	const uint64_t end = clock_ns + ns;
	uint64_t at;

	for (;;) {
		programs();
		while (all_workers())
			hear();
		hear();
		if (all_workers())
			continue;
		if (owner < 0 || !flying(&m[owner]) || clock_ns >= quantum_end)
			gpu_switch();
		if (timer_at <= clock_ns && clock_ns >= away_until) {
			fire();
			continue;
		}
		at = next_event();
		at = at < end ? at : end;
		if (owner >= 0)
			gpu_runs(at - clock_ns);
		else
			clock_ns = at;
		for (unsigned int i = 0; i < ms_n; i++)
			count_wait(&m[i]);
		if (clock_ns >= end)
			return;
	}
}

static void model_start(const struct sched_params *p, const struct model *v, unsigned int n)
{
	start_clock();
	start(p->policy, p->exclusive);
	schedule_set(s, p);
	memset(m, 0, sizeof(m));
	ms_n = n;
	owner = -1;
	tickets = 0;
	away_until = stalled_until = 0;
	for (unsigned int i = 0; i < n; i++) {
		const struct tenant_policy policy = {.share = v[i].share};

		m[i] = v[i];
		m[i].from += clock_ns;
		m[i].until += v[i].until ? clock_ns : 0;
		m[i].t = v[i].of ? m[i - v[i].of].t : tenant_new(s, NULL, &policy, NULL);
		ck_assert_ptr_nonnull(m[i].t);
	}
}

static void model_end(void)
{
	for (unsigned int i = 0; i < ms_n; i++) {
		if (m[i].begun)
			leave(&m[i].f);
	}
	for (unsigned int i = 0; i < ms_n; i++) {
		if (!m[i].of)
			tenant_free(m[i].t);
	}
	finish();
}

/* The counts of use and waits begin again. */
static inline void model_count(void)
{
	for (unsigned int i = 0; i < ms_n; i++)
		m[i].used = m[i].longest = m[i].waits_from = 0;
}

#endif
