/* SPDX-License-Identifier: MIT */
/*
 * Estimates of GPU work, in nanoseconds of GPU time. Kernels are known by
 * function and shape, copies and memsets by kind and bytes. Decoding thread only.
 *
 *   work_kernel() or work_bytes(), before it is given to the far end; then work_commit(), or
 *   work_abort() when the far end has refused it. The stream's context is current.
 *
 * Now and then a command is measured, by an event before and one after it; sooner when the work of
 * a stream between two fences took longer than estimated, since a kernel's time may depend on data.
 * A measurement beside other vGPUs' work (contract/gate.h, `learn` is 0) is provisional.
 */
#ifndef PVGPU_WORKER_ESTIMATE_H
#define PVGPU_WORKER_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/worker/far.h"
#include "gate.h"

struct gpu;
struct ctx;
struct stream;
struct function;
struct graph_sum;

#define ESTIMATE_UNKNOWN_NS 1000000u              /* a kernel of which nothing is known */
#define ESTIMATE_LEAST_NS   500u                  /* as fine as events tell */
#define ESTIMATE_MOST_NS    (600ull * 1000000000) /* the most that an estimate says */
#define ESTIMATE_BESIDE_NS  100000000u            /* beside others' work: believed at once */
#define ESTIMATE_EVERY_NS   2000000u              /* measure once in this much estimated time */
#define ESTIMATE_SMALL      65536u                /* bytes: below, size matters little */
#define ESTIMATE_SETS       256u
#define ESTIMATE_WAYS       4u
#define ESTIMATE_TIMERS     4u
#define ESTIMATE_DOUBTS     16u       /* measured for one doubt at most, */
#define ESTIMATE_DOUBT_NS   20000000u /* and so long till the next */
#define ESTIMATE_PASSED     (ESTIMATE_SETS * ESTIMATE_WAYS / ESTIMATE_DOUBTS)

struct estimate {
	uint64_t tag; /* of function and shape; 0: none */
	uint64_t ns;
	uint32_t used;   /* last, on the clock: the oldest of a set is replaced */
	uint8_t samples; /* up to 2 */
	uint8_t checked; /* the doubt in which it was last measured */
	bool own;        /* measured with no other vGPU on the GPU */
	bool doubted;    /* it took longer beside others' work; to be measured again */
	bool surprising; /* it took longer once, which is not believed yet */
	bool measured;   /* is being */
};

enum work_kind {
	WORK_KERNEL,
	WORK_TO_DEVICE,
	WORK_TO_HOST,
	WORK_DEVICE, /* device to device */
	WORK_HOST,   /* host to host */
	WORK_MEMSET,
	WORK_KINDS
};

/* As many 32-bit numbers: grid, block, bytes of shared memory. */
#define WORK_SHAPE 7

struct work {
	enum work_kind kind;
	uint64_t ns, bytes;
	uint64_t commands; /* as which it counts */
	struct estimate *e;
	int timer;   /* that measures it; -1 */
	bool unsure; /* nothing is known of it */
};

struct timer {
	CUevent before, after;
	struct ctx *ctx; /* NULL: not in use */
	struct estimate *e;
	uint64_t tag, bytes;
	uint64_t whole;  /* tag of the function, whatever its shape; 0: no kernel */
	uint64_t stream; /* its number */
	bool doubt;      /* for a doubt, see estimates_compare() */
	bool running;    /* both events are recorded */
	bool disturbed;  /* the command waited for another one of the session's: no measurement */
	uint32_t learn;  /* as it was when it began: contract/gate.h */
};

struct estimates {
	struct estimate (*set)[ESTIMATE_WAYS];
	/* Of less than ESTIMATE_SMALL bytes; and of a MiB more. */
	struct estimate small[WORK_KINDS], mib[WORK_KINDS];
	struct timer timer[ESTIMATE_TIMERS];
	uint32_t clock, timers; /* timers: in use */
	uint32_t looks;         /* for a look at them now and then */
	uint64_t unmeasured;    /* estimated time of commands issued since the last measured one */
	/* Work took much longer than estimated: each kind of command used lately is measured once,
	 * up to so many. */
	bool doubt;
	uint8_t doubts;    /* ever; its low bits */
	uint8_t passed;    /* doubts before it that left some out: these come first */
	uint32_t doubt_at; /* on the clock */
	uint32_t doubt_left;
	uint64_t doubt_ns; /* when */
};

int estimates_init(struct gpu *g);
void estimates_free(struct gpu *g);
/* The context goes. */
void estimates_leave(struct gpu *g, struct ctx *c);
/* Learn from measurements that have ended. */
void estimates_poll(struct gpu *g);
/* Commands that are being measured have waited for another one: their times are no measurements. */
void estimates_disturbed(struct gpu *g);
/* Work of a stream with the estimate `cost` took `took` ns, waits and others' work included. */
void estimates_compare(struct gpu *g, uint64_t cost, uint64_t took);

void work_kernel(struct work *k, struct stream *s, struct function *f,
		 const uint32_t shape[WORK_SHAPE]);
/* A library's call: known by its number and what its cost depends on. */
void work_call(struct work *k, struct stream *s, uint32_t op, const uint32_t shape[WORK_SHAPE]);
/* An instantiated graph, by its handle. */
void work_graph(struct work *k, struct stream *s, uint64_t exec, const struct graph_sum *sum);
/* Not measured: it is more than one operation. */
void work_bytes(struct work *k, struct stream *s, enum work_kind kind, uint64_t bytes,
		bool measured);
/*
 * foresee.c: how long a command that has not run will take. *known: false when no work like it has
 * ended; then it is a guess.
 */
uint64_t work_foresee(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, bool *known);
/* Of this function or call in this shape (NULL: whatever its shape). */
uint64_t estimate_of(struct gpu *g, uint64_t what, const uint32_t shape[WORK_SHAPE], bool *known);
uint64_t estimate_bytes(struct gpu *g, enum work_kind kind, uint64_t bytes);
void work_commit(struct work *k, struct stream *s);
void work_abort(struct work *k, struct stream *s);

#endif
