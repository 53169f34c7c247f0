/* SPDX-License-Identifier: MIT */
/*
 * Faults: a tenant whose work goes wrong or that is killed, a neighbour that keeps on computing,
 * and the tenant that comes next. Each is a process; they share a page.
 */
#ifndef PVGPU_PROBE_STEP_FAULTS_H
#define PVGPU_PROBE_STEP_FAULTS_H

#include <stdatomic.h>

#include "tests/gpu/probe/parts.h"

#define PATTERN 0x5ec2e75au

struct shared {
	/* the neighbour */
	_Atomic uint64_t rounds, last_ns, gap_ns;
	_Atomic int stop, result;
	/* the tenant */
	_Atomic uint64_t marked_bytes;
	/* the next process */
	_Atomic uint64_t context_ns, found, scanned_bytes;
	_Atomic int next_result;
};

/* Of the environment: what the tenant does. */
#define FAULT_ENV "GPU_PROBE_FAULT"

struct fault {
	const char *name;
	const char *kernel; /* of tests/kernels/fault; NULL: none, it is killed idle */
	int code;           /* what pvgpu's tests want; 0: it does not end, and is killed */
	unsigned int blocks;
};
extern const struct fault faults[];
const struct fault *fault_find(const char *name);

/* faults_roles.c */
void faults_tenant(void);
void faults_neighbour(void);
void faults_next(void);

#endif
