/* SPDX-License-Identifier: MIT */
/* Shares of a GPU that all vGPUs want: one row for each rule. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/sched/sched_drive.h"

#define POLICY(p)   (1u << SCHED_##p)
#define ANY_POLICY  ((1u << SCHED_POLICIES) - 1)
#define WHO_MAX     5
#define GROUPS_MAX  2
#define MEASURED_NS (2 * SEC)

/* A vGPU or a group; 0 stands for the default. */
struct who {
	uint32_t weight;          /* 100 */
	uint32_t min, max, fixed; /* ppm */
	int group;                /* 1 + its index */
	bool high;                /* its class */
	bool idle;
	uint32_t gets; /* ppm; 0: whatever is left */
	uint32_t due;  /* what it is entitled to, if that is not what it gets */
};

struct row {
	const char *rule;
	unsigned int policies; /* bits */
	uint64_t handover;
	struct who group[GROUPS_MAX];
	struct who vgpu[WHO_MAX];
	int n;
};

static const struct row rows[] = {
	{"by weight", POLICY(FAIR), .n = 2,
	 .vgpu = {{.weight = 300, .gets = 750000}, {.gets = 250000}}},
	{"a maximum holds when alone", ANY_POLICY, .n = 1,
	 .vgpu = {{.max = 250000, .gets = 250000}}},
	{"maxima of 75 and 25", POLICY(FAIR), .handover = 5 * US, .n = 2,
	 .vgpu = {{.max = 750000, .gets = 750000, .due = 500000}, {.max = 250000, .gets = 250000}}},
	/* Four vGPUs, all of them, two and one with work: a quarter each. */
	{"equal, all busy", POLICY(EQUAL), .n = 4,
	 .vgpu = {{.gets = 250000}, {.gets = 250000}, {.gets = 250000}, {.gets = 250000}}},
	{"equal, half of them idle", POLICY(EQUAL), .n = 4,
	 .vgpu = {{.gets = 250000}, {.gets = 250000}, {.idle = true}, {.idle = true}}},
	{"equal, all others idle", POLICY(EQUAL), .n = 4,
	 .vgpu = {{.gets = 250000}, {.idle = true}, {.idle = true}, {.idle = true}}},
	/* The last two by weight, of the 40 % that are left. */
	{"fixed, all busy", POLICY(FIXED), .n = 4,
	 .vgpu = {{.fixed = 500000, .gets = 500000},
		  {.fixed = 100000, .gets = 100000},
		  {.weight = 300, .gets = 300000},
		  {.gets = 100000}}},
	{"fixed, the last one idle", POLICY(FIXED), .n = 4,
	 .vgpu = {{.fixed = 500000, .gets = 500000},
		  {.fixed = 100000, .gets = 100000},
		  {.weight = 300, .gets = 300000},
		  {.idle = true}}},
	{"fixed, two idle", POLICY(FIXED), .n = 4,
	 .vgpu = {{.fixed = 500000, .gets = 500000},
		  {.fixed = 100000, .gets = 100000},
		  {.weight = 300, .idle = true},
		  {.idle = true}}},
	{"fixed, all others idle", POLICY(FIXED), .n = 4,
	 .vgpu = {{.fixed = 500000, .gets = 500000},
		  {.fixed = 100000, .idle = true},
		  {.weight = 300, .idle = true},
		  {.idle = true}}},
	{"best effort takes turns", POLICY(BEST_EFFORT), .n = 3,
	 .vgpu = {{.weight = 10000, .gets = 500000}, {.gets = 500000}, {.idle = true}}},
	/* A project with three vGPUs gets no more than one with one; its own weights count inside
	   it. */
	{"groups share before their vGPUs", POLICY(FAIR),
	 .group = {{.weight = 100}, {.weight = 100}}, .n = 5,
	 .vgpu = {{.group = 1, .weight = 200, .gets = 125000},
		  {.group = 1, .gets = 62500},
		  {.group = 1, .gets = 62500},
		  {.group = 2, .gets = 250000},
		  {.weight = 200, .gets = 500000}}},
	{"a group's maximum is over its vGPUs", ANY_POLICY, .group = {{.max = 300000}}, .n = 3,
	 .vgpu = {{.group = 1, .gets = 100000},
		  {.group = 1, .gets = 100000},
		  {.group = 1, .gets = 100000}}},
	{"minima go before weights and classes", POLICY(FAIR),
	 .group = {{.weight = 1, .min = 200000}}, .n = 3,
	 .vgpu = {{.weight = 10000, .high = true},
		  {.weight = 1, .min = 300000, .gets = 300000},
		  {.group = 1, .gets = 200000}}},
	/* A minimum is a floor: a vGPU whose weight brings more gets what the weight brings. */
	{"a minimum is no addition", POLICY(FAIR), .n = 2,
	 .vgpu = {{.min = 300000, .gets = 500000}, {.gets = 500000}}},
};

static struct sched_share share_of(const struct who *w)
{
	struct sched_share s = FULL;

	if (w->weight)
		s.weight = w->weight;
	if (w->high)
		s.class = SCHED_HIGH;
	s.min_ppm = w->min;
	s.max_ppm = w->max;
	s.fixed_ppm = w->fixed;
	return s;
}

/* It was entitled to its share, without the time that the maximum of another leaves. */
static void check_due(const struct drive *d, const struct row *r, int i)
{
	const uint32_t due = r->vgpu[i].due ? r->vgpu[i].due : r->vgpu[i].gets;
	struct sched_stats n;
	uint64_t ppm;

	sched_stats(d->c[i].v, d->now, &n);
	ppm = n.due_ns * 1000 / (MEASURED_NS / 1000);
	must_say(!due || drive_is_near(ppm, due), "%s: vGPU %d was entitled to %llu ppm", r->rule,
		 i, (unsigned long long)ppm);
	must_say(!r->vgpu[i].idle || !n.due_ns, "%s: vGPU %d is idle", r->rule, i);
}

static void check_row(const struct row *r, enum sched_policy policy)
{
	static const struct load busy = {.burst = 3600 * SEC}, idle = {0};
	struct sched_params p = {.policy = policy};
	uint64_t all = 0;
	bool known = true;
	struct drive d;

	drive_init(&d, &p, r->handover, 1);
	for (int i = 0; i < GROUPS_MAX; i++) {
		const struct sched_share s = share_of(&r->group[i]);

		drive_tenant(&d, &s);
	}
	for (int i = 0; i < r->n; i++) {
		const struct sched_share s = share_of(&r->vgpu[i]);

		drive_add(&d, r->vgpu[i].group - 1, &s, r->vgpu[i].idle ? &idle : &busy);
	}
	drive_run(&d, MEASURED_NS);
	for (int i = 0; i < r->n; i++) {
		all += r->vgpu[i].gets;
		known &= r->vgpu[i].gets || r->vgpu[i].idle;
		must_say(!r->vgpu[i].gets ||
				 drive_is_near(drive_ppm(&d, i, MEASURED_NS), r->vgpu[i].gets),
			 "%s: vGPU %d got %llu ppm", r->rule, i,
			 (unsigned long long)drive_ppm(&d, i, MEASURED_NS));
		check_due(&d, r, i);
	}
	/* Time above all maxima stays unused. */
	if (known && all < SCHED_PPM)
		ck_assert_uint_ge(d.idle_ns, MEASURED_NS / SCHED_PPM * (SCHED_PPM - all - 10000));
	drive_end(&d);
}

START_TEST(gets_its_part)
{
	const struct row *r = &rows[_i];

	for (int p = 0; p < SCHED_POLICIES; p++) {
		if (r->policies & 1u << p)
			check_row(r, (enum sched_policy)p);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched_share");
	TCase *t = tcase_create("sched_share");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, gets_its_part, 0, sizeof(rows) / sizeof(rows[0]));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
