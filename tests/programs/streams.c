/* SPDX-License-Identifier: MIT */
/* Streams that overlap, events that order and time them, priorities, the default stream's rules. */
#include "tests/programs/common.h"

PTX(ptx_sync);

enum { STREAMS = 4, LOOKS = 50 };

static CUfunction delay, append;

static void launch_delay(CUstream stream, uint64_t ms)
{
	uint64_t ns = ms * 1000000, word = 0;
	uint32_t value = 0;

	LAUNCH(delay, 1, 1, 0, stream, &ns, &word, &value);
}

static void launch_append(CUstream stream, CUdeviceptr log, uint32_t value)
{
	LAUNCH(append, 1, 1, 0, stream, &log, &value);
}

/* A launch returns while work before it is blocked, and streams do not wait for each other. */
static void check_asynchrony(CUstream *s)
{
	CUevent event[STREAMS];
	struct gate gate;

	gate_close(&gate, s[0]);
	for (int i = 0; i < STREAMS; i++) {
		CU(cuEventCreate(&event[i], CU_EVENT_DISABLE_TIMING));
		for (int k = 0; k < 30; k++)
			launch_delay(s[i], 1);
		CU(cuEventRecord(event[i], s[i]));
	}
	for (int i = 1; i < STREAMS; i++) {
		CU(cuEventSynchronize(event[i]));
		CU(cuEventQuery(event[i]));
		CU(cuStreamSynchronize(s[i]));
		CU(cuStreamQuery(s[i]));
	}
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s[0]));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(event[0]));
	gate_open(&gate);
	CU(cuEventSynchronize(event[0]));
	CU(cuStreamSynchronize(s[0]));
	CU(cuStreamQuery(s[0]));
	for (int i = 0; i < STREAMS; i++)
		CU(cuEventDestroy(event[i]));
	printf("launches are asynchronous\n");
}

/* Work put into one stream runs in order; an event orders work across streams. */
static void check_order(CUstream *s)
{
	CUdeviceptr log = device_alloc(64 * sizeof(uint32_t));
	uint32_t got[64], n = 0;
	CUevent event;

	CU(cuEventCreate(&event, 0));
	CU(cuMemsetD32(log, 0, 64));
	CU(cuStreamSynchronize(NULL)); /* these streams do not wait for the default one */
	for (int i = 0; i < STREAMS; i++) {
		launch_delay(s[i], 20);
		launch_append(s[i], log, n++);
		CU(cuEventRecord(event, s[i]));
		CU(cuStreamWaitEvent(s[(i + 1) % STREAMS], event, 0));
	}
	launch_append(s[0], log, n++);
	/* A wait is for the record before it, not for later ones. */
	CU(cuEventRecord(event, s[1]));
	CU(cuStreamSynchronize(s[0]));
	download(got, log, sizeof(got));
	CHECK(got[0] == n, "%u of %u launches ran", got[0], n);
	for (uint32_t i = 0; i < n; i++)
		CHECK(got[1 + i] == i, "place %u in the order is launch %u", i, got[1 + i]);
	CU(cuEventDestroy(event));
	CU(cuMemFree(log));
	printf("events order streams\n");
}

/* The legacy default stream waits for blocking streams and they for it; non-blocking ones do not.
 */
static void check_default_stream(void)
{
	CUdeviceptr log = device_alloc(8 * sizeof(uint32_t)), out = device_alloc(sizeof(uint32_t));
	CUstream blocking, free_stream;
	struct gate gate;
	uint32_t got[8];

	CU(cuMemsetD32(log, 0, 8));
	CU(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	CU(cuStreamCreate(&free_stream, CU_STREAM_NON_BLOCKING));
	launch_delay(blocking, 30);
	launch_append(blocking, log, 1);
	launch_append(NULL, log, 2);
	launch_append(blocking, log, 3);
	launch_append(CU_STREAM_LEGACY, log, 4);
	CU(cuStreamSynchronize(NULL));
	download(got, log, sizeof(got));
	CHECK(got[0] == 4 && got[1] == 1 && got[2] == 2 && got[3] == 3 && got[4] == 4,
	      "default stream: %u launches in order %u %u %u %u", got[0], got[1], got[2], got[3],
	      got[4]);
	gate_close(&gate, free_stream);
	launch_delay(free_stream, 1);
	CU(cuMemsetD32(out, 5, 1));
	CU(cuStreamSynchronize(NULL));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(free_stream));
	CU(cuStreamDestroy(free_stream)); /* with work in it: allowed, the work goes on */
	gate_open(&gate);
	CU(cuStreamDestroy(blocking));
	CU(cuCtxSynchronize());
	CU(cuMemFree(log));
	CU(cuMemFree(out));
	printf("the default stream waits and is waited for\n");
}

static void round_trip(CUstream s, CUdeviceptr p)
{
	CU(cuMemsetD8Async(p, 1, 1, s));
	CU(cuStreamSynchronize(s));
}

/* A stream that is destroyed while it is busy, and its successor: the end of the former's work is
 * not that of the latter's. */
static void check_successor(void)
{
	CUdeviceptr p = device_alloc(64), spare = device_alloc(64);
	CUstream first, next, other;
	volatile uint8_t *host;
	struct gate gate[2];
	CUevent former, event;
	CUresult r;

	CU(cuMemHostAlloc((void **)&host, 64, 0));
	memset((void *)host, 0, 64);
	CU(cuEventCreate(&former, CU_EVENT_DISABLE_TIMING));
	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
	CU(cuCtxSynchronize());
	gate_close(&gate[0], first);
	CU(cuMemcpyDtoHAsync((void *)host, p, 1, first));
	CU(cuEventRecord(former, first));
	CU(cuStreamDestroy(first));
	CU(cuStreamCreate(&next, CU_STREAM_NON_BLOCKING));
	gate_close(&gate[1], next);
	CU(cuMemcpyDtoHAsync((void *)(host + 1), p, 1, next));
	CU(cuEventRecord(event, next));
	/* The worker waits for all streams before it frees. */
	CU(cuMemFreeAsync(spare, other));
	gate_open(&gate[0]);
	do
		r = cuEventQuery(former);
	while (r == CUDA_ERROR_NOT_READY);
	CU(r);
	CHECK(host[0] == 0xa5, "no copy of the stream that was destroyed");
	for (int i = 0; i < LOOKS; i++) {
		round_trip(other, p + 32);
		WANT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
		WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(next));
	}
	CHECK(!host[1], "a copy before its turn");
	gate_open(&gate[1]);
	CU(cuEventSynchronize(event));
	CHECK(host[1] == 0xa5, "no copy");
	CU(cuStreamDestroy(next));
	CU(cuStreamDestroy(other));
	CU(cuEventDestroy(former));
	CU(cuEventDestroy(event));
	CU(cuMemFreeHost((void *)host));
	CU(cuMemFree(p));
	printf("a stream's end is not its successor's\n");
}

static void check_times(CUstream s)
{
	CUevent start_event, end, untimed;
	struct gate gate;
	float ms = -1;

	CU(cuEventCreate(&start_event, CU_EVENT_DEFAULT));
	CU(cuEventCreate(&end, CU_EVENT_BLOCKING_SYNC));
	CU(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
	CU(cuEventQuery(end)); /* never recorded: done */
	CU(cuEventSynchronize(end));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, start_event, end));
	CU(cuEventRecord(start_event, s));
	gate_close(&gate, s);
	launch_delay(s, 50);
	CU(cuEventRecord(end, s));
	CU(cuEventRecord(untimed, s));
	WANT(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&ms, start_event, end));
	gate_open(&gate);
	CU(cuEventSynchronize(end));
	CU(cuEventElapsedTime(&ms, start_event, end));
	CHECK(ms >= 49 && ms < 60000, "50 ms measured as %g", (double)ms);
	CU(cuEventElapsedTime(&ms, start_event, start_event));
	CHECK(ms == 0, "no time measured as %g", (double)ms);
	CU(cuEventSynchronize(untimed));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, start_event, untimed));
	CU(cuEventRecordWithFlags(end, s, CU_EVENT_RECORD_DEFAULT));
	CU(cuEventSynchronize(end));
	CU(cuEventDestroy(start_event));
	CU(cuEventDestroy(end));
	CU(cuEventDestroy(untimed));
	printf("events measure time\n");
}

static void check_facts(void)
{
	int least, greatest, priority;
	CUstreamCaptureStatus capture;
	unsigned long long id[2];
	unsigned int flags;
	CUcontext ctx, current;
	CUdevice device;
	CUstream s;

	CU(cuCtxGetStreamPriorityRange(&least, &greatest));
	CHECK(greatest <= least, "priorities from %d to %d", greatest, least);
	for (int p = greatest - 1; p <= least + 1; p++) {
		int want = p < greatest ? greatest : p > least ? least : p;

		CU(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, p));
		CU(cuStreamGetPriority(s, &priority));
		CHECK(priority == want, "priority %d became %d", p, priority);
		CU(cuStreamGetFlags(s, &flags));
		CHECK(flags == CU_STREAM_NON_BLOCKING, "flags are %u", flags);
		launch_delay(s, 1);
		CU(cuStreamSynchronize(s));
		CU(cuStreamDestroy(s));
	}
	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU(cuStreamGetFlags(s, &flags));
	CHECK(flags == CU_STREAM_DEFAULT, "flags are %u", flags);
	CU(cuStreamGetPriority(s, &priority));
	CHECK(priority == 0, "the default priority is %d", priority);
	CU(cuStreamGetCtx(s, &ctx));
	CU(cuCtxGetCurrent(&current));
	CHECK(ctx == current, "the stream is of another context");
	CU(cuStreamGetDevice(s, &device));
	CHECK(device == 0, "the stream is of device %d", device);
	CU(cuStreamGetId(s, &id[0]));
	CU(cuStreamGetId(NULL, &id[1]));
	CHECK(id[0] != id[1], "two streams have number %llu", id[0]);
	CU(cuStreamIsCapturing(s, &capture));
	CHECK(capture == CU_STREAM_CAPTURE_STATUS_NONE, "capture status %d", capture);
	CU(cuStreamDestroy(s));
	printf("streams know their facts\n");
}

int main(void)
{
	CUstream s[STREAMS];
	CUmodule module;

	start();
	module = load(ptx_sync);
	delay = function(module, "delay");
	append = function(module, "append");
	for (int i = 0; i < STREAMS; i++)
		CU(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
	launch_delay(NULL, 1); /* the first launch may have to load code */
	CU(cuCtxSynchronize());
	check_asynchrony(s);
	check_order(s);
	check_default_stream();
	check_successor();
	check_times(s[0]);
	check_facts();
	for (int i = 0; i < STREAMS; i++)
		CU(cuStreamDestroy(s[i]));
	finish();
	return 0;
}
