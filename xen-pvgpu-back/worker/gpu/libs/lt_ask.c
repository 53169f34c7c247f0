/* SPDX-License-Identifier: MIT */
/* Questions about algorithms, which may load code: in the side lane for loads. */
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "lt.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

enum kind { BEST, CHECK, IDS, INIT, PROPERTY };

/* One algorithm of an answer, as the guest's struct lt_found. */
struct found {
	struct pvgpu_lt_algo algo;
	struct pvgpu_lt_result result;
};

struct question {
	struct job job;
	struct pvgpu_in_cublas_lt_ask in;
	struct lt_record k;
	struct lt_far far;
	struct pvgpu_lt_preference preference;
	struct pvgpu_lt_algo algo;
	uint64_t needed;
	uint32_t len; /* of the answer */
	_Alignas(8) unsigned char answer[PVGPU_LT_BYTES];
	uint64_t rec[];
};

static void *handle_of(const struct question *q)
{
	return call_far(q->in.handle);
}

static int give(struct gpu *g, const cublasLtMatmulHeuristicResult_t *from, struct found *to)
{
	int s;

	memset(to, 0, sizeof(*to));
	if (!from->state) {
		s = lt_algo_give(g, &from->algo, &to->algo);
		if (s)
			return s;
	}
	to->algo.state = (int32_t)from->state;
	to->result.workspace = from->workspaceSize;
	to->result.waves = from->wavesCount;
	return 0;
}

static int best(struct gpu *g, struct question *q)
{
	const uint32_t most = q->in.count < PVGPU_LT_RESULTS ? q->in.count : PVGPU_LT_RESULTS;
	cublasLtMatmulHeuristicResult_t *all = calloc(most ? most : 1, sizeof(*all));
	struct found *to = (struct found *)q->answer;
	int s = all ? 0 : CUBLAS_STATUS_ALLOC_FAILED, count = 0;

	if (!s)
		s = lt_far_problem(g->far, &q->k, &q->far);
	if (!s)
		s = lt_far_preference(g->far, &q->preference, &q->far.preference);
	if (!s)
		s = (int)g->far->lib.cublaslt.cublasLtMatmulAlgoGetHeuristic(
			handle_of(q), &q->far.op, &q->far.a, &q->far.b, &q->far.c, &q->far.d,
			&q->far.preference, (int)most, all, &count);
	for (int i = 0; !s && i < count && i < (int)most; i++) {
		s = give(g, &all[i], &to[i]);
		q->len = (uint32_t)(i + 1) * (uint32_t)sizeof(*to);
	}
	free(all);
	return s;
}

static int check(struct gpu *g, struct question *q)
{
	struct found *to = (struct found *)q->answer;
	cublasLtMatmulHeuristicResult_t result;
	cublasLtMatmulAlgo_t algo;
	bool changed;
	int s = lt_algo_find(g, &q->algo, &algo, &changed);

	memset(&result, 0, sizeof(result));
	if (!s)
		s = lt_far_problem(g->far, &q->k, &q->far);
	if (!s)
		s = (int)g->far->lib.cublaslt.cublasLtMatmulAlgoCheck(
			handle_of(q), &q->far.op, &q->far.a, &q->far.b, &q->far.c, &q->far.d, &algo,
			&result);
	if (s)
		return s;
	/* Of the algorithm it says nothing new. */
	to->algo.state = (int32_t)result.state;
	to->result.workspace = result.workspaceSize;
	to->result.waves = result.wavesCount;
	q->len = sizeof(*to);
	return 0;
}

static int ids(struct gpu *g, struct question *q)
{
	const int most = PVGPU_LT_BYTES / (int)sizeof(int);
	const int asked = q->in.count < (uint32_t)most ? (int)q->in.count : most;
	int count = 0;
	const int s = (int)g->far->lib.cublaslt.cublasLtMatmulAlgoGetIds(
		handle_of(q), (cublasComputeType_t)q->k.op.compute_type,
		(cudaDataType_t)q->k.op.scale_type, (cudaDataType_t)q->k.a.type,
		(cudaDataType_t)q->k.b.type, (cudaDataType_t)q->k.c.type,
		(cudaDataType_t)q->k.d.type, asked, (int *)q->answer, &count);

	q->len = s || count < 0 ? 0 : (uint32_t)(count < asked ? count : asked) * 4u;
	return s;
}

static int init(struct gpu *g, struct question *q)
{
	cublasLtMatmulAlgo_t algo;
	int s;

	memset(&algo, 0, sizeof(algo));
	s = (int)g->far->lib.cublaslt.cublasLtMatmulAlgoInit(
		handle_of(q), (cublasComputeType_t)q->k.op.compute_type,
		(cudaDataType_t)q->k.op.scale_type, (cudaDataType_t)q->k.a.type,
		(cudaDataType_t)q->k.b.type, (cudaDataType_t)q->k.c.type,
		(cudaDataType_t)q->k.d.type, q->in.number, &algo);
	if (s)
		return s;
	q->len = sizeof(struct pvgpu_lt_algo);
	return lt_algo_give(g, &algo, (struct pvgpu_lt_algo *)q->answer);
}

static int property(struct gpu *g, struct question *q)
{
	const uint32_t room = q->in.count < PVGPU_LT_BYTES ? q->in.count : PVGPU_LT_BYTES;
	cublasLtMatmulAlgo_t algo;
	size_t written = 0;
	bool changed;
	int s = lt_algo_find(g, &q->algo, &algo, &changed);

	if (!s)
		s = (int)g->far->lib.cublaslt.cublasLtMatmulAlgoCapGetAttribute(
			&algo, q->in.number, q->answer, room, &written);
	if (s)
		return s;
	q->needed = written;
	q->len = written < room ? (uint32_t)written : room;
	return 0;
}

static int answer(struct gpu *g, struct question *q)
{
	int r = call_context(q->in.ctx);
	const struct lt_problem p = lt_problem_of(&q->k);

	if (!r && q->in.kind != PROPERTY)
		r = q->in.handle ? call_object_in(q->in.handle, q->in.ctx)
				 : CUDA_ERROR_INVALID_HANDLE;
	if (r)
		return r;
	if (!lt_far_offered(g->far))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (q->in.kind == BEST || q->in.kind == CHECK)
		r = lt_valid(&p);
	if (!r)
		r = q->in.kind == BEST    ? best(g, q)
		    : q->in.kind == CHECK ? check(g, q)
		    : q->in.kind == IDS   ? ids(g, q)
		    : q->in.kind == INIT  ? init(g, q)
					  : property(g, q);
	return call_status_of(LT_LIBRARY, r);
}

static void run(struct gpu *g, struct job *job)
{
	struct question *q = (struct question *)job;
	struct pvgpu_out_cublas_lt_ask out = {0};
	const int r = answer(g, q);

	out.needed = q->needed;
	out.answer = q->answer;
	out.answer_len = r ? 0 : q->len;
	worker_reply_cublas_lt_ask(g->w, q->in.hdr->seq, r, &out);
	obj_unref(q->in.ctx);
	if (q->in.handle)
		obj_unref(q->in.handle);
	free(q);
}

int handle_cublas_lt_ask(struct worker *w, const struct pvgpu_in_cublas_lt_ask *in,
			 struct pvgpu_out_cublas_lt_ask *out)
{
	struct gpu *g = worker_gpu(w);
	struct question *q = calloc(1, sizeof(*q) + sizeof(*in->hdr));

	if (!q)
		return CUDA_ERROR_OUT_OF_MEMORY;
	q->in = *in;
	memcpy(q->rec, in->hdr, sizeof(*in->hdr));
	q->in.hdr = (const struct pvgpu_cmd_hdr *)q->rec;
	LT_RECORD(&q->k, in);
	memcpy(&q->preference, in->preference, sizeof(q->preference));
	memcpy(&q->algo, in->algo, sizeof(q->algo));
	obj_ref(in->ctx);
	if (in->handle)
		obj_ref(in->handle);
	q->job.run = run;
	q->job.where = SIDE_LOADS;
	side_push(g, &q->job);
	return PVGPU_PENDING;
}
