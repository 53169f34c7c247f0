/* SPDX-License-Identifier: MIT */
/* Shared memory as the worker has it of its guest: chunks of memfds, mapped into a reserved window.
 */
#ifndef PVGPU_PROBE_CHUNK_H
#define PVGPU_PROBE_CHUNK_H

#include "tests/gpu/probe/parts.h"

/* The flags with which the worker registers its arena. */
#define CHUNK_FLAGS (CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP)

#define WINDOW_AT   ((char *)0x200000000000) /* the worker's first choice */

/* The window, inaccessible where no chunk is; NULL: said why. */
char *window_get(void);
/* A memfd of so many bytes, mapped into the window; NULL: said why. *fd may be NULL. */
void *chunk_map(size_t at, size_t bytes, int *fd);
/* The inaccessible window again. */
void chunk_unmap(void *chunk, size_t bytes);
/* One that is registered as the worker does it. */
void *chunk_new(size_t at, size_t bytes);
void chunk_free(void *chunk, size_t bytes);

/* fill(), increment() and verify() of tests/kernels over words of memory, and wait for the end: is
 * the memory what fill() writes? */
struct words {
	CUfunction fill, increment, verify;
	CUdeviceptr wrong;
};
bool words_make(struct words *w);
CUresult words_fill(const struct words *w, CUdeviceptr at, size_t bytes, uint32_t seed);
CUresult words_increment(const struct words *w, CUdeviceptr at, size_t bytes);
/* -1: a call failed; else how many words are wrong. */
int64_t words_verify(const struct words *w, CUdeviceptr at, size_t bytes, uint32_t seed);
/* The same by the processor. */
void host_fill(void *p, size_t bytes, uint32_t seed);
int64_t host_verify(const void *p, size_t bytes, uint32_t seed, uint32_t more);

#endif
