/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#ifndef PVGPU_STUBS_H
#define PVGPU_STUBS_H

#include <stdint.h>
#include "pvgpu_wire.h"

struct pvgpu_session;
struct pvgpu_mark;

/*
 * Every function returns a CUresult: 1 (invalid value) or 400 (invalid handle) for what the description
 * refuses, 801 (not supported) for a command that is newer than the session's version, the session's
 * error when it is dead. Awaited ones return the far end's result; numbers come back
 * only with result 0, bytes (logs, say) with every result, and an output that is not wanted may be NULL.
 */

/* 1: Name them. */
int pvgpu_do_room_list(struct pvgpu_session *s, uint32_t *count);
/* 2: Nothing to say. */
int pvgpu_do_knock(struct pvgpu_session *s);
/* 3: Open a room # this is no comment. */
int pvgpu_do_room_open(struct pvgpu_session *s, uint64_t door, const char *name, uint64_t plan,
		uint64_t plan_len, const void *note, uint32_t note_len, uint32_t kind, int32_t depth,
		float scale, uint64_t flags, uint64_t room, uint64_t *size, float *heat, int32_t *kind_out,
		void *log, uint32_t log_cap, uint32_t *log_len);
/* 4: Paint it. */
int pvgpu_do_room_paint(struct pvgpu_session *s, uint64_t room, uint32_t colour,
		uint64_t canvas, uint64_t canvas_len);
int pvgpu_do_room_paint_mark(struct pvgpu_session *s, struct pvgpu_mark *m, uint64_t room,
		uint32_t colour, uint64_t canvas, uint64_t canvas_len);

#endif
