/* SPDX-License-Identifier: MIT */
/* Between the two halves of the far end of worker_fake.h. */
#ifndef PVGPU_TEST_WORKER_FAKE_FAR_H
#define PVGPU_TEST_WORKER_FAKE_FAR_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/worker/worker_fake.h"

#define F (&fake_far)
#define ENTER(call)                                                                                \
	do {                                                                                       \
		CUresult (*fail_)(const char *) = F->fail;                                         \
		CUresult r_ = fail_ ? fail_(call) : CUDA_SUCCESS;                                  \
		if (!r_)                                                                           \
			r_ = F->stuck;                                                             \
		if (r_)                                                                            \
			return r_;                                                                 \
	} while (0)

/* A condition that the worker must keep. Not libcheck's: fuzzers use this, too. */
#define FAKE_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

unsigned long long fake_fresh(void);
void fake_count(int *what, int by);
/* One more operation on a stream. */
CUresult fake_issue(CUstream s);
void fake_far_memory(struct far *far);
void fake_far_graphs(struct far *far);
void fake_far_green(struct far *far);
/* All of them are gone. */
void fake_graphs_end(void);

#endif
