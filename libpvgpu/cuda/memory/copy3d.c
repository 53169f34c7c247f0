/* SPDX-License-Identifier: MIT */
/* Two- and three-dimensional copies: checks, then one strided command, or pieces through the arena.
 */
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/array.h"
#include "cuda/memory/copy.h"
#include "cuda/memory/move.h"
#include "cuda/memory/staging.h"
#include "cuda/streams/stream.h"

#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

/* One operand: addr is the box's first byte, slices are pitch * height apart; or an array, and
 * where in it the box begins. */
struct place {
	uint64_t addr, pitch, height;
	enum side side;
	const struct array *array;
	uint64_t x, y, z;
};

struct box {
	struct place dst, src;
	uint64_t width, rows, depth; /* bytes, rows, slices */
	bool async;
};

/* An operand as the application describes it. */
struct operand {
	CUmemorytype type;
	const void *host;
	CUdeviceptr device;
	CUarray array;
	size_t x, y, z, lod, pitch, height;
};

/* Distance from the box's first byte to the end of its last row. */
static bool extent(const struct box *b, const struct place *p, uint64_t *out)
{
	uint64_t slices, rows;

	return !__builtin_mul_overflow(b->depth - 1, p->height, &slices) &&
	       !__builtin_add_overflow(slices, b->rows - 1, &rows) &&
	       !__builtin_mul_overflow(rows, p->pitch, out) &&
	       !__builtin_add_overflow(*out, b->width, out);
}

static int place_array(const struct operand *o, const struct box *b, struct place *p)
{
	const struct array *a;
	const int r = array_enter(o->array, &a);

	if (r)
		return r;
	if (o->lod || !array_holds(a, o->x, b->width, o->y, b->rows, o->z, b->depth))
		return CUDA_ERROR_INVALID_VALUE;
	*p = (struct place){.side = SIDE_DEVICE, .array = a, .x = o->x, .y = o->y, .z = o->z};
	return 0;
}

static int place_operand(const struct operand *o, const struct box *b, uint64_t max_pitch,
			 struct place *p)
{
	uint64_t right, bottom, len, rows;

	if (o->type == CU_MEMORYTYPE_ARRAY)
		return place_array(o, b, p);
	if (o->lod || __builtin_add_overflow(o->x, b->width, &right) ||
	    __builtin_add_overflow(o->y, b->rows, &bottom))
		return CUDA_ERROR_INVALID_VALUE;
	/* 0 stands for tightly packed. */
	p->pitch = o->pitch ? o->pitch : right;
	p->height = o->height ? o->height : bottom;
	if (p->pitch > max_pitch || right > p->pitch || (b->depth > 1 && bottom > p->height))
		return CUDA_ERROR_INVALID_VALUE;
	p->addr = o->type == CU_MEMORYTYPE_HOST ? (uintptr_t)o->host : o->device;
	if (!p->addr || __builtin_mul_overflow(o->z, p->height, &rows) ||
	    __builtin_add_overflow(rows, o->y, &rows) ||
	    __builtin_mul_overflow(rows, p->pitch, &rows) ||
	    __builtin_add_overflow(p->addr, rows, &p->addr) ||
	    __builtin_add_overflow(p->addr, o->x, &p->addr) || !extent(b, p, &len))
		return CUDA_ERROR_INVALID_VALUE;
	switch (o->type) {
	case CU_MEMORYTYPE_HOST:
		return side_of_host(p->addr, len, &p->side);
	case CU_MEMORYTYPE_DEVICE:
		return side_of_device(p->addr, len, &p->side);
	case CU_MEMORYTYPE_UNIFIED:
		return side_of_any(p->addr, len, &p->side);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
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
	extent(b, user, &v.extent);
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

static int copy_box(const struct target *t, const struct box *b)
{
	const struct place *d = &b->dst, *s = &b->src;
	int r;

	if (is_linear(b, d) && is_linear(b, s)) {
		const struct copy c = {d->addr, s->addr, b->width * b->rows * b->depth,
				       d->side, s->side, b->async};

		return copy_between(t, &c);
	}
	if (unlikely(t->captured) &&
	    (!b->async || !side_is_mapped(d->side) || !side_is_mapped(s->side)))
		return capture_refuse(t);
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
		r = stream_drain(t);
		if (r)
			return r;
	}
	return d->side == SIDE_DEVICE ? write_box(t, b) : read_box(t, b);
}

static int copy(const struct operand *dst, const struct operand *src, struct box *b,
		CUstream stream, bool per_thread)
{
	uint64_t max_pitch;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r || !b->width || !b->rows || !b->depth)
		return r;
	max_pitch = (uint64_t)device_value(t.ctx->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	if (!max_pitch)
		max_pitch = INT32_MAX;
	r = place_operand(dst, b, max_pitch, &b->dst);
	if (!r)
		r = place_operand(src, b, max_pitch, &b->src);
	return r ? r : copy_box(&t, b);
}

static int copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool per_thread, bool async)
{
	struct operand dst, src;
	struct box b = {.depth = 1, .async = async};

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	dst = (struct operand){.type = c->dstMemoryType,
			       .host = c->dstHost,
			       .device = c->dstDevice,
			       .array = c->dstArray,
			       .x = c->dstXInBytes,
			       .y = c->dstY,
			       .pitch = c->dstPitch};
	src = (struct operand){.type = c->srcMemoryType,
			       .host = c->srcHost,
			       .device = c->srcDevice,
			       .array = c->srcArray,
			       .x = c->srcXInBytes,
			       .y = c->srcY,
			       .pitch = c->srcPitch};
	b.width = c->WidthInBytes;
	b.rows = c->Height;
	return copy(&dst, &src, &b, stream, per_thread);
}

static void operands(const CUDA_MEMCPY3D *c, struct operand *dst, struct operand *src,
		     struct box *b)
{
	*dst = (struct operand){.type = c->dstMemoryType,
				.host = c->dstHost,
				.device = c->dstDevice,
				.array = c->dstArray,
				.x = c->dstXInBytes,
				.y = c->dstY,
				.z = c->dstZ,
				.lod = c->dstLOD,
				.pitch = c->dstPitch,
				.height = c->dstHeight};
	*src = (struct operand){.type = c->srcMemoryType,
				.host = c->srcHost,
				.device = c->srcDevice,
				.array = c->srcArray,
				.x = c->srcXInBytes,
				.y = c->srcY,
				.z = c->srcZ,
				.lod = c->srcLOD,
				.pitch = c->srcPitch,
				.height = c->srcHeight};
	b->width = c->WidthInBytes;
	b->rows = c->Height;
	b->depth = c->Depth;
}

static int copy_3d(const CUDA_MEMCPY3D *c, CUstream stream, bool per_thread, bool async)
{
	struct operand dst, src;
	struct box b = {.async = async};

	if (!c || c->reserved0 || c->reserved1)
		return CUDA_ERROR_INVALID_VALUE;
	operands(c, &dst, &src, &b);
	return copy(&dst, &src, &b, stream, per_thread);
}

int copy_node(struct ctx *c, const CUDA_MEMCPY3D *copy, struct pvgpu_graph_node *n)
{
	uint64_t max_pitch = (uint64_t)device_value(c->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	struct operand dst, src;
	struct box b = {.async = true};
	int r;

	if (!copy || copy->reserved0 || copy->reserved1)
		return CUDA_ERROR_INVALID_VALUE;
	operands(copy, &dst, &src, &b);
	if (!b.width || !b.rows || !b.depth)
		return CUDA_ERROR_INVALID_VALUE;
	if (!max_pitch)
		max_pitch = INT32_MAX;
	r = place_operand(&dst, &b, max_pitch, &b.dst);
	if (!r)
		r = place_operand(&src, &b, max_pitch, &b.src);
	if (r)
		return r;
	/* A launch names no memory: what the worker does not reach at any time cannot be copied. */
	if (b.dst.array || b.src.array || !side_is_mapped(b.dst.side) ||
	    !side_is_mapped(b.src.side))
		return CUDA_ERROR_NOT_SUPPORTED;
	n->dst = b.dst.addr;
	n->dst_pitch = b.dst.pitch;
	n->dst_height = b.dst.height;
	n->src = b.src.addr;
	n->src_pitch = b.src.pitch;
	n->src_height = b.src.height;
	n->width = b.width;
	n->height = b.rows;
	n->depth = b.depth;
	return 0;
}

static int copy_3d_peer(const CUDA_MEMCPY3D_PEER *p, CUstream stream, bool per_thread, bool async)
{
	CUDA_MEMCPY3D c;
	const int r = guest_enter();

	if (r)
		return r;
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	if (!ctx_find(p->dstContext) || !ctx_find(p->srcContext))
		return CUDA_ERROR_INVALID_CONTEXT;
	/* The two structures differ in the reserved fields only. */
	_Static_assert(sizeof(c) == sizeof(*p), "same layout");
	memcpy(&c, p, sizeof(c));
	c.reserved0 = c.reserved1 = NULL;
	return copy_3d(&c, stream, per_thread, async);
}

static struct operand on_host(const void *host)
{
	return (struct operand){.type = CU_MEMORYTYPE_HOST, .host = host};
}

static struct operand on_device(CUdeviceptr addr)
{
	return (struct operand){.type = CU_MEMORYTYPE_DEVICE, .device = addr};
}

static struct operand in_array(CUarray array, size_t offset)
{
	return (struct operand){.type = CU_MEMORYTYPE_ARRAY, .array = array, .x = offset};
}

static int check_line(const struct operand *o)
{
	const struct array *a;
	int r;

	if (o->type != CU_MEMORYTYPE_ARRAY)
		return 0;
	r = array_enter(o->array, &a);
	return !r && (a->desc.Height || a->desc.Depth) ? CUDA_ERROR_INVALID_VALUE : r;
}

/* Arrays in it have one dimension. */
static int copy_line(struct operand dst, struct operand src, size_t bytes, CUstream stream,
		     bool per_thread, bool async)
{
	struct box b = {.width = bytes, .rows = 1, .depth = 1, .async = async};
	int r = guest_enter();

	if (!r)
		r = check_line(&dst);
	if (!r)
		r = check_line(&src);
	return r ? r : copy(&dst, &src, &b, stream, per_thread);
}

CU_PTDS(cuMemcpyHtoA_v2, (CUarray dst, size_t to, const void *src, size_t bytes),
	copy_line(in_array(dst, to), on_host(src), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoH_v2, (void *dst, CUarray src, size_t from, size_t bytes),
	copy_line(on_host(dst), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyDtoA_v2, (CUarray dst, size_t to, CUdeviceptr src, size_t bytes),
	copy_line(in_array(dst, to), on_device(src), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoD_v2, (CUdeviceptr dst, CUarray src, size_t from, size_t bytes),
	copy_line(on_device(dst), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoA_v2, (CUarray dst, size_t to, CUarray src, size_t from, size_t bytes),
	copy_line(in_array(dst, to), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTSZ(cuMemcpyHtoAAsync_v2,
	(CUarray dst, size_t to, const void *src, size_t bytes, CUstream stream),
	copy_line(in_array(dst, to), on_host(src), bytes, stream, per_thread, true))
CU_PTSZ(cuMemcpyAtoHAsync_v2, (void *dst, CUarray src, size_t from, size_t bytes, CUstream stream),
	copy_line(on_host(dst), in_array(src, from), bytes, stream, per_thread, true))
CU_PTDS(cuMemcpy2D_v2, (const CUDA_MEMCPY2D *c), copy_2d(c, NULL, per_thread, false))
CU_PTDS(cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *c), copy_2d(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D *c, CUstream stream),
	copy_2d(c, stream, per_thread, true))
CU_PTDS(cuMemcpy3D_v2, (const CUDA_MEMCPY3D *c), copy_3d(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy3DAsync_v2, (const CUDA_MEMCPY3D *c, CUstream stream),
	copy_3d(c, stream, per_thread, true))
CU_PTDS(cuMemcpy3DPeer, (const CUDA_MEMCPY3D_PEER *c), copy_3d_peer(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy3DPeerAsync, (const CUDA_MEMCPY3D_PEER *c, CUstream stream),
	copy_3d_peer(c, stream, per_thread, true))
