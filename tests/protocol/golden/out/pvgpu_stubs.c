/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#include <stddef.h>
#include <string.h>
#include "link/session.h"
#include "pvgpu_stubs.h"

enum { INVALID_VALUE = 1, INVALID_HANDLE = 400, NOT_SUPPORTED = 801 };

static const uint64_t zeros;

static inline struct pvgpu_piece *put(struct pvgpu_piece *p, const void *base, uint32_t len, uint32_t pad)
{
	if (len)
		*p++ = (struct pvgpu_piece){base, len};
	if (pad)
		*p++ = (struct pvgpu_piece){&zeros, pad};
	return p;
}

static inline struct pvgpu_piece *put_bytes(struct pvgpu_piece *p, const void *base, uint32_t len)
{
	return put(p, base, len, -len & 7);
}

/* At least one byte of padding: a string is terminated where it lies. */
static inline struct pvgpu_piece *put_string(struct pvgpu_piece *p, const char *base, uint32_t len)
{
	return put(p, base, len, 8 - (len & 7));
}

/* Bytes of a reply: at is where they begin; false when they are not all there. */
static inline int take(const void *rep, uint32_t rep_len, uint32_t *at, uint32_t len, uint32_t max,
		       const void **base)
{
	if (len > max || PVGPU_PAD8(len) > rep_len - *at)
		return 0;
	*base = (const char *)rep + *at;
	*at += PVGPU_PAD8(len);
	return 1;
}

static inline void give(void *to, uint32_t cap, uint32_t *to_len, const void *from, uint32_t len)
{
	if (!to)
		cap = 0;
	if (len > cap)
		len = cap;
	if (len)
		memcpy(to, from, len);
	if (to_len)
		*to_len = len;
}

static inline int head_ok(const struct pvgpu_rep_hdr *hdr, uint32_t rep_len, uint32_t fixed)
{
	return rep_len >= fixed && hdr->len == rep_len;
}

int pvgpu_do_room_list(struct pvgpu_session *s, uint32_t *count)
{
	const struct pvgpu_wire_room_list rec = {
		.hdr = {
			.len = (uint32_t)(sizeof(rec)),
			.op = PVGPU_OP_ROOM_LIST,
		},
	};
	struct pvgpu_piece p[1] = {{&rec, sizeof(rec)}};
	struct pvgpu_wire_room_list_reply rep;
	uint32_t at = sizeof(struct pvgpu_wire_room_list_reply);
	uint32_t rep_len = 0;

	const int result = pvgpu_call(s, p, 1, &rep, sizeof(rep), &rep_len);

	if (result && !rep_len) /* the session is dead: there is no reply */
		return result;
	if (result < 0 ||
	    rep_len > sizeof(rep) ||
	    !head_ok(&rep.hdr, rep_len, at) ||
	    at != rep_len)
		return pvgpu_broken(s, "room_list");
	if (result)
		return result;
	if (count)
		*count = rep.count;
	return 0;
}

int pvgpu_do_knock(struct pvgpu_session *s)
{
	const struct pvgpu_wire_knock rec = {
		.hdr = {
			.len = (uint32_t)(sizeof(rec)),
			.op = PVGPU_OP_KNOCK,
		},
	};
	struct pvgpu_piece p[1] = {{&rec, sizeof(rec)}};

	return pvgpu_post(s, p, 1);
}

int pvgpu_do_room_open(struct pvgpu_session *s, uint64_t door, const char *name, uint64_t plan,
		uint64_t plan_len, const void *note, uint32_t note_len, uint32_t kind, int32_t depth,
		float scale, uint64_t flags, uint64_t room, uint64_t *size, float *heat, int32_t *kind_out,
		void *log, uint32_t log_cap, uint32_t *log_len)
{
	if (log_len)
		*log_len = 0;
	if (PVGPU_HANDLE_TYPE(door) != PVGPU_H_DOOR && PVGPU_HANDLE_TYPE(door) != PVGPU_H_ROOM)
		return INVALID_HANDLE;
	const uint32_t name_len = name ? (uint32_t)strnlen(name, 101) : 101;
	if (name_len > 100u)
		return INVALID_VALUE;
	if (!plan != !plan_len)
		return INVALID_VALUE;
	if (plan_len > 67108864)
		return INVALID_VALUE;
	if (note_len < 2u)
		return INVALID_VALUE;
	if (note_len > 64u || (note_len && !note))
		return INVALID_VALUE;
	if (kind < 1u)
		return INVALID_VALUE;
	if (kind > 5u)
		return INVALID_VALUE;
	if (depth < INT32_C(-3))
		return INVALID_VALUE;
	if (depth > INT32_C(10))
		return INVALID_VALUE;
	if (flags & ~(uint64_t)0x8000000000000001)
		return INVALID_VALUE;
	if (PVGPU_HANDLE_TYPE(room) != PVGPU_H_ROOM)
		return INVALID_HANDLE;

	const struct pvgpu_wire_room_open rec = {
		.hdr = {
			.len = (uint32_t)(sizeof(rec) + PVGPU_PAD8(name_len + 1u) + PVGPU_PAD8(note_len)),
			.op = PVGPU_OP_ROOM_OPEN,
		},
		.door = door,
		.name_len = name_len,
		.plan = plan,
		.plan_len = plan_len,
		.note_len = note_len,
		.kind = kind,
		.depth = depth,
		.scale = scale,
		.flags = flags,
		.room = room,
	};
	struct pvgpu_piece p[5] = {{&rec, sizeof(rec)}};
	struct pvgpu_piece *pe = p + 1;

	pe = put_string(pe, name, name_len);
	pe = put_bytes(pe, note, note_len);
	struct {
		struct pvgpu_wire_room_open_reply o;
		uint64_t tail[128];
	} rep;
	const void *part[1];
	uint32_t at = sizeof(struct pvgpu_wire_room_open_reply);
	uint32_t rep_len = 0;

	const int result = pvgpu_call(s, p, (unsigned)(pe - p), &rep, sizeof(rep), &rep_len);

	if (result && !rep_len) /* the session is dead: there is no reply */
		return result;
	if (result < 0 ||
	    rep_len > sizeof(rep) ||
	    !head_ok(&rep.o.hdr, rep_len, at) ||
	    !take(&rep, rep_len, &at, rep.o.log_len, 1024, &part[0]) ||
	    at != rep_len)
		return pvgpu_broken(s, "room_open");
	give(log, log_cap, log_len, part[0], rep.o.log_len);
	if (result)
		return result;
	if (size)
		*size = rep.o.size;
	if (heat)
		*heat = rep.o.heat;
	if (kind_out)
		*kind_out = rep.o.kind;
	return 0;
}

static inline int send_room_paint(struct pvgpu_session *s, struct pvgpu_mark *m, uint64_t room,
		uint32_t colour, uint64_t canvas, uint64_t canvas_len)
{
	if (pvgpu_session_info(s)->version < 2u)
		return NOT_SUPPORTED;
	if (room && PVGPU_HANDLE_TYPE(room) != PVGPU_H_ROOM)
		return INVALID_HANDLE;
	if (colour & ~0xffffffu)
		return INVALID_VALUE;
	if (!canvas || !canvas_len)
		return INVALID_VALUE;
	if (canvas_len > 1048576)
		return INVALID_VALUE;

	const struct pvgpu_wire_room_paint rec = {
		.hdr = {
			.len = (uint32_t)(sizeof(rec)),
			.op = PVGPU_OP_ROOM_PAINT,
		},
		.room = room,
		.colour = colour,
		.canvas = canvas,
		.canvas_len = canvas_len,
	};
	struct pvgpu_piece p[1] = {{&rec, sizeof(rec)}};

	return m ? pvgpu_post_mark(s, m, p, 1) : pvgpu_post(s, p, 1);
}

int pvgpu_do_room_paint(struct pvgpu_session *s, uint64_t room, uint32_t colour,
		uint64_t canvas, uint64_t canvas_len)
{
	return send_room_paint(s, NULL, room, colour, canvas, canvas_len);
}

int pvgpu_do_room_paint_mark(struct pvgpu_session *s, struct pvgpu_mark *m, uint64_t room,
		uint32_t colour, uint64_t canvas, uint64_t canvas_len)
{
	return send_room_paint(s, m, room, colour, canvas, canvas_len);
}
