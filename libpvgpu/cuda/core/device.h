/* SPDX-License-Identifier: MIT */
/* The devices that programs see: device.c, visible.c. */
#ifndef PVGPU_CUDA_CORE_DEVICE_H
#define PVGPU_CUDA_CORE_DEVICE_H

#include "cuda/core/public.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct ctx;
struct pvgpu_session;

struct device {
	uint32_t wire; /* its number at the worker; see visible.c */
	uint64_t total_mem;
	CUuuid uuid;
	char name[256];
	char pci_bus_id[32];
	struct pvgpu_device_attr attr[PVGPU_ATTRS_MAX];
	pthread_mutex_t lock; /* of the primary context's life */
	struct ctx *primary;  /* permanent object */
	bool active;          /* the worker has it */
	unsigned int retained;
	unsigned int primary_flags;
	struct launch_limits {
		unsigned int grid[3], block[3], threads;
	} limits;
};
/* One snapshot of each device, when the session opens; *count becomes how many are visible. */
int device_snapshot_all(struct pvgpu_session *s, int *count);
/* NULL when there is no such device. */
struct device *device_at(CUdevice dev);
/* A device attribute's value; 0 where the driver refused it. */
int device_value(int device, CUdevice_attribute attr);
/* Is a size beyond the limit that such an attribute states? */
bool device_exceeds(int device, size_t size, CUdevice_attribute limit);

/* visible.c: fill order with the numbers of the devices to be seen; returns how many. */
int visible_devices(const struct device *all, int count, int *order);

#endif
