/* SPDX-License-Identifier: MIT */
/*
 * How many operations are taken behind work that does not end, before a call blocks. A thread puts
 * them in; this one watches how far it gets.
 */
#include "tests/gpu/probe/kernels/step_rate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define STREAMS_MAX 64
#define STUCK_MS    250 /* so long without one more: blocked */
#define STREAM_WANT 96  /* what the worker has in flight: of one stream, */
#define SUM_WANT    768 /* and of all */

/* MIXED: a kernel, a copy of its result, an event and a host function, as programs wait for
 * results. */
enum kind { LAUNCH, COPY, MEMSET, RECORD, HOST, DTOH, WAIT_VALUE, MIXED, KINDS };

struct feed {
	enum kind kind;
	unsigned int streams;
	uint64_t most;
	CUcontext ctx;
	CUstream stream[STREAMS_MAX];
	CUfunction nothing;
	CUevent event;
	CUdeviceptr device;
	void *pinned;
	_Atomic uint64_t count;
	int result;
	sem_t done;
};

static void CUDA_CB do_nothing(void *arg)
{
}

static int one(const struct feed *f, CUstream s)
{
	switch (f->kind) {
	case LAUNCH:
		return ASK(cuLaunchKernel, f->nothing, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL);
	case COPY:
		return ASK(cuMemcpyHtoDAsync_v2, f->device, f->pinned, 64, s);
	case MEMSET:
		return ASK(cuMemsetD8Async, f->device, 1, 64, s);
	case RECORD:
		return ASK(cuEventRecord, f->event, s);
	case DTOH:
		return ASK(cuMemcpyDtoHAsync_v2, f->pinned, f->device, 64, s);
	case WAIT_VALUE:
		return ASK(cuStreamWaitValue32_v2, s, (uintptr_t)f->pinned, 0,
			   CU_STREAM_WAIT_VALUE_GEQ);
	default:
		return ASK(cuLaunchHostFunc, s, do_nothing, NULL);
	}
}

static int next(const struct feed *f, uint64_t i)
{
	static const enum kind mixed[] = {LAUNCH, DTOH, RECORD, HOST};
	struct feed part = *f;

	if (f->kind != MIXED)
		return one(f, f->stream[i % f->streams]);
	part.kind = mixed[i % 4];
	return one(&part, f->stream[i / 4 % f->streams]);
}

static void *feeder(void *arg)
{
	struct feed *f = arg;

	CU(cuCtxSetCurrent, f->ctx);
	for (uint64_t i = 0; i < f->most; i++) {
		f->result = next(f, i);
		if (f->result)
			break;
		atomic_fetch_add(&f->count, 1);
	}
	sem_post(&f->done);
	return NULL;
}

/* How many were taken; *blocked: then one call waited. */
static uint64_t fill(struct feed *f, struct hold *h, bool *blocked)
{
	uint64_t before = 0, now = 0;
	pthread_t thread;

	*blocked = false;
	atomic_store(&f->count, 0);
	sem_init(&f->done, 0, 0);
	/* All streams behind the one kernel. */
	if (!hold_begin(h) || CU(cuEventRecord, f->event, h->stream))
		return 0;
	for (unsigned int i = 0; i < f->streams; i++)
		CU(cuStreamWaitEvent, f->stream[i], f->event, 0);
	if (pthread_create(&thread, NULL, feeder, f)) {
		hold_end(h);
		return 0;
	}
	while (!posted_within(&f->done, STUCK_MS)) {
		now = atomic_load(&f->count);
		*blocked = now == before;
		if (*blocked)
			break;
		before = now;
	}
	now = atomic_load(&f->count);
	hold_end(h);
	pthread_join(thread, NULL);
	CU(cuCtxSynchronize);
	sem_destroy(&f->done);
	return now;
}

static uint64_t depth_of(struct feed *f, struct hold *h, const char *what, bool *blocked)
{
	const uint64_t n = fill(f, h, blocked);

	say_intf((int64_t)n, "%s_%u_streams", what, f->streams);
	say_intf(*blocked, "%s_%u_streams_blocked", what, f->streams);
	if (f->result)
		say_intf(f->result, "%s_%u_streams_result", what, f->streams);
	return n;
}

static bool feed_make(struct feed *f)
{
	CUdevice dev;

	if (!cuda_context(&dev, &f->ctx))
		return false;
	f->nothing = cuda_kernel(ptx_held, "nothing");
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (CU(cuStreamCreate, &f->stream[i], CU_STREAM_NON_BLOCKING))
			return false;
	return f->nothing && !CU(cuEventCreate, &f->event, CU_EVENT_DISABLE_TIMING) &&
	       !CU(cuMemAlloc_v2, &f->device, 4096) && !CU(cuMemHostAlloc, &f->pinned, 4096, 0);
}

static const char *const names[KINDS] = {"launch", "copy", "memset",     "record",
					 "host",   "dtoh", "wait_value", "mixed"};

/* Each that blocks takes a while to show it. */
static void each_kind(struct feed *f, struct hold *h)
{
	bool blocked;
	uint64_t n;

	f->most = opt.quick ? 1024 : 20000;
	f->streams = 1;
	for (enum kind k = LAUNCH; k < KINDS; k++) {
		if (opt.quick && k != LAUNCH && k != HOST)
			continue;
		f->kind = k;
		n = depth_of(f, h, names[k], &blocked);
		verdict(ASSUME_depth_of_stream, !f->result && n >= STREAM_WANT, "%s: %llu taken%s",
			names[k], (unsigned long long)n, blocked ? ", then it blocks" : "");
	}
}

void rate_depth(void)
{
	static struct feed f;
	struct hold h;
	bool blocked;
	uint64_t n;

	if (!feed_make(&f) || !hold_make(&h))
		return;
	each_kind(&f, &h);
	f.kind = LAUNCH;
	f.most = opt.quick ? 10000 : 40000;
	for (f.streams = 8; f.streams <= STREAMS_MAX; f.streams *= 8) {
		n = depth_of(&f, &h, "launch", &blocked);
		verdict(ASSUME_depth_of_all, !f.result && n >= SUM_WANT, "%u streams: %llu%s",
			f.streams, (unsigned long long)n, blocked ? ", then it blocks" : "");
	}
}

/* The same behind a host function that waits. */
void rate_depth_host(void)
{
	static struct feed f;
	struct hold h;

	if (!feed_make(&f) || !hold_make(&h))
		return;
	h.by_host = true;
	each_kind(&f, &h);
}
