/* SPDX-License-Identifier: MIT */
/* Work in a stream: work.c. */
#ifndef SIMLIBS_CUBLASLT_WORK_H
#define SIMLIBS_CUBLASLT_WORK_H

#include "libpvgpu/cublaslt/problem/problem.h"

struct sim_work {
	void (*run)(struct sim_work *w);
	struct sim_work *next; /* of those that a graph may run again */
	bool kept;
};

/* Run it when the stream comes to it; it is freed then, or on failure. In a capture it is kept. */
cublasStatus_t sim_push(struct sim_work *w, CUstream stream);

#endif
