/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "tests/bench/pvbench.h"

static const char nap_ptx[] = ".version 6.3\n.target sm_70\n.address_size 64\n"
			      ".visible .entry nap(.param .u32 n)\n"
			      "{\n\t.reg .u32 %r<2>;\n\tld.param.u32 %r1, [n];\n"
			      "\tnanosleep.u32 %r1;\n\tret;\n}\n";

static CUfunction napper(void)
{
	CUmodule module;
	CUfunction f;

	CU(cuModuleLoadData(&module, nap_ptx));
	CU(cuModuleGetFunction(&f, module, "nap"));
	return f;
}

static void nap(CUfunction f, CUstream s, uint32_t us)
{
	uint32_t ns = us * 1000;
	void *params[] = {&ns};

	CU(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
}

static void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

void bench_naps(uint32_t us, double seconds)
{
	enum { DEEP = 64 };
	CUfunction f = napper();
	CUevent done[DEEP];
	uint64_t begun, end, n;
	CUstream s;
	char go;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < DEEP; i++)
		CU(cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
	nap(f, s, us);
	CU(cuStreamSynchronize(s));
	say_ready();
	if (read(0, &go, 1) != 1)
		exit(1);
	begun = now_ns();
	end = seconds > 0 ? begun + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	for (n = 0; now_ns() < end; n++) {
		if (n >= DEEP)
			CU(cuEventSynchronize(done[n % DEEP]));
		nap(f, s, us);
		CU(cuEventRecord(done[n % DEEP], s));
	}
	CU(cuStreamSynchronize(s));
	printf("naps_per_s %.1f\n", (double)n * 1e9 / (double)(now_ns() - begun));
}

static void think(uint32_t us)
{
	struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};

	if (us)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

void bench_loop(uint32_t us, uint32_t burst, uint32_t think_us, double seconds)
{
	CUfunction f = napper();
	uint64_t begun, end, n = 0;
	CUstream s;
	char go;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 20; i++)
		nap(f, s, us);
	CU(cuStreamSynchronize(s));
	say_ready();
	if (read(0, &go, 1) != 1)
		exit(1);
	begun = now_ns();
	end = begun + (uint64_t)(seconds * 1e9);
	while (now_ns() < end) {
		for (uint32_t i = 0; i < burst; i++)
			nap(f, s, us);
		CU(cuStreamSynchronize(s));
		n += burst;
		think(think_us);
	}
	printf("naps_per_s %.1f\n", (double)n * 1e9 / (double)(now_ns() - begun));
}

void bench_latency(uint32_t us, uint64_t every_us, uint32_t count)
{
	CUfunction f = napper();
	double *v = calloc(count, sizeof(*v));
	uint64_t at;
	CUstream s;
	char go;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 20; i++) {
		nap(f, s, us);
		CU(cuStreamSynchronize(s));
	}
	say_ready();
	if (!v || read(0, &go, 1) != 1)
		exit(1);
	at = now_ns();
	for (uint32_t i = 0; i < count; i++) {
		struct timespec t;
		uint64_t begun;

		/* Never at the same place of a slice. */
		at += every_us * 1000 + i % 7 * every_us * 100;
		t.tv_sec = (time_t)(at / 1000000000u);
		t.tv_nsec = (long)(at % 1000000000u);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		begun = now_ns();
		nap(f, s, us);
		CU(cuStreamSynchronize(s));
		v[i] = (double)(now_ns() - begun) * 1e-6;
	}
	qsort(v, count, sizeof(*v), by_value);
	printf("latency_p50_ms %.4f\n", v[count / 2]);
	printf("latency_p99_ms %.4f\n", v[count * 99 / 100]);
	free(v);
}
