/* SPDX-License-Identifier: MIT */
/*
 * Old names. A driver exports calls without _v2 beside those with it; their first revisions took
 * addresses and sizes of 32 bits. And what cuGetProcAddress says of what it does not have.
 */
#include "tests/gpu/probe/semantics/step_semantics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED 0xeeeeeeeeeeeeeeeeull

/* How much a call with addresses of results has written: nothing, 32 bits or 64. */
static const char *written(uint64_t word)
{
	if (word == UNTOUCHED)
		return "nothing";
	return word >> 32 == UNTOUCHED >> 32 ? "32 bits" : "64 bits";
}

typedef int (*two_words)(uint64_t *, uint64_t);
typedef int (*three_words)(uint64_t *, uint64_t *, uint64_t);

/* A call that gives one word and takes one; what it gave, or 0. */
static uint64_t one_result(const char *name, const char *key, uint64_t arg, int *r)
{
	const two_words fn = (two_words)cuda_symbol(name);
	uint64_t word[2] = {UNTOUCHED, UNTOUCHED};

	*r = fn ? fn(word, arg) : -1;
	say_intf(*r, "%s_result", key);
	if (!*r) {
		char writes[64];

		snprintf(writes, sizeof(writes), "%s_writes", key);
		say_text(writes, "%s", written(word[0]));
	}
	return *r ? 0 : word[0];
}

static void two_results(const char *name, const char *key, uint64_t arg)
{
	const three_words fn = (three_words)cuda_symbol(name);
	uint64_t a[2] = {UNTOUCHED, UNTOUCHED}, b[2] = {UNTOUCHED, UNTOUCHED};
	int r = fn ? fn(a, b, arg) : -1;
	char writes[64];

	say_intf(r, "%s_result", key);
	if (r)
		return;
	snprintf(writes, sizeof(writes), "%s_writes", key);
	say_text(writes, "%s, %s", written(a[0]), written(b[0]));
}

void semantics_old(void)
{
	uint64_t host;
	CUdeviceptr device;
	char buffer[4096];
	int alloc, pinned, r;
	void *p;

	if (!part_context() || CU(cuMemAlloc_v2, &device, 4096) ||
	    CU(cuMemHostAlloc, &p, 4096, CU_MEMHOSTALLOC_DEVICEMAP))
		return;
	memset(buffer, 1, sizeof(buffer));
	host = one_result("cuMemAllocHost", "mem_alloc_host", 65536, &pinned);
	if (!pinned && !strcmp(written(host), "64 bits")) {
		memset((void *)(uintptr_t)host, 1, 65536);
		say_int("mem_alloc_host_usable", 1);
	}
	one_result("cuDeviceTotalMem", "device_total_mem", 0, &r);
	two_results("cuMemGetAddressRange", "mem_get_address_range", device);
	one_result("cuMemAlloc", "mem_alloc", 65536, &alloc);
	two_results("cuMemGetInfo", "mem_get_info", 0);
	verdict(ASSUME_old_names_work,
		alloc == CUDA_ERROR_INVALID_CONTEXT && pinned == CUDA_ERROR_INVALID_CONTEXT,
		"cuMemAlloc %d, cuMemAllocHost %d", alloc, pinned);
	say_int("mem_host_register_result", ASK(cuMemHostRegister, buffer, sizeof(buffer), 0));
	say_int("mem_host_get_device_pointer_exported",
		cuda_symbol("cuMemHostGetDevicePointer") != NULL);
	r = ({
		int (*const fn)(CUdeviceptr) = (int (*)(CUdeviceptr))cuda_symbol("cuMemFree");

		fn ? fn(device) : -1;
	});
	say_int("mem_free_result", r);
	/* Last: cut to 32 bits, the address belongs to no allocation. */
	r = ({
		int (*const fn)(CUdeviceptr, const void *, uint64_t) =
			(int (*)(CUdeviceptr, const void *, uint64_t))cuda_symbol("cuMemcpyHtoD");

		fn ? fn(device, buffer, 64) : -1;
	});
	say_int("memcpy_htod_result", r);
}

/* ---- cuGetProcAddress: which revision it gives is the step record's ---- */
static void one_proc(const char *key, const char *name, int version, uint64_t flags)
{
	CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)77;
	void *fn = &fn;
	const int r = ASK(cuGetProcAddress_v2, name, &fn, version, flags, &status);

	say_text(key, "result %d, status %d, %s", r, (int)status,
		 !fn         ? "NULL"
		 : fn == &fn ? "not written"
			     : "an address");
}

void semantics_proc(void)
{
	CUdevice dev;
	void *fn;

	if (!cuda_device(&dev))
		return;
	one_proc("found", "cuMemAlloc", 13000, 0);
	one_proc("per_thread", "cuMemcpyHtoD", 13000, 2);
	one_proc("missing", "cuMakeCoffee", 13000, 0);
	one_proc("too_old", "cuMemAllocAsync", 11010, 0);
	one_proc("suffixed", "cuMemAlloc_v2", 13000, 0);
	one_proc("of_the_future", "cuInit", 99000, 0);
	one_proc("flags_3", "cuInit", 13000, 3);
	say_int("no_status_result", ASK(cuGetProcAddress_v2, "cuInit", &fn, 13000, 0, NULL));
	say_int("missing_no_status_result",
		ASK(cuGetProcAddress_v2, "cuMakeCoffee", &fn, 13000, 0, NULL));
	say_int("missing_first_revision_result",
		ASK(cuGetProcAddress, "cuMakeCoffee", &fn, 13000, 0));
}
