/* SPDX-License-Identifier: MIT */
/* A schedule and workers that the test plays on the real pages and bells; one test's at a time. */
#ifndef PVGPU_TEST_SCHEDULE_FAKE_H
#define PVGPU_TEST_SCHEDULE_FAKE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define MS      1000000ull
#define PAGE    4096u
#define LIMIT_S 30

struct fake {
	struct gate *g;
	const struct pvgpu_gate *word;
	struct pvgpu_gate_report *says;
	int ring, bell;
};

static struct ev_loop *loop;
static struct schedule *s;
static ev_timer tick;

static void on_tick(struct ev_loop *l, ev_timer *t, int events)
{
}

static void start(enum sched_policy policy, bool exclusive)
{
	const struct sched_params p = {.policy = policy, .exclusive = exclusive, .slice_ns = MS};

	loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer_init(&tick, on_tick, 0.001, 0.001);
	ev_timer_start(loop, &tick);
	s = schedule_new(loop, "test", &p);
	ck_assert_ptr_nonnull(s);
}

static void finish(void)
{
	schedule_free(s);
	ev_timer_stop(loop, &tick);
	ev_loop_destroy(loop);
}

static inline struct tenant *tenant(uint32_t weight)
{
	const struct tenant_policy p = {.share = {.class = SCHED_MEDIUM, .weight = weight}};
	struct tenant *t = tenant_new(s, NULL, &p, NULL);

	ck_assert_ptr_nonnull(t);
	return t;
}

static struct fake join(struct tenant *t, bool adopted)
{
	struct fake f;
	int fds[PVGPU_GATE_FDS];

	f.g = gate_new(t, adopted, fds);
	ck_assert_ptr_nonnull(f.g);
	f.word = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fds[PVGPU_GATE_FD_GATE], 0);
	f.says = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[PVGPU_GATE_FD_REPORT], 0);
	ck_assert_ptr_ne(f.word, MAP_FAILED);
	ck_assert_ptr_ne(f.says, MAP_FAILED);
	f.ring = fds[PVGPU_GATE_FD_TO_WORKER];
	f.bell = fds[PVGPU_GATE_FD_TO_PVGPUD];
	close(fds[PVGPU_GATE_FD_GATE]);
	close(fds[PVGPU_GATE_FD_REPORT]);
	return f;
}

static void leave(struct fake *f)
{
	gate_free(f->g);
	munmap((void *)(uintptr_t)f->word, PAGE);
	munmap(f->says, PAGE);
	close(f->ring);
	close(f->bell);
}

static bool is_open(const struct fake *f)
{
	return __atomic_load_n(&f->word->open, __ATOMIC_SEQ_CST);
}

static inline bool rung(const struct fake *f)
{
	char rings[64];

	return read(f->ring, rings, sizeof(rings)) > 0;
}

static void ring(const struct fake *f)
{
	const uint64_t one = 1;

	/* A full bell counts as rung. */
	ck_assert(write(f->bell, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

/* The worker has work that waits for the gate. */
static void want(struct fake *f)
{
	f->says->drained = 1;
	f->says->sleeps = f->says->wants = 1;
	ring(f);
}

static inline void turn(void)
{
	ev_run(loop, EVRUN_ONCE);
}

#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		uint64_t end_ = schedule_now() + LIMIT_S * 1000 * MS;                              \
		while (!(condition)) {                                                             \
			ck_assert_msg(schedule_now() < end_, "never: %s", #condition);             \
			turn();                                                                    \
		}                                                                                  \
	} while (0)

/* A vGPU that always wants the GPU: its worker's actions at each look. */
static inline void saturate(struct fake *f)
{
	if (is_open(f)) {
		f->says->sleeps = f->says->drained = 0;
		f->says->inflight_ns = MS / 10;
	} else if (!f->says->drained) {
		f->says->inflight_ns = 0;
		want(f);
	}
}

#endif
