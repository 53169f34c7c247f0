/* SPDX-License-Identifier: MIT */
/*
 * strategist SEED DEPTH KERNELS ON_OFF LENGTH GAP ON OFF: a process of a tenant of
 * tests/bench/strategies.py, with a load of the simulator's. Each of the last four is
 * KIND:MEAN_NS:SHAPE, a distribution of xen-pvgpu-back/sched/sim/sim.h.
 *
 * A request is KERNELS kernels that sleep for LENGTH each, in one stream. With ON_OFF 0 it keeps
 * DEPTH requests in flight, and waits for GAP after each that has ended; with 1 it launches a
 * request each GAP for ON, and none for OFF, in turn. It prints "ready", waits for a byte on
 * standard input, and works until the end of that input.
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/pvbench.h"
#include "xen-pvgpu-back/sched/sim/sim.h"

#define DEPTH_MOST 64u
#define NS_MOST    4000000000.0 /* a kernel's sleep is a 32-bit number of nanoseconds */

static const char ptx[] = ".version 6.3\n.target sm_70\n.address_size 64\n"
			  ".visible .entry piece(.param .u32 n)\n"
			  "{\n\t.reg .u32 %r<2>;\n\tld.param.u32 %r1, [n];\n"
			  "\tnanosleep.u32 %r1;\n\tret;\n}\n";

static CUcontext ctx;
static CUfunction piece;
static CUstream stream;
static uint64_t state;
static unsigned int depth, kernels, on_off;
static struct sim_dist length, gap, on, off;

static void nap_until(uint64_t at)
{
	struct timespec t = {.tv_sec = (time_t)(at / 1000000000u),
			     .tv_nsec = (long)(at % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static uint64_t draw(const struct sim_dist *d)
{
	const double ns = sim_draw(d, &state);

	return ns > 1 ? (uint64_t)(ns < NS_MOST ? ns : NS_MOST) : 1;
}

static void request(void)
{
	for (unsigned int i = 0; i < kernels; i++) {
		uint32_t ns = (uint32_t)draw(&length);
		void *params[] = {&ns};

		CU(cuLaunchKernel(piece, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL));
	}
}

static void run_closed(void)
{
	CUevent done[DEPTH_MOST];

	for (unsigned int i = 0; i < depth; i++)
		CU(cuEventCreate(&done[i], CU_EVENT_DISABLE_TIMING));
	for (uint64_t n = 0;; n++) {
		if (n >= depth) {
			CU(cuEventSynchronize(done[n % depth]));
			if (gap.mean > 0)
				nap_until(now_ns() + draw(&gap));
		}
		request();
		CU(cuEventRecord(done[n % depth], stream));
	}
}

static void run_on_off(void)
{
	for (;;) {
		const uint64_t end = now_ns() + draw(&on);
		uint64_t at;

		for (at = now_ns(); at < end; at += draw(&gap)) {
			nap_until(at);
			request();
		}
		nap_until(end + draw(&off));
	}
}

static void *run(void *arg)
{
	CU(cuCtxSetCurrent(ctx));
	if (on_off)
		run_on_off();
	else
		run_closed();
	return arg;
}

static struct sim_dist dist(const char *text)
{
	struct sim_dist d = {0};
	int kind;

	if (sscanf(text, "%d:%lf:%lf", &kind, &d.mean, &d.shape) != 3) {
		fprintf(stderr, "strategist: %s: must be KIND:MEAN_NS:SHAPE\n", text);
		exit(2);
	}
	d.kind = (enum sim_dist_kind)kind;
	return d;
}

int main(int argc, char **argv)
{
	CUmodule module;
	pthread_t t;
	char byte;

	if (argc != 9) {
		fprintf(stderr, "usage: strategist SEED DEPTH KERNELS ON_OFF LENGTH GAP ON OFF\n");
		return 2;
	}
	state = strtoull(argv[1], NULL, 0);
	depth = (unsigned int)strtoul(argv[2], NULL, 0);
	kernels = (unsigned int)strtoul(argv[3], NULL, 0);
	on_off = (unsigned int)strtoul(argv[4], NULL, 0);
	length = dist(argv[5]);
	gap = dist(argv[6]);
	on = dist(argv[7]);
	off = dist(argv[8]);
	if (!depth || depth > DEPTH_MOST) {
		fprintf(stderr, "strategist: a depth of %u: must be 1 to %u\n", depth, DEPTH_MOST);
		return 2;
	}
	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuModuleLoadData(&module, ptx));
	CU(cuModuleGetFunction(&piece, module, "piece"));
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CU(cuCtxSynchronize());
	puts("ready");
	fflush(stdout);
	if (read(0, &byte, 1) != 1 || pthread_create(&t, NULL, run, NULL))
		return 1;
	while (read(0, &byte, 1) == 1)
		;
	_exit(0); /* whatever is queued */
}
