/* SPDX-License-Identifier: MIT */
/* Memory: how much is free, running out of it, getting all of it back. */
#include "tests/programs/common.h"

enum { MOST = 64 };

static size_t free_bytes(void)
{
	size_t free_now, total;

	CU(cuMemGetInfo(&free_now, &total));
	CHECK(free_now <= total && total >= 8 << 20, "%zu of %zu bytes are free", free_now, total);
	return free_now;
}

static int fill_up(CUdeviceptr *p, size_t chunk)
{
	CUresult r = CUDA_SUCCESS;
	int n = 0;

	while (n < MOST) {
		r = cuMemAlloc(&p[n], chunk);
		if (r != CUDA_SUCCESS)
			break;
		n++;
	}
	CHECK(r == CUDA_ERROR_OUT_OF_MEMORY, "the end of memory is %s", result_name(r));
	return n;
}

int main(void)
{
	size_t before, after, total, chunk, base_size;
	CUdeviceptr p[MOST], base, q;
	int first, again;

	start();
	CU(cuMemGetInfo(&before, &total));
	chunk = total / 16 / (2 << 20) * (2 << 20);
	CHECK(chunk, "%zu bytes are too few for this test", total);
	p[0] = device_alloc(chunk);
	after = free_bytes();
	CHECK(after <= before - chunk, "an allocation of %zu left %zu of %zu", chunk, after,
	      before);
	CU(cuMemGetAddressRange(&base, &base_size, p[0] + chunk / 2));
	CHECK(base == p[0] && base_size == chunk, "an address in it belongs to %zu bytes",
	      base_size);
	CU(cuMemFree(p[0]));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&q, total + (1 << 20)));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&q, (size_t)1 << 62));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&q, 0));
	first = fill_up(p, chunk);
	CHECK(first >= 8, "only %d sixteenths of the memory can be had", first);
	CHECK(free_bytes() < chunk + chunk / 2, "much is free, but none can be had");
	/* The first and the last byte are there. */
	CU(cuMemsetD8(p[first - 1], 1, 1));
	CU(cuMemsetD8(p[first - 1] + chunk - 1, 1, 1));
	for (int i = 0; i < first; i++)
		CU(cuMemFree(p[i]));
	again = fill_up(p, chunk);
	CHECK(again == first, "%d allocations, then %d", first, again);
	for (int i = again - 1; i >= 0; i--)
		CU(cuMemFree(p[i]));
	CHECK(free_bytes() + (16 << 20) + counted_late(total) >= before,
	      "memory was lost: %zu free, %zu before", free_bytes(), before);
	/* Many small ones share pages and are all different. */
	for (int i = 0; i < MOST; i++) {
		p[i] = device_alloc(1 + (size_t)i);
		CHECK(p[i] % 256 == 0, "an allocation is not aligned");
		CU(cuMemsetD8(p[i], (unsigned char)i, 1 + (size_t)i));
	}
	for (int i = 0; i < MOST; i++) {
		uint8_t bytes[MOST];

		download(bytes, p[i], 1 + (size_t)i);
		CHECK(bytes[0] == i && bytes[i] == i, "small allocation %d has %d and %d", i,
		      bytes[0], bytes[i]);
		CU(cuMemFree(p[i]));
	}
	finish();
	printf("memory: all right\n");
	return 0;
}
