/* SPDX-License-Identifier: MIT */
/* Copies that a device does on the side, and the barriers in shared memory that tell of their end.
 */
#ifndef PVGPU_SIMCUDA_PTX_EXEC_ASYNC_H
#define PVGPU_SIMCUDA_PTX_EXEC_ASYNC_H

#include "tests/simcuda/ptx/exec.h"

/* An address operand: its row, and the rest. */
struct place_op {
	struct mem_op at;
	uint32_t row;
};

/* cp.async, cp.async.bulk, cp.reduce.async.bulk. */
struct copy_op {
	struct place_op to, from, barrier;
	uint32_t bytes;     /* 0: of the row `size` */
	uint32_t size;      /* row */
	uint32_t from_size; /* row: what is behind that many bytes is zero; or OPERAND_NONE */
	uint32_t ignore;    /* predicate: all is zero; or OPERAND_NONE */
	uint32_t ranks;     /* row: a mask of the cluster's blocks that get it; or OPERAND_NONE */
	uint8_t bulk, tells, reduces;
	struct mem_op reduce;
};

/* cp.async.bulk.tensor, cp.reduce.async.bulk.tensor. */
struct tensor_op {
	struct place_op map, shared, barrier;
	uint32_t at[PTX_TENSOR_RANK];          /* rows: coordinates */
	uint32_t offsets[PTX_TENSOR_RANK - 2]; /* rows: of im2col */
	uint32_t ranks;                        /* as in struct copy_op */
	uint8_t rank, offset_count, is_im2col, to_global, tells, reduces, atom;
};

enum mbarrier_do {
	MBARRIER_INIT,
	MBARRIER_INVAL,
	MBARRIER_ARRIVE,
	MBARRIER_DROP,
	MBARRIER_EXPECT,
	MBARRIER_COMPLETE,
	MBARRIER_COPIES, /* cp.async.mbarrier.arrive: copies have ended when they begin */
	MBARRIER_COUNT,
};

struct mbarrier_op {
	struct place_op at;
	uint8_t what, expects, by_parity;
	uint32_t count; /* row: of arrivals, of bytes, or the state or parity that is waited for */
};

void place_addresses(const struct warp *w, const struct place_op *p, uint32_t mask,
		     uint64_t out[LANES]);
/* Bytes have arrived that an mbarrier object waits for. */
void tell_barrier(uint8_t *barrier, uint32_t bytes);

/* Decoding: an address operand; the operation of a reduction. */
struct parser;
struct raw;
void take_place(struct parser *p, struct raw *r, uint32_t n, enum space space, struct place_op *to);
enum atom take_atom(struct raw *r);
void decode_tensor(struct parser *p, struct raw *r, bool reduces);

#endif
