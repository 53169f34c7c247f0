/* SPDX-License-Identifier: MIT */
/* A worker's answers to the next pvgpud are claims: the last one's record counts. Blame of the GPU
 * is a claim, too. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/xid.h"

#define MIB (1ull << 20)
#define PIB (1ull << 50)

static void state(struct fake_worker *k, uint64_t leased, uint32_t chunk_pages)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_STATE,
			      .session = k->w->id,
			      .id = chunk_pages,
			      .a = leased,
			      .b = SESSION};

	strcpy(m.vgpu, fake.v->cfg.name);
	fake_say(k, &m);
	fake_settle();
}

static void lease(struct fake_worker *k, uint32_t kind, uint64_t bytes)
{
	fake_say(k, &(struct pvgpu_sup){.kind = kind, .id = 1, .a = bytes});
	fake_settle();
}

/* An open session with a lease of 64 MiB, of a pvgpud that was killed. */
static struct fake_worker *left(void)
{
	lease(opened(SESSION), PVGPU_SUP_LEASE, 64 * MIB);
	fake_restart();
	return fake_serving(SESSION);
}

/* Its memory and grants count before its first message. */
START_TEST(the_record_counts)
{
	struct fake_worker *k = left();

	ck_assert_uint_eq(fake.v->sessions, 1);
	ck_assert_uint_eq(fake.v->total, 0); /* since pvgpud started */
	ck_assert_uint_eq(fake.v->ledger.used, 64 * MIB);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	state(k, 64 * MIB, 0);
	ck_assert(!k->w->killed);
	ck_assert_uint_eq(fake.v->ledger.used, 64 * MIB);
	lease(k, PVGPU_SUP_RETURN, 64 * MIB);
	ck_assert_uint_eq(fake.v->ledger.used, 0);
	ck_assert_uint_eq(k->w->leased, 0);
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.d.xen_grants, 0);
}
END_TEST

/* A claim of more is a breach, and nobody else has less for it in the meantime. */
START_TEST(claims_of_more)
{
	static const struct {
		uint64_t leased;
		uint32_t pages;
	} lies[] = {{PIB, 0}, {UINT64_MAX, 0}, {64 * MIB + 1, 0}, {64 * MIB, 1}, {0, UINT32_MAX}};
	struct fake_worker *k = left();

	fake.d.cfg.quarantine_faults = 1;
	fake.d.cfg.quarantine_window_s = fake.d.cfg.quarantine_time_s = 600;
	{
		struct pvgpu_sup m = {.kind = PVGPU_SUP_STATE,
				      .session = k->w->id,
				      .id = lies[_i].pages,
				      .a = lies[_i].leased,
				      .b = SESSION};

		strcpy(m.vgpu, fake.v->cfg.name);
		ck_assert_int_eq(msg_send(k->control, &m, sizeof(m), NULL, 0), 0);
	}
	for (unsigned int i = 0; i < 8; i++)
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	ck_assert(k->w->killed);
	ck_assert_ptr_nonnull(strstr(k->w->reason, "on record"));
	ck_assert_uint_eq(fake.v->ledger.used, 64 * MIB);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	fake_settle();
	ck_assert_uint_eq(fake.v->ledger.used, 0);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
}
END_TEST

/* An honest worker may have less. A claim of it changes nothing; it learns what is on record. */
START_TEST(claims_of_less)
{
	struct fake_worker *k = left();
	struct pvgpu_sup_assign m;
	unsigned int fds;

	state(k, _i ? 16 * MIB : 0, 0);
	ck_assert(!k->w->killed);
	ck_assert_uint_eq(fake.v->ledger.used, 64 * MIB);
	ck_assert(fake_hear(k, PVGPU_SUP_MEMINFO, &m, &fds));
	ck_assert_uint_eq(m.head.c, 64 * MIB);
	lease(k, PVGPU_SUP_LEASE, fake.v->ledger.quota - 63 * MIB);
	ck_assert(fake_hear(k, PVGPU_SUP_LEASED, &m, &fds));
	ck_assert_uint_eq(m.head.a, 0);
	lease(k, PVGPU_SUP_RETURN, 48 * MIB);
	ck_assert_uint_eq(fake.v->ledger.used, 16 * MIB);
}
END_TEST

/* A grant is on record before the worker hears of it. */
START_TEST(killed_at_once)
{
	struct fake_worker *k = opened(SESSION);
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_LEASE, .id = 1, .a = 8 * MIB};

	ck_assert_int_eq(msg_send(k->control, &m, sizeof(m), NULL, 0), 0);
	ev_run(fake.d.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(k->w->leased, 8 * MIB);
	fake_restart();
	ck_assert_uint_eq(fake.v->ledger.used, 8 * MIB);
}
END_TEST

/* Nobody has the record of it: it is not a session. */
START_TEST(without_a_record)
{
	struct fake_worker *k = left();

	ck_assert_ptr_null(adopt_recorded(fake.v, k->w->id, SESSION)); /* taken */
	ck_assert_ptr_null(adopt_recorded(fake.v, k->w->id + 1, SESSION));
	ck_assert_ptr_null(adopt_recorded(fake.v, 0, SESSION));
}
END_TEST

/* It is a failure, unless the guest had closed the session before (_i). */
START_TEST(died_meanwhile)
{
	struct fake_worker *k = opened(SESSION);

	if (_i) {
		fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
		fake_settle();
	}
	close(k->control);
	close(k->death);
	*k = (struct fake_worker){.control = -1, .death = -1};
	fake_restart();
	adopt_scan(&fake.d);
	ck_assert_uint_eq(fake.v->failed, !_i);
	ck_assert_uint_eq(fake.v->sessions, 0);
	/* Its record is gone. */
	fake_restart();
	adopt_scan(&fake.d);
	ck_assert_uint_eq(fake.v->failed, 0);
}
END_TEST

/* A program with the name of the worker's, which runs until it is ended. */
static pid_t runs_on(const char *name)
{
	char copy[300], path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", fake.dir, name);
	snprintf(copy, sizeof(copy), "cp /bin/sleep %s", path);
	ck_assert_int_eq(system(copy), 0);
	pid = fork();
	if (!pid) {
		execl(path, name, "60", NULL);
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	/* Until its name is that of the program. */
	for (unsigned int i = 0; i < 1000; i++) {
		char link[64], exe[128] = "";

		snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
		if (readlink(link, exe, sizeof(exe) - 1) > 0 && !strcmp(exe, path))
			return pid;
		usleep(10000);
	}
	ck_abort_msg("%s does not run", path);
}

/* By which signal: SIGTERM is the test's, which comes too late where the process was killed. */
static int how_it_ended(pid_t pid)
{
	int status = 0;

	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

/* A worker that has closed its socket looks dead, but uses the GPU. A program of another name (_i)
 * has its number by chance. */
START_TEST(hides_from_the_next)
{
	const pid_t pid = runs_on(_i ? "another" : "pvgpu-worker");
	struct fake_worker *k;

	for (unsigned int i = 0; i < fake.worker_n; i++)
		if (fake.workers[i].w)
			fake.workers[i].w->pid = pid;
	k = opened(SESSION);
	close(k->control);
	close(k->death);
	*k = (struct fake_worker){.control = -1, .death = -1};
	fake_restart();
	adopt_scan(&fake.d);
	ck_assert_int_eq(how_it_ended(pid), _i ? SIGTERM : SIGKILL);
	ck_assert_uint_eq(fake.v->failed, 1);
	ck_assert_uint_eq(fake.v->sessions, 0);
}
END_TEST

/* A connection that is never accepted takes a place of the line only. */
static bool listens(const struct sockaddr_un *a)
{
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const bool yes = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0;

	close(fd);
	return yes;
}

/* A process in place of the session's worker, which listens at its adoption socket. */
static pid_t worker_process(const char *sock)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t pid;

	ck_assert_int_eq(unlinkat(fake.d.workers_dir, sock, 0), 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.82s", fake.d.workers_dir,
		 sock);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(fd);
	while (!listens(&a))
		usleep(1000);
	return pid;
}

/* As the record of an earlier build has it. */
static void forget_device(void)
{
	static const char none[CONFIG_GPU];
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/held", fake.dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, none, sizeof(none), 4096 + 56), sizeof(none));
	close(fd);
}

/* The pool of a session has another device after a restart: its worker is ended where that is
 * surely another GPU. */
START_TEST(another_device)
{
	static const struct {
		const char *had, *has; /* had NULL: not on record */
		bool same;
	} cases[] = {
		{"0", "0", true},
		{"0", "1", false},
		{NULL, "1", true},
		{"0", "00", true},
		{"GPU-8a1b", "GPU-8a1b77", true},
		{"GPU-8a1b77", "GPU-8a1b", true},
		{"GPU-8a1b77", "GPU-8a1c", false},
		{"GPU-8a1b77", "0", true}, /* it is not known which one that is */
		{"GPU-8a1b", "GPU-8A1B", true},
		{"MIG-1", "MIG-2", false},
		{"MIG-1", "MIG-1", true},
		{"MIG-1", "0", true},
		{"MIG-1", "MIG-GPU-8a1b/1/0", true},
		{"MIG-GPU-8a1b/2/0", "MIG-GPU-8a1b/1/0", false},
	};
	const char *had = cases[_i].had ? cases[_i].had : "0", *has = cases[_i].has;
	struct fake_worker *k;
	char sock[sizeof(k->w->sock)];
	int status = 0;
	pid_t pid;

	strcpy(fake.d.pools[0]->cfg.device, had);
	k = opened(SESSION);
	strcpy(sock, k->w->sock);
	if (!cases[_i].had)
		forget_device();
	close(k->control);
	close(k->death);
	*k = (struct fake_worker){.control = -1, .death = -1};
	pid = worker_process(sock);
	fake_restart();
	strcpy(fake.d.pools[0]->cfg.device, has);
	adopt_scan(&fake.d);
	ck_assert_uint_eq(fake.v->sessions, cases[_i].same);
	if (cases[_i].same) {
		ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
		kill(pid, SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fake_settle();
	ck_assert_uint_eq(fake.v->sessions, 0);
}
END_TEST

/* A removal of a chunk that never was uncounts nothing. */
START_TEST(chunks_are_on_record)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	added(k, SESSION, BASE, 8192);
	added(k, SESSION, BASE + 0x10000, 4096);
	fake_restart();
	k = fake_serving(SESSION);
	ck_assert_uint_eq(k->w->grants, FAKE_RING_PAGES + 3);
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	fake_again();
	state(k, 0, 3);
	for (unsigned int i = 0; i < 8; i++) {
		id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE + 0x20000 + 4096 * i, 4096);
		answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	}
	ck_assert_uint_eq(k->w->grants, FAKE_RING_PAGES + 3);
	ck_assert_uint_eq(k->w->xs->arena, 3 * 4096);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 4096);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, EINVAL);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 8192);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	ck_assert_uint_eq(k->w->grants, FAKE_RING_PAGES + 1);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 0x10000, 4096);
	answer(PVGPU_CTL_CHUNK_ADD, id, 0); /* it is there */
	ck_assert_uint_eq(k->w->grants, FAKE_RING_PAGES + 1);
}
END_TEST

/* ---- the GPU is to blame ---- */

static void blames(uint32_t session)
{
	struct fake_worker *k = opened(session);
	struct pvgpu_ctl_msg m;

	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_ENDED,
					.a = PVGPU_END_FAILED,
					.b = 214,
					.c = 1,
					.reason = "not me"});
	fake_settle();
	fake_die(k);
	fake_settle();
	while (fake_answer(&m))
		; /* the session's end */
}

/* The canary, answered: true when there was one. */
static bool canary(uint64_t result)
{
	for (unsigned int i = 0; i < fake.worker_n; i++) {
		struct fake_worker *k = &fake.workers[i];

		if (!k->w || !k->w->canary || k->w->state != CHECK_CANARY)
			continue;
		fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_CANARIED, .a = result, .b = 9});
		fake_settle();
		fake_die(k);
		fake_settle();
		return true;
	}
	return false;
}

START_TEST(blame_of_a_gpu_that_works)
{
	blames(SESSION);
	ck_assert_uint_eq(fake.v->quarantine.faults, 0);
	ck_assert(canary(0));
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	/* No other spare worker is taken for it. */
	for (uint32_t i = 1; i < 6; i++) {
		blames(SESSION + i);
		ck_assert(!canary(0));
		ck_assert_uint_eq(fake.v->quarantine.faults, 1 + i);
	}
	/* Some time later one is. */
	fake_pass(120000);
	blames(SESSION + 6);
	ck_assert_uint_eq(fake.v->quarantine.faults, 6);
	ck_assert(canary(0));
	ck_assert_uint_eq(fake.v->quarantine.faults, 7);
}
END_TEST

START_TEST(blame_of_a_gpu_that_fails)
{
	fake.d.cfg.canary_tries = 1;
	blames(SESSION);
	ck_assert(canary(1000));
	ck_assert_uint_eq(fake.v->quarantine.faults, 0);
	ck_assert(fake.d.pools[0]->canary.unhealthy);
}
END_TEST

/* Only an Xid that no program can cause. */
START_TEST(blame_with_an_xid)
{
	static const struct {
		uint32_t xid;
		bool believed;
	} cases[] = {{48, true}, {94, true}, {31, false}, {13, false}, {45, false}};

	for (unsigned int late = 0; late < 2; late++) {
		const uint64_t before = fake.v->quarantine.faults;

		fake_pass(120000);
		if (!late)
			xid_seen(fake.d.pools[0], cases[_i].xid, 0);
		blames(SESSION + late);
		if (late)
			xid_seen(fake.d.pools[0], cases[_i].xid, 0);
		while (canary(0))
			;
		ck_assert_uint_eq(fake.v->quarantine.faults, before + !cases[_i].believed);
	}
}
END_TEST

/* ---- a GPU that is locked before its test has begun ---- */

static unsigned int answers;

static void answered(struct pool *p, const char *why)
{
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_nonnull(strstr(why, "Xid 79"));
	answers++;
}

/* The test that a reset or an operator waits for is armed (_i = 0), or waits for a worker (1). */
START_TEST(locked_before_its_test)
{
	struct pool *p = fake.d.pools[0];
	char result[CANARY_WHY];

	answers = 0;
	fake.slow = true;
	while (fake_serving(0))
		fake_die(fake_serving(0)); /* the spare worker */
	fake_settle();
	p->canary.answered = answered;
	canary_ask(p);
	if (_i)
		fake_settle();
	ck_assert_int_eq(canary_waits(p), _i);
	ck_assert_uint_eq(answers, 0);
	xid_seen(p, 79, 0);
	ck_assert_uint_eq(answers, 1);
	canary_result(p, result, sizeof(result));
	ck_assert_ptr_nonnull(strstr(result, "wrong: Xid 79"));
	/* Once: nothing waits any more. */
	xid_seen(p, 79, 0);
	fake_settle();
	ck_assert_uint_eq(answers, 1);
}
END_TEST

/* One that runs is answered by its end. */
START_TEST(locked_during_its_test)
{
	struct pool *p = fake.d.pools[0];
	char result[CANARY_WHY];

	canary_ask(p);
	fake_settle();
	ck_assert_ptr_nonnull(p->canary.w);
	xid_seen(p, 79, 0);
	canary_result(p, result, sizeof(result));
	ck_assert_str_eq(result, "running");
	ck_assert(canary(0));
	canary_result(p, result, sizeof(result));
	ck_assert_str_eq(result, "right: 9 us");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, the_record_counts);
	LOOP(claims_of_more, 5);
	LOOP(claims_of_less, 2);
	tcase_add_test(t, killed_at_once);
	tcase_add_test(t, without_a_record);
	LOOP(died_meanwhile, 2);
	LOOP(hides_from_the_next, 2);
	LOOP(another_device, 14);
	tcase_add_test(t, chunks_are_on_record);
	tcase_add_test(t, blame_of_a_gpu_that_works);
	tcase_add_test(t, blame_of_a_gpu_that_fails);
	LOOP(blame_with_an_xid, 5);
	LOOP(locked_before_its_test, 2);
	tcase_add_test(t, locked_during_its_test);
}

int main(void)
{
	return run_xenctl_tests("adopt", add);
}
