/* SPDX-License-Identifier: MIT */
/* Small questions that decide semantics: contexts, streams, capture mode, fork. */
#include "tests/gpu/probe/semantics/step_semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void same_code(enum assumption a, const char *key, int got, int ours)
{
	say_intf(got, "%s_result", key);
	verdict(a, got == ours, "%s: %d, ours %d", key, got, ours);
}

#define SAME(a, key, ours, ...) same_code(ASSUME_##a, key, __VA_ARGS__, ours)

/* ---- the stack of contexts ---- */
static void stack(void)
{
	CUcontext ctx = (CUcontext)64, made, other;
	CUdevice dev;

	if (!cuda_device(&dev))
		return;
	SAME(context_stack, "get_current_none", 0, ASK(cuCtxGetCurrent, &ctx));
	say_int("current_is_null", !ctx);
	SAME(context_stack, "pop_empty", CUDA_ERROR_INVALID_CONTEXT, ASK(cuCtxPopCurrent_v2, &ctx));
	SAME(context_stack, "push_null", CUDA_ERROR_INVALID_VALUE, ASK(cuCtxPushCurrent_v2, NULL));
	SAME(context_stack, "synchronize_none", CUDA_ERROR_INVALID_CONTEXT, ASK(cuCtxSynchronize));
	SAME(context_stack, "get_device_none", CUDA_ERROR_INVALID_CONTEXT,
	     ASK(cuCtxGetDevice, &dev));
	if (CU(cuCtxCreate_v2, &made, 0, dev))
		return;
	CU(cuCtxGetCurrent, &ctx);
	say_int("created_is_current", ctx == made);
	SAME(context_stack, "push_again", 0, ASK(cuCtxPushCurrent_v2, made));
	SAME(context_stack, "set_null", 0, ASK(cuCtxSetCurrent, NULL));
	CU(cuCtxGetCurrent, &ctx);
	say_int("set_null_shows_the_one_below", ctx == made);
	verdict(ASSUME_context_stack, ctx == made, "cuCtxSetCurrent(NULL) %s",
		ctx ? "shows the one below" : "leaves none current");
	if (!ctx)
		CU(cuCtxPushCurrent_v2, made);
	if (CU(cuCtxCreate_v2, &other, 0, dev))
		return;
	SAME(context_stack, "destroy_current", 0, ASK(cuCtxDestroy_v2, other));
	CU(cuCtxGetCurrent, &ctx);
	say_int("destroy_shows_the_one_below", ctx == made);
}

/* ---- streams ---- */
static void across_contexts(CUcontext first, CUcontext second)
{
	CUstream s, own;
	CUevent e;
	CUfunction f;

	CU(cuCtxSetCurrent, first);
	f = cuda_kernel(ptx_held, "nothing");
	if (!f || CU(cuStreamCreate, &s, 0) || CU(cuEventCreate, &e, 0) ||
	    CU(cuCtxSetCurrent, second) || CU(cuStreamCreate, &own, 0))
		return;
	SAME(streams_across, "stream_synchronize", 0, ASK(cuStreamSynchronize, s));
	SAME(streams_across, "function_in_other_stream", CUDA_ERROR_INVALID_HANDLE,
	     ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, own, NULL, NULL));
	SAME(streams_across, "function_of_other_context", CUDA_ERROR_INVALID_HANDLE,
	     ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	say_int("launch_in_its_stream_result",
		ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
	SAME(streams_across, "event_in_other_stream", CUDA_ERROR_INVALID_HANDLE,
	     ASK(cuEventRecord, e, own));
	say_int("event_in_its_stream_result", ASK(cuEventRecord, e, s));
	SAME(streams_across, "wait_event", 0, ASK(cuStreamWaitEvent, own, e, 0));
	CU(cuCtxSynchronize);
	CU(cuCtxSetCurrent, first);
	CU(cuCtxSynchronize);
}

/* Does work of one stream wait for another's? One that should not has more time to show it. */
static int pending(CUfunction nothing, CUstream s, bool expected)
{
	const uint64_t until = now_ns() + (expected ? 200000000 : 2000000000);
	CUevent e;
	int r;

	if (CU(cuEventCreate, &e, CU_EVENT_DISABLE_TIMING) ||
	    CU(cuLaunchKernel, nothing, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL) ||
	    CU(cuEventRecord, e, s))
		return -1;
	do {
		r = ASK(cuEventQuery, e);
		sched_yield();
	} while (r == CUDA_ERROR_NOT_READY && now_ns() < until);
	return r == CUDA_ERROR_NOT_READY ? 1 : r ? -1 : 0;
}

static void legacy_rules(void)
{
	CUstream blocking, free_one;
	CUfunction nothing;
	struct hold h;
	int r;

	nothing = cuda_kernel(ptx_held, "nothing");
	if (!nothing || !hold_make(&h) || CU(cuStreamCreate, &blocking, 0) ||
	    CU(cuStreamCreate, &free_one, CU_STREAM_NON_BLOCKING))
		return;
	if (hold_begin_in(&h, blocking)) {
		r = pending(nothing, free_one, false);
		verdict(ASSUME_legacy_stream, !r, "a non-blocking stream beside others: %d", r);
		r = pending(nothing, CU_STREAM_PER_THREAD, false);
		verdict(ASSUME_legacy_stream, !r, "the per-thread stream beside others: %d", r);
		r = pending(nothing, CU_STREAM_LEGACY, true);
		verdict(ASSUME_legacy_stream, r == 1, "the legacy stream behind others: %d", r);
		hold_release(&h);
		CU(cuCtxSynchronize);
	}
	if (hold_begin_in(&h, NULL)) {
		r = pending(nothing, CU_STREAM_PER_THREAD, true);
		verdict(ASSUME_legacy_stream, r == 1, "the per-thread stream behind it: %d", r);
		r = pending(nothing, free_one, false);
		verdict(ASSUME_legacy_stream, !r, "a non-blocking stream beside it: %d", r);
		hold_release(&h);
		CU(cuCtxSynchronize);
	}
}

static void streams(void)
{
	CUcontext first, second, of = NULL;
	CUdevice dev;

	if (!cuda_context(&dev, &first))
		return;
	say_int("legacy_synchronize_result", ASK(cuStreamSynchronize, CU_STREAM_LEGACY));
	say_int("per_thread_synchronize_result", ASK(cuStreamSynchronize, CU_STREAM_PER_THREAD));
	say_int("legacy_get_ctx_result", ASK(cuStreamGetCtx, NULL, &of));
	say_int("legacy_get_ctx_same", of == first);
	say_int("destroy_null_result", ASK(cuStreamDestroy_v2, NULL));
	say_int("destroy_legacy_result", ASK(cuStreamDestroy_v2, CU_STREAM_LEGACY));
	legacy_rules();
	if (!CU(cuCtxCreate_v2, &second, 0, dev))
		across_contexts(first, second);
}

/* ---- capture mode ---- */
static int exchange(CUstreamCaptureMode mode, CUstreamCaptureMode *was)
{
	*was = mode;
	return ASK(cuThreadExchangeStreamCaptureMode, was);
}

static void *other_mode(void *arg)
{
	exchange(CU_STREAM_CAPTURE_MODE_RELAXED, arg);
	return NULL;
}

static void capture_mode(void)
{
	CUstreamCaptureMode first = 77, second = 77, elsewhere = 77;
	CUstreamCaptureStatus status = 77;
	pthread_t t;
	int r;

	if (!part_context())
		return;
	r = exchange(CU_STREAM_CAPTURE_MODE_RELAXED, &first);
	say_int("exchange_result", r);
	exchange(CU_STREAM_CAPTURE_MODE_RELAXED, &second);
	if (!pthread_create(&t, NULL, other_mode, &elsewhere))
		pthread_join(t, NULL);
	verdict(ASSUME_capture_mode,
		!r && first == CU_STREAM_CAPTURE_MODE_GLOBAL &&
			second == CU_STREAM_CAPTURE_MODE_RELAXED &&
			elsewhere == CU_STREAM_CAPTURE_MODE_GLOBAL,
		"result %d, at first %d, then %d, in a new thread %d", r, (int)first, (int)second,
		(int)elsewhere);
	say_int("exchange_77_result", exchange((CUstreamCaptureMode)77, &first));
	say_int("is_capturing_result", ASK(cuStreamIsCapturing, NULL, &status));
	say_int("is_capturing", (int)status);
}

/* ---- fork ---- */
static void in_child(int fd)
{
	CUdevice dev;
	size_t some, all;
	int version = 0;
	const int r[4] = {ASK(cuInit, 0), ASK(cuDriverGetVersion, &version),
			  ASK(cuDeviceGet, &dev, 0), ASK(cuMemGetInfo_v2, &some, &all)};

	if (write(fd, r, sizeof(r)) < 0)
		_exit(1);
	_exit(0);
}

static void forked(void)
{
	int fd[2], r[4] = {-1, -1, -1, -1}, status = 0;
	pid_t pid;

	if (!part_context() || pipe2(fd, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		alarm(5); /* a lock that a thread of the parent holds is never given back */
		in_child(fd[1]);
	}
	close(fd[1]);
	if (pid < 0 || read(fd[0], r, sizeof(r)) != sizeof(r))
		say_text("child", "said nothing");
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		say_int("child_signal", WTERMSIG(status));
	say_int("child_init_result", r[0]);
	say_int("child_version_result", r[1]);
	say_int("child_device_get_result", r[2]);
	say_int("child_mem_info_result", r[3]);
	verdict(ASSUME_fork, r[0] == CUDA_ERROR_NOT_INITIALIZED, "cuInit in a child: %d", r[0]);
	say_int("parent_synchronize_result", ASK(cuCtxSynchronize));
}

static const struct part parts[] = {
	{"stack", stack, 10, NULL},
	{"streams", streams, 15, NULL},
	{"current", NULL, 10, NULL},
	{"thread", NULL, 10, NULL},
	{"reset", NULL, 10, NULL},
	{"released", semantics_current, 10, NULL},
	{"retained", semantics_retained, 10, NULL},
	{"old", semantics_old, 10, NULL},
	{"proc", semantics_proc, 10, NULL},
	{"memory", semantics_memory, 15, NULL},
	{"pointers", semantics_pointers, 10, NULL},
	{"capture", capture_mode, 10, NULL},
	{"fork", forked, 15, NULL},
	{NULL, NULL, 0, NULL},
};

void step_semantics(void)
{
	parts_run(parts);
}
