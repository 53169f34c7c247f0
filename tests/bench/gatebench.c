/* SPDX-License-Identifier: MIT */
/*
 * The cost of an open gate: launches that the worker's GPU side takes, checks and hands
 * to a far end that does nothing, by a session that has pvgpud's pages and one that has none. The
 * two take turns. Prints "name value" lines for tests/bench/bench.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "pvgpu_decode.h"
#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define ROUNDS   41
#define LAUNCHES 100000u
#define MODULE   PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 1)
#define FUNCTION PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 1, 1)
#define STREAM   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "gatebench: %s\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct worker *session(const struct far *far)
{
	static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n";
	struct worker *w = fake_open_on(far);
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX,
		.image = w->arena_base,
		.image_len = sizeof(ptx),
		.module = MODULE,
	};
	struct pvgpu_wire_module_get_function f = {
		.module = MODULE,
		.function = FUNCTION,
		.name_len = 4,
	};
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};

	fake_chunk(w, 0, 1u << 20);
	memcpy((void *)(uintptr_t)w->arena_base, ptx, sizeof(ptx));
	FAKE_SUBMIT(w, MODULE_LOAD, 3, m);
	need(fake_result(w, PVGPU_REP_REPLY, 3) == 0, "no module");
	fake_submit(w, &f, sizeof(f), PVGPU_OP_MODULE_GET_FUNCTION, 4, "four", 5);
	need(fake_result(w, PVGPU_REP_REPLY, 4) == 0, "no function");
	FAKE_SUBMIT(w, STREAM_CREATE, 0, s);
	return w;
}

static int page_of(void **at)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	const int fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	need(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "no page");
	*at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(*at != MAP_FAILED && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "no page");
	return fd;
}

/* The gate is open, and no other vGPU has work. */
static void give_pages(struct worker *w)
{
	void *gate, *report;
	const int fds[] = {page_of(&gate), page_of(&report)};
	struct pvgpu_gate *g = gate;
	char reason[160];

	g->open = g->learn = 1;
	g->inflight_ns = g->commands = g->bytes = PVGPU_GATE_NO_LIMIT;
	need(gpu_gate_take(w, fds[0], fds[1], eventfd(0, EFD_NONBLOCK), reason, sizeof(reason)) ==
		     0,
	     "the pages were not taken");
	fake_kicked(w);
}

static double round_ns(struct worker *w)
{
	const struct pvgpu_wire_launch l = {
		.hdr = {.len = sizeof(l) + 32, .op = PVGPU_OP_LAUNCH},
		.ctx = FAKE_CTX,
		.stream = STREAM,
		.function = FUNCTION,
		.grid_x = 1,
		.grid_y = 1,
		.grid_z = 1,
		.block_x = 32,
		.block_y = 1,
		.block_z = 1,
		.params_len = 28,
	};
	uint64_t rec[(sizeof(l) + 32) / 8] = {0}, t;

	memcpy(rec, &l, sizeof(l));
	t = now_ns();
	for (uint32_t i = 0; i < LAUNCHES; i++)
		need(gpu_submit(w, pvgpu_cmd_find(PVGPU_OP_LAUNCH), rec, sizeof(rec)) == 0,
		     "a launch was not taken");
	t = now_ns() - t;
	need(!w->gpu->park.count && !w->ended, "a launch was held back");
	return (double)t / LAUNCHES;
}

int main(int argc, char **argv)
{
	double with[ROUNDS], without[ROUNDS], ratio[ROUNDS];
	struct worker *plain, *gated;
	char reason[160] = "usage: gatebench LIBCUDA";
	struct far far;

	need(argc == 2 && far_load(&far, argv[1], reason, sizeof(reason)) == 0, reason);
	plain = session(&far);
	gated = session(&far);
	give_pages(gated);
	round_ns(plain);
	round_ns(gated);
	for (int i = 0; i < ROUNDS; i++) {
		without[i] = round_ns(plain);
		with[i] = round_ns(gated);
		ratio[i] = without[i] / with[i];
	}
	need(gated->gpu->gate.commands == (ROUNDS + 1) * (uint64_t)LAUNCHES, "not all counted");
	qsort(with, ROUNDS, sizeof(double), by_value);
	qsort(without, ROUNDS, sizeof(double), by_value);
	qsort(ratio, ROUNDS, sizeof(double), by_value);
	printf("gate_open_ns %.1f\ngate_open_ns_reference %.1f\ngate_open_ns_ratio %.3f\n",
	       with[ROUNDS / 2], without[ROUNDS / 2], ratio[ROUNDS / 2]);
	return 0;
}
