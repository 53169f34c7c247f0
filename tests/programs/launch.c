/* SPDX-License-Identifier: MIT */
/* cuLaunchKernelEx, cooperative launches, dynamic shared memory, attributes and occupancy. */
#include "tests/programs/common.h"

PTX(ptx_sync);
PTX(ptx_matmul);

static int attribute(CUfunction_attribute which, CUfunction fn)
{
	int v = -1;

	CU(cuFuncGetAttribute(&v, which, fn));
	return v;
}

static int device_attribute(CUdevice_attribute which)
{
	int v = -1;

	CU(cuDeviceGetAttribute(&v, which, 0));
	return v;
}

static void check_ring(const uint32_t *words, uint32_t blocks, uint32_t rounds, const char *how)
{
	for (uint32_t i = 0; i < blocks; i++)
		CHECK(words[i] == rounds, "%s: block %u reached %u of %u", how, i, words[i],
		      rounds);
	printf("%s: %u blocks met %u times\n", how, blocks, 2 * rounds);
}

/* All blocks wait for each other, which a cooperative launch allows. */
static void check_cooperative(CUmodule module, CUstream s)
{
	enum { BLOCKS = 8 };
	CUfunction ring = function(module, "ring");
	uint32_t rounds = 5, words[BLOCKS];
	CUdeviceptr dwords = device_alloc(sizeof(words)), arrived = device_alloc(4);
	void *params[] = {&dwords, &arrived, &rounds};
	CUlaunchAttribute attribute_on = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
					  .value.cooperative = 1};
	CUlaunchConfig config = {.gridDimX = BLOCKS,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 64,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = s,
				 .attrs = &attribute_on,
				 .numAttrs = 1};
	int blocks, sms = device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);

	CHECK(device_attribute(CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH) == 1,
	      "no cooperative launches");
	for (int way = 0; way < 2; way++) {
		CU(cuMemsetD32Async(dwords, 0, BLOCKS, s));
		CU(cuMemsetD32Async(arrived, 0, 1, s));
		if (way)
			CU(cuLaunchKernelEx(&config, ring, params, NULL));
		else
			CU(cuLaunchCooperativeKernel(ring, BLOCKS, 1, 1, 64, 1, 1, 0, s, params));
		CU(cuStreamSynchronize(s));
		download(words, dwords, sizeof(words));
		check_ring(words, BLOCKS, rounds,
			   way ? "cooperative attribute" : "cooperative launch");
	}
	CU(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, ring, 64, 0));
	WANT(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	     cuLaunchCooperativeKernel(ring, (unsigned int)(blocks * sms + 1), 1, 1, 64, 1, 1, 0, s,
				       params));
	CU(cuStreamSynchronize(s));
	CU(cuMemFree(dwords));
	CU(cuMemFree(arrived));
}

static void check_shared(CUmodule module, CUstream s)
{
	CUfunction reverse = function(module, "reverse");
	uint32_t n = 15000, *words = host_alloc(2 * n * 4);
	int most = device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
	int usual = device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
	CUlaunchConfig config = {.gridDimX = 2,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 128,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = s,
				 .sharedMemBytes = n * 4};
	CUdeviceptr p;
	void *params[] = {&p, &n};

	CHECK((int)(n * 4) > usual && (int)(n * 4) <= most, "%d and %d bytes of shared memory",
	      usual, most);
	for (uint32_t i = 0; i < 2 * n; i++)
		words[i] = i;
	p = upload(words, 2 * n * 4);
	CHECK(attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, reverse) == usual,
	      "not the usual limit");
	WANT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernelEx(&config, reverse, params, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				most + 1));
	CU(cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
			      (int)(n * 4)));
	CHECK(attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, reverse) == (int)(n * 4),
	      "limit not kept");
	CU(cuLaunchKernelEx(&config, reverse, params, NULL));
	CU(cuStreamSynchronize(s));
	download(words, p, 2 * n * 4);
	for (uint32_t i = 0; i < 2 * n; i++)
		CHECK(words[i] == i / n * n + n - 1 - i % n, "word %u is %u", i, words[i]);
	printf("%u bytes of shared memory: all right\n", n * 4);
	CU(cuMemFree(p));
	free(words);
}

static void check_attributes(CUmodule sync, CUmodule matmul)
{
	CUfunction multiply = function(matmul, "matmul"), bounded = function(sync, "bounded");
	CUfunction private_array = function(sync, "private_array"), all[16];
	CUfunctionLoadingState state;
	unsigned int count;
	const char *name;
	CUmodule of;
	int regs;

	CHECK(attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, multiply) == 2 * 16 * 16 * 4,
	      "static shared memory");
	CHECK(attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, bounded) == 128,
	      "bounds are not kept");
	CHECK(attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, private_array) >= 256,
	      "local memory is not counted");
	regs = attribute(CU_FUNC_ATTRIBUTE_NUM_REGS, multiply);
	CHECK(regs > 0 && regs <= 255, "%d registers", regs);
	CHECK(attribute(CU_FUNC_ATTRIBUTE_PTX_VERSION, multiply) == 70, "PTX is for sm_70");
	CHECK(attribute(CU_FUNC_ATTRIBUTE_BINARY_VERSION, multiply) >= 70,
	      "made for something older");
	CU(cuFuncGetName(&name, multiply));
	CHECK(!strcmp(name, "matmul"), "the name is %s", name);
	CU(cuFuncGetModule(&of, multiply));
	CHECK(of == matmul, "the module is another");
	CU(cuFuncLoad(multiply));
	CU(cuFuncIsLoaded(&state, multiply));
	CHECK(state == CU_FUNCTION_LOADING_STATE_LOADED, "not loaded");
	CU(cuFuncSetCacheConfig(multiply, CU_FUNC_CACHE_PREFER_SHARED));
	CU(cuModuleGetFunctionCount(&count, sync));
	CHECK(count == 6, "%u functions", count);
	CU(cuModuleEnumerateFunctions(all, 16, sync));
	for (unsigned int i = 0; i < count; i++)
		CU(cuFuncGetName(&name, all[i]));
	printf("functions know their facts\n");
}

/* Each thread has an array of its own; blocks up to the bound are run. */
static void check_results(CUmodule module)
{
	enum { THREADS = 128, BLOCKS = 3 };
	uint32_t n = 5, stride = 3, want = 0, out[BLOCKS * THREADS];
	CUdeviceptr p = device_alloc(sizeof(out));

	for (uint32_t i = 0; i < 64; i += stride)
		want += i * n;
	LAUNCH(function(module, "private_array"), BLOCKS, THREADS, 0, NULL, &p, &n, &stride);
	download(out, p, sizeof(out));
	for (int i = 0; i < BLOCKS * THREADS; i++)
		CHECK(out[i] == want, "private array of thread %d: %u, not %u", i, out[i], want);
	LAUNCH(function(module, "bounded"), BLOCKS, THREADS, 0, NULL, &p);
	download(out, p, sizeof(out));
	for (int i = 0; i < BLOCKS * THREADS; i++)
		CHECK(out[i] == THREADS, "thread %d is of a block of %u", i, out[i]);
	CU(cuMemFree(p));
	printf("private arrays and full blocks: all right\n");
}

static size_t CUDA_CB shared_of_block(int block_size)
{
	return (size_t)block_size * 16;
}

static void check_occupancy(CUmodule module)
{
	CUfunction reverse = function(module, "reverse"), bounded = function(module, "bounded");
	int threads = device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
	int blocks, fewer, grid, block;
	size_t bytes;

	CU(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reverse, 128, 0));
	CHECK(blocks >= 1 && blocks <= threads / 128, "%d blocks of 128", blocks);
	CU(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&fewer, reverse, 128, 40000,
								CU_OCCUPANCY_DEFAULT));
	CHECK(fewer >= 1 && fewer <= blocks && fewer < 8, "%d blocks with much shared memory",
	      fewer);
	CU(cuOccupancyMaxPotentialBlockSize(&grid, &block, bounded, NULL, 0, 0));
	CHECK(grid >= 1 && block >= 32 && block <= 128, "%d blocks of %d", grid, block);
	CU(cuOccupancyMaxPotentialBlockSize(&grid, &block, reverse, shared_of_block, 0, 96));
	CHECK(grid >= 1 && block >= 32 && block <= 96, "%d blocks of %d", grid, block);
	CU(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, reverse, 2, 128));
	CHECK(bytes >= 1024, "%zu bytes for each of two blocks", bytes);
	printf("occupancy: all right\n");
}

int main(void)
{
	CUmodule sync, matmul;
	CUstream s;

	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	sync = load(ptx_sync);
	matmul = load(ptx_matmul);
	check_cooperative(sync, s);
	check_shared(sync, s);
	check_attributes(sync, matmul);
	check_results(sync);
	check_occupancy(sync);
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}
