/* SPDX-License-Identifier: MIT */
/* Samples of pvgpu-health, and the account that each is charged to. The test counts the actions. */
#include <check.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/guard/xid.h"

#define MS 1000000ull

static unsigned int kills, ends, warnings;
static uint64_t most; /* that the vGPU may have */
static bool is_device;
static uint64_t charged;

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	ck_assert_int_eq(kind, FAULT_CHEAT);
	w->killed = true;
	kills++;
}

void worker_kill(struct worker *w, const char *fmt, ...)
{
	w->killed = true;
	ends++;
}

void lease_measured(struct worker *w, uint64_t beyond)
{
	ledger_measured(&w->vgpu->ledger, &w->account.beyond, beyond);
}

uint64_t lease_most(const struct vgpu *t)
{
	return most;
}

void tenant_stats(struct tenant *t, struct tenant_stats *out)
{
	*out = (struct tenant_stats){.gpu_ns = charged};
}

void tenant_measured(struct tenant *t, uint64_t used_ns)
{
}

void tenant_charge(struct tenant *t, uint64_t ns)
{
	charged += ns;
}

static unsigned int facts;

void facts_take(struct daemon *of, const struct health_msg *m)
{
	facts++;
}

void xid_seen(struct pool *p, uint32_t number, pid_t pid)
{
}

void canary_round(struct pool *p)
{
}

void health_uuid(struct daemon *d, unsigned int index, const char uuid[41])
{
}

bool health_is_device(const struct daemon *d, unsigned int index, const char *device)
{
	return is_device;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	warnings += level == LOG_LEVEL_WARNING;
}

const char *worker_name(const struct worker *t)
{
	return "";
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t granted; /* 0: closed all the time */
static uint64_t late_ns; /* how long pvgpud is starved of CPU */

uint64_t gate_granted_time(struct gate *g, uint64_t *now)
{
	*now = now_ns() + late_ns;
	return granted;
}

uint64_t gate_late_commands(const struct gate *g)
{
	return 3;
}

static struct daemon d;
static struct vgpu v, *vgpus[] = {&v};
static struct worker w;
static uint64_t told; /* the time up to which use has been reported */

static void setup(void)
{
	/* Both are opaque to this test. */
	v = (struct vgpu){.d = &d, .tenant = (struct tenant *)&v};
	w = (struct worker){
		.d = &d, .vgpu = &v, .pid = 77, .state = CHECK_SERVING, .gate = (struct gate *)&w};
	d = (struct daemon){.vgpus = vgpus, .vgpu_n = 1, .worker_n = 1};
	d.cfg.exact_use = 1;
	TAILQ_INIT(&d.workers);
	TAILQ_INSERT_TAIL(&d.workers, &w, link);
	charged = kills = ends = warnings = granted = late_ns = 0;
	most = UINT64_MAX;
	told = now_ns();
}

/* The worker has used the GPU all the time for ms. */
static void used(uint64_t ms)
{
	struct health_msg m[] = {
		{.kind = HEALTH_PROCESS,
		 .pid = 77,
		 .process = {.begin_ns = told,
			     .end_ns = told + ms * MS,
			     .busy_ns = ms * MS,
			     .memory = HEALTH_UNKNOWN}},
		{.kind = HEALTH_ROUND},
	};
	char why[100];

	told += ms * MS;
	ck_assert_int_eq(account_take(&d, m, 2, why, sizeof(why)), 0);
}

START_TEST(who_cheats_is_ended)
{
	used(100); /* use before the first sample is not judged */
	for (unsigned int i = 0; i < 8 && !kills; i++)
		used(100);
	ck_assert_uint_eq(kills, 1);
}
END_TEST

/* A worker that moves memory uses the GPU without a turn, as much as its copies may, however long
 * they take; all of it is charged. Later use is judged. */
START_TEST(copies_are_no_guilt)
{
	w.parking.copies_until = UINT64_MAX;
	w.parking.copies_ns = 400 * MS;
	for (unsigned int i = 0; i < 4; i++)
		used(100);
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_ge(charged, 300 * MS);
	for (unsigned int i = 0; i < 8 && !kills; i++)
		used(100);
	ck_assert_uint_eq(kills, 1);
}
END_TEST

START_TEST(copies_have_ended)
{
	used(100);
	w.parking.copies_ns = 400 * MS;
	w.parking.copies_until = told;
	for (unsigned int i = 0; i < 2 && !kills; i++)
		used(100);
	ck_assert_uint_eq(kills, 1);
}
END_TEST

/* The driver says that a worker which has turns uses the GPU all the time: as it says of all. */
START_TEST(coarse_use_is_neither_guilt_nor_charged)
{
	d.cfg.exact_use = 0;
	for (unsigned int i = 0; i < 8; i++) {
		granted += 10 * MS;
		used(100);
	}
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_eq(charged, 0);
	ck_assert_uint_eq(w.account.used_ns, 800 * MS);
	/* Its last turn was long ago. */
	w.account.judge.grown_ns = 1;
	told = now_ns();
	for (unsigned int i = 0; i < 8 && !kills; i++)
		used(100);
	ck_assert_uint_eq(kills, 1);
}
END_TEST

/* The worker has that much memory, none of it leased. */
static void has(uint64_t bytes)
{
	struct health_msg m = {.kind = HEALTH_PROCESS,
			       .pid = 77,
			       .at_ns = now_ns() + late_ns,
			       .process = {.memory = bytes}};
	char why[100];

	ck_assert_int_eq(account_take(&d, &m, 1, why, sizeof(why)), 0);
}

/* The worker is ended once for each reason; its use is charged as before. */
START_TEST(the_judge_only_observes)
{
	d.cfg.test_judge_observes = 1;
	for (unsigned int i = 0; i < 8; i++)
		used(100);
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_uint_ge(charged, 700 * MS);
	for (unsigned int i = 0; i < 20; i++) {
		struct timespec step = {.tv_nsec = 50 * MS};

		has(1ull << 30);
		nanosleep(&step, NULL);
	}
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_eq(warnings, 2);
	/* Another worker is judged by itself. */
	w.account = (struct account){.known = true};
	told = now_ns();
	for (unsigned int i = 0; i < 8; i++)
		used(100);
	ck_assert_uint_eq(warnings, 3);
}
END_TEST

/* ---- memory of all sessions of a vGPU ---- */

#define MIB 1048576ull

static struct worker second;

/* Rounds in which the two have so much, 60 ms apart, until one is ended. */
static unsigned int rounds_with(uint64_t a, uint64_t b)
{
	struct health_msg m[] = {
		{.kind = HEALTH_PROCESS, .pid = 77, .process.memory = a},
		{.kind = HEALTH_PROCESS, .pid = 78, .process.memory = b},
		{.kind = HEALTH_ROUND},
	};
	struct timespec step = {.tv_nsec = 60 * MS};
	unsigned int n = 0;
	char why[100];

	for (; n < 12 && !kills && !ends; n++) {
		nanosleep(&step, NULL);
		for (unsigned int i = 0; i < 3; i++)
			m[i].at_ns = now_ns();
		ck_assert_int_eq(account_take(&d, m, 3, why, sizeof(why)), 0);
	}
	return n;
}

static void with_two(void)
{
	second = (struct worker){.d = &d, .vgpu = &v, .pid = 78, .state = CHECK_SERVING};
	TAILQ_INSERT_TAIL(&d.workers, &second, link);
	d.worker_n = 2;
	d.cfg.context_memory = 100 * MIB;
	most = 150 * MIB;
}

/* Memory that a session has beside its lease counts against the quota. */
START_TEST(contexts_count)
{
	with_two();
	w.leased = v.ledger.used = 50 * MIB;
	rounds_with(60 * MIB, 30 * MIB);
	ck_assert_uint_eq(kills + ends, 0);
	ck_assert_uint_eq(w.account.beyond, 10 * MIB);
	ck_assert_uint_eq(second.account.beyond, 30 * MIB);
	ck_assert_uint_eq(ledger_used(&v.ledger), 90 * MIB);
	ck_assert_uint_eq(v.context_bytes, 30 * MIB);
	/* A process that is not there any more. */
	second.pid = 79;
	rounds_with(50 * MIB, 30 * MIB);
	ck_assert_uint_eq(ledger_used(&v.ledger), 50 * MIB);
}
END_TEST

/* Each is within what a session may have; together they are not. */
START_TEST(sessions_together)
{
	with_two();
	rounds_with(100 * MIB, 90 * MIB);
	ck_assert_uint_eq(kills + ends, 0);
	most = 80 * MIB;
	ck_assert_uint_ge(rounds_with(100 * MIB, 90 * MIB), 3);
	/* Nobody had told it what a context takes. */
	ck_assert_uint_eq(ends, 1);
	ck_assert(w.killed && !second.killed);
	ends = 0;
	rounds_with(100 * MIB, 90 * MIB);
	ck_assert_uint_eq(ends + kills, 0);
}
END_TEST

START_TEST(sessions_that_were_told)
{
	with_two();
	most = 80 * MIB;
	w.context_bytes = 20 * MIB;
	w.leased = 70 * MIB;
	second.context_bytes = 20 * MIB;
	rounds_with(100 * MIB, 90 * MIB);
	ck_assert_uint_eq(kills, 1);
	ck_assert(second.killed);
}
END_TEST

/* A worker that has reported its session's end runs on for the time that ending may take. */
START_TEST(who_has_ended_is_charged)
{
	used(100);
	w.state = CHECK_ENDED;
	for (unsigned int i = 0; i < 8; i++)
		used(100);
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_ge(charged, 700 * MS);
}
END_TEST

/* Time granted while pvgpud was late is credit for use in that time. */
START_TEST(judged_late)
{
	used(1);
	told = now_ns();
	late_ns = 600 * MS;
	granted = 650 * MS;
	used(50);
	used(590);
	ck_assert_uint_eq(kills, 0);
	used(200);
	ck_assert_uint_eq(kills, 1);
}
END_TEST

/* ---- processes that are no workers ---- */

static struct pool gpu, *gpus[] = {&gpu};

/* A process that waits, and one that it has made; both end with the first. */
static pid_t family(pid_t *child, int *end)
{
	int p[2], up[2];
	pid_t pid;

	ck_assert(!pipe(p) && !pipe(up));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		pid_t mine = fork();
		char c;

		close(p[1]);
		if (mine && write(up[1], &mine, sizeof(mine)) < 0)
			_exit(1);
		_exit(read(p[0], &c, 1) < 0);
	}
	ck_assert_int_eq(read(up[0], child, sizeof(*child)), sizeof(*child));
	close(p[0]);
	close(up[0]);
	close(up[1]);
	*end = p[1];
	return pid;
}

static void over(pid_t pid, int end)
{
	close(end);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static void round_with(pid_t pid)
{
	struct health_msg m[] = {
		{.kind = HEALTH_PROCESS, .pid = (uint32_t)pid, .process.memory = HEALTH_UNKNOWN},
		{.kind = HEALTH_ROUND},
	};
	char why[100];

	ck_assert_int_eq(account_take(&d, m, 2, why, sizeof(why)), 0);
}

static void with_a_gpu(void)
{
	gpu = (struct pool){.d = &d};
	d.pools = gpus;
	d.pool_n = 1;
	is_device = true;
}

/* One alarm for a process that stays, none for one that is hardly there. */
START_TEST(strangers)
{
	pid_t child, pid;
	int end;

	with_a_gpu();
	pid = family(&child, &end);
	for (unsigned int i = 0; i < 10; i++)
		round_with(child);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_uint_eq(kills, 0);
	ck_assert_uint_eq(strangers_count(&gpu), 1);
	over(pid, end);
	for (unsigned int i = 0; i < 10; i++)
		round_with(77);
	ck_assert_uint_eq(strangers_count(&gpu), 0);
	/* A worker, with a session or spare, and a child of pvgpud are none. */
	w.vgpu = NULL;
	for (unsigned int i = 0; i < 10; i++)
		round_with(77);
	pid = family(&child, &end);
	for (unsigned int i = 0; i < 10; i++)
		round_with(pid);
	over(pid, end);
	ck_assert_uint_eq(warnings, 1);
	/* One that the driver lists a moment after its end. */
	for (unsigned int i = 0; i < 10; i++)
		round_with(pid);
	ck_assert_uint_eq(warnings, 1);
}
END_TEST

START_TEST(children_of_a_worker)
{
	pid_t child;
	int end;

	with_a_gpu();
	w.pid = family(&child, &end);
	for (unsigned int i = 0; i < 10 && !kills; i++)
		round_with(child);
	ck_assert_uint_eq(kills, 1);
	ck_assert_uint_eq(warnings, 0);
	over(w.pid, end);
}
END_TEST

/* More of them than are told apart are no more trouble. */
START_TEST(crowd_of_strangers)
{
	with_a_gpu();
	for (unsigned int i = 0; i < 1000; i++) {
		struct health_msg m = {.kind = HEALTH_PROCESS,
				       .pid = 4000000 + i,
				       .process.memory = HEALTH_UNKNOWN};
		char why[100];

		ck_assert_int_eq(account_take(&d, &m, 1, why, sizeof(why)), 0);
	}
	round_with(77);
	ck_assert_uint_eq(strangers_count(&gpu), 0);
	ck_assert_uint_eq(warnings + kills, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("account");
	TCase *t = tcase_create("account");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, who_cheats_is_ended);
	tcase_add_test(t, copies_are_no_guilt);
	tcase_add_test(t, copies_have_ended);
	tcase_add_test(t, coarse_use_is_neither_guilt_nor_charged);
	tcase_add_test(t, the_judge_only_observes);
	tcase_add_test(t, judged_late);
	tcase_add_test(t, strangers);
	tcase_add_test(t, children_of_a_worker);
	tcase_add_test(t, crowd_of_strangers);
	tcase_add_test(t, who_has_ended_is_charged);
	tcase_add_test(t, contexts_count);
	tcase_add_test(t, sessions_together);
	tcase_add_test(t, sessions_that_were_told);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
