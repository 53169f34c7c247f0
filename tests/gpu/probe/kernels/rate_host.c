/* SPDX-License-Identifier: MIT */
/*
 * Host functions: how soon they run, on which threads, and what goes on while one runs. Each one
 * that waits has a limit, so that a driver that would deadlock only says so.
 */
#include "tests/gpu/probe/kernels/step_rate.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIMIT_NS (opt.quick ? 500000000ull : 2000000000ull)

struct seen {
	volatile uint32_t *word; /* waited for */
	_Atomic int begun, met;  /* it runs; the word came in time */
	_Atomic uint64_t at;
	_Atomic pid_t thread;
	_Atomic int result;
};

static bool wait_word(volatile uint32_t *word)
{
	const uint64_t until = now_ns() + LIMIT_NS;

	while (!*word) {
		if (now_ns() > until)
			return false;
		sched_yield();
	}
	return true;
}

static void CUDA_CB note(void *arg)
{
	struct seen *s = arg;

	atomic_store(&s->thread, (pid_t)syscall(SYS_gettid));
	atomic_store(&s->at, now_ns());
	atomic_store(&s->begun, 1);
}

static void CUDA_CB wait_for(void *arg)
{
	struct seen *s = arg;

	note(arg);
	atomic_store(&s->met, wait_word(s->word));
}

static void CUDA_CB look(void *arg)
{
	struct seen *s = arg;

	atomic_store(&s->met, *s->word == 1);
}

static void CUDA_CB set_word(void *arg)
{
	struct seen *s = arg;

	note(arg);
	*s->word = 1;
}

static void CUDA_CB call_cuda(void *arg)
{
	struct seen *s = arg;
	size_t some, all;

	atomic_store(&s->result, ASK(cuMemGetInfo_v2, &some, &all));
	note(arg);
}

struct streams {
	CUstream a, b;
	CUdeviceptr device;
	uint32_t *pinned;
	CUdeviceptr pinned_at;
};

static bool streams_make(struct streams *s)
{
	void *p;

	if (CU(cuStreamCreate, &s->a, CU_STREAM_NON_BLOCKING) ||
	    CU(cuStreamCreate, &s->b, CU_STREAM_NON_BLOCKING) ||
	    CU(cuMemAlloc_v2, &s->device, 4096) || CU(cuMemsetD32_v2, s->device, 1, 1024) ||
	    CU(cuMemHostAlloc, &p, 4096, CU_MEMHOSTALLOC_DEVICEMAP) ||
	    CU(cuMemHostGetDevicePointer_v2, &s->pinned_at, p, 0))
		return false;
	s->pinned = p;
	memset(p, 0, 4096);
	return true;
}

/* Run wait_for in stream a; true: it runs. */
static bool begin_waiting(struct streams *s, struct seen *seen)
{
	const uint64_t until = now_ns() + LIMIT_NS;

	memset(seen, 0, sizeof(*seen));
	memset(s->pinned, 0, 4096);
	seen->word = s->pinned;
	if (CU(cuLaunchHostFunc, s->a, wait_for, seen))
		return false;
	while (!atomic_load(&seen->begun)) {
		if (now_ns() > until)
			return false;
		sched_yield();
	}
	return true;
}

static bool meets(struct streams *s, struct seen *seen, const char *key)
{
	CU(cuStreamSynchronize, s->a);
	CU(cuStreamSynchronize, s->b);
	say_intf(atomic_load(&seen->met), "%s", key);
	return atomic_load(&seen->met);
}

static void beside(struct streams *s)
{
	struct seen seen, other = {0};
	CUfunction write = cuda_kernel(ptx_fault, "write_word");
	uint32_t one = 1;
	bool met;

	if (begin_waiting(s, &seen)) {
		other.word = s->pinned;
		CU(cuLaunchHostFunc, s->b, set_word, &other);
		/* As in the worker: one at a time, in the order of the requests. */
		meets(s, &seen, "two_run_at_once");
		say_int("threads", 1 + (atomic_load(&seen.thread) != atomic_load(&other.thread)));
	}
	if (begin_waiting(s, &seen)) {
		CU(cuMemcpyDtoHAsync_v2, s->pinned, s->device, 4, s->b);
		met = meets(s, &seen, "copy_goes_on");
		verdict(ASSUME_host_func_beside_copy, met, "a copy of another stream %s",
			met ? "ends" : "waits");
	}
	/* Its first launch would load it, which waits for all that runs. */
	if (write && !CU(cuLaunchKernel, write, 1, 1, 1, 1, 1, 1, 0, s->b,
			 (void *[]){&s->pinned_at, &one}, NULL))
		CU(cuStreamSynchronize, s->b);
	if (write && begin_waiting(s, &seen)) {
		CU(cuLaunchKernel, write, 1, 1, 1, 1, 1, 1, 0, s->b,
		   (void *[]){&s->pinned_at, &one}, NULL);
		met = meets(s, &seen, "kernel_goes_on");
		verdict(ASSUME_host_func_beside_kernel, met, "a kernel of another stream %s",
			met ? "ends" : "waits");
	}
}

/* A copy, a function that must see it, a copy of what the function writes. */
static void order(struct streams *s)
{
	struct seen seen = {.word = s->pinned + 1};
	const int rounds = opt.quick ? 10 : 100;
	int64_t wrong = 0;

	for (int i = 0; i < rounds; i++) {
		uint32_t back = 0;

		memset(s->pinned, 0, 4096);
		atomic_store(&seen.met, 0);
		CU(cuMemcpyDtoHAsync_v2, s->pinned + 1, s->device, 4, s->a);
		CU(cuLaunchHostFunc, s->a, look, &seen);
		CU(cuMemcpyHtoDAsync_v2, s->device + 64, s->pinned + 1, 4, s->a);
		CU(cuStreamSynchronize, s->a);
		CU(cuMemcpyDtoH_v2, &back, s->device + 64, 4);
		wrong += !atomic_load(&seen.met) || back != 1;
	}
	verdict(ASSUME_host_func_order, !wrong, "%lld of %d rounds wrong", (long long)wrong,
		rounds);
}

static void latency(struct streams *s)
{
	const size_t rounds = opt.quick ? 20 : 500;
	uint64_t begun[500], whole[500];

	for (size_t i = 0; i < rounds; i++) {
		struct seen seen = {0};
		const uint64_t begin = now_ns();

		CU(cuLaunchHostFunc, s->a, note, &seen);
		CU(cuStreamSynchronize, s->a);
		whole[i] = now_ns() - begin;
		begun[i] = atomic_load(&seen.at) - begin;
	}
	say_times("begins", begun, rounds);
	say_times("synchronized", whole, rounds);
}

void rate_host(void)
{
	struct seen seen = {0};
	struct streams s;
	int r;

	if (!part_context() || !streams_make(&s))
		return;
	latency(&s);
	order(&s);
	beside(&s);
	/* Last, since a driver may take it ill. */
	CU(cuLaunchHostFunc, s.a, call_cuda, &seen);
	CU(cuStreamSynchronize, s.a);
	r = atomic_load(&seen.result);
	say_int("calling_cuda_result", r);
	verdict(ASSUME_host_func_no_cuda, r == CUDA_ERROR_NOT_PERMITTED, "result %d", r);
}
