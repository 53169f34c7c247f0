/* SPDX-License-Identifier: MIT */
/*
 * Calls that work while no context is current: in a thread that has dropped it, in one that never
 * had one, and after the primary context is reset or released. Frameworks free like this at their
 * end.
 */
#include "tests/gpu/probe/semantics/step_semantics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 65536

static struct {
	CUcontext ctx;
	CUdevice dev;
	CUmodule module, other;
	CUfunction fn;
	CUstream stream, gone_stream;
	CUevent event, gone_event;
	CUdeviceptr device, freed;
	void *pinned, *registered, *heap;
} it;

static bool make(void)
{
	it.registered = aligned_alloc(4096, BYTES);
	it.heap = malloc(BYTES);
	if (!it.registered || !it.heap || !cuda_context(&it.dev, &it.ctx))
		return false;
	memset(it.registered, 1, BYTES);
	memset(it.heap, 1, BYTES);
	return !CU(cuModuleLoadDataEx, &it.module, ptx_held, 0, NULL, NULL) &&
	       !CU(cuModuleLoadDataEx, &it.other, ptx_held, 0, NULL, NULL) &&
	       !CU(cuModuleGetFunction, &it.fn, it.module, "nothing") &&
	       !CU(cuStreamCreate, &it.stream, 0) && !CU(cuStreamCreate, &it.gone_stream, 0) &&
	       !CU(cuEventCreate, &it.event, 0) && !CU(cuEventCreate, &it.gone_event, 0) &&
	       !CU(cuMemAlloc_v2, &it.device, BYTES) && !CU(cuMemAlloc_v2, &it.freed, BYTES) &&
	       !CU(cuMemHostAlloc, &it.pinned, BYTES, 0) &&
	       !CU(cuMemHostRegister_v2, it.registered, BYTES, 0) && !CU(cuCtxSynchronize);
}

#define SAY(key, ...) say_int(key "_result", __VA_ARGS__)

/* Questions and waits. */
static void use(void)
{
	CUcontext ctx = NULL;
	CUdeviceptr base;
	CUdevice dev;
	size_t size, all;
	unsigned int u = 0;
	int value;

	SAY("get_current", ASK(cuCtxGetCurrent, &ctx));
	say_int("current_is_null", !ctx);
	SAY("ctx_get_device", ASK(cuCtxGetDevice, &dev));
	SAY("ctx_synchronize", ASK(cuCtxSynchronize));
	SAY("mem_get_info", ASK(cuMemGetInfo_v2, &size, &all));
	SAY("stream_query", ASK(cuStreamQuery, it.stream));
	SAY("stream_synchronize", ASK(cuStreamSynchronize, it.stream));
	SAY("stream_legacy_synchronize", ASK(cuStreamSynchronize, NULL));
	SAY("event_record", ASK(cuEventRecord, it.event, it.stream));
	SAY("event_query", ASK(cuEventQuery, it.event));
	SAY("event_synchronize", ASK(cuEventSynchronize, it.event));
	SAY("pointer_attribute",
	    ASK(cuPointerGetAttribute, &u, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, it.device));
	SAY("address_range", ASK(cuMemGetAddressRange_v2, &base, &size, it.device));
	SAY("host_get_flags", ASK(cuMemHostGetFlags, &u, it.pinned));
	SAY("host_get_pointer", ASK(cuMemHostGetDevicePointer_v2, &base, it.pinned, 0));
	SAY("func_get_attribute",
	    ASK(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_NUM_REGS, it.fn));
	SAY("module_get_function", ASK(cuModuleGetFunction, &it.fn, it.module, "nothing"));
}

/* Work. */
static void work(void)
{
	CUdeviceptr p;

	SAY("copy", ASK(cuMemcpyHtoD_v2, it.device, it.heap, 4096));
	SAY("copy_async", ASK(cuMemcpyHtoDAsync_v2, it.device, it.pinned, 4096, it.stream));
	SAY("memset", ASK(cuMemsetD8_v2, it.device, 1, 4096));
	SAY("memset_async", ASK(cuMemsetD8Async, it.device, 1, 4096, it.stream));
	SAY("launch", ASK(cuLaunchKernel, it.fn, 1, 1, 1, 1, 1, 1, 0, it.stream, NULL, NULL));
	SAY("launch_legacy", ASK(cuLaunchKernel, it.fn, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	SAY("alloc", ASK(cuMemAlloc_v2, &p, 4096));
}

/* Calls that free. Handles of events and streams that ended with their context are followed by the
 * driver, which may crash: those are not asked about. */
static void drop(bool gone)
{
	const bool judge = !strcmp(opt.role, "current");
	int r[6];

	r[0] = ASK(cuMemFree_v2, it.freed);
	SAY("free", r[0]);
	r[1] = ASK(cuMemFreeHost, it.pinned);
	SAY("free_host", r[1]);
	r[2] = ASK(cuMemHostUnregister, it.registered);
	SAY("unregister", r[2]);
	r[3] = ASK(cuModuleUnload, it.other);
	SAY("module_unload", r[3]);
	if (gone)
		return;
	r[4] = ASK(cuEventDestroy_v2, it.gone_event);
	SAY("event_destroy", r[4]);
	r[5] = ASK(cuStreamDestroy_v2, it.gone_stream);
	SAY("stream_destroy", r[5]);
	if (!judge)
		return;
	verdict(ASSUME_free_needs_none, !r[0] && !r[1] && !r[2],
		"cuMemFree %d, cuMemFreeHost %d, cuMemHostUnregister %d", r[0], r[1], r[2]);
	verdict(ASSUME_unload_needs_none, !r[3], "cuModuleUnload %d", r[3]);
	verdict(ASSUME_destroy_needs_none, !r[4] && !r[5], "cuEventDestroy %d, cuStreamDestroy %d",
		r[4], r[5]);
}

static void *in_thread(void *arg)
{
	use();
	work();
	drop(false);
	return NULL;
}

/* The old handle afterwards, and a new context. */
static void handle_afterwards(void)
{
	CUcontext again = NULL;
	int active = -1, r;
	unsigned int flags;

	r = ASK(cuDevicePrimaryCtxGetState, it.dev, &flags, &active);
	SAY("get_state", r);
	say_int("active", active);
	same_code(ASSUME_context_stack, "set_current_old", ASK(cuCtxSetCurrent, it.ctx), 0);
	same_code(ASSUME_context_stack, "synchronize_old", ASK(cuCtxSynchronize),
		  CUDA_ERROR_CONTEXT_IS_DESTROYED);
	SAY("retain_again", ASK(cuDevicePrimaryCtxRetain, &again, it.dev));
	say_int("same_handle", again == it.ctx);
	SAY("set_current_again", ASK(cuCtxSetCurrent, again));
	SAY("synchronize_again", ASK(cuCtxSynchronize));
}

void semantics_current(void)
{
	pthread_t t;

	if (!make())
		return;
	if (!strcmp(opt.role, "thread")) {
		if (!pthread_create(&t, NULL, in_thread, NULL))
			pthread_join(t, NULL);
		return;
	}
	if (!strcmp(opt.role, "current")) {
		CU(cuCtxSetCurrent, NULL);
		use();
		work();
	} else if (!strcmp(opt.role, "reset")) {
		SAY("reset", ASK(cuDevicePrimaryCtxReset_v2, it.dev));
		handle_afterwards();
	} else {
		SAY("release", ASK(cuDevicePrimaryCtxRelease_v2, it.dev));
		handle_afterwards();
	}
	drop(strcmp(opt.role, "current"));
}

void semantics_retained(void)
{
	unsigned int flags = 0;
	CUcontext a, b;
	CUdevice dev;
	int active = -1, r;

	if (!cuda_device(&dev))
		return;
	SAY("release_first", ASK(cuDevicePrimaryCtxRelease_v2, dev));
	SAY("set_flags", ASK(cuDevicePrimaryCtxSetFlags_v2, dev, CU_CTX_SCHED_BLOCKING_SYNC));
	if (CU(cuDevicePrimaryCtxRetain, &a, dev) || CU(cuDevicePrimaryCtxRetain, &b, dev))
		return;
	say_int("same_handle", a == b);
	SAY("set_flags_active", ASK(cuDevicePrimaryCtxSetFlags_v2, dev, CU_CTX_SCHED_SPIN));
	SAY("reset", ASK(cuDevicePrimaryCtxReset_v2, dev));
	CU(cuDevicePrimaryCtxGetState, dev, &flags, &active);
	say_int("active_after_reset", active);
	say_int("flags_after_reset", flags);
	r = ASK(cuDevicePrimaryCtxRelease_v2, dev);
	SAY("release_after_reset", r);
	SAY("release_after_reset_again", ASK(cuDevicePrimaryCtxRelease_v2, dev));
	verdict(ASSUME_reset_keeps_count, !active && !r, "active %d, release %d", active, r);
}
