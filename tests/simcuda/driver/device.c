/* SPDX-License-Identifier: MIT */
/* The one device: its identity and size. */
#include <stdio.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#include <pvgpu_cuda_array.h>

#define NAME    "pvgpu simulated GPU"
#define PCI_BUS (unsigned int)(sim_config.device + 1)

static CUresult check(CUdevice dev)
{
	return device_is_valid(dev) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

API(cuDeviceGet, CUdevice *dev, int ordinal)
{
	ENTER();
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	if (ordinal)
		return CUDA_ERROR_INVALID_DEVICE;
	*dev = 0;
	return CUDA_SUCCESS;
}

API(cuDeviceGetCount, int *count)
{
	ENTER();
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = 1;
	return CUDA_SUCCESS;
}

API(cuDeviceGetName, char *name, int len, CUdevice dev)
{
	ENTER();
	TRY(check(dev));
	if (!name || len <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(name, (size_t)len, "%s", NAME);
	return CUDA_SUCCESS;
}

/* Processes that share a GPU see the same identity: it is made from the path that they share. */
static CUresult uuid(CUuuid *out, CUdevice dev)
{
	TRY(check(dev));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	simgpu_uuid(sim_config.gpu, (unsigned char *)out->bytes);
	return CUDA_SUCCESS;
}

API(cuDeviceGetUuid, CUuuid *out, CUdevice dev)
{
	ENTER();
	return uuid(out, dev);
}

API(cuDeviceGetUuid_v2, CUuuid *out, CUdevice dev)
{
	ENTER();
	return uuid(out, dev);
}

API(cuDeviceGetLuid, char *luid, unsigned int *mask, CUdevice dev)
{
	ENTER();
	TRY(check(dev));
	return CUDA_ERROR_NOT_SUPPORTED; /* Windows only */
}

API(cuDeviceGetHostAtomicCapabilities, unsigned int *capabilities,
    const CUatomicOperation *operations, unsigned int count, CUdevice dev)
{
	ENTER();
	if (!capabilities)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(dev));
	if (!operations || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < count; i++)
		if ((unsigned int)operations[i] >= CU_ATOMIC_OPERATION_MAX)
			return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < count; i++)
		capabilities[i] = 0;
	return CUDA_SUCCESS;
}

API(cuDeviceGetP2PAtomicCapabilities, unsigned int *capabilities,
    const CUatomicOperation *operations, unsigned int count, CUdevice src, CUdevice dst)
{
	ENTER();
	if (!capabilities || !operations || !count)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_ERROR_INVALID_DEVICE; /* one device: no pair */
}

API(cuDeviceGetTexture1DLinearMaxWidth, size_t *width, CUarray_format format, unsigned int channels,
    CUdevice dev)
{
	int most = 0;

	ENTER();
	if (!width)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(dev));
	if (!pvgpu_channel_bytes(format) || (channels != 1 && channels != 2 && channels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(device_attribute(CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, &most));
	*width = (size_t)most;
	return CUDA_SUCCESS;
}

/* The first revision gives 32 bits. */
SIM_EXPORT CUresult CUDAAPI cuDeviceTotalMem(unsigned int *bytes, CUdevice dev);
CUresult CUDAAPI cuDeviceTotalMem(unsigned int *bytes, CUdevice dev)
{
	size_t total;

	TRY(cuDeviceTotalMem_v2(bytes ? &total : NULL, dev));
	*bytes = total < UINT32_MAX ? (unsigned int)total : UINT32_MAX;
	return CUDA_SUCCESS;
}

API(cuDeviceTotalMem_v2, size_t *bytes, CUdevice dev)
{
	uint64_t unused, total;

	ENTER();
	TRY(check(dev));
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	arbiter_memory(&unused, &total);
	*bytes = total;
	return CUDA_SUCCESS;
}

API(cuDeviceGetAttribute, int *value, CUdevice_attribute what, CUdevice dev)
{
	ENTER();
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(dev));
	return device_attribute((int)what, value);
}

API(cuDeviceComputeCapability, int *major, int *minor, CUdevice dev)
{
	ENTER();
	TRY(check(dev));
	if (!major || !minor)
		return CUDA_ERROR_INVALID_VALUE;
	*major = (int)(sim_config.cc / 10);
	*minor = (int)(sim_config.cc % 10);
	return CUDA_SUCCESS;
}

static int attribute(int what)
{
	int v = 0;

	device_attribute(what, &v);
	return v;
}

API(cuDeviceGetProperties, CUdevprop *p, CUdevice dev)
{
	ENTER();
	TRY(check(dev));
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	memset(p, 0, sizeof(*p));
	p->maxThreadsPerBlock = attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	for (int i = 0; i < 3; i++) {
		p->maxThreadsDim[i] = attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i);
		p->maxGridSize[i] = attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i);
	}
	p->sharedMemPerBlock = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
	p->totalConstantMemory = attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
	p->SIMDWidth = attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
	p->memPitch = attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	p->regsPerBlock = attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
	p->clockRate = attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
	p->textureAlign = attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT);
	return CUDA_SUCCESS;
}

API(cuDeviceGetPCIBusId, char *id, int len, CUdevice dev)
{
	char text[16];

	ENTER();
	TRY(check(dev));
	snprintf(text, sizeof(text), "0000:%02X:00.0", PCI_BUS);
	if (!id || len <= (int)strlen(text))
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(id, text, strlen(text) + 1);
	return CUDA_SUCCESS;
}

/* [domain]:[bus]:[device].[function], the domain and the function may be missing. */
API(cuDeviceGetByPCIBusId, CUdevice *dev, const char *id)
{
	unsigned int domain = 0, bus = 0, device = 0, function = 0;

	ENTER();
	if (!dev || !id)
		return CUDA_ERROR_INVALID_VALUE;
	if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &device, &function) < 3) {
		domain = function = 0;
		if (sscanf(id, "%x:%x.%x", &bus, &device, &function) < 2)
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (domain || bus != PCI_BUS || device || function)
		return CUDA_ERROR_INVALID_DEVICE;
	*dev = 0;
	return CUDA_SUCCESS;
}

API(cuDeviceCanAccessPeer, int *can, CUdevice dev, CUdevice peer)
{
	ENTER();
	if (!can)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(dev));
	TRY(check(peer));
	*can = 0;
	return CUDA_SUCCESS;
}

API(cuDeviceGetP2PAttribute, int *value, CUdevice_P2PAttribute what, CUdevice src, CUdevice dst)
{
	ENTER();
	TRY(check(src));
	TRY(check(dst));
	return CUDA_ERROR_INVALID_DEVICE; /* needs two different ones */
}

API(cuDeviceGetExecAffinitySupport, int *value, CUexecAffinityType type, CUdevice dev)
{
	ENTER();
	TRY(check(dev));
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	*value = 0;
	return CUDA_SUCCESS;
}
