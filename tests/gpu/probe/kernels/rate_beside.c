/* SPDX-License-Identifier: MIT */
/*
 * Which calls wait for a running kernel, or host function, of another stream: those that the
 * worker makes on its decoding thread must not; of the others it is only measured.
 */
#include "tests/gpu/probe/kernels/step_rate.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE_MS 2000
#define WAITING_MS (opt.quick ? 150u : 300u)
#define BYTES      (1u << 20)

static struct {
	CUmodule module, other;
	CUfunction fn;
	CUstream stream, held; /* another's; the kernel's own */
	CUevent event, done;
	CUdeviceptr device, freed, got;
	void *pinned, *pinned_got, *heap;
} it;

#define CALL(name, ...)                                                                            \
	static int name(void *arg)                                                                 \
	{                                                                                          \
		return __VA_ARGS__;                                                                \
	}

CALL(stream_create, ASK(cuStreamCreateWithPriority, &it.stream, CU_STREAM_NON_BLOCKING, 0))
CALL(event_create, ASK(cuEventCreate, &it.event, CU_EVENT_BLOCKING_SYNC))
CALL(event_record, ASK(cuEventRecord, it.event, it.held))
CALL(event_query, (ASK(cuEventRecord, it.event, it.held), ASK(cuEventQuery, it.event)))
CALL(stream_query, ASK(cuStreamQuery, it.held))
CALL(wait_event, ASK(cuStreamWaitEvent, it.stream, it.done, 0))
CALL(launch_behind, ASK(cuLaunchKernel, it.fn, 1, 1, 1, 1, 1, 1, 0, it.held, NULL, NULL))
CALL(launch_other, ASK(cuLaunchKernel, it.fn, 1, 1, 1, 1, 1, 1, 0, it.stream, NULL, NULL))
CALL(memset_behind, ASK(cuMemsetD8Async, it.device, 1, BYTES, it.held))
CALL(memset_2d_behind, ASK(cuMemsetD2D8Async, it.device, 512, 1, 256, 16, it.held))
CALL(copy_behind, ASK(cuMemcpyHtoDAsync_v2, it.device, it.pinned, BYTES, it.held))
CALL(copy_dtoh_behind, ASK(cuMemcpyDtoHAsync_v2, it.pinned, it.device, 4, it.held))
CALL(copy_dtoh_other, ASK(cuMemcpyDtoHAsync_v2, it.pinned, it.device, 4, it.stream))
CALL(wait_value_behind,
     ASK(cuStreamWaitValue32_v2, it.held, (uintptr_t)it.pinned, 0, CU_STREAM_WAIT_VALUE_GEQ))
CALL(wait_value_other,
     ASK(cuStreamWaitValue32_v2, it.stream, (uintptr_t)it.pinned, 0, CU_STREAM_WAIT_VALUE_GEQ))
CALL(copy_small_behind, ASK(cuMemcpyHtoDAsync_v2, it.device, it.heap, 1024, it.held))
CALL(copy_dtod_behind, ASK(cuMemcpyDtoDAsync_v2, it.device, it.freed, BYTES, it.held))
CALL(get_function, ASK(cuModuleGetFunction, &it.fn, it.module, "nothing"))
CALL(get_attribute, ({
	     int value;
	     ASK(cuFuncGetAttribute, &value, CU_FUNC_ATTRIBUTE_NUM_REGS, it.fn);
     }))
CALL(set_attribute,
     ASK(cuFuncSetAttribute, it.fn, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1024))
CALL(occupancy, ({
	     int value;
	     ASK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, &value, it.fn, 128, 0, 0);
     }))
CALL(mem_info, ({
	     size_t some, all;
	     ASK(cuMemGetInfo_v2, &some, &all);
     }))
CALL(set_current, ({
	     CUcontext ctx;
	     ASK(cuCtxGetCurrent, &ctx);
	     ASK(cuCtxSetCurrent, ctx);
     }))

static void CUDA_CB do_nothing(void *arg)
{
}
CALL(host_behind, ASK(cuLaunchHostFunc, it.held, do_nothing, NULL))

/* Calls that pvgpu makes in its side lane, or not at all. */
CALL(copy_large_pageable, ASK(cuMemcpyHtoDAsync_v2, it.device, it.heap, BYTES, it.held))
CALL(copy_dtoh_pageable, ASK(cuMemcpyDtoHAsync_v2, it.heap, it.device, 1024, it.held))
CALL(copy_sync_other, ASK(cuMemcpyHtoD_v2, it.device, it.heap, 1024))
CALL(mem_alloc, ASK(cuMemAlloc_v2, &it.got, 64u << 20))
CALL(mem_free, ASK(cuMemFree_v2, it.freed))
CALL(host_alloc, ASK(cuMemHostAlloc, &it.pinned_got, BYTES, 0))
CALL(host_free, ASK(cuMemFreeHost, it.pinned_got))
CALL(module_load, ASK(cuModuleLoadDataEx, &it.other, ptx_vector, 0, NULL, NULL))
CALL(module_unload, ASK(cuModuleUnload, it.other))
CALL(event_destroy, ASK(cuEventDestroy_v2, it.event))
CALL(stream_destroy, ASK(cuStreamDestroy_v2, it.stream))
CALL(stack_limit, ASK(cuCtxSetLimit, CU_LIMIT_STACK_SIZE, 4096))

static const struct row {
	const char *key;
	int (*call)(void *arg);
	bool decoded; /* by the worker's decoding thread */
} rows[] = {
	{"stream_create", stream_create, true},
	{"event_create", event_create, true},
	{"event_record", event_record, true},
	{"event_query", event_query, true},
	{"stream_query", stream_query, true},
	{"wait_event", wait_event, true},
	{"get_function", get_function, true},
	{"get_attribute", get_attribute, true},
	{"set_attribute", set_attribute, true},
	{"occupancy", occupancy, true},
	{"set_current", set_current, true},
	{"launch_behind", launch_behind, true},
	{"launch_other", launch_other, true},
	{"memset_behind", memset_behind, true},
	{"memset_2d_behind", memset_2d_behind, true},
	{"copy_behind", copy_behind, true},
	{"copy_dtoh_behind", copy_dtoh_behind, true},
	{"copy_dtoh_other", copy_dtoh_other, true},
	{"wait_value_behind", wait_value_behind, true},
	{"wait_value_other", wait_value_other, true},
	{"copy_small_pageable_behind", copy_small_behind, true},
	{"copy_dtod_behind", copy_dtod_behind, true},
	{"host_func_behind", host_behind, true},
	{"mem_info", mem_info, true},
	{"copy_large_pageable_behind", copy_large_pageable, false},
	{"copy_dtoh_pageable_behind", copy_dtoh_pageable, false},
	{"copy_pageable_other", copy_sync_other, false},
	{"mem_alloc", mem_alloc, false},
	{"mem_free", mem_free, false},
	{"host_alloc", host_alloc, false},
	{"host_free", host_free, false},
	{"module_load", module_load, false},
	{"module_unload", module_unload, false},
	{"stack_limit", stack_limit, false},
	{"event_destroy", event_destroy, false},
	{"stream_destroy", stream_destroy, false},
};

static bool make(struct hold *h)
{
	CUevent done;

	if (!part_context() || !hold_make(h))
		return false;
	it.held = h->stream;
	it.heap = calloc(1, BYTES);
	if (!it.heap || CU(cuModuleLoadDataEx, &it.module, ptx_held, 0, NULL, NULL) ||
	    CU(cuModuleGetFunction, &it.fn, it.module, "nothing") ||
	    CU(cuMemAlloc_v2, &it.device, BYTES) || CU(cuMemAlloc_v2, &it.freed, BYTES) ||
	    CU(cuMemHostAlloc, &it.pinned, BYTES, 0) || CU(cuEventCreate, &done, 0))
		return false;
	it.done = done;
	return !CU(cuEventRecord, done, NULL);
}

static void each_call(struct hold *h, enum assumption a, const char *again)
{
	char key[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned int limit = rows[i].decoded && !h->by_host ? AT_ONCE_MS : WAITING_MS;
		bool at_once;

		/* A call that ends what others need comes once. */
		if (*again && !rows[i].decoded)
			continue;
		snprintf(key, sizeof(key), "%s%s", rows[i].key, again);
		at_once = call_beside(h, &(struct beside){key, rows[i].call, NULL, limit});
		if (rows[i].decoded)
			verdict(a, at_once, "%s %s", key, at_once ? "returns at once" : "waits");
	}
}

void rate_beside(void)
{
	struct hold h;

	if (make(&h))
		each_call(&h, ASSUME_decoding_never_waits, "");
}

/* The second time nothing is new to the driver. */
void rate_beside_host(void)
{
	struct hold h;

	if (!make(&h))
		return;
	h.by_host = true;
	each_call(&h, ASSUME_decoding_beside_host, "");
	/* Streams and events are gone: make them again. */
	each_call(&h, ASSUME_decoding_beside_host, "_again");
}
