/* SPDX-License-Identifier: MIT */
/*
 * Batches of copies between memory of all kinds and arrays, of prefetches and of discards, by every
 * name that a library has for them.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

enum { PIECES = 3000, PIECE = 320, BYTES = PIECES * PIECE, LONG = 300 * 1024 };

typedef CUresult batch_v1_fn(CUdeviceptr *, CUdeviceptr *, size_t *, size_t, CUmemcpyAttributes *,
			     size_t *, size_t, size_t *, CUstream);
typedef CUresult boxes_v1_fn(size_t, CUDA_MEMCPY3D_BATCH_OP *, size_t *, unsigned long long,
			     CUstream);

static struct {
	CUdeviceptr dst[PIECES], src[PIECES];
	size_t size[PIECES];
	unsigned char *want, *got, *pinned;
	CUdeviceptr a, b;
	CUstream stream;
} it;

static CUmemcpyAttributes in_order = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
static size_t at_first;

static void *form(const char *name, bool per_thread)
{
	char full[64];
	void *fn;

	snprintf(full, sizeof(full), "%s%s", name, per_thread ? "_ptsz" : "");
	fn = dlsym(RTLD_DEFAULT, full);
	CHECK(fn != NULL, "there is no %s", full);
	return fn;
}

static CUdeviceptr address(const void *p)
{
	return (CUdeviceptr)(uintptr_t)p;
}

/* Pieces of `to` in reverse order from those of `from`. */
static void reverse(CUdeviceptr to, CUdeviceptr from)
{
	for (size_t i = 0; i < PIECES; i++) {
		it.dst[i] = to + (PIECES - 1 - i) * PIECE;
		it.src[i] = from + i * PIECE;
		it.size[i] = i % 7 ? PIECE : PIECE - 5;
	}
}

static void check_reverse(const unsigned char *got, const char *what)
{
	for (size_t i = 0; i < PIECES; i++)
		CHECK(!memcmp(got + (PIECES - 1 - i) * PIECE, it.want + i * PIECE, it.size[i]),
		      "%s: piece %zu is wrong", what, i);
}

static void one_way(const char *what, CUdeviceptr to, CUdeviceptr from, const unsigned char *got)
{
	reverse(to, from);
	CU(cuMemcpyBatchAsync(it.dst, it.src, it.size, PIECES, &in_order, &at_first, 1, it.stream));
	CU(cuStreamSynchronize(it.stream));
	if (!got) {
		memset(it.got, 0, BYTES);
		download(it.got, to, BYTES);
		got = it.got;
	}
	check_reverse(got, what);
	CU(cuMemsetD8(it.a, 0, BYTES));
	CU(cuCtxSynchronize());
	printf("%s: %d pieces\n", what, PIECES);
}

static void kinds(void)
{
	CU(cuMemcpyHtoD(it.b, it.want, BYTES));
	one_way("device to device", it.a, it.b, NULL);
	one_way("pageable to device", it.a, address(it.want), NULL);
	memcpy(it.pinned, it.want, BYTES);
	one_way("pinned to device", it.a, address(it.pinned), NULL);
	memset(it.pinned, 0, BYTES);
	one_way("device to pinned", address(it.pinned), it.b, it.pinned);
	memset(it.got, 0, BYTES);
	one_way("device to pageable", address(it.got), it.b, it.got);
	memset(it.got, 0, BYTES);
	one_way("pageable to pageable", address(it.got), address(it.want), it.got);
}

/* All kinds in one batch, with long ones and empty ones among them. */
static void mixed(void)
{
	CUmemcpyAttributes attrs[2] = {
		{.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL},
		{.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_ANY,
		 .flags = CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE}};
	size_t groups[2] = {0, 3};
	CUdeviceptr dst[] = {
		it.a, it.a + LONG, address(it.got), address(it.pinned), it.a + 2 * LONG, it.a};
	CUdeviceptr src[] = {address(it.want),        it.b, it.b + LONG, it.b + 2,
			     address(it.want) + LONG, 64};
	size_t size[] = {LONG, 5000, LONG, 777, 33, 0};

	memset(it.got, 0, BYTES);
	CU(cuMemcpyBatchAsync(dst, src, size, 6, attrs, groups, 2, it.stream));
	CU(cuStreamSynchronize(it.stream));
	CHECK(!memcmp(it.got, it.want + LONG, LONG), "a long piece did not come back");
	CHECK(!memcmp(it.pinned, it.want + 2, 777), "a piece did not come to pinned memory");
	download(it.got, it.a, 2 * LONG + 33);
	CHECK(!memcmp(it.got, it.want, LONG), "a long piece did not go");
	CHECK(!memcmp(it.got + LONG, it.want, 5000), "a piece did not move");
	CHECK(!memcmp(it.got + 2 * LONG, it.want + LONG, 33), "a short piece did not go");
	printf("all kinds in one batch, long and empty ones too\n");
}

static void forms(void)
{
	for (int per_thread = 0; per_thread < 2; per_thread++) {
		batch_v1_fn *first = (batch_v1_fn *)form("cuMemcpyBatchAsync", per_thread);
		__typeof__(&cuMemcpyBatchAsync) second =
			(__typeof__(second))form("cuMemcpyBatchAsync_v2", per_thread);
		size_t failed = 9, bad[] = {0, 0}, two[] = {1, 2};
		CUdeviceptr nowhere[] = {it.b, it.b + BYTES - 1};
		CUmemcpyAttributes none = {0}, odd = in_order;

		odd.flags = 2;
		reverse(it.a, it.b);
		CU(first(it.dst, it.src, it.size, PIECES, &in_order, &at_first, 1, &failed,
			 it.stream));
		CHECK(failed == SIZE_MAX, "element %zu failed", failed);
		CU(second(it.dst, it.src, it.size, PIECES, &in_order, &at_first, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE, first(it.dst, nowhere, it.size, 2, &in_order,
						     &at_first, 1, &failed, it.stream));
		CHECK(failed == 1, "element %zu failed", failed);
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 2, &none, &at_first, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 2, &odd, &at_first, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 2, &in_order, bad, 2, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 2, &in_order, two, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 0, &in_order, &at_first, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     second(it.dst, it.src, it.size, 2, &in_order, &at_first, 1, CU_STREAM_LEGACY));
		CU(cuStreamSynchronize(it.stream));
	}
	printf("copies: four forms\n");
}

static CUmemcpy3DOperand memory(CUdeviceptr at, size_t row, size_t height)
{
	return (CUmemcpy3DOperand){.type = CU_MEMCPY_OPERAND_TYPE_POINTER,
				   .op.ptr = {.ptr = at, .rowLength = row, .layerHeight = height}};
}

static void boxes(void)
{
	enum { W = 16, H = 6, D = 3, ROW = 24 };
	CUDA_ARRAY3D_DESCRIPTOR desc = {W, H, D, CU_AD_FORMAT_UNSIGNED_INT32, 1, 0};
	CUmemcpy3DOperand in_array = {.type = CU_MEMCPY_OPERAND_TYPE_ARRAY};
	CUDA_MEMCPY3D_BATCH_OP op[3] = {
		{.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM},
	};
	CUarray array;

	CU(cuArray3DCreate(&array, &desc));
	in_array.op.array.array = array;
	for (int per_thread = 0; per_thread < 2; per_thread++) {
		boxes_v1_fn *first = (boxes_v1_fn *)form("cuMemcpy3DBatchAsync", per_thread);
		__typeof__(&cuMemcpy3DBatchAsync) second =
			(__typeof__(second))form("cuMemcpy3DBatchAsync_v2", per_thread);
		size_t failed = 9;

		/* Rows of ROW words into the array, rows of W words out of it. */
		op[0].src = memory(it.b, ROW, H);
		op[0].dst = in_array;
		op[0].extent = (CUextent3D){W, H, D};
		CU(first(1, op, &failed, 0, it.stream));
		CHECK(failed == SIZE_MAX, "box %zu failed", failed);
		op[1] = op[0];
		op[1].src = in_array;
		op[1].src.op.array.offset = (CUoffset3D){4, 1, 1};
		op[1].dst = memory(it.a, 0, 0);
		op[1].extent = (CUextent3D){W - 4, H - 1, D - 1};
		op[2] = op[0];
		op[2].src = memory(address(it.want), 100, 0);
		op[2].dst = memory(it.a + 8192, 0, 0);
		op[2].extent = (CUextent3D){50, 20, 1};
		CU(second(2, op + 1, 0, it.stream));
		CU(cuStreamSynchronize(it.stream));
		download(it.got, it.a, 16384);
		for (size_t z = 0; z < D - 1; z++)
			for (size_t y = 0; y < H - 1; y++)
				CHECK(!memcmp(it.got + (z * (H - 1) + y) * (W - 4) * 4,
					      it.want + (((z + 1) * H + y + 1) * ROW + 4) * 4,
					      (W - 4) * 4),
				      "row %zu of slice %zu is wrong", y, z);
		for (size_t y = 0; y < 20; y++)
			CHECK(!memcmp(it.got + 8192 + y * 50, it.want + y * 100, 50),
			      "row %zu of pageable memory is wrong", y);
		op[1].src.op.array.offset.x = W;
		WANT(CUDA_ERROR_INVALID_VALUE, first(3, op, &failed, 0, it.stream));
		CHECK(failed == 1, "box %zu failed", failed);
		WANT(CUDA_ERROR_INVALID_VALUE, second(3, op, 0, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE, second(1, op, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE, second(1, op, 0, CU_STREAM_LEGACY));
		op[0].extent.depth = 0;
		WANT(CUDA_ERROR_INVALID_VALUE, second(1, op, 0, it.stream));
	}
	CU(cuArrayDestroy(array));
	printf("boxes: four forms\n");
}

static int fetched(CUdeviceptr at)
{
	int where = 0;

	CU(cuMemRangeGetAttribute(&where, sizeof(where),
				  CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, at, 4096));
	return where;
}

static void managed(void)
{
	enum { PAGE = 2 << 20 };
	CUmemLocation where[] = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, {CU_MEM_LOCATION_TYPE_HOST, 0}};
	size_t size[] = {PAGE, PAGE, PAGE}, groups[] = {0, 2};
	CUdeviceptr m, at[3], no[] = {it.a};

	CU(cuMemAllocManaged(&m, 4 * (size_t)PAGE, CU_MEM_ATTACH_GLOBAL));
	for (size_t i = 0; i < 3; i++)
		at[i] = m + i * PAGE;
	for (int per_thread = 0; per_thread < 2; per_thread++) {
		__typeof__(&cuMemPrefetchBatchAsync) fetch =
			(__typeof__(fetch))form("cuMemPrefetchBatchAsync", per_thread);
		__typeof__(&cuMemDiscardBatchAsync) discard =
			(__typeof__(discard))form("cuMemDiscardBatchAsync", per_thread);
		__typeof__(&cuMemDiscardAndPrefetchBatchAsync) both =
			(__typeof__(both))form("cuMemDiscardAndPrefetchBatchAsync", per_thread);

		CU(fetch(at, size, 3, where, groups, 2, 0, it.stream));
		CHECK(fetched(at[1]) == 0 && fetched(at[2]) == CU_DEVICE_CPU, "places %d and %d",
		      fetched(at[1]), fetched(at[2]));
		CU(discard(at, size, 3, 0, it.stream));
		CU(both(at, size, 3, where + 1, groups, 1, 0, it.stream));
		CHECK(fetched(at[0]) == CU_DEVICE_CPU, "place %d", fetched(at[0]));
		WANT(CUDA_ERROR_INVALID_VALUE, fetch(at, size, 3, where, groups, 2, 1, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE,
		     fetch(at, size, 3, where, groups + 1, 1, 0, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE, discard(no, size, 1, 0, it.stream));
		WANT(CUDA_ERROR_INVALID_VALUE, both(no, size, 1, where, groups, 1, 0, it.stream));
		CU(cuStreamSynchronize(it.stream));
	}
	CU(cuMemFree(m));
}

int main(void)
{
	int has_managed;

	start();
	it.want = host_alloc(BYTES);
	it.got = host_alloc(BYTES);
	random_fill(it.want, BYTES, 3);
	CU(cuMemHostAlloc((void **)&it.pinned, BYTES, 0));
	it.a = device_alloc(BYTES);
	it.b = device_alloc(BYTES);
	CU(cuStreamCreate(&it.stream, CU_STREAM_NON_BLOCKING));
	kinds();
	mixed();
	forms();
	boxes();
	CU(cuDeviceGetAttribute(&has_managed, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
	if (has_managed)
		managed();
	CU(cuStreamDestroy(it.stream));
	CU(cuMemFree(it.a));
	CU(cuMemFree(it.b));
	CU(cuMemFreeHost(it.pinned));
	free(it.want);
	free(it.got);
	finish();
	return 0;
}
