/* SPDX-License-Identifier: MIT */
/* Mipmapped arrays: what their levels are, copies from and to them, fetches by level and by
 * gradient against the formulas that graphics APIs have, wrong arguments. */
#include "tests/programs/common.h"

#include <math.h>

PTX(ptx_mipmap);

enum { NX = 64, NY = 32, LEVELS = 7, PLACES = 512, LAYERS = 3 };

struct place {
	float x, y, z, level;
};

struct slope {
	float x, y, dx[2], dy[2];
};

static CUmodule module;
static float image[LEVELS][NX * NY * LAYERS]; /* numbers that have nothing to do with each other */

static unsigned int half(unsigned int n, unsigned int times)
{
	return n >> times ? n >> times : 1;
}

static CUmipmappedArray mipmap(size_t nx, size_t ny, size_t nz, unsigned int levels,
			       unsigned int flags)
{
	const CUDA_ARRAY3D_DESCRIPTOR d = {nx, ny, nz, CU_AD_FORMAT_FLOAT, 1, flags};
	CUmipmappedArray m;

	CU(cuMipmappedArrayCreate(&m, &d, levels));
	return m;
}

static CUarray level_of(CUmipmappedArray m, unsigned int n)
{
	CUarray level;

	CU(cuMipmappedArrayGetLevel(&level, m, n));
	return level;
}

/* All of a level, from or to memory of the host. */
static void copy_level(bool to, CUarray level, float *host, size_t nx, size_t ny, size_t nz,
		       CUstream stream)
{
	CUDA_MEMCPY3D c = {.WidthInBytes = nx * sizeof(float), .Height = ny, .Depth = nz};

	if (to) {
		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = host;
		c.srcPitch = c.WidthInBytes;
		c.srcHeight = ny;
		c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
		c.dstArray = level;
	} else {
		c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
		c.srcArray = level;
		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = host;
		c.dstPitch = c.WidthInBytes;
		c.dstHeight = ny;
	}
	CU(stream ? cuMemcpy3DAsync(&c, stream) : cuMemcpy3D(&c));
}

static void fill(CUmipmappedArray m, unsigned int levels, unsigned int nx, unsigned int ny,
		 unsigned int nz, bool layered)
{
	for (unsigned int n = 0; n < levels; n++)
		copy_level(true, level_of(m, n), image[n], half(nx, n), half(ny, n),
			   layered ? nz : half(nz, n), NULL);
}

/* Levels are half as large each, but for layers, and hold what was copied there. */
static void check_levels(size_t nx, size_t ny, size_t nz, unsigned int flags, unsigned int want)
{
	const bool layered = flags & CUDA_ARRAY3D_LAYERED;
	CUmipmappedArray m = mipmap(nx, ny, nz, 99, flags);
	static float got[NX * NY * LAYERS];
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUstream stream;
	CUarray level;

	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (unsigned int n = 0; n < want; n++) {
		const size_t w = half((unsigned int)nx, n);
		const size_t h = ny ? half((unsigned int)ny, n) : 0;
		const size_t depth = !nz ? 0 : layered ? nz : half((unsigned int)nz, n);
		const size_t rows = h ? h : 1, slices = depth ? depth : 1;

		level = level_of(m, n);
		CU(cuArray3DGetDescriptor(&d, level));
		CHECK(d.Width == w && d.Height == h && d.Depth == depth && d.NumChannels == 1 &&
			      d.Format == CU_AD_FORMAT_FLOAT && d.Flags == flags,
		      "level %u of %zu x %zu x %zu is %zu x %zu x %zu, flags %u", n, nx, ny, nz,
		      d.Width, d.Height, d.Depth, d.Flags);
		copy_level(true, level, image[n], w, rows, slices, stream);
	}
	CU(cuStreamSynchronize(stream));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(&level, m, want));
	for (unsigned int n = 0; n < want; n++) {
		const size_t w = half((unsigned int)nx, n), h = half((unsigned int)ny, n);
		const size_t depth = layered ? nz : half((unsigned int)nz, n);

		memset(got, 0, sizeof(got));
		copy_level(false, level_of(m, n), got, w, h, depth, NULL);
		CHECK(!memcmp(got, image[n], w * h * depth * sizeof(float)),
		      "level %u of %zu x %zu x %zu has other elements", n, nx, ny, nz);
	}
	CU(cuStreamDestroy(stream));
	CU(cuMipmappedArrayDestroy(m));
	printf("%zu x %zu x %zu, flags %u: %u levels\n", nx, ny, nz, flags, want);
}

/* One level from one mipmapped array to another, and as a surface. */
static void check_between(void)
{
	CUmipmappedArray from = mipmap(NX, NY, 0, 3, 0);
	CUmipmappedArray to = mipmap(NX / 2, NY / 2, 0, 2, CUDA_ARRAY3D_SURFACE_LDST);
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_ARRAY};
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
			   .dstMemoryType = CU_MEMORYTYPE_ARRAY,
			   .WidthInBytes = NX / 4 * sizeof(float),
			   .Height = NY / 4};
	uint32_t nx = NX / 4, ny = NY / 4;
	static float got[NX * NY / 16];
	CUsurfObject surface;

	fill(from, 3, NX, NY, 1, false);
	c.srcArray = level_of(from, 2);
	c.dstArray = level_of(to, 1);
	CU(cuMemcpy2D(&c));
	r.res.array.hArray = c.dstArray;
	CU(cuSurfObjectCreate(&surface, &r));
	LAUNCH(function(module, "mip_double"), 2, 64, 0, NULL, &surface, &nx, &ny);
	CU(cuSurfObjectDestroy(surface));
	copy_level(false, c.dstArray, got, nx, ny, 1, NULL);
	for (uint32_t i = 0; i < nx * ny; i++)
		CHECK(got[i] == image[2][i] * 2, "element %u of a surface: %g, not %g", i,
		      (double)got[i], (double)image[2][i] * 2);
	CU(cuMipmappedArrayDestroy(from));
	CU(cuMipmappedArrayDestroy(to));
	printf("levels as arrays and surfaces are right\n");
}

static CUtexObject texture(CUmipmappedArray m, const CUDA_TEXTURE_DESC *t)
{
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY}, r2 = {0};
	CUDA_TEXTURE_DESC t2 = {0};
	CUtexObject tex = 0;

	r.res.mipmap.hMipmappedArray = m;
	CU(cuTexObjectCreate(&tex, &r, t, NULL));
	CU(cuTexObjectGetResourceDesc(&r2, tex));
	CU(cuTexObjectGetTextureDesc(&t2, tex));
	CHECK(r2.resType == r.resType && r2.res.mipmap.hMipmappedArray == m,
	      "a texture of a mipmapped array is of another resource, of type %d", r2.resType);
	CHECK(t2.mipmapFilterMode == t->mipmapFilterMode &&
		      t2.mipmapLevelBias == t->mipmapLevelBias &&
		      t2.minMipmapLevelClamp == t->minMipmapLevelClamp &&
		      t2.maxMipmapLevelClamp == t->maxMipmapLevelClamp,
	      "a texture takes its levels otherwise: filter %d, bias %g, %g to %g",
	      t2.mipmapFilterMode, (double)t2.mipmapLevelBias, (double)t2.minMipmapLevelClamp,
	      (double)t2.maxMipmapLevelClamp);
	return tex;
}

static double pixel(unsigned int level, int64_t x, int64_t y)
{
	const int64_t w = half(NX, level), h = half(NY, level);

	x = x < 0 ? 0 : x < w ? x : w - 1;
	y = y < 0 ? 0 : y < h ? y : h - 1;
	return (double)image[level][y * w + x];
}

static double of_level(unsigned int level, double x, double y, CUfilter_mode filter)
{
	double a, b;
	int64_t i, j;

	x *= half(NX, level);
	y *= half(NY, level);
	if (filter == CU_TR_FILTER_MODE_POINT)
		return pixel(level, (int64_t)floor(x), (int64_t)floor(y));
	i = (int64_t)floor(x - 0.5);
	j = (int64_t)floor(y - 0.5);
	a = floor((x - 0.5 - (double)i) * 256 + 0.5) / 256;
	b = floor((y - 0.5 - (double)j) * 256 + 0.5) / 256;
	return (1 - a) * (1 - b) * pixel(level, i, j) + a * (1 - b) * pixel(level, i + 1, j) +
	       (1 - a) * b * pixel(level, i, j + 1) + a * b * pixel(level, i + 1, j + 1);
}

/* What a fetch by this level gives: with the bias, within the bounds, and of two levels or of the
 * nearer one. */
static double sampled(double x, double y, double level, const CUDA_TEXTURE_DESC *t)
{
	double part;

	level = fmin(fmax(level + (double)t->mipmapLevelBias, (double)t->minMipmapLevelClamp),
		     (double)t->maxMipmapLevelClamp);
	level = fmin(fmax(level, 0), LEVELS - 1);
	if (t->mipmapFilterMode == CU_TR_FILTER_MODE_POINT)
		return of_level((unsigned int)floor(level + 0.5), x, y, t->filterMode);
	part = level - floor(level);
	if (part == 0)
		return of_level((unsigned int)level, x, y, t->filterMode);
	return (1 - part) * of_level((unsigned int)level, x, y, t->filterMode) +
	       part * of_level((unsigned int)level + 1, x, y, t->filterMode);
}

static CUDA_TEXTURE_DESC way_of(unsigned int way)
{
	static const float bounds[][3] = {
		{0, 0, 99}, {1.25f, 0, 99}, {-0.75f, 1, 99}, {0, 2.25f, 4.25f}};
	const float *b = bounds[way / 4 % 4];

	return (CUDA_TEXTURE_DESC){
		.addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP,
				CU_TR_ADDRESS_MODE_CLAMP},
		.filterMode = way & 1 ? CU_TR_FILTER_MODE_LINEAR : CU_TR_FILTER_MODE_POINT,
		.mipmapFilterMode = way & 2 ? CU_TR_FILTER_MODE_LINEAR : CU_TR_FILTER_MODE_POINT,
		.flags = CU_TRSF_NORMALIZED_COORDINATES,
		.mipmapLevelBias = b[0],
		.minMipmapLevelClamp = b[1],
		.maxMipmapLevelClamp = b[2]};
}

/* Places away from where rounding would decide, for each level. */
static struct place place(unsigned int i)
{
	return (struct place){((float)(i * 97 % 1280) / 16 + 1.0f / 32 - 8) / NX,
			      ((float)(i * 61 % 640) / 16 + 1.0f / 32 - 4) / NY, 0,
			      (float)(i * 7 % 72) / 8 + 1.0f / 16 - 1};
}

static void run(const char *kernel, CUtexObject tex, const void *places, size_t bytes, float *got)
{
	CUdeviceptr out = device_alloc(PLACES * sizeof(float)), at = upload(places, bytes);
	uint32_t n = PLACES;

	LAUNCH(function(module, kernel), 4, 64, 0, NULL, &out, &tex, &at, &n);
	CU(cuTexObjectDestroy(tex)); /* the launch may not have begun */
	download(got, out, PLACES * sizeof(*got));
	CU(cuMemFree(at));
	CU(cuMemFree(out));
}

static void compare(const char *what, unsigned int way, const float *got, const double *want)
{
	for (int i = 0; i < PLACES; i++)
		CHECK(fabs((double)got[i] - want[i]) < 1.0 / 64, "%s, way %u, place %d: %g, not %g",
		      what, way, i, (double)got[i], want[i]);
}

static void check_by_level(CUmipmappedArray m)
{
	static struct place at[PLACES];
	static float got[PLACES];
	static double want[PLACES];

	for (unsigned int way = 0; way < 16; way++) {
		const CUDA_TEXTURE_DESC t = way_of(way);

		for (unsigned int i = 0; i < PLACES; i++) {
			at[i] = place(i);
			want[i] =
				sampled((double)at[i].x, (double)at[i].y, (double)at[i].level, &t);
		}
		run("mip_level", texture(m, &t), at, sizeof(at), got);
		compare("by level", way, got, want);
		for (unsigned int i = 0; i < PLACES; i++)
			want[i] = sampled((double)at[i].x, (double)at[i].y, 0, &t);
		run("mip_plain", texture(m, &t), at, sizeof(at), got);
		compare("plain", way, got, want);
	}
	printf("fetches by level are right\n");
}

/* Steps of powers of two, and some more: the level is that of the longer step. */
static void check_by_slope(CUmipmappedArray m)
{
	static struct slope at[PLACES];
	static float got[PLACES];
	static double want[PLACES];

	for (unsigned int way = 0; way < 16; way++) {
		CUDA_TEXTURE_DESC t = way_of(way);

		t.mipmapFilterMode = CU_TR_FILTER_MODE_POINT;
		t.mipmapLevelBias = roundf(t.mipmapLevelBias);
		for (unsigned int i = 0; i < PLACES; i++) {
			const struct place p = place(i);
			const unsigned int k = i % 9;
			const float step = ldexpf(i & 16 ? 1.25f : 1, (int)k - 1);

			at[i] = (struct slope){.x = p.x, .y = p.y};
			at[i].dx[0] = (i & 1 ? step : 0.25f) / NX;
			at[i].dx[1] = i & 8 ? -0.25f / NY : 0;
			at[i].dy[i >> 1 & 1] = (i & 1 ? step / 4 : -step) / (i & 2 ? NY : NX);
			want[i] = sampled((double)p.x, (double)p.y, (double)k - 1, &t);
		}
		run("mip_slope", texture(m, &t), at, sizeof(at), got);
		compare("by gradient", way, got, want);
	}
	printf("fetches by gradient are right\n");
}

/* Elements of each level, by their middles. */
static void check_geometry(const char *kernel, unsigned int nx, unsigned int ny, unsigned int nz,
			   unsigned int flags)
{
	const bool layered = flags & CUDA_ARRAY3D_LAYERED;
	CUmipmappedArray m = mipmap(nx, ny, nz, 4, flags);
	const CUDA_TEXTURE_DESC t = way_of(0);
	static struct place at[PLACES];
	static float got[PLACES];

	fill(m, 4, nx, ny, nz, layered);
	for (unsigned int i = 0; i < PLACES; i++) {
		const unsigned int n = i % 4, w = half(nx, n), h = half(ny, n);
		const unsigned int d = layered ? nz : half(nz, n);

		at[i] = (struct place){((float)(i * 7 % w) + 0.5f) / (float)w,
				       ((float)(i * 5 % h) + 0.5f) / (float)h,
				       layered ? (float)(i * 3 % d)
					       : ((float)(i * 3 % d) + 0.5f) / (float)d,
				       (float)n};
	}
	run(kernel, texture(m, &t), at, sizeof(at), got);
	for (unsigned int i = 0; i < PLACES; i++) {
		const unsigned int n = i % 4, w = half(nx, n), h = half(ny, n);
		const unsigned int d = layered ? nz : half(nz, n);
		const float want = image[n][(i * 3 % d * h + i * 5 % h) * w + i * 7 % w];

		CHECK(got[i] == want, "%s, place %u: %g, not %g", kernel, i, (double)got[i],
		      (double)want);
	}
	CU(cuMipmappedArrayDestroy(m));
	printf("%s: fetches are right\n", kernel);
}

static void refuse(CUresult want, const CUDA_ARRAY3D_DESCRIPTOR *d, const char *what)
{
	CUmipmappedArray m;
	const CUresult got = cuMipmappedArrayCreate(&m, d, 2);

	CHECK(got == want, "%s: %s, not %s", what, result_name(got), result_name(want));
}

/* Handles of nothing, of another kind, and of what is gone. */
static void check_bad_handles(void)
{
	CUmipmappedArray m = mipmap(NX, NY, 0, 3, 0), none = NULL;
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
	const CUDA_TEXTURE_DESC t = way_of(0);
	CUarray level = level_of(m, 1), other;
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUtexObject tex;

	WANT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetLevel(NULL, m, 0));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayGetLevel(&other, none, 0));
	WANT(CUDA_ERROR_INVALID_HANDLE,
	     cuMipmappedArrayGetLevel(&other, (CUmipmappedArray)level, 0));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayDestroy((CUmipmappedArray)level));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayDestroy(none));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy((CUarray)m));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(level)); /* it is not its own */
	r.res.mipmap.hMipmappedArray = (CUmipmappedArray)level;
	WANT(CUDA_ERROR_INVALID_HANDLE, cuTexObjectCreate(&tex, &r, &t, NULL));
	CU(cuArray3DGetDescriptor(&d, level));
	CHECK(level_of(m, 1) == level, "a level has two handles");
	CU(cuMipmappedArrayDestroy(m));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuArray3DGetDescriptor(&d, level));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayGetLevel(&other, m, 0));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuMipmappedArrayDestroy(m));
	r.res.mipmap.hMipmappedArray = m;
	WANT(CUDA_ERROR_INVALID_HANDLE, cuTexObjectCreate(&tex, &r, &t, NULL));
}

static void check_refusals(void)
{
	const CUDA_ARRAY3D_DESCRIPTOR good = {NX, NY, 0, CU_AD_FORMAT_FLOAT, 1, 0};
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs;
	CUDA_ARRAY_SPARSE_PROPERTIES sparse;
	CUDA_ARRAY3D_DESCRIPTOR d = good;
	CUDA_RESOURCE_DESC r = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
	CUDA_TEXTURE_DESC t = way_of(0);
	CUmipmappedArray m;
	CUtexObject tex;
	int most;

	refuse(CUDA_ERROR_INVALID_VALUE, NULL, "no description");
	WANT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayCreate(NULL, &good, 2));
	d.Width = 0;
	refuse(CUDA_ERROR_INVALID_VALUE, &d, "a width of 0");
	CU(cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH, 0));
	d.Width = (size_t)most + 1;
	refuse(CUDA_ERROR_INVALID_VALUE, &d, "too wide a mipmapped array");
	CU(cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH, 0));
	d.Width = (size_t)most + 1;
	d.Height = 0;
	refuse(CUDA_ERROR_INVALID_VALUE, &d, "too long a mipmapped array");
	d = good;
	d.NumChannels = 3;
	refuse(CUDA_ERROR_INVALID_VALUE, &d, "three channels");
	CU(cuMipmappedArrayCreate(&m, &good, 0)); /* that is 1 */
	level_of(m, 0);
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMipmappedArrayGetMemoryRequirements(&needs, m, 0)); /* it has its memory */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMipmappedArrayGetSparseProperties(&sparse, m));
	r.res.mipmap.hMipmappedArray = m;
	t.flags = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuTexObjectCreate(&tex, &r, &t, NULL)); /* not normalised */
	CU(cuMipmappedArrayDestroy(m));
	if (handles_are_checked())
		check_bad_handles();
	printf("refusals: all right\n");
}

int main(void)
{
	CUmipmappedArray m;

	start();
	module = load(ptx_mipmap);
	for (int n = 0; n < LEVELS; n++)
		for (int i = 0; i < NX * NY * LAYERS; i++)
			image[n][i] = (float)(((unsigned int)i * 2654435761u >> 12) % 1024) / 128 +
				      (float)(n * 16);
	check_levels(37, 23, 0, 0, 6);
	check_levels(50, 0, 0, 0, 6);
	check_levels(9, 7, 20, 0, 5);
	check_levels(20, 12, LAYERS, CUDA_ARRAY3D_LAYERED, 5);
	check_between();
	m = mipmap(NX, NY, 0, 99, 0);
	fill(m, LEVELS, NX, NY, 1, false);
	check_by_level(m);
	check_by_slope(m);
	CU(cuMipmappedArrayDestroy(m));
	check_geometry("mip_line", NX, 0, 0, 0);
	check_geometry("mip_box", 16, 12, 9, 0);
	check_geometry("mip_layers", 24, 16, LAYERS, CUDA_ARRAY3D_LAYERED);
	check_refusals();
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
