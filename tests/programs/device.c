/* SPDX-License-Identifier: MIT */
/* Queries of a device; prints only values that are the same on all current devices. */
#include "tests/programs/common.h"

static int attribute(CUdevice_attribute which, CUdevice device)
{
	int v = -1;

	CU(cuDeviceGetAttribute(&v, which, device));
	return v;
}

static void check_attributes(CUdevice d)
{
	int major, minor, v, answered = 0;
	CUdevprop prop;

	CHECK(attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE, d) == 32, "another warp size");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, d) == 1024,
	      "another block size");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, d) == 64, "another block depth");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, d) == 0x7fffffff, "another grid width");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, d) == 65535, "another grid height");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, d) == 1, "no unified addresses");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, d) > 0, "no multiprocessor");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE, d) > 0, "no clock");
	CHECK(attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, d) == 65536,
	      "other constant memory");
	major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, d);
	minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, d);
	CHECK(major >= 7 && minor >= 0 && minor <= 9, "compute capability %d.%d", major, minor);
	/* A CUDA runtime queries most of them when it starts, and an error would end it. */
	for (int i = 1; i < CU_DEVICE_ATTRIBUTE_D3D12_CIG_SUPPORTED; i++)
		answered += cuDeviceGetAttribute(&v, (CUdevice_attribute)i, d) == CUDA_SUCCESS;
	CHECK(answered >= 111, "only %d attributes are answered", answered);
	WANT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&v, (CUdevice_attribute)9999, d));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&v, (CUdevice_attribute)0, d));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDeviceGetAttribute(NULL, CU_DEVICE_ATTRIBUTE_WARP_SIZE, d));
	CU(cuDeviceGetProperties(&prop, d));
	CHECK(prop.maxThreadsPerBlock == 1024 && prop.SIMDWidth == 32 &&
		      prop.maxThreadsDim[2] == 64,
	      "properties and attributes differ");
	CU(cuDeviceComputeCapability(&v, &minor, d));
	CHECK(v == major, "two compute capabilities");
	printf("attributes: all right\n");
}

static void check_identity(CUdevice d)
{
	char name[256] = "", bus[32] = "";
	CUuuid uuid, again;
	CUdevice other;
	size_t bytes;
	int zero = 1;

	CU(cuDeviceGetName(name, sizeof(name), d));
	CHECK(name[0] && strlen(name) < sizeof(name), "no name");
	CU(cuDeviceGetUuid(&uuid, d));
	CU(cuDeviceGetUuid(&again, d));
	CHECK(!memcmp(&uuid, &again, sizeof(uuid)), "two UUIDs");
	for (size_t i = 0; i < sizeof(uuid); i++)
		zero &= !uuid.bytes[i];
	CHECK(!zero, "the UUID is zero");
	CU(cuDeviceTotalMem(&bytes, d));
	CHECK(bytes >= 8 << 20, "%zu bytes of memory", bytes);
	CU(cuDeviceGetPCIBusId(bus, sizeof(bus), d));
	CHECK(strlen(bus) >= 12 && bus[4] == ':' && bus[7] == ':', "bus id '%s'", bus);
	CU(cuDeviceGetByPCIBusId(&other, bus));
	CHECK(other == d, "device %d has the bus id of device %d", other, d);
	printf("name, UUID, memory, bus id: all right\n");
}

int main(void)
{
	int count, version, can = -1;
	unsigned int flags;
	int active;
	CUdevice d;

	WANT(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&count));
	d = start();
	CU(cuDriverGetVersion(&version));
	CHECK(version >= 12000 && version < 20000 && version % 10 == 0, "driver version %d",
	      version);
	CU(cuDeviceGetCount(&count));
	CHECK(count >= 1, "%d devices", count);
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&d, count));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&d, -1));
	CU(cuDeviceGet(&d, 0));
	check_attributes(d);
	check_identity(d);
	CU(cuDeviceCanAccessPeer(&can, d, d));
	CHECK(can == 0, "a device is its own peer");
	CU(cuDevicePrimaryCtxGetState(d, &flags, &active));
	CHECK(active == 1, "the primary context is not active");
	finish();
	printf("devices: all right\n");
	return 0;
}
