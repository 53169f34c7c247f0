/* SPDX-License-Identifier: MIT */
/* Host functions in streams: once each, in order with the stream's work, outside the calling
 * thread. */
#include <pthread.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { ROUNDS = 20 };

static pthread_t main_thread;
static struct step {
	int number;
	uint32_t *pinned, seen;
	CUstream stream;
} steps[2 * ROUNDS];
static int ran; /* host functions of one stream never run at the same time */
static bool in_main, out_of_order, bad_status, wrong_stream;
/* A host function's writes are visible after a synchronising call. The order is made by another
 * process, where thread sanitizer cannot see it; this word tells it. */
static int published;

static void publish(void)
{
	__atomic_fetch_add(&published, 1, __ATOMIC_ACQ_REL);
}

static void CUDA_CB host_function(void *user_data)
{
	struct step *step = user_data;

	if (pthread_equal(pthread_self(), main_thread))
		in_main = true;
	if (step->number != ran)
		out_of_order = true;
	step->seen = *step->pinned;
	ran++;
	publish();
}

static void CUDA_CB stream_callback(CUstream stream, CUresult status, void *user_data)
{
	struct step *step = user_data;

	if (status != CUDA_SUCCESS)
		bad_status = true;
	if (stream != step->stream)
		wrong_stream = true;
	host_function(user_data);
}

static void CUDA_CB slow(void *user_data)
{
	usleep(30000);
	__atomic_store_n((int *)user_data, 1, __ATOMIC_RELEASE);
}

/* Kernel, copy, host function, repeatedly: each function sees the copy before it and not the next.
 */
static void check_order(CUstream s, CUfunction increment)
{
	CUdeviceptr word = device_alloc(4);
	uint32_t *pinned, n = 1;

	CU(cuMemHostAlloc((void **)&pinned, 4, 0));
	*pinned = 0;
	CU(cuMemsetD32Async(word, 0, 1, s));
	for (int i = 0; i < 2 * ROUNDS; i++) {
		steps[i] = (struct step){.number = i, .pinned = pinned, .stream = s};
		LAUNCH(increment, 1, 32, 0, s, &word, &n);
		CU(cuMemcpyDtoHAsync(pinned, word, 4, s));
		if (i % 2)
			CU(cuStreamAddCallback(s, stream_callback, &steps[i], 0));
		else
			CU(cuLaunchHostFunc(s, host_function, &steps[i]));
	}
	CU(cuStreamSynchronize(s));
	publish();
	CHECK(ran == 2 * ROUNDS, "%d of %d host functions ran", ran, 2 * ROUNDS);
	CHECK(!out_of_order, "host functions ran out of order");
	CHECK(!in_main, "a host function ran in the program's own thread");
	CHECK(!bad_status && !wrong_stream, "a callback had a wrong status or stream");
	for (uint32_t i = 0; i < 2 * ROUNDS; i++)
		CHECK(steps[i].seen == i + 1, "function %u saw %u", i, steps[i].seen);
	printf("%d host functions ran in order\n", ran);
	CU(cuMemFreeHost(pinned));
	CU(cuMemFree(word));
}

/* Work behind a host function waits for it; another stream does not. */
static void check_waiting(CUstream s)
{
	int done = 0;
	struct gate gate;
	CUevent event;
	CUstream other;

	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CU(cuEventCreate(&event, 0));
	gate_close(&gate, s);
	CU(cuLaunchHostFunc(s, slow, &done));
	CU(cuEventRecord(event, s));
	CU(cuStreamSynchronize(other));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
	gate_open(&gate);
	CU(cuStreamWaitEvent(other, event, 0));
	CU(cuStreamSynchronize(other));
	CHECK(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == 1,
	      "an event behind a host function came before its end");
	__atomic_store_n(&done, 0, __ATOMIC_RELEASE);
	CU(cuLaunchHostFunc(NULL, slow, &done));
	CU(cuCtxSynchronize());
	CHECK(__atomic_load_n(&done, __ATOMIC_ACQUIRE) == 1,
	      "cuCtxSynchronize did not wait for a host function");
	CU(cuEventDestroy(event));
	CU(cuStreamDestroy(other));
	printf("work waits for host functions\n");
}

int main(void)
{
	CUstream s;

	main_thread = pthread_self();
	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_order(s, function(load(ptx_vector), "increment"));
	check_waiting(s);
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}
