/* SPDX-License-Identifier: MIT */
/*
 * Pinned memory in quantity, more than the arena of a small vGPU has
 * (tests/integration/pinned_test.py): all of it counts as pinned, and copies from and to it keep
 * their stream's order.
 *
 *   pinned_many [BYTES]
 *   pinned_many held      end with copies in a stream that a host function holds for ever
 */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { PIECE = 3 << 20, MOST = 256 };

static uint32_t *piece[MOST];
static unsigned int pieces;

static void allocate(size_t bytes)
{
	for (; pieces < MOST && (size_t)pieces * PIECE < bytes; pieces++) {
		const unsigned int flags = pieces % 2 ? CU_MEMHOSTALLOC_PORTABLE : 0;

		CU(cuMemHostAlloc((void **)&piece[pieces], PIECE, flags));
		memset(piece[pieces], 0x11, PIECE);
	}
	printf("%u pieces of pinned memory\n", pieces);
}

/* Memory that is to be mapped has a device address, or is refused. */
static void check_mapped(size_t bytes)
{
	CUdeviceptr p;
	CUresult r;
	int can;

	CU(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	for (; can && pieces < MOST && (size_t)pieces * PIECE < bytes; pieces++) {
		r = cuMemHostAlloc((void **)&piece[pieces], PIECE, CU_MEMHOSTALLOC_DEVICEMAP);
		if (r == CUDA_ERROR_OUT_OF_MEMORY)
			break;
		CU(r);
		CU(cuMemHostGetDevicePointer(&p, piece[pieces], 0));
	}
	while (pieces)
		CU(cuMemFreeHost(piece[--pieces]));
	printf("mapped memory: all right\n");
}

static void check_known(const void *p)
{
	CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
				       CU_POINTER_ATTRIBUTE_RANGE_SIZE};
	unsigned int type = 0, flags = 77;
	size_t size = 0;

	CU(cuPointerGetAttributes(2, which, (void *[]){&type, &size}, (CUdeviceptr)p));
	CHECK(type == CU_MEMORYTYPE_HOST && size >= PIECE, "type %u, %zu bytes", type, size);
	CU(cuMemHostGetFlags(&flags, (void *)p));
	CHECK(flags <= (CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP), "flags %u", flags);
}

static void CUDA_CB write_late(void *arg)
{
	uint32_t *words = arg;

	for (uint32_t i = 0; i < PIECE / 4; i++)
		words[i] = fill_value(5, i);
}

/* What a stream does in between is seen: a copy does not read before its turn, nor write after it.
 */
static void check_order(uint32_t *words, CUstream s, CUmodule module, CUdeviceptr dev)
{
	uint32_t n = PIECE / 4, seed = 5, wrong = 0;
	CUdeviceptr dwrong = device_alloc(4);

	CU(cuMemsetD32(dwrong, 0, 1));
	CU(cuLaunchHostFunc(s, write_late, words));
	CU(cuMemcpyHtoDAsync(dev, words, PIECE, s));
	LAUNCH(function(module, "verify"), 8, 128, 0, s, &dev, &n, &seed, &dwrong);
	seed = 9;
	LAUNCH(function(module, "fill"), 8, 128, 0, s, &dev, &n, &seed);
	CU(cuMemcpyDtoHAsync(words, dev, PIECE, s));
	CU(cuMemsetD32Async(dev, 3, n, s));
	CU(cuStreamSynchronize(s));
	download(&wrong, dwrong, 4);
	CHECK(!wrong, "%u words were read too early", wrong);
	for (uint32_t i = 0; i < n; i++)
		CHECK(words[i] == fill_value(9, i), "word %u is %x", i, words[i]);
	CU(cuMemFree(dwrong));
}

static void check_kinds(uint32_t *a, uint32_t *b, CUdeviceptr dev)
{
	const CUdeviceptr ua = (CUdeviceptr)a, ub = (CUdeviceptr)b;
	CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			     .srcHost = a,
			     .srcPitch = 1024,
			     .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			     .dstDevice = dev,
			     .dstPitch = 512,
			     .WidthInBytes = 300,
			     .Height = 1000};

	CU(cuMemsetD32(ua, 0x01020304, PIECE / 4));
	CU(cuMemcpy(ub, ua, PIECE));
	CU(cuCtxSynchronize());
	CHECK(!memcmp(a, b, PIECE) && a[PIECE / 4 - 1] == 0x01020304, "a fill and a copy differ");
	CU(cuMemsetD2D8(ua, 1024, 9, 300, 1000));
	CU(cuMemcpy2D(&box));
	CU(cuMemcpyDtoH(b, dev, 512 * 999 + 300));
	for (int y = 0; y < 1000; y++)
		CHECK(!memcmp((char *)b + 512 * y, (char *)a + 1024 * y, 300), "line %d differs",
		      y);
	CU(cuMemcpyDtoD(dev, ua, PIECE));
	CU(cuMemcpyDtoD(ub, dev, PIECE));
	CU(cuCtxSynchronize());
	CHECK(!memcmp(a, b, PIECE), "copies between device and pinned memory differ");
}

/* The process ends before the copies' turn comes: nothing waits for them. */
static NORETURN void end_held(void)
{
	void *memory =
		mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static struct gate gate;
	CUdeviceptr dev;
	CUstream s;

	start();
	dev = device_alloc(PIECE);
	CHECK(memory != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(memory, PIECE, 0));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuMemcpyHtoDAsync(dev, memory, PIECE, s));
	gate_close(&gate, s);
	CU(cuMemcpyDtoHAsync(memory, dev, PIECE, s));
	CU(cuMemcpyHtoDAsync(dev, memory, PIECE, s));
	printf("copies under way\n");
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	CUmodule module;
	CUdeviceptr dev;
	size_t bytes;
	CUstream s;

	if (argc > 1 && !strcmp(argv[1], "held"))
		end_held();
	bytes = argument(argc, argv, 1, 4 * PIECE);
	start();
	module = load(ptx_vector);
	dev = device_alloc(PIECE);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	allocate(bytes);
	for (unsigned int i = 0; i < pieces; i++)
		check_known(piece[i]);
	for (unsigned int i = 0; i<pieces; i += pieces> 8 ? pieces / 8 : 1)
		check_order(piece[i], s, module, dev);
	check_kinds(piece[0], piece[pieces - 1], dev);
	check_kinds(piece[pieces - 1], piece[pieces - 2], dev);
	printf("copies and fills are right\n");
	for (unsigned int i = 0; i < pieces; i++)
		CU(cuMemFreeHost(piece[i]));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(piece[0]));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(piece[pieces - 1]));
	CU(cuMemHostAlloc((void **)&piece[0], PIECE, 0));
	CU(cuMemFreeHost(piece[0]));
	pieces = 0;
	check_mapped(bytes);
	CU(cuStreamDestroy(s));
	CU(cuMemFree(dev));
	finish();
	return 0;
}
