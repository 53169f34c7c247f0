/* SPDX-License-Identifier: MIT */
/*
 * The processors and the memory that are near a GPU, on a machine with several NUMA nodes: its
 * workers run there and take memory there. Where a GPU is becomes known when pvgpu-health tells its
 * address, after the first workers have been started.
 */
#ifndef PVGPU_DAEMON_NEAR_H
#define PVGPU_DAEMON_NEAR_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NEAR_CPUS 128

struct pool;

struct near {
	uint32_t domain, slot; /* what is known is of this device */
	bool known;
	int node;             /* -1: the machine does not tell, or has no nodes */
	char cpus[NEAR_CPUS]; /* as sysfs has them, such as "0-15,32-47" */
	cpu_set_t set;
};

/* From the directory of PCI devices, such as /sys/bus/pci/devices. False: there is no such device,
 * or its processors cannot be read. */
bool near_read(const char *devices, uint32_t domain, uint32_t slot, struct near *out);
/* Has each thread of a process run there. 0 or an errno. */
int near_pin(const struct near *n, pid_t pid);
/* Between the two this process, and what it starts, takes memory there if there is some. */
void near_memory_begin(const struct near *n);
void near_memory_end(const struct near *n);
/* The GPU's address has been told: workers that run are moved. */
void near_found(struct pool *p);

#endif
