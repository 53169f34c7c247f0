/* SPDX-License-Identifier: MIT */
#include "tests/unit/sched_drive.h"

#include <check.h>
#include <stdlib.h>

void drive_init(struct drive *d, const struct sched_params *p, uint64_t handover, unsigned int seed)
{
	*d = (struct drive){.params = *p, .handover = handover, .seed = seed, .now = 1000 * SEC};
	d->params.handover_ns = handover;
	d->coming_at = SCHED_NEVER;
	d->s = sched_new(&d->params, d->now);
	ck_assert_ptr_nonnull(d->s);
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

int drive_add(struct drive *d, struct sched_group *g, const struct sched_share *share,
	      const struct load *load)
{
	struct client *c;

	if (d->n == d->room) {
		d->room = d->room ? 2 * d->room : 16;
		d->c = realloc(d->c, d->room * sizeof(*d->c));
		ck_assert_ptr_nonnull(d->c);
	}
	c = &d->c[d->n];
	*c = (struct client){.g = g, .share = *share, .load = *load};
	c->v = sched_add(d->s, g, share, (void *)(intptr_t)d->n, d->now);
	ck_assert_ptr_nonnull(c->v);
	c->wake_at = load->burst ? d->now + drawn(d, load, load->think) : SCHED_NEVER;
	return d->n++;
}

static struct client *client_of(struct drive *d, struct sched_vgpu *v)
{
	return &d->c[(intptr_t)sched_owner(v)];
}

/* In a hand-over nobody computes, but who overruns. */
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

/* What has happened by now: bursts that are done, and new ones. */
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
	if (c && c->wants && d->now - c->waits_since > c->longest_wait)
		c->longest_wait = d->now - c->waits_since;
}

static void decide(struct drive *d)
{
	struct client *c;

	do {
		if (d->coming_at <= d->now)
			give(d);
		sched_decide(d->s, d->now, &d->d);
		d->decisions++;
		ck_assert(d->d.again > d->now);
		if (d->d.holder != d->chosen) {
			d->coming_at = SCHED_NEVER;
			if (d->d.holder != d->granted) {
				c = d->granted ? client_of(d, d->granted) : NULL;
				d->overrun_to = d->now + (c && c->wants ? c->load.overrun : 0);
				d->coming_at = d->handover + d->overrun_to;
			}
			d->chosen = d->d.holder;
		}
	} while (d->coming_at <= d->now);
	if (d->chosen)
		ck_assert(client_of(d, d->chosen)->wants || d->chosen == d->granted);
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
}

void drive_measure(struct drive *d)
{
	for (int i = 0; i < d->n; i++) {
		struct client *c = &d->c[i];

		c->used = c->longest_wait = c->bursts = c->took = c->longest_burst = 0;
	}
	d->handovers = d->decisions = d->idle_ns = 0;
}

uint64_t drive_ppm(const struct drive *d, int i, uint64_t of)
{
	return d->c[i].used * SCHED_PPM / of;
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
