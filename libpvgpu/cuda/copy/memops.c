/* SPDX-License-Identifier: MIT */
/*
 * Memory operations of streams, on words of the device and of pinned memory. A wait occupies the
 * GPU as a kernel would that looks at the word: it passes the gate, and counts against the kernel
 * limit.
 */
#include "cuda/copy/copy.h"
#include "cuda/copy/memops.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"

#include <string.h>

#include "link/session.h"
#include "pvgpu_stubs.h"

static bool is_wait(CUstreamBatchMemOpType type)
{
	return type == CU_STREAM_MEM_OP_WAIT_VALUE_32 || type == CU_STREAM_MEM_OP_WAIT_VALUE_64;
}

/* May the operation have these flags on this device? */
static int check_flags(const struct ctx *c, CUstreamBatchMemOpType type, unsigned int flags)
{
	const unsigned int flush = CU_STREAM_WAIT_VALUE_FLUSH;

	switch (type) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		if (flags & ~(3u | flush))
			return CUDA_ERROR_INVALID_VALUE;
		/* Nothing beside the GPU writes to its memory. */
		if (flags & flush ||
		    ((flags & 3) == CU_STREAM_WAIT_VALUE_NOR &&
		     !device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR)))
			return CUDA_ERROR_NOT_SUPPORTED;
		return 0;
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
	case CU_STREAM_MEM_OP_BARRIER:
		return flags > 1 ? CUDA_ERROR_INVALID_VALUE : 0;
	case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
		return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static int check_word(const struct ctx *c, uint64_t addr, uint64_t size)
{
	enum side side;
	int r;

	if (size == 8 &&
	    !device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!addr || addr % size)
		return CUDA_ERROR_INVALID_VALUE;
	r = side_of_device(addr, size, &side);
	if (r)
		return r;
	if (side == SIDE_DEVICE)
		return 0;
	/* Memory that the GPU does not reach has no device address. */
	return side == SIDE_PINNED &&
			       device_value(c->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)
		       ? 0
		       : CUDA_ERROR_INVALID_VALUE;
}

/* All kinds of operations have their members at the same places. */
_Static_assert(offsetof(CUstreamBatchMemOpParams, waitValue.value64) ==
			       offsetof(CUstreamBatchMemOpParams, writeValue.value64) &&
		       offsetof(CUstreamBatchMemOpParams, waitValue.flags) ==
			       offsetof(CUstreamBatchMemOpParams, writeValue.flags),
	       "same layout");

static int to_wire(const struct ctx *c, const CUstreamBatchMemOpParams *p, struct pvgpu_mem_op *to)
{
	const bool word = p->operation != CU_STREAM_MEM_OP_BARRIER &&
			  p->operation != CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES;
	const bool wide = p->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 ||
			  p->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64;
	int r;

	to->kind = (uint32_t)p->operation;
	to->flags = word ? p->waitValue.flags : p->memoryBarrier.flags;
	to->address = to->value = 0;
	r = check_flags(c, p->operation, to->flags);
	if (r || !word)
		return r;
	to->address = p->waitValue.address;
	to->value = wide ? p->waitValue.value64 : p->waitValue.value;
	return check_word(c, to->address, wide ? 8 : 4);
}

int memops_to_wire(const struct ctx *c, unsigned int count, const CUstreamBatchMemOpParams *ops,
		   unsigned int flags, struct pvgpu_mem_op *to, bool *waits)
{
	int r = 0;

	if (!count || count > PVGPU_MEM_OPS_MAX || !ops || flags)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < count && !r; i++) {
		r = to_wire(c, &ops[i], &to[i]);
		if (waits)
			*waits |= is_wait(ops[i].operation);
	}
	return r;
}

void memops_from_wire(unsigned int count, const struct pvgpu_mem_op *from,
		      CUstreamBatchMemOpParams *to)
{
	memset(to, 0, count * sizeof(*to));
	for (unsigned int i = 0; i < count; i++) {
		to[i].operation = (CUstreamBatchMemOpType)from[i].kind;
		if (to[i].operation == CU_STREAM_MEM_OP_BARRIER) {
			to[i].memoryBarrier.flags = from[i].flags;
			continue;
		}
		to[i].waitValue.address = from[i].address;
		to[i].waitValue.value64 = from[i].value;
		to[i].waitValue.flags = from[i].flags;
	}
}

static int batch(CUstream stream, bool per_thread, unsigned int count,
		 const CUstreamBatchMemOpParams *ops, unsigned int flags)
{
	struct pvgpu_mem_op op[PVGPU_MEM_OPS_MAX];
	bool waits = false;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (!r)
		r = memops_to_wire(t.ctx, count, ops, flags, op, &waits);
	if (!r && t.captured)
		r = capture_refuse(&t);
	if (r)
		return r;
	return waits ? pvgpu_do_stream_ops(session(), t.ctx->o.wire, t.stream, op,
					   count * (uint32_t)sizeof(op[0]))
		     : pvgpu_do_stream_write(session(), t.ctx->o.wire, t.stream, op,
					     count * (uint32_t)sizeof(op[0]));
}

static int one(CUstream stream, bool per_thread, CUstreamBatchMemOpType type, uint64_t addr,
	       uint64_t value, unsigned int flags)
{
	CUstreamBatchMemOpParams p = {
		.waitValue = {.operation = type, .address = addr, .flags = flags}};

	p.waitValue.value64 = value;
	return batch(stream, per_thread, 1, &p, 0);
}

#define ONE(name, type, op)                                                                        \
	CU_PTSZ(name, (CUstream stream, CUdeviceptr addr, type value, unsigned int flags),         \
		one(stream, per_thread, op, addr, value, flags))

ONE(cuStreamWaitValue32, cuuint32_t, CU_STREAM_MEM_OP_WAIT_VALUE_32)
ONE(cuStreamWaitValue32_v2, cuuint32_t, CU_STREAM_MEM_OP_WAIT_VALUE_32)
ONE(cuStreamWaitValue64, cuuint64_t, CU_STREAM_MEM_OP_WAIT_VALUE_64)
ONE(cuStreamWaitValue64_v2, cuuint64_t, CU_STREAM_MEM_OP_WAIT_VALUE_64)
ONE(cuStreamWriteValue32, cuuint32_t, CU_STREAM_MEM_OP_WRITE_VALUE_32)
ONE(cuStreamWriteValue32_v2, cuuint32_t, CU_STREAM_MEM_OP_WRITE_VALUE_32)
ONE(cuStreamWriteValue64, cuuint64_t, CU_STREAM_MEM_OP_WRITE_VALUE_64)
ONE(cuStreamWriteValue64_v2, cuuint64_t, CU_STREAM_MEM_OP_WRITE_VALUE_64)

CU_PTSZ(cuStreamBatchMemOp,
	(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *ops, unsigned int flags),
	batch(stream, per_thread, count, ops, flags))
CU_PTSZ(cuStreamBatchMemOp_v2,
	(CUstream stream, unsigned int count, CUstreamBatchMemOpParams *ops, unsigned int flags),
	batch(stream, per_thread, count, ops, flags))
