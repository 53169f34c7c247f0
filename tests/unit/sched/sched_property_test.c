/* SPDX-License-Identifier: MIT */
/*
 * Properties of the scheduler on many random pools, loads and settings. Each run has a seed of its
 * own, which is printed when it fails:
 *   PVGPU_SCHED_SEED=N PVGPU_SCHED_RUNS=1 sched_property_test     that one run, of each property
 *   PVGPU_SCHED_RUNS=N                                             so many runs (100,000)
 *   PVGPU_STRESS=0.1                                               a tenth of that
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/unit/stress.h"
#include "tests/unit/sched/sched_random.h"

#define RUNS 100000

static unsigned int first_seed;
static long all_runs = RUNS;
static unsigned int *running; /* what each property runs now, if it has not ended: number + 1 */

typedef void run_fn(struct drive *d);

static const uint64_t handovers[] = {0, 0, 5 * US, 10 * US, 20 * US, 60 * US};

static void begin(struct drive *d, const struct sched_params *p)
{
	unsigned int seed = d->seed;
	uint64_t handover = handovers[drive_random(d, 6)];

	drive_init(d, p, handover, seed * 2654435761u + 12345);
}

static uint64_t slice_of(const struct drive *d)
{
	uint64_t slice = d->params.slice_ns > 2 * MS ? d->params.slice_ns : 2 * MS;

	return slice > 100 * d->handover ? slice : 100 * d->handover;
}

static uint64_t credit_of(const struct drive *d)
{
	uint64_t credit = d->params.credit_ns ? d->params.credit_ns : 30 * MS;

	return credit > slice_of(d) ? credit : slice_of(d);
}

static void change(struct drive *d)
{
	int i = drive_random(d, d->n);
	struct client *c = &d->c[i];
	struct sched_share share = any_share(d);
	struct load load = any_load(d);
	struct tenant *t;
	int to;

	switch (drive_random(d, 7)) {
	case 0:
		d->params = any_params(d);
		d->params.handover_ns = d->handover;
		sched_set(d->s, &d->params, d->now);
		break;
	case 1:
	case 2:
		if (!c->v)
			break;
		c->share = share;
		sched_set_share(c->v, &share, d->now);
		break;
	case 3:
		if (!c->v || !d->tenants)
			break;
		to = (int)drive_random(d, d->tenants + 1) - 1;
		c->tenant = to;
		sched_move(c->v, to < 0 ? NULL : d->t[to].g, d->now);
		break;
	case 4:
		if (c->v)
			drive_remove(d, i);
		break;
	case 5:
		drive_add(d, (int)drive_random(d, d->tenants + 1) - 1, &share, &load);
		break;
	default:
		if (!d->tenants)
			break;
		t = &d->t[drive_random(d, d->tenants)];
		share.max_ppm = chance(d, 2) ? 0 : share.max_ppm;
		t->share = share;
		sched_group_set(t->g, &share, d->now);
		break;
	}
	drive_changed(d);
}

static void counters_agree(struct drive *d)
{
	uint64_t used = 0;

	for (int i = 0; i < d->n; i++) {
		struct client *c = &d->c[i];
		struct sched_stats st;

		used += c->used;
		if (!c->v)
			continue;
		sched_stats(c->v, d->now, &st);
		must(st.used_ns == c->used);
		must(st.waited_ns <= st.wanted_ns);
		must(st.capped_ns <= st.waited_ns);
		must(st.wanted_ns <= d->now - 1000 * SEC);
	}
	must(used <= d->now - 1000 * SEC);
}

static void fill(struct drive *d, int most)
{
	int tenants = chance(d, 2) ? 0 : any(d, 1, 3), n = any(d, 1, most);
	struct sched_share share;
	struct load load;

	for (int i = 0; i < tenants; i++) {
		share = any_share(d);
		if (chance(d, 2))
			share.max_ppm = 0;
		drive_tenant(d, &share);
	}
	for (int i = 0; i < n; i++) {
		share = any_share(d);
		load = any_load(d);
		drive_add(d, (int)drive_random(d, tenants + 1) - 1, &share, &load);
	}
}

/* In any pool: no wait above the bound, no maximum exceeded, counters agree. */
static void waits_are_bounded(struct drive *d)
{
	struct sched_params p = any_params(d);

	begin(d, &p);
	d->check_waits = true;
	fill(d, 8);
	drive_run(d, any(d, 10, chance(d, 20) ? 600 : 60) * MS);
	counters_agree(d);
}

/* The same while settings change. */
static void changes_keep_it(struct drive *d)
{
	struct sched_params p = any_params(d);
	int changes = any(d, 1, 12);

	begin(d, &p);
	d->check_waits = true;
	fill(d, 8);
	for (int i = 0; i < changes; i++) {
		drive_run(d, any(d, 1, 8000) * US);
		change(d);
	}
	drive_run(d, any(d, 1, 20) * MS);
	counters_agree(d);
}

/* Clients that always have work, and n more of any kind. */
static int fill_saturating(struct drive *d, int least, int most, int more)
{
	static const struct load busy = {.burst = 3600 * SEC};
	int tenants = chance(d, 2) ? 0 : any(d, 1, 3), n = any(d, least, most);
	struct sched_share share = {.class = SCHED_MEDIUM};
	struct load load;

	for (int i = 0; i < tenants; i++) {
		share.weight = any(d, 20, 400);
		drive_tenant(d, &share);
	}
	for (int i = 0; i < n + more; i++) {
		share.weight = any(d, 20, 400);
		load = any_load(d);
		if (chance(d, 3))
			load.overrun = any(d, 1, 10 * MS);
		drive_add(d, (int)drive_random(d, tenants + 1) - 1, &share, i < n ? &busy : &load);
	}
	return n;
}

/* Competitors in one queue. */
struct rival {
	double used, weight;
	double more;  /* how far ahead a burst may have got, ns */
	double costs; /* charged for grants that were hardly used */
	bool always;  /* has work all the time */
};

/* Between vGPUs that always have work, use by weight differs by no more than a slice of each. A
 * vGPU with work now and then, in whatever pattern, is never further ahead than its credit (or a
 * slice of the least weight), a slice and its overrun. */
static void check_rivals(const struct drive *d, const struct rival *r, int n)
{
	double slice = slice_of(d), least = slice / 100 + d->handover + 1000, weight = 1e9;
	double credit = credit_of(d);

	for (int i = 0; i < n; i++)
		weight = r[i].weight < weight ? r[i].weight : weight;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			double most = (slice + least) / r[i].weight + (slice + least) / r[j].weight;

			if (i == j || !r[i].always)
				continue;
			if (!r[j].always)
				most += slice / weight > credit / r[j].weight
						? slice / weight
						: credit / r[j].weight;
			most += r[j].more / r[j].weight;
			must_say(r[j].used / r[j].weight - (r[i].used + r[i].costs) / r[i].weight <=
					 most,
				 "%.3f ms of %.0f against %.3f ms of %.0f", r[j].used / 1e6,
				 r[j].weight, r[i].used / 1e6, r[i].weight);
		}
}

static void use_follows_weights(struct drive *d)
{
	struct sched_params p = {.policy = SCHED_FAIR,
				 .slice_ns = any(d, 1, 3) * MS,
				 .credit_ns = any(d, 0, 30) * MS};
	struct rival pool[32], group[32];
	int n, pooled = 0, grouped;
	struct sched_stats st;
	double least;

	begin(d, &p);
	n = fill_saturating(d, 2, 5, drive_random(d, 4));
	least = slice_of(d) / 100 > d->handover ? slice_of(d) / 100 : d->handover;
	drive_run(d, any(d, 20, 100) * MS);
	for (int t = -1; t < d->tenants; t++) {
		struct rival *in = t < 0 ? pool : group;

		grouped = 0;
		for (int i = 0; i < d->n; i++)
			if (d->c[i].tenant == t) {
				sched_stats(d->c[i].v, d->now, &st);
				in[grouped++] = (struct rival){
					.used = d->c[i].used,
					.weight = d->c[i].share.weight,
					.more = d->c[i].load.overrun,
					.costs = i < n ? 0 : st.slices * least,
					.always = i < n,
				};
			}
		if (t < 0) {
			pooled = grouped;
			continue;
		}
		check_rivals(d, group, grouped);
		pool[pooled] = (struct rival){.used = d->t[t].used, .weight = d->t[t].share.weight};
		for (int i = 0; i < grouped; i++) {
			pool[pooled].always |= group[i].always;
			pool[pooled].more += group[i].more;
			pool[pooled].costs += group[i].costs;
		}
		pooled++;
	}
	check_rivals(d, pool, pooled);
}

/* Moves between groups, and settings that are set again, gain nothing. */
static void moving_brings_nothing(struct drive *d)
{
	struct sched_params p = {.policy = SCHED_FAIR, .slice_ns = 2 * MS};
	struct load load = {.burst = 3600 * SEC};
	struct sched_share share = FULL, other = FULL;
	int moves = any(d, 10, 60), to;
	double most;

	begin(d, &p);
	if (chance(d, 2))
		load.overrun = any(d, 1, 20 * MS);
	drive_tenant(d, &share);
	drive_tenant(d, &share);
	drive_add(d, -1, &share, &load); /* moves */
	load.overrun = 0;
	drive_add(d, -1, &share, &load);
	for (int i = 0; i < moves; i++) {
		drive_run(d, any(d, 100, 6000) * US);
		switch (drive_random(d, 3)) {
		case 0:
			to = (int)drive_random(d, 3) - 1;
			d->c[0].tenant = to;
			sched_move(d->c[0].v, to < 0 ? NULL : d->t[to].g, d->now);
			break;
		case 1:
			other.weight = any(d, 10, 1000);
			sched_set_share(d->c[0].v, &other, d->now);
			sched_set_share(d->c[0].v, &share, d->now);
			break;
		default:
			sched_set(d->s, &d->params, d->now);
			break;
		}
		drive_changed(d);
	}
	most = d->c[1].used + 3.0 * slice_of(d) + d->c[0].load.overrun;
	must_say(d->c[0].used <= most, "%.3f ms against %.3f ms", d->c[0].used / 1e6,
		 d->c[1].used / 1e6);
}

/* Guaranteed minima, whatever weights and classes the others have. */
static void minima_are_kept(struct drive *d)
{
	struct sched_params p = {.policy = SCHED_FAIR, .starve_ns = 10 * SEC};
	uint32_t left = 800000, n = any(d, 2, 6), took, min[8], group_min = 0;
	struct load load = {.burst = 3600 * SEC};
	struct sched_share share;
	double lack;
	uint64_t ns;

	begin(d, &p);
	if (chance(d, 2)) {
		share = any_share(d);
		share.max_ppm = 0;
		group_min = share.min_ppm = any(d, 10000, 300000);
		left -= group_min;
		drive_tenant(d, &share);
	}
	for (uint32_t i = 0; i < n; i++) {
		share = any_share(d);
		share.max_ppm = 0;
		took = any(d, 0, left);
		share.min_ppm = min[i] = took;
		left -= took;
		drive_add(d, (int)drive_random(d, d->tenants + 1) - 1, &share, &load);
	}
	ns = any(d, 100, 200) * MS;
	drive_run(d, ns);
	for (uint32_t i = 0; i < n; i++) {
		lack = (double)min[i] / SCHED_PPM * (ns - (n + 3) * (slice_of(d) + d->handover)) -
		       slice_of(d) - d->c[i].used;
		must_say(lack <= 0, "vGPU %u lacks %.3f ms of %u ppm", i, lack / 1e6, min[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		if (d->c[i].tenant == 0) {
			lack = (double)group_min / SCHED_PPM *
				       (ns - (n + 4) * (slice_of(d) + d->handover)) -
			       slice_of(d) - d->t[0].used;
			must_say(lack <= 0, "the group lacks %.3f ms of %u ppm", lack / 1e6,
				 group_min);
		}
}

/* Equal and fixed shares: neither less nor more, whether the others have work or not. */
static void fixed_shares_hold(struct drive *d)
{
	static const struct load busy = {.burst = 3600 * SEC}, idle = {0};
	struct sched_params p = {.policy = chance(d, 2) ? SCHED_EQUAL : SCHED_FIXED};
	uint32_t n = any(d, 2, 8), left = SCHED_PPM;
	struct sched_share share;
	double part, least;
	uint64_t ns;

	begin(d, &p);
	for (uint32_t i = 0; i < n; i++) {
		share = any_share(d);
		share.class = SCHED_MEDIUM;
		share.max_ppm = 0;
		share.fixed_ppm = chance(d, 2) ? 0 : any(d, 1000, left / 2);
		left -= share.fixed_ppm;
		drive_add(d, -1, &share, chance(d, 3) ? &idle : &busy);
	}
	ns = any(d, 100, 200) * MS;
	drive_run(d, ns);
	for (uint32_t i = 0; i < n; i++) {
		part = d->c[i].max.part;
		least = part * 0.985 * (ns - (n + 2) * (slice_of(d) + d->handover)) - slice_of(d);
		must(d->c[i].used <= part * (ns + n * slice_of(d)) + 2.1 * slice_of(d));
		if (d->c[i].load.burst)
			must_say(d->c[i].used >= least, "vGPU %u got %.3f ms of %.3f", i,
				 d->c[i].used / 1e6, part * ns / 1e6);
	}
}

/* Weighted fair queueing plainly reckoned: one queue, no heaps. Times are ns by weight. */
struct plain {
	double tag[8], weight[8], lag[8], clock, past[2];
	uint64_t left[8], past_at, credit;
	bool wants[8];
	bool tied; /* two were first, of different weight: a lag up to either's slice is right */
	int n;
};

/* The clock a half to a whole credit ago. */
static double plain_past(const struct plain *r, uint64_t now)
{
	if (now - r->past_at >= r->credit)
		return r->clock;
	return r->past[now - r->past_at >= r->credit / 2];
}

static void plain_advance(struct plain *r, uint64_t now)
{
	double least = 0;
	bool any_wants = false;

	if (now - r->past_at >= r->credit / 2) {
		r->past[0] = plain_past(r, now);
		r->past[1] = r->clock;
		r->past_at = now;
	}
	for (int i = 0; i < r->n; i++)
		if (r->wants[i] && (!any_wants || r->tag[i] < least)) {
			least = r->tag[i];
			any_wants = true;
		}
	if (any_wants && least > r->clock)
		r->clock = least;
}

static void plain_use(struct plain *r, int i, double ns, uint64_t now)
{
	r->tag[i] += ns / r->weight[i];
	plain_advance(r, now);
}

/* How far the first of the others is ahead, up to its slice. */
static double plain_lag(struct plain *r, int i, double slice)
{
	double lag, most;
	int first = -1;

	for (int j = 0; j < r->n; j++)
		if (j != i && r->wants[j] && (first < 0 || r->tag[j] < r->tag[first]))
			first = j;
	if (first < 0)
		return 0;
	for (int j = 0; j < r->n; j++)
		r->tied |= j != i && r->wants[j] && r->tag[j] < r->tag[first] + 0.01 &&
			   r->weight[j] != r->weight[first];
	lag = r->tag[first] - r->tag[i];
	most = slice / r->weight[first];
	return lag < most ? lag : most;
}

static void plain_wants(struct plain *r, int i, double slice, uint64_t now)
{
	double credit = r->credit / r->weight[i], due = r->clock - plain_past(r, now);

	r->wants[i] = !r->wants[i];
	if (!r->wants[i]) {
		r->lag[i] = plain_lag(r, i, slice);
		r->left[i] = now;
		return;
	}
	credit = credit < due ? credit : due;
	credit = credit > slice / r->weight[i] ? credit : slice / r->weight[i];
	if (now - r->left[i] <= slice && r->lag[i] > credit)
		credit = r->lag[i];
	if (r->tag[i] < r->clock - credit)
		r->tag[i] = r->clock - credit;
	plain_advance(r, now);
}

static void same_as_plainly_reckoned(struct drive *d)
{
	struct sched_params p = {
		.policy = SCHED_FAIR, .slice_ns = MS, .credit_ns = any(d, 1, 30) * MS};
	struct sched_share share = FULL;
	struct plain r = {.n = any(d, 2, 8)};
	struct sched_decision dec;
	struct sched_vgpu *v[8];
	int at, held = -1;
	uint64_t step, slice;

	begin(d, &p);
	slice = MS;
	r.credit = p.credit_ns;
	for (int i = 0; i < r.n; i++) {
		r.weight[i] = share.weight = any(d, 1, 1000);
		v[i] = sched_add(d->s, NULL, &share, (void *)(intptr_t)i, d->now);
	}
	for (int k = 0; k < 60 && !r.tied; k++) {
		step = any(d, 1, 1500) * US;
		d->now += step;
		if (held >= 0 && r.wants[held]) {
			sched_charge(v[held], step, d->now);
			plain_use(&r, held, step, d->now);
		}
		at = drive_random(d, r.n);
		plain_wants(&r, at, slice, d->now);
		sched_wants(v[at], r.wants[at], d->now);
		sched_decide(d->s, d->now, &dec);
		if (!dec.holder || (held >= 0 && dec.holder == v[held]))
			continue;
		held = (int)(intptr_t)sched_owner(dec.holder);
		must(r.wants[held]);
		for (int i = 0; i < r.n; i++)
			must_say(!r.wants[i] || r.tag[held] <= r.tag[i] + 200,
				 "chosen at %f, another is at %f", r.tag[held], r.tag[i]);
		/* Granted at once; that costs a hundredth of a slice or a hand-over, which we use.
		 */
		sched_granted(d->s, v[held], d->now);
		step = d->handover > slice / 100 ? d->handover : slice / 100;
		sched_charge(v[held], step, d->now);
		plain_use(&r, held, step, d->now);
	}
}

/* Any calls in any order, also those that no driver makes. */
static void any_order_is_survived(struct drive *d)
{
	struct sched_params p = any_params(d);
	struct sched_decision dec;
	struct sched_share share;
	struct sched_stats st;
	struct client *c;
	int steps = any(d, 10, 80);

	begin(d, &p);
	fill(d, 8);
	for (int k = 0; k < steps; k++) {
		d->now += chance(d, 4) ? 0 : any(d, 0, 5 * MS);
		c = &d->c[drive_random(d, d->n)];
		share = any_share(d);
		switch (c->v ? drive_random(d, 8) : 7) {
		case 0:
			sched_wants(c->v, chance(d, 2), d->now);
			break;
		case 1:
			sched_charge(c->v, chance(d, 20) ? UINT64_MAX : any(d, 0, 9 * MS), d->now);
			break;
		case 2:
			sched_granted(d->s, chance(d, 3) ? NULL : c->v, d->now);
			break;
		case 3:
			sched_set_share(c->v, &share, chance(d, 9) ? 0 : d->now);
			break;
		case 4:
			sched_stats(c->v, d->now, &st);
			must(st.capped_ns <= st.wanted_ns);
			must(sched_wait_bound(c->v) > 0);
			break;
		case 5:
			drive_changed(d);
			change(d);
			break;
		default:
			sched_decide(d->s, d->now, &dec);
			must(dec.again > d->now);
			if (dec.holder)
				must(d->c[(intptr_t)sched_owner(dec.holder)].v == dec.holder);
			if (chance(d, 2))
				sched_granted(d->s, dec.holder, d->now);
			break;
		}
	}
}

/* ---- the runs ---- */
static const struct property {
	const char *name;
	run_fn *run;
	int parts; /* of all runs, in a hundred */
} properties[] = {
	{"waits are bounded", waits_are_bounded, 25},
	{"changes keep it", changes_keep_it, 20},
	{"use follows weights", use_follows_weights, 15},
	{"moving brings nothing", moving_brings_nothing, 5},
	{"minima are kept", minima_are_kept, 5},
	{"fixed shares hold", fixed_shares_hold, 5},
	{"the same as plainly reckoned", same_as_plainly_reckoned, 10},
	{"any order is survived", any_order_is_survived, 15},
};

#define PROPERTIES (int)(sizeof(properties) / sizeof(properties[0]))

START_TEST(holds)
{
	const struct property *p = &properties[_i];
	long runs = all_runs * p->parts / 100;
	struct drive d;

	for (long i = 0; i < (runs ? runs : 1); i++) {
		unsigned int seed = first_seed + (unsigned int)i;

		d = (struct drive){.seed = seed};
		running[_i] = i + 1;
		p->run(&d);
		drive_end(&d);
	}
	running[_i] = 0;
}
END_TEST

/* The tests ran in processes of their own. */
static void tell(void)
{
	for (int i = 0; i < PROPERTIES; i++)
		if (running[i])
			printf("sched_property_test: %s: failed with PVGPU_SCHED_SEED=%u "
			       "PVGPU_SCHED_RUNS=1\n",
			       properties[i].name, first_seed + running[i] - 1);
}

int main(void)
{
	const char *seed = getenv("PVGPU_SCHED_SEED"), *runs = getenv("PVGPU_SCHED_RUNS");
	Suite *s = suite_create("sched_property");
	TCase *t = tcase_create("sched_property");
	SRunner *r = srunner_create(s);
	int failed;

	first_seed = seed ? (unsigned int)strtoul(seed, NULL, 0) : (unsigned int)time(NULL);
	all_runs = runs ? strtol(runs, NULL, 0) : (long)stress(RUNS);
	printf("sched_property_test: %ld runs from PVGPU_SCHED_SEED=%u\n", all_runs, first_seed);
	running = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (running == MAP_FAILED)
		abort();
	tcase_set_timeout(t, 0);
	tcase_add_loop_test(t, holds, 0, PROPERTIES);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	tell();
	srunner_free(r);
	return failed != 0;
}
