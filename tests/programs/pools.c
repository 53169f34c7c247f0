/* SPDX-License-Identifier: MIT */
/*
 * Memory pools: allocation in the order of streams, right and wrong arguments, attributes, memory
 * that is reused, kept and given back. With a number as argument: so many allocations and frees
 * from a pool that is warm.
 */
#include "tests/programs/common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

PTX(ptx_vector);

enum {
	WORDS = 4096,
	PENDING_BYTES = 1 << 20,
	TRIES = 8,                  /* allocations, until memory comes that was freed */
	LOOKS = 50,                 /* at what must not change meanwhile */
	LOOKS_FOR_MEMORY = 1000000, /* that comes back soon */
};

static atomic_bool synchronizes; /* synchronize() is about to wait */

static const CUmemPoolProps plain = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
				     .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};

/* 0: an older driver does not know it. */
static int attribute(CUdevice dev, CUdevice_attribute attr)
{
	int v;

	return cuDeviceGetAttribute(&v, attr, dev) ? 0 : v;
}

static cuuint64_t number(CUmemoryPool pool, CUmemPool_attribute attr)
{
	cuuint64_t v = 77;

	CU(cuMemPoolGetAttribute(pool, attr, &v));
	return v;
}

static void set_number(CUmemoryPool pool, CUmemPool_attribute attr, cuuint64_t v)
{
	CU(cuMemPoolSetAttribute(pool, attr, &v));
}

static void fill_and_check(CUfunction fill, CUstream s, CUdeviceptr p, uint32_t seed)
{
	uint32_t n = WORDS, *got = host_alloc(WORDS * 4);

	LAUNCH(fill, WORDS / 256, 256, 0, s, &p, &n, &seed);
	CU(cuMemcpyDtoHAsync(got, p, WORDS * 4, s));
	CU(cuStreamSynchronize(s));
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK(got[i] == fill_value(seed, i), "word %u of pool memory is %u", i, got[i]);
	free(got);
}

static void check_pools(CUdevice dev)
{
	CUmemoryPool standard, pool, other;
	CUmemPoolProps props = plain;
	CUmemLocation here = plain.location, host = {.type = CU_MEM_LOCATION_TYPE_HOST};
	const bool of_host = attribute(dev, CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED);
	const bool shared = attribute(dev, CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES) &
			    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CUmemAccess_flags flags;

	CHECK(attribute(dev, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 1, "no pools");
	CU(cuDeviceGetDefaultMemPool(&standard, dev));
	CU(cuDeviceGetMemPool(&pool, dev));
	CHECK(pool == standard, "the current pool is not the standard one");
	CU(cuMemGetDefaultMemPool(&pool, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
	CHECK(pool == standard, "another default pool by location");
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetDefaultMemPool(&pool, 77));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetDefaultMemPool(NULL, dev));
	WANT(of_host ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED,
	     cuMemGetDefaultMemPool(&pool, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolDestroy(standard));
	CU(cuMemPoolCreate(&other, &props));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceSetMemPool(77, other));
	CU(cuDeviceSetMemPool(dev, other));
	CU(cuDeviceGetMemPool(&pool, dev));
	CHECK(pool == other, "the pool that was set is not the current one");
	CU(cuMemPoolGetAccess(&flags, other, &here));
	CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access is %d", (int)flags);
	CU(cuMemPoolSetAccess(other, &(CUmemAccessDesc){here, CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
			      1));
	WANT(CUDA_ERROR_INVALID_DEVICE,
	     cuMemPoolSetAccess(other, &(CUmemAccessDesc){here, CU_MEM_ACCESS_FLAGS_PROT_NONE}, 1));
	CU(cuMemPoolDestroy(other));
	CU(cuDeviceGetMemPool(&pool, dev));
	CHECK(pool == standard, "a destroyed pool is current");
	props.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	WANT(shared ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED, cuMemPoolCreate(&pool, &props));
	if (shared)
		CU(cuMemPoolDestroy(pool));
	props = plain;
	props.location.id = 9;
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolCreate(&pool, &props));
	props = plain;
	props.allocType = CU_MEM_ALLOCATION_TYPE_INVALID;
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolCreate(&pool, &props));
	printf("pools: all right\n");
}

static void check_attributes(CUmemoryPool pool)
{
	int flag = 7;

	for (int a = CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES;
	     a <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES; a++) {
		CU(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)a, &flag));
		CHECK(flag == 1, "reuse %d is %d", a, flag);
		flag = 0;
		CU(cuMemPoolSetAttribute(pool, (CUmemPool_attribute)a, &flag));
		CU(cuMemPoolGetAttribute(pool, (CUmemPool_attribute)a, &flag));
		CHECK(!flag, "reuse %d stays %d", a, flag);
	}
	CHECK(!number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), "a threshold at first");
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX);
	CHECK(number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) == UINT64_MAX, "the threshold");
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolGetAttribute(pool, (CUmemPool_attribute)0, &flag));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolGetAttribute(pool, (CUmemPool_attribute)99, &flag));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &(cuuint64_t){0}));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &(cuuint64_t){1}));
	printf("attributes: all right\n");
}

static void check_memory(CUfunction fill, CUmemoryPool pool)
{
	static const size_t sizes[] = {1, 511, 4096, 100000, 1 << 20, 3 << 20};
	CUdeviceptr p[6], q;
	CUmemoryPool of;
	size_t bytes;
	CUstream s, t;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 6; i++) {
		CU(cuMemAllocFromPoolAsync(&p[i], sizes[i], pool, s));
		CU(cuMemGetAddressRange(&q, &bytes, p[i]));
		CHECK(q == p[i] && bytes == sizes[i], "range %d has %zu bytes", i, bytes);
		CU(cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p[i]));
		CHECK(of == pool, "the pool of %d", i);
		for (int k = 0; k < i; k++)
			CHECK(p[k] + sizes[k] <= p[i] || p[i] + sizes[i] <= p[k],
			      "%d and %d overlap", k, i);
	}
	CHECK(number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) >= 4 << 20, "used");
	CHECK(number(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) >=
		      number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT),
	      "reserved");
	fill_and_check(fill, s, p[3], 1);
	fill_and_check(fill, t, p[5], 2);
	for (int i = 0; i < 6; i++)
		CU(cuMemFreeAsync(p[i], i % 2 ? t : s));
	CU(cuMemFreeAsync(0, s));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(0x1000, s));
	CU(cuMemAllocFromPoolAsync(&q, 0, pool, s));
	CU(cuMemFreeAsync(q, s));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocAsync(&q, (size_t)1 << 50, s));
	CU(cuCtxSynchronize());
	CHECK(!number(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), "used after all frees");
	CU(cuMemPoolTrimTo(pool, 0));
	CHECK(!number(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), "reserved after a trim");
	CHECK(number(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) >= 4 << 20, "the high mark");
	set_number(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0);
	CHECK(!number(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), "the high mark, set back");
	/* The two ways to free cross. */
	CU(cuMemAllocAsync(&p[0], 1000, s));
	CU(cuMemAlloc(&p[1], 1000));
	CU(cuStreamSynchronize(s));
	CU(cuMemFree(p[0]));
	CU(cuMemFreeAsync(p[1], s));
	CU(cuStreamSynchronize(s));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(t));
	printf("memory: all right\n");
}

/* What one stream still uses is not given to another. */
static void check_order(CUfunction fill)
{
	uint32_t n = WORDS, one = 1, two = 2, *got = host_alloc(WORDS * 4);
	CUdeviceptr p, q, keep = device_alloc(WORDS * 4);
	CUmemoryPool pool;
	CUstream s, t;
	struct gate g;
	int no = 0;

	/* Else a driver may have the second stream wait for the first one's free. */
	CU(cuDeviceGetDefaultMemPool(&pool, 0));
	CU(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, &no));

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	for (int round = 0; round < 8; round++) {
		CU(cuMemAllocAsync(&p, WORDS * 4, s));
		gate_close(&g, s);
		LAUNCH(fill, WORDS / 256, 256, 0, s, &p, &n, &one);
		CU(cuMemcpyDtoDAsync(keep, p, WORDS * 4, s));
		CU(cuMemFreeAsync(p, s));
		CU(cuMemAllocAsync(&q, WORDS * 4, t));
		LAUNCH(fill, WORDS / 256, 256, 0, t, &q, &n, &two);
		CU(cuStreamSynchronize(t));
		gate_open(&g);
		CU(cuStreamSynchronize(s));
		CU(cuMemcpyDtoH(got, q, WORDS * 4));
		CHECK(got[7] == fill_value(2, 7), "memory in use was given away");
		download(got, keep, WORDS * 4);
		CHECK(got[7] == fill_value(1, 7), "memory was given away too early");
		CU(cuMemFreeAsync(q, t));
	}
	CU(cuCtxSynchronize());
	CU(cuMemFree(keep));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(t));
	free(got);
	printf("order: all right\n");
}

static void *open_late(void *arg)
{
	usleep(100000);
	gate_open(arg);
	return NULL;
}

/* The pool keeps memory for what follows: to have more, pvgpu may wait for all work. */
static CUmemoryPool keep_memory(CUstream s)
{
	CUdeviceptr p[TRIES + 1];
	CUmemoryPool pool;
	int no = 0;

	CU(cuDeviceGetDefaultMemPool(&pool, 0));
	/* Else a driver may have one stream wait for another one's free. */
	CU(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, &no));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX);
	for (int i = 0; i <= TRIES; i++)
		CU(cuMemAllocAsync(&p[i], PENDING_BYTES, s));
	for (int i = 0; i <= TRIES; i++)
		CU(cuMemFreeAsync(p[i], s));
	CU(cuCtxSynchronize());
	return pool;
}

/* What is allocated in `free_stream` and filled there stays so when a fill of p comes that is
 * pending behind the gate; NULL: another thread opens it. */
static void use_while_pending(CUstream free_stream, CUdeviceptr p, struct gate *g)
{
	CUdeviceptr got[TRIES];
	uint8_t bytes[16];
	int n = 0;

	do
		CU(cuMemAllocAsync(&got[n], PENDING_BYTES, free_stream));
	while (got[n++] != p && n < TRIES);
	for (int i = 0; i < n; i++)
		CU(cuMemsetD8Async(got[i], 0x55, PENDING_BYTES, free_stream));
	CU(cuStreamSynchronize(free_stream));
	if (g)
		gate_open(g);
	CU(cuCtxSynchronize());
	for (int i = 0; i < n; i++) {
		download(bytes, got[i], sizeof(bytes));
		CHECK(bytes[0] == 0x55, "memory was given away before its last fill");
		CU(cuMemFreeAsync(got[i], free_stream));
	}
	CU(cuStreamSynchronize(free_stream));
}

static void *synchronize(void *ctx)
{
	CU(cuCtxSetCurrent(ctx));
	atomic_store(&synchronizes, true);
	CU(cuCtxSynchronize());
	return NULL;
}

/*
 * A free is behind the work that its stream is in order with, also by the legacy stream's rule:
 * that stream's own end says nothing of it. `other`: nobody asks for the stream of the free, but
 * another thread waits for the whole context.
 */
static void free_across(CUstream worked, CUstream freed, CUstream free_stream, bool other)
{
	CUdeviceptr p;
	pthread_t thread;
	struct gate g;
	CUcontext ctx;

	CU(cuCtxGetCurrent(&ctx));
	CU(cuMemAllocAsync(&p, PENDING_BYTES, worked));
	CU(cuStreamSynchronize(worked));
	gate_close(&g, worked);
	CU(cuMemsetD8Async(p, 0xaa, PENDING_BYTES, worked));
	CU(cuMemFreeAsync(p, freed));
	atomic_store(&synchronizes, false);
	CHECK(!other || !pthread_create(&thread, NULL, synchronize, ctx), "no thread");
	while (other && !atomic_load(&synchronizes))
		sched_yield();
	for (int i = 0; i < LOOKS; i++) {
		const CUresult r = cuStreamQuery(freed);

		/* The legacy stream's next work would wait. */
		CHECK(r == CUDA_ERROR_NOT_READY || (freed && !r), "a query: %s", result_name(r));
		CU(cuStreamSynchronize(free_stream));
	}
	use_while_pending(free_stream, p, &g);
	if (other)
		pthread_join(thread, NULL);
}

static void check_legacy_order(void)
{
	CUstream blocking, free_stream;
	CUmemoryPool pool;

	CU(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	CU(cuStreamCreate(&free_stream, CU_STREAM_NON_BLOCKING));
	pool = keep_memory(free_stream);
	for (int i = 0; i < 4; i++) {
		free_across(NULL, blocking, free_stream, i % 2);
		free_across(blocking, NULL, free_stream, i % 2);
	}
	CU(cuStreamDestroy(blocking));
	CU(cuStreamDestroy(free_stream));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 0);
	CU(cuCtxSynchronize());
	printf("order of the legacy stream: all right\n");
}

/* A block that its stream still writes, allocated there again and freed unused by cuMemFree(): the
 * earlier work is not over for that, unless the driver waits for it in that call. */
static void check_free_at_once(void)
{
	CUstream s, free_stream;
	CUdeviceptr p, again;
	CUmemoryPool pool;
	pthread_t thread;
	struct gate g;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&free_stream, CU_STREAM_NON_BLOCKING));
	pool = keep_memory(free_stream);
	CU(cuMemAllocAsync(&p, PENDING_BYTES, s));
	CU(cuStreamSynchronize(s));
	gate_close(&g, s);
	CU(cuMemsetD8Async(p, 0xaa, PENDING_BYTES, s));
	CU(cuMemFreeAsync(p, s));
	CU(cuMemAllocAsync(&again, PENDING_BYTES, s));
	CHECK(!pthread_create(&thread, NULL, open_late, &g), "no thread");
	CU(cuMemFree(again));
	use_while_pending(free_stream, p, NULL);
	pthread_join(thread, NULL);
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(free_stream));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 0);
	CU(cuCtxSynchronize());
	printf("freed at once: all right\n");
}

/* Wait until as much is free as before. */
static void want_free(size_t before, const char *what)
{
	size_t left = 0, all;

	for (int i = 0; i < LOOKS_FOR_MEMORY; i++) {
		CU(cuCtxSynchronize());
		CU(cuMemGetInfo(&left, &all));
		if (left + counted_late(all) >= before)
			return;
	}
	FAIL("%s: %zu bytes stay reserved", what, before - left);
}

/* A pool that is destroyed gives back its memory when the last work that uses it has ended. */
static void check_destroyed(void)
{
	size_t before, all;
	CUmemoryPool pool;
	CUstream s, t;
	CUdeviceptr p;
	struct gate g;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	CU(cuCtxSynchronize());
	CU(cuMemGetInfo(&before, &all));
	for (int kept = 0; kept < 2; kept++) {
		CU(cuMemPoolCreate(&pool, &plain));
		set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, kept ? UINT64_MAX : 0);
		CU(cuMemAllocFromPoolAsync(&p, 32 << 20, pool, s));
		gate_close(&g, s);
		CU(cuMemFreeAsync(p, s));
		CU(cuMemPoolDestroy(pool));
		CU(cuStreamSynchronize(t));
		gate_open(&g);
		CU(cuStreamSynchronize(s));
		want_free(before, "a destroyed pool");
	}
	/* Its last memory is freed at once. */
	CU(cuMemPoolCreate(&pool, &plain));
	CU(cuMemAllocFromPoolAsync(&p, 32 << 20, pool, s));
	CU(cuStreamSynchronize(s));
	CU(cuMemPoolDestroy(pool));
	CU(cuMemFree(p));
	want_free(before, "a destroyed pool's last memory");
	/* One that may keep less from now on. */
	CU(cuMemPoolCreate(&pool, &plain));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX);
	CU(cuMemAllocFromPoolAsync(&p, 32 << 20, pool, s));
	CU(cuMemFreeAsync(p, s));
	CU(cuStreamSynchronize(s));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 0);
	CU(cuStreamSynchronize(s));
	CHECK(!number(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), "more is kept than allowed");
	CU(cuMemPoolDestroy(pool));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(t));
	printf("destroyed pools: all right\n");
}

/* Most of the memory is a pool's, and is freed by work that is under way. */
static pthread_t free_late(CUmemoryPool pool, CUstream s, struct gate *g, size_t bytes)
{
	pthread_t thread;
	CUdeviceptr p;

	CU(cuMemAllocFromPoolAsync(&p, bytes, pool, s));
	gate_close(g, s);
	CU(cuMemFreeAsync(p, s));
	CHECK(!pthread_create(&thread, NULL, open_late, g), "no thread");
	return thread;
}

/* Memory that pools keep is had by every call that allocates, also when work must end first. */
static void check_idle(CUmemoryPool pool)
{
	CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemPoolProps small = plain;
	CUmemGenericAllocationHandle handle;
	CUDA_ARRAY_DESCRIPTOR desc = {
		.Format = CU_AD_FORMAT_FLOAT, .NumChannels = 4, .Width = 4096};
	size_t left, all;
	CUmemoryPool own;
	CUdeviceptr p, q;
	pthread_t thread;
	struct gate g;
	CUstream s, t;
	CUarray array;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	CU(cuMemGetInfo(&left, &all));
	left = left / 4 * 3 & ~(size_t)((2 << 20) - 1);
	thread = free_late(pool, s, &g, left);
	CU(cuMemAlloc(&p, left));
	pthread_join(thread, NULL);
	CU(cuMemFree(p));
	thread = free_late(pool, s, &g, left);
	CU(cuMemCreate(&handle, left, &prop, 0));
	pthread_join(thread, NULL);
	CU(cuMemRelease(handle));
	thread = free_late(pool, s, &g, left);
	CU(cuMemAllocAsync(&p, left, t));
	pthread_join(thread, NULL);
	CU(cuMemFreeAsync(p, t));
	CU(cuStreamSynchronize(t));
	/* Nearly all of it, so that an array does not fit beside it. */
	CU(cuMemGetInfo(&left, &all));
	left = (left - (8 << 20)) & ~(size_t)((2 << 20) - 1);
	desc.Height = 256; /* 16 MiB */
	thread = free_late(pool, s, &g, left);
	CU(cuArrayCreate(&array, &desc));
	pthread_join(thread, NULL);
	CU(cuArrayDestroy(array));
	/* A pool with a limit of its own. */
	small.maxSize = 32 << 20;
	CU(cuMemPoolCreate(&own, &small));
	thread = free_late(own, s, &g, 20 << 20);
	CU(cuMemAllocFromPoolAsync(&q, 20 << 20, own, t));
	pthread_join(thread, NULL);
	CU(cuMemFreeAsync(q, t));
	CU(cuCtxSynchronize());
	CU(cuMemPoolDestroy(own));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(t));
	printf("idle memory: all right\n");
}

static void churn(size_t rounds)
{
	struct random r = {5};
	CUdeviceptr p[16] = {0};
	CUmemoryPool pool;
	CUstream s;

	CU(cuDeviceGetDefaultMemPool(&pool, 0));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (size_t i = 0; i < rounds; i++) {
		CUdeviceptr *at = &p[random_next(&r) % 16];

		if (*at)
			CU(cuMemFreeAsync(*at, s));
		CU(cuMemAllocAsync(at, 1 + random_next(&r) % 100000, s));
	}
	for (int i = 0; i < 16; i++)
		if (p[i])
			CU(cuMemFreeAsync(p[i], s));
	CU(cuStreamSynchronize(s));
	CU(cuStreamDestroy(s));
	set_number(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 0);
	CU(cuMemPoolTrimTo(pool, 0));
	printf("%zu allocations: all right\n", rounds);
}

int main(int argc, char **argv)
{
	const CUdevice dev = start();
	CUmemPoolProps props = plain;
	const CUfunction fill = function(load(ptx_vector), "fill");
	CUmemoryPool pool;

	if (argc == 1) {
		check_pools(dev);
		CU(cuMemPoolCreate(&pool, &props));
		check_attributes(pool);
		check_memory(fill, pool);
		check_idle(pool);
		CU(cuMemPoolDestroy(pool));
		check_order(fill);
		check_free_at_once();
		check_legacy_order();
		check_destroyed();
	}
	churn(argument(argc, argv, 1, 2000));
	finish();
	return 0;
}
