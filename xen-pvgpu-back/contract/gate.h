/* SPDX-License-Identifier: MIT */
/*
 * The gate: two pages and two bells that pvgpud shares with each worker that has a session. They
 * come with PVGPU_SUP_GATE, after ASSIGN, and again from a new pvgpud that has adopted the worker;
 * the last ones sent count.
 *
 * struct pvgpu_gate is written by pvgpud and read-only to the worker (F_SEAL_FUTURE_WRITE). While
 * `open` is 1 the worker may issue GPU work; a check costs one load. struct pvgpu_gate_report is
 * written by the worker and is a hint only: a worker may be hostile, so its use of the GPU is
 * checked against the driver's accounting.
 *
 * A gate starts closed, also before its pages have arrived. A worker that gets GPU work (kernels,
 * copies, memsets: all that occupies the device) while the gate is closed parks it, sets `wants`
 * and `sleeps`, and rings pvgpud. It rings again when it becomes idle while `contended` is 1, and
 * when the gate was closed and its work in flight has drained, and, once after it has opened, when
 * `contended` and `tell` are 1 and nothing is parked any more. While no other vGPU wants the GPU
 * the grant stays where it is, even when its holder is idle; then neither side rings. pvgpud rings
 * the worker when it opens the gate while `sleeps` is 1, when it raises `contended` (an idle worker
 * must then say that it is idle), and when it raises an allowance that the worker has used up.
 *
 * Several vGPUs may have the GPU at once (sched/turn/joint.c): each uses little at a time and
 * waits for it. Their gates are open and `contended` is 0, so that no worker rings. A vGPU is known
 * for that by `full`, which its workers count up when a command does not fit into the work in
 * flight.
 *
 * A worker announces GPU work before it issues it: drained = 0, commands and oldest_ns, then a last
 * look at `open`, then the work. So work of a worker that is starved of CPU between these steps has
 * always been announced.
 *
 * The bells are one end of a socketpair, twice: what is written to TO_PVGPUD pvgpud reads, and what
 * it writes is read from TO_WORKER, eight bytes at a time or one; how many does not matter, and a
 * bell that is full is as good as rung. The other end is pvgpud's alone: no file's description is
 * on both sides, since each holder of one can change its O_NONBLOCK for all. An end of file is no
 * ring: the other side is gone. (A pvgpud of an older version sends eventfds, with which the worker
 * does the same.)
 *
 * When pvgpud is gone (the control socket hung up) the gate counts as open. In an exclusive pool it
 * counts as closed until a new pvgpud has sent new pages.
 *
 * All words are naturally aligned, written by one side, and loaded and stored atomically (__atomic,
 * seq_cst for open/contended/wants/sleeps: each side stores its word, then looks at the other's, so
 * no wake-up is lost).
 */
#ifndef PVGPU_GATE_H
#define PVGPU_GATE_H

#include <stdint.h>

#include "xen-pvgpu-back/contract/latency.h"

/* Alongside PVGPU_SUP_GATE, in this order. */
enum pvgpu_gate_fd {
	PVGPU_GATE_FD_GATE,      /* memfd of struct pvgpu_gate, a page */
	PVGPU_GATE_FD_REPORT,    /* memfd of struct pvgpu_gate_report, a page, sealed in size */
	PVGPU_GATE_FD_TO_WORKER, /* the worker reads */
	PVGPU_GATE_FD_TO_PVGPUD, /* the worker writes */
	PVGPU_GATE_FDS
};

#define PVGPU_GATE_NO_LIMIT UINT64_MAX
/* The most GPU time in flight of a vGPU that no other vGPU waits for, and while pvgpud is away. */
#define PVGPU_GATE_ALONE_NS 2000000u

struct pvgpu_gate {
	uint32_t open;      /* 1: GPU work may be issued */
	uint32_t contended; /* 1: other vGPUs want the GPU, and every change must be reported */
	uint32_t exclusive; /* 1: closed while pvgpud is away */
	/* 0: another vGPU's work may be on the GPU. Else times measured are the worker's own, if
	 * this had the same value when the work began: each time without others has another. */
	uint32_t learn;
	/* The most time that the work in flight may take to drain, by estimate: streams run beside
	 * each other, so it is no sum. One piece of work (a kernel, a graph, a copy) may always be
	 * in flight, however long it takes. 0: a moment for what the session's own work in flight
	 * may wait for: one piece into each stream that has nothing in flight, as long as others
	 * have some. When it has drained the moment is over. */
	uint64_t inflight_ns;
	/* Rate limits: totals since the session began that the worker may reach; commands beyond
	 * them stay parked. */
	uint64_t commands; /* GPU commands issued, and `nodes` */
	uint64_t bytes;    /* copied */
	uint32_t depth;    /* most commands in flight, in graphs, too; 0: as many as fit */
	uint32_t tell;     /* 1: ring once when nothing is parked any more */
	/* CLOCK_MONOTONIC: since when `learn` was not 0 last, and when it became 0 after that. */
	uint64_t learn_ns, learn_end_ns;
};

struct pvgpu_gate_report {
	uint32_t wants;   /* 1: has GPU work parked or in flight */
	uint32_t sleeps;  /* 1: something waits for the gate or an allowance, parked or in flight
			     behind a host function that has returned: ring when it changes */
	uint32_t drained; /* 1: none of its work is on the GPU */
	uint32_t counts_full; /* 1: `full` counts */
	uint64_t inflight_ns; /* estimated GPU time of what is in flight */
	uint64_t busy_ns;     /* GPU time of what has ended, as estimated or measured */
	uint64_t copy_ns;     /* of that, on the copy path */
	uint64_t copy_bytes;  /* of copies issued, those of graphs included */
	uint64_t commands;    /* GPU commands issued, and the one that is about to be */
	uint64_t launches;    /* of these, kernels */
	uint64_t oldest_ns; /* CLOCK_MONOTONIC when the oldest unfinished work began, as far as the
			       worker can tell; 0: nothing is in flight. A report that stays 0
			       without `drained` is not believed (entitle.h) */
	uint64_t full;      /* times that there was no room in flight for a command */
	uint64_t parked;    /* GPU commands that wait in the worker */
	/* Of parked commands, how long they were; the rest of `commands` was not. Nothing reads
	 * these when it decides. */
	struct pvgpu_latency waits;
	struct pvgpu_latency kernels; /* GPU time of launches, as estimated */
	/* The number of `commands` that have ended by a wait of the program's. The words above
	 * follow with the next command only. */
	uint64_t awaited;
	uint32_t issued; /* 1: since the gate opened there was a time when nothing was parked */
	uint32_t words; /* 1: a stream waits for a word. It counts as running, whatever it uses */
	/* Estimated GPU time until all that is in flight has ended, from `oldest_ns` on, if streams
	 * overlap as much as the worker hopes; 0: nothing is, or the worker is an older one. */
	uint64_t drain_ns;
	/* The nodes of graphs launched that occupy the GPU, but for one of each graph. Paid from
	 * the allowance as `commands` are, and in no other way commands: they are announced by the
	 * launch, and counted after it. */
	uint64_t nodes;
};

#endif
