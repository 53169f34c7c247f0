/* SPDX-License-Identifier: MIT */
#include "tests/unit/sched/sched_drive.h"

#include <stdlib.h>

void drive_init(struct drive *d, const struct sched_params *p, uint64_t handover, unsigned int seed)
{
	*d = (struct drive){.params = *p, .handover = handover, .seed = seed, .now = 1000 * SEC};
	d->params.handover_ns = handover;
	d->coming_at = SCHED_NEVER;
	d->s = sched_new(&d->params, d->now);
	must(d->s);
}

void drive_end(struct drive *d)
{
	sched_free(d->s);
	free(d->c);
}

uint32_t drive_random(struct drive *d, uint32_t below)
{
	d->seed = d->seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(d->seed ^ d->seed >> 15) * below) >> 32);
}

static uint64_t drawn(struct drive *d, const struct load *l, uint64_t ns)
{
	return l->jitter ? ns / 2 + ns * drive_random(d, 1000) / 1000 : ns;
}

int drive_tenant(struct drive *d, const struct sched_share *share)
{
	struct tenant *t = &d->t[d->tenants];

	must(d->tenants < (int)(sizeof(d->t) / sizeof(d->t[0])));
	*t = (struct tenant){.share = *share};
	t->g = sched_group_add(d->s, share, t, d->now);
	must(t->g);
	return d->tenants++;
}

int drive_add(struct drive *d, int tenant, const struct sched_share *share, const struct load *load)
{
	struct client *c;

	if (d->n == d->room) {
		d->room = d->room ? 2 * d->room : 16;
		d->c = realloc(d->c, d->room * sizeof(*d->c));
		must(d->c);
	}
	c = &d->c[d->n];
	*c = (struct client){.tenant = tenant, .share = *share, .load = *load};
	c->v = sched_add(d->s, tenant < 0 ? NULL : d->t[tenant].g, share, (void *)(intptr_t)d->n,
			 d->now);
	must(c->v);
	c->wake_at = load->burst ? d->now + drawn(d, load, load->think) : SCHED_NEVER;
	d->charged_to = 0;
	return d->n++;
}

/* The most that the policy lets the i-th vGPU have. */
static double most(const struct drive *d, const struct client *c)
{
	double max = c->share.max_ppm ? c->share.max_ppm : SCHED_PPM, fixed = 0, weights = 0, n = 0;
	double own = SCHED_PPM, left;

	for (int i = 0; i < d->n; i++) {
		const struct client *o = &d->c[i];

		if (!o->v)
			continue;
		n++;
		fixed += o->share.fixed_ppm;
		weights += o->share.fixed_ppm ? 0 : o->share.weight;
	}
	left = fixed < SCHED_PPM - 1000 ? SCHED_PPM - fixed : 1000;
	if (d->params.policy == SCHED_EQUAL)
		own = SCHED_PPM / n;
	if (d->params.policy == SCHED_FIXED)
		own = c->share.fixed_ppm ? c->share.fixed_ppm : left * c->share.weight / weights;
	return (own < max ? own : max) / SCHED_PPM;
}

static void bucket_set(struct drive *d, struct bucket *b, double part)
{
	uint64_t slice = d->params.slice_ns > 2 * MS ? d->params.slice_ns : 2 * MS;

	if (slice < 100 * d->handover)
		slice = 100 * d->handover;
	*b = (struct bucket){.part = part, .slice = slice, .at = d->now};
	b->most = b->level = (2 + d->n * part) * slice;
}

static void bucket_use(struct drive *d, struct bucket *b, uint64_t ns)
{
	b->level += (d->now - b->at) * b->part - ns;
	b->level = b->level < b->most ? b->level : b->most;
	b->at = d->now;
	/* The driver is not asked to look closer than that. */
	if (b->part < 1)
		must_say(b->level >= -b->slice / 16 - 1000, "over its maximum by %.0f ns",
			 -b->level);
}

void drive_changed(struct drive *d)
{
	for (int i = 0; i < d->n; i++) {
		d->c[i].waits_since = d->now;
		if (d->c[i].v)
			bucket_set(d, &d->c[i].max, most(d, &d->c[i]));
	}
	for (int i = 0; i < d->tenants; i++) {
		uint32_t max = d->t[i].share.max_ppm;

		bucket_set(d, &d->t[i].max, max ? (double)max / SCHED_PPM : 1);
	}
}

static struct client *client_of(struct drive *d, struct sched_vgpu *v)
{
	return &d->c[(intptr_t)sched_owner(v)];
}

/* During a hand-over only a vGPU that overruns computes. */
static void charge(struct drive *d)
{
	uint64_t to = d->granted == d->chosen || d->now < d->overrun_to ? d->now : d->overrun_to;
	uint64_t ns = to > d->charged_to ? to - d->charged_to : 0;
	struct client *c = d->granted ? client_of(d, d->granted) : NULL;

	d->charged_to = d->now;
	if (!c || !c->wants)
		return;
	sched_charge(c->v, ns, d->now);
	c->used += ns;
	c->left -= ns < c->left ? ns : c->left;
	if (!c->load.overrun)
		bucket_use(d, &c->max, ns);
	if (c->tenant >= 0) {
		d->t[c->tenant].used += ns;
		bucket_use(d, &d->t[c->tenant].max, ns);
	}
}

static void check_wait(struct drive *d, struct client *c)
{
	uint64_t waited = d->now - c->waits_since, bound;

	if (waited > c->longest_wait)
		c->longest_wait = waited;
	if (!d->check_waits || waited < 2 * MS)
		return;
	bound = sched_wait_bound(c->v);
	must_say(waited <= bound, "vGPU %d waited %.3f ms, bound is %.3f ms", (int)(c - d->c),
		 waited / 1e6, bound / 1e6);
}

static void wants(struct drive *d, struct client *c, bool on)
{
	c->wants = on;
	sched_wants(c->v, on, d->now);
	if (on && d->granted != c->v)
		c->waits_since = d->now;
}

static void work_ends(struct drive *d, struct client *c)
{
	uint64_t took = d->now - c->burst_since;

	c->bursts++;
	c->took += took;
	if (took > c->longest_burst)
		c->longest_burst = took;
	c->left = 0;
	c->wake_at = d->now + drawn(d, &c->load, c->load.think);
	wants(d, c, false);
}

static void work_begins(struct drive *d, struct client *c)
{
	c->left = drawn(d, &c->load, c->load.burst);
	c->left = c->left ? c->left : 1;
	c->wake_at = SCHED_NEVER;
	c->burst_since = d->now;
	wants(d, c, true);
}

/* Bring bursts up to now: end those that are done, begin new ones. */
static void happen(struct drive *d)
{
	for (int i = 0; i < d->n; i++) {
		struct client *c = &d->c[i];

		if (!c->v)
			continue;
		if (c->wants && !c->left && c->v == d->granted)
			work_ends(d, c);
		if (!c->wants && c->wake_at <= d->now)
			work_begins(d, c);
	}
	if (d->granted && d->granted == d->chosen) {
		struct client *c = client_of(d, d->granted);

		if (c->wants && c->load.stop_before_end && d->d.again != SCHED_NEVER &&
		    d->now + c->load.stop_before_end >= d->d.again)
			work_ends(d, c);
	}
}

static void give(struct drive *d)
{
	struct client *c = d->chosen ? client_of(d, d->chosen) : NULL;

	charge(d);
	if (d->granted) {
		struct client *was = client_of(d, d->granted);

		was->waits_since = d->now;
	}
	d->granted = d->chosen;
	d->coming_at = SCHED_NEVER;
	d->handovers++;
	sched_granted(d->s, d->granted, d->now);
	if (c) {
		bucket_use(d, &c->max, 0);
		if (c->tenant >= 0)
			bucket_use(d, &d->t[c->tenant].max, 0);
	}
	if (c && c->wants)
		check_wait(d, c);
}

static void decide(struct drive *d)
{
	struct client *c;

	do {
		if (d->coming_at <= d->now)
			give(d);
		sched_decide(d->s, d->now, &d->d);
		d->decisions++;
		must(d->d.again > d->now);
		if (d->d.holder != d->chosen) {
			bool drains = d->chosen != d->granted;

			if (d->d.holder == d->granted) {
				d->coming_at = SCHED_NEVER;
			} else if (!drains) {
				c = d->granted ? client_of(d, d->granted) : NULL;
				d->overrun_to = d->now + (c && c->wants ? c->load.overrun : 0);
				d->coming_at = d->handover + d->overrun_to;
			}
			d->chosen = d->d.holder;
		}
	} while (d->coming_at <= d->now);
	if (d->chosen)
		must(client_of(d, d->chosen)->wants || d->chosen == d->granted);
}

static uint64_t next_event(struct drive *d)
{
	uint64_t at = d->d.again < d->coming_at ? d->d.again : d->coming_at;

	for (int i = 0; i < d->n; i++)
		if (d->c[i].v && d->c[i].wake_at < at)
			at = d->c[i].wake_at;
	if (d->granted && (d->granted == d->chosen || d->now < d->overrun_to)) {
		struct client *c = client_of(d, d->granted);

		if (c->wants && d->now + c->left < at)
			at = d->now + c->left;
		if (c->wants && c->load.stop_before_end && d->d.again != SCHED_NEVER &&
		    d->d.again - c->load.stop_before_end < at)
			at = d->d.again - c->load.stop_before_end;
	}
	return at > d->now ? at : d->now + 1;
}

void drive_run(struct drive *d, uint64_t ns)
{
	uint64_t until = d->now + ns, at;

	if (!d->charged_to) /* a vGPU has come or gone */
		drive_changed(d);
	d->charged_to = d->now;
	happen(d);
	decide(d);
	while (d->now < until) {
		at = next_event(d);
		at = at < until ? at : until;
		if (!d->granted || !client_of(d, d->granted)->wants)
			d->idle_ns += at - d->now;
		d->now = at;
		charge(d);
		happen(d);
		decide(d);
	}
	for (int i = 0; i < d->n; i++)
		if (d->c[i].v && d->c[i].wants && d->c[i].v != d->granted)
			check_wait(d, &d->c[i]);
}

void drive_remove(struct drive *d, int i)
{
	struct client *c = &d->c[i];

	if (d->granted == c->v)
		d->granted = NULL;
	if (d->chosen == c->v) {
		d->chosen = d->granted;
		d->coming_at = SCHED_NEVER;
	}
	sched_remove(c->v, d->now);
	c->v = NULL;
	c->wants = false;
	d->charged_to = 0;
}

void drive_measure(struct drive *d)
{
	for (int i = 0; i < d->n; i++) {
		struct client *c = &d->c[i];

		c->used = c->longest_wait = c->bursts = c->took = c->longest_burst = 0;
	}
	for (int i = 0; i < d->tenants; i++)
		d->t[i].used = 0;
	d->handovers = d->decisions = d->idle_ns = 0;
}

uint64_t drive_ppm(const struct drive *d, int i, uint64_t of)
{
	return d->c[i].used * SCHED_PPM / of;
}

bool drive_is_near(uint64_t ppm, uint64_t wanted)
{
	return ppm + wanted / 50 >= wanted && ppm <= wanted + wanted / 50;
}

void drive_share_is(const struct drive *d, int i, uint64_t of, uint64_t ppm)
{
	uint64_t got = drive_ppm(d, i, of);

	must_say(drive_is_near(got, ppm), "vGPU %d got %llu ppm instead of %llu", i,
		 (unsigned long long)got, (unsigned long long)ppm);
}

uint64_t drive_jain(const struct drive *d)
{
	double sum = 0, squares = 0;
	int n = 0;

	for (int i = 0; i < d->n; i++)
		if (d->c[i].v) {
			sum += d->c[i].used;
			squares += (double)d->c[i].used * d->c[i].used;
			n++;
		}
	return squares ? (uint64_t)(sum * sum / (n * squares) * SCHED_PPM) : 0;
}
