/* SPDX-License-Identifier: MIT */
/*
 * Calls of the guest's libnvidia-ml.so.1 beside those of nvml.h: names, numbers and layouts
 * as the library's ABI has them on 64-bit Linux.
 */
#ifndef PVGPU_NVML_MORE_H
#define PVGPU_NVML_MORE_H

#include "nvml/nvml.h"

#define NVML_FEATURE_DISABLED      0
#define NVML_FEATURE_ENABLED       1
#define NVML_COMPUTEMODE_DEFAULT   0
#define NVML_BUS_TYPE_PCIE         2
#define NVML_TOPOLOGY_INTERNAL     0
#define NVML_AFFINITY_SCOPE_NODE   0
#define NVML_AFFINITY_SCOPE_SOCKET 1
#define NVML_MEMORY_V2             0x02000028u
#define NVML_TEMPERATURE_V1        0x0100000cu
#define NVML_NO_INSTANCE           0xffffffffu

typedef struct {
	unsigned int gpu, memory; /* percent */
} nvmlUtilization_t;

typedef struct {
	unsigned int version; /* in: NVML_MEMORY_V2 */
	unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
	unsigned int pid;
	unsigned long long usedGpuMemory; /* bytes */
} nvmlProcessInfo_v1_t;

/* Of nvmlDeviceGetTemperatureV. */
typedef struct {
	unsigned int version;    /* in: NVML_TEMPERATURE_V1 */
	unsigned int sensorType; /* in */
	int temperature;
} nvmlTemperature_t;

static_assert(sizeof(nvmlMemory_v2_t) == (NVML_MEMORY_V2 & 0xffff), "as its version says");
static_assert(sizeof(nvmlProcessInfo_v1_t) == 16, "as version 1 of the call has it");
static_assert(sizeof(nvmlTemperature_t) == (NVML_TEMPERATURE_V1 & 0xffff), "as its version says");

#define NVML_DEVICE      nvmlDevice_t device
#define NVML_NUMBER(out) (NVML_DEVICE, unsigned int *out)
#define NVML_TWO(a, b)   (NVML_DEVICE, unsigned int *a, unsigned int *b)

/* X(name, (parameters)): each returns nvmlReturn_t. */
#define NVML_MORE_CALLS(X)                                                                         \
	X(nvmlInit, (void))                                                                        \
	X(nvmlInitWithFlags, (unsigned int flags))                                                 \
	X(nvmlSystemGetCudaDriverVersion, (int *version))                                          \
	X(nvmlSystemGetCudaDriverVersion_v2, (int *version))                                       \
	X(nvmlSystemGetProcessName, (unsigned int pid, char *name, unsigned int length))           \
	X(nvmlDeviceGetCount, (unsigned int *count))                                               \
	X(nvmlDeviceGetHandleByIndex, (unsigned int index, nvmlDevice_t *device))                  \
	X(nvmlDeviceGetHandleByUUID, (const char *uuid, nvmlDevice_t *device))                     \
	X(nvmlDeviceGetHandleByPciBusId, (const char *id, nvmlDevice_t *device))                   \
	X(nvmlDeviceGetHandleByPciBusId_v2, (const char *id, nvmlDevice_t *device))                \
	X(nvmlDeviceGetIndex, NVML_NUMBER(index))                                                  \
	X(nvmlDeviceGetPciInfo, (NVML_DEVICE, nvmlPciInfo_t * pci))                                \
	X(nvmlDeviceGetPciInfo_v2, (NVML_DEVICE, nvmlPciInfo_t * pci))                             \
	X(nvmlDeviceGetMemoryInfo_v2, (NVML_DEVICE, nvmlMemory_v2_t * memory))                     \
	X(nvmlDeviceGetUtilizationRates, (NVML_DEVICE, nvmlUtilization_t * rates))                 \
	X(nvmlDeviceGetComputeRunningProcesses,                                                    \
	  (NVML_DEVICE, unsigned int *count, nvmlProcessInfo_v1_t *infos))                         \
	X(nvmlDeviceGetComputeRunningProcesses_v2,                                                 \
	  (NVML_DEVICE, unsigned int *count, nvmlProcessInfo_t *infos))                            \
	X(nvmlDeviceGetGraphicsRunningProcesses, NVML_TWO(count, infos))                           \
	X(nvmlDeviceGetGraphicsRunningProcesses_v2, NVML_TWO(count, infos))                        \
	X(nvmlDeviceGetGraphicsRunningProcesses_v3, NVML_TWO(count, infos))                        \
	X(nvmlDeviceGetMPSComputeRunningProcesses, NVML_TWO(count, infos))                         \
	X(nvmlDeviceGetMPSComputeRunningProcesses_v2, NVML_TWO(count, infos))                      \
	X(nvmlDeviceGetMPSComputeRunningProcesses_v3, NVML_TWO(count, infos))                      \
	X(nvmlDeviceGetComputeMode, NVML_NUMBER(mode))                                             \
	X(nvmlDeviceGetDisplayMode, NVML_NUMBER(on))                                               \
	X(nvmlDeviceGetDisplayActive, NVML_NUMBER(on))                                             \
	X(nvmlDeviceGetCudaComputeCapability, (NVML_DEVICE, int *major, int *minor))               \
	X(nvmlDeviceGetMemoryBusWidth, NVML_NUMBER(bits))                                          \
	X(nvmlDeviceIsMigDeviceHandle, NVML_NUMBER(is))                                            \
	X(nvmlSystemGetNVMLVersion, (char *version, unsigned int length))                          \
	X(nvmlDeviceGetArchitecture, NVML_NUMBER(architecture))                                    \
	X(nvmlDeviceGetMinorNumber, NVML_NUMBER(minor))                                            \
	X(nvmlDeviceGetBoardId, NVML_NUMBER(id))                                                   \
	X(nvmlDeviceGetMultiGpuBoard, NVML_NUMBER(is))                                             \
	X(nvmlDeviceOnSameBoard, (NVML_DEVICE, nvmlDevice_t other, int *same))                     \
	X(nvmlDeviceGetTopologyCommonAncestor,                                                     \
	  (NVML_DEVICE, nvmlDevice_t other, unsigned int *level))                                  \
	X(nvmlDeviceGetBusType, NVML_NUMBER(type))                                                 \
	X(nvmlDeviceGetPcieLinkMaxSpeed, NVML_NUMBER(speed))                                       \
	X(nvmlDeviceGetPcieSpeed, NVML_NUMBER(megabits))                                           \
	X(nvmlDeviceGetPowerState, NVML_NUMBER(state))                                             \
	X(nvmlDeviceGetPowerManagementMode, NVML_NUMBER(mode))                                     \
	X(nvmlDeviceGetPowerManagementLimit, NVML_NUMBER(milliwatts))                              \
	X(nvmlDeviceGetTemperatureV, (NVML_DEVICE, nvmlTemperature_t * temperature))               \
	X(nvmlDeviceGetClock,                                                                      \
	  (NVML_DEVICE, unsigned int clock, unsigned int id, unsigned int *mhz))                   \
	X(nvmlDeviceGetMigMode, NVML_TWO(current, pending))                                        \
	X(nvmlDeviceGetAccountingMode, NVML_NUMBER(mode))                                          \
	X(nvmlDeviceGetNumFans, NVML_NUMBER(count))                                                \
	X(nvmlDeviceGetEncoderUtilization, NVML_TWO(percent, period))                              \
	X(nvmlDeviceGetDecoderUtilization, NVML_TWO(percent, period))                              \
	X(nvmlDeviceGetJpgUtilization, NVML_TWO(percent, period))                                  \
	X(nvmlDeviceGetOfaUtilization, NVML_TWO(percent, period))                                  \
	X(nvmlDeviceGetCpuAffinity, (NVML_DEVICE, unsigned int words, unsigned long *set))         \
	X(nvmlDeviceGetCpuAffinityWithinScope,                                                     \
	  (NVML_DEVICE, unsigned int words, unsigned long *set, unsigned int scope))               \
	X(nvmlDeviceGetMemoryAffinity,                                                             \
	  (NVML_DEVICE, unsigned int words, unsigned long *set, unsigned int scope))               \
	X(nvmlDeviceGetMaxMigDeviceCount, NVML_NUMBER(count))                                      \
	X(nvmlEventSetWait, (nvmlEventSet_t set, nvmlEventData_t * data, unsigned int timeout_ms))

#define NVML_PROTOTYPE(name, parameters) nvmlReturn_t name parameters;
NVML_MORE_CALLS(NVML_PROTOTYPE)
#undef NVML_PROTOTYPE
const char *nvmlErrorString(nvmlReturn_t result);

#endif
