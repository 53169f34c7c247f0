/* SPDX-License-Identifier: MIT */
/* Algorithms: three of them. One is the address of its properties and its settings; the library
 * follows the address that it finds in the 64 bytes, so a caller that forges them has this process.
 */
#include <stdlib.h>

#include "tests/simlibs/cublaslt/sim.h"

struct properties {
	int id;
	uint32_t tiles[3], tile_count;
	int split;
};

static const struct properties all[] = {
	{SIM_SIMPLE, {0}, 1, 0},
	{SIM_TILED, {15, 18, 20}, 3, 0},
	{SIM_SPLIT, {15, 20}, 2, 1},
};
enum { ALGOS = sizeof(all) / sizeof(all[0]) };

struct value {
	const struct properties *of;
	struct pvgpu_lt_algo settings;
	uint64_t zero;
};
_Static_assert(sizeof(struct value) == sizeof(cublasLtMatmulAlgo_t), "an algorithm's bytes");

static void make(cublasLtMatmulAlgo_t *to, const struct properties *of)
{
	const struct value v = {.of = of,
				.settings = {.id = of->id,
					     .tile = of->tiles[0],
					     .split_k = of->split ? 4 : 1,
					     .reduction = of->split ? 2 : 0}};

	memcpy(to, &v, sizeof(v));
}

const struct pvgpu_lt_algo *sim_algo(const cublasLtMatmulAlgo_t *algo)
{
	const struct value *v = (const struct value *)algo;

	return v->of && v->of->id == v->settings.id ? &v->settings : NULL;
}

/* Whether its settings are ones that it has. */
static bool has_settings(const cublasLtMatmulAlgo_t *algo)
{
	const struct value *v = (const struct value *)algo;
	bool tile = false;

	for (uint32_t i = 0; i < v->of->tile_count; i++)
		tile |= v->of->tiles[i] == v->settings.tile;
	return tile && v->settings.split_k >= 1 && (v->of->split || v->settings.split_k == 1);
}

uint64_t sim_workspace(const struct lt_problem *p, const struct pvgpu_lt_algo *algo)
{
	const uint64_t splits = algo->split_k > 1 ? (uint64_t)algo->split_k : 0;

	if (algo->id == SIM_TILED)
		return 1024;
	return splits * p->d->rows * p->d->cols * 4;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
	cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
	cublasLtMatmulPreference_t preference, int requested,
	cublasLtMatmulHeuristicResult_t *results, int *count)
{
	const struct pvgpu_lt_preference *wish = sim_preference(preference);
	const cublasLtMatrixLayout_t from[] = {a, b, c, d};
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout l[4];
	const struct lt_problem p = {&op, &l[0], &l[1], &l[2], &l[3], NULL};
	int s = (int)sim_asked("cublasLtMatmulAlgoGetHeuristic");

	if (s || !handle)
		return s ? (cublasStatus_t)s : CUBLAS_STATUS_NOT_INITIALIZED;
	if (!sim_problem(&op, l, operation, from) || requested <= 0 || !results || !count)
		return CUBLAS_STATUS_INVALID_VALUE;
	*count = 0;
	s = lt_valid(&p);
	if (!s)
		s = sim_supported(&p);
	for (int i = ALGOS - 1; !s && i >= 0 && *count < requested; i--) {
		cublasLtMatmulHeuristicResult_t *r = &results[*count];
		uint64_t need;

		memset(r, 0, sizeof(*r));
		make(&r->algo, &all[i]);
		need = sim_workspace(&p, sim_algo(&r->algo));
		if (need > (wish ? wish->workspace : 0))
			continue;
		r->workspaceSize = need;
		r->wavesCount = (float)(i + 1) / 2;
		++*count;
	}
	return !s && !*count ? CUBLAS_STATUS_NOT_SUPPORTED : (cublasStatus_t)s;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle,
					      cublasLtMatmulDesc_t operation,
					      cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
					      cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
					      const cublasLtMatmulAlgo_t *algo,
					      cublasLtMatmulHeuristicResult_t *result)
{
	const cublasLtMatrixLayout_t from[] = {a, b, c, d};
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout l[4];
	const struct lt_problem p = {&op, &l[0], &l[1], &l[2], &l[3], NULL};
	int s;

	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (!sim_problem(&op, l, operation, from) || !algo || !sim_algo(algo))
		return CUBLAS_STATUS_INVALID_VALUE;
	s = lt_valid(&p);
	if (!s)
		s = sim_supported(&p);
	if (!s && !has_settings(algo))
		s = CUBLAS_STATUS_NOT_SUPPORTED;
	if (s)
		return (cublasStatus_t)s;
	if (result) {
		result->workspaceSize = sim_workspace(&p, sim_algo(algo));
		result->wavesCount = 1;
		result->state = CUBLAS_STATUS_SUCCESS;
	}
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t handle, cublasComputeType_t compute,
					       cudaDataType_t scale, cudaDataType_t a,
					       cudaDataType_t b, cudaDataType_t c, cudaDataType_t d,
					       int requested, int *ids, int *count)
{
	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (requested <= 0 || !ids || !count)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!sim_type((int)a) || !sim_type((int)b) || !sim_type((int)d))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	for (*count = 0; *count < requested && *count < ALGOS; ++*count)
		ids[*count] = all[*count].id;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t compute,
					     cudaDataType_t scale, cudaDataType_t a,
					     cudaDataType_t b, cudaDataType_t c, cudaDataType_t d,
					     int id, cublasLtMatmulAlgo_t *algo)
{
	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (!algo)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < ALGOS; i++)
		if (all[i].id == id) {
			make(algo, &all[i]);
			return CUBLAS_STATUS_SUCCESS;
		}
	return CUBLAS_STATUS_INVALID_VALUE;
}

static cublasStatus_t tell(const void *value, size_t size, void *buf, size_t bytes, size_t *written)
{
	if (bytes ? !buf || bytes < size : !written)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (bytes)
		memcpy(buf, value, size);
	if (written)
		*written = size;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t *algo, int attr,
							void *buf, size_t bytes, size_t *written)
{
	const struct value *v = (const struct value *)algo;
	const int32_t split = v && sim_algo(algo) ? v->of->split : 0;
	const uint32_t epilogues = 1023;

	if (!v || !sim_algo(algo))
		return CUBLAS_STATUS_INVALID_VALUE;
	switch (attr) {
	case 0:
		return tell(&split, sizeof(split), buf, bytes, written);
	case 6:
		return tell(v->of->tiles, v->of->tile_count * sizeof(v->of->tiles[0]), buf, bytes,
			    written);
	case 12:
		return tell(&epilogues, sizeof(epilogues), buf, bytes, written);
	default:
		return CUBLAS_STATUS_INVALID_VALUE;
	}
}

static const struct lt_attribute *setting(int number, size_t bytes)
{
	for (int i = 0; i < LT_ALGO_ATTRIBUTES; i++)
		if (lt_algo_attributes[i].number == number)
			return !bytes || bytes == lt_algo_attributes[i].size
				       ? &lt_algo_attributes[i]
				       : NULL;
	return NULL;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo, int attr,
							   const void *buf, size_t bytes)
{
	const struct lt_attribute *a = setting(attr, bytes);
	struct value *v = (struct value *)algo;

	if (!v || !sim_algo(algo) || !a || !attr || !buf || !bytes)
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy((char *)&v->settings + a->offset, buf, bytes);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
							   int attr, void *buf, size_t bytes,
							   size_t *written)
{
	const struct lt_attribute *a = setting(attr, bytes);

	if (!algo || !sim_algo(algo) || !a || (bytes ? !buf : !written))
		return CUBLAS_STATUS_INVALID_VALUE;
	return tell((const char *)sim_algo(algo) + a->offset, a->size, buf, bytes, written);
}
