/* SPDX-License-Identifier: MIT */
/* How much pvgpud does for the memory of many sessions: it looks at each guest once, however many
 * claims wait. */
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MIB         (1ull << 20)
#define SESSIONS    20u
#define CLAIMS_EACH 8u
#define FILES       1024

static struct fake_worker *k[SESSIONS];
static bool is_guest[FILES];
static unsigned int looks; /* at guests */

int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	for (nfds_t i = 0; i < n; i++)
		looks += p[i].fd >= 0 && p[i].fd < FILES && is_guest[p[i].fd];
	return __real_poll(p, n, ms);
}

static void asks(struct fake_worker *f, uint32_t id, uint64_t bytes)
{
	lease_asked(f->w, &(struct pvgpu_sup){.kind = PVGPU_SUP_LEASE, .id = id, .a = bytes});
}

static void returns(struct fake_worker *f, uint64_t bytes)
{
	lease_returned(f->w, &(struct pvgpu_sup){.kind = PVGPU_SUP_RETURN, .a = bytes});
}

/* Until timers of a few milliseconds are over. */
static void some_time(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	for (unsigned int i = 0; i < 20; i++) {
		nanosleep(&t, NULL);
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	}
}

/* Sessions of local guests, which run. The first one has all memory but a page for each. */
static void open_many(void)
{
	fake.v->cfg.policy.max_sessions = 64;
	lease_quota_known(fake.v);
	for (unsigned int i = 0; i < SESSIONS; i++) {
		const int fd = eventfd(0, EFD_CLOEXEC);

		k[i] = opened(SESSION + i);
		ck_assert(fd >= 0 && fd < FILES);
		k[i]->w->guest_pidfd = fd;
		is_guest[fd] = true;
	}
	asks(k[0], 1, fake.v->ledger.quota - SESSIONS * 4096);
	for (unsigned int i = 1; i < SESSIONS; i++)
		asks(k[i], 1, 4096);
	some_time();
}

static void all_end(void)
{
	for (unsigned int i = 0; i < SESSIONS; i++)
		if (k[i]->w)
			fake_die(k[i]);
	fake_settle();
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}

static unsigned int claims(void)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < SESSIONS; i++)
		n += k[i]->w->claims;
	return n;
}

START_TEST(returns_while_many_wait)
{
	open_many();
	k[0]->w->state = CHECK_ENDED;
	for (unsigned int i = 1; i < SESSIONS; i++)
		for (unsigned int j = 0; j < CLAIMS_EACH; j++)
			asks(k[i], 2 + j, MIB);
	ck_assert_uint_eq(claims(), (SESSIONS - 1) * CLAIMS_EACH);
	looks = 0;
	for (unsigned int i = 0; i < 100; i++)
		returns(k[1], 1);
	some_time();
	ck_assert_uint_gt(looks, 0);
	/* Where the machine is slow, the returns may have been served more than once. The other
	 * looks are for the report of what is free. */
	ck_assert_uint_le(looks, 8 * SESSIONS);
	ck_assert_uint_eq(claims(), (SESSIONS - 1) * CLAIMS_EACH);
	fake_die(k[0]);
	fake_settle();
	ck_assert_uint_eq(claims(), 0);
	all_end();
}
END_TEST

/* A claim that a RETURN has made room for is granted, though a moment later. */
START_TEST(returns_serve_a_claim)
{
	open_many();
	k[0]->w->state = CHECK_ENDED;
	asks(k[1], 2, SESSIONS * 4096);
	ck_assert_uint_eq(k[1]->w->claims, 1);
	for (unsigned int i = 2; i < SESSIONS; i++)
		returns(k[i], 4096);
	returns(k[1], 4096);
	k[0]->w->state = CHECK_SERVING;
	returns(k[0], 4096);
	some_time();
	ck_assert_uint_eq(k[1]->w->claims, 0);
	ck_assert_uint_eq(k[1]->w->leased, SESSIONS * 4096);
	all_end();
}
END_TEST

START_TEST(reports_to_many)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	open_many();
	for (unsigned int i = 0; i < SESSIONS; i++)
		while (fake_hear(k[i], PVGPU_SUP_MEMINFO, &m, &fds))
			continue;
	returns(k[1], 4096);
	looks = 0;
	some_time();
	ck_assert_uint_eq(looks, SESSIONS);
	for (unsigned int i = 0; i < SESSIONS; i++) {
		if (i == 1)
			continue; /* it knows */
		ck_assert(fake_hear(k[i], PVGPU_SUP_MEMINFO, &m, &fds));
		ck_assert_uint_eq(m.head.b, 2 * 4096);
	}
	all_end();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, returns_while_many_wait);
	tcase_add_test(t, returns_serve_a_claim);
	tcase_add_test(t, reports_to_many);
}

int main(void)
{
	return run_xenctl_tests("lease", add);
}
