/* SPDX-License-Identifier: MIT */
/*
 * The far end's answers about problems, which is asked once for each. Bounded by entries, as
 * the application may set it (cublasLtHeuristicsCacheSetCapacity), and by bytes; the one that was
 * used longest ago goes first.
 */
#include "cublaslt/lt.h"

#include <stdlib.h>
#include <sys/queue.h>

enum { CAPACITY = 8192, BUCKETS = 1024, BYTES_MAX = 16 << 20 };

struct entry {
	TAILQ_ENTRY(entry) by_use;
	LIST_ENTRY(entry) in_bucket;
	struct lt_key key;
	cublasStatus_t status;
	uint32_t count;
	struct lt_found found[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(bucket, entry) buckets[BUCKETS];
static TAILQ_HEAD(uses, entry) uses = TAILQ_HEAD_INITIALIZER(uses);
static size_t capacity = CAPACITY, entries, bytes;

static size_t size_of(const struct entry *e)
{
	return sizeof(*e) + e->count * sizeof(e->found[0]);
}

/* FNV-1a over words. */
static struct bucket *bucket_of(const struct lt_key *key)
{
	uint64_t hash = 0xcbf29ce484222325u, word;

	for (size_t i = 0; i < sizeof(*key); i += sizeof(word)) {
		memcpy(&word, (const char *)key + i, sizeof(word));
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 29;
	}
	return &buckets[hash % BUCKETS];
}

static void drop(struct entry *e)
{
	TAILQ_REMOVE(&uses, e, by_use);
	LIST_REMOVE(e, in_bucket);
	entries--;
	bytes -= size_of(e);
	free(e);
}

static void shrink(size_t most_entries, size_t most_bytes)
{
	while (entries > most_entries || bytes > most_bytes)
		drop(TAILQ_LAST(&uses, uses));
}

static struct entry *find(const struct lt_key *key)
{
	struct entry *e;

	LIST_FOREACH(e, bucket_of(key), in_bucket)
	if (!memcmp(&e->key, key, sizeof(*key)))
		return e;
	return NULL;
}

bool lt_recall(const struct lt_key *key, cublasStatus_t *status, struct lt_found *found,
	       uint32_t *count)
{
	struct entry *e;

	pthread_mutex_lock(&lock);
	e = find(key);
	if (e) {
		TAILQ_REMOVE(&uses, e, by_use);
		TAILQ_INSERT_HEAD(&uses, e, by_use);
		*status = e->status;
		*count = e->count;
		memcpy(found, e->found, e->count * sizeof(*found));
	}
	pthread_mutex_unlock(&lock);
	return e;
}

void lt_remember(const struct lt_key *key, cublasStatus_t status, const struct lt_found *found,
		 uint32_t count)
{
	struct entry *e = malloc(sizeof(*e) + count * sizeof(*found));

	if (!e)
		return;
	e->key = *key;
	e->status = status;
	e->count = count;
	memcpy(e->found, found, count * sizeof(*found));
	pthread_mutex_lock(&lock);
	if (!capacity || find(key)) {
		free(e);
	} else {
		shrink(capacity - 1, BYTES_MAX - size_of(e));
		LIST_INSERT_HEAD(bucket_of(key), e, in_bucket);
		TAILQ_INSERT_HEAD(&uses, e, by_use);
		entries++;
		bytes += size_of(e);
	}
	pthread_mutex_unlock(&lock);
}

size_t lt_capacity(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = capacity;
	pthread_mutex_unlock(&lock);
	return n;
}

void lt_set_capacity(size_t most)
{
	pthread_mutex_lock(&lock);
	capacity = most;
	shrink(capacity, BYTES_MAX);
	pthread_mutex_unlock(&lock);
}
