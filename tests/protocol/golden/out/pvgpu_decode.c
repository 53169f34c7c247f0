/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#include <errno.h>
#include <string.h>
#include "pvgpu_decode.h"

enum { INVALID_HANDLE = 400 };

static inline int head_ok(const struct pvgpu_cmd_hdr *hdr, uint32_t len, uint32_t fixed, uint32_t op, uint32_t flags)
{
	return len >= fixed && hdr->len == len && !(len & 7) && hdr->op == op && !(hdr->flags & ~flags) && !hdr->zero;
}

/* The variable part of n bytes at *at, followed by zeros up to total. */
static inline const void *take(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t total)
{
	const uint8_t *part = (const uint8_t *)rec + *at;

	if (total > len - *at)
		return NULL;
	for (uint32_t i = n; i < total; i++) {
		if (part[i])
			return NULL;
	}
	*at += total;
	return part;
}

static inline const void *take_bytes(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t min,
				     uint32_t max)
{
	return n < min || n > max ? NULL : take(rec, len, at, n, PVGPU_PAD8(n));
}

static inline const char *take_string(const void *rec, uint32_t len, uint32_t *at, uint32_t n, uint32_t min,
				      uint32_t max)
{
	const char *part = n < min || n > max ? NULL : take(rec, len, at, n, PVGPU_PAD8(n + 1));

	return part && !memchr(part, 0, n) ? part : NULL;
}

static inline int arena_ok(const struct pvgpu_decode *d, uint64_t addr, uint64_t len, uint64_t max, int optional)
{
	if (optional && !addr && !len)
		return 1;
	return len && len <= max && addr >= d->arena_base && addr - d->arena_base <= d->arena_size &&
	       len <= d->arena_size - (addr - d->arena_base);
}

static inline int handle_ok(uint64_t handle, uint32_t type)
{
	return PVGPU_HANDLE_TYPE(handle) == type && PVGPU_HANDLE_INDEX(handle) < PVGPU_HANDLES_MAX;
}

/* The first handle that is not known makes the error; 0 is an optional one that was left out. */
static inline void *resolve(const struct pvgpu_decode *d, uint64_t handle, int *err)
{
	void *object = handle ? d->lookup(d->tables, PVGPU_HANDLE_TYPE(handle), handle) : NULL;

	if (handle && !object)
		*err = -ENOENT;
	return object;
}

static inline void reply_head(struct pvgpu_rep_hdr *hdr, uint32_t len, uint32_t seq, int32_t result)
{
	hdr->len = len;
	hdr->kind = PVGPU_REP_REPLY;
	hdr->seq = seq;
	hdr->result = result;
}

static inline uint32_t cut(const void *base, uint32_t len, uint32_t max)
{
	return !base ? 0 : len > max ? max : len;
}

/* The reply's memory is zero already, so the padding is. */
static inline uint32_t put(void *buf, uint32_t at, const void *base, uint32_t len)
{
	if (len)
		memcpy((uint8_t *)buf + at, base, len);
	return at + PVGPU_PAD8(len);
}

int pvgpu_decode_room_list(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_list *in)
{
	const struct pvgpu_wire_room_list *r = rec;
	uint32_t at = sizeof(*r);

	memset(in, 0, sizeof(*in));
	if (!head_ok(rec, len, at, PVGPU_OP_ROOM_LIST, 0))
		return -EPROTO;
	if (at != len)
		return -EPROTO;
	in->hdr = &r->hdr;
	return 0;
}

uint32_t pvgpu_encode_room_list_reply(void *buf, uint32_t cap, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_list *out)
{
	struct pvgpu_wire_room_list_reply *o = buf;
	const uint32_t len = (uint32_t)sizeof(*o);

	if (cap < len)
		return 0;
	memset(o, 0, len);
	reply_head(&o->hdr, len, seq, result);
	if (out) {
		o->count = out->count;
	}
	return len;
}

void worker_reply_room_list(struct worker *w, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_list *out)
{
	_Alignas(8) uint8_t buf[24];
	const uint32_t len = pvgpu_encode_room_list_reply(buf, sizeof(buf), seq, result, out);

	worker_send(w, buf, len);
}

static int run_room_list(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len)
{
	struct pvgpu_in_room_list in;
	struct pvgpu_out_room_list out;
	int result = pvgpu_decode_room_list(d, rec, len, &in);

	if (result == -EPROTO)
		return PVGPU_FATAL;
	memset(&out, 0, sizeof(out));
	result = result ? INVALID_HANDLE : handle_room_list(w, &in, &out);
	if (result < 0)
		return result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL;
	worker_reply_room_list(w, in.hdr->seq, result, &out);
	return 0;
}

int pvgpu_decode_knock(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_knock *in)
{
	const struct pvgpu_wire_knock *r = rec;
	uint32_t at = sizeof(*r);

	memset(in, 0, sizeof(*in));
	if (!head_ok(rec, len, at, PVGPU_OP_KNOCK, 0))
		return -EPROTO;
	if (at != len)
		return -EPROTO;
	in->hdr = &r->hdr;
	return 0;
}

static int run_knock(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len)
{
	struct pvgpu_in_knock in;
	struct pvgpu_out_knock out;
	int result = pvgpu_decode_knock(d, rec, len, &in);

	if (result == -EPROTO)
		return PVGPU_FATAL;
	memset(&out, 0, sizeof(out));
	result = result ? INVALID_HANDLE : handle_knock(w, &in, &out);
	if (result < 0)
		return result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL;
	if (result)
		worker_deferred(w, NULL, result);
	return 0;
}

int pvgpu_decode_room_open(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_open *in)
{
	const struct pvgpu_wire_room_open *r = rec;
	uint32_t at = sizeof(*r);
	int err = 0;

	memset(in, 0, sizeof(*in));
	if (!head_ok(rec, len, at, PVGPU_OP_ROOM_OPEN, 0))
		return -EPROTO;
	if (!handle_ok(r->door, PVGPU_H_DOOR) && !handle_ok(r->door, PVGPU_H_ROOM))
		return -EPROTO;
	if (r->zero0)
		return -EPROTO;
	if (!arena_ok(d, r->plan, r->plan_len, 67108864, 1))
		return -EPROTO;
	if (r->kind < 1u)
		return -EPROTO;
	if (r->kind > 5u)
		return -EPROTO;
	if (r->depth < INT32_C(-3))
		return -EPROTO;
	if (r->depth > INT32_C(10))
		return -EPROTO;
	if (r->flags & ~(uint64_t)0x8000000000000001)
		return -EPROTO;
	if (!handle_ok(r->room, PVGPU_H_ROOM))
		return -EPROTO;
	in->name = take_string(rec, len, &at, r->name_len, 0, 100);
	if (!in->name)
		return -EPROTO;
	in->note = take_bytes(rec, len, &at, r->note_len, 2, 64);
	if (!in->note)
		return -EPROTO;
	if (at != len)
		return -EPROTO;
	in->hdr = &r->hdr;
	in->door_h = r->door;
	in->door_type = PVGPU_HANDLE_TYPE(r->door);
	in->name_len = r->name_len;
	in->plan = r->plan;
	in->plan_len = r->plan_len;
	in->note_len = r->note_len;
	in->kind = r->kind;
	in->depth = r->depth;
	in->scale = r->scale;
	in->flags = r->flags;
	in->room_h = r->room;
	in->door = resolve(d, r->door, &err);
	return err;
}

uint32_t pvgpu_encode_room_open_reply(void *buf, uint32_t cap, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_open *out)
{
	struct pvgpu_wire_room_open_reply *o = buf;
	const uint32_t log_len = out ? cut(out->log, out->log_len, 1024) : 0;
	const uint32_t len = (uint32_t)sizeof(*o) + PVGPU_PAD8(log_len);
	uint32_t at = sizeof(*o);

	if (cap < len)
		return 0;
	memset(o, 0, len);
	reply_head(&o->hdr, len, seq, result);
	if (out) {
		o->size = out->size;
		o->heat = out->heat;
		o->kind = out->kind;
	}
	o->log_len = log_len;
	if (log_len)
		at = put(buf, at, out->log, log_len);
	return len;
}

void worker_reply_room_open(struct worker *w, uint32_t seq, int32_t result,
		const struct pvgpu_out_room_open *out)
{
	_Alignas(8) uint8_t buf[1064];
	const uint32_t len = pvgpu_encode_room_open_reply(buf, sizeof(buf), seq, result, out);

	worker_send(w, buf, len);
}

static int run_room_open(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len)
{
	struct pvgpu_in_room_open in;
	struct pvgpu_out_room_open out;
	int result = pvgpu_decode_room_open(d, rec, len, &in);

	if (result == -EPROTO)
		return PVGPU_FATAL;
	memset(&out, 0, sizeof(out));
	result = result ? INVALID_HANDLE : handle_room_open(w, &in, &out);
	if (result < 0)
		return result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL;
	worker_reply_room_open(w, in.hdr->seq, result, &out);
	return 0;
}

int pvgpu_decode_room_paint(const struct pvgpu_decode *d, const void *rec, uint32_t len,
		struct pvgpu_in_room_paint *in)
{
	const struct pvgpu_wire_room_paint *r = rec;
	uint32_t at = sizeof(*r);
	int err = 0;

	memset(in, 0, sizeof(*in));
	if (!head_ok(rec, len, at, PVGPU_OP_ROOM_PAINT, PVGPU_CMD_MARK))
		return -EPROTO;
	if (r->room && !handle_ok(r->room, PVGPU_H_ROOM))
		return -EPROTO;
	if (r->colour & ~0xffffffu)
		return -EPROTO;
	if (r->zero0)
		return -EPROTO;
	if (!arena_ok(d, r->canvas, r->canvas_len, 1048576, 0))
		return -EPROTO;
	if (at != len)
		return -EPROTO;
	in->hdr = &r->hdr;
	in->room_h = r->room;
	in->colour = r->colour;
	in->canvas = r->canvas;
	in->canvas_len = r->canvas_len;
	in->room = resolve(d, r->room, &err);
	return err;
}

static int run_room_paint(struct worker *w, const struct pvgpu_decode *d, const void *rec, uint32_t len)
{
	struct pvgpu_in_room_paint in;
	struct pvgpu_out_room_paint out;
	int result = pvgpu_decode_room_paint(d, rec, len, &in);

	if (result == -EPROTO)
		return PVGPU_FATAL;
	memset(&out, 0, sizeof(out));
	result = result ? INVALID_HANDLE : handle_room_paint(w, &in, &out);
	if (result < 0)
		return result == PVGPU_PENDING ? PVGPU_PENDING : PVGPU_FATAL;
	if (result)
		worker_deferred(w, NULL, result);
	if (in.hdr->flags & PVGPU_CMD_MARK)
		worker_mark(w, in.hdr->seq, result);
	return 0;
}

const struct pvgpu_cmd_desc pvgpu_cmds[] = {
	{"room_list", PVGPU_OP_ROOM_LIST, 1, PVGPU_LANE_NOW, PVGPU_DESC_AWAITED, PVGPU_GATED_NOT, 0, 0, 0, 16, 16, run_room_list},
	{"knock", PVGPU_OP_KNOCK, 1, PVGPU_LANE_NOW, 0, PVGPU_GATED_NOT, 0, 0, 0, 16, 16, run_knock},
	{"room_open", PVGPU_OP_ROOM_OPEN, 1, PVGPU_LANE_SIDE, PVGPU_DESC_AWAITED | PVGPU_DESC_FREES, PVGPU_GATED_NOT, 0, 0, 0, 96, 248, run_room_open},
	{"room_paint", PVGPU_OP_ROOM_PAINT, 2, PVGPU_LANE_GPU, PVGPU_DESC_MARK, PVGPU_GATED_NOT, 0, 0, 0, 48, 48, run_room_paint},
};

const unsigned pvgpu_cmd_count = sizeof(pvgpu_cmds) / sizeof(pvgpu_cmds[0]);

/* By library and number: index into pvgpu_cmds plus one. */
static const uint16_t ops_0[] = {
	[PVGPU_OP_ROOM_LIST - 0] = 1,
	[PVGPU_OP_KNOCK - 0] = 2,
	[PVGPU_OP_ROOM_OPEN - 0] = 3,
	[PVGPU_OP_ROOM_PAINT - 0] = 4,
};

static const struct {
	const uint16_t *op;
	uint32_t count;
} by_library[] = {
	[0] = {ops_0, sizeof(ops_0) / sizeof(ops_0[0])},
};

const struct pvgpu_cmd_desc *pvgpu_cmd_find(uint32_t op)
{
	const uint32_t library = op >> PVGPU_OP_BITS, i = op & ((1u << PVGPU_OP_BITS) - 1);

	if (library >= sizeof(by_library) / sizeof(by_library[0]) || i >= by_library[library].count ||
	    !by_library[library].op[i])
		return NULL;
	return &pvgpu_cmds[by_library[library].op[i] - 1];
}
