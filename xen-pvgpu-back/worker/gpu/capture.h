/* SPDX-License-Identifier: MIT */
/* Capture of streams into graphs: capture.c. Decoding thread. */
#ifndef PVGPU_WORKER_CAPTURE_H
#define PVGPU_WORKER_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct gpu;
struct graph;
struct stream;

/* May the stream's capture have so many nodes more? A CUresult. */
int capture_takes(const struct stream *s, uint64_t nodes);
/* The stream waits for the event: it takes part in the event's capture. */
void capture_join(struct stream *s, const struct event *e);
/* The stream is about to be captured: the end of its earlier work, and of the work of those that
 * this bars, will be known without a query. A CUresult. */
int capture_settle(struct stream *s);
/* Would a query of the stream, or an event in it, end a capture: its own, or that of a stream for
 * which the legacy stream would wait? */
bool capture_bars(const struct stream *s);
/* A one-way command failed. True: it was to be captured, so that the capture's end tells. */
bool capture_defers(struct gpu *g, int result);
/* The stream is destroyed: a capture that began in it ends, another one becomes invalid. */
void capture_abandon(struct stream *s);
/* Does a capture change the graph, one around it or one inside of these? No other thread may read
 * it then. */
bool capture_changes(struct gpu *g, struct graph *gr);
/* The graph is destroyed: what is captured into it, or into one inside, ends before. */
void capture_graph_goes(struct gpu *g, const struct graph *gr);

#endif
