/* SPDX-License-Identifier: MIT */
/*
 * The gate's bells with a worker that a guest has taken over. Whatever the worker does, pvgpud
 * neither blocks nor turns for nothing, and the neighbour has its turns.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/daemon/schedule_fake.h"

#define TURNS 8

static struct tenant *tenants[2];
static struct fake bad, good;

static void meet(void)
{
	start(SCHED_FAIR, false);
	for (unsigned int i = 0; i < 2; i++)
		tenants[i] = tenant(100);
	bad = join(tenants[0], false);
	good = join(tenants[1], false);
}

static void part(void)
{
	leave(&bad);
	leave(&good);
	for (unsigned int i = 0; i < 2; i++)
		tenant_free(tenants[i]);
	finish();
}

static void may_block(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	ck_assert_int_ge(flags, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK), 0);
}

/* Fill the bell until a write would block. */
static void fill(int fd)
{
	const uint64_t most = UINT64_MAX - 1;

	may_block(fd, false);
	while (write(fd, &most, sizeof(most)) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	may_block(fd, true);
}

static void empty(int fd)
{
	char some[512];

	may_block(fd, false);
	while (read(fd, some, sizeof(some)) > 0)
		;
	may_block(fd, true);
}

/* Both vGPUs have work all the time; the hostile one needs no ring for that. */
static void take_turns(void)
{
	bool open = is_open(&good);

	for (unsigned int n = 0; n < TURNS; n += !open && is_open(&good)) {
		open = is_open(&good);
		saturate(&good);
		bad.says->drained = bad.says->sleeps = bad.says->wants = 1;
		schedule_look(tenants[0]);
		turn();
	}
}

static void neighbour_is_served(void)
{
	want(&good);
	UNTIL(is_open(&good));
	ck_assert(rung(&good));
	UNTIL(good.g->last.wants);
}

/* pvgpud rings it with its bell full, or is rung with one that it cannot empty. */
START_TEST(full)
{
	meet();
	want(&bad);
	UNTIL(is_open(&bad));
	fill(bad.ring);
	fill(bad.bell);
	for (unsigned int i = 0; i < 64; i++)
		gate_ring(bad.g);
	neighbour_is_served();
	take_turns();
	part();
}
END_TEST

static void on_check(struct ev_loop *l, ev_check *c, int events)
{
	empty(bad.bell);
}

/* The worker empties its bell between pvgpud's poll and pvgpud's read. */
START_TEST(taken_back)
{
	ev_check thief;

	meet();
	may_block(bad.bell, true);
	may_block(bad.ring, true);
	ev_check_init(&thief, on_check);
	ev_set_priority(&thief, EV_MAXPRI);
	ev_check_start(loop, &thief);
	for (unsigned int i = 0; i < TURNS; i++) {
		ring(&bad);
		turn();
	}
	neighbour_is_served();
	ev_check_stop(loop, &thief);
	part();
}
END_TEST

/* The worker closes its ends, or shuts them down: pvgpud does not poll a hung-up bell for ever. */
START_TEST(hung_up)
{
	uint64_t wakeups;

	meet();
	if (_i) {
		fill(bad.bell);
		shutdown(bad.bell, SHUT_RDWR);
	}
	close(bad.ring);
	close(bad.bell);
	bad.ring = bad.bell = -1;
	for (unsigned int i = 0; i < 200; i++)
		turn();
	wakeups = schedule_wakeups(s);
	for (unsigned int i = 0; i < 20; i++) {
		gate_ring(bad.g);
		turn();
	}
	ck_assert_uint_le(schedule_wakeups(s) - wakeups, 4);
	/* No bell is ready any more: a turn that does not block handles none. */
	ev_timer_stop(loop, &tick);
	ev_run(loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(ev_pending_count(loop), 0);
	ev_timer_start(loop, &tick);
	neighbour_is_served();
	take_turns();
	part();
}
END_TEST

/* However often each side rings, unread bytes are bounded, and one read takes them all. */
START_TEST(rings_add_up)
{
	uint64_t wakeups;

	meet();
	for (unsigned int i = 0; i < 100000; i++)
		gate_ring(bad.g);
	ck_assert(rung(&bad));
	empty(bad.ring);
	may_block(bad.ring, false);
	ck_assert(!rung(&bad));
	for (unsigned int i = 0; i < 4; i++)
		ring(&bad);
	wakeups = schedule_wakeups(s);
	for (unsigned int i = 0; i < 20; i++)
		turn();
	ck_assert_uint_eq(schedule_wakeups(s) - wakeups, 1);
	part();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bells");
	TCase *t = tcase_create("bells");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_test(t, full);
	tcase_add_test(t, taken_back);
	tcase_add_loop_test(t, hung_up, 0, 2);
	tcase_add_test(t, rings_add_up);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
