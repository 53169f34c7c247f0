/* SPDX-License-Identifier: MIT */
/*
 * Measures the data path from inside an application, next to its reference in the same process, and
 * prints "name value" lines for tests/bench/bench.py. Every figure is a median of rounds in which
 * the measured thing and its reference take turns, so that a change of the machine's speed meets
 * both.
 */
#include <cuda.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/pvbench.h"

#define ROUNDS     15
#define BATCH      64
#define COPY_BYTES (64u << 20)

static const char kernel_ptx[] =
	".version 6.0\n.target sm_70\n.address_size 64\n"
	".visible .entry four(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)\n"
	"{\n\tret;\n}\n";

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/*
 * Round trips in batches, of which the median counts: on a machine with few processors a mean would
 * tell how often another thread had the processor.
 */
#define TRIPS 50
struct batches {
	uint64_t begun;
	size_t n;
	double v[1024];
};

static void batch_begin(struct batches *b, uint32_t i)
{
	if (i % TRIPS == 0)
		b->begun = now_ns();
}

static void batch_end(struct batches *b, uint32_t i)
{
	if (i % TRIPS == 0 && b->n < sizeof(b->v) / sizeof(b->v[0]))
		b->v[b->n++] = (double)(now_ns() - b->begun) / TRIPS;
}

static CUfunction four;
static CUcontext ctx;

static void start(void)
{
	CUmodule module;

	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuModuleLoadData(&module, kernel_ptx));
	CU(cuModuleGetFunction(&four, module, "four"));
}

static void launch(CUstream s)
{
	CUdeviceptr a = 0, b = 0, c = 0;
	unsigned int n = 1;
	void *params[] = {&a, &b, &c, &n};

	CU(cuLaunchKernel(four, 1, 1, 1, 32, 1, 1, 0, s, params, NULL));
}

/* post: the guest thread's time for one asynchronous launch. */
static void bench_post(void)
{
	enum { SAMPLES = 2000 };
	static double v[SAMPLES];
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t t;

		launch(s);
		CU(cuStreamSynchronize(s));
		t = now_ns();
		for (int k = 0; k < BATCH; k++)
			launch(s);
		v[i] = (double)(now_ns() - t) / BATCH;
	}
	CU(cuStreamSynchronize(s));
	printf("post_launch_ns %.1f\n", median(v, SAMPLES));
}

/* ---- a bare ping-pong of two threads over shared memory ---- */
struct pingpong {
	_Alignas(64) _Atomic uint32_t ping;
	_Alignas(64) _Atomic uint32_t pong;
	_Alignas(64) uint32_t rounds;
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static void *ponger(void *arg)
{
	struct pingpong *p = arg;

	for (uint32_t i = 1; i <= p->rounds; i++) {
		while (atomic_load_explicit(&p->ping, memory_order_acquire) != i)
			relax();
		atomic_store_explicit(&p->pong, i, memory_order_release);
	}
	return NULL;
}

static double pingpong_ns(uint32_t rounds)
{
	struct pingpong p = {.rounds = rounds};
	struct batches b = {.n = 0};
	pthread_t t;

	pthread_create(&t, NULL, ponger, &p);
	for (uint32_t i = 1; i <= rounds; i++) {
		batch_begin(&b, i - 1);
		atomic_store_explicit(&p.ping, i, memory_order_release);
		while (atomic_load_explicit(&p.pong, memory_order_acquire) != i)
			relax();
		batch_end(&b, i);
	}
	pthread_join(t, NULL);
	return median(b.v, b.n);
}

/* ---- a bare eventfd ping-pong of two processes ---- */
static double eventfd_ns(uint32_t rounds)
{
	int a = eventfd(0, 0), b = eventfd(0, 0);
	struct batches t = {.n = 0};
	uint64_t one = 1, got;
	pid_t child = fork();

	if (child == 0) {
		for (uint32_t i = 0; i < rounds; i++)
			if (read(a, &got, 8) != 8 || write(b, &one, 8) != 8)
				_exit(1);
		_exit(0);
	}
	for (uint32_t i = 1; i <= rounds; i++) {
		batch_begin(&t, i - 1);
		if (write(a, &one, 8) != 8 || read(b, &got, 8) != 8)
			exit(1);
		batch_end(&t, i);
	}
	waitpid(child, NULL, 0);
	close(a);
	close(b);
	return median(t.v, t.n);
}

static double awaited_ns(uint32_t rounds)
{
	struct batches b = {.n = 0};
	size_t free_bytes, total;

	for (uint32_t i = 1; i <= rounds; i++) {
		batch_begin(&b, i - 1);
		CU(cuMemGetInfo(&free_bytes, &total));
		batch_end(&b, i);
	}
	return median(b.v, b.n);
}

static void bench_awaited(const char *name, double (*reference)(uint32_t), uint32_t rounds)
{
	double v[ROUNDS], r[ROUNDS], q[ROUNDS];

	awaited_ns(rounds / 4);
	for (int i = 0; i < ROUNDS; i++) {
		r[i] = reference(rounds);
		v[i] = awaited_ns(rounds);
		q[i] = v[i] / r[i];
	}
	printf("%s %.1f\n", name, median(v, ROUNDS));
	printf("%s_reference %.1f\n", name, median(r, ROUNDS));
	printf("%s_ratio %.3f\n", name, median(q, ROUNDS));
}

static void bench_polling(void)
{
	bench_awaited("awaited_polling_ns", pingpong_ns, 20000);
}

static void bench_sleeping(void)
{
	bench_awaited("awaited_sleeping_ns", eventfd_ns, 4000);
}

/* drain: four-argument launches through the ring, decoded, checked and handed over. */
static void bench_drain(void)
{
	enum { LAUNCHES = 400000 };
	double v[ROUNDS];
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t t = now_ns();

		for (int k = 0; k < LAUNCHES; k++)
			launch(s);
		CU(cuStreamSynchronize(s));
		v[i] = LAUNCHES * 1e9 / (double)(now_ns() - t);
	}
	printf("drain_end_to_end_per_s %.0f\n", median(v, ROUNDS));
}

/* ---- copies: of this size a synchronous copy has arrived when the call returns ---- */
static double copy_s(CUdeviceptr d, void *h, int to_device)
{
	uint64_t t = now_ns();

	if (to_device)
		CU(cuMemcpyHtoD(d, h, COPY_BYTES));
	else
		CU(cuMemcpyDtoH(h, d, COPY_BYTES));
	return (double)(now_ns() - t) * 1e-9;
}

static void *touched(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	memset(p, 0x5a, n);
	return p;
}

static void bench_pageable(void)
{
	unsigned char *a = touched(COPY_BYTES), *b = touched(COPY_BYTES), *c = touched(COPY_BYTES);
	CUdeviceptr d;

	CU(cuMemAlloc(&d, COPY_BYTES));
	for (int to_device = 1; to_device >= 0; to_device--) {
		double v[ROUNDS], r[ROUNDS], q[ROUNDS];

		copy_s(d, a, to_device);
		for (int i = 0; i < ROUNDS; i++) {
			uint64_t t = now_ns();

			memcpy(b, c, COPY_BYTES);
			__asm__ volatile("" ::: "memory");
			r[i] = (double)(now_ns() - t) * 1e-9;
			v[i] = copy_s(d, a, to_device);
			q[i] = r[i] / v[i];
		}
		printf("pageable_%s %.3f\n", to_device ? "htod" : "dtoh",
		       COPY_BYTES / median(v, ROUNDS) * 1e-9);
		printf("pageable_%s_reference %.3f\n", to_device ? "htod" : "dtoh",
		       COPY_BYTES / median(r, ROUNDS) * 1e-9);
		printf("pageable_%s_ratio %.3f\n", to_device ? "htod" : "dtoh", median(q, ROUNDS));
	}
}

static void pinned(CUdeviceptr d, void *h)
{
	memset(h, 0x5a, COPY_BYTES);
	for (int to_device = 1; to_device >= 0; to_device--) {
		double v[ROUNDS];

		copy_s(d, h, to_device);
		for (int i = 0; i < ROUNDS; i++)
			v[i] = copy_s(d, h, to_device);
		printf("pinned_%s %.3f\n", to_device ? "htod" : "dtoh",
		       COPY_BYTES / median(v, ROUNDS) * 1e-9);
	}
}

/* The references are these two programs on simcuda directly: bench.py takes the ratios. */
static void bench_pinned(void)
{
	CUdeviceptr d;
	void *h;

	CU(cuMemAlloc(&d, COPY_BYTES));
	CU(cuMemAllocHost(&h, COPY_BYTES));
	pinned(d, h);
}

/* As a worker has it: an arena is the kernel's shared memory, and what the far end maps on demand
 * may lie in other pages than what it allocates. */
static void bench_pinned_mapped(void)
{
	const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
					  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	const CUmemAccessDesc access = {.location = prop.location,
					.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	int fd = memfd_create("pinned", MFD_CLOEXEC);
	CUmemGenericAllocationHandle made;
	CUdeviceptr d;
	void *h;

	if (fd < 0 || ftruncate(fd, COPY_BYTES))
		exit(1);
	h = mmap(NULL, COPY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		exit(1);
	CU(cuMemHostRegister(h, COPY_BYTES, 0));
	CU(cuMemAddressReserve(&d, COPY_BYTES, 0, 0, 0));
	CU(cuMemCreate(&made, COPY_BYTES, &prop, 0));
	CU(cuMemMap(d, COPY_BYTES, 0, made, 0));
	CU(cuMemSetAccess(d, COPY_BYTES, &access, 1));
	pinned(d, h);
}

/* rate: launches a second of this one session from the first byte on standard input until the next.
 */
static void bench_rate(double seconds)
{
	uint64_t begun, end, done = 0;
	CUstream s;
	char go;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	launch(s);
	CU(cuStreamSynchronize(s));
	puts("ready");
	fflush(stdout);
	if (read(0, &go, 1) != 1)
		exit(1);
	begun = now_ns();
	end = begun + (uint64_t)(seconds * 1e9);
	while (now_ns() < end) {
		for (int k = 0; k < 1000; k++)
			launch(s);
		done += 1000;
	}
	CU(cuStreamSynchronize(s));
	printf("launches_per_s %.0f\n", (double)done * 1e9 / (double)(now_ns() - begun));
}

static void bench_idle(void)
{
	char c;

	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static void bench_start(void)
{
	uint64_t t = now_ns();
	int n;

	CU(cuInit(0));
	CU(cuDeviceGetCount(&n));
	printf("session_start_ms %.3f\n", (double)(now_ns() - t) * 1e-6);
}

/*
 * System calls and allocations of 10,000 posted launches, counted from outside by a tracer: the
 * traced child marks the counted part with getppid().
 */
void *__libc_malloc(size_t);
static _Atomic unsigned long mallocs;
void *malloc(size_t n)
{
	atomic_fetch_add_explicit(&mallocs, 1, memory_order_relaxed);
	return __libc_malloc(n);
}

static void counted_child(void)
{
	unsigned long before;
	CUstream s;

	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 1000; i++)
		launch(s);
	CU(cuStreamSynchronize(s));
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	launch(s);
	before = atomic_load(&mallocs);
	getppid();
	for (int i = 0; i < 10000; i++)
		launch(s);
	getppid();
	printf("post_mallocs_per_10000 %lu\n", atomic_load(&mallocs) - before);
	fflush(stdout);
	_exit(0);
}

#include <sys/syscall.h>
#include <sys/user.h>

static void bench_count(void)
{
	pid_t child = fork();
	unsigned long calls = 0;
	int status, inside = 0, entry = 1;

	if (child == 0)
		counted_child();
	waitpid(child, &status, 0);
	while (WIFSTOPPED(status)) {
		struct user_regs_struct regs;

		if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0 ||
		    waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != SIGTRAP)
			continue;
		if (entry && ptrace(PTRACE_GETREGS, child, NULL, &regs) == 0) {
			if (regs.orig_rax == SYS_getppid)
				inside = !inside;
			else if (inside)
				calls++;
		}
		entry = !entry;
	}
	printf("post_syscalls_per_10000 %lu\n", calls);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	static const struct {
		const char *name;
		void (*run)(void);
	} table[] = {
		{"post", bench_post},         {"polling", bench_polling},
		{"sleeping", bench_sleeping}, {"drain", bench_drain},
		{"pageable", bench_pageable}, {"pinned", bench_pinned},
		{"idle", bench_idle},         {"pinned-mapped", bench_pinned_mapped},
	};

	if (!strcmp(what, "start")) {
		bench_start();
		return 0;
	}
	if (!strcmp(what, "count")) {
		bench_count();
		return 0;
	}
	if (!strcmp(what, "rate")) {
		start();
		bench_rate(argc > 2 ? atof(argv[2]) : 2);
		return 0;
	}
	if (!strcmp(what, "hops") && argc > 2) {
		bench_hops((uint32_t)atoi(argv[2]));
		return 0;
	}
	if (!strcmp(what, "naps") && argc > 3) {
		start();
		bench_naps((uint32_t)atoi(argv[2]), atof(argv[3]));
		return 0;
	}
	if (!strcmp(what, "loop") && argc > 5) {
		start();
		bench_loop((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]),
			   (uint32_t)atoi(argv[4]), atof(argv[5]));
		return 0;
	}
	if (!strcmp(what, "latency") && argc > 4) {
		start();
		bench_latency((uint32_t)atoi(argv[2]), (uint64_t)atoi(argv[3]),
			      (uint32_t)atoi(argv[4]));
		return 0;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(what, table[i].name))
			continue;
		start();
		table[i].run();
		return 0;
	}
	fprintf(stderr, "usage: pvbench "
			"post|polling|sleeping|drain|pageable|pinned|pinned-mapped|idle|start|"
			"count|rate [SECONDS]\n"
			"       pvbench naps US SECONDS | loop US BURST THINK_US SECONDS |\n"
			"               latency US EVERY_US COUNT | hops N\n");
	return 2;
}
