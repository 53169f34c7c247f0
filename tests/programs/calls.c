/* SPDX-License-Identifier: MIT */
/*
 * Calls that programs make all the time, or whose results scripts read: names of errors, attributes
 * of launches, settings that are set again, occupancy, queries and waits of every kind.
 */
#include "tests/programs/common.h"

#include <sched.h>

PTX(ptx_vector);
PTX(ptx_sync);

static const char *const is[] = {"no", "yes"};

/* Each code has a text of its own, which is each library's own. */
static void print_names(void)
{
	const char *name, *text;

	for (int code = 0; code < 1000; code++) {
		if (cuGetErrorName((CUresult)code, &name) ||
		    cuGetErrorString((CUresult)code, &text))
			continue;
		CHECK(*text, "%d has no text", code);
		printf("%d %s\n", code, name);
	}
	CU(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
	CHECK(!strcmp(text, "out of memory"), "2 is '%s'", text);
}

/* ---- attributes of launches ---- */

struct launched {
	CUdeviceptr word;
	CUfunction fill;
	CUstream s;
};

/* One launch with these attributes: its result, whether the kernel ran, and what waiting says. */
static void try_attributes(const struct launched *l, const char *what, CUlaunchAttribute *a,
			   unsigned int n)
{
	CUlaunchConfig config = {.gridDimX = 2,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 32,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = l->s,
				 .attrs = a,
				 .numAttrs = n};
	uint32_t one = 1, seed = 7, got;
	CUdeviceptr word = l->word;
	void *params[] = {&word, &one, &seed};
	CUresult r, waited;

	CU(cuMemsetD32(word, 0, 1));
	r = cuLaunchKernelEx(&config, l->fill, params, NULL);
	waited = cuStreamSynchronize(l->s);
	download(&got, word, 4);
	printf("%s: %d, ran: %s, waiting: %d\n", what, (int)r, is[got == fill_value(7, 0)],
	       (int)waited);
	CHECK(!r == (got == fill_value(7, 0)), "%s: the result is %d, the kernel %s", what, (int)r,
	      got ? "ran" : "did not run");
}

static bool names_event(unsigned int id)
{
	return id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT ||
	       id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT;
}

static void print_attributes(const struct launched *l)
{
	static const unsigned char bytes[] = {0, 1, 2, 5, 200, 255};
	CUlaunchAttribute a[40];
	char what[64];

	for (unsigned int id = 0; id < 24; id++) {
		/* The first two follow; the last hands a node out. */
		if (id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION ||
		    id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW ||
		    id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
			continue;
		/* No event: the driver follows what is no handle of one. */
		for (unsigned int v = 0; v < (names_event(id) ? 1 : sizeof(bytes)); v++) {
			memset(a, 0, sizeof(a));
			a[0].id = (CUlaunchAttributeID)id;
			a[0].value.pad[0] = (char)bytes[v];
			snprintf(what, sizeof(what), "attribute %u of %u", id, bytes[v]);
			try_attributes(l, what, a, 1);
		}
	}
	for (unsigned int x = 0; x < 4; x++) {
		memset(a, 0, sizeof(a));
		a[0].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
		a[0].value.clusterDim.x = x;
		a[0].value.clusterDim.y = a[0].value.clusterDim.z = 1;
		snprintf(what, sizeof(what), "a cluster of %u", x);
		try_attributes(l, what, a, 1);
	}
	/* A window is a hint: over memory of this program, of none, and over nothing. */
	memset(a, 0, sizeof(a));
	a[0].id = CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW;
	a[0].value.accessPolicyWindow.hitRatio = 0.5f;
	try_attributes(l, "an empty window", a, 1);
	a[0].value.accessPolicyWindow.base_ptr = (void *)(uintptr_t)l->word;
	a[0].value.accessPolicyWindow.num_bytes = 4;
	try_attributes(l, "a window", a, 1);
	a[0].value.accessPolicyWindow.base_ptr = (void *)0x1000;
	try_attributes(l, "a window elsewhere", a, 1);
	/* Many. */
	for (unsigned int n = 15; n < 29; n++) {
		memset(a, 0, sizeof(a));
		for (unsigned int i = 0; i < n; i++)
			a[i].id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
		snprintf(what, sizeof(what), "%u attributes", n);
		try_attributes(l, what, a, n);
	}
}

/* ---- settings ---- */

static void print_function(CUfunction fn)
{
	static const int sizes[] = {0, 4096, 4096, 49152, 1 << 28, 4096};
	int v, blocks, grid, block;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const CUresult r = cuFuncSetAttribute(
			fn, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sizes[i]);

		CU(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, fn));
		printf("%d bytes of shared memory: %d, then %d\n", sizes[i], (int)r, v);
		for (int threads = 64; threads <= 1024; threads *= 4) {
			const size_t shared = r ? 0 : (size_t)sizes[i];

			for (int again = 0; again < 2; again++) {
				CU(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, threads,
									       shared));
				printf(" %d", blocks);
			}
		}
		CU(cuOccupancyMaxPotentialBlockSize(&grid, &block, fn, NULL, 0, 0));
		printf(" best %d of %d\n", grid, block);
	}
	for (int carveout = -2; carveout < 102; carveout += 51) {
		const CUresult r = cuFuncSetAttribute(
			fn, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, carveout);

		CU(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, fn));
		printf("carveout %d: %d, then %d\n", carveout, (int)r, v);
	}
	for (int i = 0; i < 2; i++)
		CU(cuFuncSetCacheConfig(fn, CU_FUNC_CACHE_PREFER_L1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuFuncSetCacheConfig(fn, (CUfunc_cache)4));
}

static void print_limits(void)
{
	static const size_t values[] = {1000, 1000, 4096, 16};
	CUfunc_cache cache;
	size_t v;

	for (unsigned int limit = 0; limit < 9; limit++) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			const CUresult set = cuCtxSetLimit((CUlimit)limit, values[i]);
			CUresult get;

			v = 77;
			get = cuCtxGetLimit(&v, (CUlimit)limit);
			printf("limit %u, %zu: %d, %d, %zu\n", limit, values[i], (int)set, (int)get,
			       v);
		}
	}
	for (int i = 0; i < 6; i++) {
		const CUresult r = cuCtxSetCacheConfig((CUfunc_cache)(i / 2 * 2));

		CU(cuCtxGetCacheConfig(&cache));
		printf("cache %d: %d, then %d\n", i / 2 * 2, (int)r, (int)cache);
	}
}

/* ---- queries and waits ---- */

static void check_queries(CUstream s)
{
	struct gate g;
	CUevent e, late;

	CU(cuEventCreate(&e, 0));
	CU(cuEventCreate(&late, CU_EVENT_DISABLE_TIMING));
	CU(cuEventQuery(e));
	for (int round = 0; round < 3; round++) {
		gate_close(&g, s);
		CU(cuEventRecord(e, s));
		for (int i = 0; i < 200; i++)
			WANT(CUDA_ERROR_NOT_READY, cuEventQuery(e));
		WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
		gate_open(&g);
		while (cuEventQuery(e) == CUDA_ERROR_NOT_READY)
			sched_yield();
		CU(cuEventQuery(e));
		CU(cuEventSynchronize(e));
		CU(cuStreamSynchronize(s));
		CU(cuStreamQuery(s));
		/* What ended before is done; what came after is not. */
		gate_close(&g, s);
		CU(cuEventRecord(late, s));
		CU(cuEventQuery(e));
		CU(cuEventSynchronize(e));
		WANT(CUDA_ERROR_NOT_READY, cuEventQuery(late));
		WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
		gate_open(&g);
		CU(cuCtxSynchronize());
		CU(cuEventQuery(late));
		CU(cuStreamQuery(s));
		CU(cuEventSynchronize(late));
	}
	CU(cuEventDestroy(e));
	CU(cuEventDestroy(late));
	printf("queries: all right\n");
}

/* The slots in which ends are told go from stream to stream. */
static void check_streams_in_turn(void)
{
	CUstream old, s;
	struct gate g;
	CUevent e;

	CU(cuEventCreate(&e, 0));
	for (int round = 0; round < 20; round++) {
		CU(cuStreamCreate(&old, CU_STREAM_NON_BLOCKING));
		gate_close(&g, old);
		CU(cuEventRecord(e, old));
		CU(cuStreamDestroy(old));
		CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		CU(cuStreamSynchronize(s));
		CU(cuStreamQuery(s));
		WANT(CUDA_ERROR_NOT_READY, cuEventQuery(e));
		gate_open(&g);
		CU(cuEventSynchronize(e));
		CU(cuEventQuery(e));
		CU(cuStreamDestroy(s));
	}
	CU(cuEventDestroy(e));
	printf("streams in turn: all right\n");
}

/* Each way to wait, with and without work. */
static void check_flags(void)
{
	static const unsigned int flags[] = {CU_CTX_SCHED_AUTO, CU_CTX_SCHED_SPIN,
					     CU_CTX_SCHED_YIELD, CU_CTX_SCHED_BLOCKING_SYNC};
	uint32_t n = 1000, seed = 1, words[1000];
	CUcontext ctx;
	CUevent e, blocking;
	CUdeviceptr p;

	for (int f = 0; f < 4; f++) {
		CUfunction fill;

		CU(cuCtxCreate(&ctx, NULL, flags[f], 0));
		fill = function(load(ptx_vector), "fill");
		p = device_alloc(sizeof(words));
		CU(cuEventCreate(&e, 0));
		CU(cuEventCreate(&blocking, CU_EVENT_BLOCKING_SYNC));
		for (int i = 0; i < 40; i++) {
			seed = (uint32_t)i;
			LAUNCH(fill, 8, 128, 0, NULL, &p, &n, &seed);
			CU(cuEventRecord(i % 8 < 4 ? e : blocking, NULL));
			switch (i % 4) {
			case 0:
				CU(cuCtxSynchronize());
				break;
			case 1:
				CU(cuStreamSynchronize(NULL));
				break;
			default:
				CU(cuEventSynchronize(i % 8 < 4 ? e : blocking));
				break;
			}
			CU(cuEventQuery(i % 8 < 4 ? e : blocking));
			CU(cuCtxSynchronize());
		}
		download(words, p, sizeof(words));
		CHECK(words[999] == fill_value(39, 999), "the last launch is not seen");
		CU(cuCtxDestroy(ctx));
	}
	printf("flags: all right\n");
}

int main(void)
{
	struct launched l;
	CUmodule module;

	print_names();
	start();
	module = load(ptx_vector);
	l.fill = function(module, "fill");
	l.word = device_alloc(4);
	CU(cuStreamCreate(&l.s, CU_STREAM_NON_BLOCKING));
	print_attributes(&l);
	print_function(function(load(ptx_sync), "reverse"));
	print_limits();
	check_queries(l.s);
	check_queries(NULL);
	check_streams_in_turn();
	check_flags();
	finish();
	return 0;
}
