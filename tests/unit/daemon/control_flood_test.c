/* SPDX-License-Identifier: MIT */
/*
 * Workers that send more than they may. Their neighbours' waits are counted in turns of pvgpud's
 * loop, not in time.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring/poll.h"
#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define FLOODS 7u
#define ROUNDS 64u
#define MIB    (1ull << 20)
#define S      1000000000ull

/* Take pvgpud's answers: pvgpud soon stops reading a worker that does not. */
static void hear_all(struct fake_worker *k)
{
	struct pvgpu_sup_assign m;
	struct msg_in in;

	while (msg_recv(k->control, &m, sizeof(m), 0, &in) > 0)
		;
}

/* Fill its socket until a send would block. */
static void fill(struct fake_worker *k)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_MEMINFO};

	hear_all(k);
	while (msg_send(k->control, &m, sizeof(m), NULL, 0) == 0)
		;
}

static void fill_all(struct fake_worker *const k[], unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (k[i]->w && !k[i]->w->killed)
			fill(k[i]);
}

/* Turns until it has its answer. */
static unsigned int lease_turns(struct fake_worker *k, uint32_t id, struct fake_worker *const bad[])
{
	const struct pvgpu_sup ask = {.kind = PVGPU_SUP_LEASE, .id = id, .a = MIB};
	struct pvgpu_sup_assign m;
	unsigned int turns = 0, fds;

	ck_assert_int_eq(msg_send(k->control, &ask, sizeof(ask), NULL, 0), 0);
	while (!fake_hear(k, PVGPU_SUP_LEASED, &m, &fds)) {
		fill_all(bad, FLOODS);
		ev_run(fake.d.loop, EVRUN_NOWAIT);
		turns++;
	}
	ck_assert_uint_eq(m.head.id, id);
	ck_assert_uint_eq(m.head.a, MIB);
	return turns;
}

START_TEST(neighbours_are_answered)
{
	struct fake_worker *bad[FLOODS], *good;
	unsigned int most = 0;

	lease_quota_known(fake.v);
	for (uint32_t i = 0; i < FLOODS; i++)
		bad[i] = opened(SESSION + i);
	good = opened(SESSION + FLOODS);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		unsigned int turns = lease_turns(good, i, bad);

		most = turns > most ? turns : most;
	}
	ck_assert_uint_le(most, 2);
}
END_TEST

/* The flooding worker is read up to its budget, whatever it sends; the others are read all the
 * time. */
START_TEST(what_one_may_say)
{
	struct fake_worker *k = opened(SESSION);
	uint64_t begin = pvgpu_poll_now(), heard = 0, most;
	struct pvgpu_sup_assign m;
	unsigned int fds;

	lease_quota_known(fake.v);
	for (uint64_t now = begin; now < begin + S / 2; now = pvgpu_poll_now()) {
		const struct pvgpu_sup ask = {.kind = PVGPU_SUP_MEMINFO};

		while (msg_send(k->control, &ask, sizeof(ask), NULL, 0) == 0)
			;
		ev_run(fake.d.loop, EVRUN_NOWAIT);
		while (fake_hear(k, PVGPU_SUP_MEMINFO, &m, &fds))
			heard++;
	}
	most = budget_worker.burst +
	       (pvgpu_poll_now() - begin) / 1000 * budget_worker.a_second / 1000000 + 16;
	ck_assert_uint_le(heard, most);
	ck_assert(!k->w->killed || pvgpu_poll_now() - begin >= budget_worker.over_ns);
	/* Its end is seen at once, since the pidfd shows it, not the socket. */
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.v->sessions, 0);
}
END_TEST

/* A worker that only floods is ended, and that is a fault of its vGPU. */
START_TEST(a_flood_ends)
{
	struct fake_worker *k = opened(SESSION), *good = opened(SESSION + 1);
	const uint64_t begin = pvgpu_poll_now();

	fake.d.cfg.quarantine_faults = 3;
	fake.d.cfg.quarantine_window_s = 3600;
	while (!k->w->killed) {
		fill(k);
		hear_all(good);
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	}
	ck_assert_uint_ge(pvgpu_poll_now() - begin, budget_worker.over_ns / 2);
	ck_assert_ptr_nonnull(strstr(k->w->reason, "floods its control socket"));
	ck_assert_int_eq(k->w->fault, FAULT_PROTOCOL);
	fake_settle();
	ck_assert_uint_eq(fake.v->sessions, 1);
	ck_assert(!good->w->killed);
}
END_TEST

/* Its answer has come in time and pvgpud, starved of CPU, reads it after the deadline. */
START_TEST(pvgpud_reads_late)
{
	const struct pvgpu_sup says = {.kind = PVGPU_SUP_MEMINFO};
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_sup_assign m;
	unsigned int fds;

	lease_quota_known(fake.v);
	worker_deadline(k->w, 1, "did not answer");
	for (unsigned int i = 0; i < 8; i++)
		ck_assert_int_eq(msg_send(k->control, &says, sizeof(says), NULL, 0), 0);
	usleep(20000);
	for (unsigned int heard = 0; heard < 8;) {
		ev_run(fake.d.loop, EVRUN_NOWAIT);
		ck_assert(!k->w->killed);
		heard += fake_hear(k, PVGPU_SUP_MEMINFO, &m, &fds);
	}
	/* Without a word it is over. */
	worker_deadline(k->w, 1, "did not answer");
	while (!k->w->killed)
		ev_run(fake.d.loop, EVRUN_ONCE);
	ck_assert_str_eq(k->w->reason, "did not answer");
}
END_TEST

/* It cannot put it off for ever by saying something all the time. */
START_TEST(a_deadline_comes)
{
	struct fake_worker *k = opened(SESSION);

	lease_quota_known(fake.v);
	worker_deadline(k->w, 1, "did not answer");
	while (!k->w->killed) {
		fill(k);
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	}
	ck_assert_str_eq(k->w->reason, "did not answer");
}
END_TEST

/* A local guest connects and leaves, as fast as it can: each is accepted, at a rate. */
START_TEST(connections)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	uint64_t begin, most;

	snprintf(fake.v->cfg.socket, sizeof(fake.v->cfg.socket), "%s/v.sock", fake.dir);
	fake.v->cfg.mode = 0600;
	ck_assert_int_eq(vgpu_listen(fake.v), 0);
	strcpy(a.sun_path, fake.v->cfg.socket);
	begin = pvgpu_poll_now();
	while (pvgpu_poll_now() < begin + S / 2 || fake.accepted < 512) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		ck_assert_int_ge(fd, 0);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			ck_assert_int_eq(errno, EAGAIN);
		close(fd);
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	}
	/* And one more for each pause of 20 ms. */
	most = 512 + (pvgpu_poll_now() - begin) / 1000000 * (128 + 50) / 1000 + 2;
	ck_assert_uint_le(fake.accepted, most);
	ck_assert(ev_is_active(&fake.v->pause) || ev_is_active(&fake.v->io));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, connections);
	tcase_add_test(t, neighbours_are_answered);
	tcase_add_test(t, what_one_may_say);
	tcase_add_test(t, a_flood_ends);
	tcase_add_test(t, pvgpud_reads_late);
	tcase_add_test(t, a_deadline_comes);
}

int main(void)
{
	return run_xenctl_tests("control_flood", add);
}
