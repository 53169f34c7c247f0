/* SPDX-License-Identifier: MIT */
/*
 * A fake of pvgpud and its worker, in a thread of the test's process, on a real socket, for the
 * guest's session runtime. It answers session_hello, session_windows and host_func like a worker,
 * and the test commands below.
 */
#ifndef PVGPU_TEST_FAKE_WORKER_H
#define PVGPU_TEST_FAKE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "link/local.h"
#include "ring/ring.h"

enum fake_op {
	FAKE_ECHO = 1000, /* answer with arg */
	FAKE_HOLD,        /* awaited: answer with arg at FAKE_RELEASE */
	FAKE_RELEASE,     /* one-way: answer all held commands, the last first */
	FAKE_NOP,         /* one-way; a mark, when asked for, has result arg */
	FAKE_HOLD_MARK,   /* one-way: the mark comes at FAKE_RELEASE */
	FAKE_PAUSE,       /* one-way: take no commands for arg milliseconds */
	FAKE_RESULT,      /* answer with the result arg */
	FAKE_BAD,         /* awaited: break the protocol, arg: in which way */
	FAKE_DIE, /* hang up without an answer; arg: report the end in the ring page first */
};

enum fake_bad {
	BAD_UNKNOWN_SEQ,
	BAD_TWICE,
	BAD_SHORT,
	BAD_ODD,
	BAD_LONG,
	BAD_REP_PROD,
	BAD_CMD_CONS,
	BAD_KIND,
	BAD_CALLBACK,
	BAD_MARK,
	BAD_MARK_LEN,
	BADS
};

struct fake_rec { /* every command of the test's own */
	uint32_t len;
	uint16_t op, flags;
	uint32_t seq, zero;
	uint64_t arg;
};

struct fake {
	char path[64];
	int listen;
	pthread_t thread;
	/* Settings, before fake_start(). */
	uint32_t cmd_size, rep_size;
	uint64_t arena_limit;
	bool refuse;   /* answer the open request with an error */
	bool polls;    /* never sleep */
	int conflicts; /* number of proposals with taken addresses */
	void *taken;
	uint64_t device_base, arena_base;
	int chunk_error; /* answer chunks with this */
	bool bad_chunk;  /* answer chunks with a malformed message */
	/* Counters. */
	atomic_uint chunks, commands, doorbells, cb_done, attempts;
	/* The worker's own. */
	struct pvgpu_ring_page *page;
	struct pvgpu_ring cmd, rep;
	int to_worker, to_guest, sock;
	struct fake_rec held[256];
	unsigned int n_held;
	uint64_t callbacks[64];
	unsigned int n_callbacks;
	bool over;
};

/* Listen, set PVGPU_SOCKET, run. */
void fake_start(struct fake *f);
/* Wait for its end, at the guest's hang-up. */
void fake_stop(struct fake *f);

/* A reserved range of this size; munmap() it. Under valgrind a range as large is free in few places
 * only. */
void *fake_addresses(uint64_t size);

#endif
