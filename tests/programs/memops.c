/* SPDX-License-Identifier: MIT */
/*
 * Memory operations of streams by every name that a library has for them, and launch attributes of
 * streams: streams wait for words that the host, other streams and kernels write.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 1024 };

static struct {
	CUdeviceptr d;      /* device memory, WORDS words */
	uint64_t *host;     /* pinned memory */
	CUdeviceptr pinned; /* the same; 0: kernels do not reach it */
	CUstream a, b;
} it;

static void *form(const char *name, const char *suffix)
{
	char full[64];
	void *fn;

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	fn = dlsym(RTLD_DEFAULT, full);
	CHECK(fn != NULL, "there is no %s", full);
	return fn;
}

static uint32_t word(unsigned int i)
{
	uint32_t v;

	download(&v, it.d + 4 * i, 4);
	return v;
}

/* Stream a waits for the word, then says so in another; stream b's write lets it go on. */
static void let_go(void)
{
	CU(cuStreamSynchronize(it.a));
	CU(cuStreamSynchronize(it.b));
}

static void forms32(const char *suffix)
{
	__typeof__(&cuStreamWaitValue32) wait =
		(__typeof__(wait))form("cuStreamWaitValue32", suffix);
	__typeof__(&cuStreamWriteValue32) set =
		(__typeof__(set))form("cuStreamWriteValue32", suffix);

	CU(cuMemsetD32(it.d, 0, WORDS));
	CU(cuCtxSynchronize());
	CU(wait(it.a, it.d, 5, CU_STREAM_WAIT_VALUE_GEQ));
	CU(set(it.a, it.d + 4, 11, CU_STREAM_WRITE_VALUE_DEFAULT));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(it.a));
	CU(set(it.b, it.d, 6, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER));
	let_go();
	CHECK(word(0) == 6 && word(1) == 11, "words %u and %u", word(0), word(1));
	WANT(CUDA_ERROR_INVALID_VALUE, wait(it.a, it.d + 2, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, wait(it.a, it.d, 0, 8));
	WANT(CUDA_ERROR_INVALID_VALUE, set(it.a, it.d, 0, 2));
	WANT(CUDA_ERROR_INVALID_VALUE, set(it.a, 0, 0, 0));
}

static void forms64(const char *suffix)
{
	__typeof__(&cuStreamWaitValue64) wait =
		(__typeof__(wait))form("cuStreamWaitValue64", suffix);
	__typeof__(&cuStreamWriteValue64) set =
		(__typeof__(set))form("cuStreamWriteValue64", suffix);
	uint64_t got = 0;

	CU(cuMemsetD32(it.d, 0, WORDS));
	CU(cuCtxSynchronize());
	CU(wait(it.a, it.d + 8, 1ull << 40, CU_STREAM_WAIT_VALUE_EQ));
	CU(set(it.a, it.d + 16, UINT64_MAX - 1, 0));
	CU(set(it.b, it.d + 8, 1ull << 40, 0));
	let_go();
	download(&got, it.d + 16, 8);
	CHECK(got == UINT64_MAX - 1, "the word is %llx", (unsigned long long)got);
	WANT(CUDA_ERROR_INVALID_VALUE, wait(it.a, it.d + 4, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, set(it.a, it.d + 4, 0, 0));
}

/* What each comparison lets pass. */
static void comparisons(void)
{
	static const struct {
		uint32_t flags, has, value;
	} passes[] = {
		{CU_STREAM_WAIT_VALUE_GEQ, 7, 7},         {CU_STREAM_WAIT_VALUE_GEQ, 3, UINT32_MAX},
		{CU_STREAM_WAIT_VALUE_EQ, 9, 9},          {CU_STREAM_WAIT_VALUE_AND, 6, 4},
		{CU_STREAM_WAIT_VALUE_NOR, 0xf0, 0xffff},
	};

	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		CU(cuStreamWriteValue32(it.a, it.d, passes[i].has, 0));
		CU(cuStreamWaitValue32(it.a, it.d, passes[i].value, passes[i].flags));
		CU(cuStreamSynchronize(it.a));
	}
	printf("comparisons: %zu pass\n", sizeof(passes) / sizeof(passes[0]));
}

static CUstreamBatchMemOpParams op(CUstreamBatchMemOpType type, CUdeviceptr at, uint64_t value)
{
	CUstreamBatchMemOpParams p = {.waitValue = {.operation = type, .address = at}};

	p.waitValue.value64 = value;
	return p;
}

static void batches(const char *suffix)
{
	__typeof__(&cuStreamBatchMemOp) batch =
		(__typeof__(batch))form("cuStreamBatchMemOp", suffix);
	CUstreamBatchMemOpParams ops[256] = {
		op(CU_STREAM_MEM_OP_WAIT_VALUE_32, it.d, 1),
		op(CU_STREAM_MEM_OP_WRITE_VALUE_64, it.d + 8, 77),
		op(CU_STREAM_MEM_OP_BARRIER, 0, 0),
		op(CU_STREAM_MEM_OP_WAIT_VALUE_64, it.d + 8, 77),
		op(CU_STREAM_MEM_OP_WRITE_VALUE_32, it.d + 16, 5),
	};

	CU(cuMemsetD32(it.d, 0, WORDS));
	CU(cuCtxSynchronize());
	CU(batch(it.a, 5, ops, 0));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(it.a));
	CU(batch(it.b, 1,
		 (CUstreamBatchMemOpParams[]){op(CU_STREAM_MEM_OP_WRITE_VALUE_32, it.d, 1)}, 0));
	let_go();
	CHECK(word(2) == 77 && word(4) == 5, "words %u and %u", word(2), word(4));
	for (unsigned int i = 0; i < 256; i++)
		ops[i] = op(CU_STREAM_MEM_OP_WRITE_VALUE_32, it.d + 4 * i, i + 1);
	CU(batch(it.a, 255, ops, 0));
	let_go();
	for (unsigned int i = 0; i < 255; i++)
		CHECK(word(i) == i + 1, "word %u is %u", i, word(i));
	WANT(CUDA_ERROR_INVALID_VALUE, batch(it.a, 256, ops, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, batch(it.a, 1, ops, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, batch(it.a, 1, NULL, 0));
	/* All are checked before the first is done. */
	ops[0] = op(CU_STREAM_MEM_OP_WRITE_VALUE_32, it.d, 99);
	ops[1] = op((CUstreamBatchMemOpType)9, it.d, 0);
	WANT(CUDA_ERROR_INVALID_VALUE, batch(it.a, 2, ops, 0));
	ops[1] = op(CU_STREAM_MEM_OP_WRITE_VALUE_32, it.d + 2, 0);
	WANT(CUDA_ERROR_INVALID_VALUE, batch(it.a, 2, ops, 0));
	let_go();
	CHECK(word(0) == 1, "the first of a batch that was refused wrote %u", word(0));
}

/* Streams wait for the host, and for a kernel that comes later. */
static void others(CUmodule module)
{
	uint32_t n = 64, seed = 3;

	if (it.pinned) {
		*it.host = 0;
		CU(cuStreamWaitValue32(it.a, it.pinned, 1, CU_STREAM_WAIT_VALUE_EQ));
		CU(cuStreamWriteValue32(it.a, it.pinned + 8, 8, 0));
		WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(it.a));
		__atomic_store_n((uint32_t *)it.host, 1, __ATOMIC_RELEASE);
		CU(cuStreamSynchronize(it.a));
		CHECK((uint32_t)it.host[1] == 8, "the host has %u", (uint32_t)it.host[1]);
	}
	CU(cuMemsetD32(it.d, 0, WORDS));
	CU(cuCtxSynchronize());
	CU(cuStreamWaitValue32(it.a, it.d + 4 * (n - 1), fill_value(seed, n - 1),
			       CU_STREAM_WAIT_VALUE_EQ));
	CU(cuStreamWriteValue32(it.a, it.d + 4 * n, 1, 0));
	LAUNCH(function(module, "fill"), 1, 64, 0, it.b, &it.d, &n, &seed);
	let_go();
	CHECK(word(n) == 1, "the stream did not go on behind a kernel");
	printf("streams wait for the host and for kernels\n");
}

static void attributes(void)
{
	for (int i = 0; i < 2; i++) {
		const char *suffix = i ? "_ptsz" : "";
		__typeof__(&cuStreamSetAttribute) set =
			(__typeof__(set))form("cuStreamSetAttribute", suffix);
		__typeof__(&cuStreamGetAttribute) get =
			(__typeof__(get))form("cuStreamGetAttribute", suffix);
		__typeof__(&cuStreamCopyAttributes) copy =
			(__typeof__(copy))form("cuStreamCopyAttributes", suffix);
		CUstreamAttrValue v = {0}, got;

		v.accessPolicyWindow.base_ptr = (void *)(uintptr_t)it.d;
		v.accessPolicyWindow.num_bytes = 4096;
		v.accessPolicyWindow.hitRatio = 0.5f;
		v.accessPolicyWindow.hitProp = CU_ACCESS_PROPERTY_STREAMING;
		CU(set(it.a, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
		CU(get(it.a, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, &got));
		CHECK(got.accessPolicyWindow.base_ptr == v.accessPolicyWindow.base_ptr &&
			      got.accessPolicyWindow.num_bytes == 4096 &&
			      got.accessPolicyWindow.hitProp == CU_ACCESS_PROPERTY_STREAMING,
		      "another window");
		CU(copy(it.b, it.a));
		CU(get(it.b, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, &got));
		CHECK(got.accessPolicyWindow.num_bytes == 4096, "the window was not copied");
		v.accessPolicyWindow.base_ptr = (void *)(uintptr_t)(it.d + 4 * WORDS - 8);
		WANT(CUDA_ERROR_INVALID_VALUE,
		     set(it.a, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
		v.accessPolicyWindow.num_bytes = 0; /* none */
		CU(set(it.a, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
		CU(get(it.a, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &got));
		CHECK(got.syncPolicy == (i ? CU_SYNC_POLICY_YIELD : CU_SYNC_POLICY_AUTO),
		      "policy %d", (int)got.syncPolicy);
		v.syncPolicy = CU_SYNC_POLICY_YIELD;
		CU(set(it.a, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
		v.syncPolicy = (CUsynchronizationPolicy)7;
		WANT(CUDA_ERROR_INVALID_VALUE,
		     set(it.a, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
		WANT(CUDA_ERROR_INVALID_VALUE, get(it.a, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &got));
		if (handles_are_checked())
			WANT(CUDA_ERROR_INVALID_HANDLE, copy((CUstream)0x1234, it.a));
		CU(get(NULL, CU_STREAM_ATTRIBUTE_SYNCHRONIZATION_POLICY, &got));
	}
	CU(cuCtxResetPersistingL2Cache());
	printf("attributes of streams: set, read back and copied\n");
}

/* A synchronous copy on the device waits for its end if its memory says so. */
static void synchronous(void)
{
	unsigned int on = 1, got = 0;

	CU(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, it.d));
	CU(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, it.d + 100));
	CHECK(got == 1, "SYNC_MEMOPS is %u", got);
	CU(cuMemcpyDtoD(it.d, it.d + 2048, 2048));
	CU(cuStreamQuery(NULL));
	on = 0;
	CU(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, it.d));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, it.d));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, 64));
	printf("memory with synchronous operations\n");
}

int main(void)
{
	static const char *const suffixes[] = {"", "_v2", "_ptsz", "_v2_ptsz"};
	CUmodule module;
	int maps, size;

	start();
	module = load(ptx_vector);
	it.d = device_alloc(4 * WORDS);
	CU(cuStreamCreate(&it.a, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&it.b, CU_STREAM_NON_BLOCKING));
	CU(cuMemHostAlloc((void **)&it.host, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
	CU(cuDeviceGetAttribute(&maps, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	CU(cuDeviceGetAttribute(&size, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0));
	if (maps)
		CU(cuMemHostGetDevicePointer(&it.pinned, it.host, 0));
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		forms32(suffixes[i]);
		if (size)
			forms64(suffixes[i]);
		batches(suffixes[i]);
	}
	printf("waits, writes and batches: four forms each\n");
	comparisons();
	others(module);
	attributes();
	synchronous();
	CU(cuMemFreeHost(it.host));
	CU(cuMemFree(it.d));
	CU(cuStreamDestroy(it.a));
	CU(cuStreamDestroy(it.b));
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
