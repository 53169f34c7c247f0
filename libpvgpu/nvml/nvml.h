/* SPDX-License-Identifier: MIT */
/*
 * The part of NVIDIA's management library (libnvidia-ml.so.1) that pvgpu uses: names, numbers and
 * layouts as its ABI has them on 64-bit Linux. Only what is stable since driver 510 is here.
 */
#ifndef PVGPU_NVML_H
#define PVGPU_NVML_H

#include <assert.h>
#include <stdint.h>

typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlEventSet_st *nvmlEventSet_t;

typedef enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_UNINITIALIZED = 1,
	NVML_ERROR_INVALID_ARGUMENT = 2,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_NOT_FOUND = 6,
	NVML_ERROR_INSUFFICIENT_SIZE = 7,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_RESET_REQUIRED = 16,
	NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
	NVML_ERROR_UNKNOWN = 999,
} nvmlReturn_t;

/* Where a number of bytes is not known. */
#define NVML_VALUE_NOT_AVAILABLE UINT64_MAX

typedef struct {
	unsigned int pid;
	unsigned long long usedGpuMemory; /* bytes */
	unsigned int gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

/* Percentages of a sampling period that ends at timeStamp. */
typedef struct {
	unsigned int pid;
	unsigned long long timeStamp; /* microseconds of CLOCK_REALTIME */
	unsigned int smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

typedef struct {
	unsigned long long total, free, used; /* bytes */
} nvmlMemory_t;

#define NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE 32

/* Version 2 ends before busId, with four reserved words; version 1 with pciDeviceId. */
typedef struct {
	char busIdLegacy[16];
	unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
	char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE];
} nvmlPciInfo_t;

typedef struct {
	unsigned long long bar1Total, bar1Free, bar1Used; /* bytes */
} nvmlBAR1Memory_t;

typedef struct {
	unsigned int fieldId, scopeId; /* in */
	long long timestamp, latencyUsec;
	unsigned int valueType;
	nvmlReturn_t nvmlReturn;  /* of this field */
	unsigned long long value; /* of a shorter type: its first bytes */
} nvmlFieldValue_t;

typedef struct {
	nvmlDevice_t device;
	unsigned long long eventType;
	unsigned long long eventData; /* of an Xid event: the Xid */
	unsigned int gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

static_assert(sizeof(nvmlPciInfo_t) == 68, "as version 3 of the call has it");
static_assert(sizeof(nvmlProcessInfo_t) == 24, "as version 3 of the call has it");
static_assert(sizeof(nvmlProcessUtilizationSample_t) == 32, "as the library has it");
static_assert(sizeof(nvmlEventData_t) == 32, "as version 2 of the call has it");
static_assert(sizeof(nvmlBAR1Memory_t) == 24, "as the library has it");
static_assert(sizeof(nvmlFieldValue_t) == 40, "as the library has it");

#define nvmlEventTypeXidCriticalError          0x8ull

#define NVML_DEVICE_UUID_BUFFER_SIZE           80
#define NVML_DEVICE_NAME_BUFFER_SIZE           64
#define NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE 80

#define NVML_VALUE_TYPE_UNSIGNED_INT           1
#define NVML_FI_DEV_PCIE_COUNT_TX_BYTES        197 /* sent by the GPU; may wrap */
#define NVML_FI_DEV_PCIE_COUNT_RX_BYTES        198

/* X(name, (parameters)): each returns nvmlReturn_t. */
#define NVML_CALLS(X)                                                                              \
	X(nvmlInit_v2, (void))                                                                     \
	X(nvmlShutdown, (void))                                                                    \
	X(nvmlSystemGetDriverVersion, (char *version, unsigned int length))                        \
	X(nvmlDeviceGetCount_v2, (unsigned int *count))                                            \
	X(nvmlDeviceGetHandleByIndex_v2, (unsigned int index, nvmlDevice_t *device))               \
	X(nvmlDeviceGetName, (nvmlDevice_t device, char *name, unsigned int length))               \
	X(nvmlDeviceGetUUID, (nvmlDevice_t device, char *uuid, unsigned int length))               \
	X(nvmlDeviceGetMemoryInfo, (nvmlDevice_t device, nvmlMemory_t * memory))                   \
	X(nvmlDeviceGetComputeRunningProcesses_v3,                                                 \
	  (nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_t *infos))                    \
	X(nvmlDeviceGetProcessUtilization,                                                         \
	  (nvmlDevice_t device, nvmlProcessUtilizationSample_t * samples, unsigned int *count,     \
	   unsigned long long last_seen))                                                          \
	X(nvmlEventSetCreate, (nvmlEventSet_t * set))                                              \
	X(nvmlEventSetFree, (nvmlEventSet_t set))                                                  \
	X(nvmlDeviceGetSupportedEventTypes, (nvmlDevice_t device, unsigned long long *types))      \
	X(nvmlDeviceRegisterEvents,                                                                \
	  (nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set))                     \
	X(nvmlEventSetWait_v2,                                                                     \
	  (nvmlEventSet_t set, nvmlEventData_t * data, unsigned int timeout_ms))

/* Likewise, of what a GPU or a driver may not have. */
#define NVML_OPTIONAL_CALLS(X)                                                                     \
	X(nvmlDeviceGetTemperature,                                                                \
	  (nvmlDevice_t device, unsigned int sensor, unsigned int *celsius))                       \
	X(nvmlDeviceGetPowerUsage, (nvmlDevice_t device, unsigned int *milliwatts))                \
	X(nvmlDeviceGetEnforcedPowerLimit, (nvmlDevice_t device, unsigned int *milliwatts))        \
	X(nvmlDeviceGetPersistenceMode, (nvmlDevice_t device, unsigned int *mode))                 \
	X(nvmlDeviceGetClockInfo, (nvmlDevice_t device, unsigned int clock, unsigned int *mhz))    \
	X(nvmlDeviceGetTotalEccErrors,                                                             \
	  (nvmlDevice_t device, int error, int counter, unsigned long long *count))                \
	X(nvmlDeviceGetPciInfo_v3, (nvmlDevice_t device, nvmlPciInfo_t * pci))                     \
	X(nvmlDeviceGetBAR1MemoryInfo, (nvmlDevice_t device, nvmlBAR1Memory_t * memory))           \
	X(nvmlDeviceGetEccMode,                                                                    \
	  (nvmlDevice_t device, unsigned int *current, unsigned int *pending))                     \
	X(nvmlDeviceGetDefaultEccMode, (nvmlDevice_t device, unsigned int *mode))                  \
	X(nvmlDeviceGetBrand, (nvmlDevice_t device, unsigned int *brand))                          \
	X(nvmlDeviceGetNumGpuCores, (nvmlDevice_t device, unsigned int *cores))                    \
	X(nvmlDeviceGetMaxPcieLinkGeneration, (nvmlDevice_t device, unsigned int *generation))     \
	X(nvmlDeviceGetGpuMaxPcieLinkGeneration, (nvmlDevice_t device, unsigned int *generation))  \
	X(nvmlDeviceGetMaxPcieLinkWidth, (nvmlDevice_t device, unsigned int *width))               \
	X(nvmlDeviceGetCurrPcieLinkGeneration, (nvmlDevice_t device, unsigned int *generation))    \
	X(nvmlDeviceGetCurrPcieLinkWidth, (nvmlDevice_t device, unsigned int *width))              \
	X(nvmlDeviceGetFieldValues, (nvmlDevice_t device, int count, nvmlFieldValue_t *values))    \
	X(nvmlDeviceGetPcieThroughput,                                                             \
	  (nvmlDevice_t device, unsigned int direction, unsigned int *kib))                        \
	X(nvmlDeviceGetPerformanceState, (nvmlDevice_t device, unsigned int *state))               \
	X(nvmlDeviceGetMaxClockInfo, (nvmlDevice_t device, unsigned int clock, unsigned int *mhz)) \
	X(nvmlDeviceGetPowerManagementDefaultLimit,                                                \
	  (nvmlDevice_t device, unsigned int *milliwatts))                                         \
	X(nvmlDeviceGetPowerManagementLimitConstraints,                                            \
	  (nvmlDevice_t device, unsigned int *least, unsigned int *most))                          \
	X(nvmlDeviceGetTemperatureThreshold,                                                       \
	  (nvmlDevice_t device, unsigned int threshold, unsigned int *celsius))

#define NVML_TEMPERATURE_GPU               0
#define NVML_TEMPERATURE_SHUTDOWN          0 /* thresholds */
#define NVML_TEMPERATURE_SLOWDOWN          1
#define NVML_PCIE_SENT                     0
#define NVML_PCIE_RECEIVED                 1
#define NVML_CLOCK_GRAPHICS                0
#define NVML_CLOCK_SM                      1
#define NVML_CLOCK_MEM                     2
#define NVML_CLOCK_VIDEO                   3
#define NVML_MEMORY_ERROR_TYPE_CORRECTED   0
#define NVML_MEMORY_ERROR_TYPE_UNCORRECTED 1
#define NVML_VOLATILE_ECC                  0 /* since the driver was loaded */

#define NVML_PROTOTYPE(name, parameters)   nvmlReturn_t name parameters;
NVML_CALLS(NVML_PROTOTYPE)
NVML_OPTIONAL_CALLS(NVML_PROTOTYPE)
#undef NVML_PROTOTYPE

#endif
