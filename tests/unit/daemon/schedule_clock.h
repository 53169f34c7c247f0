/* SPDX-License-Identifier: MIT */
/* A schedule under a clock that the test sets: to be linked with --wrap=clock_gettime and
 * --wrap=timerfd_settime. */
#ifndef PVGPU_TEST_SCHEDULE_CLOCK_H
#define PVGPU_TEST_SCHEDULE_CLOCK_H

#include <sys/timerfd.h>
#include <time.h>

#include "tests/unit/daemon/schedule_fake.h"

static uint64_t clock_ns, timer_at, fired, late_ns;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was);

/* The scheduler's clock is the only one that this program asks for. */
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = (struct timespec){.tv_sec = (time_t)(clock_ns / (1000 * MS)),
			       .tv_nsec = (long)(clock_ns % (1000 * MS))};
	return 0;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *was)
{
	ck_assert_int_eq(flags, TFD_TIMER_ABSTIME);
	timer_at = (uint64_t)at->it_value.tv_sec * 1000 * MS + (uint64_t)at->it_value.tv_nsec;
	return 0;
}

static inline void start_clock(void)
{
	clock_ns = 1000000 * MS;
	timer_at = SCHED_NEVER;
	late_ns = 0;
}

static void bells(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static inline void fire(void)
{
	const struct itimerspec at_once = {.it_value.tv_nsec = 1};
	uint64_t before = schedule_wakeups(s);

	clock_ns = (timer_at > clock_ns ? timer_at : clock_ns) + late_ns;
	timer_at = SCHED_NEVER;
	fired++;
	__real_timerfd_settime(s->timer, 0, &at_once, NULL);
	while (schedule_wakeups(s) == before)
		ev_run(loop, EVRUN_ONCE);
}

/* Time passes, and `work` plays the workers after each event. It returns true if they did anything.
 */
static inline void pass(uint64_t ns, bool (*work)(void))
{
	uint64_t end = clock_ns + ns;

	for (;;) {
		while (work())
			bells();
		if (timer_at > end)
			break;
		fire();
	}
	clock_ns = end;
	while (work())
		bells();
}

#endif
