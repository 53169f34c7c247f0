/* SPDX-License-Identifier: MIT */
/* Made by libpvgpu/protocol/gen/wire.py from *.api; do not edit. */
#ifndef PVGPU_WIRE_TEST_H
#define PVGPU_WIRE_TEST_H

#include <stdint.h>
#include "pvgpu_decode.h"
#include "pvgpu_stubs.h"

enum wt_kind { WT_U32, WT_U64, WT_I32, WT_I64, WT_F32, WT_F64, WT_HANDLE, WT_NEW, WT_BYTES, WT_STRING, WT_ARENA };

struct wt_field {
	const char *name;
	enum wt_kind kind;
	int optional;
	uint32_t type, type2; /* of a handle; type2 0: only one */
	uint32_t offset; /* of the value in the record, 0 for bytes */
	uint32_t len_offset; /* of the length of bytes or of an arena range */
	uint64_t min, max; /* of the value, or of the length; an i32 is sign-extended */
	uint64_t bits; /* 0: any */
};

/* One value: i32 sign-extended, f32 and f64 as their bits in u; a range's address in u; bytes in p and len. */
struct wt_value {
	uint64_t u;
	uint64_t len;
	const void *p;
	void *object; /* decoded: what a handle stands for */
	uint32_t type; /* decoded: of a handle that may be of two types */
	void *to; /* outputs of call: where bytes go, and room there */
	uint32_t cap;
};

#define WT_FIELDS_MAX 9

struct wt_cmd {
	const char *name;
	uint32_t op, since;
	int awaited, mark;
	uint32_t fixed, reply_fixed;
	uint32_t n_in, n_out, n_pads, n_reply_pads;
	const struct wt_field *in, *out;
	const uint32_t *pads, *reply_pads; /* offsets of four bytes that must be zero */
	int (*call)(struct pvgpu_session *s, struct pvgpu_mark *m, const struct wt_value *in, struct wt_value *out);
	int (*decode)(const struct pvgpu_decode *d, const void *rec, uint32_t len, struct wt_value *in);
	uint32_t (*encode_reply)(void *buf, uint32_t cap, uint32_t seq, int32_t result, const struct wt_value *out);
};

extern const struct wt_cmd wt_cmds[];
extern const unsigned wt_cmd_count;

/* Provided by the program: stands for every handler. */
int wt_handle(struct worker *w, const struct wt_cmd *c, const struct wt_value *in, struct wt_value *out);

#endif
