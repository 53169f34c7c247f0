/* SPDX-License-Identifier: MIT */
/*
 * A session with a gate, whose worker's thread has a clock that the test sets (ld --wrap): how long
 * the test itself takes says nothing about what the fake GPU's work should have taken. One test's
 * at a time.
 */
#ifndef PVGPU_TEST_CLOCK_CASE_H
#define PVGPU_TEST_CLOCK_CASE_H

#include <check.h>
#include <time.h>

#include "tests/unit/worker/gate_side.h"
#include "xen-pvgpu-back/contract/gate.h"

#define MS 1000000ull

static struct worker *w;
static struct gate_side side;
/* The time of the thread that plays the worker's; 0: the real one, as for the other threads, which
 * wait by it. */
static _Thread_local uint64_t clock_ns;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __real_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	if (!clock_ns || id != CLOCK_MONOTONIC)
		return __real_clock_gettime(id, t);
	*t = (struct timespec){.tv_sec = (time_t)(clock_ns / (1000 * MS)),
			       .tv_nsec = (long)(clock_ns % (1000 * MS))};
	return 0;
}

/* The gate is open. learn: no other vGPU has work. */
static void open_clocked(uint32_t streams, bool learn)
{
	clock_ns = 1000000 * MS;
	w = gate_session(streams);
	gate_side_make(&side);
	gate_side_set(&side.gate->open, 1);
	gate_side_set(&side.gate->learn, learn);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
}

static void close_session(void)
{
	gate_side_set(&side.gate->contended, 0);
	gate_side_set(&side.gate->open, 1);
	gate_side_put(&side.gate->inflight_ns, PVGPU_GATE_NO_LIMIT);
	gate_run_freely();
	gate_side_ring(w);
	clock_ns = 0;
	fake_close(w);
	gate_side_free(&side);
}

static void finish(void)
{
	fake_complete(-1, UINT64_MAX);
	gate_side_ring(w);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
}

/* The worker's estimate for one such kernel. */
static uint64_t cost_of(uint32_t blocks)
{
	uint64_t cost;

	finish();
	gate_launch(w, GATE_STREAM(1), blocks);
	cost = gate_side_number(&side.report->inflight_ns);
	finish();
	return cost;
}

/* From now on kernels of that shape take that long. */
static void teach(uint32_t blocks, float ms)
{
	fake_far.elapsed_ms = ms;
	for (int i = 0; i < 3; i++)
		cost_of(blocks);
}

#endif
