/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: gen/pvgpu_stubs.c */
/* FUZZ_OBJS: gen/pvgpu_decode.c gen/pvgpu_stubs.c gen/pvgpu_wire_test.c tests/fuzz/wire_end.c */
/*
 * Hostile backends: a stub gets these bytes as its reply. Before that it refuses an argument that
 * the description does not allow.
 *
 * Input: u16 index of the command, u8 room for bytes in units of 64, u8 result, then the reply
 * record. With the index's highest bit, result is the number of an argument that is wrong.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/wire_end.h"

static char long_text[2 * PVGPU_CMD_MAX];

static void values(const struct wt_cmd *c, struct wt_value *in)
{
	static const char text[] = "0123456789abcdef";

	memset(in, 0, WT_FIELDS_MAX * sizeof(*in));
	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct wt_field *f = &c->in[i];

		in[i].u = f->kind == WT_HANDLE || f->kind == WT_NEW ? PVGPU_HANDLE(f->type, 0, 0, 1)
								    : f->min;
		in[i].p = f->min < sizeof(text) ? text : long_text;
		in[i].len = f->min;
		if (f->kind == WT_ARENA) {
			in[i].u = 1 << 20;
			in[i].len = 1;
		}
	}
}

/* Out of its bounds, if it has any. */
static void spoil(const struct wt_field *f, struct wt_value *v)
{
	if (f->kind == WT_HANDLE || f->kind == WT_NEW)
		v->u = PVGPU_HANDLE(63, 0, 0, 1);
	else if (f->kind == WT_BYTES || f->kind == WT_STRING || f->kind == WT_ARENA)
		v->len = f->max + 1;
	else
		v->u = f->bits ? ~f->bits : f->max + 1;
	if (f->kind == WT_STRING)
		v->p = memset(long_text, 'x', sizeof(long_text) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wt_value in[WT_FIELDS_MAX], out[WT_FIELDS_MAX];
	const struct wt_cmd *c;
	bool wrong;
	uint32_t cap;

	if (size < 4 || size > PVGPU_CMD_MAX)
		return -1;
	c = &wt_cmds[(data[0] | (data[1] & 0x7f) << 8) % wt_cmd_count];
	wrong = data[1] & 0x80 && c->n_in;
	if (!c->awaited && !wrong)
		return -1;
	cap = data[2] * 64u;
	values(c, in);
	if (wrong)
		spoil(&c->in[data[3] % c->n_in], &in[data[3] % c->n_in]);
	memset(out, 0, sizeof(out));
	for (uint32_t i = 0; i < c->n_out; i++) {
		out[i].to = malloc(cap ? cap : 1);
		out[i].cap = cap;
	}
	wire_end_reply(data + 4, (uint32_t)(size - 4), (int8_t)data[3]);
	c->call(wire_end_session(), NULL, in, out);
	for (uint32_t i = 0; i < c->n_out; i++) {
		if (out[i].len > cap)
			abort();
		wire_end_touch(out[i].to, out[i].len);
		free(out[i].to);
	}
	return 0;
}
