/* SPDX-License-Identifier: MIT */
/* Kernels that keep the GPU for a while: all the time, or now and then. */
#include "tests/gpu/meter/meter.h"

#include <stdlib.h>

#define DEEP_MAX  64u
#define WINDOW_NS 100000000u

/* The least of three: other processes' work can only make it longer. */
static CUresult time_of(CUevent begin, CUevent end, CUstream s, uint32_t iterations, float *ms)
{
	for (int i = 0; i < 3; i++) {
		float now;

		TRY(cuEventRecord(begin, s));
		TRY(launch_iterations(s, iterations));
		TRY(cuEventRecord(end, s));
		TRY(cuEventSynchronize(end));
		TRY(cuEventElapsedTime(&now, begin, end));
		if (i == 0 || now < *ms)
			*ms = now;
	}
	return CUDA_SUCCESS;
}

CUresult do_calibrate(const struct words *w)
{
	const double us = (double)number(w, 0, 0);
	uint32_t iterations = 500;
	CUevent begin, end;
	float ms = 0;
	CUstream s;

	TRY(own_stream(&s));
	TRY(cuEventCreate(&begin, CU_EVENT_DEFAULT));
	TRY(cuEventCreate(&end, CU_EVENT_DEFAULT));
	/* Long enough for the GPU's clock to have gone up, and for what a launch costs not to
	 * count. */
	while (ms < 20 && iterations < 1u << 30) {
		iterations *= 2;
		TRY(time_of(begin, end, s, iterations, &ms));
	}
	TRY(cuEventDestroy(begin));
	TRY(cuEventDestroy(end));
	say_int("iterations", (int64_t)(us * iterations / (ms * 1000)));
	return CUDA_SUCCESS;
}

struct busy {
	uint64_t us, inflight, begun, end, done;
	uint32_t iterations;
	CUstream stream;
	CUevent first, event[DEEP_MAX];
	json_int_t *windows;
	size_t window_n;
};

static CUresult wait_one(struct busy *b)
{
	uint64_t window;

	TRY(cuEventSynchronize(b->event[b->done % b->inflight]));
	b->done++;
	window = (now_ns() - b->begun) / WINDOW_NS;
	b->windows[window < b->window_n ? window : b->window_n - 1]++;
	return CUDA_SUCCESS;
}

static CUresult keep_busy(struct busy *b)
{
	uint64_t issued = 0;
	float ms;

	TRY(cuEventRecord(b->first, b->stream));
	while (now_ns() < b->end) {
		if (issued - b->done == b->inflight)
			TRY(wait_one(b));
		TRY(launch_work(b->stream, b->us, b->iterations));
		TRY(cuEventRecord(b->event[issued % b->inflight], b->stream));
		issued++;
	}
	while (b->done < issued)
		TRY(wait_one(b));
	say_int("done", (int64_t)b->done);
	say_int("spent_ns", (int64_t)(now_ns() - b->begun));
	if (issued) {
		TRY(cuEventElapsedTime(&ms, b->first, b->event[(issued - 1) % b->inflight]));
		say_num("event_span_ms", ms);
	}
	return CUDA_SUCCESS;
}

static void say_windows(const struct busy *b)
{
	json_t *list = json_array();
	json_int_t in_time = 0;

	/* The last one holds what was done after the end, and is of no length. */
	for (size_t i = 0; i + 1 < b->window_n; i++) {
		json_array_append_new(list, json_integer(b->windows[i]));
		in_time += b->windows[i];
	}
	say_int("done_in_time", in_time);
	say_int("window_ms", WINDOW_NS / 1000000);
	say_json("windows", list);
}

static CUresult busy_events(struct busy *b)
{
	CUresult r;

	TRY(own_stream(&b->stream));
	/* Waiting threads sleep: there may be more tenants than processors. */
	TRY(cuEventCreate(&b->first, CU_EVENT_BLOCKING_SYNC));
	for (uint64_t i = 0; i < b->inflight; i++)
		TRY(cuEventCreate(&b->event[i], CU_EVENT_BLOCKING_SYNC));
	/* Loaded, and once at the GPU. */
	TRY(launch_work(b->stream, b->us, b->iterations));
	TRY(cuStreamSynchronize(b->stream));
	if (b->begun)
		sleep_until(b->begun);
	else
		b->begun = now_ns();
	b->end += b->begun;
	say_int("begun_ns", (int64_t)b->begun);
	r = keep_busy(b);
	if (r == CUDA_SUCCESS)
		say_windows(b);
	cuEventDestroy(b->first);
	for (uint64_t i = 0; i < b->inflight; i++)
		cuEventDestroy(b->event[i]);
	return r;
}

CUresult do_busy(const struct words *w)
{
	struct busy b = {.us = number(w, 0, 0),
			 .inflight = number(w, 2, 8),
			 .iterations = (uint32_t)number(w, 3, 0),
			 .begun = number(w, 4, 0),
			 .end = (uint64_t)(strtod(w->word[1], NULL) * 1e9)};
	CUresult r;

	if (!b.us || !b.inflight || b.inflight > DEEP_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	b.window_n = b.end / WINDOW_NS + 1;
	b.windows = calloc(b.window_n, sizeof(*b.windows));
	r = b.windows ? busy_events(&b) : CUDA_ERROR_OUT_OF_MEMORY;
	free(b.windows);
	return r;
}

static CUresult latencies(uint64_t *t, uint64_t n, uint64_t us, uint64_t every_us,
			  uint32_t iterations)
{
	uint64_t at, begun;
	CUstream s;

	TRY(own_stream(&s));
	for (int i = 0; i < 5; i++)
		TRY(launch_work(s, us, iterations));
	TRY(cuStreamSynchronize(s));
	at = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		/* Never at the same place of a slice. */
		at += every_us * 1000 + i % 7 * every_us * 100;
		sleep_until(at);
		begun = now_ns();
		TRY(launch_work(s, us, iterations));
		TRY(cuStreamSynchronize(s));
		t[i] = now_ns() - begun;
		at = at < now_ns() ? now_ns() : at;
	}
	say_times("latency", t, n);
	return CUDA_SUCCESS;
}

CUresult do_latency(const struct words *w)
{
	const uint64_t n = number(w, 2, 0);
	uint64_t *t = n ? calloc(n, sizeof(*t)) : NULL;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (t)
		r = latencies(t, n, number(w, 0, 0), number(w, 1, 0), (uint32_t)number(w, 3, 0));
	free(t);
	return r;
}

CUresult do_nap(const struct words *w)
{
	for (uint64_t i = 0; i < number(w, 1, 0); i++)
		TRY(launch_work(NULL, number(w, 0, 0), 0));
	TRY(cuCtxSynchronize());
	return CUDA_SUCCESS;
}
