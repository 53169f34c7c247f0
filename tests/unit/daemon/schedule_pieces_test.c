/* SPDX-License-Identifier: MIT */
/*
 * Shares and waits of vGPUs whose pieces of work cannot be stopped, from microseconds to seconds,
 * with a model of the GPU and of workers. The spans are chosen beforehand: about ten longest
 * pieces, times all weights, divided by the least.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/schedule_model.h"

#define S         (1000 * MS)
#define NEAR      0.03      /* of the GPU's time */
#define ROUND     (12 * MS) /* a turn of each vGPU, with the wait for the one that is under way */
#define SLICE     (6 * MS)
#define DEEP      64u
#define PROCESSES 8u
#define OFF       (6 * MS) /* a charge that is settled with the end of a turn */

struct scene {
	struct model v[4];
	unsigned int n;
	bool exclusive;
	double due[4];         /* parts of the GPU's time */
	uint64_t alone, count; /* the first has the GPU alone; time counted after a second more */
	bool by_class;         /* others' class or guarantee says how long one waits */
};

#define PIECES(class_, weight_, ns, depth_, pause)                                                 \
	{                                                                                          \
		.share = {.class = class_, .weight = weight_}, .stream = {                         \
			{.length = (ns), .depth = (depth_), .think = (pause)}                      \
		}                                                                                  \
	}
#define ONE(class, weight, ns) PIECES(class, weight, ns, DEEP, 0)
#define W(weight, ns)          ONE(SCHED_MEDIUM, weight, ns)
#define LATER(weight_, ns)                                                                         \
	{                                                                                          \
		.share = {.class = SCHED_MEDIUM, .weight = weight_}, .from = 300 * MS, .stream = { \
			{.length = (ns), .depth = DEEP}                                            \
		}                                                                                  \
	}
#define LEAST(weight_, ns)                                                                         \
	{                                                                                          \
		.share = {.class = SCHED_MEDIUM, .weight = weight_, .min_ppm = 600000},            \
		.stream = {                                                                        \
			{.length = (ns), .depth = DEEP}                                            \
		}                                                                                  \
	}
#define MOST(weight_, ns)                                                                          \
	{                                                                                          \
		.share = {.class = SCHED_MEDIUM, .weight = weight_, .max_ppm = 250000},            \
		.stream = {                                                                        \
			{.length = (ns), .depth = DEEP}                                            \
		}                                                                                  \
	}
#define FOUR(ns)                                                                                   \
	{                                                                                          \
		W(100, ns), W(200, ns), W(100, ns), W(400, ns)                                     \
	}
#define PARTS                                                                                      \
	{                                                                                          \
		.125, .25, .125, .5                                                                \
	}

static const struct scene scenes[] = {
	{.v = FOUR(MS), .n = 4, .due = PARTS, .count = S},
	{.v = FOUR(20 * MS), .n = 4, .due = PARTS, .count = 4 * S},
	{.v = FOUR(50 * MS), .n = 4, .due = PARTS, .count = 8 * S},
	{.v = FOUR(100 * MS), .n = 4, .due = PARTS, .count = 10 * S},
	{.v = FOUR(3 * S), .n = 4, .due = PARTS, .count = 240 * S},
	{.v = FOUR(50 * MS), .n = 4, .exclusive = true, .due = PARTS, .count = 8 * S},
	/* A heavy vGPU keeps what it is due while its long pieces run. */
	{.v = {W(400, 300 * MS), W(100, MS)}, .n = 2, .due = {.8, .2}, .count = 15 * S},
	/* The first one has been alone, with a deep queue of pieces of unknown length. */
	{.v = {W(100, 300 * MS), LATER(400, MS)}, .n = 2, .due = {.2, .8}, .count = 15 * S},
	{.v = {W(100, S), LATER(400, MS)}, .n = 2, .due = {.2, .8}, .count = 50 * S},
	{.v = {W(100, 300 * MS), LATER(400, MS)},
	 .n = 2,
	 .exclusive = true,
	 .due = {.2, .8},
	 .count = 15 * S},
	{.v = {W(100, S), LATER(400, MS)},
	 .n = 2,
	 .exclusive = true,
	 .due = {.2, .8},
	 .count = 50 * S},
	/* The lower class is relieved once in a while, whatever it makes of it. */
	{.v = {ONE(SCHED_LOW, 100, MS), ONE(SCHED_HIGH, 100, MS)},
	 .n = 2,
	 .due = {0, 1},
	 .count = 10 * S,
	 .by_class = true},
	{.v = {ONE(SCHED_LOW, 100, 50 * MS), ONE(SCHED_HIGH, 100, MS)},
	 .n = 2,
	 .due = {0, 1},
	 .count = 20 * S,
	 .by_class = true},
	{.v = {ONE(SCHED_LOW, 100, 300 * MS), ONE(SCHED_HIGH, 100, MS)},
	 .n = 2,
	 .due = {0, 1},
	 .count = 60 * S,
	 .by_class = true},
	{.v = {W(900, 50 * MS), LEAST(100, MS)},
	 .n = 2,
	 .due = {.4, .6},
	 .count = 10 * S,
	 .by_class = true},
	{.v = {W(900, 300 * MS), LEAST(100, MS)},
	 .n = 2,
	 .due = {.4, .6},
	 .count = 30 * S,
	 .by_class = true},
	/* Others use what a maximum leaves, and a long piece that runs on beside them is charged
	 * its part only. */
	{.v = {MOST(400, 20 * MS), W(100, MS)},
	 .n = 2,
	 .due = {.25, .75},
	 .count = 10 * S,
	 .by_class = true},
	{.v = {MOST(400, 300 * MS), W(100, MS)},
	 .n = 2,
	 .due = {.25, .75},
	 .count = 30 * S,
	 .by_class = true},
};

/* The rest of a piece is waited for if it is short. */
static uint64_t waited_for(uint64_t length)
{
	return length < TURN_WAIT_NS ? length : TURN_WAIT_NS;
}

/* Its longest piece or slice, times all weights, divided by its own, and a round of turns. */
static uint64_t bound_of(const struct scene *c, unsigned int i)
{
	const uint64_t own = c->v[i].stream[0].length;
	uint64_t weights = 0, round = ROUND;

	for (unsigned int k = 0; k < c->n; k++) {
		const uint64_t length = c->v[k].stream[0].length;

		weights += c->v[k].share.weight;
		round += k == i ? 0 : c->exclusive ? length : waited_for(length);
	}
	return (own > SLICE ? own : SLICE) * weights / c->v[i].share.weight + round;
}

/* The statistics show the longest wait that a client had. */
static void check_longest(const struct model *v)
{
	struct tenant_stats stats;

	tenant_stats(v->t, &stats);
	ck_assert_msg(stats.longest_wait_ns + MS >= v->longest,
		      "vGPU %td waited for %.1f ms, the statistics say %.1f", v - m,
		      (double)v->longest / 1e6, (double)stats.longest_wait_ns / 1e6);
}

START_TEST(shares_and_waits)
{
	const struct scene *c = &scenes[_i];
	const struct sched_params p = {.policy = SCHED_FAIR, .exclusive = c->exclusive};
	uint64_t all = 0;
	double got;

	model_start(&p, c->v, c->n);
	play(S);
	model_count();
	play(c->count);
	for (unsigned int i = 0; i < c->n; i++)
		all += m[i].used;
	ck_assert_uint_ge(all, c->count / 100 * 98);
	for (unsigned int i = 0; i < c->n; i++) {
		got = (double)m[i].used / (double)all;
		ck_assert_msg(got > c->due[i] - NEAR && got < c->due[i] + NEAR,
			      "vGPU %u has %.1f %% for %.1f", i, 100 * got, 100 * c->due[i]);
		ck_assert_msg(c->by_class || m[i].longest <= bound_of(c, i),
			      "vGPU %u waited for %.1f ms, the bound is %.1f", i,
			      (double)m[i].longest / 1e6, (double)bound_of(c, i) / 1e6);
		check_longest(&m[i]);
	}
	model_end();
}
END_TEST

#define STEPS(class, weight, ns, pause) PIECES(class, weight, ns, 1, pause)
#define STEP(weight, ns, pause)         STEPS(SCHED_MEDIUM, weight, ns, pause)

/* Programs that wait for each piece before they launch the next, at least so much of the GPU's time
 * in use. Pauses that are long are others' time. */
static const struct steps {
	struct model v[2];
	bool exclusive;
	double due, used; /* due: the first one's part */
	bool by_minimum;  /* ... is a guarantee, which says how long each waits */
} steps[] = {
	{{STEP(400, 5 * MS, 50 * US), STEP(100, 5 * MS, 50 * US)}, .due = .8, .used = .95},
	{{STEP(200, 20 * MS, 50 * US), STEP(100, 20 * MS, 50 * US)}, .due = .667, .used = .98},
	{{STEP(400, 100 * MS, 50 * US), STEP(100, 100 * MS, 50 * US)}, .due = .8, .used = .98},
	{{STEP(400, 100 * MS, 50 * US), STEP(100, 100 * MS, 50 * US)},
	 .exclusive = true,
	 .due = .8,
	 .used = .98},
	{{STEP(100, 20 * MS, 50 * US), STEP(100, 300 * MS, 50 * US)},
	 .exclusive = true,
	 .due = .5,
	 .used = .98},
	{{STEP(400, 50 * MS, MS), STEP(100, 50 * MS, MS)}, .due = .8, .used = .96},
	{{STEP(400, 20 * MS, 5 * MS), STEP(100, 20 * MS, 5 * MS)}, .due = .5, .used = .98},
	{{STEPS(SCHED_HIGH, 100, 20 * MS, 50 * US), STEPS(SCHED_LOW, 100, 100 * MS, 50 * US)},
	 .due = .98,
	 .used = .98},
	{{{.share = {.class = SCHED_MEDIUM, .weight = 100, .min_ppm = 600000},
	   .stream = {{.length = 20 * MS, .depth = 1, .think = 50 * US}}},
	  STEP(900, 50 * MS, 50 * US)},
	 .due = .6,
	 .used = .97,
	 .by_minimum = true},
};

/* As for others; a pause counts as use. */
static uint64_t bound_of_steps(const struct steps *c, unsigned int i)
{
	const struct stream *own = &c->v[i].stream[0], *other = &c->v[1 - i].stream[0];
	const uint64_t weights = c->v[0].share.weight + c->v[1].share.weight;

	return (own->length + own->think) * weights / c->v[i].share.weight + ROUND +
	       (c->exclusive ? other->length : waited_for(other->length));
}

START_TEST(waits_for_each_piece)
{
	const struct steps *c = &steps[_i];
	const struct sched_params p = {.policy = SCHED_FAIR, .exclusive = c->exclusive};
	uint64_t all;
	double got;

	model_start(&p, c->v, 2);
	play(S);
	model_count();
	play(10 * S);
	all = m[0].used + m[1].used;
	got = (double)m[0].used / (double)all;
	ck_assert_msg(got > c->due - NEAR && got < c->due + NEAR, "%.1f %% for %.1f", 100 * got,
		      100 * c->due);
	for (unsigned int i = 0;
	     i < 2 && !c->by_minimum && c->v[0].share.class == c->v[1].share.class; i++)
		ck_assert_msg(m[i].longest <= bound_of_steps(c, i),
			      "vGPU %u waited for %.1f ms, the bound is %.1f", i,
			      (double)m[i].longest / 1e6, (double)bound_of_steps(c, i) / 1e6);
	ck_assert_msg((double)all >= c->used * 10 * S, "%.1f %% of the time is used",
		      (double)all / (double)S * 10);
	model_end();
}
END_TEST

/* Small loops beside deep queues of long pieces wait for one of them at most. */
START_TEST(loops_beside_queues)
{
	static const uint64_t lengths[] = {MS, 5 * MS, 12 * MS, 20 * MS, 300 * MS};
	const struct model v[2] = {
		W(100, lengths[_i]),
		{.share = {.class = SCHED_MEDIUM, .weight = 100},
		 .stream = {{.length = 300 * US, .depth = 1, .think = MS}}},
	};
	const struct sched_params p = {.policy = SCHED_FAIR};

	model_start(&p, v, 2);
	play(S);
	model_count();
	play(4 * S);
	ck_assert_uint_le(m[1].longest, waited_for(lengths[_i]) + SLICE);
	ck_assert_uint_ge(m[1].stream[0].ended, 4 * S / (m[1].longest + 6 * MS));
	model_end();
}
END_TEST

/* Another stream's short pieces go on beside a long one in the turns of their vGPU. */
START_TEST(streams_beside_each_other)
{
	const struct model v[2] = {
		{.share = {.class = SCHED_MEDIUM, .weight = 400},
		 .stream = {{.length = 300 * MS, .depth = DEEP}, {.length = 100 * US, .depth = 1}}},
		W(100, MS),
	};
	const struct sched_params p = {.policy = SCHED_FAIR};

	model_start(&p, v, 2);
	play(S);
	model_count();
	m[0].stream[1].ended = 0;
	play(10 * S);
	/* 0.8 of the GPU's time, and some 20 us of each hundred for its worker. */
	ck_assert_uint_ge(m[0].stream[1].ended, 48000);
	model_end();
}
END_TEST

/* Equal vGPUs whose programs keep two short kernels in flight. */
static void start_many(unsigned int n)
{
	static struct model v[VGPUS_MOST];
	const struct sched_params p = {.policy = SCHED_FAIR};

	for (unsigned int i = 0; i < n; i++) {
		v[i] = (struct model)W(100, 500 * US);
		v[i].stream[0].depth = 2;
	}
	model_start(&p, v, n);
}

static double jain(void)
{
	double sum = 0, squares = 0;

	for (unsigned int i = 0; i < ms_n; i++) {
		sum += (double)m[i].used;
		squares += (double)m[i].used * (double)m[i].used;
	}
	return sum * sum / ms_n / squares;
}

static const unsigned int numbers[] = {8, 32, 64, 100};

/* Equal vGPUs have equal parts, however many they are. */
START_TEST(many)
{
	start_many(numbers[_i]);
	play(2 * S);
	model_count();
	play(2 * S);
	ck_assert_double_ge(jain(), 0.99);
	model_end();
}
END_TEST

/* So they have from the beginning, when some are known to be brief and others are not yet: each is
 * charged what it uses, also as turns of several at once begin and end. */
START_TEST(many_begin)
{
	const uint64_t bound = 2 * numbers[_i] * SLICE + ROUND;
	struct tenant_stats stats;

	start_many(numbers[_i]);
	play(2 * S);
	ck_assert_double_ge(jain(), 0.99);
	for (unsigned int i = 0; i < ms_n; i++) {
		tenant_stats(m[i].t, &stats);
		ck_assert_msg(stats.gpu_ns + OFF > m[i].used && stats.gpu_ns < m[i].used + OFF,
			      "vGPU %u is charged %.1f ms, and has used %.1f", i,
			      (double)stats.gpu_ns / 1e6, (double)m[i].used / 1e6);
		ck_assert_msg(m[i].longest <= bound,
			      "vGPU %u waited for %.1f ms, the bound is %.1f", i,
			      (double)m[i].longest / 1e6, (double)bound / 1e6);
		check_longest(&m[i]);
	}
	model_end();
}
END_TEST

/* A turn that outlasts its time because pvgpud itself is late costs its holder what it has used. */
START_TEST(late)
{
	const struct model v[2] = {
		{.share = {.class = SCHED_MEDIUM, .weight = 100},
		 .stream = {{.length = 500 * US, .depth = 1, .think = 100 * MS}}},
		W(100, MS),
	};
	const struct sched_params p = {.policy = SCHED_FAIR};
	struct tenant_stats before, after;

	model_start(&p, v, 2);
	play(S);
	for (int i = 0; i < 10000 && !(s->turns.holder == &m[0].t->vgpu && flying(&m[0])); i++)
		play(100 * US);
	ck_assert_ptr_eq(s->turns.holder, &m[0].t->vgpu);
	tenant_stats(m[0].t, &before);
	away_until = clock_ns + 40 * MS;
	play(45 * MS);
	tenant_stats(m[0].t, &after);
	ck_assert_uint_le(after.gpu_ns - before.gpu_ns, OFF);
	model_end();
}
END_TEST

/* A fiftieth of all pieces end while this machine's processors are somewhere else, for up to 0.8 s.
 */
static uint64_t stall_rarely(void)
{
	static const uint64_t stalls[] = {50 * MS, 100 * MS, 200 * MS, 400 * MS, 800 * MS};

	return rand() % 50 ? 0 : stalls[rand() % 5];
}

/* A vGPU of an exclusive pool whose worker sees the end of its work late, and pvgpud too, has not
 * used the GPU meanwhile, and is not to wait for it later. */
START_TEST(stalls)
{
	const struct model v[4] = FOUR(150 * MS);
	const struct sched_params p = {.policy = SCHED_FAIR, .exclusive = true};
	static const double due[4] = PARTS;
	double all = 0, got;

	srand((unsigned int)_i);
	stall = stall_rarely;
	model_start(&p, v, 4);
	play(10 * S);
	model_count();
	play(50 * S);
	for (int i = 0; i < 4; i++)
		all += (double)m[i].used;
	for (int i = 0; i < 4; i++) {
		got = (double)m[i].used / all;
		ck_assert_msg(got > due[i] - .01 && got < due[i] + .01,
			      "seed %d: vGPU %d has %.1f %% for %.1f", _i, i, 100 * got,
			      100 * due[i]);
	}
	model_end();
	stall = NULL;
}
END_TEST

/* Pieces of which some last longer than a worker expects. */
static const struct stream rarely_long[] = {
	{.length = 300 * US, .depth = 1, .think = 500 * US, .every = 4, .longer = 1900 * US},
	{.length = 300 * US, .depth = 1, .think = 3 * MS, .every = 2, .longer = 1900 * US},
	{.length = 100 * US, .depth = 1, .think = 500 * US, .every = 8, .longer = 1900 * US},
};

/* Each of several processes has a piece on the GPU when the next vGPU's turn begins. The GPU serves
 * all of them first, and that time is theirs. */
START_TEST(processes)
{
	static struct model v[PROCESSES + 3];
	const struct sched_params p = {.policy = SCHED_FAIR};
	uint64_t used = 0, all = 0;
	struct tenant_stats before, after;
	double got;

	for (unsigned int i = 0; i < PROCESSES; i++)
		v[i] = (struct model){.share = {.class = SCHED_MEDIUM, .weight = 200},
				      .of = i,
				      .stream = {rarely_long[_i]}};
	v[PROCESSES] = (struct model)W(100, 10 * MS);
	v[PROCESSES + 1] = (struct model)W(100, 100 * US);
	v[PROCESSES + 2] = (struct model)W(100, 10 * MS);
	model_start(&p, v, PROCESSES + 3);
	play(S);
	model_count();
	tenant_stats(m[0].t, &before);
	play(5 * S);
	tenant_stats(m[0].t, &after);
	for (unsigned int i = 0; i < ms_n; i++) {
		used += i < PROCESSES ? m[i].used : 0;
		all += m[i].used;
	}
	got = (double)used / (double)all;
	ck_assert_msg(got < .4 + NEAR, "the vGPU has %.1f %% for 40", 100 * got);
	got = (double)(after.gpu_ns - before.gpu_ns) / (double)used;
	ck_assert_msg(got > 1 - NEAR && got < 1 + NEAR, "the vGPU is charged %.1f %% of its use",
		      100 * got);
	model_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_pieces");
	TCase *t = tcase_create("schedule_pieces");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, shares_and_waits, 0, sizeof(scenes) / sizeof(scenes[0]));
	tcase_add_loop_test(t, waits_for_each_piece, 0, sizeof(steps) / sizeof(steps[0]));
	tcase_add_loop_test(t, loops_beside_queues, 0, 5);
	tcase_add_test(t, streams_beside_each_other);
	tcase_add_loop_test(t, many, 0, sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_loop_test(t, many_begin, 0, sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(t, late);
	tcase_add_loop_test(t, stalls, 0, 20);
	tcase_add_loop_test(t, processes, 0, sizeof(rarely_long) / sizeof(rarely_long[0]));
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
