/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "link/session.h"
#include "tests/protocol/wire_case.h"

const char *const wc_variant_names[WC_VARIANTS] = {"min", "typical", "max"};
struct wc_session wc_session;
struct wc_worker wc_worker;
uint64_t wc_missing;
unsigned wc_bad_lookups;

static uint64_t clamp(uint64_t value, uint64_t min, uint64_t max)
{
	return value < min ? min : value > max ? max : value;
}

static uint64_t number(const struct wt_field *f, enum wc_variant variant, uint32_t index)
{
	if (f->bits)
		return variant == WC_MIN ? 0 : variant == WC_MAX ? f->bits : f->bits & -f->bits;
	if (variant != WC_TYPICAL)
		return variant == WC_MIN ? f->min : f->max;
	if (f->kind != WT_I32 && f->kind != WT_I64)
		return clamp(3 + index, f->min, f->max);

	int64_t min = (int64_t)f->min, max = (int64_t)f->max, value = 3 + (int64_t)index;

	return (uint64_t)(value < min ? min : value > max ? max : value);
}

static uint64_t handle(const struct wt_field *f, enum wc_variant variant, uint32_t index)
{
	if (variant == WC_MIN)
		return f->optional ? 0 : PVGPU_HANDLE(f->type, 0, 0, 0);
	if (variant == WC_TYPICAL)
		return PVGPU_HANDLE(f->type, 1, 1, 1 + index);
	return PVGPU_HANDLE(f->type2 ? f->type2 : f->type, 0xff, 0xffff, 0xffff);
}

static void range(const struct wt_field *f, enum wc_variant variant, uint32_t index,
		  struct wt_value *v)
{
	if (variant == WC_MIN) {
		v->u = f->optional ? 0 : WC_ARENA_BASE;
		v->len = f->optional ? 0 : 1;
	} else if (variant == WC_TYPICAL) {
		v->u = WC_ARENA_BASE + 4096;
		v->len = clamp(100 + index, 0, f->max);
	} else {
		v->len = clamp(WC_ARENA_SIZE, 0, f->max);
		v->u = WC_ARENA_BASE + WC_ARENA_SIZE - v->len;
	}
}

/* Bytes that differ from one parameter to the next and end in a NUL, for strings. */
static const void *content(uint32_t index, uint64_t len)
{
	static uint8_t bytes[WT_FIELDS_MAX][WC_ROOM];
	uint8_t *b = bytes[index];

	for (uint64_t i = 0; i < len; i++)
		b[i] = (uint8_t)(1 + (index * 16 + i) % 251);
	b[len] = 0;
	return b;
}

static uint64_t float_bits(enum wc_variant variant, uint32_t index)
{
	float f = variant == WC_MIN ? 0.0f : variant == WC_MAX ? -0x1p100f : 1.5f + (float)index;
	uint32_t word;

	memcpy(&word, &f, sizeof(word));
	return word;
}

static uint64_t double_bits(enum wc_variant variant, uint32_t index)
{
	double f = variant == WC_MIN ? 0.0 : variant == WC_MAX ? -0x1p100 : 1.5 + (double)index;
	uint64_t word;

	memcpy(&word, &f, sizeof(word));
	return word;
}

void wc_values(const struct wt_field *f, uint32_t n, enum wc_variant variant, struct wt_value *v)
{
	memset(v, 0, n * sizeof(*v));
	for (uint32_t i = 0; i < n; i++, f++, v++) {
		switch (f->kind) {
		case WT_BYTES:
		case WT_STRING:
			v->len = variant == WC_MIN   ? f->min
				 : variant == WC_MAX ? f->max
						     : clamp(5 + i, f->min, f->max);
			v->p = content(i, v->len);
			break;
		case WT_HANDLE:
		case WT_NEW:
			v->u = handle(f, variant, i);
			break;
		case WT_ARENA:
			range(f, variant, i, v);
			break;
		case WT_F32:
			v->u = float_bits(variant, i);
			break;
		case WT_F64:
			v->u = double_bits(variant, i);
			break;
		default:
			v->u = number(f, variant, i);
		}
	}
}

uint32_t wc_part(const struct wt_field *f, uint64_t len)
{
	return (uint32_t)(f->kind == WT_STRING ? len / 8 * 8 + 8 : (len + 7) / 8 * 8);
}

static void put(uint8_t *to, uint64_t value, size_t size)
{
	memcpy(to, &value, size);
}

uint32_t wc_build(const struct wt_cmd *c, const struct wt_value *v, void *buf)
{
	struct pvgpu_cmd_hdr *hdr = buf;
	uint8_t *rec = buf;
	uint32_t at = c->fixed;

	memset(rec, 0, c->fixed);
	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct wt_field *f = &c->in[i];

		if (f->kind == WT_BYTES || f->kind == WT_STRING) {
			put(rec + f->len_offset, v[i].len, 4);
			memset(rec + at, 0, wc_part(f, v[i].len));
			memcpy(rec + at, v[i].p, v[i].len);
			at += wc_part(f, v[i].len);
			continue;
		}
		put(rec + f->offset, v[i].u,
		    f->kind == WT_U32 || f->kind == WT_I32 || f->kind == WT_F32 ? 4 : 8);
		if (f->kind == WT_ARENA)
			put(rec + f->len_offset, v[i].len, 8);
	}
	*hdr = (struct pvgpu_cmd_hdr){.len = at, .op = (uint16_t)c->op, .seq = WC_SEQ};
	return at;
}

char *wc_text(const struct wt_cmd *c, const struct wt_value *in)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputs(c->name, out);
	for (uint32_t i = 0; i < c->n_in; i++) {
		fprintf(out, " %s=", c->in[i].name);
		if (c->in[i].kind == WT_BYTES || c->in[i].kind == WT_STRING) {
			for (uint64_t k = 0; k < in[i].len; k++)
				fprintf(out, "%02x", ((const uint8_t *)in[i].p)[k]);
		} else if (c->in[i].kind == WT_ARENA) {
			fprintf(out, "0x%llx+%llu", (unsigned long long)in[i].u,
				(unsigned long long)in[i].len);
		} else if (c->in[i].kind == WT_HANDLE || c->in[i].kind == WT_NEW) {
			fprintf(out, "0x%llx", (unsigned long long)in[i].u);
		} else {
			fprintf(out, "%lld", (long long)in[i].u);
		}
	}
	fclose(out);
	return text;
}

const struct wt_cmd *wc_find(uint32_t op)
{
	for (unsigned i = 0; i < wt_cmd_count; i++) {
		if (wt_cmds[i].op == op)
			return &wt_cmds[i];
	}
	return NULL;
}

size_t wc_read_file(const char *path, void *buf, size_t cap)
{
	FILE *in = fopen(path, "rb");
	size_t n;

	if (!in)
		return 0;
	n = fread(buf, 1, cap, in);
	fclose(in);
	return n;
}

size_t wc_seed(const char *kind, const struct wt_cmd *c, enum wc_variant variant, void *buf,
	       size_t cap)
{
	char path[512];

	snprintf(path, sizeof(path), GEN_DIR "/corpus/%s/%s-%s.bin", kind, c->name,
		 wc_variant_names[variant]);
	return wc_read_file(path, buf, cap);
}

/* ---- the guest's runtime */

struct pvgpu_session *wc_guest(void)
{
	return (struct pvgpu_session *)&wc_session;
}

int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned n)
{
	struct wc_session *t = (struct wc_session *)s;
	uint8_t *rec = t->rec;

	t->rec_len = 0;
	for (unsigned i = 0; i < n; i++) {
		memcpy(rec + t->rec_len, p[i].base, p[i].len);
		t->rec_len += p[i].len;
	}
	((struct pvgpu_cmd_hdr *)t->rec)->seq = WC_SEQ;
	t->mark = NULL;
	t->posted++;
	return 0;
}

int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned n)
{
	struct wc_session *t = (struct wc_session *)s;
	int result = pvgpu_post(s, p, n);

	((struct pvgpu_cmd_hdr *)t->rec)->flags |= PVGPU_CMD_MARK;
	t->mark = m;
	return result;
}

int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned n, void *rep,
	       uint32_t cap, uint32_t *rep_len)
{
	struct wc_session *t = (struct wc_session *)s;

	pvgpu_post(s, p, n);
	if (!t->rep_len)
		return WC_DEAD;
	*rep_len = t->rep_len < cap ? t->rep_len : cap;
	memcpy(rep, t->rep, *rep_len);
	return t->rep_result;
}

int pvgpu_broken(struct pvgpu_session *s, const char *what)
{
	((struct wc_session *)s)->broken++;
	return WC_BROKEN;
}

/* ---- the worker */

struct worker *wc_far(void)
{
	return (struct worker *)&wc_worker;
}

int wt_handle(struct worker *w, const struct wt_cmd *c, const struct wt_value *in,
	      struct wt_value *out)
{
	struct wc_worker *t = (struct wc_worker *)w;

	t->handled++;
	t->handled_cmd = c;
	if (t->handler_out)
		memcpy(out, t->handler_out, c->n_out * sizeof(*out));
	return t->handler_result;
}

void worker_send(struct worker *w, const void *rec, uint32_t len)
{
	struct wc_worker *t = (struct wc_worker *)w;

	t->sent++;
	t->rep_len = len;
	memcpy(t->rep, rec, len);
}

void worker_deferred(struct worker *w, void *ctx_obj, int result)
{
	struct wc_worker *t = (struct wc_worker *)w;

	t->deferred++;
	t->deferred_ctx = ctx_obj;
	t->deferred_result = result;
}

void worker_mark(struct worker *w, uint32_t seq, int32_t result)
{
	struct wc_worker *t = (struct wc_worker *)w;

	t->marked++;
	t->marked_seq = seq;
	t->marked_result = result;
}

/* ---- handles */

static void *lookup(void *tables, uint32_t type, uint64_t h)
{
	if (type != PVGPU_HANDLE_TYPE(h) || PVGPU_HANDLE_INDEX(h) >= PVGPU_HANDLES_MAX)
		wc_bad_lookups++;
	return h == wc_missing ? NULL : (void *)(uintptr_t)h;
}

const struct pvgpu_decode wc_decode = {
	.arena_base = WC_ARENA_BASE,
	.arena_size = WC_ARENA_SIZE,
	.lookup = lookup,
};
