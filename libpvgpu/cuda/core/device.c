/* SPDX-License-Identifier: MIT */
/* Devices: queries are answered from a snapshot of each, taken when the session opens. */
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/public.h"

#include <pthread.h>
#include <pvgpu_cuda_array.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_stubs.h"

static struct device *devices;
static int device_count;

/* The worker is not trusted: its result may be no CUresult. */
static CUresult known_result(int32_t result)
{
	const char *name;

	return cuGetErrorName((CUresult)result, &name) ? CUDA_ERROR_UNKNOWN : (CUresult)result;
}

static int snapshot(struct pvgpu_session *s, int ordinal, struct device *d)
{
	uint32_t uuid_len, name_len, bus_len, attrs_len;
	int r;

	r = pvgpu_do_device_snapshot(s, (uint32_t)ordinal, &d->total_mem, d->uuid.bytes,
				     sizeof(d->uuid.bytes), &uuid_len, d->name, sizeof(d->name) - 1,
				     &name_len, d->pci_bus_id, sizeof(d->pci_bus_id) - 1, &bus_len,
				     d->attr, sizeof(d->attr), &attrs_len);
	if (r)
		return r;
	/* Attributes missing from the worker's list are unknown to its driver. */
	for (size_t i = attrs_len / sizeof(d->attr[0]); i < PVGPU_ATTRS_MAX; i++)
		d->attr[i] = (struct pvgpu_device_attr){.result = CUDA_ERROR_INVALID_VALUE};
	for (size_t i = 0; i < PVGPU_ATTRS_MAX; i++)
		d->attr[i].result = (int32_t)known_result(d->attr[i].result);
	/* Pools are this library's own; their memory is shared as all memory is. */
	d->attr[CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED] =
		(struct pvgpu_device_attr){.value = 1};
	d->attr[CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES] =
		d->attr[CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED];
	/* Managed memory is memory of the arena that kernels reach; the CPU reaches it always. */
	d->attr[CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY] =
		d->attr[CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY];
	d->attr[CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS] =
		d->attr[CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY];
	d->wire = (uint32_t)ordinal;
	return 0;
}

/* The limits that every launch is checked against. */
static void set_limits(struct device *d, int ordinal)
{
	for (int i = 0; i < 3; i++) {
		d->limits.grid[i] =
			(unsigned int)device_value(ordinal, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i);
		d->limits.block[i] = (unsigned int)device_value(
			ordinal, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i);
	}
	d->limits.threads =
		(unsigned int)device_value(ordinal, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
}

/* Keep the devices that CUDA_VISIBLE_DEVICES selects, in its order. */
static int choose(struct device *all, int *count)
{
	int *order = malloc(((size_t)*count + 1) * sizeof(*order));
	int n;

	if (!order)
		return CUDA_ERROR_OUT_OF_MEMORY;
	n = visible_devices(all, *count, order);
	free(devices); /* of a session that a forked child inherited, or that failed */
	devices = calloc((size_t)n + 1, sizeof(*devices));
	for (int i = 0; i < n && devices; i++) {
		devices[i] = all[order[i]];
		pthread_mutex_init(&devices[i].lock, NULL);
	}
	free(order);
	*count = n;
	return devices ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

int device_snapshot_all(struct pvgpu_session *s, int *count)
{
	struct device *all = calloc((size_t)*count + 1, sizeof(*all));
	int r = 0;

	if (!all)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (int i = 0; i < *count && !r; i++)
		r = snapshot(s, i, &all[i]);
	if (!r)
		r = choose(all, count);
	free(all);
	if (r)
		return r;
	device_count = *count;
	for (int i = 0; i < device_count; i++)
		set_limits(&devices[i], i);
	return 0;
}

struct device *device_at(CUdevice dev)
{
	return dev >= 0 && dev < device_count ? &devices[dev] : NULL;
}

int device_value(int device, CUdevice_attribute attr)
{
	const struct device *d = device_at(device);

	return d && !d->attr[attr].result ? d->attr[attr].value : 0;
}

bool device_exceeds(int device, size_t size, CUdevice_attribute limit)
{
	return size > (size_t)device_value(device, limit);
}

PUBLIC CUresult cuDeviceGet(CUdevice *dev, int ordinal)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!dev)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(ordinal))
		return CUDA_ERROR_INVALID_DEVICE;
	*dev = ordinal;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDeviceGetCount(int *count)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = device_count;
	return CUDA_SUCCESS;
}

/* The device of a query; out must not be NULL. */
static int query(CUdevice dev, const void *out, struct device **d)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*d = device_at(dev);
	return *d ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

/* Copy text into a caller's buffer of len bytes, cut to fit and terminated. */
static int give_text(char *to, int len, const char *text)
{
	if (len <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	*(char *)mempcpy(to, text, strnlen(text, (size_t)len - 1)) = 0;
	return 0;
}

PUBLIC CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, name, &d);

	return r ? r : give_text(name, len, d->name);
}

PUBLIC CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, uuid, &d);

	if (!r)
		*uuid = d->uuid;
	return r;
}

PUBLIC CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
	return cuDeviceGetUuid(uuid, dev);
}

/* LUIDs are Windows'. */
PUBLIC CUresult cuDeviceGetLuid(char *luid, unsigned int *node_mask, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, luid, &d);

	return r ? r : CUDA_ERROR_NOT_SUPPORTED;
}

/* As the attribute HOST_NATIVE_ATOMIC_SUPPORTED says. */
PUBLIC CUresult cuDeviceGetHostAtomicCapabilities(unsigned int *capabilities,
						  const CUatomicOperation *operations,
						  unsigned int count, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, capabilities, &d);

	if (r)
		return r;
	if (!operations || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < count; i++)
		if ((unsigned int)operations[i] >= CU_ATOMIC_OPERATION_MAX)
			return CUDA_ERROR_INVALID_VALUE;
	memset(capabilities, 0, count * sizeof(*capabilities));
	return CUDA_SUCCESS;
}

/* There is no pair of devices. */
PUBLIC CUresult cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities,
						 const CUatomicOperation *operations,
						 unsigned int count, CUdevice src, CUdevice dst)
{
	const int r = guest_enter();

	if (r)
		return r;
	if (!capabilities || !operations || !count)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format,
						   unsigned int channels, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, width, &d);

	if (r)
		return r;
	if (!pvgpu_channel_bytes(format) || (channels != 1 && channels != 2 && channels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	*width = (size_t)device_value(dev, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, bytes, &d);

	if (!r)
		*bytes = d->total_mem;
	return r;
}

/* The first revision gives 32 bits, as all sizes had before CUDA 3.2. cuda.h declares _v2 alone. */
PUBLIC CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice dev);
PUBLIC CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, bytes, &d);

	if (!r)
		*bytes = d->total_mem < UINT32_MAX ? (unsigned int)d->total_mem : UINT32_MAX;
	return r;
}

PUBLIC CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, value, &d);

	if (r)
		return r;
	if ((unsigned int)attr >= PVGPU_ATTRS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d->attr[attr].result)
		*value = d->attr[attr].value;
	return d->attr[attr].result;
}

PUBLIC CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, prop, &d);

	if (r)
		return r;
	*prop = (CUdevprop){
		.maxThreadsPerBlock = device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
		.maxThreadsDim = {device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
				  device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
				  device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
		.maxGridSize = {device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
				device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
				device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
		.sharedMemPerBlock =
			device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
		.totalConstantMemory = device_value(dev, CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
		.SIMDWidth = device_value(dev, CU_DEVICE_ATTRIBUTE_WARP_SIZE),
		.memPitch = device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_PITCH),
		.regsPerBlock = device_value(dev, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
		.clockRate = device_value(dev, CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
		.textureAlign = device_value(dev, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT),
	};
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, major, &d);

	if (r)
		return r;
	if (!minor)
		return CUDA_ERROR_INVALID_VALUE;
	*major = device_value(dev, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
	*minor = device_value(dev, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDeviceGetPCIBusId(char *bus_id, int len, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, bus_id, &d);

	return r ? r : give_text(bus_id, len, d->pci_bus_id);
}

/* [domain:]bus:device[.function], all hexadecimal. */
static bool parse_bus_id(const char *text, unsigned long part[4])
{
	unsigned long number[3];
	unsigned int n = 0;
	char *end;

	part[0] = part[3] = 0;
	for (;;) {
		if (n == 3)
			return false;
		number[n++] = strtoul(text, &end, 16);
		if (end == text)
			return false;
		text = end + 1;
		if (*end != ':')
			break;
	}
	if (*end == '.') {
		part[3] = strtoul(text, &end, 16);
		if (end == text)
			return false;
	}
	if (*end || n < 2)
		return false;
	if (n == 3)
		part[0] = number[0];
	part[1] = number[n - 2];
	part[2] = number[n - 1];
	return true;
}

PUBLIC CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *bus_id)
{
	unsigned long wanted[4], have[4];
	const int r = guest_enter();

	if (r)
		return r;
	if (!dev || !bus_id || !parse_bus_id(bus_id, wanted))
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < device_count; i++) {
		if (!parse_bus_id(devices[i].pci_bus_id, have) ||
		    memcmp(wanted, have, sizeof(have)))
			continue;
		*dev = i;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
	struct device *d;
	const int r = query(dev, can, &d);

	if (r)
		return r;
	if (!device_at(peer))
		return CUDA_ERROR_INVALID_DEVICE;
	*can = 0; /* a session has one device, and a device is no peer of itself */
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuDeviceGetExecAffinitySupport(int *value, CUexecAffinityType type, CUdevice dev)
{
	struct device *d;
	const int r = query(dev, value, &d);

	if (r)
		return r;
	if ((unsigned int)type >= CU_EXEC_AFFINITY_TYPE_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	*value = 0;
	return CUDA_SUCCESS;
}
