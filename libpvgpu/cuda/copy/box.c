/* SPDX-License-Identifier: MIT */
/* Copies of boxes whose places are checked: one strided command, or pieces through the arena. */
#include "cuda/copy/box.h"
#include "cuda/copy/copy.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/array.h"
#include "cuda/staging/move.h"
#include "cuda/staging/staging.h"
#include "cuda/streams/stream.h"

#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

bool box_extent(const struct box *b, const struct place *p, uint64_t *out)
{
	uint64_t slices, rows;

	return !__builtin_mul_overflow(b->depth - 1, p->height, &slices) &&
	       !__builtin_add_overflow(slices, b->rows - 1, &rows) &&
	       !__builtin_mul_overflow(rows, p->pitch, out) &&
	       !__builtin_add_overflow(*out, b->width, out);
}

static bool is_linear(const struct box *b, const struct place *p)
{
	if (p->array)
		return false;
	return (b->rows == 1 && b->depth == 1) ||
	       (p->pitch == b->width && (b->depth == 1 || p->height == b->rows));
}

/* A run of rows or slices that fits one piece; packed tightly there. */
struct part {
	uint64_t row, slice, rows, depth;
};

/* The part after p (start with rows 0), of `piece` bytes at most; false at the end. Rows must not
 * be wider than that. */
static bool next_part(const struct box *b, struct part *p, uint64_t piece)
{
	const uint64_t fit = piece / b->width;

	p->row += p->rows;
	if (p->row >= b->rows) {
		p->row = 0;
		p->slice += p->depth;
	}
	if (p->slice >= b->depth)
		return false;
	p->depth = 1;
	if (!p->row && fit >= b->rows) {
		p->rows = b->rows;
		p->depth = fit / b->rows;
		if (p->depth > b->depth - p->slice)
			p->depth = b->depth - p->slice;
		return true;
	}
	p->rows = fit < b->rows - p->row ? fit : b->rows - p->row;
	return true;
}

static uint64_t at(const struct place *p, uint64_t slice, uint64_t row)
{
	return p->addr + (slice * p->height + row) * p->pitch;
}

/* Copy between a piece and pageable rows, with the CPU. */
static void pack(const struct box *b, const struct part *p, char *mem, bool gather)
{
	const struct place *host = gather ? &b->src : &b->dst;

	for (uint64_t z = 0; z < p->depth; z++)
		for (uint64_t y = 0; y < p->rows; y++, mem += b->width) {
			char *row = (char *)(uintptr_t)at(host, p->slice + z, p->row + y);

			memcpy(gather ? mem : row, gather ? row : mem, b->width);
		}
}

void box_pack(const struct box *b, char *mem, bool gather)
{
	const struct part all = {.rows = b->rows, .depth = b->depth};

	pack(b, &all, mem, gather);
}

void box_move(const struct box *b)
{
	for (uint64_t z = 0; z < b->depth; z++)
		for (uint64_t y = 0; y < b->rows; y++)
			memmove((void *)(uintptr_t)at(&b->dst, z, y),
				(const void *)(uintptr_t)at(&b->src, z, y), b->width);
}

/* The place from a row of a slice on. */
static struct place from(const struct place *p, uint64_t slice, uint64_t row)
{
	struct place q = *p;

	if (p->array) {
		q.y += row;
		q.z += slice;
	} else {
		q.addr = at(p, slice, row);
	}
	return q;
}

static uint64_t wire(const struct place *p)
{
	return p->array ? p->array->o.wire : 0;
}

/* Both ends are places that the worker knows; m may be NULL. */
static int post(const struct target *t, struct pvgpu_mark *m, const struct place *d,
		const struct place *s, uint64_t width, uint64_t rows, uint64_t depth)
{
	struct pvgpu_session *const to = session();
	const uint64_t ctx = t->ctx->o.wire;

	if (!d->array && !s->array)
		return m ? pvgpu_do_copy_3d_mark(to, m, ctx, t->stream, d->addr, d->pitch,
						 d->height, s->addr, s->pitch, s->height, width,
						 rows, depth)
			 : pvgpu_do_copy_3d(to, ctx, t->stream, d->addr, d->pitch, d->height,
					    s->addr, s->pitch, s->height, width, rows, depth);
	return m ? pvgpu_do_copy_array_mark(to, m, ctx, t->stream, wire(d), d->addr, d->x, d->y,
					    d->z, d->pitch, d->height, wire(s), s->addr, s->x, s->y,
					    s->z, s->pitch, s->height, width, rows, depth)
		 : pvgpu_do_copy_array(to, ctx, t->stream, wire(d), d->addr, d->x, d->y, d->z,
				       d->pitch, d->height, wire(s), s->addr, s->x, s->y, s->z,
				       s->pitch, s->height, width, rows, depth);
}

static int post_part(const struct target *t, const struct box *b, const struct part *p,
		     const char *at, struct pvgpu_mark *m, bool to_device)
{
	const struct place mem = {.addr = (uintptr_t)at, .pitch = b->width, .height = p->rows};
	const struct place dev = from(to_device ? &b->dst : &b->src, p->slice, p->row);

	return post(t, m, to_device ? &dev : &mem, to_device ? &mem : &dev, b->width, p->rows,
		    p->depth);
}

/* An asynchronous copy from or to registered memory: what its pieces are. */
struct registered {
	struct box box;
	struct part part[];
};

static void pack_piece(const struct moving *v, unsigned int k, char *mem)
{
	const struct registered *g = v->what;

	pack(&g->box, &g->part[k], mem, v->to_device);
}

static int post_piece(const struct moving *v, const struct target *t, unsigned int k, char *mem,
		      struct pvgpu_mark *m)
{
	const struct registered *g = v->what;

	return post_part(t, &g->box, &g->part[k], mem, m, v->to_device);
}

/* MOVE_BUSY: as move_async(). */
static int copy_in_pieces(const struct target *t, const struct box *b, uint64_t piece)
{
	const bool to_device = b->dst.side == SIDE_DEVICE;
	const struct place *user = to_device ? &b->src : &b->dst;
	struct moving v = {.user = user->addr, .to_device = to_device};
	struct registered *g;
	struct part p = {.rows = 0};
	int r;

	while (next_part(b, &p, piece))
		v.pieces++;
	g = malloc(sizeof(*g) + v.pieces * sizeof(g->part[0]));
	if (!g)
		return MOVE_BUSY;
	g->box = *b;
	p = (struct part){.rows = 0};
	for (unsigned int k = 0; next_part(b, &p, piece); k++) {
		const uint64_t bytes = b->width * p.rows * p.depth;

		g->part[k] = p;
		if (v.piece < bytes)
			v.piece = bytes;
	}
	box_extent(b, user, &v.extent);
	v.what = g;
	v.pack = pack_piece;
	v.post = post_piece;
	r = move_async(t, &v);
	if (r == MOVE_BUSY)
		free(g);
	return r;
}

static int copy_registered(const struct target *t, const struct box *b)
{
	const int r = copy_in_pieces(t, b, STAGING_PIECE);

	/* In smaller pieces where the arena has no room for large ones. */
	return r == MOVE_BUSY && b->width <= STAGING_SMALL ? copy_in_pieces(t, b, STAGING_SMALL)
							   : r;
}

static int copy_rows(const struct target *t, const struct box *b);

/* Without a piece of the arena that has room for a row: row by row, in parts or inside records; not
 * to arrays. */
static int without_piece(const struct target *t, const struct box *b, struct staging *st)
{
	const int r = pvgpu_session_status(session());

	staging_end(st);
	if (r)
		return r;
	return b->dst.array || b->src.array ? CUDA_ERROR_OUT_OF_MEMORY : copy_rows(t, b);
}

static int write_box(const struct target *t, const struct box *b)
{
	struct staging st = staging_begin(t, b->width * b->rows * b->depth);
	struct part p = {.rows = 0};
	int r = 0;

	staging_hold(&st);
	if (!st.slot[0] || b->width > st.size)
		return without_piece(t, b, &st);
	while (!r && next_part(b, &p, st.size)) {
		struct slot *s = staging_next(&st);

		if (!s) {
			r = staging_failure();
			break;
		}
		pack(b, &p, s->mem, true);
		r = post_part(t, b, &p, s->mem, &s->mark, true);
		if (r)
			staging_unused(&st);
	}
	if (!r && !b->async && b->width * b->rows * b->depth > STAGING_WAIT_ABOVE)
		r = ctx_result(t->ctx, staging_wait(&st));
	staging_end(&st);
	return r;
}

static int read_box(const struct target *t, const struct box *b)
{
	struct part p = {.rows = 0}, parts[STAGING_DEPTH];
	struct slot *slots[STAGING_DEPTH];
	unsigned int posted = 0, taken = 0;
	struct staging st = staging_begin(t, b->width * b->rows * b->depth);
	int r = 0, done;
	bool more;

	staging_hold(&st);
	if (!st.slot[0] || b->width > st.size)
		return without_piece(t, b, &st);
	more = next_part(b, &p, st.size);
	while ((more && !r) || taken < posted) {
		const unsigned int i = posted % STAGING_DEPTH, j = taken % STAGING_DEPTH;

		if (more && !r && posted - taken < staging_hold(&st)) {
			parts[i] = p;
			slots[i] = staging_next(&st);
			r = slots[i] ? post_part(t, b, &p, slots[i]->mem, &slots[i]->mark, false)
				     : staging_failure();
			if (!r)
				posted++;
			else if (slots[i])
				staging_unused(&st);
			more = next_part(b, &p, st.size);
			continue;
		}
		done = pvgpu_mark_wait(session(), &slots[j]->mark);
		taken++;
		if (!done)
			pack(b, &parts[j], slots[j]->mem, false);
		else if (!r)
			r = done;
	}
	staging_end(&st);
	r = ctx_result(t->ctx, r);
	return r ? r : stream_drain(t);
}

/* Row by row: linear copies, also from host to host. */
static int copy_rows(const struct target *t, const struct box *b)
{
	struct copy c = {.len = b->width,
			 .dst_side = b->dst.side,
			 .src_side = b->src.side,
			 .async = b->async};
	int r = 0;

	for (uint64_t z = 0; z < b->depth && !r; z++)
		for (uint64_t y = 0; y < b->rows && !r; y++) {
			c.dst = at(&b->dst, z, y);
			c.src = at(&b->src, z, y);
			r = copy_between(t, &c);
		}
	return r;
}

int copy_box(const struct target *t, const struct box *b)
{
	const struct place *d = &b->dst, *s = &b->src;
	int r;

	if (is_linear(b, d) && is_linear(b, s)) {
		const struct copy c = {d->addr, s->addr, b->width * b->rows * b->depth,
				       d->side, s->side, b->async};

		return copy_between(t, &c);
	}
	if (unlikely(t->captured) && !b->async)
		return capture_refuse(t);
	if (unlikely(t->captured) && (!side_is_mapped(d->side) || !side_is_mapped(s->side)))
		return graph_copy_captured(t, b);
	if (side_is_mapped(d->side) && side_is_mapped(s->side)) {
		r = post(t, NULL, d, s, b->width, b->rows, b->depth);
		if (!r && !b->async && (d->side == SIDE_PINNED || s->side == SIDE_PINNED))
			r = stream_drain(t);
		return r;
	}
	if (b->width > STAGING_PIECE || (d->side != SIDE_DEVICE && s->side != SIDE_DEVICE))
		return copy_rows(t, b);
	/* As in copy_between(). */
	if (b->async && (s->side == SIDE_REGISTERED || d->side == SIDE_REGISTERED)) {
		r = copy_registered(t, b);
		if (r != MOVE_BUSY)
			return r;
		r = stream_turn(t);
		if (r)
			return r;
	}
	return d->side == SIDE_DEVICE ? write_box(t, b) : read_box(t, b);
}
