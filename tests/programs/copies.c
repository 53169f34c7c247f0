/* SPDX-License-Identifier: MIT */
/*
 * Copies of every shape between pageable, pinned and device memory, with odd offsets, sizes and
 * pitches, against the same copy made by the CPU: bytes around the target must not change.
 */
#include "tests/programs/common.h"

enum place { PAGEABLE, PINNED, DEVICE, PLACES };
static const char *const place_name[] = {"pageable", "pinned", "device"};

/* An area of memory, and its expected contents, computed by the CPU. */
struct area {
	enum place place;
	size_t size;
	uint8_t *host, *mirror;
	CUdeviceptr device;
};

static struct area area_new(enum place place, size_t size, uint32_t seed)
{
	struct area a = {.place = place, .size = size, .mirror = host_alloc(size)};

	random_fill(a.mirror, size, seed);
	if (place == DEVICE) {
		a.device = upload(a.mirror, size);
		return a;
	}
	if (place == PAGEABLE)
		a.host = host_alloc(size);
	else
		CU(cuMemHostAlloc((void **)&a.host, size, 0));
	memcpy(a.host, a.mirror, size);
	return a;
}

static void area_free(struct area *a)
{
	if (a->place == DEVICE)
		CU(cuMemFree(a->device));
	else if (a->place == PINNED)
		CU(cuMemFreeHost(a->host));
	else
		free(a->host);
	free(a->mirror);
}

static void area_check(const struct area *a, const char *what)
{
	uint8_t *got = a->host;

	if (a->place == DEVICE) {
		got = host_alloc(a->size);
		download(got, a->device, a->size);
	}
	for (size_t i = 0; i < a->size; i++)
		CHECK(got[i] == a->mirror[i], "%s: byte %zu of %zu is %02x, not %02x", what, i,
		      a->size, got[i], a->mirror[i]);
	if (a->place == DEVICE)
		free(got);
}

static void copy_linear(const struct area *to, size_t to_at, const struct area *from,
			size_t from_at, size_t n, CUstream s, bool async)
{
	CUdeviceptr d = to->device + to_at, e = from->device + from_at;

	if (to->place == DEVICE && from->place == DEVICE)
		CU(async ? cuMemcpyDtoDAsync(d, e, n, s) : cuMemcpyDtoD(d, e, n));
	else if (to->place == DEVICE)
		CU(async ? cuMemcpyHtoDAsync(d, from->host + from_at, n, s)
			 : cuMemcpyHtoD(d, from->host + from_at, n));
	else if (from->place == DEVICE)
		CU(async ? cuMemcpyDtoHAsync(to->host + to_at, e, n, s)
			 : cuMemcpyDtoH(to->host + to_at, e, n));
	else /* host to host: by unified addresses */
		CU(async ? cuMemcpyAsync((CUdeviceptr)(to->host + to_at),
					 (CUdeviceptr)(from->host + from_at), n, s)
			 : cuMemcpy((CUdeviceptr)(to->host + to_at),
				    (CUdeviceptr)(from->host + from_at), n));
}

static void check_linear(enum place to, enum place from, size_t big, CUstream s)
{
	const size_t sizes[] = {1, 3, 4, 63, 4095, 4096, 4097, 65537, big};
	const size_t gap = 41;
	char what[80];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int async = 0; async < 2; async++) {
			struct area b = area_new(from, sizes[i] + 2 * gap, (uint32_t)i + 1);
			struct area a = area_new(to, sizes[i] + 2 * gap, (uint32_t)i + 100);

			snprintf(what, sizeof(what), "%s to %s, %zu bytes%s", place_name[from],
				 place_name[to], sizes[i], async ? ", asynchronous" : "");
			copy_linear(&a, gap, &b, 7, sizes[i], s, async);
			if (async)
				CU(cuStreamSynchronize(s));
			memcpy(a.mirror + gap, b.mirror + 7, sizes[i]);
			area_check(&a, what);
			area_check(&b, what);
			area_free(&a);
			area_free(&b);
		}
	}
}

struct box {
	size_t width, height, depth;
	size_t to_pitch, to_rows, to_x, to_y, to_z;
	size_t from_pitch, from_rows, from_x, from_y, from_z;
};

static void mirror_box(struct area *to, const struct area *from, const struct box *b)
{
	for (size_t z = 0; z < b->depth; z++)
		for (size_t y = 0; y < b->height; y++)
			memcpy(to->mirror +
				       ((b->to_z + z) * b->to_rows + b->to_y + y) * b->to_pitch +
				       b->to_x,
			       from->mirror +
				       ((b->from_z + z) * b->from_rows + b->from_y + y) *
					       b->from_pitch +
				       b->from_x,
			       b->width);
}

static void copy_2d(const struct area *to, const struct area *from, const struct box *b, CUstream s,
		    int how)
{
	CUDA_MEMCPY2D c = {
		.srcXInBytes = b->from_x,
		.srcY = b->from_y,
		.srcPitch = b->from_pitch,
		.srcMemoryType = from->place == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
		.srcHost = from->host,
		.srcDevice = from->device,
		.dstXInBytes = b->to_x,
		.dstY = b->to_y,
		.dstPitch = b->to_pitch,
		.dstMemoryType = to->place == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
		.dstHost = to->host,
		.dstDevice = to->device,
		.WidthInBytes = b->width,
		.Height = b->height,
	};

	if (how == 0)
		CU(cuMemcpy2D(&c));
	else if (how == 1)
		CU(cuMemcpy2DAsync(&c, s));
	else
		CU(cuMemcpy2DUnaligned(&c));
}

static void copy_3d(const struct area *to, const struct area *from, const struct box *b, CUstream s,
		    int how)
{
	CUDA_MEMCPY3D c = {
		.srcXInBytes = b->from_x,
		.srcY = b->from_y,
		.srcZ = b->from_z,
		.srcPitch = b->from_pitch,
		.srcHeight = b->from_rows,
		.srcMemoryType = from->place == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
		.srcHost = from->host,
		.srcDevice = from->device,
		.dstXInBytes = b->to_x,
		.dstY = b->to_y,
		.dstZ = b->to_z,
		.dstPitch = b->to_pitch,
		.dstHeight = b->to_rows,
		.dstMemoryType = to->place == DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
		.dstHost = to->host,
		.dstDevice = to->device,
		.WidthInBytes = b->width,
		.Height = b->height,
		.Depth = b->depth,
	};

	if (how == 2 &&
	    from->place == PINNED) { /* a unified address: the driver finds the kind of memory */
		c.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
		c.srcDevice = (CUdeviceptr)from->host;
		c.srcHost = NULL;
	}
	if (how == 1)
		CU(cuMemcpy3DAsync(&c, s));
	else
		CU(cuMemcpy3D(&c));
}

static void check_boxes(enum place to, enum place from, CUstream s)
{
	static const struct box boxes[] = {
		{1, 1, 1, 8, 1, 0, 0, 0, 8, 1, 0, 0, 0},
		{64, 7, 1, 64, 7, 0, 0, 0, 64, 7, 0, 0, 0},
		{61, 9, 1, 77, 12, 3, 2, 0, 93, 11, 5, 1, 0},
		{700, 33, 1, 1024, 40, 11, 4, 0, 701, 33, 0, 0, 0},
		{31, 5, 4, 40, 9, 2, 1, 1, 33, 6, 1, 1, 2},
		{512, 16, 8, 512, 16, 0, 0, 0, 640, 20, 128, 4, 1},
	};
	char what[80];

	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++) {
		const struct box *b = &boxes[i];

		for (int how = 0; how < 3; how++) {
			struct area x = area_new(
				from, b->from_pitch * b->from_rows * (b->depth + b->from_z), 5);
			struct area y =
				area_new(to, b->to_pitch * b->to_rows * (b->depth + b->to_z), 6);

			snprintf(what, sizeof(what), "%s to %s, box %zu, way %d", place_name[from],
				 place_name[to], i, how);
			if (b->depth == 1)
				copy_2d(&y, &x, b, s, how);
			else
				copy_3d(&y, &x, b, s, how);
			CU(cuStreamSynchronize(s));
			mirror_box(&y, &x, b);
			area_check(&y, what);
			area_free(&x);
			area_free(&y);
		}
	}
}

/* cuMemAllocPitch's rows, filled by a 2-D copy and read back. */
static void check_pitched(void)
{
	enum { WIDTH = 130, HEIGHT = 21 };
	uint8_t in[WIDTH * HEIGHT], out[WIDTH * HEIGHT];
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = in,
			   .srcPitch = WIDTH,
			   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			   .WidthInBytes = WIDTH,
			   .Height = HEIGHT};
	CUDA_MEMCPY2D back = {.dstMemoryType = CU_MEMORYTYPE_HOST,
			      .dstHost = out,
			      .dstPitch = WIDTH,
			      .srcMemoryType = CU_MEMORYTYPE_DEVICE,
			      .WidthInBytes = WIDTH,
			      .Height = HEIGHT};
	CUdeviceptr p;
	size_t pitch;

	CU(cuMemAllocPitch(&p, &pitch, WIDTH, HEIGHT, 4));
	CHECK(pitch >= WIDTH && pitch % 4 == 0, "the pitch is %zu", pitch);
	random_fill(in, sizeof(in), 8);
	c.dstDevice = back.srcDevice = p;
	c.dstPitch = back.srcPitch = pitch;
	CU(cuMemcpy2D(&c));
	CU(cuMemcpy2D(&back));
	CHECK(!memcmp(in, out, sizeof(in)), "a pitched area changes what is in it");
	CU(cuMemFree(p));
}

/* Copies and fills end with the allocation, however much is mapped for it. */
static void check_ends(void)
{
	static const size_t sizes[] = {1, 100, 512, 513, 5000, (1 << 20) - 700, (3 << 20) + 9};
	CUdeviceptr p;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *in = host_alloc(sizes[i] + 1);

		CU(cuMemAlloc(&p, sizes[i]));
		random_fill(in, sizes[i] + 1, (uint32_t)i);
		CU(cuMemcpyHtoD(p, in, sizes[i]));
		CU(cuMemsetD8(p, 7, sizes[i]));
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p, in, sizes[i] + 1));
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(in, p, sizes[i] + 1));
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(p, 7, sizes[i] + 1));
		CU(cuMemFree(p));
		free(in);
	}
}

/* Peer copies, which between contexts of one device are plain copies. */
static void check_peer(CUstream s)
{
	struct area a = area_new(DEVICE, 1000, 1), b = area_new(DEVICE, 1000, 2);
	CUDA_MEMCPY3D_PEER c = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
				.srcPitch = 10,
				.srcHeight = 10,
				.dstMemoryType = CU_MEMORYTYPE_DEVICE,
				.dstPitch = 10,
				.dstHeight = 10,
				.WidthInBytes = 5,
				.Height = 4,
				.Depth = 2};
	CUcontext ctx;

	CU(cuCtxGetCurrent(&ctx));
	CU(cuMemcpyPeer(b.device + 1, ctx, a.device + 2, ctx, 500));
	memcpy(b.mirror + 1, a.mirror + 2, 500);
	CU(cuMemcpyPeerAsync(b.device + 700, ctx, a.device + 100, ctx, 30, s));
	CU(cuStreamSynchronize(s));
	memcpy(b.mirror + 700, a.mirror + 100, 30);
	c.srcDevice = b.device;
	c.dstDevice = a.device;
	CU(cuMemcpy3DPeer(&c)); /* of no context that is named */
	c.srcContext = c.dstContext = ctx;
	CU(cuMemcpy3DPeer(&c));
	for (size_t z = 0; z < 2; z++)
		for (size_t y = 0; y < 4; y++)
			memcpy(a.mirror + z * 100 + y * 10, b.mirror + z * 100 + y * 10, 5);
	area_check(&a, "peer box");
	area_check(&b, "peer");
	area_free(&a);
	area_free(&b);
}

int main(int argc, char **argv)
{
	size_t big = argument(argc, argv, 1, (3 << 20) + 5);
	CUstream s;

	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (enum place to = 0; to < PLACES; to++) {
		for (enum place from = 0; from < PLACES; from++) {
			check_linear(to, from, big, s);
			check_boxes(to, from, s);
			printf("%s to %s: all right\n", place_name[from], place_name[to]);
		}
	}
	check_pitched();
	check_ends();
	check_peer(s);
	printf("pitched and peer copies: all right\n");
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}
