/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "pvgpu_wire_test.h"

static inline float to_float(uint64_t u)
{
	uint32_t word = (uint32_t)u;
	float f;

	memcpy(&f, &word, sizeof(f));
	return f;
}

static inline uint64_t from_float(float f)
{
	uint32_t word;

	memcpy(&word, &f, sizeof(word));
	return word;
}

static inline double to_double(uint64_t u)
{
	double f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline uint64_t from_double(double f)
{
	uint64_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/* Not every description needs all of them. */
void wt_unused(void);
void wt_unused(void)
{
	(void)to_float;
	(void)from_float;
	(void)to_double;
	(void)from_double;
}

static const struct wt_field in_room_list[] = {
	{NULL, WT_U32, 0, 0, 0, 0, 0, 0, 0, 0},
};
static const uint32_t pads_room_list[] = {0};
static const struct wt_field out_room_list[] = {
	{"count", WT_U32, 0, 0, 0, 16, 0, 0x0ull, 0xffffffffull, 0x0ull},
};
static const uint32_t reply_pads_room_list[] = {20};
static int call_room_list(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out)
{
	uint32_t out0 = 0;
	int result = pvgpu_do_room_list(s, &out0);

	out[0].u = (uint64_t)out0;
	return result;
}

static void flat_room_list(const struct pvgpu_in_room_list *in, struct wt_value *v)
{
}

static int decode_room_list(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *v)
{
	struct pvgpu_in_room_list in;
	int result = pvgpu_decode_room_list(d, rec, len, &in);

	if (result != -EPROTO)
		flat_room_list(&in, v);
	return result;
}

static void fill_room_list(const struct wt_value *v, struct pvgpu_out_room_list *out)
{
	memset(out, 0, sizeof(*out));
	out->count = (uint32_t)v[0].u;
}

static uint32_t encode_room_list(void *buf, uint32_t cap, uint32_t seq, int32_t result, const struct wt_value *v)
{
	struct pvgpu_out_room_list out;

	fill_room_list(v, &out);
	return pvgpu_encode_room_list_reply(buf, cap, seq, result, &out);
}

int handle_room_list(struct worker *w, const struct pvgpu_in_room_list *in, struct pvgpu_out_room_list *out)
{
	struct wt_value iv[WT_FIELDS_MAX], ov[WT_FIELDS_MAX];
	int result;

	memset(iv, 0, sizeof(iv));
	memset(ov, 0, sizeof(ov));
	flat_room_list(in, iv);
	result = wt_handle(w, &wt_cmds[0], iv, ov);
	fill_room_list(ov, out);
	return result;
}

static const struct wt_field in_knock[] = {
	{NULL, WT_U32, 0, 0, 0, 0, 0, 0, 0, 0},
};
static const uint32_t pads_knock[] = {0};
static int call_knock(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out)
{
	return pvgpu_do_knock(s);
}

static void flat_knock(const struct pvgpu_in_knock *in, struct wt_value *v)
{
}

static int decode_knock(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *v)
{
	struct pvgpu_in_knock in;
	int result = pvgpu_decode_knock(d, rec, len, &in);

	if (result != -EPROTO)
		flat_knock(&in, v);
	return result;
}

int handle_knock(struct worker *w, const struct pvgpu_in_knock *in, struct pvgpu_out_knock *out)
{
	struct wt_value iv[WT_FIELDS_MAX], ov[WT_FIELDS_MAX];
	int result;

	memset(iv, 0, sizeof(iv));
	memset(ov, 0, sizeof(ov));
	flat_knock(in, iv);
	result = wt_handle(w, &wt_cmds[1], iv, ov);
	return result;
}

static const struct wt_field in_room_open[] = {
	{"door", WT_HANDLE, 0, 2, 1, 16, 0, 0x0ull, 0x0ull, 0x0ull},
	{"name", WT_STRING, 0, 0, 0, 0, 24, 0x0ull, 0x64ull, 0x0ull},
	{"plan", WT_ARENA, 1, 0, 0, 32, 40, 0x0ull, 0x4000000ull, 0x0ull},
	{"note", WT_BYTES, 0, 0, 0, 0, 48, 0x2ull, 0x40ull, 0x0ull},
	{"kind", WT_U32, 0, 0, 0, 52, 0, 0x1ull, 0x5ull, 0x0ull},
	{"depth", WT_I32, 0, 0, 0, 56, 0, 0xfffffffffffffffdull, 0xaull, 0x0ull},
	{"scale", WT_F32, 0, 0, 0, 60, 0, 0x0ull, 0x0ull, 0x0ull},
	{"flags", WT_U64, 0, 0, 0, 64, 0, 0x0ull, 0xffffffffffffffffull, 0x8000000000000001ull},
	{"room", WT_NEW, 0, 1, 0, 72, 0, 0x0ull, 0x0ull, 0x0ull},
};
static const uint32_t pads_room_open[] = {28};
static const struct wt_field out_room_open[] = {
	{"size", WT_U64, 0, 0, 0, 16, 0, 0x0ull, 0xffffffffffffffffull, 0x0ull},
	{"heat", WT_F32, 0, 0, 0, 24, 0, 0x0ull, 0x0ull, 0x0ull},
	{"kind", WT_I32, 0, 0, 0, 28, 0, 0xffffffff80000000ull, 0x7fffffffull, 0x0ull},
	{"log", WT_BYTES, 0, 0, 0, 0, 32, 0x0ull, 0x400ull, 0x0ull},
};
static const uint32_t reply_pads_room_open[] = {36};
static int call_room_open(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out)
{
	uint64_t out0 = 0;
	float out1 = 0;
	int32_t out2 = 0;
	uint32_t out3_len = 0;
	int result = pvgpu_do_room_open(s, in[0].u, in[1].p, in[2].u, in[2].len, in[3].p, (uint32_t)in[3].len, (uint32_t)in[4].u, (int32_t)in[5].u, to_float(in[6].u), (uint64_t)in[7].u, in[8].u, &out0, &out1, &out2, out[3].to, out[3].cap, &out3_len);

	out[0].u = (uint64_t)out0;
	out[1].u = from_float(out1);
	out[2].u = (uint64_t)(int64_t)out2;
	out[3].len = out3_len;
	return result;
}

static void flat_room_open(const struct pvgpu_in_room_open *in, struct wt_value *v)
{
	memset(v, 0, 9 * sizeof(*v));
	v[0].u = in->door_h;
	v[0].object = in->door;
	v[0].type = in->door_type;
	v[1].p = in->name;
	v[1].len = in->name_len;
	v[2].u = (uint64_t)in->plan;
	v[2].len = in->plan_len;
	v[3].p = in->note;
	v[3].len = in->note_len;
	v[4].u = (uint64_t)in->kind;
	v[5].u = (uint64_t)(int64_t)in->depth;
	v[6].u = from_float(in->scale);
	v[7].u = (uint64_t)in->flags;
	v[8].u = in->room_h;
}

static int decode_room_open(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *v)
{
	struct pvgpu_in_room_open in;
	int result = pvgpu_decode_room_open(d, rec, len, &in);

	if (result != -EPROTO)
		flat_room_open(&in, v);
	return result;
}

static void fill_room_open(const struct wt_value *v, struct pvgpu_out_room_open *out)
{
	memset(out, 0, sizeof(*out));
	out->size = (uint64_t)v[0].u;
	out->heat = to_float(v[1].u);
	out->kind = (int32_t)v[2].u;
	out->log = v[3].p;
	out->log_len = (uint32_t)v[3].len;
}

static uint32_t encode_room_open(void *buf, uint32_t cap, uint32_t seq, int32_t result, const struct wt_value *v)
{
	struct pvgpu_out_room_open out;

	fill_room_open(v, &out);
	return pvgpu_encode_room_open_reply(buf, cap, seq, result, &out);
}

int handle_room_open(struct worker *w, const struct pvgpu_in_room_open *in, struct pvgpu_out_room_open *out)
{
	struct wt_value iv[WT_FIELDS_MAX], ov[WT_FIELDS_MAX];
	int result;

	memset(iv, 0, sizeof(iv));
	memset(ov, 0, sizeof(ov));
	flat_room_open(in, iv);
	result = wt_handle(w, &wt_cmds[2], iv, ov);
	fill_room_open(ov, out);
	return result;
}

static const struct wt_field in_room_paint[] = {
	{"room", WT_HANDLE, 1, 1, 0, 16, 0, 0x0ull, 0x0ull, 0x0ull},
	{"colour", WT_U32, 0, 0, 0, 24, 0, 0x0ull, 0xffffffffull, 0xffffffull},
	{"canvas", WT_ARENA, 0, 0, 0, 32, 40, 0x0ull, 0x100000ull, 0x0ull},
};
static const uint32_t pads_room_paint[] = {28};
static int call_room_paint(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out)
{
	if (m)
		return pvgpu_do_room_paint_mark(s, m, in[0].u, (uint32_t)in[1].u, in[2].u, in[2].len);
	return pvgpu_do_room_paint(s, in[0].u, (uint32_t)in[1].u, in[2].u, in[2].len);
}

static void flat_room_paint(const struct pvgpu_in_room_paint *in, struct wt_value *v)
{
	memset(v, 0, 3 * sizeof(*v));
	v[0].u = in->room_h;
	v[0].object = in->room;
	v[1].u = (uint64_t)in->colour;
	v[2].u = (uint64_t)in->canvas;
	v[2].len = in->canvas_len;
}

static int decode_room_paint(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *v)
{
	struct pvgpu_in_room_paint in;
	int result = pvgpu_decode_room_paint(d, rec, len, &in);

	if (result != -EPROTO)
		flat_room_paint(&in, v);
	return result;
}

int handle_room_paint(struct worker *w, const struct pvgpu_in_room_paint *in, struct pvgpu_out_room_paint *out)
{
	struct wt_value iv[WT_FIELDS_MAX], ov[WT_FIELDS_MAX];
	int result;

	memset(iv, 0, sizeof(iv));
	memset(ov, 0, sizeof(ov));
	flat_room_paint(in, iv);
	result = wt_handle(w, &wt_cmds[3], iv, ov);
	return result;
}

const struct wt_cmd wt_cmds[] = {
	{"room_list", 1, 1, 1, 0, 16, 24, 0, 1, 0, 1, in_room_list, out_room_list, pads_room_list, reply_pads_room_list, call_room_list, decode_room_list, encode_room_list},
	{"knock", 2, 1, 0, 0, 16, 0, 0, 0, 0, 0, in_knock, NULL, pads_knock, NULL, call_knock, decode_knock, NULL},
	{"room_open", 3, 1, 1, 0, 80, 40, 9, 4, 1, 1, in_room_open, out_room_open, pads_room_open, reply_pads_room_open, call_room_open, decode_room_open, encode_room_open},
	{"room_paint", 4, 2, 0, 1, 48, 0, 3, 0, 1, 0, in_room_paint, NULL, pads_room_paint, NULL, call_room_paint, decode_room_paint, NULL},
};

const unsigned wt_cmd_count = sizeof(wt_cmds) / sizeof(wt_cmds[0]);
