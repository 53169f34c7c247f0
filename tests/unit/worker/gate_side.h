/* SPDX-License-Identifier: MIT */
/* pvgpud's side of a worker's gate, for the worker's unit tests. */
#ifndef PVGPU_TEST_GATE_SIDE_H
#define PVGPU_TEST_GATE_SIDE_H

#include "tests/unit/worker/worker_fake.h"

#define GATE_MODULE    PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 1)
#define GATE_FUNCTION  PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 1, 1)
#define GATE_STREAM(i) PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, i)

struct gate_side {
	struct pvgpu_gate *gate;
	struct pvgpu_gate_report *report;
	int files[2]; /* of the pages */
	int bell;     /* from the worker */
};

/* Pages that are closed and limit nothing, with their files. */
void gate_side_make(struct gate_side *p);
void gate_side_free(struct gate_side *p);
/* Give the pages to the worker; returns gpu_gate_take()'s result. */
int gate_side_give(struct gate_side *p, struct worker *w);
/* Store a word of the gate's. */
void gate_side_set(uint32_t *word, uint32_t value);
void gate_side_put(uint64_t *number, uint64_t value);
uint32_t gate_side_word(const uint32_t *word);
uint64_t gate_side_number(const uint64_t *number);
/* Has the worker rung since the last time? */
bool gate_side_rung(struct gate_side *p);
/* Ring the worker, and let it act on the ring. */
void gate_side_ring(struct worker *w);

/*
 * A session with the module, its function and streams 1 to n; the far end's work ends when told. It
 * knows that kernels of one block take GATE_KNOWN_NS, and has done nothing so far.
 */
#define GATE_KNOWN_NS 10000u
struct worker *gate_session(uint32_t streams);
/* One kernel, of a shape by number; of a grid. */
int gate_launch(struct worker *w, uint64_t stream, uint32_t shape);
int gate_launch_grid(struct worker *w, uint64_t stream, const uint32_t grid[3]);
/* From the arena's start to the device, in stream 1. */
void gate_copy_to(struct worker *w, uint64_t device, uint64_t size);
/* Kernels that the far end was given. */
uint64_t gate_launched(void);
/* All work ends, from now on at once. */
void gate_run_freely(void);

#endif
