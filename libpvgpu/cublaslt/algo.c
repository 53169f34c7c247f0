/* SPDX-License-Identifier: MIT */
/*
 * Algorithms. The 64 bytes that an application holds name an entry in the worker's table of
 * algorithms that it gave out, and have the settings, which are read and changed here; the far
 * end's own 64 bytes never leave the worker. Answers about problems are remembered: cache.c.
 */
#include "cublaslt/lt.h"

#include <stdlib.h>

#define ALGO_WORD 0x706774754c54616cu

_Static_assert(sizeof(struct lt_algo_value) == sizeof(cublasLtMatmulAlgo_t),
	       "an algorithm is 64 bytes");
_Static_assert(PVGPU_LT_BYTES >= PVGPU_LT_RESULTS * sizeof(struct lt_found),
	       "an answer does not hold all results");

enum { ASK_BEST, ASK_CHECK, ASK_IDS, ASK_INIT, ASK_PROPERTY };

const struct pvgpu_lt_algo *lt_algo(const cublasLtMatmulAlgo_t *algo)
{
	const struct lt_algo_value *v = (const struct lt_algo_value *)algo;

	return v && v->word == ALGO_WORD ? &v->algo : NULL;
}

void lt_algo_value(cublasLtMatmulAlgo_t *to, const struct pvgpu_lt_algo *algo)
{
	const struct lt_algo_value v = {.word = ALGO_WORD, .algo = *algo};

	memcpy(to, &v, sizeof(v));
}

struct question {
	uint64_t ctx, handle;
	struct lt_asked asked;
	struct pvgpu_lt_preference preference;
	struct pvgpu_lt_algo algo;
	uint32_t kind, count;
	int32_t number;
};

#define BYTES(x) &(x), (uint32_t)sizeof(x)

static int ask(struct ctx *c, const struct question *q, void *answer, uint32_t room, uint32_t *got,
	       uint64_t *needed)
{
	return api_result(c, pvgpu_do_cublas_lt_ask(api_session(), q->ctx, q->handle, q->kind,
						    q->count, q->number, BYTES(q->asked.op),
						    BYTES(q->asked.a), BYTES(q->asked.b),
						    BYTES(q->asked.c), BYTES(q->asked.d),
						    BYTES(q->preference), BYTES(q->asked.emulation),
						    BYTES(q->algo), needed, answer, room, got));
}

/* A question of a handle's: what it needs always. */
static int begin(struct question *q, uint32_t kind, cublasLtHandle_t handle, struct object **o)
{
	const int r = lt_handle(handle, o);

	memset(q, 0, sizeof(*q));
	lt_preference_begin(&q->preference);
	q->kind = kind;
	if (r)
		return r;
	q->ctx = (*o)->ctx->o.wire;
	q->handle = (*o)->wire;
	return 0;
}

static void result(cublasLtMatmulHeuristicResult_t *to, const struct lt_found *from)
{
	to->workspaceSize = from->result.workspace;
	to->state = (cublasStatus_t)from->algo.state;
	to->wavesCount = from->result.waves;
	memset(to->reserved, 0, sizeof(to->reserved));
}

void lt_forget_address(uint64_t *address)
{
	if (*address)
		*address = 0x100000 | (*address & 255);
}

void lt_forget_addresses(struct lt_asked *k)
{
	uint64_t *const all[] = {&k->op.bias,
				 &k->op.aux,
				 &k->op.a_scale,
				 &k->op.b_scale,
				 &k->op.c_scale,
				 &k->op.d_scale,
				 &k->op.amax,
				 &k->op.aux_scale,
				 &k->op.aux_amax,
				 &k->op.d_out_scale,
				 &k->emulation.bit_count};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		lt_forget_address(all[i]);
}

/* Answers that will be the same next time. */
static bool lasting(cublasStatus_t s)
{
	return s == CUBLAS_STATUS_SUCCESS || s == CUBLAS_STATUS_NOT_SUPPORTED ||
	       s == CUBLAS_STATUS_INVALID_VALUE || s == CUBLAS_STATUS_ARCH_MISMATCH;
}

static cublasStatus_t best(const struct object *o, struct question *q, struct lt_found *found,
			   uint32_t *count)
{
	struct lt_key key = {
		.ctx = q->ctx, .asked = q->asked, .preference = q->preference, .count = q->count};
	cublasStatus_t s;
	uint32_t got = 0;

	if (lt_recall(&key, &s, found, count))
		return s;
	s = blas_status(ask(o->ctx, q, found, q->count * (uint32_t)sizeof(*found), &got, NULL));
	*count = s ? 0 : got / (uint32_t)sizeof(*found);
	if (lasting(s))
		lt_remember(&key, s, found, *count);
	return s;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
	cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
	cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc,
	cublasLtMatrixLayout_t Ddesc, cublasLtMatmulPreference_t preference, int requestedAlgoCount,
	cublasLtMatmulHeuristicResult_t *heuristicResultsArray, int *returnAlgoCount)
{
	const void *preferred = lt_descriptor(LT_PREFERENCE, preference);
	struct object *o = NULL;
	struct question q;
	struct lt_problem p;
	struct lt_found *found;
	uint32_t count = 0;
	cublasStatus_t s;
	int r = begin(&q, ASK_BEST, lightHandle, &o);

	if (r)
		return blas_status(r);
	if (!lt_asked(&q.asked, operationDesc, Adesc, Bdesc, Cdesc, Ddesc) ||
	    (preference && !preferred) || requestedAlgoCount <= 0 || !heuristicResultsArray ||
	    !returnAlgoCount)
		return CUBLAS_STATUS_INVALID_VALUE;
	*returnAlgoCount = 0;
	p = lt_problem_of(&q.asked);
	r = lt_valid(&p);
	if (r)
		return (cublasStatus_t)r;
	if (preferred)
		memcpy(&q.preference, preferred, sizeof(q.preference));
	q.count = requestedAlgoCount < PVGPU_LT_RESULTS ? (uint32_t)requestedAlgoCount
							: PVGPU_LT_RESULTS;
	lt_forget_addresses(&q.asked);
	found = malloc(q.count * sizeof(*found));
	if (!found)
		return CUBLAS_STATUS_ALLOC_FAILED;
	s = best(o, &q, found, &count);
	for (uint32_t i = 0; i < count; i++) {
		lt_algo_value(&heuristicResultsArray[i].algo, &found[i].algo);
		result(&heuristicResultsArray[i], &found[i]);
	}
	*returnAlgoCount = (int)count;
	free(found);
	return s;
}

/* Up to what matters to any algorithm. */
static uint32_t alignment(uint64_t at)
{
	return at ? (uint32_t)((at & -at) < 256 ? at & -at : 256) : 256;
}

cublasStatus_t lt_choose(const struct object *o, const struct lt_asked *k,
			 const struct lt_places *at, struct pvgpu_lt_algo *algo)
{
	struct question q = {.ctx = o->ctx->o.wire,
			     .handle = o->wire,
			     .asked = *k,
			     .kind = ASK_BEST,
			     .count = 1};
	struct lt_found found;
	uint32_t count = 0;
	cublasStatus_t s;

	lt_preference_begin(&q.preference);
	q.preference.workspace = at->workspace ? at->workspace_bytes : 0;
	q.preference.align_a = alignment(at->a);
	q.preference.align_b = alignment(at->b);
	q.preference.align_c = alignment(at->c);
	q.preference.align_d = alignment(at->d);
	lt_forget_addresses(&q.asked);
	s = best(o, &q, &found, &count);
	if (s || !count)
		return s ? s : CUBLAS_STATUS_NOT_SUPPORTED;
	*algo = found.algo;
	return (cublasStatus_t)found.algo.state;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetHeuristicForStream(
	cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
	cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc,
	cublasLtMatrixLayout_t Ddesc, cublasLtMatmulPreference_t preference, int requestedAlgoCount,
	cublasLtMatmulHeuristicResult_t *heuristicResultsArray, int *returnAlgoCount,
	CUstream stream)
{
	return cublasLtMatmulAlgoGetHeuristic(lightHandle, operationDesc, Adesc, Bdesc, Cdesc,
					      Ddesc, preference, requestedAlgoCount,
					      heuristicResultsArray, returnAlgoCount);
}

PUBLIC cublasStatus_t
cublasLtMatmulAlgoCheck(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
			cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
			cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
			const cublasLtMatmulAlgo_t *algo, cublasLtMatmulHeuristicResult_t *found)
{
	const struct pvgpu_lt_algo *chosen = lt_algo(algo);
	struct object *o = NULL;
	struct lt_found answer;
	struct lt_problem p;
	struct question q;
	uint32_t got = 0;
	int r = begin(&q, ASK_CHECK, lightHandle, &o);

	if (r)
		return blas_status(r);
	if (!lt_asked(&q.asked, operationDesc, Adesc, Bdesc, Cdesc, Ddesc) || !chosen)
		return CUBLAS_STATUS_INVALID_VALUE;
	p = lt_problem_of(&q.asked);
	r = lt_valid(&p);
	if (r)
		return (cublasStatus_t)r;
	q.algo = *chosen;
	q.count = 1;
	lt_forget_addresses(&q.asked);
	r = ask(o->ctx, &q, &answer, sizeof(answer), &got, NULL);
	if (r || got != sizeof(answer))
		return blas_status(r ? r : CUDA_ERROR_UNKNOWN);
	if (found)
		result(found, &answer);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoCheckForStream(
	cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
	cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc, cublasLtMatrixLayout_t Cdesc,
	cublasLtMatrixLayout_t Ddesc, const cublasLtMatmulAlgo_t *algo,
	cublasLtMatmulHeuristicResult_t *found, CUstream stream)
{
	return cublasLtMatmulAlgoCheck(lightHandle, operationDesc, Adesc, Bdesc, Cdesc, Ddesc, algo,
				       found);
}

static void types(struct question *q, cublasComputeType_t computeType, cudaDataType_t scaleType,
		  const cudaDataType_t of[4])
{
	lt_operation_begin(&q->asked.op, (int)computeType, (int)scaleType);
	lt_layout_begin(&q->asked.a, (int)of[0], 0, 0, 0);
	lt_layout_begin(&q->asked.b, (int)of[1], 0, 0, 0);
	lt_layout_begin(&q->asked.c, (int)of[2], 0, 0, 0);
	lt_layout_begin(&q->asked.d, (int)of[3], 0, 0, 0);
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t lightHandle,
					       cublasComputeType_t computeType,
					       cudaDataType_t scaleType, cudaDataType_t Atype,
					       cudaDataType_t Btype, cudaDataType_t Ctype,
					       cudaDataType_t Dtype, int requestedAlgoCount,
					       int *algoIdsArray, int *returnAlgoCount)
{
	const cudaDataType_t of[] = {Atype, Btype, Ctype, Dtype};
	const int most = PVGPU_LT_BYTES / (int)sizeof(int);
	struct object *o = NULL;
	struct question q;
	uint32_t got = 0;
	int r = begin(&q, ASK_IDS, lightHandle, &o);

	if (r)
		return blas_status(r);
	if (requestedAlgoCount <= 0 || !algoIdsArray || !returnAlgoCount)
		return CUBLAS_STATUS_INVALID_VALUE;
	types(&q, computeType, scaleType, of);
	q.count = (uint32_t)(requestedAlgoCount < most ? requestedAlgoCount : most);
	r = ask(o->ctx, &q, algoIdsArray, q.count * (uint32_t)sizeof(int), &got, NULL);
	*returnAlgoCount = r ? 0 : (int)(got / sizeof(int));
	return blas_status(r);
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t lightHandle,
					     cublasComputeType_t computeType,
					     cudaDataType_t scaleType, cudaDataType_t Atype,
					     cudaDataType_t Btype, cudaDataType_t Ctype,
					     cudaDataType_t Dtype, int algoId,
					     cublasLtMatmulAlgo_t *algo)
{
	const cudaDataType_t of[] = {Atype, Btype, Ctype, Dtype};
	struct pvgpu_lt_algo found;
	struct object *o = NULL;
	struct question q;
	uint32_t got = 0;
	int r = begin(&q, ASK_INIT, lightHandle, &o);

	if (r)
		return blas_status(r);
	if (!algo)
		return CUBLAS_STATUS_INVALID_VALUE;
	types(&q, computeType, scaleType, of);
	q.number = algoId;
	r = ask(o->ctx, &q, &found, sizeof(found), &got, NULL);
	if (r || got != sizeof(found))
		return blas_status(r ? r : CUDA_ERROR_UNKNOWN);
	lt_algo_value(algo, &found);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t *algo, int attr,
							void *buf, size_t sizeInBytes,
							size_t *sizeWritten)
{
	const struct pvgpu_lt_algo *chosen = lt_algo(algo);
	struct question q = {.kind = ASK_PROPERTY, .number = attr};
	struct ctx *c = NULL;
	uint64_t needed = 0;
	uint32_t got = 0;
	int r = api_current(&c);

	if (r)
		return blas_status(r);
	if (!chosen || (sizeInBytes ? !buf || sizeInBytes > PVGPU_LT_BYTES : !sizeWritten))
		return CUBLAS_STATUS_INVALID_VALUE;
	q.ctx = c->o.wire;
	q.algo = *chosen;
	q.count = (uint32_t)sizeInBytes;
	r = ask(c, &q, buf, q.count, &got, &needed);
	if (!r && sizeWritten)
		*sizeWritten = needed;
	return blas_status(r);
}

static const struct lt_attribute *setting(int number)
{
	for (int i = 0; i < LT_ALGO_ATTRIBUTES; i++)
		if (lt_algo_attributes[i].number == number)
			return &lt_algo_attributes[i];
	return NULL;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo, int attr,
							   const void *buf, size_t sizeInBytes)
{
	const struct pvgpu_lt_algo *chosen = lt_algo(algo);
	const struct lt_attribute *a = setting(attr);
	struct pvgpu_lt_algo changed;

	/* The number says what the algorithm is. */
	if (!chosen || !a || !a->number || !buf || sizeInBytes != a->size)
		return CUBLAS_STATUS_INVALID_VALUE;
	changed = *chosen;
	memcpy((char *)&changed + a->offset, buf, a->size);
	lt_algo_value(algo, &changed);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
							   int attr, void *buf, size_t sizeInBytes,
							   size_t *sizeWritten)
{
	const struct pvgpu_lt_algo *chosen = lt_algo(algo);
	const struct lt_attribute *a = setting(attr);

	if (!chosen || !a || (sizeInBytes ? !buf || sizeInBytes != a->size : !sizeWritten))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (sizeInBytes)
		memcpy(buf, (const char *)chosen + a->offset, a->size);
	if (sizeWritten)
		*sizeWritten = a->size;
	return CUBLAS_STATUS_SUCCESS;
}
