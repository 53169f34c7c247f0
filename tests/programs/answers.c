/* SPDX-License-Identifier: MIT */
/* What is answered without a GPU: settings of dumps, the log, atomics beyond the device, widths of
 * textures, and arrays that are of no special kind. */
#include <unistd.h>

#include "tests/programs/common.h"

static void dumps(void)
{
	char text[1024], name[] = "a-dump";
	bool on = true, got = false;
	unsigned int flags = 9;
	size_t size = sizeof(name), room;

	CU(cuCoredumpSetAttributeGlobal(CU_COREDUMP_FILE, name, &size));
	room = sizeof(text);
	CU(cuCoredumpGetAttributeGlobal(CU_COREDUMP_FILE, text, &room));
	CHECK(!strcmp(text, "a-dump") && room == sizeof(name), "the file is %s, of %zu bytes", text,
	      room);
	room = 0;
	CU(cuCoredumpGetAttribute(CU_COREDUMP_FILE, NULL, &room));
	CHECK(room == sizeof(name), "%zu bytes", room);
	room = 2;
	WANT(CUDA_ERROR_INVALID_VALUE, cuCoredumpGetAttribute(CU_COREDUMP_FILE, text, &room));
	size = sizeof(on);
	CU(cuCoredumpSetAttribute(CU_COREDUMP_LIGHTWEIGHT, &on, &size));
	CU(cuCoredumpGetAttribute(CU_COREDUMP_LIGHTWEIGHT, &got, &size));
	CHECK(got, "the dump is not light");
	size = sizeof(flags);
	CU(cuCoredumpGetAttributeGlobal(CU_COREDUMP_GENERATION_FLAGS, &flags, &size));
	CHECK(!flags, "flags %u", flags);
	WANT(CUDA_ERROR_INVALID_VALUE, cuCoredumpSetAttribute((CUcoredumpSettings)0, &on, &size));
	WANT(CUDA_ERROR_INVALID_VALUE, cuCoredumpSetAttributeGlobal(CU_COREDUMP_FILE, NULL, &size));
	WANT(CUDA_ERROR_INVALID_VALUE, cuCoredumpGetAttributeGlobal(CU_COREDUMP_MAX, text, &room));
	printf("settings of dumps: kept\n");
}

static void CUDA_CB listen(void *data, CUlogLevel level, char *message, size_t length)
{
	(void)data;
	(void)level;
	(void)message;
	(void)length;
}

static void logs(void)
{
	char text[64], path[] = "/tmp/pvgpu-log-XXXXXX";
	const int fd = mkstemp(path);
	CUlogsCallbackHandle handle;
	size_t size = sizeof(text);
	CUlogIterator at = 7;

	CHECK(fd >= 0, "no file for a log");
	CU(cuLogsRegisterCallback(listen, NULL, &handle));
	CU(cuLogsUnregisterCallback(handle));
	CU(cuLogsCurrent(&at, 0));
	CU(cuLogsDumpToMemory(&at, text, &size, 0));
	CU(cuLogsDumpToFile(&at, path, 0));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuLogsUnregisterCallback(handle));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLogsRegisterCallback(NULL, NULL, &handle));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLogsCurrent(&at, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLogsDumpToMemory(&at, NULL, &size, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLogsDumpToFile(&at, NULL, 0));
	close(fd);
	unlink(path);
	printf("the log: empty\n");
}

static void devices(void)
{
	CUatomicOperation what[] = {CU_ATOMIC_OPERATION_INTEGER_ADD, CU_ATOMIC_OPERATION_CAS};
	CUatomicOperation none = CU_ATOMIC_OPERATION_MAX;
	unsigned int can[2] = {9, 9}, mask;
	size_t width = 0;
	char luid[8];

	CU(cuDeviceGetHostAtomicCapabilities(can, what, 2, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetHostAtomicCapabilities(can, &none, 1, 0));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetP2PAtomicCapabilities(can, what, 2, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuDeviceGetP2PAtomicCapabilities(NULL, what, 2, 0, 0));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuDeviceGetLuid(luid, &mask, 0));
	CU(cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 4, 0));
	CHECK(width >= 1 << 27, "textures of %zu elements", width);
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDeviceGetTexture1DLinearMaxWidth(&width, CU_AD_FORMAT_FLOAT, 3, 0));
	printf("atomics, identity and widths: answered\n");
}

static void arrays(void)
{
	CUDA_ARRAY3D_DESCRIPTOR desc = {16, 16, 0, CU_AD_FORMAT_FLOAT, 1, 0};
	CUDA_ARRAY_SPARSE_PROPERTIES properties;
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs;
	CUarray array, plane;

	CU(cuArray3DCreate(&array, &desc));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArrayGetPlane(&plane, array, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArrayGetSparseProperties(&properties, array));
	WANT(CUDA_ERROR_INVALID_VALUE, cuArrayGetMemoryRequirements(&needs, array, 0));
	CU(cuArrayDestroy(array));
	printf("an array has no planes, is whole and has its memory\n");
}

int main(void)
{
	start();
	dumps();
	logs();
	devices();
	arrays();
	finish();
	return 0;
}
