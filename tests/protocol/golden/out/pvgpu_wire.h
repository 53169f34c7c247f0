/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#ifndef PVGPU_WIRE_H
#define PVGPU_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* Flag of a command: answer with a mark when it has been executed. */
#define PVGPU_CMD_MARK 0x1
/* Flag of a reply: device output waits to be pulled. */
#define PVGPU_REP_OUTPUT 0x1

/* A command's number: the library's, then this many bits of its own. */
#define PVGPU_OP_BITS 10

/* A status of a library other than the driver, as a result on the wire; results of the driver and of the worker are CUresults. */
#define PVGPU_STATUS(library, status) ((status) ? (library) << 16 | (status) : 0)

/* A variable part or a whole record of n bytes takes that many on the wire. */
#define PVGPU_PAD8(n) (((n) + 7u) & ~7u)

enum pvgpu_rep_kind {
	PVGPU_REP_REPLY = 1, /* answers an awaited command */
	PVGPU_REP_MARK = 2, /* a command posted with PVGPU_CMD_MARK has been executed */
	PVGPU_REP_CALLBACK = 3, /* run a host function */
};

struct pvgpu_cmd_hdr {
	uint32_t len; /* of the whole record, a multiple of 8 */
	uint16_t op; /* enum pvgpu_op */
	uint16_t flags;
	uint32_t seq; /* the guest's count of commands */
	uint32_t zero;
};

struct pvgpu_rep_hdr {
	uint32_t len;
	uint16_t kind; /* enum pvgpu_rep_kind */
	uint16_t flags;
	uint32_t seq; /* of the command answered; 0 for a callback */
	int32_t result; /* a CUresult */
};

struct pvgpu_wire_mark {
	struct pvgpu_rep_hdr hdr;
};

struct pvgpu_wire_callback {
	struct pvgpu_rep_hdr hdr;
	uint64_t id; /* as in host_func */
	uint32_t status; /* a CUresult, for cuStreamAddCallback */
	uint32_t zero;
};

_Static_assert(sizeof(struct pvgpu_cmd_hdr) == 16, "command header");
_Static_assert(sizeof(struct pvgpu_rep_hdr) == 16, "reply header");
_Static_assert(sizeof(struct pvgpu_wire_mark) == 16, "mark");
_Static_assert(sizeof(struct pvgpu_wire_callback) == 32, "callback");

/* A handle: type (bits 63-56), vGPU index (55-48), generation (47-32), index (31-0). */
#define PVGPU_HANDLE(type, vgpu, gen, index)                                                      \
	((uint64_t)(type) << 56 | (uint64_t)(vgpu) << 48 | (uint64_t)(gen) << 32 | (uint32_t)(index))
#define PVGPU_HANDLE_TYPE(h)  ((uint32_t)((uint64_t)(h) >> 56))
#define PVGPU_HANDLE_VGPU(h)  ((uint32_t)((uint64_t)(h) >> 48 & 0xff))
#define PVGPU_HANDLE_GEN(h)   ((uint32_t)((uint64_t)(h) >> 32 & 0xffff))
#define PVGPU_HANDLE_INDEX(h) ((uint32_t)(h))

/* Version of this description */
#define PVGPU_PROTOCOL_VERSION 2
/* Largest command */
#define PVGPU_CMD_MAX 8192
/* Largest reply */
#define PVGPU_REP_MAX 4096
/* Handles of one type */
#define PVGPU_HANDLES_MAX 1024
/* Largest range */
#define PVGPU_CHUNK_MAX 67108864

enum pvgpu_handle_type {
	PVGPU_H_ROOM = 1, /* A room */
	PVGPU_H_DOOR = 2, /* A door */
	PVGPU_H_END = 3,
};

enum pvgpu_op {
	PVGPU_OP_ROOM_LIST = 1,
	PVGPU_OP_KNOCK = 2,
	PVGPU_OP_ROOM_OPEN = 3,
	PVGPU_OP_ROOM_PAINT = 4,
};

struct pvgpu_lamp {
	uint32_t id;
	float watts;
	uint64_t lumen;
	uint8_t name[8];
};
_Static_assert(sizeof(struct pvgpu_lamp) == 24, "size");
_Static_assert(__builtin_offsetof(struct pvgpu_lamp, id) == 0, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_lamp, watts) == 4, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_lamp, lumen) == 8, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_lamp, name) == 16, "offset");

/* 1 room_list: Name them. */
struct pvgpu_wire_room_list {
	struct pvgpu_cmd_hdr hdr;
};
_Static_assert(sizeof(struct pvgpu_wire_room_list) == 16, "size");

struct pvgpu_wire_room_list_reply {
	struct pvgpu_rep_hdr hdr;
	uint32_t count;
	uint32_t zero0;
};
_Static_assert(sizeof(struct pvgpu_wire_room_list_reply) == 24, "size");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_list_reply, count) == 16, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_list_reply, zero0) == 20, "offset");

/* 2 knock: Nothing to say. */
struct pvgpu_wire_knock {
	struct pvgpu_cmd_hdr hdr;
};
_Static_assert(sizeof(struct pvgpu_wire_knock) == 16, "size");

/* 3 room_open: Open a room # this is no comment. */
struct pvgpu_wire_room_open {
	struct pvgpu_cmd_hdr hdr;
	uint64_t door;
	uint32_t name_len;
	uint32_t zero0;
	uint64_t plan;
	uint64_t plan_len;
	uint32_t note_len;
	uint32_t kind;
	int32_t depth;
	float scale;
	uint64_t flags;
	uint64_t room;
	/* then: name (8..104), note (8..64) */
};
_Static_assert(sizeof(struct pvgpu_wire_room_open) == 80, "size");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, door) == 16, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, name_len) == 24, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, zero0) == 28, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, plan) == 32, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, plan_len) == 40, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, note_len) == 48, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, kind) == 52, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, depth) == 56, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, scale) == 60, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, flags) == 64, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open, room) == 72, "offset");

struct pvgpu_wire_room_open_reply {
	struct pvgpu_rep_hdr hdr;
	uint64_t size;
	float heat;
	int32_t kind;
	uint32_t log_len;
	uint32_t zero0;
	/* then: log (0..1024) */
};
_Static_assert(sizeof(struct pvgpu_wire_room_open_reply) == 40, "size");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open_reply, size) == 16, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open_reply, heat) == 24, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open_reply, kind) == 28, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open_reply, log_len) == 32, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_open_reply, zero0) == 36, "offset");

/* 4 room_paint: Paint it. */
struct pvgpu_wire_room_paint {
	struct pvgpu_cmd_hdr hdr;
	uint64_t room;
	uint32_t colour;
	uint32_t zero0;
	uint64_t canvas;
	uint64_t canvas_len;
};
_Static_assert(sizeof(struct pvgpu_wire_room_paint) == 48, "size");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_paint, room) == 16, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_paint, colour) == 24, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_paint, zero0) == 28, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_paint, canvas) == 32, "offset");
_Static_assert(__builtin_offsetof(struct pvgpu_wire_room_paint, canvas_len) == 40, "offset");

#endif
