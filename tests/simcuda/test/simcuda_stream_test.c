/* SPDX-License-Identifier: MIT */
/* The simulated driver: the order of work in streams, events, callbacks, stream memory operations.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/simcuda/test/simcuda_test.h"

/* Stream memory operations, which pvgpu's own cuda.h has no need of. */
CUresult cuStreamWaitValue32_v2(CUstream s, CUdeviceptr p, uint32_t value, unsigned int flags);
CUresult cuStreamWaitValue64_v2(CUstream s, CUdeviceptr p, uint64_t value, unsigned int flags);
CUresult cuStreamWriteValue32_v2(CUstream s, CUdeviceptr p, uint32_t value, unsigned int flags);
CUresult cuStreamWriteValue64_v2(CUstream s, CUdeviceptr p, uint64_t value, unsigned int flags);
enum { WAIT_GEQ = 0, WAIT_EQ = 1, WAIT_AND = 2 };

/* A host function that blocks its stream until it is released. */
struct gate {
	_Atomic int entered, open;
};

static void CUDA_CB hold(void *arg)
{
	struct gate *g = arg;

	atomic_store(&g->entered, 1);
	while (!atomic_load(&g->open))
		sleep_ms(1);
}

static void CUDA_CB set_flag(void *arg)
{
	atomic_store((_Atomic int *)arg, 1);
}

/* Streams share one callback thread, so a stream is blocked by a wait for a value instead. */
static CUdeviceptr close_stream(CUstream s, volatile uint32_t **word)
{
	uint32_t *p;

	OK(cuMemHostAlloc((void **)&p, 4096, 0));
	*p = 0;
	*word = p;
	OK(cuStreamWaitValue32_v2(s, (CUdeviceptr)(uintptr_t)p, 1, WAIT_EQ));
	return (CUdeviceptr)(uintptr_t)p;
}

static void open_stream(volatile uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
}

START_TEST(a_stream_is_a_queue)
{
	enum { N = 500 };
	volatile uint32_t *word;
	CUdeviceptr p;
	uint32_t out = 0;
	CUstream s;

	start();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&p, 4));
	close_stream(s, &word);
	for (uint32_t i = 1; i <= N; i++)
		OK(cuMemsetD32Async(p, i, 1, s));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
	open_stream(word);
	OK(cuStreamSynchronize(s));
	OK(cuStreamQuery(s));
	OK(cuMemcpyDtoH(&out, p, 4));
	ck_assert_uint_eq(out, N);
	OK(cuStreamDestroy(s));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuStreamQuery(s));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(s));
}
END_TEST

START_TEST(legacy_stream_waits_for_blocking_ones_only)
{
	volatile uint32_t *word_b, *word_n;
	CUstream blocking, free_one;
	CUdeviceptr p;
	CUevent in_null, in_other, in_free;
	CUstream other;

	start();
	OK(cuMemAlloc(&p, 4096));
	OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	OK(cuStreamCreate(&other, CU_STREAM_DEFAULT));
	OK(cuStreamCreate(&free_one, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&in_null, 0));
	OK(cuEventCreate(&in_other, 0));
	OK(cuEventCreate(&in_free, 0));
	close_stream(free_one, &word_n);
	OK(cuMemsetD8Async(p, 1, 10, NULL));
	OK(cuEventRecord(in_null, NULL));
	OK(cuEventSynchronize(in_null)); /* does not wait for the non-blocking one */
	OK(cuStreamQuery(NULL));
	close_stream(blocking, &word_b);
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
	OK(cuMemsetD8Async(p, 2, 10, NULL));
	OK(cuEventRecord(in_null, CU_STREAM_LEGACY));
	OK(cuMemsetD8Async(p, 3, 10, other)); /* behind the legacy stream's work */
	OK(cuEventRecord(in_other, other));
	sleep_ms(5);
	FAILS(CUDA_ERROR_NOT_READY, cuEventQuery(in_null));
	FAILS(CUDA_ERROR_NOT_READY, cuEventQuery(in_other));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_LEGACY));
	open_stream(word_b);
	OK(cuEventSynchronize(in_other));
	OK(cuEventQuery(in_null));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(free_one));
	open_stream(word_n);
	OK(cuCtxSynchronize());
	OK(cuStreamQuery(free_one));
}
END_TEST

struct thread_arg {
	CUcontext ctx;
	CUdeviceptr p;
	volatile uint32_t *word;
	unsigned long long id;
};

static void *use_thread_stream(void *arg)
{
	struct thread_arg *a = arg;
	uint32_t v = 5;

	OK(cuCtxSetCurrent(a->ctx));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &a->id));
	OK(cuMemcpyHtoDAsync(a->p, &v, 4, CU_STREAM_PER_THREAD));
	OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	return NULL;
}

START_TEST(each_thread_has_its_stream)
{
	struct thread_arg a = {.ctx = start()};
	volatile uint32_t *word;
	unsigned long long mine;
	uint32_t v = 0;
	pthread_t t;

	OK(cuMemAlloc(&a.p, 4));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &mine));
	close_stream(CU_STREAM_PER_THREAD, &word);
	pthread_create(&t, NULL, use_thread_stream, &a);
	pthread_join(t, NULL); /* not blocked by this thread's stream */
	ck_assert_uint_ne(mine, a.id);
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_PER_THREAD));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL)); /* but the legacy stream is */
	open_stream(word);
	OK(cuMemcpyDtoH(&v, a.p, 4));
	ck_assert_uint_eq(v, 5);
}
END_TEST

START_TEST(events_order_streams)
{
	volatile uint32_t *word;
	CUstream a, b;
	CUevent e, f;
	CUdeviceptr p;
	uint32_t v = 0;

	start();
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	OK(cuEventCreate(&f, 0));
	OK(cuMemAlloc(&p, 4));
	OK(cuEventQuery(e)); /* never recorded: complete */
	OK(cuStreamWaitEvent(b, e, 0));
	close_stream(a, &word);
	OK(cuMemsetD32Async(p, 1, 1, a));
	OK(cuEventRecord(e, a));
	OK(cuStreamWaitEvent(b, e, 0));
	OK(cuEventRecord(e, CU_STREAM_PER_THREAD)); /* does not change what b waits for */
	OK(cuMemsetD32Async(p, 2, 1, b));
	OK(cuEventRecord(f, b));
	sleep_ms(5);
	FAILS(CUDA_ERROR_NOT_READY, cuEventQuery(f));
	OK(cuEventQuery(e));
	open_stream(word);
	OK(cuEventSynchronize(f));
	OK(cuMemcpyDtoH(&v, p, 4));
	ck_assert_uint_eq(v, 2);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuStreamWaitEvent(b, e, 7));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&e, 64));
	OK(cuEventDestroy(f));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(f, a));
}
END_TEST

START_TEST(events_tell_time)
{
	volatile uint32_t *word;
	CUevent a, b, none, untimed;
	float ms = -1;
	CUstream s;

	start();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&a, 0));
	OK(cuEventCreate(&b, CU_EVENT_BLOCKING_SYNC));
	OK(cuEventCreate(&none, 0));
	OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
	OK(cuEventRecord(a, s));
	close_stream(s, &word);
	OK(cuEventRecord(b, s));
	OK(cuEventRecord(untimed, s));
	FAILS(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&ms, a, b));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, a, none));
	sleep_ms(20);
	open_stream(word);
	OK(cuEventSynchronize(b));
	OK(cuEventElapsedTime(&ms, a, b));
	ck_assert(ms >= 20 && ms < 10000);
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, a, untimed));
	OK(cuEventElapsedTime(&ms, b, a));
	ck_assert(ms <= -20);
}
END_TEST

struct order {
	_Atomic int next;
	int seen[200];
};
struct step {
	struct order *order;
	int index;
};

static void CUDA_CB note(void *arg)
{
	struct step *s = arg;

	s->order->seen[atomic_fetch_add(&s->order->next, 1)] = s->index;
}

static CUresult in_callback;
static _Atomic int called;

static void CUDA_CB call_cuda(CUstream s, CUresult status, void *arg)
{
	size_t f, t;

	in_callback = cuMemGetInfo(&f, &t);
	ck_assert_int_eq(status, CUDA_SUCCESS);
	atomic_store(&called, 1);
}

START_TEST(callbacks_run_in_order)
{
	static struct order order;
	static struct step steps[200];
	CUstream s;

	start();
	OK(cuStreamCreate(&s, 0));
	for (int i = 0; i < 200; i++) {
		steps[i] = (struct step){&order, i};
		OK(cuLaunchHostFunc(s, note, &steps[i]));
	}
	OK(cuStreamSynchronize(s));
	ck_assert_int_eq(order.next, 200);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(order.seen[i], i);
	OK(cuStreamAddCallback(s, call_cuda, NULL, 0));
	OK(cuStreamSynchronize(s));
	ck_assert_int_eq(called, 1);
	ck_assert_int_eq(in_callback, CUDA_ERROR_NOT_PERMITTED);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuLaunchHostFunc(s, NULL, NULL));
}
END_TEST

START_TEST(copies_overlap_a_held_stream)
{
	static struct gate gate;
	size_t n = 8 << 20;
	_Atomic int flag = 0;
	CUstream a, b;
	CUdeviceptr p;
	char *h;

	start();
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&p, n));
	OK(cuMemAllocHost((void **)&h, n));
	memset(h, 3, n);
	OK(cuLaunchHostFunc(a, hold, &gate));
	OK(cuLaunchHostFunc(a, set_flag, &flag));
	OK(cuMemcpyHtoDAsync(p, h, n, b));
	OK(cuMemsetD8Async(p + 5, 4, 1, b));
	OK(cuMemcpyDtoHAsync(h, p, n, b));
	OK(cuStreamSynchronize(b));
	ck_assert_int_eq(h[n - 1], 3);
	ck_assert_int_eq(h[5], 4);
	ck_assert_int_eq(flag, 0);
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(a));
	atomic_store(&gate.open, 1);
	OK(cuStreamSynchronize(a));
	ck_assert_int_eq(flag, 1);
}
END_TEST

START_TEST(waited_for_values)
{
	volatile uint64_t *w;
	CUdeviceptr p, q;
	CUstream a, b;

	start();
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	OK(cuMemHostAlloc((void **)&w, 4096, 0));
	OK(cuMemAlloc(&q, 64));
	OK(cuMemsetD8(q, 0, 64));
	p = (CUdeviceptr)(uintptr_t)w;
	*w = 0;
	OK(cuStreamWaitValue64_v2(a, p, 10, WAIT_GEQ));
	OK(cuStreamWriteValue32_v2(a, q, 1, 0));
	OK(cuStreamWaitValue32_v2(b, q, 1, WAIT_AND));
	sleep_ms(3);
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(b));
	OK(cuStreamWriteValue64_v2(CU_STREAM_PER_THREAD, p, 11, 0));
	OK(cuStreamSynchronize(b));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuStreamWaitValue32_v2(a, q + 1, 0, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuStreamWaitValue32_v2(a, 4096, 0, 0));
}
END_TEST

START_TEST(full_streams_wait)
{
	enum { N = 5000 };
	volatile uint32_t *word;
	_Atomic int flag = 0;
	CUstream s;

	start();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < N; i++)
		OK(cuLaunchHostFunc(s, set_flag, &flag));
	OK(cuStreamSynchronize(s));
	close_stream(s, &word);
	OK(cuStreamDestroy(s)); /* with work in it */
	open_stream(word);
	OK(cuCtxSynchronize());
}
END_TEST

START_TEST(stream_properties)
{
	unsigned long long a, b;
	CUstreamCaptureStatus capturing;
	CUcontext c = start(), got;
	unsigned int flags;
	CUdevice dev = 5;
	int priority;
	CUstream s;

	OK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -99));
	OK(cuStreamGetPriority(s, &priority));
	ck_assert_int_eq(priority, -5);
	OK(cuStreamGetFlags(s, &flags));
	ck_assert_uint_eq(flags, CU_STREAM_NON_BLOCKING);
	OK(cuStreamGetCtx(s, &got));
	ck_assert_ptr_eq(got, c);
	OK(cuStreamGetDevice(s, &dev));
	ck_assert_int_eq(dev, 0);
	OK(cuStreamGetId(s, &a));
	OK(cuStreamGetId(NULL, &b));
	ck_assert_uint_ne(a, b);
	OK(cuStreamIsCapturing(s, &capturing));
	ck_assert_int_eq(capturing, CU_STREAM_CAPTURE_STATUS_NONE);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&s, 2));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuStreamQuery((CUstream)(uintptr_t)0x12345678));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(NULL));
}
END_TEST

/* A value goes from slot to slot and from stream to stream, in copies of all sizes. */
START_TEST(a_value_travels)
{
	enum { STREAMS = 6, HOPS = 400, BIG = 256 << 10 };
	unsigned int seed = 12345, at = 0;
	CUstream s[STREAMS];
	unsigned char v[16] = {0};
	CUdeviceptr p, slot[2];
	CUevent e;

	start();
	for (int i = 0; i < STREAMS; i++)
		OK(cuStreamCreate(&s[i], i & 1));
	s[0] = NULL;
	OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	OK(cuMemAlloc(&p, 2 * BIG));
	slot[0] = p;
	slot[1] = p + BIG;
	OK(cuMemsetD8(slot[0], 0x77, BIG));
	OK(cuMemsetD8(slot[1], 0, BIG));
	OK(cuCtxSynchronize());
	for (int i = 0; i < HOPS; i++) {
		unsigned int to = (unsigned int)rand_r(&seed) % STREAMS;
		size_t n = rand_r(&seed) % 3 ? 16 : BIG;

		OK(cuEventRecord(e, s[at]));
		OK(cuStreamWaitEvent(s[to], e, 0));
		OK(cuMemcpyDtoDAsync(slot[(i + 1) % 2], slot[i % 2], n, s[to]));
		OK(cuMemsetD8Async(slot[i % 2], (unsigned char)i, n, s[to]));
		at = to;
	}
	OK(cuMemcpyDtoHAsync(v, slot[HOPS % 2], sizeof(v), s[at]));
	OK(cuStreamSynchronize(s[at]));
	for (size_t i = 0; i < sizeof(v); i++)
		ck_assert_int_eq(v[i], 0x77);
}
END_TEST

struct storm {
	CUcontext ctx;
	CUdeviceptr p;
	int index;
};

/* Work from many threads on shared and own streams; each checks its own part of memory. */
static void *storm(void *arg)
{
	struct storm *a = arg;
	uint32_t v;
	CUstream s;
	CUevent e;

	OK(cuCtxSetCurrent(a->ctx));
	OK(cuStreamCreate(&s, a->index & 1));
	OK(cuEventCreate(&e, 0));
	for (uint32_t i = 0; i < 200; i++) {
		OK(cuMemsetD32Async(a->p, i, 1, s));
		if (i % 7 == 0)
			OK(cuMemsetD32Async(a->p + 8, i, 1, NULL));
		OK(cuEventRecord(e, s));
		OK(cuStreamWaitEvent(CU_STREAM_PER_THREAD, e, 0));
		OK(cuMemcpyDtoDAsync(a->p + 4, a->p, 4, CU_STREAM_PER_THREAD));
		OK(cuMemcpyDtoHAsync(&v, a->p + 4, 4, CU_STREAM_PER_THREAD));
		OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
		ck_assert_uint_eq(v, i);
	}
	OK(cuEventDestroy(e));
	OK(cuStreamDestroy(s));
	return NULL;
}

START_TEST(many_threads)
{
	struct storm a[8];
	pthread_t t[8];
	CUcontext c = start();

	for (int i = 0; i < 8; i++) {
		a[i] = (struct storm){c, 0, i};
		OK(cuMemAlloc(&a[i].p, 16));
		pthread_create(&t[i], NULL, storm, &a[i]);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	OK(cuDevicePrimaryCtxRelease(0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_stream");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_stream_is_a_queue);
	tcase_add_test(t, legacy_stream_waits_for_blocking_ones_only);
	tcase_add_test(t, each_thread_has_its_stream);
	tcase_add_test(t, events_order_streams);
	tcase_add_test(t, events_tell_time);
	tcase_add_test(t, callbacks_run_in_order);
	tcase_add_test(t, copies_overlap_a_held_stream);
	tcase_add_test(t, waited_for_values);
	tcase_add_test(t, full_streams_wait);
	tcase_add_test(t, stream_properties);
	tcase_add_test(t, a_value_travels);
	tcase_add_test(t, many_threads);
	suite_add_tcase(s, t);
	return run_suite(s, "stream");
}
