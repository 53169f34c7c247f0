/* SPDX-License-Identifier: MIT */
/*
 * For how long a worker may have used the GPU: while its gate was open, and after it was closed
 * until what was in flight has drained. Pure: times come in.
 *
 * When it has drained only the worker can say, and it may lie. Its word is an excuse only as long
 * as it fits the rest: who has issued nothing since it last said drained has nothing to drain, nor
 * has who says again and again that no work of it is unfinished, and who issues while it is closed
 * has no excuse for that closing at all, but for a command or two now and then: it counts one, then
 * looks at the gate, which may cross with the closing. What is left is a worker that seems to run
 * what it issued in time, which the watchdog's limit is for, and the charge.
 *
 * pvgpud's own looks may be far apart, and late: what a worker said in between is not known, and
 * each report's time is read after the report.
 */
#ifndef PVGPU_ENTITLE_H
#define PVGPU_ENTITLE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/gate.h"

struct entitle {
	bool open, draining, late;
	bool first;          /* draining, if what it seems to be issuing turns up in its count */
	bool blank;          /* draining, and it says that nothing of it is unfinished */
	bool slipped;        /* in this closing, and it was let pass */
	unsigned int slips;  /* that it may still have */
	uint64_t slips_ns;   /* when they were last filled up */
	uint64_t unknown_ns; /* it has a past and has not reported; until when that is believed */
	uint64_t since_ns;   /* up to when total_ns and drain_ns count */
	uint64_t total_ns;   /* open, and earlier drains */
	uint64_t drain_ns;   /* of this closing, while it is believed */
	uint64_t blank_ns;   /* of that, blank, however often the gate was opened meanwhile */
	uint64_t at_close;   /* commands issued when it was closed */
	uint64_t at_blank;   /* the most commands that it has said to have issued */
	uint64_t at_drained; /* when it last said that nothing was in flight */
};

/* A gate is closed at first. busy: it has a past, and may have work in flight. */
void entitle_init(struct entitle *e, bool busy, uint64_t now);
/*
 * The gate is open or closed now and the worker reports this: at each opening (before what follows
 * from it), each closing, and whenever a report was read; as often as one likes.
 */
void entitle_gate(struct entitle *e, bool open, const struct pvgpu_gate_report *r, uint64_t now);
/* Up to now. It shrinks when an excuse turns out to be none. */
uint64_t entitle_ns(const struct entitle *e, uint64_t now);

#endif
