/* SPDX-License-Identifier: MIT */
/* A worker's control socket, written to by a fuzzer, and what must hold in pvgpud meanwhile. */
#ifndef PVGPU_FUZZ_WORKER_SAYS_H
#define PVGPU_FUZZ_WORKER_SAYS_H

#include <stddef.h>
#include <stdint.h>

#include "tests/unit/daemon/xenctl_fake.h"

/* The input that is left. */
struct says {
	const uint8_t *at;
	size_t left;
};

uint64_t says_take(struct says *in, unsigned int bytes);
void says_bytes(struct says *in, void *to, size_t n);
/* A message that would mean something: few numbers, or the right ones. Dead workers say nothing. */
void says_likely(struct says *in, struct fake_worker *k);
/* Any bytes, perhaps of another length, perhaps with files. */
void says_any(struct says *in, struct fake_worker *k);
/* What pvgpud last asked of it, answered. */
void says_answer(struct says *in, struct fake_worker *k);
/* What all hold is the sum of what each holds. */
void says_check(void);
void says_nothing_left(void);

#endif
