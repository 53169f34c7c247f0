/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#ifndef PVGPU_DECODE_H
#define PVGPU_DECODE_H

#include <stdint.h>
#include "pvgpu_wire.h"

#define PVGPU_PENDING (-1) /* a handler's result: the reply or mark follows later */
#define PVGPU_FATAL   (-2) /* a handler's or run's result: end the session */

struct worker;

/* The limits that a session's records are checked against. */
struct pvgpu_decode {
	uint64_t arena_base, arena_size;
	/* The object behind a handle, NULL if there is none (any more). */
	void *(*lookup)(void *tables, uint32_t type, uint64_t handle);
	void *tables;
};

enum pvgpu_lane {
	PVGPU_LANE_NOW, /* answered by the decoding thread */
	PVGPU_LANE_GPU, /* GPU work, in order; may be parked */
	PVGPU_LANE_SIDE, /* may block; in order among themselves */
};

/* As what a command passes the gate. */
enum pvgpu_gated {
	PVGPU_GATED_NOT, /* it does not occupy the GPU */
	PVGPU_GATED_KERNEL,
	PVGPU_GATED_COPY,
	PVGPU_GATED_MEMSET,
};

#define PVGPU_DESC_AWAITED 0x1
#define PVGPU_DESC_MARK    0x2 /* may be posted with PVGPU_CMD_MARK */
#define PVGPU_DESC_FREES   0x4 /* gives device memory back */
#define PVGPU_DESC_CARRIES 0x8 /* a copy whose bytes travel in its record or reply */

struct pvgpu_cmd_desc {
	const char *name;
	uint16_t op;
	uint16_t since;
	uint8_t lane; /* enum pvgpu_lane */
	uint8_t flags; /* PVGPU_DESC_* */
	uint8_t gated; /* enum pvgpu_gated */
	/* Offsets in the record: handles of what a command of lane gpu works on; 0: none. */
	uint16_t ctx, stream, event;
	uint32_t min_len, max_len; /* of the record */
	/* Decodes, calls the handler, answers: 0, PVGPU_PENDING or PVGPU_FATAL. */
	int (*run)(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len);
};

extern const struct pvgpu_cmd_desc pvgpu_cmds[];
extern const unsigned pvgpu_cmd_count;

/* NULL if there is no such command. */
const struct pvgpu_cmd_desc *pvgpu_cmd_find(uint32_t op);

/*
 * Provided by the worker. worker_send() puts a whole record on the reply stream. worker_deferred() notes the
 * result of a one-way command that went wrong; ctx_obj is its context, NULL if it has none. worker_mark()
 * sends a mark.
 */
void worker_send(struct worker *w, const void *rec, uint32_t len);
void worker_deferred(struct worker *w, void *ctx_obj, int result);
void worker_mark(struct worker *w, uint32_t seq, int32_t result);

/*
 * For every command: pvgpu_decode_X() returns 0, -EPROTO (malformed: end the session) or -ENOENT (a handle is
 * unknown or stale; the others are resolved). rec is 8-byte aligned private memory, and what `in` points to
 * lies in it: strings are terminated there. Objects are in->x, handles in->x_h, a new handle in->x_h.
 * handle_X() is written by hand and returns a CUresult, PVGPU_PENDING or PVGPU_FATAL. For awaited commands
 * pvgpu_encode_X_reply() makes the reply (its length, or 0 if cap is too small; bytes are cut at their maximum;
 * out NULL is all zero) and worker_reply_X() sends it.
 */

/* 1: Name them. */
struct pvgpu_in_room_list {
	const struct pvgpu_cmd_hdr *hdr;
};

struct pvgpu_out_room_list {
	uint32_t count;
};

int pvgpu_decode_room_list(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_list *in);
int handle_room_list(struct worker *w, const struct pvgpu_in_room_list *in,
		struct pvgpu_out_room_list *out);
uint32_t pvgpu_encode_room_list_reply(void *buf, uint32_t cap, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_list *out);
void worker_reply_room_list(struct worker *w, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_list *out);

/* 2: Nothing to say. */
struct pvgpu_in_knock {
	const struct pvgpu_cmd_hdr *hdr;
};

struct pvgpu_out_knock {
	uint32_t unused;
};

int pvgpu_decode_knock(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_knock *in);
int handle_knock(struct worker *w, const struct pvgpu_in_knock *in,
		struct pvgpu_out_knock *out);

/* 3: Open a room # this is no comment. */
struct pvgpu_in_room_open {
	const struct pvgpu_cmd_hdr *hdr;
	void *door;
	uint64_t door_h;
	uint32_t door_type; /* enum pvgpu_handle_type */
	const char *name;
	uint32_t name_len;
	uint64_t plan, plan_len; /* arena, read */
	const void *note;
	uint32_t note_len;
	uint32_t kind;
	int32_t depth;
	float scale;
	uint64_t flags;
	uint64_t room_h;
};

struct pvgpu_out_room_open {
	uint64_t size;
	float heat;
	int32_t kind;
	const void *log;
	uint32_t log_len; /* up to 1024 */
};

int pvgpu_decode_room_open(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_open *in);
int handle_room_open(struct worker *w, const struct pvgpu_in_room_open *in,
		struct pvgpu_out_room_open *out);
uint32_t pvgpu_encode_room_open_reply(void *buf, uint32_t cap, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_open *out);
void worker_reply_room_open(struct worker *w, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_open *out);

/* 4: Paint it. */
struct pvgpu_in_room_paint {
	const struct pvgpu_cmd_hdr *hdr;
	void *room;
	uint64_t room_h;
	uint32_t colour;
	uint64_t canvas, canvas_len; /* arena, write */
};

struct pvgpu_out_room_paint {
	uint32_t unused;
};

int pvgpu_decode_room_paint(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_paint *in);
int handle_room_paint(struct worker *w, const struct pvgpu_in_room_paint *in,
		struct pvgpu_out_room_paint *out);

#endif
