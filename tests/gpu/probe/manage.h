/* SPDX-License-Identifier: MIT */
/* The management library, for steps that look at the device from outside of libcuda. */
#ifndef PVGPU_PROBE_MANAGE_H
#define PVGPU_PROBE_MANAGE_H

#include "tests/gpu/probe/probe.h"
#include "xen-pvgpu-back/health/nvml.h"

#define MANAGE_PROCESSES 256u

/* Loaded and initialised, or NULL and `reason`. */
struct nvml *manage_open(char *reason, size_t cap);
/* A call's result, said where it failed; true: it did not. */
bool manage_did(const char *call, nvmlReturn_t r);
/* The device with that UUID, its number in *index; *index -1: the first of all, since none has it
 * or `uuid` is NULL. false: there is none. */
bool manage_device(const CUuuid *uuid, nvmlDevice_t *device, int *index);
/* At most MANAGE_PROCESSES of those that have contexts. */
unsigned int manage_processes(nvmlDevice_t device, nvmlProcessInfo_t *at);

#endif
