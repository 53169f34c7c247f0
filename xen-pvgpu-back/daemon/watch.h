/* SPDX-License-Identifier: MIT */
/*
 * When has a worker's work been on the GPU for too long? Pure: times are nanoseconds of
 * CLOCK_MONOTONIC.
 *
 * What counts is time on the GPU. Whoever has long work there shares the GPU's own time-slices with
 * all others that have, so while n other vGPUs do, only one part in n + 1 of the time counts:
 * nobody's work is ended because of what others do.
 *
 * There are two clocks. One is of the worker's word for when its oldest work began, as far as it
 * can be true: it has the limit. The worker may lie, and say that it is another one at each look.
 * So the other is of when pvgpud closed its gate, if it has not drained since: it has the limit for
 * each of the two kernels that may have been in flight, and nothing that the worker says sets it
 * back, but that it has drained. If it says so and has not, it uses what the far end's accounting
 * then finds.
 *
 * Old work may only wait, for a host function or for an event: where the far end counts use by
 * process, work of a worker that has none is left alone. Not where others wait for it to drain, in
 * exclusive pools: a worker that only says so would keep them from the GPU for ever.
 */
#ifndef PVGPU_WATCH_H
#define PVGPU_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define WATCH_LONG_NS 100000000ull /* from then on it counts as long */

struct watch_clock {
	uint64_t begin;     /* of what is watched; 0: nothing is in flight */
	uint64_t shared_ns; /* since begin: time that others had */
	uint64_t asked;     /* when it was asked to look and report; 0: it was not */
	uint64_t used_ns;   /* that the far end had counted for it then */
};

/* Of a worker. */
struct watch {
	struct watch_clock oldest, closed;
	uint64_t looked; /* last */
	uint64_t held;   /* over the limit since; 0: is not */
};

struct watch_view {
	uint64_t now;
	uint64_t session_began;
	uint64_t oldest;   /* as reported; 0: nothing is in flight */
	uint64_t closed;   /* its gate was, and it has not drained since; 0: no */
	uint64_t limit_ns; /* 0: none */
	uint64_t grace_ns;
	unsigned int others; /* vGPUs on the same GPU with long work */
	bool exclusive;      /* while it has not drained nobody else gets the GPU */
	bool used_known;     /* the far end's accounting knows it */
	uint64_t used_ns;    /* GPU time that it has counted for it, ever */
};

enum watch_do {
	WATCH_NOTHING,
	WATCH_ASK,     /* it may not have looked for a while: ask it to report */
	WATCH_HOLD,    /* over the limit: close its gate, the grace begins */
	WATCH_RELEASE, /* ended in the grace: open it again */
	WATCH_END
};

/* Take in what the worker says; before watch_look, of all workers first, to know who is long. */
void watch_take(struct watch *w, const struct watch_view *v);
bool watch_is_long(const struct watch *w, uint64_t now);
/* What to do, and in how many nanoseconds to look again at the latest. */
enum watch_do watch_look(struct watch *w, const struct watch_view *v, uint64_t *again);
/* Time on the GPU of what is watched: by the clock that has more. */
uint64_t watch_age(const struct watch *w, uint64_t now);

#endif
