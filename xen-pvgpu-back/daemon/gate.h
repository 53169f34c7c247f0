/* SPDX-License-Identifier: MIT */
/*
 * The gate: two pages that pvgpud shares with each worker that has a session, and two eventfds,
 * sent with PVGPU_SUP_GATE (after ASSIGN, and by a new pvgpud after it has adopted the worker; the
 * last ones sent count).
 *
 * struct pvgpu_gate is pvgpud's word, read-only to the worker (F_SEAL_FUTURE_WRITE). While `open`
 * is 1 the worker may issue GPU work; to look costs it a load. struct pvgpu_gate_report is the
 * worker's, and hints only: the worker is assumed hostile, what matters is checked against the far
 * end's accounting.
 *
 * A gate is closed at first, also before its pages have come. A worker that gets GPU work (kernels,
 * copies, memsets: whatever occupies the device) with the gate closed parks it, sets `wants` and
 * `sleeps` and writes the bell to pvgpud; it writes again when it has nothing in flight and nothing
 * parked any more while `contended` is 1, and when the gate has been closed and what was in flight
 * has drained. While nobody else wants the GPU the grant stays where it is, also when its holder is
 * idle: then nobody rings and nothing is waited for. pvgpud rings the worker when it opens the gate
 * and `sleeps` is 1, when `contended` is raised (a worker that is idle or becomes idle must say
 * so), and when an allowance grows that the worker has used up.
 *
 * What it does with the GPU a worker says before it does it: drained = 0, commands and oldest_ns,
 * then a last look at `open`, then the work. So however late it gets a processor afterwards,
 * nothing that it uses comes as a surprise.
 *
 * With pvgpud gone (the control socket hung up) the gate counts as open, but for exclusive pools:
 * there it counts as closed until a new pvgpud has sent new pages.
 *
 * All words are naturally aligned, written by one side, and loaded and stored atomically
 * (__atomic, seq_cst for open/contended/wants/sleeps: each side stores its word, then looks at the
 * other's, so no wake-up is lost).
 */
#ifndef PVGPU_GATE_H
#define PVGPU_GATE_H

#include <stdint.h>

/* Alongside PVGPU_SUP_GATE, in this order. */
enum pvgpu_gate_fd {
	PVGPU_GATE_FD_GATE,      /* memfd of struct pvgpu_gate, a page */
	PVGPU_GATE_FD_REPORT,    /* memfd of struct pvgpu_gate_report, a page, sealed in size */
	PVGPU_GATE_FD_TO_WORKER, /* eventfd, non-blocking */
	PVGPU_GATE_FD_TO_PVGPUD, /* eventfd, non-blocking */
	PVGPU_GATE_FDS
};

#define PVGPU_GATE_NO_LIMIT UINT64_MAX
/* Most that is in flight of one whom nobody waits for, and while pvgpud is away. */
#define PVGPU_GATE_ALONE_NS 2000000u

struct pvgpu_gate {
	uint32_t open;        /* 1: GPU work may be issued */
	uint32_t contended;   /* 1: other vGPUs want the GPU */
	uint32_t exclusive;   /* 1: closed while pvgpud is away */
	uint32_t learn;       /* 1: nobody else's work is on the GPU: times measured now are the
			       * worker's own */
	uint64_t inflight_ns; /* most estimated GPU time in flight */
	/* Rate limits: numbers since the session began, up to which the worker may go; commands
	 * beyond them stay parked. */
	uint64_t commands; /* GPU commands issued */
	uint64_t bytes;    /* copied */
	uint32_t depth;    /* most commands in flight; 0: as many as there is room for */
	uint32_t pad;
};

struct pvgpu_gate_report {
	uint32_t wants;   /* 1: has GPU work parked or in flight */
	uint32_t sleeps;  /* 1: parked for the gate or an allowance: ring when it changes */
	uint32_t drained; /* 1: nothing of its work is on the GPU */
	uint32_t pad;
	uint64_t inflight_ns; /* estimated GPU time of what is in flight */
	uint64_t busy_ns;     /* GPU time of what has ended, as estimated or measured */
	uint64_t copy_ns;     /* of that, on the copy path */
	uint64_t copy_bytes;  /* of copies issued */
	uint64_t commands;    /* GPU commands issued, and the one that is about to be */
	uint64_t launches;    /* of these, kernels */
	uint64_t oldest_ns; /* CLOCK_MONOTONIC when the oldest unfinished work began, as far as the
			     * worker can tell; 0: nothing is in flight. Who says so for long, and
			     * not that it has drained, is not believed (entitle.h) */
};

#endif
