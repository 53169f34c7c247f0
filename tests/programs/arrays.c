/* SPDX-License-Identifier: MIT */
/* Arrays: descriptions, wrong arguments, copies of every kind against the same made by the CPU. */
#include "tests/programs/common.h"

enum place { PAGEABLE, PINNED, DEVICE, ARRAY, PLACES };
static const char *const place_name[] = {"pageable", "pinned", "device", "an array"};

/* nx texels, ny rows, nz slices or layers; 0: none of that dimension. */
struct shape {
	const char *name;
	CUarray_format format;
	unsigned int channels, texel, flags;
	size_t nx, ny, nz;
};

static const struct shape shapes[] = {
	{"bytes in a row", CU_AD_FORMAT_UNSIGNED_INT8, 1, 1, 0, 1000, 0, 0},
	{"half pairs", CU_AD_FORMAT_HALF, 2, 4, 0, 77, 33, 0},
	{"float quads", CU_AD_FORMAT_FLOAT, 4, 16, CUDA_ARRAY3D_SURFACE_LDST, 130, 70, 0},
	{"a wide image", CU_AD_FORMAT_FLOAT, 4, 16, 0, 20000, 9, 0},
	{"a box of shorts", CU_AD_FORMAT_SIGNED_INT16, 1, 2, 0, 31, 17, 9},
	{"layered rows", CU_AD_FORMAT_UNSIGNED_INT32, 1, 4, CUDA_ARRAY3D_LAYERED, 50, 0, 7},
	{"layers", CU_AD_FORMAT_SIGNED_INT8, 4, 4, CUDA_ARRAY3D_LAYERED, 40, 30, 5},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static size_t at_least_1(size_t n)
{
	return n ? n : 1;
}

static size_t row_bytes(const struct shape *s)
{
	return s->nx * s->texel;
}

static size_t bytes_of(const struct shape *s)
{
	return row_bytes(s) * at_least_1(s->ny) * at_least_1(s->nz);
}

static CUarray array_new(const struct shape *s)
{
	const CUDA_ARRAY3D_DESCRIPTOR d = {.Width = s->nx,
					   .Height = s->ny,
					   .Depth = s->nz,
					   .Format = s->format,
					   .NumChannels = s->channels,
					   .Flags = s->flags};
	CUDA_ARRAY3D_DESCRIPTOR e;
	CUDA_ARRAY_DESCRIPTOR f;
	CUarray a;

	CU(cuArray3DCreate(&a, &d));
	memset(&e, 0xa5, sizeof(e));
	CU(cuArray3DGetDescriptor(&e, a));
	CHECK(e.Width == d.Width && e.Height == d.Height && e.Depth == d.Depth &&
		      e.Format == d.Format && e.NumChannels == d.NumChannels && e.Flags == d.Flags,
	      "%s: another description", s->name);
	CU(cuArrayGetDescriptor(&f, a));
	CHECK(f.Width == d.Width && f.Height == d.Height && f.Format == d.Format &&
		      f.NumChannels == d.NumChannels,
	      "%s: another short description", s->name);
	return a;
}

/* Bytes that lie tightly, as wide as a shape, or an array of it. */
struct area {
	enum place place;
	uint8_t *host, *mirror;
	CUdeviceptr device;
	CUarray array;
};

static void copy_box(const struct shape *s, const struct area *to, const size_t to_at[3],
		     const struct area *from, const size_t from_at[3], const size_t size[3],
		     CUstream stream, int how);

static struct area area_new(const struct shape *s, enum place place, uint32_t seed)
{
	const size_t none[3] = {0}, all[3] = {row_bytes(s), at_least_1(s->ny), at_least_1(s->nz)};
	struct area a = {.place = place, .mirror = host_alloc(bytes_of(s))},
		    h = {.place = PAGEABLE};

	random_fill(a.mirror, bytes_of(s), seed);
	if (place == DEVICE) {
		a.device = upload(a.mirror, bytes_of(s));
	} else if (place == ARRAY) {
		a.array = array_new(s);
		h.host = a.mirror;
		copy_box(s, &a, none, &h, none, all, NULL, 0);
		CU(cuStreamSynchronize(NULL)); /* it may be on its way still */
	} else {
		if (place == PAGEABLE)
			a.host = host_alloc(bytes_of(s));
		else
			CU(cuMemHostAlloc((void **)&a.host, bytes_of(s), 0));
		memcpy(a.host, a.mirror, bytes_of(s));
	}
	return a;
}

static void area_free(struct area *a)
{
	if (a->place == DEVICE)
		CU(cuMemFree(a->device));
	else if (a->place == ARRAY)
		CU(cuArrayDestroy(a->array));
	else if (a->place == PINNED)
		CU(cuMemFreeHost(a->host));
	else
		free(a->host);
	free(a->mirror);
}

static CUmemorytype type_of(const struct area *a)
{
	return a->place == DEVICE  ? CU_MEMORYTYPE_DEVICE
	       : a->place == ARRAY ? CU_MEMORYTYPE_ARRAY
				   : CU_MEMORYTYPE_HOST;
}

/* how: 0 synchronous, 1 asynchronous, 2 by the two-dimensional call where that can do it */
static void copy_box(const struct shape *s, const struct area *to, const size_t to_at[3],
		     const struct area *from, const size_t from_at[3], const size_t size[3],
		     CUstream stream, int how)
{
	CUDA_MEMCPY3D c = {.srcXInBytes = from_at[0],
			   .srcY = from_at[1],
			   .srcZ = from_at[2],
			   .srcMemoryType = type_of(from),
			   .srcHost = from->host,
			   .srcDevice = from->device,
			   .srcArray = from->array,
			   .srcPitch = row_bytes(s),
			   .srcHeight = at_least_1(s->ny),
			   .dstXInBytes = to_at[0],
			   .dstY = to_at[1],
			   .dstZ = to_at[2],
			   .dstMemoryType = type_of(to),
			   .dstHost = to->host,
			   .dstDevice = to->device,
			   .dstArray = to->array,
			   .dstPitch = row_bytes(s),
			   .dstHeight = at_least_1(s->ny),
			   .WidthInBytes = size[0],
			   .Height = size[1],
			   .Depth = size[2]};
	const CUDA_MEMCPY2D d = {.srcXInBytes = from_at[0],
				 .srcY = from_at[1],
				 .srcMemoryType = type_of(from),
				 .srcHost = from->host,
				 .srcDevice = from->device,
				 .srcArray = from->array,
				 .srcPitch = row_bytes(s),
				 .dstXInBytes = to_at[0],
				 .dstY = to_at[1],
				 .dstMemoryType = type_of(to),
				 .dstHost = to->host,
				 .dstDevice = to->device,
				 .dstArray = to->array,
				 .dstPitch = row_bytes(s),
				 .WidthInBytes = size[0],
				 .Height = size[1]};

	if (how == 2 && size[2] == 1 && !to_at[2] && !from_at[2])
		CU(cuMemcpy2D(&d));
	else if (how == 1)
		CU(cuMemcpy3DAsync(&c, stream));
	else
		CU(cuMemcpy3D(&c));
}

static void mirror_box(const struct shape *s, struct area *to, const size_t to_at[3],
		       const struct area *from, const size_t from_at[3], const size_t size[3])
{
	const size_t pitch = row_bytes(s), slice = pitch * at_least_1(s->ny);

	for (size_t z = 0; z < size[2]; z++)
		for (size_t y = 0; y < size[1]; y++)
			memcpy(to->mirror + (to_at[2] + z) * slice + (to_at[1] + y) * pitch +
				       to_at[0],
			       from->mirror + (from_at[2] + z) * slice + (from_at[1] + y) * pitch +
				       from_at[0],
			       size[0]);
}

static void area_check(const struct shape *s, const struct area *a, const char *what)
{
	const size_t none[3] = {0}, all[3] = {row_bytes(s), at_least_1(s->ny), at_least_1(s->nz)};
	struct area got = {.place = PAGEABLE, .host = a->host};

	if (a->place >= DEVICE) {
		got.host = host_alloc(bytes_of(s));
		copy_box(s, &got, none, a, none, all, NULL, 0);
	}
	for (size_t i = 0; i < bytes_of(s); i++)
		CHECK(got.host[i] == a->mirror[i], "%s, %s: byte %zu of %zu is %02x, not %02x",
		      s->name, what, i, bytes_of(s), got.host[i], a->mirror[i]);
	if (a->place >= DEVICE)
		free(got.host);
}

static size_t below(struct random *r, size_t n)
{
	return random_next(r) % n;
}

static void check_copies(const struct shape *s, enum place to, enum place from, CUstream stream)
{
	struct random r = {.state = 7 + (uint64_t)to * 4 + (uint64_t)from};
	char what[80];

	for (int how = 0; how < 3; how++) {
		struct area a = area_new(s, to, 1), b = area_new(s, from, 2);
		const size_t size[3] = {(1 + below(&r, s->nx)) * s->texel,
					1 + below(&r, at_least_1(s->ny)),
					1 + below(&r, at_least_1(s->nz))};
		size_t at[2][3];

		for (int i = 0; i < 2; i++) {
			at[i][0] = below(&r, (row_bytes(s) - size[0]) / s->texel + 1) * s->texel;
			at[i][1] = below(&r, at_least_1(s->ny) - size[1] + 1);
			at[i][2] = below(&r, at_least_1(s->nz) - size[2] + 1);
		}
		snprintf(what, sizeof(what), "%s to %s, way %d", place_name[from], place_name[to],
			 how);
		copy_box(s, &a, at[0], &b, at[1], size, stream, how);
		if (how == 1)
			CU(cuStreamSynchronize(stream));
		mirror_box(s, &a, at[0], &b, at[1], size);
		area_check(s, &a, what);
		area_check(s, &b, what);
		area_free(&a);
		area_free(&b);
	}
}

/* The calls for arrays of one dimension. */
static void check_lines(CUstream stream)
{
	const CUDA_ARRAY_DESCRIPTOR d = {
		.Width = 500, .Format = CU_AD_FORMAT_UNSIGNED_INT16, .NumChannels = 1};
	uint8_t bytes[1000], got[1000];
	CUdeviceptr mem = device_alloc(1000);
	CUarray a, b, c;

	random_fill(bytes, sizeof(bytes), 3);
	CU(cuArrayCreate(&a, &d));
	CU(cuArrayCreate(&b, &d));
	CU(cuMemcpyHtoA(a, 0, bytes, 1000));
	CU(cuMemcpyAtoA(b, 200, a, 0, 800));
	CU(cuMemcpyAtoA(b, 0, a, 800, 200));
	CU(cuMemcpyAtoD(mem, b, 0, 1000));
	CU(cuMemcpyDtoA(a, 2, mem, 998));
	CU(cuMemcpyAtoH(got, a, 2, 998));
	CHECK(!memcmp(got, bytes + 800, 200) && !memcmp(got + 200, bytes, 798),
	      "other bytes after five copies");
	CU(cuMemcpyHtoAAsync(b, 10, bytes, 100, stream));
	CU(cuMemcpyAtoHAsync(got, b, 0, 1000, stream));
	CU(cuStreamSynchronize(stream));
	CHECK(!memcmp(got + 10, bytes, 100) && !memcmp(got, bytes + 800, 10),
	      "other bytes after asynchronous copies");
	CU(cuMemcpyHtoA(a, 1000, bytes, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(a, 2, bytes, 1000));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(a, 0, NULL, 100));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoA(a, 0, 0x1000, 100));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(NULL, 0, bytes, 100));
	if (handles_are_checked()) {
		/* Parts of elements, which NVIDIA's driver copies. */
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(a, 1, bytes, 100));
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(a, 0, bytes, 99));
		WANT(CUDA_ERROR_INVALID_HANDLE,
		     cuMemcpyAtoA(a, 0, (CUarray)(uintptr_t)4096, 0, 100));
	}
	CU(cuArrayCreate(&c, &(CUDA_ARRAY_DESCRIPTOR){500, 2, CU_AD_FORMAT_UNSIGNED_INT16, 1}));
	/* An array of two dimensions, of which NVIDIA's driver takes the first row. */
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoA(c, 0, bytes, 100));
	CU(cuArrayDestroy(c));
	CU(cuArrayDestroy(a));
	CU(cuArrayDestroy(b));
	CU(cuMemFree(mem));
	printf("lines: all right\n");
}

static void refuse(CUresult want, size_t nx, size_t ny, size_t nz, int format,
		   unsigned int channels, unsigned int flags)
{
	const CUDA_ARRAY3D_DESCRIPTOR d = {nx, ny, nz, (CUarray_format)format, channels, flags};
	CUarray a = NULL;
	const CUresult r = cuArray3DCreate(&a, &d);

	CHECK(r == want && !a, "%zux%zux%zu, format %#x, %u channels, flags %#x: %s, not %s", nx,
	      ny, nz, (unsigned int)format, channels, flags, result_name(r), result_name(want));
}

static void check_bad_handles(void)
{
	const CUDA_ARRAY3D_DESCRIPTOR good = {8, 8, 0, CU_AD_FORMAT_FLOAT, 1, 0};
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUDA_ARRAY_DESCRIPTOR e;
	CUarray a;

	WANT(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate(NULL, &good));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArray3DCreate(&a, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArrayCreate(&a, NULL));
	CU(cuArray3DCreate(&a, &good));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArray3DGetDescriptor(NULL, a));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArray3DGetDescriptor(&d, NULL));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayGetDescriptor(&e, (CUarray)(uintptr_t)0x1230));
	CU(cuArrayDestroy(a));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(a));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArray3DGetDescriptor(&d, a));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(NULL));
}

static void check_refusals(void)
{
	enum { BYTE = CU_AD_FORMAT_UNSIGNED_INT8 };

	refuse(CUDA_ERROR_INVALID_VALUE, 0, 0, 0, BYTE, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 0, 4, BYTE, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 0, BYTE, 1, CUDA_ARRAY3D_LAYERED);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 0, BYTE, 3, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 0, BYTE, 0, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 0, 0, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 0, BYTE, 1, 0x8000);
	refuse(CUDA_ERROR_INVALID_VALUE, 1 << 20, 1 << 20, 0, BYTE, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 1 << 18, 0, 0, BYTE, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 1 << 15, 16, 16, BYTE, 1, 0);
	refuse(CUDA_ERROR_INVALID_VALUE, 8, 8, 4000, BYTE, 1, CUDA_ARRAY3D_LAYERED);
	refuse(CUDA_ERROR_OUT_OF_MEMORY, 16384, 16384, 16384, CU_AD_FORMAT_FLOAT, 4, 0);
	if (handles_are_checked())
		check_bad_handles();
	printf("refusals: all right\n");
}

static void check_box_refusals(void)
{
	CUarray a = array_new(&shapes[4]); /* 31 x 17 x 9, two bytes */
	static uint8_t host[16384];
	const CUDA_MEMCPY3D good = {.srcMemoryType = CU_MEMORYTYPE_HOST,
				    .srcHost = host,
				    .srcPitch = 62,
				    .srcHeight = 17,
				    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
				    .dstArray = a,
				    .WidthInBytes = 62,
				    .Height = 17,
				    .Depth = 9};
	CUDA_MEMCPY3D c = good;

	CU(cuMemcpy3D(&c));
#define REFUSE(want, field, value)                                                                 \
	do {                                                                                       \
		c = good;                                                                          \
		c.field = value;                                                                   \
		WANT(want, cuMemcpy3D(&c));                                                        \
	} while (0)
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstXInBytes, 2);
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstY, 1);
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstZ, 1);
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstZ, SIZE_MAX);
	REFUSE(CUDA_ERROR_INVALID_VALUE, WidthInBytes, 61);
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstLOD, 1);
	REFUSE(CUDA_ERROR_INVALID_VALUE, dstArray, NULL);
	REFUSE(CUDA_ERROR_INVALID_VALUE, srcHost, NULL);
	REFUSE(CUDA_SUCCESS, Depth, 0);
	CU(cuArrayDestroy(a));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_HANDLE, cuMemcpy3D(&good));
	printf("refused copies: all right\n");
}

/* Arrays take memory, give it back, and go with their context. */
static void check_memory(void)
{
	const CUDA_ARRAY3D_DESCRIPTOR d = {1024, 1024, 16, CU_AD_FORMAT_FLOAT, 4, 0};
	size_t before, with, after, total;
	CUcontext own;
	CUarray a;

	CU(cuMemGetInfo(&before, &total));
	CU(cuArray3DCreate(&a, &d));
	CU(cuMemGetInfo(&with, &total));
	CHECK(before - with >= 255 << 20 && before - with < 320 << 20,
	      "an array of 256 MiB takes %zu", before - with);
	CU(cuArrayDestroy(a));
	CU(cuCtxSynchronize());
	for (int i = 0; i < 3; i++) { /* room for one at a time is enough */
		CU(cuCtxCreate(&own, NULL, 0, 0));
		CU(cuArray3DCreate(&a, &d));
		CU(cuCtxDestroy(own));
		if (handles_are_checked())
			WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(a));
	}
	for (int i = 0; i < 1000; i++) { /* frees are not waited for: the next ones see them */
		CU(cuMemGetInfo(&after, &total));
		if (after == before)
			break;
	}
	printf("memory: all right\n");
}

int main(void)
{
	CUstream stream;

	start();
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (size_t i = 0; i < SHAPES; i++) {
		for (int place = 0; place < PLACES; place++) {
			check_copies(&shapes[i], ARRAY, (enum place)place, stream);
			check_copies(&shapes[i], (enum place)place, ARRAY, stream);
		}
		printf("%s: all right\n", shapes[i].name);
	}
	check_lines(stream);
	check_refusals();
	check_box_refusals();
	check_memory();
	CU(cuStreamDestroy(stream));
	finish();
	return 0;
}
