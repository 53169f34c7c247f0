/* SPDX-License-Identifier: MIT */
/* Device and pinned memory: how much, what is in it, limits. */
#include "tests/gpu/meter/meter.h"

#include <stdlib.h>
#include <string.h>

CUresult do_memory(const struct words *w)
{
	size_t left = 0, total = 0, whole = 0;

	TRY(cuMemGetInfo(&left, &total));
	TRY(cuDeviceTotalMem(&whole, 0));
	say_int("free_bytes", (int64_t)left);
	say_int("total_bytes", (int64_t)total);
	say_int("device_bytes", (int64_t)whole);
	return CUDA_SUCCESS;
}

CUresult do_alloc(const struct words *w)
{
	CUdeviceptr p;

	TRY(cuMemAlloc(&p, number(w, 0, 0)));
	say_int("address", (int64_t)p);
	return CUDA_SUCCESS;
}

CUresult do_pin(const struct words *w)
{
	void *p;

	TRY(cuMemHostAlloc(&p, number(w, 0, 0), 0));
	say_int("address", (int64_t)(uintptr_t)p);
	return CUDA_SUCCESS;
}

CUresult do_free(const struct words *w)
{
	TRY(cuMemFree(number(w, 0, 0)));
	return CUDA_SUCCESS;
}

CUresult do_fill(const struct words *w)
{
	TRY(cuMemsetD8(number(w, 0, 0), (unsigned char)number(w, 2, 0), number(w, 1, 0)));
	return CUDA_SUCCESS;
}

static void say_found(const unsigned char *p, size_t n, unsigned char what)
{
	size_t set = 0, equal = 0;

	for (size_t i = 0; i < n; i++) {
		set += p[i] != 0;
		equal += p[i] == what;
	}
	say_int("set", (int64_t)set);
	say_int("equal", (int64_t)equal);
}

CUresult scan(CUdeviceptr at, size_t n, unsigned char what)
{
	unsigned char *copy = malloc(n);
	CUresult r = copy ? cuMemcpyDtoH(copy, at, n) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r == CUDA_SUCCESS)
		say_found(copy, n, what);
	free(copy);
	return r;
}

CUresult do_scan(const struct words *w)
{
	return scan(number(w, 0, 0), number(w, 1, 0), (unsigned char)number(w, 2, 0));
}

CUresult do_scanpin(const struct words *w)
{
	say_found((const unsigned char *)(uintptr_t)number(w, 0, 0), number(w, 1, 0),
		  (unsigned char)number(w, 2, 0));
	return CUDA_SUCCESS;
}

CUresult do_limit(const struct words *w)
{
	const CUlimit which =
		strcmp(w->word[0], "stack") ? (CUlimit)number(w, 0, 0) : CU_LIMIT_STACK_SIZE;
	size_t value = 0;

	TRY(cuCtxSetLimit(which, number(w, 1, 0)));
	TRY(cuCtxGetLimit(&value, which));
	say_int("value", (int64_t)value);
	return CUDA_SUCCESS;
}
