/* SPDX-License-Identifier: MIT */
/* A session whose gate the test plays; one test's at a time. */
#ifndef PVGPU_TEST_GATE_CASE_H
#define PVGPU_TEST_GATE_CASE_H

#include <check.h>

#include "tests/unit/worker/gate_side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

static struct worker *w;
static struct gate_side side;

static void open_session(void)
{
	w = gate_session(4);
	gate_side_make(&side);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
	gate_side_rung(&side);
}

static void close_session(void)
{
	gate_side_set(&side.gate->contended, 0);
	gate_side_set(&side.gate->open, 1);
	gate_run_freely();
	gate_side_ring(w);
	fake_close(w);
	gate_side_free(&side);
}

static void set_open(bool open)
{
	gate_side_set(&side.gate->open, open);
	gate_side_ring(w);
}

/* For fake_until(). */
static inline bool not_parked(struct worker *v, void *arg)
{
	return !v->gpu->park.count;
}

static inline void state_is(uint32_t wants, uint32_t drained, uint32_t sleeps)
{
	ck_assert_uint_eq(gate_side_word(&side.report->wants), wants);
	ck_assert_uint_eq(gate_side_word(&side.report->drained), drained);
	ck_assert_uint_eq(gate_side_word(&side.report->sleeps), sleeps);
}

#endif
