/* SPDX-License-Identifier: MIT */
/* Memory operations of streams. */
#include "tests/simcuda/driver/graph.h"

static CUresult value_op(CUstream stream, CUdeviceptr addr, uint64_t value, unsigned int flags,
			 enum op_kind kind, uint32_t size, bool run)
{
	struct sim_stream *s;
	uint64_t lo, hi;
	struct op *op;

	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (!addr || addr % size || !range_check(addr, size, kind == OP_WRITE, &lo, &hi))
		return CUDA_ERROR_INVALID_VALUE;
	if (kind == OP_WRITE ? flags & ~(unsigned int)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER
			     : flags & ~(3u | (unsigned int)CU_STREAM_WAIT_VALUE_FLUSH))
		return CUDA_ERROR_INVALID_VALUE;
	if (kind != OP_WRITE && flags & (unsigned int)CU_STREAM_WAIT_VALUE_FLUSH)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!run)
		return CUDA_SUCCESS;
	op = op_new(kind, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->value = (struct value_op){(void *)addr, value, size, flags};
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}

static CUresult one_of_batch(CUstream stream, const CUstreamBatchMemOpParams *p, bool run)
{
	switch (p->operation) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
		return value_op(stream, p->waitValue.address, p->waitValue.value,
				p->waitValue.flags, OP_WAIT_VALUE, 4, run);
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		return value_op(stream, p->waitValue.address, p->waitValue.value64,
				p->waitValue.flags, OP_WAIT_VALUE, 8, run);
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
		return value_op(stream, p->writeValue.address, p->writeValue.value,
				p->writeValue.flags, OP_WRITE, 4, run);
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
		return value_op(stream, p->writeValue.address, p->writeValue.value64,
				p->writeValue.flags, OP_WRITE, 8, run);
	case CU_STREAM_MEM_OP_BARRIER: /* operations of a stream are ordered anyway */
		return p->memoryBarrier.flags > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
		return p->flushRemoteWrites.flags ? CUDA_ERROR_INVALID_VALUE
						  : CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult memops_run(struct sim_stream *s, const CUstreamBatchMemOpParams *p, unsigned int count,
		    bool run)
{
	for (unsigned int i = 0; i < count; i++)
		TRY(one_of_batch((CUstream)s, &p[i], run));
	return CUDA_SUCCESS;
}

/* All are checked before the first is queued. */
static CUresult batch(CUstream stream, unsigned int count, const CUstreamBatchMemOpParams *p,
		      unsigned int flags)
{
	struct sim_stream *s;

	TRY(stream_get(stream, &s));
	if (!count || count > 255 || !p || flags)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < 2 * count; i++)
		TRY(one_of_batch(stream, &p[i % count], i >= count));
	return CUDA_SUCCESS;
}

#define BATCH_API(name)                                                                            \
	API_PTSZ(name,                                                                             \
		 (CUstream stream, unsigned int count, CUstreamBatchMemOpParams *ops,              \
		  unsigned int flags),                                                             \
		 (stream, count, ops, flags))                                                      \
	{                                                                                          \
		return batch(stream, count, ops, flags);                                           \
	}

BATCH_API(cuStreamBatchMemOp)
BATCH_API(cuStreamBatchMemOp_v2)

#define VALUE_API(name, type, kind)                                                                \
	API_PTSZ(name, (CUstream stream, CUdeviceptr addr, type value, unsigned int flags),        \
		 (stream, addr, value, flags))                                                     \
	{                                                                                          \
		return value_op(stream, addr, value, flags, kind, sizeof(type), true);             \
	}

VALUE_API(cuStreamWaitValue32, cuuint32_t, OP_WAIT_VALUE)
VALUE_API(cuStreamWaitValue64, cuuint64_t, OP_WAIT_VALUE)
VALUE_API(cuStreamWriteValue32, cuuint32_t, OP_WRITE)
VALUE_API(cuStreamWriteValue64, cuuint64_t, OP_WRITE)
VALUE_API(cuStreamWaitValue32_v2, cuuint32_t, OP_WAIT_VALUE)
VALUE_API(cuStreamWaitValue64_v2, cuuint64_t, OP_WAIT_VALUE)
VALUE_API(cuStreamWriteValue32_v2, cuuint32_t, OP_WRITE)
VALUE_API(cuStreamWriteValue64_v2, cuuint64_t, OP_WRITE)
