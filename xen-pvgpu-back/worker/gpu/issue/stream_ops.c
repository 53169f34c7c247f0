/* SPDX-License-Identifier: MIT */
/*
 * Memory operations of streams, on words of the session's memory alone, and streams' attributes. A
 * wait is in flight as a kernel of no known cost: the gate's drain and the kernel limit see it, and
 * what it waits for is issued meanwhile as for a kernel that looks at a word.
 */
#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/launch.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/gpu/stream_ops.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static int word_of(struct gpu *g, const struct pvgpu_mem_op *o, uint64_t size)
{
	const enum where at = mem_where(g, o->address, size);

	if (o->address % size || at == AT_NOWHERE)
		return CUDA_ERROR_INVALID_VALUE;
	/* Where the arena is not registered, the GPU cannot look at it. */
	return at == AT_ARENA && bounce_needed(g) ? CUDA_ERROR_NOT_SUPPORTED : 0;
}

static int read_op(struct gpu *g, const struct pvgpu_mem_op *o, CUstreamBatchMemOpParams *p)
{
	memset(p, 0, sizeof(*p));
	p->operation = (CUstreamBatchMemOpType)o->kind;
	switch (o->kind) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		if (o->flags > 3)
			return CUDA_ERROR_INVALID_VALUE;
		break;
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
		if (o->flags > 1)
			return CUDA_ERROR_INVALID_VALUE;
		break;
	case CU_STREAM_MEM_OP_BARRIER:
		p->memoryBarrier.flags = o->flags;
		return o->flags > 1 ? CUDA_ERROR_INVALID_VALUE : 0;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	p->waitValue.address = o->address;
	p->waitValue.flags = o->flags;
	p->waitValue.value64 = o->value;
	return word_of(g, o,
		       o->kind == CU_STREAM_MEM_OP_WAIT_VALUE_64 ||
				       o->kind == CU_STREAM_MEM_OP_WRITE_VALUE_64
			       ? 8
			       : 4);
}

int mem_ops_read(struct gpu *g, const void *bytes, uint32_t len, struct mem_ops *to)
{
	struct pvgpu_mem_op o;
	int r = 0;

	if (len % sizeof(o) || len / sizeof(o) > PVGPU_MEM_OPS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	to->n = len / (unsigned int)sizeof(o);
	to->waits = 0;
	for (unsigned int i = 0; i < to->n && !r; i++) {
		memcpy(&o, (const char *)bytes + i * sizeof(o), sizeof(o));
		r = read_op(g, &o, &to->op[i]);
		to->waits += o.kind == CU_STREAM_MEM_OP_WAIT_VALUE_32 ||
			     o.kind == CU_STREAM_MEM_OP_WAIT_VALUE_64;
	}
	return r;
}

void mem_ops_commit(struct gpu *g, struct stream *s, struct work *k, uint64_t waits)
{
	/* Before a fence takes in what is in flight. */
	s->load.words += waits;
	g->gate.flying.words += waits;
	work_commit(k, s);
	if (waits)
		flight_tell(g);
	if (waits)
		stream_fence(s);
}

static int issue(struct gpu *g, struct stream *s, const void *bytes, uint32_t len, bool may_wait)
{
	static struct mem_ops ops; /* decoding thread */
	struct work k = {.kind = may_wait ? WORK_KERNEL : WORK_MEMSET,
			 .ns = ESTIMATE_LEAST_NS,
			 .commands = 1,
			 .timer = -1};
	int r = mem_ops_read(g, bytes, len, &ops);

	if (r)
		return r;
	if (ops.waits && !may_wait)
		return CUDA_ERROR_INVALID_VALUE;
	if (!g->far->cuStreamBatchMemOp_v2)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	/* However long it takes, the work before it ends when it ends. */
	if (ops.waits)
		stream_fence(s);
	r = (int)g->far->cuStreamBatchMemOp_v2(s->far, ops.n, ops.op, 0);
	if (r)
		return ctx_result(s->o.ctx, r);
	mem_ops_commit(g, s, &k, ops.waits);
	return 0;
}

int handle_stream_write(struct worker *w, const struct pvgpu_in_stream_write *in,
			struct pvgpu_out_stream_write *out)
{
	int r;
	struct stream *s = stream_of(in->ctx, in->stream, &r);

	return s ? issue(worker_gpu(w), s, in->ops, in->ops_len, false) : r;
}

int handle_stream_ops(struct worker *w, const struct pvgpu_in_stream_ops *in,
		      struct pvgpu_out_stream_ops *out)
{
	int r;
	struct stream *s = stream_of(in->ctx, in->stream, &r);

	return s ? issue(worker_gpu(w), s, in->ops, in->ops_len, true) : r;
}

/* A window is a hint: one over memory that is not the guest's any more is left out, and in a
 * confidential pool one whose data is to stay. */
static bool window_is_left_out(struct gpu *g, const CUaccessPolicyWindow *win)
{
	if (!win->num_bytes)
		return false;
	return (g->evict.on && window_persists(win)) ||
	       mem_where(g, (uintptr_t)win->base_ptr, win->num_bytes) != AT_DEVICE;
}

int handle_stream_attr(struct worker *w, const struct pvgpu_in_stream_attr *in,
		       struct pvgpu_out_stream_attr *out)
{
	struct gpu *g = worker_gpu(w);
	const CUlaunchAttributeID id = (CUlaunchAttributeID)in->attr;
	CUlaunchAttributeValue value;
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	_Static_assert(sizeof(value) == 64, "as the description says");
	memcpy(&value, in->value, sizeof(value));
	r = pvgpu_stream_attr_check(id, &value);
	if (r)
		return r;
	if (!g->far->cuStreamSetAttribute || (id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW &&
					      window_is_left_out(g, &value.accessPolicyWindow)))
		return 0;
	return ctx_result(s->o.ctx, (int)g->far->cuStreamSetAttribute(s->far, id, &value));
}
