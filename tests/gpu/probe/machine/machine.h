/* SPDX-License-Identifier: MIT */
/* The parts of the step "machine". */
#ifndef PVGPU_PROBE_MACHINE_H
#define PVGPU_PROBE_MACHINE_H

#include "tests/gpu/probe/probe.h"

/* machine_kernel.c: which kernel this is and what it gives. */
void machine_kernel(void);
/* machine_abilities.c: does what pvgpu's processes ask of the kernel work? */
void machine_abilities(void);
/* machine_nvml.c; `uuid`: of device 0, as CUDA has it, or NULL. */
void machine_nvml(const CUuuid *uuid);
/* The role that NVML is to see: it has a context and keeps the device busy until told to end. */
void machine_tenant(void);

#endif
