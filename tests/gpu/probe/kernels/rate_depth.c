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
#define STUCK_MS    250  /* so long without one more: blocked */
#define STREAM_WANT 512  /* what the worker has in flight: of one stream, */
#define SUM_WANT    4096 /* and of all */

enum kind { LAUNCH, COPY, MEMSET, RECORD, HOST };

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
	default:
		return ASK(cuLaunchHostFunc, s, do_nothing, NULL);
	}
}

static void *feeder(void *arg)
{
	struct feed *f = arg;

	CU(cuCtxSetCurrent, f->ctx);
	for (uint64_t i = 0; i < f->most; i++) {
		f->result = one(f, f->stream[i % f->streams]);
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

void rate_depth(void)
{
	static const char *const names[] = {"launch", "copy", "memset", "record", "host"};
	static struct feed f;
	struct hold h;
	bool blocked;
	uint64_t n;

	if (!feed_make(&f) || !hold_make(&h))
		return;
	f.most = opt.quick ? 1024 : 20000;
	f.streams = 1;
	for (enum kind k = LAUNCH; k <= HOST; k++) {
		/* Each that blocks takes a while to show it. */
		if (opt.quick && k != LAUNCH && k != HOST)
			continue;
		f.kind = k;
		n = depth_of(&f, &h, names[k], &blocked);
		verdict(ASSUME_depth_of_stream, !f.result && n >= STREAM_WANT, "%s: %llu taken%s",
			names[k], (unsigned long long)n, blocked ? ", then it blocks" : "");
	}
	f.kind = LAUNCH;
	f.most = opt.quick ? SUM_WANT + 64 : 40000;
	for (f.streams = 8; f.streams <= STREAMS_MAX; f.streams *= 8) {
		n = depth_of(&f, &h, "launch", &blocked);
		verdict(ASSUME_depth_of_all, !f.result && n >= SUM_WANT, "%u streams: %llu%s",
			f.streams, (unsigned long long)n, blocked ? ", then it blocks" : "");
	}
}
