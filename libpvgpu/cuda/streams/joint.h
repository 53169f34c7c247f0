/* SPDX-License-Identifier: MIT */
/* Events of whole contexts: joint.c. */
#ifndef PVGPU_CUDA_STREAMS_JOINT_H
#define PVGPU_CUDA_STREAMS_JOINT_H

#include "cuda/core/public.h"

struct ctx;
struct green;
struct stream;

/* Record the event behind all work of the context, or of the green one in it; let all of its later
 * work wait for the event. */
int joint_record(struct ctx *c, struct green *green, CUevent event);
int joint_wait(struct ctx *c, struct green *green, CUevent event);
/* A new stream waits for what its context waits for. */
void joint_stream_made(struct stream *s);
/* The legacy default stream is used for the first time. */
void joint_legacy_used(struct ctx *c);

#endif
