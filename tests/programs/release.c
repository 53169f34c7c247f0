/* SPDX-License-Identifier: MIT */
/*
 * Freeing where no context is current: in a thread that never had one, in one that has dropped it,
 * and while another context is current. The call finds the context by the address or the handle.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

#define SHOWN(want, call)                                                                          \
	do {                                                                                       \
		WANT(want, call);                                                                  \
		printf("  %s: %s\n", #call, result_name(want));                                    \
	} while (0)

enum { BYTES = 3 << 20 };

static struct {
	CUdeviceptr small, large;
	void *pinned, *registered;
	CUmodule module;
	CUevent event;
	CUstream stream;
} it;

static void make(void)
{
	it.small = device_alloc(100);
	it.large = device_alloc(BYTES);
	CU(cuMemHostAlloc(&it.pinned, BYTES, 0));
	it.registered =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(it.registered != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(it.registered, BYTES, 0));
	it.module = load(ptx_vector);
	CU(cuEventCreate(&it.event, 0));
	CU(cuStreamCreate(&it.stream, 0));
	/* Work in flight: nothing may be freed under it. */
	CU(cuMemsetD8Async(it.large, 7, BYTES, it.stream));
	CU(cuMemcpyDtoHAsync(it.pinned, it.large, BYTES, it.stream));
	CU(cuEventRecord(it.event, it.stream));
}

static void release(const char *where)
{
	unsigned char *pinned = it.pinned;

	printf("%s\n", where);
	CU(cuStreamSynchronize(it.stream));
	CHECK(pinned[BYTES - 1] == 7, "the copy has not arrived");
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemFree(it.large + 512));
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(pinned + 4096));
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(it.registered));
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemHostUnregister(it.pinned));
	SHOWN(CUDA_SUCCESS, cuMemFree(0));
	SHOWN(CUDA_SUCCESS, cuMemFree(it.small));
	SHOWN(CUDA_SUCCESS, cuMemFree(it.large));
	SHOWN(CUDA_SUCCESS, cuMemFreeHost(it.pinned));
	SHOWN(CUDA_SUCCESS, cuMemHostUnregister(it.registered));
	SHOWN(CUDA_SUCCESS, cuModuleUnload(it.module));
	SHOWN(CUDA_SUCCESS, cuEventDestroy(it.event));
	SHOWN(CUDA_SUCCESS, cuStreamDestroy(it.stream));
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemFree(it.large));
	SHOWN(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(it.pinned));
	SHOWN(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(it.registered));
	SHOWN(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(it.module));
	munmap(it.registered, BYTES);
}

static void *in_thread(void *arg)
{
	CUcontext current = NULL;

	CU(cuCtxGetCurrent(&current));
	CHECK(!current, "a new thread has a context");
	release("in a thread without a context");
	return NULL;
}

int main(void)
{
	CUcontext primary, other;
	size_t before, after, total;
	pthread_t thread;

	start();
	CU(cuCtxGetCurrent(&primary));
	CU(cuMemGetInfo(&before, &total));
	make();
	CHECK(!pthread_create(&thread, NULL, in_thread, NULL), "no thread");
	pthread_join(thread, NULL);

	make();
	CU(cuCtxSetCurrent(NULL));
	release("with the context dropped");
	CU(cuCtxSetCurrent(primary));

	make();
	CU(cuCtxCreate(&other, NULL, 0, 0));
	release("while another context is current");
	CU(cuCtxDestroy(other));

	/* Modules and small allocations may keep pages for the next ones. */
	CU(cuCtxSynchronize());
	CU(cuMemGetInfo(&after, &total));
	CHECK(after + BYTES + counted_late(total) > before, "%zu bytes were free, now %zu", before,
	      after);
	finish();
	return 0;
}
