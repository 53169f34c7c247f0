/* SPDX-License-Identifier: MIT */
/* The words of the arena that streams wait for: hold.c. Decoding thread. */
#ifndef PVGPU_WORKER_HOLD_H
#define PVGPU_WORKER_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct gpu;
struct stream;

struct holds {
	struct {
		uint64_t addr; /* 0: none */
		uint32_t value;
	} word[PVGPU_HOLD_WORDS];
};

/* Hold the stream until the word has reached the value, compared over the overflow; gpu_sees: it is
 * page-locked. A CUresult. */
int hold_stream(struct gpu *g, struct stream *s, uint64_t addr, uint32_t value, bool gpu_sees);
/* The guest is gone: let all streams pass. */
void holds_end(struct gpu *g);

#endif
