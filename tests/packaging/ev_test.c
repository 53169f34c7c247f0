/* SPDX-License-Identifier: MIT */
/* The event loop that an old dom0's tools have in libev's place. */
#include "xen-pvgpu-back/packaging/dom0/include/ev.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct ev_loop *loop;
static char called[64];
static size_t n;

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_ptr_nonnull(loop);
	n = 0;
}

static void teardown(void)
{
	ev_loop_destroy(loop);
}

static void note(const void *data)
{
	ck_assert_uint_lt(n, sizeof(called) - 1);
	called[n++] = *(const char *)data;
	called[n] = '\0';
}

static void on_timer(struct ev_loop *l, ev_timer *t, int events)
{
	ck_assert_int_eq(events, EV_TIMER);
	note(t->data);
}

static void on_last(struct ev_loop *l, ev_timer *t, int events)
{
	note(t->data);
	ev_break(l, EVBREAK_ALL);
}

static ev_timer timer(void (*cb)(struct ev_loop *, ev_timer *, int), const char *name, double after,
		      double repeat)
{
	ev_timer t;

	ev_timer_init(&t, cb, after, repeat);
	t.data = (void *)(size_t)name;
	return t;
}

START_TEST(timers_come_in_their_order)
{
	ev_timer a = timer(on_timer, "a", .002, 0), b = timer(on_timer, "b", .001, 0),
		 c = timer(on_last, "c", .02, 0);

	ev_timer_start(loop, &a);
	ev_timer_start(loop, &b);
	ev_timer_start(loop, &c);
	ck_assert(ev_is_active(&a));
	ck_assert_int_eq(ev_run(loop, 0), 0); /* none is active any more */
	ck_assert(!ev_is_active(&a));
	/* On a busy machine several are due in one turn, in any order. */
	ck_assert_uint_eq(n, 3);
	ck_assert_ptr_nonnull(strchr(called, 'a'));
	ck_assert_ptr_nonnull(strchr(called, 'b'));
}
END_TEST

static int left;

static void on_repeat(struct ev_loop *l, ev_timer *t, int events)
{
	note(t->data);
	if (--left == 0)
		ev_timer_stop(l, t);
}

START_TEST(a_timer_repeats_until_it_is_stopped)
{
	ev_timer t = timer(on_repeat, "r", 0, .001);

	left = 5;
	ev_timer_start(loop, &t);
	ev_timer_start(loop, &t); /* is none more */
	ck_assert_int_eq(ev_run(loop, 0), 0);
	ck_assert_str_eq(called, "rrrrr");
	ev_timer_set(&t, 0, 0);
	ev_timer_start(loop, &t);
	left = 0;
	ck_assert_int_eq(ev_run(loop, EVRUN_ONCE), 0);
	ck_assert_str_eq(called, "rrrrrr");
}
END_TEST

static ev_timer other;

static void on_stop_other(struct ev_loop *l, ev_timer *t, int events)
{
	note(t->data);
	ev_timer_stop(l, &other);
	ev_break(l, EVBREAK_ALL);
}

START_TEST(a_callback_stops_another_that_is_due)
{
	ev_timer t = timer(on_stop_other, "t", 0, 0), u = timer(on_stop_other, "u", 0, 0);

	other = timer(on_timer, "o", 0, 0);
	/* The list is walked from the last one that was started. */
	ev_timer_start(loop, &other);
	ev_timer_start(loop, &t);
	ev_timer_start(loop, &u);
	ev_run(loop, 0);
	ck_assert_str_eq(called, "ut");
	ck_assert(!ev_is_active(&other));
}
END_TEST

static void on_readable(struct ev_loop *l, ev_io *io, int events)
{
	char c;

	ck_assert_int_eq(events, EV_READ);
	if (read(io->fd, &c, 1) == 1)
		note(&c);
	else
		ev_io_stop(l, io);
}

START_TEST(a_file_is_read_until_its_end)
{
	ev_io io;
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], "xyz", 3), 3);
	close(fd[1]);
	ev_io_init(&io, on_readable, fd[0], EV_READ);
	ev_io_start(loop, &io);
	ck_assert_int_eq(ev_run(loop, 0), 0);
	ck_assert_str_eq(called, "xyz");
	close(fd[0]);
}
END_TEST

START_TEST(one_turn_waits_for_nothing)
{
	ev_io io;
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	ev_io_init(&io, on_readable, fd[0], EV_READ);
	ev_io_start(loop, &io);
	ck_assert_int_eq(ev_run(loop, EVRUN_NOWAIT), 1);
	ck_assert_uint_eq(n, 0);
	ev_io_stop(loop, &io);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

static void on_signal(struct ev_loop *l, ev_signal *s, int events)
{
	ck_assert_int_eq(events, EV_SIGNAL);
	note(s->data);
	ev_break(l, EVBREAK_ALL);
}

START_TEST(a_signal_before_the_wait_is_not_lost)
{
	ev_signal hup, term;

	ev_signal_init(&hup, on_signal, SIGHUP);
	ev_signal_init(&term, on_signal, SIGTERM);
	hup.data = (void *)(size_t) "h";
	term.data = (void *)(size_t) "t";
	ev_signal_start(loop, &hup);
	ev_signal_start(loop, &term);
	ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
	ck_assert_int_eq(ev_run(loop, 0), 1);
	ck_assert_str_eq(called, "h");
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
	/* The kernel delivers one each wait. */
	while (n < 3)
		ev_run(loop, 0);
	ev_signal_stop(loop, &hup);
	ev_signal_stop(loop, &term);
	ck_assert_int_eq(ev_run(loop, 0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ev");
	TCase *t = tcase_create("ev");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, timers_come_in_their_order);
	tcase_add_test(t, a_timer_repeats_until_it_is_stopped);
	tcase_add_test(t, a_callback_stops_another_that_is_due);
	tcase_add_test(t, a_file_is_read_until_its_end);
	tcase_add_test(t, one_turn_waits_for_nothing);
	tcase_add_test(t, a_signal_before_the_wait_is_not_lost);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
