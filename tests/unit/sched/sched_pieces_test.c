/* SPDX-License-Identifier: MIT */
/*
 * Properties of the scheduler with work that comes in pieces of 10 us to 10 s, each of which runs
 * to its end: kernels, graphs, copies. The driver and the GPU are modelled here:
 *  - The holder of the grant has one piece in flight, or as many as fit half a slice; 10 ms when it
 *    is alone.
 *  - When its turn is over its gate closes, and what is in flight runs on beside the next holder's
 *    work. The GPU's time is divided equally among those with work on it, and each is charged its
 *    part. In exclusive pools the next holder waits for the end of that work instead.
 *  - A vGPU whose piece runs on after its turn counts as one that wants the GPU, as sched.h asks of
 *    the driver: otherwise it would return with no more than its credit, however far it fell
 * behind.
 *
 * Each run has a seed of its own, which is printed when it fails:
 *   PVGPU_SCHED_SEED=N PVGPU_SCHED_RUNS=1 sched_pieces_test     that one run, of each property
 *   PVGPU_SCHED_RUNS=N                                           so many runs of each
 *   PVGPU_STRESS=0.1                                             a tenth of the usual number
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/unit/stress.h"
#include "tests/unit/sched/sched_random.h"

#define RUNS 250
#define MOST 6 /* vGPUs */
#define DEEP UINT64_MAX

/* In parts of the GPU's time. */
#define NEAR        0.03

#define CREDIT_NS   (30 * MS)
#define LEAST_SPAN  (2 * SEC)
#define LONE_NS     (10 * MS) /* in flight while alone */
#define LONGEST_RUN (200 * SEC)
#define PIECES      10 /* longest ones, of the lightest vGPU, in the measured time */

struct vgpu {
	struct sched_vgpu *v;
	uint32_t weight;
	uint64_t length; /* of its pieces */
	uint64_t parked; /* pieces; DEEP: always some */
	uint64_t flight; /* ns of GPU time left to what is on the GPU */
	bool wants;
	/* Bursts: so many pieces each, and a pause after the end of each; burst 0: none. */
	uint32_t burst;
	uint64_t pause;
	uint64_t wake_at;
	bool pounces; /* begins a burst just before a slice's end, or as soon as it may */
	bool varies;  /* draws length, burst and pause anew each time */
	uint64_t used;
	uint64_t waits_since; /* SCHED_NEVER: it does not wait */
};

struct pool {
	struct drive d; /* scheduler, time, random numbers, and what is decided */
	struct vgpu v[MOST];
	int n;
	bool exclusive, draining;
	bool check_waits;
	uint64_t longest; /* piece of all vGPUs, ever */
};

static unsigned int first_seed;
static long all_runs;
static unsigned int *running; /* what each property runs now, if it has not ended: number + 1 */

/* ---- the model ---- */
static uint64_t any_length(struct drive *d)
{
	uint64_t ns = (uint64_t)any(d, 10, 19) * US;

	for (uint32_t doubled = any(d, 0, 19); doubled; doubled--)
		ns *= 2;
	return ns;
}

static void pool_begin(struct pool *p)
{
	static const uint64_t handovers[] = {0, 5 * US, 20 * US, 60 * US};
	struct sched_params params = {.policy = SCHED_FAIR, .exclusive = chance(&p->d, 2)};
	uint64_t handover = handovers[drive_random(&p->d, 4)];

	p->exclusive = params.exclusive;
	drive_init(&p->d, &params, handover, p->d.seed);
}

static struct vgpu *pool_add(struct pool *p, uint32_t weight, uint64_t length)
{
	struct sched_share share = {.class = SCHED_MEDIUM, .weight = weight};
	struct vgpu *v = &p->v[p->n];

	*v = (struct vgpu){.weight = weight, .length = length, .wake_at = SCHED_NEVER};
	v->waits_since = SCHED_NEVER;
	v->v = sched_add(p->d.s, NULL, &share, v, p->d.now);
	must(v->v);
	p->n++;
	p->longest = length > p->longest ? length : p->longest;
	return v;
}

static uint64_t slice_of(const struct pool *p)
{
	return 100 * p->d.handover > 2 * MS ? 100 * p->d.handover : 2 * MS;
}

static double total_weight(const struct pool *p)
{
	double sum = 0;

	for (int i = 0; i < p->n; i++)
		sum += p->v[i].weight;
	return sum;
}

static double lightest(const struct pool *p)
{
	double least = p->v[0].weight;

	for (int i = 1; i < p->n; i++)
		least = p->v[i].weight < least ? p->v[i].weight : least;
	return least;
}

static const char *scene(const struct pool *p)
{
	static char text[400];
	int at = snprintf(text, sizeof(text),
			  "%s, hand-over %u us:", p->exclusive ? "exclusive" : "default",
			  (unsigned int)(p->d.handover / US));

	for (int i = 0; i < p->n; i++)
		at += snprintf(
			text + at, sizeof(text) - (size_t)at, " %u*%.3f ms(+%u, %.3f ms%s%s)",
			p->v[i].weight, p->v[i].length / 1e6, p->v[i].burst, p->v[i].pause / 1e6,
			p->v[i].pounces ? ", pounces" : "", p->v[i].varies ? ", varies" : "");
	return text;
}

static bool open_gate(const struct pool *p, const struct vgpu *v)
{
	return p->d.granted == v->v && p->d.chosen == v->v;
}

static int on_gpu(const struct pool *p)
{
	int n = 0;

	for (int i = 0; i < p->n; i++)
		n += p->v[i].flight > 0;
	return n;
}

/*
 * No vGPU with work waits longer for the GPU than its longest turn (a slice, and a piece or what it
 * has in flight while alone) x total weight / its weight, a round of slices, and what the others
 * may be owed after a pause. A piece of another one may be in flight. In exclusive pools each of
 * the others may run one before: promised times that come while one piece runs are kept one after
 * the other.
 */
static double wait_bound(const struct pool *p, const struct vgpu *v)
{
	double turn = slice_of(p) + p->d.handover, one = LONE_NS, all = 0;
	double longest = v->length > LONE_NS ? v->length : LONE_NS;
	double own = (turn + longest) * total_weight(p) / v->weight;

	for (int i = 0; i < p->n; i++) {
		const struct vgpu *o = &p->v[i];

		if (o == v)
			continue;
		all += o->length > LONE_NS ? o->length : LONE_NS;
		one = o->length > one ? o->length : one;
	}
	return own + p->n * turn + (p->n - 1.0) * CREDIT_NS + (p->exclusive ? all : one);
}

static void check_wait(const struct pool *p, const struct vgpu *v)
{
	double waited = v->waits_since == SCHED_NEVER ? 0 : p->d.now - v->waits_since;

	if (p->check_waits && waited > 0)
		must_say(waited <= wait_bound(p, v), "vGPU %d waited %.3f ms, bound %.3f ms; %s",
			 (int)(v - p->v), waited / 1e6, wait_bound(p, v) / 1e6, scene(p));
}

/* The holder's work goes to the GPU. */
static void issue(struct pool *p, struct vgpu *v)
{
	uint64_t bound = p->d.d.contended ? p->d.d.slice_ns / 2 : LONE_NS, n;

	if (!open_gate(p, v) || v->flight || !v->parked)
		return;
	n = bound > v->length ? bound / v->length : 1;
	n = n < v->parked ? n : v->parked;
	v->flight = n * v->length;
	v->parked -= v->parked == DEEP ? 0 : n;
	check_wait(p, v);
	v->waits_since = SCHED_NEVER;
}

static bool tell_wants(struct pool *p, struct vgpu *v)
{
	bool wants = v->parked || v->flight;

	if (!v->parked)
		v->waits_since = SCHED_NEVER;
	else if (v->waits_since == SCHED_NEVER && !v->flight && !open_gate(p, v))
		v->waits_since = p->d.now;
	if (wants == v->wants)
		return false;
	v->wants = wants;
	sched_wants(v->v, wants, p->d.now);
	return true;
}

static void choose(struct pool *p)
{
	struct drive *d = &p->d;

	sched_decide(d->s, d->now, &d->d);
	must(d->d.again > d->now);
	if (d->d.holder == d->chosen)
		return;
	d->chosen = d->d.holder;
	if (d->chosen == d->granted) {
		d->coming_at = SCHED_NEVER;
		p->draining = false;
	} else if (d->coming_at == SCHED_NEVER) {
		p->draining = p->exclusive;
		d->coming_at = p->draining ? SCHED_NEVER : d->now + d->handover;
	}
}

static void decide(struct pool *p)
{
	struct drive *d = &p->d;
	bool again;

	do {
		if (p->draining && !on_gpu(p)) {
			p->draining = false;
			d->coming_at = d->now + d->handover;
		}
		/* The choice may have changed during the drain. */
		if (d->coming_at <= d->now && d->chosen)
			choose(p);
		if (d->coming_at <= d->now) {
			d->granted = d->chosen;
			d->coming_at = SCHED_NEVER;
			sched_granted(d->s, d->granted, d->now);
		}
		choose(p);
		again = d->coming_at <= d->now || (p->draining && !on_gpu(p));
		for (int i = 0; i < p->n; i++) {
			issue(p, &p->v[i]);
			again |= tell_wants(p, &p->v[i]);
		}
	} while (again);
}

static void wake(struct pool *p, struct vgpu *v)
{
	struct drive *d = &p->d;

	v->wake_at = SCHED_NEVER;
	v->parked = v->burst;
	if (!v->varies)
		return;
	v->length = any_length(d);
	v->length = v->length < p->longest ? v->length : p->longest;
	v->burst = any(d, 1, 40);
	v->pause = chance(d, 3) ? any(d, 0, 100) * US : any_length(d) % p->longest;
}

static void bursts_end(struct pool *p, struct vgpu *v)
{
	const struct drive *d = &p->d;

	if (!v->burst || v->parked || v->flight || v->wake_at != SCHED_NEVER)
		return;
	v->wake_at = d->now + v->pause;
	if (v->pounces && d->d.again != SCHED_NEVER && d->d.again > v->wake_at + 10 * US)
		v->wake_at = d->d.again - 10 * US;
	v->wake_at = v->wake_at > d->now ? v->wake_at : d->now + 1;
}

static uint64_t next_event(const struct pool *p)
{
	const struct drive *d = &p->d;
	uint64_t at = d->d.again < d->coming_at ? d->d.again : d->coming_at;
	uint64_t n = (uint64_t)on_gpu(p);

	for (int i = 0; i < p->n; i++) {
		const struct vgpu *v = &p->v[i];

		at = v->wake_at < at ? v->wake_at : at;
		if (v->flight && d->now + v->flight * n < at)
			at = d->now + v->flight * n;
	}
	return at;
}

static void compute(struct pool *p, uint64_t until)
{
	struct drive *d = &p->d;
	uint64_t n = (uint64_t)on_gpu(p), part = n ? (until - d->now) / n : 0;

	d->now = until;
	for (int i = 0; i < p->n; i++) {
		struct vgpu *v = &p->v[i];

		if (!v->flight)
			continue;
		part = part < v->flight ? part : v->flight;
		v->flight -= part;
		v->used += part;
		sched_charge(v->v, part, d->now);
	}
}

static void pool_run(struct pool *p, uint64_t ns)
{
	uint64_t until = p->d.now + ns, at;

	decide(p);
	while (p->d.now < until) {
		at = next_event(p);
		at = at > p->d.now ? at : p->d.now + 1;
		compute(p, at < until ? at : until);
		for (int i = 0; i < p->n; i++) {
			bursts_end(p, &p->v[i]);
			if (p->v[i].wake_at <= p->d.now)
				wake(p, &p->v[i]);
		}
		decide(p);
	}
	for (int i = 0; i < p->n; i++)
		check_wait(p, &p->v[i]);
}

/* Ten longest pieces x total weight / lightest weight. */
static uint64_t span(const struct pool *p)
{
	uint64_t longest = p->longest > slice_of(p) ? p->longest : slice_of(p);

	uint64_t ns = (uint64_t)(PIECES * longest * total_weight(p) / lightest(p));

	return ns > LEAST_SPAN ? ns : LEAST_SPAN;
}

/* ---- the properties ---- */
static void fill(struct pool *p, int most)
{
	struct drive *d = &p->d;
	int n = (int)any(d, 2, (uint32_t)most);

	for (int i = 0; i < n; i++)
		pool_add(p, any(d, 20, 400), any_length(d));
	while (span(p) > LONGEST_RUN) {
		p->longest = 0;
		for (int i = 0; i < n; i++) {
			p->v[i].length = p->v[i].length > 20 * US ? p->v[i].length / 2 : 10 * US;
			p->longest = p->v[i].length > p->longest ? p->v[i].length : p->longest;
		}
	}
}

/* Lone phases, deep queues, arrivals and bursts, in any order. */
static void history(struct pool *p)
{
	struct drive *d = &p->d;

	for (uint32_t phases = any(d, 0, 4); phases; phases--) {
		int lone = chance(d, 2) ? (int)drive_random(d, (uint32_t)p->n) : -1;

		for (int i = 0; i < p->n; i++) {
			struct vgpu *v = &p->v[i];

			v->burst = 0;
			v->wake_at = SCHED_NEVER;
			v->parked = lone == i ? DEEP : 0;
			if (lone >= 0 || chance(d, 3))
				continue;
			if (chance(d, 3)) {
				v->parked = DEEP;
				continue;
			}
			v->burst = any(d, 1, 30);
			v->pause = any_length(d) % p->longest;
			v->wake_at = d->now + any(d, 1, 30) * MS;
		}
		pool_run(p, 1 + any_length(d) % (2 * p->longest));
	}
	for (int i = 0; i < p->n; i++) {
		p->v[i].burst = 0;
		p->v[i].wake_at = SCHED_NEVER;
		p->v[i].parked = DEEP;
	}
}

/* The GPU time that each has used, as a part of all that was used, against its weight. */
static void check_parts(struct pool *p)
{
	double used = 0;

	for (int i = 0; i < p->n; i++)
		used += p->v[i].used;
	for (int i = 0; i < p->n; i++) {
		double got = p->v[i].used / used, due = p->v[i].weight / total_weight(p);

		must_say(got >= due - NEAR && got <= due + NEAR, "vGPU %d got %.3f of %.3f; %s", i,
			 got, due, scene(p));
	}
}

static void shares_hold(struct pool *p)
{
	pool_begin(p);
	fill(p, MOST);
	history(p);
	for (int i = 0; i < p->n; i++)
		p->v[i].used = 0;
	pool_run(p, span(p));
	check_parts(p);
}

static void waits_are_bounded(struct pool *p)
{
	pool_begin(p);
	fill(p, MOST);
	p->check_waits = true;
	history(p);
	pool_run(p, span(p));
}

/* One tenant's lengths, pauses, bursts and arrivals are any; the others always have work. */
static void cheating_gains_nothing(struct pool *p)
{
	struct drive *d = &p->d;
	struct vgpu *cheat = &p->v[0];
	uint64_t ns;
	double part;

	pool_begin(p);
	fill(p, 4);
	for (int i = 1; i < p->n; i++)
		p->v[i].parked = DEEP;
	cheat->burst = any(d, 1, 64);
	cheat->pause = chance(d, 4) ? 0 : any_length(d) % p->longest;
	cheat->pounces = chance(d, 2);
	cheat->varies = chance(d, 2);
	cheat->wake_at = d->now + any_length(d) % p->longest;
	ns = 2 * span(p);
	pool_run(p, ns);
	part = (double)cheat->used / ns;
	must_say(part <= cheat->weight / total_weight(p) + NEAR, "it got %.3f of %.3f; %s", part,
		 cheat->weight / total_weight(p), scene(p));
}

/* ---- the runs ---- */
static const struct property {
	const char *name;
	void (*run)(struct pool *p);
} properties[] = {
	{"shares hold", shares_hold},
	{"waits are bounded", waits_are_bounded},
	{"cheating gains nothing", cheating_gains_nothing},
};

#define PROPERTIES (int)(sizeof(properties) / sizeof(properties[0]))

START_TEST(holds)
{
	struct pool p;

	for (long i = 0; i < all_runs; i++) {
		memset(&p, 0, sizeof(p));
		/* The generator's first numbers are alike for seeds that are. */
		p.d.seed = (first_seed + (unsigned int)i) * 2654435761u + 12345;
		running[_i] = (unsigned int)i + 1;
		properties[_i].run(&p);
		drive_end(&p.d);
	}
	running[_i] = 0;
}
END_TEST

/* The tests ran in processes of their own. */
static void tell(void)
{
	for (int i = 0; i < PROPERTIES; i++)
		if (running[i])
			printf("sched_pieces_test: %s: failed with PVGPU_SCHED_SEED=%u "
			       "PVGPU_SCHED_RUNS=1\n",
			       properties[i].name, first_seed + running[i] - 1);
}

int main(void)
{
	const char *seed = getenv("PVGPU_SCHED_SEED"), *runs = getenv("PVGPU_SCHED_RUNS");
	Suite *s = suite_create("sched_pieces");
	TCase *t = tcase_create("sched_pieces");
	SRunner *r = srunner_create(s);
	int failed;

	first_seed = seed ? (unsigned int)strtoul(seed, NULL, 0) : (unsigned int)time(NULL);
	all_runs = runs ? strtol(runs, NULL, 0) : (long)stress(RUNS);
	printf("sched_pieces_test: %ld runs from PVGPU_SCHED_SEED=%u\n", all_runs, first_seed);
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
