/* SPDX-License-Identifier: MIT */
/*
 * Work that is known to have ended, so that nobody need be asked: done.c. A place is a stream and a
 * command in it.
 */
#ifndef PVGPU_CUDA_STREAMS_DONE_H
#define PVGPU_CUDA_STREAMS_DONE_H

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct stream;
struct target;

/* The stream's slot is its own from this thread's last command on. */
void done_stream_made(const struct stream *s);
/* Of this thread's last command, which went to t. */
uint64_t done_place(const struct target *t);
/* A place that has ended when both have; c: their context. */
uint64_t done_both(uint64_t earlier, uint64_t later, const struct ctx *c);
/* All of the stream up to the place has ended. */
bool done_known(uint64_t place);
/* The same, and a call has waited for it: device output and errors have come. c: the stream's. */
bool done_waited(uint64_t place, const struct ctx *c);
/* This thread's last command has waited for all work of the stream. */
void done_wait_stream(const struct target *t);
/* This thread's last command heard that all work of the stream has ended. */
void done_hear_stream(const struct target *t);
/* Of the session's last one-way command, for work that any thread has sent to t. */
uint64_t done_end(const struct target *t);
/*
 * Behind all that new work in t would wait for. Between the legacy stream and blocking ones that
 * may be other streams' work, of which t's own end says nothing: then an event is recorded in t. A
 * CUresult.
 */
int done_behind(const struct target *t, uint64_t *place);
/* Nothing was posted since. */
bool done_stream_at_rest(const struct target *t);
/* All work of the stream has ended. */
bool done_stream_ended(const struct target *t);

#endif
