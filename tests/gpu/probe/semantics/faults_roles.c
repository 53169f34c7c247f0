/* SPDX-License-Identifier: MIT */
/* The processes of the step faults. */
#include "tests/gpu/probe/semantics/step_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE  (opt.quick ? 4ull << 20 : 1ull << 30)
#define PIECES (opt.quick ? 4 : 256)
#define SMALL  (1u << 18)

/* Words that have the pattern, and words that are not zero. */
static const char ptx_count[] = ".version 6.4\n"
				".target sm_70\n"
				".address_size 64\n"
				".visible .entry count(.param .u64 p_at, .param .u64 p_words,\n"
				"	.param .u32 p_pattern, .param .u64 p_out)\n"
				"{\n"
				"	.reg .pred %p<4>;\n"
				"	.reg .b32 %r<8>;\n"
				"	.reg .b64 %rd<12>;\n"
				"	ld.param.u64 %rd1, [p_at];\n"
				"	ld.param.u64 %rd2, [p_words];\n"
				"	ld.param.u32 %r1, [p_pattern];\n"
				"	ld.param.u64 %rd3, [p_out];\n"
				"	cvta.to.global.u64 %rd1, %rd1;\n"
				"	cvta.to.global.u64 %rd3, %rd3;\n"
				"	mov.u32 %r2, %ctaid.x;\n"
				"	mov.u32 %r3, %ntid.x;\n"
				"	mov.u32 %r4, %tid.x;\n"
				"	mov.u32 %r5, %nctaid.x;\n"
				"	mul.wide.u32 %rd4, %r2, %r3;\n"
				"	cvt.u64.u32 %rd5, %r4;\n"
				"	add.s64 %rd4, %rd4, %rd5;\n"
				"	mul.wide.u32 %rd6, %r5, %r3;\n"
				"	mov.u64 %rd7, 0;\n"
				"	mov.u64 %rd8, 0;\n"
				"AGAIN:\n"
				"	setp.ge.u64 %p1, %rd4, %rd2;\n"
				"	@%p1 bra DONE;\n"
				"	shl.b64 %rd9, %rd4, 2;\n"
				"	add.s64 %rd9, %rd1, %rd9;\n"
				"	ld.global.u32 %r6, [%rd9];\n"
				"	setp.eq.u32 %p2, %r6, %r1;\n"
				"	selp.u64 %rd10, 1, 0, %p2;\n"
				"	add.s64 %rd7, %rd7, %rd10;\n"
				"	setp.ne.u32 %p3, %r6, 0;\n"
				"	selp.u64 %rd10, 1, 0, %p3;\n"
				"	add.s64 %rd8, %rd8, %rd10;\n"
				"	add.s64 %rd4, %rd4, %rd6;\n"
				"	bra.uni AGAIN;\n"
				"DONE:\n"
				"	atom.global.add.u64 %rd11, [%rd3], %rd7;\n"
				"	atom.global.add.u64 %rd11, [%rd3+8], %rd8;\n"
				"	ret;\n"
				"}\n";

/* ---- the neighbour ---- */
static void note_round(struct shared *s)
{
	const uint64_t now = now_ns(), gap = now - atomic_load(&s->last_ns);

	if (gap > atomic_load(&s->gap_ns))
		atomic_store(&s->gap_ns, gap);
	atomic_store(&s->last_ns, now);
	atomic_fetch_add(&s->rounds, 1);
}

void faults_neighbour(void)
{
	struct shared *s = role_shared(sizeof(*s));
	uint32_t n = SMALL / 4;
	CUdeviceptr at;
	CUfunction f;
	int r = 0;

	if (!s || !part_context() || !(f = cuda_kernel(ptx_vector, "increment")) ||
	    CU(cuMemAlloc_v2, &at, SMALL) || CU(cuMemsetD8_v2, at, 0, SMALL) ||
	    CU(cuCtxSynchronize))
		return;
	atomic_store(&s->last_ns, now_ns());
	role_ready();
	while (!r && !atomic_load(&s->stop)) {
		r = ASK(cuLaunchKernel, f, 16, 1, 1, 256, 1, 1, 0, NULL, (void *[]){&at, &n}, NULL);
		if (!r)
			r = ASK(cuStreamSynchronize, NULL);
		if (!r)
			note_round(s);
	}
	atomic_store(&s->result, r);
	say_int("result", r);
	say_int("rounds", (int64_t)atomic_load(&s->rounds));
}

/* ---- the tenant ---- */

/* Mark much memory, so that the next process can check whether it sees the marks. */
static void mark_memory(struct shared *s)
{
	for (int i = 0; i < PIECES; i++) {
		size_t some = 0, all;
		CUdeviceptr p;

		/* The neighbour and the tenant's own needs keep some. */
		if (CU(cuMemGetInfo_v2, &some, &all) || some < all / 8 + PIECE ||
		    CU(cuMemAlloc_v2, &p, PIECE) || CU(cuMemsetD32_v2, p, PATTERN, PIECE / 4))
			break;
		atomic_fetch_add(&s->marked_bytes, PIECE);
	}
	CU(cuCtxSynchronize);
}

static CUresult launch_fault(const struct fault *f, CUfunction fn, CUdeviceptr memory)
{
	uint32_t value = 7, n = 32, when = 0;
	CUdeviceptr at = 0;
	void *params[2] = {&at, &value};

	if (!strcmp(f->name, "wild"))
		at = (CUdeviceptr)1 << 46;
	else if (!strcmp(f->name, "misaligned"))
		at = memory + 2;
	else if (strcmp(f->kernel, "write_word") != 0)
		at = memory;
	if (!strcmp(f->kernel, "check_even"))
		params[1] = &n;
	if (!strcmp(f->kernel, "give_up"))
		params[0] = &when;
	return CU(cuLaunchKernel, fn, f->blocks, 1, 1, 32, 1, 1, 0, NULL, params, NULL);
}

static void CUDA_CB ran(void *arg)
{
	*(volatile int *)arg = 1;
}

static void CUDA_CB ran_with(CUstream s, CUresult status, void *arg)
{
	*(volatile int *)arg = 1 + (int)status;
}

struct after {
	CUstream stream;
	CUevent event;
	CUfunction nothing;
	CUdeviceptr memory;
	CUdevice dev;
	CUcontext ctx;
};

/* Every call says the same; those that do not are named. */
static void sticky(const struct after *a, int code)
{
	static char bytes[64];
	size_t some, all;
	CUmodule module;
	CUdeviceptr p;
	struct {
		const char *name;
		int r;
	} calls[] = {
		{"ctx_synchronize", ASK(cuCtxSynchronize)},
		{"stream_query", ASK(cuStreamQuery, a->stream)},
		{"event_query", ASK(cuEventQuery, a->event)},
		{"launch", ASK(cuLaunchKernel, a->nothing, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL)},
		{"alloc", ASK(cuMemAlloc_v2, &p, 4096)},
		{"copy", ASK(cuMemcpyDtoH_v2, bytes, a->memory, 64)},
		{"memset", ASK(cuMemsetD8_v2, a->memory, 1, 64)},
		{"mem_get_info", ASK(cuMemGetInfo_v2, &some, &all)},
		{"module_load", ASK(cuModuleLoadDataEx, &module, ptx_held, 0, NULL, NULL)},
		{"free", ASK(cuMemFree_v2, a->memory)},
	};
	int other = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].r == code)
			continue;
		say_intf(calls[i].r, "then_%s_result", calls[i].name);
		other++;
	}
	say_int("then_other_results", other);
	verdict(ASSUME_fault_sticky, !other, "%s: %d of the calls after it do not give %d",
		getenv(FAULT_ENV), other, code);
}

/* Is there a way back in the same process? */
static void recover(const struct after *a)
{
	CUcontext ctx;
	int r;

	say_int("new_context_result", ASK(cuCtxCreate_v2, &ctx, 0, a->dev));
	r = ASK(cuDevicePrimaryCtxReset_v2, a->dev);
	say_int("reset_result", r);
	r = ASK(cuDevicePrimaryCtxRetain, &ctx, a->dev);
	say_int("retain_result", r);
	if (!r)
		r = ASK(cuCtxSetCurrent, ctx);
	if (!r)
		r = ASK(cuCtxSynchronize);
	say_int("works_again_result", r);
}

/* Catch libcuda's own output. */
static int catch_output(void)
{
	const int fd = memfd_create("output", MFD_CLOEXEC);

	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	return fd;
}

static void say_output(int fd)
{
	char text[600] = "";

	fflush(NULL);
	if (fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0)
		say_text("output", "%s", text);
}

static void fail_and_tell(const struct fault *f, CUfunction fn, struct after *a)
{
	int host = 0, always = 0, r;
	const int out = catch_output();
	const uint64_t begin = now_ns();

	if (launch_fault(f, fn, a->memory))
		return;
	say_int("host_func_behind_result", ASK(cuLaunchHostFunc, NULL, ran, &host));
	say_int("callback_behind_result",
		ASK(cuStreamAddCallback, NULL, ran_with, (void *)&always, 0));
	r = ASK(cuStreamSynchronize, NULL);
	say_int("seen_after_ns", (int64_t)(now_ns() - begin));
	say_int("result", r);
	verdict(ASSUME_fault_codes,
		r == f->code || (f->code == CUDA_ERROR_LAUNCH_FAILED &&
				 r == CUDA_ERROR_ILLEGAL_INSTRUCTION),
		"%s: %d, ours %d", f->name, r, f->code);
	say_output(out);
	if (!r)
		return;
	sticky(a, r);
	say_int("host_func_ran", host);
	say_int("callback_ran_with", always - 1);
	recover(a);
}

void faults_tenant(void)
{
	const struct fault *f = fault_find(getenv(FAULT_ENV));
	struct shared *s = role_shared(sizeof(*s));
	CUfunction fn = NULL;
	struct after a;

	if (!s || !f || !cuda_context(&a.dev, &a.ctx))
		return;
	a.nothing = cuda_kernel(ptx_fault, "nothing");
	if (f->kernel)
		fn = cuda_kernel(ptx_fault, f->kernel);
	if (!a.nothing || (f->kernel && !fn) || CU(cuMemAlloc_v2, &a.memory, 4096) ||
	    CU(cuMemsetD32_v2, a.memory, f->code ? 3 : 0, 1024) ||
	    CU(cuStreamCreate, &a.stream, CU_STREAM_NON_BLOCKING) ||
	    CU(cuEventCreate, &a.event, 0) || CU(cuEventRecord, a.event, a.stream))
		return;
	mark_memory(s);
	if (!role_pause())
		return;
	if (f->code) {
		fail_and_tell(f, fn, &a);
		return;
	}
	if (fn && launch_fault(f, fn, a.memory))
		return;
	/* This process waits to be killed. */
	role_pause();
}

/* ---- the next one ---- */
static int scan(struct shared *s)
{
	CUfunction f = cuda_kernel(ptx_count, "count");
	uint64_t words = PIECE / 4, found[2] = {0, 0}, nonzero = 0;
	uint32_t pattern = PATTERN;
	CUdeviceptr p, out;
	int r = !f || CU(cuMemAlloc_v2, &out, 16) ? CUDA_ERROR_UNKNOWN : 0;

	for (int i = 0; !r && i < PIECES; i++) {
		/* All that there is: the last one may be refused. */
		if (ASK(cuMemAlloc_v2, &p, PIECE))
			break;
		r = (int)CU(cuMemsetD8_v2, out, 0, 16);
		if (!r)
			r = (int)CU(cuLaunchKernel, f, 1024, 1, 1, 256, 1, 1, 0, NULL,
				    (void *[]){&p, &words, &pattern, &out}, NULL);
		if (!r)
			r = (int)CU(cuMemcpyDtoH_v2, found, out, 16);
		atomic_fetch_add(&s->found, found[0]);
		nonzero += found[1];
		atomic_fetch_add(&s->scanned_bytes, PIECE);
	}
	say_int("scanned_bytes", (int64_t)atomic_load(&s->scanned_bytes));
	say_int("words_of_the_last_one", (int64_t)atomic_load(&s->found));
	say_int("words_not_zero", (int64_t)nonzero);
	return r;
}

void faults_next(void)
{
	struct shared *s = role_shared(sizeof(*s));
	const uint64_t begin = now_ns();
	int r = 0;

	if (!s)
		return;
	atomic_store(&s->next_result, -1);
	if (!part_context())
		return;
	say_int("context_ns", (int64_t)(now_ns() - begin));
	r = scan(s);
	say_int("result", r);
	atomic_store(&s->next_result, r);
}
