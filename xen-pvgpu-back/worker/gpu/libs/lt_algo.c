/* SPDX-License-Identifier: MIT */
/*
 * The algorithms that the guest has been given. Its 64 bytes are the library's, which takes them on
 * trust, so they stay here; a guest names an entry. The name has a part of the bytes' hash: one
 * that was kept from another session names nothing, or the same algorithm.
 */
#include <pthread.h>
#include <stdlib.h>

#include "lt.h"
#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

enum { BUCKETS = 1024 };

struct entry {
	cublasLtMatmulAlgo_t algo;
	struct pvgpu_lt_algo given;
	uint32_t next; /* in its bucket: an index, from 1 on */
};

struct lt_algos {
	pthread_mutex_t lock;
	uint32_t count, bucket[BUCKETS];
	struct entry entry[LT_ALGOS_MAX];
};

void lt_algos_free(struct gpu *g)
{
	free(g->lt_algos);
	g->lt_algos = NULL;
}

static uint32_t hash_of(const cublasLtMatmulAlgo_t *algo)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof(algo->data) / sizeof(algo->data[0]); i++) {
		hash = (hash ^ algo->data[i]) * 0x100000001b3u;
		hash ^= hash >> 29;
	}
	return (uint32_t)(hash >> 16);
}

static struct lt_algos *table(struct gpu *g)
{
	struct lt_algos *t = atomic_load_explicit(&g->lt_algos, memory_order_acquire),
			*other = NULL;

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	if (atomic_compare_exchange_strong(&g->lt_algos, &other, t))
		return t;
	free(t);
	return other;
}

/* Its settings, as the library has them: those that it does not tell are 0. */
static void settings(const struct far *far, const cublasLtMatmulAlgo_t *algo,
		     struct pvgpu_lt_algo *to)
{
	for (int i = 0; i < LT_ALGO_ATTRIBUTES; i++) {
		const struct lt_attribute *a = &lt_algo_attributes[i];
		size_t written = 0;

		if (far->lib.cublaslt.cublasLtMatmulAlgoConfigGetAttribute(
			    algo, a->number, (char *)to + a->offset, a->size, &written))
			memset((char *)to + a->offset, 0, a->size);
	}
}

int lt_algo_give(struct gpu *g, const cublasLtMatmulAlgo_t *algo, struct pvgpu_lt_algo *to)
{
	struct lt_algos *t = table(g);
	const uint32_t hash = hash_of(algo);
	struct entry *e = NULL;
	uint32_t i;

	if (!t)
		return CUBLAS_STATUS_ALLOC_FAILED;
	pthread_mutex_lock(&t->lock);
	for (i = t->bucket[hash % BUCKETS]; i; i = t->entry[i - 1].next)
		if (!memcmp(&t->entry[i - 1].algo, algo, sizeof(*algo)))
			break;
	if (i) {
		e = &t->entry[i - 1];
	} else if (t->count < LT_ALGOS_MAX) {
		e = &t->entry[t->count++];
		e->algo = *algo;
		settings(g->far, algo, &e->given);
		e->given.entry = (uint64_t)hash << 32 | t->count;
		e->next = t->bucket[hash % BUCKETS];
		t->bucket[hash % BUCKETS] = t->count;
	}
	if (e)
		*to = e->given;
	pthread_mutex_unlock(&t->lock);
	return e ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

int lt_algo_find(struct gpu *g, const struct pvgpu_lt_algo *named, cublasLtMatmulAlgo_t *to,
		 bool *changed)
{
	struct lt_algos *t = atomic_load_explicit(&g->lt_algos, memory_order_acquire);
	const uint32_t index = (uint32_t)named->entry - 1;
	struct pvgpu_lt_algo given = {0};

	*changed = false;
	if (!t)
		return CUBLAS_STATUS_INVALID_VALUE;
	pthread_mutex_lock(&t->lock);
	if (index < t->count && t->entry[index].given.entry == named->entry) {
		given = t->entry[index].given;
		*to = t->entry[index].algo;
	}
	pthread_mutex_unlock(&t->lock);
	if (!given.entry)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < LT_ALGO_ATTRIBUTES; i++) {
		const struct lt_attribute *a = &lt_algo_attributes[i];
		const char *value = (const char *)named + a->offset;

		if (!memcmp(value, (const char *)&given + a->offset, a->size))
			continue;
		/* The number is what it is, no setting. */
		if (!a->number || g->far->lib.cublaslt.cublasLtMatmulAlgoConfigSetAttribute(
					  to, a->number, value, a->size))
			return CUBLAS_STATUS_INVALID_VALUE;
		*changed = true;
	}
	return CUBLAS_STATUS_SUCCESS;
}
