/* SPDX-License-Identifier: MIT */
/*
 * A frame and a far end for the worker's GPU side, without process, ring or GPU. Records that the
 * worker sends are kept, and the far end's streams run when the test lets them. Memory is addresses
 * only.
 */
#ifndef PVGPU_TEST_WORKER_FAKE_H
#define PVGPU_TEST_WORKER_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define FAKE_SENT    65536u /* records that are kept */
#define FAKE_STREAMS 256u
#define FAKE_ARENA   (64u << 20)

struct fake_stream {
	atomic_bool live;
	uint64_t issued, done;
	uint64_t hosts_called, hosts_done; /* host functions, which run one after the other */
};

struct fake_sent {
	struct pvgpu_rep_hdr hdr;
	unsigned char body[64]; /* as much as fits */
};

struct fake_far {
	struct far far;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	atomic_bool manual; /* work ends by fake_complete() */
	struct fake_stream stream[FAKE_STREAMS];
	/* Counts of what exists: all must be zero at the end. */
	int ctxs, streams, events, modules, libraries, links, arrays, mipmaps, textures, reserved,
		physical, mapped, registered, greens;
	bool greens_last; /* no stream may be left when a green context goes */
	int hosts;        /* host functions that have not returned */
	/* The result that a call fails with, by the call's name. */
	CUresult (*_Atomic fail)(const char *call);
	uint64_t launches, bytes_mapped;
	uint64_t limit[CU_LIMIT_MAX]; /* as last set */
	unsigned int attrs;           /* of the last launch that had such */
	unsigned long long next;
	_Atomic float elapsed_ms; /* between any two events */
	_Atomic CUresult stuck;   /* a device fault: every call answers it */
};

struct worker {
	struct gpu *gpu;
	struct worker_info info;
	pthread_mutex_t lock;
	pthread_cond_t sent_more;
	struct fake_sent *sent;
	_Atomic uint32_t n_sent;
	uint64_t leased, quota, context_charge;
	unsigned int leases; /* granted */
	/* At the end of lease_put() and lease_info(), unless NULL. */
	void (*on_lease)(struct worker *w);
	uint64_t parked;
	unsigned int park_answers, resumes;
	bool park_busy;        /* of the last answer */
	char park_reason[128]; /* of the last answer; "": it is parked */
	bool no_memory;        /* parked memory cannot be leased now */
	bool asks;             /* then: it was asked for */
	int ended;             /* times */
	char why[160];
	atomic_bool kicked;
	_Atomic uint32_t cb_done;         /* what the guest's page says */
	_Atomic uint32_t cb_looks;        /* at it */
	uint64_t told[PVGPU_ENDED_SLOTS]; /* the greatest that worker_ended() said */
	atomic_bool faulted;
	uint64_t arena_base, arena_size;
	/* More records follow each at once: gpu_pause() is the test's to call. */
	bool posting;
	/* The decoding thread sleeps: a completion thread decodes for it, by this function. */
	void (*_Atomic decode)(struct worker *w);
	pthread_mutex_t stand_lock;
	pthread_cond_t stirred;
	bool roused, closes;          /* stand_lock */
	_Atomic uint32_t sent_before; /* records sent when that thread took over */
};

extern struct fake_far fake_far;
/* As CUDA does: events that are left go with their context. Without it they count as leaked. */
extern bool fake_ctx_takes_events;
/* Graphs, nodes and instances at the far end, from which on it copies no graph. */
extern unsigned int fake_graphs_most;
void fake_far_init(void);

/* A session with both windows and one context (handle FAKE_CTX), or without the context. */
#define FAKE_CTX PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 1)
struct worker *fake_open(bool with_ctx);
/* The same on another far end, loaded and initialised, whose objects are not counted at the end. */
struct worker *fake_open_on(const struct far *far);
/* Shut down; everything at the far end must be gone, and every lease returned. */
void fake_close(struct worker *w);

/* One record: header and fields as the generated structure has them, bytes after it. */
int fake_submit(struct worker *w, void *rec, uint32_t len, uint16_t op, uint32_t seq,
		const void *bytes, uint32_t bytes_len);
#define FAKE_SUBMIT(w, op, seq, ...)                                                               \
	fake_submit(w, &(__VA_ARGS__), sizeof(__VA_ARGS__), PVGPU_OP_##op, seq, NULL, 0)

/* All host functions have returned. */
void fake_hosts_end(void);
/* n operations of a stream end (UINT64_MAX: all), or of every stream with -1. */
void fake_complete(int stream, uint64_t n);
/* The number of a guest's stream at the far end; the context's default stream with handle 0. */
int fake_number(struct worker *w, uint64_t ctx, uint64_t stream);

/* Wait until a record with that kind and seq was sent; -1000 when it does not come. */
int fake_result(struct worker *w, uint16_t kind, uint32_t seq);
bool fake_was_sent(struct worker *w, uint16_t kind, uint32_t seq);
/* Body of that reply, for its fixed part. */
const void *fake_body(struct worker *w, uint16_t kind, uint32_t seq);
/* Its position among the records sent. */
uint32_t fake_order(struct worker *w, uint16_t kind, uint32_t seq);
/* There is memory for what is parked, which was asked for. */
void fake_grant(struct worker *w);
/* Let parked work go on, as the frame does after a kick; until nothing is kicked. */
void fake_kicked(struct worker *w);
/* Until `what` is true, kicking and looking meanwhile; false after a hundred seconds. */
bool fake_until(struct worker *w, bool (*what)(struct worker *w, void *arg), void *arg);

uint64_t fake_alloc(struct worker *w, uint32_t seq, uint64_t ctx, uint64_t size);
void fake_chunk(struct worker *w, uint64_t at, uint64_t size);

#endif
