/* SPDX-License-Identifier: MIT */
/*
 * pieces START_MS END_MS SPEC...: a tenant of tests/bench/sweep.py. It keeps streams filled with
 * pieces of work that take GPU time and hardly any processor.
 *
 * SPEC is LENGTH_US:DEPTH:STREAMS:THINK_US:SMALL, a part of the program with streams of its own.
 * Each of them always has DEPTH pieces in flight. With a THINK_US it launches DEPTH pieces, waits
 * for all of them, thinks, and begins again. A piece is a kernel that sleeps; with a LENGTH_US of 0
 * it is ten copies of 4 KiB from pinned memory. SMALL kernels of 10 us follow each piece.
 *
 * It prints "ready" and waits for a byte on standard input. START_MS later it begins, and it leaves
 * END_MS after that byte (0: it stays), without waiting for what is queued. At each further byte it
 * prints a line for each part: the pieces that have ended, the longest time in microseconds for
 * which none ended although there was work, and the median time of a piece from its launch to its
 * end since the line before.
 */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/pvbench.h"

#define PARTS     4u
#define DEPTH     64u
#define MOST_US   4000000u /* a kernel's sleep is a 32-bit number of nanoseconds */
#define SMALL_US  10
#define COPIES    10
#define BYTES     4096u
#define LATENCIES 8192u /* those of the last pieces */

static const char ptx[] = ".version 6.3\n.target sm_70\n.address_size 64\n"
			  ".visible .entry piece(.param .u32 n)\n"
			  "{\n\t.reg .u32 %r<2>;\n\tld.param.u32 %r1, [n];\n"
			  "\tnanosleep.u32 %r1;\n\tret;\n}\n";

struct stream;

struct part {
	unsigned int us, depth, streams, think_us, small;
	pthread_mutex_t lock;
	unsigned int busy;       /* streams with pieces in flight */
	uint64_t since;          /* a piece has ended, or the first one was launched */
	uint64_t ended, longest; /* ns */
	double latency[LATENCIES];
	uint64_t latencies;
	struct stream *stream;
};

struct stream {
	struct part *part;
	CUstream stream;
	CUevent done[DEPTH];
	uint64_t launched_at[DEPTH];
	void *host;
	CUdeviceptr device;
};

static CUcontext ctx;
static CUfunction piece;
static uint64_t begun; /* pieces may be launched from then on */

static void nap_until(uint64_t at)
{
	struct timespec t = {.tv_sec = (time_t)(at / 1000000000u),
			     .tv_nsec = (long)(at % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static void kernel(struct stream *s, unsigned int us)
{
	uint32_t ns = us * 1000;
	void *params[] = {&ns};

	/* Long and short ones differ in shape, so that their lengths can be told apart. */
	CU(cuLaunchKernel(piece, 1, 1, 1, us > SMALL_US ? 1 : 2, 1, 1, 0, s->stream, params, NULL));
}

static void launch(struct stream *s, unsigned int i)
{
	const struct part *p = s->part;

	s->launched_at[i] = now_ns();
	if (p->us)
		kernel(s, p->us);
	for (int n = 0; !p->us && n < COPIES; n++)
		CU(cuMemcpyHtoDAsync(s->device, s->host, BYTES, s->stream));
	for (unsigned int n = 0; n < p->small; n++)
		kernel(s, SMALL_US);
	CU(cuEventRecord(s->done[i], s->stream));
}

static void works(struct part *p, bool on)
{
	pthread_mutex_lock(&p->lock);
	if (on && !p->busy)
		p->since = now_ns();
	p->busy += on ? 1 : -1u;
	pthread_mutex_unlock(&p->lock);
}

static void await(struct stream *s, unsigned int i)
{
	struct part *p = s->part;
	uint64_t now;

	CU(cuEventSynchronize(s->done[i]));
	pthread_mutex_lock(&p->lock);
	now = now_ns();
	if (now - p->since > p->longest)
		p->longest = now - p->since;
	p->since = now;
	p->ended++;
	p->latency[p->latencies++ % LATENCIES] = (double)(now - s->launched_at[i]);
	pthread_mutex_unlock(&p->lock);
}

static void *run(void *arg)
{
	struct stream *s = arg;
	struct part *p = s->part;

	CU(cuCtxSetCurrent(ctx));
	nap_until(begun);
	while (p->think_us) {
		works(p, true);
		for (unsigned int i = 0; i < p->depth; i++)
			launch(s, i);
		for (unsigned int i = 0; i < p->depth; i++)
			await(s, i);
		works(p, false);
		nap_until(now_ns() + p->think_us * 1000ull);
	}
	works(p, true);
	for (uint64_t n = 0;; n++) {
		if (n >= p->depth)
			await(s, n % p->depth);
		launch(s, n % p->depth);
	}
	return NULL;
}

static void prepare(struct part *p, struct stream *s)
{
	s->part = p;
	CU(cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
	for (unsigned int i = 0; i < p->depth; i++)
		CU(cuEventCreate(&s->done[i], CU_EVENT_DISABLE_TIMING));
	if (!p->us) {
		CU(cuMemHostAlloc(&s->host, BYTES, 0));
		CU(cuMemAlloc(&s->device, BYTES));
	}
}

static void report(struct part *p)
{
	static double sorted[LATENCIES];
	uint64_t ended, longest, n, now;

	pthread_mutex_lock(&p->lock);
	now = now_ns();
	ended = p->ended;
	longest = p->longest;
	if (p->busy && now - p->since > longest)
		longest = now - p->since;
	n = p->latencies < LATENCIES ? p->latencies : LATENCIES;
	memcpy(sorted, p->latency, n * sizeof(sorted[0]));
	p->latencies = 0;
	pthread_mutex_unlock(&p->lock);
	qsort(sorted, n, sizeof(sorted[0]), by_value);
	printf("%llu %.1f %.1f\n", (unsigned long long)ended, (double)longest * 1e-3,
	       n ? sorted[n / 2] * 1e-3 : 0);
}

static void prepare_all(struct part *parts, unsigned int n)
{
	for (unsigned int k = 0; k < n; k++) {
		parts[k].stream = calloc(parts[k].streams, sizeof(*parts[k].stream));
		if (!parts[k].stream)
			exit(1);
		for (unsigned int i = 0; i < parts[k].streams; i++)
			prepare(&parts[k], &parts[k].stream[i]);
	}
}

static void start_all(struct part *parts, unsigned int n)
{
	pthread_t t;

	for (unsigned int k = 0; k < n; k++)
		for (unsigned int i = 0; i < parts[k].streams; i++)
			if (pthread_create(&t, NULL, run, &parts[k].stream[i]))
				exit(1);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: pieces START_MS END_MS LENGTH_US:DEPTH:STREAMS:THINK_US:SMALL...\n");
	exit(2);
}

static unsigned int parts_of(char **spec, unsigned int n, struct part *parts)
{
	if (!n || n > PARTS)
		usage();
	for (unsigned int i = 0; i < n; i++) {
		struct part *p = &parts[i];

		if (sscanf(spec[i], "%u:%u:%u:%u:%u", &p->us, &p->depth, &p->streams, &p->think_us,
			   &p->small) != 5 ||
		    !p->depth || p->depth > DEPTH || !p->streams || p->us > MOST_US)
			usage();
		pthread_mutex_init(&p->lock, NULL);
	}
	return n;
}

/* Answers bytes until the end of the input, or until it leaves. */
static void answer(struct part *parts, unsigned int n, uint64_t leaves)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	uint64_t now;
	char byte;

	for (;;) {
		now = now_ns();
		if (now >= leaves)
			return;
		if (!poll(&in, 1, leaves == UINT64_MAX ? -1 : (int)((leaves - now) / 1000000 + 1)))
			continue;
		if (read(0, &byte, 1) != 1)
			return;
		for (unsigned int i = 0; i < n; i++)
			report(&parts[i]);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static struct part parts[PARTS];
	uint64_t start_ms, end_ms, go;
	CUmodule module;
	unsigned int n;
	char byte;

	if (argc < 4)
		usage();
	start_ms = strtoull(argv[1], NULL, 0);
	end_ms = strtoull(argv[2], NULL, 0);
	n = parts_of(argv + 3, (unsigned int)argc - 3, parts);
	CU(cuInit(0));
	CU(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU(cuCtxSetCurrent(ctx));
	CU(cuModuleLoadData(&module, ptx));
	CU(cuModuleGetFunction(&piece, module, "piece"));
	prepare_all(parts, n);
	CU(cuCtxSynchronize());
	puts("ready");
	fflush(stdout);
	if (read(0, &byte, 1) != 1)
		return 1;
	go = now_ns();
	begun = go + start_ms * 1000000;
	start_all(parts, n);
	answer(parts, n, end_ms ? go + end_ms * 1000000 : UINT64_MAX);
	_exit(0); /* whatever is queued */
}
