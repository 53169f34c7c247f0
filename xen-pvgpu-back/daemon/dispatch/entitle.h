/* SPDX-License-Identifier: MIT */
/*
 * The time for which a worker was entitled to use the GPU: while its gate was open, and from its
 * closing until the work in flight had drained. Pure: times are arguments.
 *
 * Only the worker can tell when it has drained, and it may lie. So a reported drain counts only
 * while it fits the other reports. A worker that has issued nothing since its last `drained` has
 * nothing to drain. A worker that reports again and again that no work is unfinished has drained. A
 * worker that issues commands while its gate is closed is not entitled to a drain in that closing,
 * except for one or two commands now and then: it counts a command before its last look at the
 * gate, and the closing may come in between. A worker that pretends to run work issued in time is
 * left to the watchdog's limit, and pays.
 *
 * pvgpud's own looks may be far apart and late. Reports between two looks are not seen, and the
 * time of a report is read after the report.
 */
#ifndef PVGPU_ENTITLE_H
#define PVGPU_ENTITLE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/contract/gate.h"

struct entitle {
	bool open, draining, late;
	bool first;   /* draining only once a command that is being issued shows up in its count */
	bool blank;   /* the last report was not drained, but without unfinished work */
	bool slipped; /* late commands were tolerated in this closing */
	unsigned int slips; /* closings with late commands that are still tolerated */
	uint64_t slips_ns;  /* when slips were last added */
	uint64_t
		unknown_ns; /* an adopted worker without a report yet: the end of the time for it */
	uint64_t since_ns;  /* total_ns and drain_ns count up to here */
	uint64_t total_ns;  /* open time and earlier drains */
	uint64_t drain_ns;  /* drain of this closing, while it is believed */
	uint64_t blank_ns;  /* blank part of it, also across openings of the gate */
	uint64_t at_close;  /* commands issued when the gate was closed */
	uint64_t at_blank;  /* the highest number of commands reported */
	uint64_t at_drained;    /* commands issued at the last `drained` */
	uint64_t late_commands; /* of the last closing whose late commands were not tolerated */
};

/* A gate starts closed. busy: the worker was adopted and may have work in flight. */
void entitle_init(struct entitle *e, bool busy, uint64_t now);
/* Takes the state of the gate and a report. To be called before each opening, after each closing,
 * and whenever a report was read. */
void entitle_gate(struct entitle *e, bool open, const struct pvgpu_gate_report *r, uint64_t now);
/* The entitlement up to now. It shrinks when a reported drain turns out to be false. */
uint64_t entitle_ns(const struct entitle *e, uint64_t now);

#endif
