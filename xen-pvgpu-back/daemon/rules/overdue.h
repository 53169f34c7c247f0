/* SPDX-License-Identifier: MIT */
/*
 * Decides when a worker's work has been on the GPU for too long. Pure: times are nanoseconds of
 * CLOCK_MONOTONIC.
 *
 * Only time on the GPU counts: what other vGPUs were charged meanwhile does not, and of the rest a
 * worker has its part, where several of its vGPU have long work. So no work is ended because of
 * others, whatever their number and their load.
 *
 * There are two clocks. The first runs from the time that the worker reports for the begin of its
 * oldest work, as far as that is plausible; the limit applies to it. A worker may lie and report
 * younger work at each look. So the second clock runs from when pvgpud closed its gate, until it
 * has drained. Its limit is doubled, since two kernels may have been in flight, and no report but
 * `drained` resets it. A false `drained` shows up in the driver's accounting.
 *
 * A simulated GPU has the time that its processors give it: time in which the worker's threads wait
 * for one does not count either, or work would be ended because the machine is busy.
 *
 * Old work may only be waiting for a host function or an event. Where the driver counts use by
 * process, the work of a worker without use is left alone. In an exclusive pool it is ended all the
 * same: other vGPUs wait for it to drain, and a worker that lies could block them for ever.
 */
#ifndef PVGPU_OVERDUE_H
#define PVGPU_OVERDUE_H

#include <stdbool.h>
#include <stdint.h>

#define OVERDUE_LONG_NS 100000000ull /* work older than this counts as long */

struct overdue_clock {
	uint64_t begin;     /* begin of the watched work; 0: nothing is in flight */
	uint64_t shared_ns; /* since begin: time that other vGPUs had */
	uint64_t asked;     /* when the worker was asked to report; 0: not yet */
	uint64_t used_ns;   /* use counted by the driver then, */
	uint64_t others_ns; /* and charged to others */
};

/* The watch of one worker. */
struct overdue {
	struct overdue_clock oldest, closed;
	uint64_t looked;     /* last */
	uint64_t others_ns;  /* then */
	uint64_t starved_ns; /* then */
	bool starved_known;
	uint64_t held; /* over the limit since; 0: not over it */
};

struct overdue_view {
	uint64_t now;
	uint64_t session_began;
	uint64_t oldest;   /* as reported; 0: nothing is in flight */
	uint64_t closed;   /* when its gate was closed, if it has not drained since; 0: otherwise */
	uint64_t limit_ns; /* 0: none */
	uint64_t grace_ns;
	uint64_t others_ns;    /* GPU time that other vGPUs of the pool have been charged, ever */
	unsigned int siblings; /* other workers of the same vGPU with long work */
	bool exclusive;        /* no other vGPU gets the GPU until this one has drained */
	bool used_known;       /* the driver's accounting knows the worker */
	uint64_t used_ns;      /* its GPU time in that accounting */
	bool starved_known;    /* on a simulated GPU, when overdue_asks_starved */
	uint64_t starved_ns;   /* time for which the worker's threads waited for a processor */
};

enum overdue_do {
	OVERDUE_NOTHING,
	OVERDUE_ASK,     /* its report may be stale: ask for a new one */
	OVERDUE_HOLD,    /* over the limit: close its gate and begin the grace */
	OVERDUE_RELEASE, /* the work ended within the grace: release the gate */
	OVERDUE_END
};

/* Takes the worker's report. To be called for all workers before overdue_look, to know which have
 * long work. */
void overdue_take(struct overdue *w, const struct overdue_view *v);
bool overdue_is_long(const struct overdue *w, uint64_t now);
/* Does the next look need starved_ns? To find it out costs many system calls, and young work is not
 * judged. After overdue_take. */
bool overdue_asks_starved(const struct overdue *w, const struct overdue_view *v);
/* The action, and the nanoseconds until the next look at the latest. */
enum overdue_do overdue_look(struct overdue *w, const struct overdue_view *v, uint64_t *again);
/* Time on the GPU of the watched work, by the clock that shows more. */
uint64_t overdue_age(const struct overdue *w, uint64_t now);

#endif
