/* SPDX-License-Identifier: MIT */
/* Kernels that fault: the error is reported by the next call that can, and by all after it. */
#include "tests/programs/errors.h"

PTX(ptx_fault);

static CUfunction nothing;
static CUdeviceptr memory;

static CUfunction begin(const char *name)
{
	CUmodule module;

	start();
	module = load(ptx_fault);
	nothing = function(module, "nothing");
	memory = device_alloc(4096);
	return function(module, name);
}

/* After a fault every call in the context returns the error; calls that need no device go on. */
static void check_sticky(CUresult error)
{
	static uint8_t bytes[64];
	CUcontext ctx;
	CUdeviceptr p;
	CUevent event;
	CUstream s;
	CUmodule again;
	size_t size;
	int v;

	REFUSED(error, cuCtxSynchronize());
	REFUSED(error, cuStreamSynchronize(NULL));
	REFUSED(error, cuStreamQuery(NULL));
	REFUSED(error, cuMemAlloc(&p, 4096));
	REFUSED(error, cuMemFree(memory));
	REFUSED(error, cuMemcpyDtoH(bytes, memory, sizeof(bytes)));
	REFUSED(error, cuMemcpyHtoD(memory, bytes, sizeof(bytes)));
	REFUSED(error, cuMemsetD8(memory, 1, 64));
	REFUSED(error, cuStreamCreate(&s, 0));
	REFUSED(error, cuEventCreate(&event, 0));
	REFUSED(error, cuModuleLoadData(&again, ptx_fault));
	REFUSED(error, cuMemGetInfo(&size, &size));
	REFUSED(error, cuLaunchKernel(nothing, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	CU(cuCtxGetCurrent(&ctx));
	CHECK(ctx, "the context is not current any more");
	CU(cuDeviceGetCount(&v));
	CU(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
}

static void launch_write(CUfunction fn, CUdeviceptr at, CUstream s)
{
	uint32_t value = 7;

	LAUNCH(fn, 1, 32, 0, s, &at, &value);
}

static void write_fault(CUdeviceptr at, CUresult error)
{
	launch_write(begin("write_word"), at, NULL);
	REFUSED(error, cuCtxSynchronize());
	check_sticky(error);
}

void fault_null(void)
{
	write_fault(0, CUDA_ERROR_ILLEGAL_ADDRESS);
}

void fault_wild(void)
{
	write_fault((CUdeviceptr)1 << 46, CUDA_ERROR_ILLEGAL_ADDRESS);
}

void fault_read(void)
{
	CUdeviceptr at = 64;

	CUfunction fn = begin("read_word");

	LAUNCH(fn, 1, 32, 0, NULL, &at, &memory);
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(NULL));
	check_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}

void fault_misaligned(void)
{
	CUfunction fn = begin("write_word");

	launch_write(fn, memory + 2, NULL);
	REFUSED(CUDA_ERROR_MISALIGNED_ADDRESS, cuCtxSynchronize());
	check_sticky(CUDA_ERROR_MISALIGNED_ADDRESS);
}

void fault_trap(void)
{
	CUfunction fn = begin("give_up");
	uint32_t when = 40;
	CUresult r;

	LAUNCH(fn, 2, 32, 0, NULL, &when);
	r = cuCtxSynchronize();
	CHECK(r == CUDA_ERROR_LAUNCH_FAILED || r == CUDA_ERROR_ILLEGAL_INSTRUCTION, "a trap is %s",
	      result_name(r));
	check_sticky(r);
}

void fault_assert(void)
{
	CUfunction fn = begin("check_even");
	uint32_t n = 32, odd = 3;

	CU(cuMemsetD32(memory, 2, 1024));
	CU(cuMemcpyHtoD(memory + 4 * 5, &odd, 4));
	LAUNCH(fn, 1, 32, 0, NULL, &memory, &n);
	REFUSED(CUDA_ERROR_ASSERT, cuCtxSynchronize());
	check_sticky(CUDA_ERROR_ASSERT);
}

/* The error is reported by streams and events that were not involved, too. */
void fault_other_stream(void)
{
	CUfunction fn = begin("write_word");
	CUevent before, after;
	CUstream s, other;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CU(cuEventCreate(&before, 0));
	CU(cuEventCreate(&after, 0));
	CU(cuEventRecord(before, s));
	CU(cuEventSynchronize(before));
	launch_write(fn, 8, s);
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(s));
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(other));
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuEventRecord(after, other));
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuEventSynchronize(after));
	check_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* A blocking copy behind the kernel reports it, too. */
void fault_copy(void)
{
	CUfunction fn = begin("write_word");
	uint8_t bytes[64];

	launch_write(fn, 8, NULL);
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemcpyDtoH(bytes, memory, sizeof(bytes)));
	check_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}

static CUresult seen = CUDA_SUCCESS;

static void CUDA_CB callback(CUstream stream, CUresult status, void *user_data)
{
	seen = status;
	sem_post(user_data);
}

/* A stream callback runs even then, with the error as its status. */
void fault_callback(void)
{
	CUfunction fn = begin("write_word");
	CUstream s;
	struct gate gate;
	sem_t done;

	sem_init(&done, 0, 0);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	gate_close(&gate, s); /* or the error might be there before the callback is */
	launch_write(fn, 8, s);
	CU(cuStreamAddCallback(s, callback, &done, 0));
	gate_open(&gate);
	REFUSED(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(s));
	while (sem_wait(&done))
		;
	CHECK(seen == CUDA_ERROR_ILLEGAL_ADDRESS, "the callback was told %s", result_name(seen));
	check_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}
