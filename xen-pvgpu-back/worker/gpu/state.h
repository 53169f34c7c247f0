/* SPDX-License-Identifier: MIT */
/*
 * The state of a session on the worker's GPU side. It has the state of each part as a member, and
 * so this header includes the parts' headers; C files include those that they use, beside it.
 *
 * State of the decoding thread needs no lock: handle tables, the objects' lists, streams' counts,
 * the parked records. Other threads hold references to objects and touch only fields that are
 * atomic or name their lock.
 *
 * Locks, in the order in which they may be taken together: mem.lock, arena.chunks.lock,
 * complete.lock, side.lock. No far-end call is made under any of them. images.lock is taken alone;
 * a lease may be waited for under it.
 */
#ifndef PVGPU_WORKER_STATE_H
#define PVGPU_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "arena_map.h"
#include "bounce.h"
#include "callback.h"
#include "complete.h"
#include "estimate.h"
#include "evict.h"
#include "gate.h"
#include "hold.h"
#include "memory.h"
#include "objects.h"
#include "output.h"
#include "park.h"
#include "pvgpu_decode.h"
#include "share.h"
#include "side.h"
#include "swap.h"

struct ctx;
struct far;
struct worker;

#define CAPTURES_MAX    64
#define CONDITION_LISTS 1024u /* a power of two */

struct gpu {
	struct worker *w;
	const struct far *far;
	struct pvgpu_decode decode;
	struct tables tables;
	struct obj root;  /* contexts and libraries hang below it */
	uint32_t version; /* of the protocol, once session_hello has settled it */
	uint64_t taken;   /* number of the last command taken from the ring, see ring.h */
	uint64_t number;  /* of the one that runs */
	bool settled;     /* something has been made: the windows stay where they are */
	atomic_int deferred;
	atomic_int fault; /* the first device fault of any context */
	atomic_bool ended;
	atomic_ullong streams; /* made so far: their numbers */
	uint64_t captures;     /* begun so far: their numbers */
	uint64_t into;         /* number of the capture that the running command is for, or 0 */
	uint32_t capturing;    /* of these, under way */
	struct {
		uint64_t number;
		uint64_t graph; /* handle of the graph that gets the nodes */
		uint64_t nodes; /* counted of the session's so far, see graph_sum.c */
		int deferred;   /* the first error of what was to be captured */
		bool failed;    /* it has not begun; deferred says why */
	} active[CAPTURES_MAX];
	atomic_ullong graph_nodes; /* of all graphs and instances */
	struct {
		atomic_uint count, nodes; /* of all graphs */
		pthread_mutex_t lock;
		LIST_HEAD(, bodies) bodies[CONDITION_LISTS]; /* under lock */
	} conditions;                                        /* graph_condition.c */
	uint64_t op_serial;                                  /* operations issued on any stream */
	atomic_uint primaries; /* times that the primary context is retained; side lane */
	uint32_t full_streams, live_streams, zombies;
	uint32_t stream_limit, fence_every;
	struct park park;
	struct gate gate;
	struct estimates est;
	struct complete complete;
	struct side side;
	struct memory mem;
	struct evict evict;
	struct shares shares;
	struct swap swap;
	struct {
		pthread_mutex_t lock;
		uint64_t bytes; /* of all that are loaded, as charged */
		LIST_HEAD(, image_use) uses;
	} images; /* image.c; both side lanes */
	struct arena_map arena;
	struct bounce bounce;
	struct holds holds;
	struct callbacks cb;
	struct output out;
	unsigned char *scratch; /* decoding thread: the bytes of the reply being made */
	char *numbers; /* decoding thread: of the call being made, if they came by the arena */
	uint64_t numbers_room;
	_Atomic(struct lt_algos *) lt_algos; /* given to the guest, lt_algo.c; NULL: none yet */
};

#define SCRATCH_SIZE (16u << 10)

#endif
