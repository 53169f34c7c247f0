/* SPDX-License-Identifier: MIT */
/*
 * Batches of linear copies: all ranges are checked before the first copy is issued. Chunks of the
 * arena that they touch stay mapped until the mark is sent.
 */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "issue.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/worker.h"

struct lines {
	uint32_t n;
	struct span dst[PVGPU_COPIES_MAX], src[PVGPU_COPIES_MAX];
	uint64_t bytes;      /* of all */
	enum work_kind kind; /* of the most of them */
};

/* Of the arena, pinned. */
struct pins {
	uint32_t n;
	struct span at[2 * PVGPU_COPIES_MAX];
};

static void unpin(struct gpu *g, struct pins *p)
{
	for (uint32_t i = 0; p && i < p->n; i++)
		chunks_unpin(&g->arena.chunks, p->at[i].addr, p->at[i].len);
	free(p);
}

static void pin(struct gpu *g, struct pins *p, const struct span *s)
{
	if (s->at == AT_ARENA && chunks_pin(&g->arena.chunks, s->addr, s->len))
		p->at[p->n++] = *s;
}

static enum work_kind kind_of(const struct span *dst, const struct span *src)
{
	if (dst->at == AT_DEVICE)
		return src->at == AT_DEVICE ? WORK_DEVICE : WORK_TO_DEVICE;
	return src->at == AT_DEVICE ? WORK_TO_HOST : WORK_HOST;
}

static bool place(struct gpu *g, struct span *s, uint64_t addr, uint64_t len)
{
	*s = (struct span){.at = mem_where(g, addr, len), .addr = addr, .len = len};
	return len && s->at != AT_NOWHERE;
}

static int read_lines(struct gpu *g, const struct pvgpu_in_copy_batch *in, struct lines *l)
{
	uint64_t of_kind[WORK_KINDS] = {0};
	struct pvgpu_copy_line one;

	if (in->lines_len % sizeof(one))
		return CUDA_ERROR_INVALID_VALUE;
	l->n = in->lines_len / (uint32_t)sizeof(one);
	l->bytes = 0;
	l->kind = WORK_DEVICE;
	for (uint32_t i = 0; i < l->n; i++) {
		enum work_kind k;

		memcpy(&one, (const char *)in->lines + i * sizeof(one), sizeof(one));
		if (!place(g, &l->dst[i], one.dst, one.size) ||
		    !place(g, &l->src[i], one.src, one.size))
			return CUDA_ERROR_INVALID_VALUE;
		/* Each lies in memory: the sum of so few does not overflow. */
		l->bytes += one.size;
		k = kind_of(&l->dst[i], &l->src[i]);
		of_kind[k] += one.size;
		if (of_kind[k] > of_kind[l->kind])
			l->kind = k;
	}
	return 0;
}

static void batch_done(struct gpu *g, struct wait *w, int result)
{
	unpin(g, w->p);
	worker_mark(g->w, w->seq, ctx_result(w->ctx, result ? result : w->held));
}

static int refuse(struct worker *w, const struct pvgpu_cmd_hdr *hdr, int r)
{
	if (!(hdr->flags & PVGPU_CMD_MARK))
		return r;
	worker_mark(w, hdr->seq, r);
	return PVGPU_PENDING;
}

/* Those that were issued, *issued of them, stay so if one fails. */
static int issue(struct gpu *g, struct stream *s, const struct lines *l, uint32_t *issued)
{
	struct work k;
	int r = 0;

	work_bytes(&k, s, l->kind, l->bytes, false);
	for (*issued = 0; *issued < l->n; (*issued)++) {
		r = issue_line(g, s, &l->dst[*issued], &l->src[*issued]);
		if (r)
			break;
		if (*issued + 1 < l->n)
			stream_issued(s);
	}
	if (!*issued) {
		work_abort(&k, s);
		return r;
	}
	k.commands = *issued;
	work_commit(&k, s);
	return r;
}

static struct wait *marked(struct gpu *g, struct stream *s, const struct pvgpu_in_copy_batch *in,
			   const struct lines *l)
{
	struct pins *p = calloc(1, sizeof(*p));
	struct wait *wait = p ? wait_new(g, s->o.ctx) : NULL;

	if (!wait) {
		free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < l->n; i++) {
		pin(g, p, &l->dst[i]);
		pin(g, p, &l->src[i]);
	}
	wait->p = p;
	wait->seq = in->hdr->seq;
	wait->done = batch_done;
	return wait;
}

int handle_copy_batch(struct worker *w, const struct pvgpu_in_copy_batch *in,
		      struct pvgpu_out_copy_batch *out)
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait = NULL;
	struct stream *s;
	struct lines l;
	uint32_t issued;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return refuse(w, in->hdr, r);
	r = read_lines(g, in, &l);
	/* A mark would wait in the graph: the guest asks for none. */
	if (!r && s->capture && in->hdr->flags & PVGPU_CMD_MARK)
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	/* Each line is a node; stream_of has counted one. */
	if (!r && s->capture && l.n)
		r = capture_takes(s, l.n - 1);
	if (r)
		return refuse(w, in->hdr, r);
	if (in->hdr->flags & PVGPU_CMD_MARK) {
		wait = marked(g, s, in, &l);
		if (!wait)
			return refuse(w, in->hdr, CUDA_ERROR_OUT_OF_MEMORY);
	}
	r = issue(g, s, &l, &issued);
	if (!wait)
		return ctx_result(s->o.ctx, r);
	if (issued) {
		wait->held = r;
		wait_stream(g, wait, s);
		return PVGPU_PENDING;
	}
	unpin(g, wait->p);
	wait_drop(g, wait);
	return refuse(w, in->hdr, ctx_result(s->o.ctx, r));
}
