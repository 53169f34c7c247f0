// SPDX-License-Identifier: MIT
/* Arrays, mipmapped ones, too, and textures; a driver without them says so, and says it the same
 * way everywhere. */
#include "test.h"

enum { W = 20, H = 12 };

__device__ float fetch(cudaTextureObject_t t, float x, float y)
{
	float v, a, b, c;

	asm volatile("tex.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}];"
		     : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		     : "l"(t), "f"(x), "f"(y));
	return v;
}

__global__ void shifted(cudaTextureObject_t t, float *out)
{
	out[threadIdx.y * W + threadIdx.x] = fetch(t, threadIdx.x + 1.5f, threadIdx.y + 0.5f);
}

__global__ void levels(cudaTextureObject_t t, float *out)
{
	float v, a, b, c;

	asm volatile("tex.level.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %5}], %6;"
		     : "=f"(v), "=f"(a), "=f"(b), "=f"(c)
		     : "l"(t), "f"(0.99f), "f"((float)threadIdx.x / 2));
	out[threadIdx.x] = v;
}

/* Three levels, each of one value: themselves, and what lies between two. */
static void mipmapped(struct cudaChannelFormatDesc desc)
{
	const float want[] = {1, 2, 3, 4, 5, 5};
	struct cudaResourceDesc r = {};
	struct cudaTextureDesc t = {};
	struct cudaExtent extent;
	cudaTextureObject_t texture;
	cudaMipmappedArray_t m;
	cudaArray_t level;
	both<float> out(6);
	float in[H * W];

	RT(cudaMallocMipmappedArray(&m, &desc, {W, H, 0}, 3, 0));
	for (unsigned int n = 0; n < 3; n++) {
		for (int i = 0; i < H * W; i++)
			in[i] = (float)(1 + 2 * n);
		RT(cudaGetMipmappedArrayLevel(&level, m, n));
		RT(cudaArrayGetInfo(NULL, &extent, NULL, level));
		CHECK(extent.width == W >> n && extent.height == H >> n, "level %u", n);
		RT(cudaMemcpy2DToArray(level, 0, 0, in, sizeof(float) * extent.width,
				       sizeof(float) * extent.width, extent.height,
				       cudaMemcpyHostToDevice));
	}
	WANT(cudaErrorInvalidValue, cudaGetMipmappedArrayLevel(&level, m, 3));
	cudaGetLastError();
	r.resType = cudaResourceTypeMipmappedArray;
	r.res.mipmap.mipmap = m;
	t.addressMode[0] = t.addressMode[1] = cudaAddressModeClamp;
	t.normalizedCoords = 1;
	t.mipmapFilterMode = cudaFilterModeLinear;
	t.maxMipmapLevelClamp = 99;
	RT(cudaCreateTextureObject(&texture, &r, &t, NULL));
	levels<<<1, 6>>>(texture, out.dev);
	DONE();
	out.same(want, "levels");
	RT(cudaDestroyTextureObject(texture));
	RT(cudaFreeMipmappedArray(m));
	RT(cudaFreeMipmappedArray(NULL));
}

/* Bytes that begin in the middle of a row and end in the middle of another. */
static void runs(cudaArray_t array, const struct cudaChannelFormatDesc *desc, const float in[H * W])
{
	enum { FROM = 2 * W + 7, N = 5 * W + 9, OTHER = W - 3 };
	float back[H * W] = {}, row[H * W];
	cudaArray_t other;

	RT(cudaMemcpyFromArray(back, array, FROM % W * sizeof(float), FROM / W, N * sizeof(float),
			       cudaMemcpyDeviceToHost));
	CHECK(!memcmp(back, in + FROM, N * sizeof(float)) && !back[N], "a run out of an array");
	/* into one whose rows are shorter */
	RT(cudaMallocArray(&other, desc, OTHER, H, 0));
	RT(cudaMemcpyArrayToArray(other, 4 * sizeof(float), 1, array, FROM % W * sizeof(float),
				  FROM / W, N * sizeof(float), cudaMemcpyDeviceToDevice));
	RT(cudaMemcpyFromArray(row, other, 4 * sizeof(float), 1, N * sizeof(float),
			       cudaMemcpyDeviceToHost));
	CHECK(!memcmp(row, in + FROM, N * sizeof(float)), "a run from one array into another");
	RT(cudaMemcpyToArray(other, 2 * sizeof(float), 0, in, N * sizeof(float),
			     cudaMemcpyHostToDevice));
	RT(cudaMemcpy2DFromArray(row, sizeof(float) * OTHER, other, 0, 0, sizeof(float) * OTHER, H,
				 cudaMemcpyDeviceToHost));
	CHECK(!memcmp(row + 2, in, N * sizeof(float)), "a run into an array");
	WANT(cudaErrorInvalidValue,
	     cudaMemcpyToArray(other, OTHER * sizeof(float), 0, in, 4, cudaMemcpyHostToDevice));
	WANT(cudaErrorInvalidMemcpyDirection,
	     cudaMemcpyToArray(other, 0, 0, in, 4, cudaMemcpyDeviceToHost));
	cudaGetLastError();
	RT(cudaFreeArray(other));
}

/* What an object was made of. */
static void described(cudaTextureObject_t texture, const struct cudaResourceDesc *r,
		      const struct cudaTextureDesc *t)
{
	struct cudaResourceDesc resource, flat = {};
	struct cudaTextureDesc told;
	cudaSurfaceObject_t surface;
	cudaTextureObject_t linear;
	cudaArray_t written;
	both<float> line(64);

	RT(cudaGetTextureObjectResourceDesc(&resource, texture));
	CHECK(resource.resType == r->resType && resource.res.array.array == r->res.array.array,
	      "a texture's resource");
	RT(cudaGetTextureObjectTextureDesc(&told, texture));
	CHECK(!memcmp(&told, t, sizeof(told)), "a texture's description");
	WANT(cudaErrorInvalidValue, cudaGetTextureObjectResourceDesc(NULL, texture));
	WANT(cudaErrorInvalidValue, cudaGetTextureObjectTextureDesc(NULL, texture));
	cudaGetLastError();
	flat.resType = cudaResourceTypeLinear;
	flat.res.linear.devPtr = line.dev;
	flat.res.linear.desc = {16, 16, 0, 0, cudaChannelFormatKindUnsigned};
	flat.res.linear.sizeInBytes = 64 * sizeof(float);
	RT(cudaCreateTextureObject(&linear, &flat, t, NULL));
	RT(cudaGetTextureObjectResourceDesc(&resource, linear));
	CHECK(!memcmp(&resource.res.linear, &flat.res.linear, sizeof(flat.res.linear)),
	      "memory under a texture");
	RT(cudaDestroyTextureObject(linear));
	RT(cudaMallocArray(&written, &flat.res.linear.desc, W, H, 2 /* SurfaceLoadStore */));
	flat = {};
	flat.resType = cudaResourceTypeArray;
	flat.res.array.array = written;
	RT(cudaCreateSurfaceObject(&surface, &flat));
	RT(cudaGetSurfaceObjectResourceDesc(&resource, surface));
	CHECK(resource.res.array.array == written, "a surface's resource");
	RT(cudaDestroySurfaceObject(surface));
	RT(cudaFreeArray(written));
}

int main()
{
	struct cudaChannelFormatDesc desc = {32, 0, 0, 0, cudaChannelFormatKindFloat}, told;
	struct cudaResourceDesc r = {};
	struct cudaTextureDesc t = {};
	struct cudaExtent extent;
	cudaTextureObject_t texture;
	float in[H][W], back[H][W], want[H * W];
	both<float> out(H * W);
	cudaArray_t array;
	cudaError_t e;

	e = cudaMallocArray(&array, &desc, W, H, 0);
	if (e == cudaErrorNotSupported) {
		printf("textures are right\n");
		return 0;
	}
	RT(e);
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++)
			in[y][x] = (float)(y * 100 + x);
	for (int i = 0; i < H * W; i++)
		want[i] = in[i / W][i % W < W - 1 ? i % W + 1 : W - 1];
	RT(cudaMemcpy2DToArray(array, 0, 0, in, sizeof(in[0]), sizeof(in[0]), H,
			       cudaMemcpyHostToDevice));
	RT(cudaMemcpy2DFromArray(back, sizeof(back[0]), array, 0, 0, sizeof(back[0]), H,
				 cudaMemcpyDeviceToHost));
	CHECK(!memcmp(in, back, sizeof(in)), "a copy to an array and back");
	RT(cudaArrayGetInfo(&told, &extent, NULL, array));
	CHECK(extent.width == W && extent.height == H && told.x == 32 && !told.y &&
		      told.f == cudaChannelFormatKindFloat,
	      "an array's description");
	r.resType = cudaResourceTypeArray;
	r.res.array.array = array;
	t.addressMode[0] = t.addressMode[1] = cudaAddressModeClamp;
	RT(cudaCreateTextureObject(&texture, &r, &t, NULL));
	shifted<<<1, dim3(W, H)>>>(texture, out.dev);
	DONE();
	out.same(want, "texture");
	described(texture, &r, &t);
	RT(cudaDestroyTextureObject(texture));
	runs(array, &desc, in[0]);
	/* part of an array, by a box whose width is in elements */
	struct cudaMemcpy3DParms c = {};
	memset(back, 0, sizeof(back));
	c.srcArray = array;
	c.srcPos = {3, 2, 0};
	c.dstPtr = {back, sizeof(back[0]), W, H};
	c.extent = {5, 4, 1};
	c.kind = cudaMemcpyDeviceToHost;
	RT(cudaMemcpy3D(&c));
	for (int y = 0; y < 4; y++)
		CHECK(!memcmp(back[y], &in[y + 2][3], 5 * sizeof(float)) && !back[y][5], "row %d",
		      y);
	mipmapped(desc);
	desc.y = 16;
	WANT(cudaErrorInvalidChannelDescriptor, cudaMallocArray(&array, &desc, W, H, 0));
	cudaGetLastError();
	RT(cudaFreeArray(r.res.array.array));
	printf("textures are right\n");
	return 0;
}
