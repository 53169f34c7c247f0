/* SPDX-License-Identifier: MIT */
/* Memory operations of streams and of graphs' nodes: stream_ops.c. */
#ifndef PVGPU_WORKER_STREAM_OPS_H
#define PVGPU_WORKER_STREAM_OPS_H

#include <stdint.h>

#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;
struct stream;
struct work;

struct mem_ops {
	unsigned int n, waits; /* waits: the number of them that wait */
	CUstreamBatchMemOpParams op[PVGPU_MEM_OPS_MAX];
};

/* Read what the guest says (pvgpu_mem_op), checking every address; a CUresult. */
int mem_ops_read(struct gpu *g, const void *bytes, uint32_t len, struct mem_ops *to);
/* They are handed to the far end: its fences take in that the stream waits for words. */
void mem_ops_commit(struct gpu *g, struct stream *s, struct work *k, uint64_t waits);

#endif
