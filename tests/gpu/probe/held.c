/* SPDX-License-Identifier: MIT */
/* Calls beside a kernel that runs until it is told to end. */
#include "tests/gpu/probe/parts.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#define HOLD_NS  4000000000ull /* then it ends by itself: nothing is left running for ever */
#define BEGIN_NS 3000000000ull /* so long may a launch take until it runs */
#define NAP_NS   20000u

const char ptx_held[] = ".version 6.4\n"
			".target sm_70\n"
			".address_size 64\n"
			".visible .entry nothing()\n"
			"{\n"
			"	ret;\n"
			"}\n"
			".visible .entry hold(\n"
			"	.param .u64 p_flag, .param .u64 p_ns, .param .u32 p_nap)\n"
			"{\n"
			"	.reg .pred %p<3>;\n"
			"	.reg .b32 %r<4>;\n"
			"	.reg .b64 %rd<7>;\n"
			"	ld.param.u64 %rd1, [p_flag];\n"
			"	ld.param.u64 %rd2, [p_ns];\n"
			"	ld.param.u32 %r1, [p_nap];\n"
			"	cvta.to.global.u64 %rd3, %rd1;\n"
			"	mov.u64 %rd4, %globaltimer;\n"
			"	mov.u32 %r2, 1;\n"
			"	st.volatile.global.u32 [%rd3+4], %r2;\n"
			"	membar.sys;\n"
			"AGAIN:\n"
			"	ld.volatile.global.u32 %r3, [%rd3];\n"
			"	setp.ne.u32 %p1, %r3, 0;\n"
			"	@%p1 bra DONE;\n"
			"	mov.u64 %rd5, %globaltimer;\n"
			"	sub.s64 %rd6, %rd5, %rd4;\n"
			"	setp.ge.u64 %p2, %rd6, %rd2;\n"
			"	@%p2 bra DONE;\n"
			"	nanosleep.u32 %r1;\n"
			"	bra.uni AGAIN;\n"
			"DONE:\n"
			"	ret;\n"
			"}\n";

bool hold_make(struct hold *h)
{
	void *flag;

	*h = (struct hold){0};
	h->kernel = cuda_kernel(ptx_held, "hold");
	if (!h->kernel || CU(cuStreamCreate, &h->stream, CU_STREAM_NON_BLOCKING) ||
	    CU(cuMemHostAlloc, &flag, 4096, CU_MEMHOSTALLOC_DEVICEMAP) ||
	    CU(cuMemHostGetDevicePointer_v2, &h->at, flag, 0))
		return false;
	h->flag = flag;
	return true;
}

static void CUDA_CB wait_for_flag(void *arg)
{
	struct hold *h = arg;
	const uint64_t until = now_ns() + HOLD_NS;

	h->flag[1] = 1;
	while (!h->flag[0] && now_ns() < until)
		sched_yield();
}

static bool launch(struct hold *h, CUstream stream)
{
	uint64_t ns = HOLD_NS;
	uint32_t nap = NAP_NS;
	void *params[] = {&h->at, &ns, &nap};

	h->flag[0] = h->flag[1] = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (h->by_host)
		return !CU(cuLaunchHostFunc, stream, wait_for_flag, h);
	return !CU(cuLaunchKernel, h->kernel, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
}

bool hold_begin_in(struct hold *h, CUstream stream)
{
	const uint64_t until = now_ns() + BEGIN_NS;

	if (!launch(h, stream))
		return false;
	while (!h->flag[1]) {
		if (now_ns() > until) {
			say_text("hold_failed", "a kernel's write to pinned memory is not seen");
			hold_release(h);
			return false;
		}
		sched_yield();
	}
	return true;
}

bool hold_begin(struct hold *h)
{
	return hold_begin_in(h, h->stream);
}

void hold_release(struct hold *h)
{
	h->flag[0] = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void hold_end(struct hold *h)
{
	hold_release(h);
	CU(cuStreamSynchronize, h->stream);
}

struct caller {
	const struct beside *b;
	CUcontext ctx;
	sem_t done;
	uint64_t ns;
	int result;
};

static void *caller_thread(void *arg)
{
	struct caller *c = arg;
	uint64_t begin;

	if (c->ctx)
		ASK(cuCtxSetCurrent, c->ctx);
	begin = now_ns();
	c->result = c->b->call(c->b->arg);
	c->ns = now_ns() - begin;
	sem_post(&c->done);
	return NULL;
}

bool posted_within(sem_t *s, unsigned int ms)
{
	struct timespec t;
	int r;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	do {
		r = sem_timedwait(s, &t);
	} while (r && errno == EINTR);
	return !r;
}

bool call_beside(struct hold *h, const struct beside *b)
{
	struct caller c = {.b = b};
	pthread_t thread;
	bool quick;

	ASK(cuCtxGetCurrent, &c.ctx);
	sem_init(&c.done, 0, 0);
	if (!hold_begin(h))
		return false;
	if (pthread_create(&thread, NULL, caller_thread, &c)) {
		hold_end(h);
		return false;
	}
	quick = posted_within(&c.done, b->limit_ms);
	hold_end(h);
	pthread_join(thread, NULL);
	sem_destroy(&c.done);
	say_intf(c.result, "%s_result", b->key);
	say_intf(!quick, "%s_waits", b->key);
	say_intf((int64_t)c.ns, "%s_ns", b->key);
	return quick;
}
