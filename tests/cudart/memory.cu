// SPDX-License-Identifier: MIT
/* Memory of all kinds: pitched, pinned, registered, mapped; copies of rectangles and boxes; fills. */
#include "test.h"

__global__ void negate(int *v, int n)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		v[i] = -v[i];
}

static void rectangles()
{
	enum { W = 37, H = 11 };
	unsigned char host[H][64], back[H][80];
	unsigned char *dev;
	size_t pitch;

	RT(cudaMallocPitch(&dev, &pitch, W, H));
	CHECK(pitch >= W, "pitch %zu", pitch);
	for (int y = 0; y < H; y++)
		for (int x = 0; x < 64; x++)
			host[y][x] = (unsigned char)(y * 16 + x);
	memset(back, 0xee, sizeof(back));
	RT(cudaMemset2D(dev, pitch, 0x77, W, H));
	RT(cudaMemcpy2D(dev, pitch, host, 64, W - 1, H, cudaMemcpyHostToDevice));
	RT(cudaMemcpy2D(back, 80, dev, pitch, W, H, cudaMemcpyDeviceToHost));
	for (int y = 0; y < H; y++)
		for (int x = 0; x < 80; x++) {
			const int want = x < W - 1 ? host[y][x] : x == W - 1 ? 0x77 : 0xee;

			CHECK(back[y][x] == want, "row %d column %d: %#x", y, x, back[y][x]);
		}
	WANT(cudaErrorInvalidPitchValue,
	     cudaMemcpy2D(dev, W - 1, host, 64, W, H, cudaMemcpyHostToDevice));
	cudaGetLastError();
	RT(cudaMemcpy2DAsync(back, 80, dev, pitch, W, 1, cudaMemcpyDefault, 0));
	RT(cudaDeviceSynchronize());
	RT(cudaFree(dev));
}

static void boxes()
{
	enum { W = 24, H = 6, D = 5 };
	static unsigned char host[D][H][W], back[D][H][W];
	const struct cudaExtent all = {W, H, D};
	struct cudaMemcpy3DParms c = {};
	struct cudaPitchedPtr dev;

	for (int i = 0; i < W * H * D; i++)
		(&host[0][0][0])[i] = (unsigned char)(i * 7);
	RT(cudaMalloc3D(&dev, all));
	CHECK(dev.xsize == W && dev.ysize == H, "%zu x %zu", dev.xsize, dev.ysize);
	c.srcPtr = (struct cudaPitchedPtr){host, W, W, H};
	c.dstPtr = dev;
	c.extent = all;
	c.kind = cudaMemcpyHostToDevice;
	RT(cudaMemcpy3D(&c));
	memset(back, 0, sizeof(back));
	/* a part of it, to another place */
	c.srcPtr = dev;
	c.srcPos = (struct cudaPos){2, 1, 1};
	c.dstPtr = (struct cudaPitchedPtr){back, W, W, H};
	c.dstPos = (struct cudaPos){4, 2, 3};
	c.extent = (struct cudaExtent){8, 3, 2};
	c.kind = cudaMemcpyDeviceToHost;
	RT(cudaMemcpy3D(&c));
	for (int z = 0; z < D; z++)
		for (int y = 0; y < H; y++)
			for (int x = 0; x < W; x++) {
				const bool in = x >= 4 && x < 12 && y >= 2 && y < 5 && z >= 3;
				const int want = in ? host[z - 2][y - 1][x - 2] : 0;

				CHECK(back[z][y][x] == want, "%d %d %d: %d", z, y, x, back[z][y][x]);
			}
	RT(cudaMemset3D(dev, 9, all));
	c = (struct cudaMemcpy3DParms){};
	c.srcPtr = dev;
	c.dstPtr = (struct cudaPitchedPtr){back, W, W, H};
	c.extent = all;
	c.kind = cudaMemcpyDefault;
	RT(cudaMemcpy3DAsync(&c, 0));
	RT(cudaStreamSynchronize(0));
	for (int i = 0; i < W * H * D; i++)
		CHECK((&back[0][0][0])[i] == 9, "byte %d is not filled", i);
	c.dstPtr.ptr = NULL;
	WANT(cudaErrorInvalidValue, cudaMemcpy3D(&c));
	cudaGetLastError();
	RT(cudaFree(dev.ptr));
}

static void pinned()
{
	enum { N = 1000 };
	struct cudaPointerAttributes a;
	unsigned int flags;
	int *host, *dev, on_stack;
	void *plain;

	RT(cudaHostAlloc((void **)&host, N * sizeof(int), cudaHostAllocMapped));
	RT(cudaHostGetFlags(&flags, host));
	CHECK(flags & cudaHostAllocMapped, "flags %#x", flags);
	RT(cudaHostGetDevicePointer((void **)&dev, host, 0));
	for (int i = 0; i < N; i++)
		host[i] = i;
	negate<<<4, 256>>>(dev, N);
	DONE();
	for (int i = 0; i < N; i++)
		CHECK(host[i] == -i, "mapped memory: %d at %d", host[i], i);
	RT(cudaPointerGetAttributes(&a, host));
	CHECK(a.type == cudaMemoryTypeHost && a.hostPointer == host, "type %d", a.type);
	RT(cudaFreeHost(host));
	RT(cudaMalloc(&dev, 64));
	RT(cudaPointerGetAttributes(&a, dev + 1));
	CHECK(a.type == cudaMemoryTypeDevice && a.devicePointer == dev + 1 && a.device == 0,
	      "type %d, device %d", a.type, a.device);
	RT(cudaFree(dev));
	RT(cudaPointerGetAttributes(&a, &on_stack));
	CHECK(a.type == cudaMemoryTypeUnregistered && a.hostPointer == &on_stack, "type %d", a.type);
	plain = aligned_alloc(4096, 65536);
	RT(cudaHostRegister(plain, 65536, cudaHostRegisterDefault));
	WANT(cudaErrorHostMemoryAlreadyRegistered,
	     cudaHostRegister(plain, 65536, cudaHostRegisterDefault));
	RT(cudaHostUnregister(plain));
	WANT(cudaErrorHostMemoryNotRegistered, cudaHostUnregister(plain));
	cudaGetLastError();
	free(plain);
}

int main()
{
	rectangles();
	boxes();
	pinned();
	printf("memory is right\n");
	return 0;
}
