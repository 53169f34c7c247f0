/* SPDX-License-Identifier: MIT */
/* Textures and surfaces: what fetches give, against the programming guide's formulas; wrong
 * arguments; objects that go while kernels use them. */
#include "tests/programs/common.h"

#include <math.h>

PTX(ptx_texture);

enum { NX = 37, NY = 23, PITCH = 64, PLACES = 512 };

static CUmodule module;

struct four {
	float v[4];
};

static CUarray image_array(const void *bytes, size_t texel, CUarray_format format,
			   unsigned int channels, unsigned int flags)
{
	const CUDA_ARRAY3D_DESCRIPTOR d = {NX, NY, 0, format, channels, flags};
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = bytes,
			   .srcPitch = NX * texel,
			   .dstMemoryType = CU_MEMORYTYPE_ARRAY,
			   .WidthInBytes = NX * texel,
			   .Height = NY};

	CU(cuArray3DCreate(&c.dstArray, &d));
	CU(cuMemcpy2D(&c));
	return c.dstArray;
}

static size_t resource_bytes(const CUDA_RESOURCE_DESC *r)
{
	switch (r->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		return sizeof(r->res.array);
	case CU_RESOURCE_TYPE_LINEAR:
		return sizeof(r->res.linear);
	default:
		return sizeof(r->res.pitch2D);
	}
}

static CUtexObject texture(const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t)
{
	/* What a description has no use for is not written. */
	CUDA_RESOURCE_DESC r2 = {0};
	CUDA_TEXTURE_DESC t2 = {0};
	CUtexObject tex = 0;

	CU(cuTexObjectCreate(&tex, r, t, NULL));
	CU(cuTexObjectGetResourceDesc(&r2, tex));
	CU(cuTexObjectGetTextureDesc(&t2, tex));
	CHECK(r2.resType == r->resType && r2.flags == r->flags &&
		      !memcmp(&r2.res, &r->res, resource_bytes(r)),
	      "a texture of a resource of type %d was made of another: type %d, flags %u",
	      r->resType, r2.resType, r2.flags);
	CHECK(t2.filterMode == t->filterMode && t2.flags == t->flags &&
		      !memcmp(t2.addressMode, t->addressMode, sizeof(t2.addressMode)) &&
		      !memcmp(t2.borderColor, t->borderColor, sizeof(t2.borderColor)),
	      "a texture is read otherwise: filter %d, flags %u, modes %d %d %d, border %g",
	      t2.filterMode, t2.flags, t2.addressMode[0], t2.addressMode[1], t2.addressMode[2],
	      (double)t2.borderColor[0]);
	return tex;
}

/* The pixel of an image of one channel; values are multiples of 1/255, the border's, too. */
static double pixel(const uint8_t *image, int64_t x, int64_t y, const CUDA_TEXTURE_DESC *t)
{
	const bool is_normalized = t->flags & CU_TRSF_NORMALIZED_COORDINATES;
	const int64_t n[2] = {NX, NY};
	int64_t k[2] = {x, y};

	for (int i = 0; i < 2; i++) {
		if (k[i] >= 0 && k[i] < n[i])
			continue;
		if (t->addressMode[i] == CU_TR_ADDRESS_MODE_BORDER)
			return round((double)t->borderColor[0] * 255) / 255;
		if (t->addressMode[i] == CU_TR_ADDRESS_MODE_WRAP && is_normalized) {
			k[i] = (k[i] % n[i] + n[i]) % n[i];
		} else if (t->addressMode[i] == CU_TR_ADDRESS_MODE_MIRROR && is_normalized) {
			k[i] = (k[i] % (2 * n[i]) + 2 * n[i]) % (2 * n[i]);
			k[i] = k[i] < n[i] ? k[i] : 2 * n[i] - 1 - k[i];
		} else {
			k[i] = k[i] < 0 ? 0 : n[i] - 1;
		}
	}
	return image[k[1] * NX + k[0]] / 255.0;
}

static double sampled(const uint8_t *image, double x, double y, const CUDA_TEXTURE_DESC *t)
{
	double a, b;
	int64_t i, j;

	if (t->flags & CU_TRSF_NORMALIZED_COORDINATES) {
		x *= NX;
		y *= NY;
	}
	if (t->filterMode == CU_TR_FILTER_MODE_POINT)
		return pixel(image, (int64_t)floor(x), (int64_t)floor(y), t);
	x -= 0.5;
	y -= 0.5;
	i = (int64_t)floor(x);
	j = (int64_t)floor(y);
	a = floor((x - (double)i) * 256 + 0.5) / 256;
	b = floor((y - (double)j) * 256 + 0.5) / 256;
	return (1 - a) * (1 - b) * pixel(image, i, j, t) + a * (1 - b) * pixel(image, i + 1, j, t) +
	       (1 - a) * b * pixel(image, i, j + 1, t) + a * b * pixel(image, i + 1, j + 1, t);
}

static void check_fetches(const char *name, const CUDA_RESOURCE_DESC *r, const uint8_t *image)
{
	static const CUaddress_mode modes[] = {CU_TR_ADDRESS_MODE_WRAP, CU_TR_ADDRESS_MODE_CLAMP,
					       CU_TR_ADDRESS_MODE_MIRROR,
					       CU_TR_ADDRESS_MODE_BORDER};
	CUfunction fn = function(module, "tex_2d");
	CUdeviceptr out = device_alloc(PLACES * sizeof(struct four)), at;
	struct four *got = host_alloc(PLACES * sizeof(*got));
	float places[PLACES][2];
	uint32_t n = PLACES;

	for (unsigned int way = 0; way < 16; way++) {
		CUDA_TEXTURE_DESC t = {.addressMode = {modes[way % 4], modes[(way + way / 4) % 4]},
				       .filterMode = way & 4 ? CU_TR_FILTER_MODE_LINEAR
							     : CU_TR_FILTER_MODE_POINT,
				       .flags = way & 8 ? CU_TRSF_NORMALIZED_COORDINATES : 0,
				       .borderColor = {0.25f, 0, 0, 0}};
		CUtexObject tex = texture(r, &t);

		/* Places that are exact, and away from where rounding would decide. */
		for (int i = 0; i < PLACES; i++) {
			const float f = way & 8 ? 64 : 1;

			places[i][0] = ((float)(i * 97 % 1700) / 16 - 32 + 1.0f / 32) / f;
			places[i][1] = ((float)(i * 61 % 1100) / 16 - 20 + 1.0f / 32) / f;
		}
		at = upload(places, sizeof(places));
		LAUNCH(fn, 4, 64, 0, NULL, &out, &tex, &at, &n);
		CU(cuTexObjectDestroy(tex)); /* the launch may not have begun */
		download(got, out, PLACES * sizeof(*got));
		CU(cuMemFree(at));
		for (int i = 0; i < PLACES; i++) {
			const double want =
				sampled(image, (double)places[i][0], (double)places[i][1], &t);

			CHECK(fabs((double)got[i].v[0] - want) < 1.0 / 100,
			      "%s, way %u, (%g, %g): %g, not %g", name, way, (double)places[i][0],
			      (double)places[i][1], (double)got[i].v[0], want);
			CHECK(t.filterMode == CU_TR_FILTER_MODE_LINEAR ||
				      fabs((double)got[i].v[0] - want) < 1e-6,
			      "%s, way %u, (%g, %g): %.9g, not %.9g", name, way,
			      (double)places[i][0], (double)places[i][1], (double)got[i].v[0],
			      want);
		}
	}
	CU(cuMemFree(out));
	free(got);
	printf("%s: fetches are right\n", name);
}

static void check_2d(const uint8_t *image)
{
	static uint8_t rows[NY * PITCH];
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY};
	CUdeviceptr mem;

	r.res.array.hArray = image_array(image, 1, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0);
	check_fetches("an array", &r, image);
	CU(cuArrayDestroy(r.res.array.hArray));
	for (int y = 0; y < NY; y++)
		memcpy(rows + (size_t)y * PITCH, image + (size_t)y * NX, NX);
	mem = upload(rows, sizeof(rows));
	memset(&r, 0, sizeof(r));
	r.resType = CU_RESOURCE_TYPE_PITCH2D;
	r.res.pitch2D.devPtr = mem;
	r.res.pitch2D.format = CU_AD_FORMAT_UNSIGNED_INT8;
	r.res.pitch2D.numChannels = 1;
	r.res.pitch2D.width = NX;
	r.res.pitch2D.height = NY;
	r.res.pitch2D.pitchInBytes = PITCH;
	check_fetches("pitched memory", &r, image);
	CU(cuMemFree(mem));
}

/* Bytes that come back as integers are filtered, too: scalers of video rely on it. */
static void check_integers(const uint8_t *image)
{
	const CUDA_TEXTURE_DESC t = {
		.addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP},
		.filterMode = CU_TR_FILTER_MODE_LINEAR,
		.flags = CU_TRSF_READ_AS_INTEGER};
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY};
	CUdeviceptr out = device_alloc((size_t)PLACES * 16), at;
	static uint32_t got[PLACES][4];
	float places[PLACES][2];
	uint32_t n = PLACES;
	CUtexObject tex;

	for (int i = 0; i < PLACES; i++) {
		places[i][0] = (float)(i * 97 % 592) / 16 + 1.0f / 32;
		places[i][1] = (float)(i * 61 % 368) / 16 + 1.0f / 32;
	}
	r.res.array.hArray = image_array(image, 1, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0);
	tex = texture(&r, &t);
	at = upload(places, sizeof(places));
	LAUNCH(function(module, "tex_2d_words"), 4, 64, 0, NULL, &out, &tex, &at, &n);
	download(got, out, sizeof(got));
	for (int i = 0; i < PLACES; i++) {
		const double want =
			255 * sampled(image, (double)places[i][0], (double)places[i][1], &t);

		CHECK(fabs(got[i][0] - want) < 2, "integers, (%g, %g): %u, not %g",
		      (double)places[i][0], (double)places[i][1], got[i][0], want);
	}
	CU(cuTexObjectDestroy(tex));
	CU(cuArrayDestroy(r.res.array.hArray));
	CU(cuMemFree(at));
	CU(cuMemFree(out));
	printf("integers are filtered\n");
}

/* Texels of four bytes, by number, and what lies outside. */
static void check_line(void)
{
	const CUDA_TEXTURE_DESC t = {.flags = CU_TRSF_READ_AS_INTEGER};
	enum { N = 1000, FIRST = -20, ALL = N + 40 };
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_LINEAR};
	CUdeviceptr mem, out = device_alloc(ALL * 16);
	static uint32_t got[ALL][4];
	static uint8_t bytes[N * 4];
	int first = FIRST;
	uint32_t n = ALL;
	CUtexObject tex;

	random_fill(bytes, sizeof(bytes), 5);
	mem = upload(bytes, sizeof(bytes));
	r.res.linear.devPtr = mem;
	r.res.linear.format = CU_AD_FORMAT_UNSIGNED_INT8;
	r.res.linear.numChannels = 4;
	r.res.linear.sizeInBytes = sizeof(bytes);
	tex = texture(&r, &t);
	LAUNCH(function(module, "tex_line"), 3, 96, 0, NULL, &out, &tex, &first, &n);
	download(got, out, sizeof(got));
	for (int i = 0; i < ALL; i++)
		for (int c = 0; c < 4; c++) {
			const int k = i + FIRST;
			const uint32_t want = k < 0 || k >= N ? 0 : bytes[4 * k + c];

			CHECK(got[i][c] == want, "texel %d, channel %d: %u, not %u", k, c,
			      got[i][c], want);
		}
	CU(cuTexObjectDestroy(tex));
	CU(cuMemFree(out));
	CU(cuMemFree(mem));
	printf("a line: fetches are right\n");
}

static void check_box(unsigned int flags, const char *kernel)
{
	enum { W = 9, H = 7, D = 5 };
	const CUDA_ARRAY3D_DESCRIPTOR d = {W, H, D, CU_AD_FORMAT_SIGNED_INT16, 2, flags};
	const CUDA_TEXTURE_DESC t = {.flags = CU_TRSF_READ_AS_INTEGER};
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY};
	static int16_t texels[W * H * D][2];
	static int32_t got[W * H * D][4];
	CUDA_MEMCPY3D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = texels,
			   .srcPitch = (size_t)W * 4,
			   .srcHeight = H,
			   .dstMemoryType = CU_MEMORYTYPE_ARRAY,
			   .WidthInBytes = (size_t)W * 4,
			   .Height = H,
			   .Depth = D};
	CUdeviceptr out = device_alloc(sizeof(got));
	uint32_t nx = W, ny = H, nz = D;
	CUtexObject tex;

	random_fill(texels, sizeof(texels), flags);
	CU(cuArray3DCreate(&c.dstArray, &d));
	CU(cuMemcpy3D(&c));
	r.res.array.hArray = c.dstArray;
	tex = texture(&r, &t);
	LAUNCH(function(module, kernel), 2, 64, 0, NULL, &out, &tex, &nx, &ny, &nz);
	download(got, out, sizeof(got));
	for (int i = 0; i < W * H * D; i++)
		CHECK(got[i][0] == texels[i][0] && got[i][1] == texels[i][1],
		      "%s, texel %d: (%d, %d), not (%d, %d)", kernel, i, got[i][0], got[i][1],
		      texels[i][0], texels[i][1]);
	CU(cuTexObjectDestroy(tex));
	CU(cuArrayDestroy(c.dstArray));
	CU(cuMemFree(out));
	printf("%s: fetches are right\n", kernel);
}

static void check_surfaces(void)
{
	static uint32_t words[NX * NY], got[NX * NY];
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY}, r2;
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
			   .dstMemoryType = CU_MEMORYTYPE_HOST,
			   .dstHost = got,
			   .dstPitch = NX * 4,
			   .WidthInBytes = NX * 4,
			   .Height = NY};
	CUarray array[2];
	CUsurfObject surface[2];
	uint32_t nx = NX + 3, ny = NY + 2; /* some of it is outside */

	random_fill(words, sizeof(words), 9);
	for (int i = 0; i < 2; i++) {
		array[i] = image_array(words, 4, CU_AD_FORMAT_UNSIGNED_INT32, 1,
				       CUDA_ARRAY3D_SURFACE_LDST);
		r.res.array.hArray = array[i];
		CU(cuSurfObjectCreate(&surface[i], &r));
		CU(cuSurfObjectGetResourceDesc(&r2, surface[i]));
		CHECK(r2.resType == CU_RESOURCE_TYPE_ARRAY && r2.res.array.hArray == array[i],
		      "a surface was made of something else");
	}
	LAUNCH(function(module, "surf_2d"), 4, 64, 0, NULL, &surface[0], &surface[1], &nx, &ny);
	CU(cuSurfObjectDestroy(surface[0]));
	CU(cuSurfObjectDestroy(surface[1]));
	c.srcArray = array[0];
	CU(cuMemcpy2D(&c));
	for (uint32_t i = 0; i < NX * NY; i++)
		CHECK(got[i] == words[i] * 3 + i % NX + i / NX, "surface, word %u: %u", i, got[i]);
	if (handles_are_checked()) {
		WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectDestroy(surface[0]));
		WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectGetResourceDesc(&r2, surface[0]));
	}
	CU(cuArrayDestroy(array[0]));
	CU(cuArrayDestroy(array[1]));
	r.res.array.hArray = image_array(words, 4, CU_AD_FORMAT_UNSIGNED_INT32, 1, 0);
	WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectCreate(&surface[0], &r)); /* not made for it */
	CU(cuArrayDestroy(r.res.array.hArray));
	if (handles_are_checked()) {
		WANT(CUDA_ERROR_INVALID_HANDLE, cuSurfObjectCreate(&surface[0], &r));
		WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectCreate(&surface[0], NULL));
		WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectCreate(NULL, &r));
	}
	printf("surfaces are right\n");
}

/* An image turned, 50 times: a texture of its own for each frame, as video filters do. */
static void check_frames(const uint8_t *image)
{
	CUdeviceptr out = device_alloc(NX * NY * sizeof(float));
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY};
	const CUDA_TEXTURE_DESC t = {
		.addressMode = {CU_TR_ADDRESS_MODE_WRAP, CU_TR_ADDRESS_MODE_WRAP},
		.filterMode = CU_TR_FILTER_MODE_LINEAR,
		.flags = CU_TRSF_NORMALIZED_COORDINATES};
	CUfunction fn = function(module, "rotate");
	static float got[NX * NY];
	uint32_t nx = NX, ny = NY;
	double sum = 0;
	CUtexObject tex;

	r.res.array.hArray = image_array(image, 1, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0);
	for (int frame = 0; frame < 50; frame++) {
		float c = (float)(50 - frame) / 50, s = (float)frame / 50;

		CU(cuTexObjectCreate(&tex, &r, &t, NULL));
		LAUNCH(fn, 4, 64, 0, NULL, &out, &tex, &nx, &ny, &c, &s);
		CU(cuTexObjectDestroy(tex));
	}
	CU(cuArrayDestroy(r.res.array.hArray));
	download(got, out, sizeof(got));
	for (int i = 0; i < NX * NY; i++) {
		const float x = ((float)(i % NX) + 0.5f) / NX - 0.5f;
		const float y = ((float)(i / NX) + 0.5f) / NY - 0.5f;
		const float c = 1.0f / 50, s = 49.0f / 50;
		const double want = sampled(image, (double)(x * c - y * s + 0.5f),
					    (double)(y * c + x * s + 0.5f), &t);

		CHECK(fabs((double)got[i] - want) < 0.01, "frame, pixel %d: %g, not %g", i,
		      (double)got[i], want);
		sum += (double)got[i];
	}
	CHECK(sum > NX * NY / 4.0, "a dark frame");
	CU(cuMemFree(out));
	printf("frames are right\n");
}

static void refuse_texture(CUresult want, const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t,
			   const char *what)
{
	CUtexObject tex = 0;
	const CUresult got = cuTexObjectCreate(&tex, r, t, NULL);

	CHECK(got == want, "%s: %s, not %s", what, result_name(got), result_name(want));
}

/* Textures that are none, and NULL. */
static void check_bad_handles(const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t)
{
	CUDA_RESOURCE_VIEW_DESC view;
	CUtexObject tex;

	refuse_texture(CUDA_ERROR_INVALID_VALUE, NULL, t, "no resource");
	refuse_texture(CUDA_ERROR_INVALID_VALUE, r, NULL, "no description");
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(NULL, r, t, NULL));
	CU(cuTexObjectCreate(&tex, r, t, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectGetResourceDesc(NULL, tex));
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectGetTextureDesc(NULL, tex));
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectGetResourceViewDesc(&view, tex));
	WANT(CUDA_ERROR_INVALID_VALUE, cuSurfObjectDestroy(tex));
	CU(cuTexObjectDestroy(tex));
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectDestroy(tex));
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectDestroy(123456789));
}

static void check_refusals(void)
{
	CUdeviceptr mem = device_alloc(65536);
	const CUDA_TEXTURE_DESC plain = {.flags = CU_TRSF_READ_AS_INTEGER};
	const CUDA_RESOURCE_DESC line = {
		.resType = CU_RESOURCE_TYPE_LINEAR,
		.res.linear = {mem, CU_AD_FORMAT_FLOAT, 1, 4096},
	};
	const CUDA_RESOURCE_DESC rows = {
		.resType = CU_RESOURCE_TYPE_PITCH2D,
		.res.pitch2D = {mem, CU_AD_FORMAT_FLOAT, 1, 100, 100, 512},
	};
	CUDA_RESOURCE_VIEW_DESC view = {0};
	CUDA_RESOURCE_DESC r;
	CUDA_TEXTURE_DESC t;
	CUtexObject tex;

#define REFUSE(want, from, field, value)                                                           \
	do {                                                                                       \
		r = from;                                                                          \
		r.field = value;                                                                   \
		refuse_texture(want, &r, &plain, #from ", " #field " = " #value);                  \
	} while (0)
	REFUSE(CUDA_SUCCESS, line, flags, 0);
	REFUSE(CUDA_SUCCESS, rows, flags, 0);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, flags, 1);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, resType, (CUresourcetype)9);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.devPtr, 0);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.devPtr, mem + 4);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.devPtr, 0x7000);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.sizeInBytes, 0);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.sizeInBytes, (size_t)1 << 33);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.numChannels, 3);
	REFUSE(CUDA_ERROR_INVALID_VALUE, line, res.linear.format, (CUarray_format)7);
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.width, 0);
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.height, 0);
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.height, 129); /* beyond the memory */
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.pitchInBytes, 384);
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.pitchInBytes, 500);
	REFUSE(CUDA_ERROR_INVALID_VALUE, rows, res.pitch2D.pitchInBytes, SIZE_MAX);
	t = plain;
	t.addressMode[1] = (CUaddress_mode)4;
	refuse_texture(CUDA_ERROR_INVALID_VALUE, &rows, &t, "an address mode");
	t = plain;
	t.filterMode = (CUfilter_mode)2;
	refuse_texture(CUDA_ERROR_INVALID_VALUE, &rows, &t, "a filter");
	t = plain;
	t.flags = 0x400;
	refuse_texture(CUDA_ERROR_INVALID_VALUE, &rows, &t, "a flag");
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&tex, &rows, &plain, &view));
	if (handles_are_checked()) {
		REFUSE(CUDA_ERROR_INVALID_HANDLE, line, resType, CU_RESOURCE_TYPE_ARRAY);
		REFUSE(CUDA_ERROR_INVALID_HANDLE, line, resType, CU_RESOURCE_TYPE_MIPMAPPED_ARRAY);
		check_bad_handles(&rows, &plain);
	}
	CU(cuMemFree(mem));
	printf("refusals: all right\n");
}

int main(void)
{
	static uint8_t image[NX * NY];

	start();
	module = load(ptx_texture);
	random_fill(image, sizeof(image), 1);
	check_2d(image);
	check_integers(image);
	check_line();
	check_box(0, "tex_3d");
	check_box(CUDA_ARRAY3D_LAYERED, "tex_layers");
	check_surfaces();
	check_frames(image);
	check_refusals();
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
