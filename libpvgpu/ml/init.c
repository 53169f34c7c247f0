/* SPDX-License-Identifier: MIT */
/* Init and shutdown, errors, versions, and which device there is. */
#include "ml/ml.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cuda.h"

struct nvmlDevice_st {
	int unused;
};
struct nvmlDevice_st ml_device;

pthread_mutex_t ml_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;

static void lock(void)
{
	pthread_mutex_lock(&ml_lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&ml_lock);
}

/* A forked child may ask, too, whatever the parent's other threads did. */
static __attribute__((constructor)) void watch_fork(void)
{
	pthread_atfork(lock, unlock, unlock);
}

nvmlReturn_t ml_enter(void)
{
	return __atomic_load_n(&users, __ATOMIC_ACQUIRE) ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t ml_enter_device(nvmlDevice_t device, const void *out)
{
	const nvmlReturn_t r = ml_enter();

	if (r)
		return r;
	return device == &ml_device && out ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

int ml_refuse(void)
{
	return ml_enter() ? NVML_ERROR_UNINITIALIZED : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t ml_give(char *to, unsigned int length, const char *text)
{
	const size_t n = strlen(text) + 1;

	if (length < n)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	memcpy(to, text, n);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
	nvmlReturn_t r = NVML_SUCCESS;

	pthread_mutex_lock(&ml_lock);
	if (!users && !ml_there())
		r = NVML_ERROR_DRIVER_NOT_LOADED;
	else
		__atomic_add_fetch(&users, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&ml_lock);
	return r;
}

nvmlReturn_t nvmlInit_v2(void)
{
	return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlInit(void)
{
	return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlShutdown(void)
{
	nvmlReturn_t r;

	pthread_mutex_lock(&ml_lock);
	r = ml_enter();
	if (!r && !__atomic_sub_fetch(&users, 1, __ATOMIC_RELEASE))
		ml_gpu_forget();
	pthread_mutex_unlock(&ml_lock);
	return r;
}

static const struct {
	int result;
	const char *text;
} errors[] = {
	{0, "Success"},
	{1, "Uninitialized"},
	{2, "Invalid argument"},
	{3, "Not supported"},
	{4, "Insufficient permissions"},
	{5, "Already initialized"},
	{6, "Not found"},
	{7, "Insufficient size"},
	{8, "Insufficient external power"},
	{9, "Driver not loaded"},
	{10, "Timeout"},
	{11, "Interrupt request issue"},
	{12, "Library not found"},
	{13, "Function not found"},
	{14, "Corrupted infoROM"},
	{15, "GPU is lost"},
	{16, "GPU requires a reset"},
	{17, "The operating system has blocked the request"},
	{18, "Driver and library versions differ"},
	{19, "In use by another client"},
	{20, "Insufficient memory"},
	{21, "No data"},
	{22, "Not available while ECC is enabled"},
	{23, "Insufficient resources"},
	{24, "Frequency not supported"},
	{25, "Version of an argument is not supported"},
	{26, "Deprecated"},
	{27, "Not ready"},
	{28, "GPU not found"},
	{29, "Invalid state"},
};

const char *nvmlErrorString(nvmlReturn_t result)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].result == (int)result)
			return errors[i].text;
	return "Unknown error";
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
	nvmlReturn_t r = ml_enter();
	int theirs;

	if (r || !version)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	pthread_mutex_lock(&ml_lock);
	theirs = ml_facts()->driver_version;
	pthread_mutex_unlock(&ml_lock);
	/* As cuDriverGetVersion() has it. */
	*version = theirs > 0 && theirs < CUDA_VERSION ? theirs : CUDA_VERSION;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
	return nvmlSystemGetCudaDriverVersion_v2(version);
}

nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
	nvmlReturn_t r = ml_enter();
	char path[64], text[4096];
	ssize_t n;
	int fd;

	if (r || !name || !length)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NVML_ERROR_NOT_FOUND;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	snprintf(name, length, "%s", text);
	return NVML_SUCCESS;
}

/* ---- devices ---- */

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
	const nvmlReturn_t r = ml_enter();

	if (r || !count)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	*count = 1;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *count)
{
	return nvmlDeviceGetCount_v2(count);
}

/* A reading now spares a program that asks for the utilisation later a part of its wait. */
static nvmlReturn_t give_device(nvmlDevice_t *device)
{
	pthread_mutex_lock(&ml_lock);
	ml_usage_begin();
	pthread_mutex_unlock(&ml_lock);
	*device = &ml_device;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	const nvmlReturn_t r = ml_enter();

	if (r || index || !device)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	return give_device(device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByIndex_v2(index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
	char own[NVML_DEVICE_UUID_BUFFER_SIZE];
	nvmlReturn_t r = ml_enter();

	if (r || !uuid || !device)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	r = nvmlDeviceGetUUID(&ml_device, own, sizeof(own));
	if (r)
		return r;
	return strcasecmp(own, uuid) ? NVML_ERROR_NOT_FOUND : give_device(device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *device)
{
	unsigned int domain, bus, slot;
	nvmlReturn_t r = ml_enter();
	nvmlPciInfo_t own;

	if (r || !id || !device)
		return r ? r : NVML_ERROR_INVALID_ARGUMENT;
	if (sscanf(id, "%x:%x:%x", &domain, &bus, &slot) != 3) {
		domain = 0;
		if (sscanf(id, "%x:%x", &bus, &slot) != 2)
			return NVML_ERROR_INVALID_ARGUMENT;
	}
	r = nvmlDeviceGetPciInfo_v3(&ml_device, &own);
	if (r)
		return r;
	if (domain != own.domain || bus != own.bus || slot != own.device)
		return NVML_ERROR_NOT_FOUND;
	return give_device(device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *id, nvmlDevice_t *device)
{
	return nvmlDeviceGetHandleByPciBusId_v2(id, device);
}
