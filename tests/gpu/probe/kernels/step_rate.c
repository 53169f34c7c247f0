/* SPDX-License-Identifier: MIT */
/* How fast: launches, waits, events, small copies, queries. */
#include "tests/gpu/probe/kernels/step_rate.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 20000

static uint64_t times[ROUNDS_MAX];

static size_t rounds(size_t n)
{
	return opt.quick ? n / 20 : n;
}

/* say_times of n runs of a statement. */
#define TIME(key, n, ...)                                                                          \
	do {                                                                                       \
		const size_t n_ = rounds(n);                                                       \
		for (size_t i_ = 0; i_ < n_; i_++) {                                               \
			const uint64_t begin_ = now_ns();                                          \
			__VA_ARGS__;                                                               \
			times[i_] = now_ns() - begin_;                                             \
		}                                                                                  \
		say_times(key, times, n_);                                                         \
	} while (0)

/* ---- launches ---- */
struct far_calls {
	__typeof__(cuLaunchKernel) *launch;
	__typeof__(cuStreamSynchronize) *wait;
	__typeof__(cuEventRecord) *record;
	__typeof__(cuEventSynchronize) *wait_event;
	__typeof__(cuEventQuery) *query;
	CUfunction nothing;
	CUstream stream;
};

static bool calls_make(struct far_calls *c)
{
	c->launch = FAR(cuLaunchKernel);
	c->wait = FAR(cuStreamSynchronize);
	c->record = FAR(cuEventRecord);
	c->wait_event = FAR(cuEventSynchronize);
	c->query = FAR(cuEventQuery);
	c->nothing = cuda_kernel(ptx_held, "nothing");
	return c->launch && c->wait && c->record && c->wait_event && c->query && c->nothing &&
	       !CU(cuStreamCreate, &c->stream, CU_STREAM_NON_BLOCKING);
}

static CUresult launch(const struct far_calls *c)
{
	return c->launch(c->nothing, 1, 1, 1, 1, 1, 1, 0, c->stream, NULL, NULL);
}

/* Few enough at a time that no launch waits for room. */
static void launches(void)
{
	const size_t n = rounds(ROUNDS_MAX), at_once = 200;
	struct far_calls c;
	uint64_t begin;

	if (!part_context() || !calls_make(&c))
		return;
	launch(&c);
	c.wait(c.stream);
	begin = now_ns();
	for (size_t i = 0; i < n; i++) {
		const uint64_t t = now_ns();

		launch(&c);
		times[i] = now_ns() - t;
		if (i % at_once == at_once - 1)
			c.wait(c.stream);
	}
	c.wait(c.stream);
	say_num("per_second", (double)n * 1e9 / (double)(now_ns() - begin));
	say_times("call", times, n);
	begin = now_ns();
	for (size_t i = 0; i < n; i++)
		launch(&c);
	c.wait(c.stream);
	say_num("unbounded_per_second", (double)n * 1e9 / (double)(now_ns() - begin));
}

/* ---- waits ---- */

/* Until an event's query says that it is complete. */
static void poll_event(const struct far_calls *c, CUevent e)
{
	while (c->query(e) == CUDA_ERROR_NOT_READY)
		;
}

static void wait_in(const char *how, unsigned int flags, CUdevice dev)
{
	struct far_calls c;
	CUcontext ctx;
	CUevent e;
	char key[64];

	if (CU(cuCtxCreate_v2, &ctx, flags, dev) || !calls_make(&c) ||
	    CU(cuEventCreate, &e, CU_EVENT_DISABLE_TIMING))
		return;
	launch(&c);
	c.wait(c.stream);
	snprintf(key, sizeof(key), "%s_stream", how);
	TIME(key, 2000, launch(&c); c.wait(c.stream));
	snprintf(key, sizeof(key), "%s_event", how);
	TIME(key, 2000, launch(&c); c.record(e, c.stream); c.wait_event(e));
	CU(cuCtxDestroy_v2, ctx);
}

static uint64_t median(size_t n)
{
	/* say_times has sorted them. */
	return times[rounds(n) / 2];
}

static void waits(void)
{
	uint64_t spinning, blocking;
	struct far_calls c;
	CUevent plain, sleeping;
	CUcontext ctx;
	CUdevice dev;

	if (!cuda_device(&dev))
		return;
	wait_in("spin", CU_CTX_SCHED_SPIN, dev);
	wait_in("yield", CU_CTX_SCHED_YIELD, dev);
	wait_in("blocking", CU_CTX_SCHED_BLOCKING_SYNC, dev);
	if (!cuda_context(&dev, &ctx) || !calls_make(&c) ||
	    CU(cuEventCreate, &plain, CU_EVENT_DISABLE_TIMING) ||
	    CU(cuEventCreate, &sleeping, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC))
		return;
	launch(&c);
	c.wait(c.stream);
	TIME("polled_event", 2000, launch(&c); c.record(plain, c.stream); poll_event(&c, plain));
	spinning = median(2000);
	TIME("blocking_event", 2000, launch(&c); c.record(sleeping, c.stream);
	     c.wait_event(sleeping));
	blocking = median(2000);
	if (!opt.quick)
		verdict(ASSUME_blocking_wait, blocking < spinning + 100000,
			"medians: %llu ns, polled %llu ns", (unsigned long long)blocking,
			(unsigned long long)spinning);
}

/* ---- events ---- */
static void elapsed_codes(CUstream stream)
{
	struct hold h;
	CUevent a, b;
	float ms;
	int r;

	if (CU(cuEventCreate, &a, 0) || CU(cuEventCreate, &b, 0) || !hold_make(&h))
		return;
	say_int("elapsed_unrecorded_result", ASK(cuEventElapsedTime, &ms, a, b));
	CU(cuEventRecord, a, stream);
	CU(cuStreamSynchronize, stream);
	if (!hold_begin(&h))
		return;
	CU(cuEventRecord, b, h.stream);
	r = ASK(cuEventElapsedTime, &ms, a, b);
	say_int("elapsed_pending_result", r);
	verdict(ASSUME_elapsed_pending, r == CUDA_ERROR_NOT_READY, "result %d", r);
	hold_end(&h);
}

static int by_value(const void *a, const void *b)
{
	const float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The steps between different times tell the clock's resolution. */
static void say_resolution(float *ms, size_t n)
{
	float step = FLT_MAX;

	qsort(ms, n, sizeof(*ms), by_value);
	for (size_t i = 1; i < n; i++)
		if (ms[i] > ms[i - 1] && ms[i] - ms[i - 1] < step)
			step = ms[i] - ms[i - 1];
	say_num("elapsed_least_ns", (double)ms[0] * 1e6);
	say_num("elapsed_median_ns", (double)ms[n / 2] * 1e6);
	say_num("elapsed_step_ns", (double)step * 1e6);
	verdict(ASSUME_event_resolution, ms[0] >= 0 && step < 0.001f,
		"least time %g ns, smallest step %g ns", (double)ms[0] * 1e6, (double)step * 1e6);
}

static void events(void)
{
	static float ms[2000];
	struct far_calls c;
	CUevent a, b, quiet;

	if (!part_context() || !calls_make(&c) || CU(cuEventCreate, &a, 0) ||
	    CU(cuEventCreate, &b, 0) || CU(cuEventCreate, &quiet, CU_EVENT_DISABLE_TIMING))
		return;
	launch(&c);
	c.wait(c.stream);
	TIME("record_timing", 2000, c.record(a, c.stream); if (i_ % 100 == 99) c.wait(c.stream));
	c.wait(c.stream);
	TIME("record_quiet", 2000, c.record(quiet, c.stream); if (i_ % 100 == 99) c.wait(c.stream));
	c.wait(c.stream);
	TIME("query_done", 2000, c.query(quiet));
	for (size_t i = 0; i < rounds(2000); i++) {
		c.record(a, c.stream);
		if (i % 2)
			launch(&c);
		c.record(b, c.stream);
		c.wait(c.stream);
		if (CU(cuEventElapsedTime, &ms[i], a, b))
			return;
	}
	say_resolution(ms, rounds(2000));
	elapsed_codes(c.stream);
}

/* ---- small copies ---- */
static void copies(void)
{
	static const size_t size[] = {4, 4096, 65536};
	const size_t most = 65536;
	CUdeviceptr device;
	CUstream s;
	void *pinned, *heap = malloc(most);

	if (!part_context() || !heap || CU(cuMemAlloc_v2, &device, most) ||
	    CU(cuMemHostAlloc, &pinned, most, 0) || CU(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING))
		return;
	memset(heap, 1, most);
	for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		const size_t n = size[i];
		char key[64];

		snprintf(key, sizeof(key), "htod_pinned_%zu", n);
		TIME(key, 1000, CU(cuMemcpyHtoDAsync_v2, device, pinned, n, s);
		     CU(cuStreamSynchronize, s));
		snprintf(key, sizeof(key), "dtoh_pinned_%zu", n);
		TIME(key, 1000, CU(cuMemcpyDtoHAsync_v2, pinned, device, n, s);
		     CU(cuStreamSynchronize, s));
		snprintf(key, sizeof(key), "htod_pageable_%zu", n);
		TIME(key, 1000, CU(cuMemcpyHtoD_v2, device, heap, n));
		snprintf(key, sizeof(key), "dtoh_pageable_%zu", n);
		TIME(key, 1000, CU(cuMemcpyDtoH_v2, heap, device, n));
		snprintf(key, sizeof(key), "htod_pageable_async_call_%zu", n);
		TIME(key, 1000, CU(cuMemcpyHtoDAsync_v2, device, heap, n, s));
		CU(cuStreamSynchronize, s);
	}
}

/* ---- other calls that are made often ---- */
static void calls(void)
{
	int least = 0, greatest = 0, value;
	struct far_calls c;
	size_t some, all;
	CUdeviceptr p;
	CUcontext ctx;
	CUevent e;

	if (!part_context() || !calls_make(&c))
		return;
	launch(&c);
	CU(cuCtxSynchronize);
	TIME("synchronize_idle", 2000, CU(cuCtxSynchronize));
	TIME("stream_synchronize_idle", 2000, c.wait(c.stream));
	TIME("stream_query_idle", 2000, CU(cuStreamQuery, c.stream));
	TIME("mem_get_info", 1000, CU(cuMemGetInfo_v2, &some, &all));
	TIME("get_current", 2000, CU(cuCtxGetCurrent, &ctx));
	TIME("set_current", 2000, CU(cuCtxSetCurrent, ctx));
	TIME("get_attribute", 2000, CU(cuDeviceGetAttribute, &value, 16, 0));
	TIME("alloc_free_1_mib", 100, CU(cuMemAlloc_v2, &p, 1 << 20); CU(cuMemFree_v2, p));
	TIME("event_create_destroy", 1000, CU(cuEventCreate, &e, 0); CU(cuEventDestroy_v2, e));
	TIME("stream_create_destroy", 100, CUstream s;
	     CU(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING); CU(cuStreamDestroy_v2, s));
	TIME("occupancy", 1000,
	     CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &value, c.nothing, 128, 0,
		0));
	if (!CU(cuCtxGetStreamPriorityRange, &least, &greatest)) {
		say_int("priority_least", least);
		say_int("priority_greatest", greatest);
	}
}

static const struct part parts[] = {
	{"launch", launches, 15, NULL},
	{"depth", rate_depth, 30, NULL},
	{"wait", waits, 20, NULL},
	{"event", events, 15, NULL},
	{"copy", copies, 15, NULL},
	{"call", calls, 15, NULL},
	{"host", rate_host, 30, NULL},
	{"beside", rate_beside, 45, NULL},
	{"beside_host", rate_beside_host, 45, NULL},
	{"depth_host", rate_depth_host, 30, NULL},
	{NULL, NULL, 0, NULL},
};

void step_rate(void)
{
	parts_run(parts);
}
