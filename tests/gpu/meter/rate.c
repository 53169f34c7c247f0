/* SPDX-License-Identifier: MIT */
/* How long calls take: launches, calls that wait, synchronisation, events. */
#include "tests/gpu/meter/meter.h"

#include <stdlib.h>
#include <string.h>

/* More than this the driver's own queue may hold up a launch, which is another question. */
#define BURST 64

static uint64_t *times_of(uint64_t n)
{
	return n ? calloc(n, sizeof(uint64_t)) : NULL;
}

static CUresult launch_times(CUstream s, uint64_t *t, uint64_t n)
{
	uint64_t begun;

	for (uint64_t i = 0; i < n; i++) {
		if (i % BURST == 0)
			TRY(cuStreamSynchronize(s));
		begun = now_ns();
		TRY(launch_empty(s));
		t[i] = now_ns() - begun;
	}
	TRY(cuStreamSynchronize(s));
	say_times("launch", t, n);
	begun = now_ns();
	for (uint64_t i = 0; i < n; i++)
		TRY(launch_empty(s));
	say_num("row_call_ns", (double)(now_ns() - begun) / (double)n);
	TRY(cuStreamSynchronize(s));
	say_num("row_done_ns", (double)(now_ns() - begun) / (double)n);
	return CUDA_SUCCESS;
}

CUresult do_launch(const struct words *w)
{
	const uint64_t n = number(w, 0, 0);
	uint64_t *t = times_of(n);
	CUresult r;
	CUstream s;

	if (!t)
		return CUDA_ERROR_INVALID_VALUE;
	r = own_stream(&s);
	if (r == CUDA_SUCCESS)
		r = launch_times(s, t, n);
	free(t);
	return r;
}

static CUresult ask_memory(CUstream s)
{
	size_t left, total;

	return cuMemGetInfo(&left, &total);
}

static CUresult ask_context(CUstream s)
{
	return cuCtxSynchronize();
}

static CUresult ask_stream(CUstream s)
{
	return cuStreamQuery(s);
}

static const struct {
	const char *name;
	CUresult (*ask)(CUstream s);
} asked[] = {{"meminfo", ask_memory}, {"synchronise", ask_context}, {"query", ask_stream}};

static CUresult ask_times(CUresult (*ask)(CUstream s), uint64_t n)
{
	uint64_t *t = times_of(n), begun;
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	CUstream s;

	if (t)
		r = own_stream(&s);
	for (uint64_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
		begun = now_ns();
		r = ask(s);
		t[i] = now_ns() - begun;
	}
	if (r == CUDA_SUCCESS)
		say_times("awaited", t, n);
	free(t);
	return r;
}

CUresult do_awaited(const struct words *w)
{
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		if (!strcmp(w->word[0], asked[i].name))
			return ask_times(asked[i].ask, number(w, 1, 0));
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult sync_times(uint64_t n, uint32_t iterations)
{
	uint64_t *t = times_of(n), begun;
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	CUstream s;

	if (t)
		r = own_stream(&s);
	for (uint64_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
		begun = now_ns();
		r = iterations ? launch_iterations(s, iterations) : launch_empty(s);
		if (r == CUDA_SUCCESS)
			r = cuStreamSynchronize(s);
		t[i] = now_ns() - begun;
	}
	if (r == CUDA_SUCCESS)
		say_times("sync", t, n);
	free(t);
	return r;
}

CUresult do_sync(const struct words *w)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} flags[] = {{"auto", CU_CTX_SCHED_AUTO},
		     {"spin", CU_CTX_SCHED_SPIN},
		     {"yield", CU_CTX_SCHED_YIELD},
		     {"blocking", CU_CTX_SCHED_BLOCKING_SYNC}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		CUresult r;

		if (strcmp(w->word[0], flags[i].name))
			continue;
		TRY(cuDevicePrimaryCtxSetFlags(0, flags[i].flag));
		r = sync_times(number(w, 1, 0), (uint32_t)number(w, 2, 0));
		TRY(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_AUTO));
		return r;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult event_times(CUevent e, CUstream s, uint64_t *record, uint64_t *end, uint64_t n)
{
	uint64_t begun;

	for (uint64_t i = 0; i < n; i++) {
		begun = now_ns();
		TRY(cuEventRecord(e, s));
		record[i] = now_ns() - begun;
		TRY(cuEventSynchronize(e));
		end[i] = now_ns() - begun;
	}
	say_times("record", record, n);
	say_times("event", end, n);
	return CUDA_SUCCESS;
}

CUresult do_event(const struct words *w)
{
	const uint64_t n = number(w, 0, 0);
	uint64_t *record = times_of(n), *end = times_of(n);
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	CUevent e = NULL;
	CUstream s;

	if (record && end)
		r = own_stream(&s);
	if (r == CUDA_SUCCESS)
		r = cuEventCreate(&e, CU_EVENT_DISABLE_TIMING);
	if (r == CUDA_SUCCESS) {
		r = event_times(e, s, record, end, n);
		cuEventDestroy(e);
	}
	free(record);
	free(end);
	return r;
}
