/* SPDX-License-Identifier: MIT */
/*
 * Parked memory: device memory of an idle session that lies in host memory (swap.c), so that the
 * GPU has it for other vGPUs. The addresses stay the session's. pvgpud asks for it; the first
 * command that is not answered at once brings the memory back, and waits for that.
 */
#ifndef PVGPU_WORKER_SWAP_H
#define PVGPU_WORKER_SWAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_decode.h"

struct area;
struct ctx;
struct gpu;

/* Areas that left together, and one piece of host memory for them. */
struct batch {
	struct batch *next;
	struct area **areas;
	uint32_t count;
	unsigned char *store;
	uint64_t bytes;
};

/* The side lane leads on from SWAP_LEAVING and SWAP_COMING, the decoding thread from the others. */
enum swap_state {
	SWAP_HERE,    /* all memory is on the GPU */
	SWAP_DRAINS,  /* it is about to leave: nothing new is issued until all work has ended */
	SWAP_LEAVING, /* it is being moved to host memory */
	SWAP_AWAY,    /* it is there, or some of it */
	SWAP_ASKS,    /* ... and pvgpud was asked for its lease */
	SWAP_COMING,  /* it waits for memory on the GPU, or is being moved back */
};

struct swap {
	atomic_int state; /* enum swap_state */
	/* Batches that are parked: of the side lane's while it leaves and comes. */
	struct batch *parked;
	uint64_t bytes;
	uint64_t taken, since; /* g->taken when pvgpud asked, and when it asked first at that */
	/* While it drains: what pvgpud asked, and until when. */
	uint64_t most, enough, until;
	uint32_t question;
	bool may_swap;
};

/* Not all memory is on the GPU, or it is about to leave. */
#define swap_is_out(g) (atomic_load_explicit(&(g)->swap.state, memory_order_acquire) != SWAP_HERE)

/* Must the command wait for memory? Then that is on its way. Decoding thread. */
#define swap_holds(g, d) (swap_is_out(g) && swap_holds_slow(g, d))
bool swap_holds_slow(struct gpu *g, const struct pvgpu_cmd_desc *d);
/* Its work may have ended, or the time for it. Decoding thread. */
void swap_look(struct gpu *g);
/* How soon it is to be called again; -1: never. */
int swap_look_ms(struct gpu *g);
/* At the end, when no thread is left. */
void swap_free(struct gpu *g);

/*
 * swap_move.c, side lane: copy the areas' contents to the store or back, with a few threads for
 * as long as it takes. A CUresult.
 */
int swap_copy(struct gpu *g, struct ctx *c, const struct batch *b, bool out);
/* Host memory for `bytes`, which never gets to a disk; may_swap: nothing is ever swapped out
 * here, so that it need not be locked. NULL with a reason. */
unsigned char *swap_store_new(uint64_t bytes, bool may_swap, const char **why);
void swap_store_free(unsigned char *store, uint64_t bytes);

#endif
