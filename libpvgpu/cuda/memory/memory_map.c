/* SPDX-License-Identifier: MIT */
/*
 * Address ranges in treaps: addresses that are valid on the device (device memory, variables,
 * pinned memory), and ordinary memory with a meaning to CUDA (registered, staged). Two, because a
 * variable's address is chosen by the worker's driver and may equal any address of this process. A
 * third has reserved addresses, in which mappings of the first lie.
 */
#include "cuda/core/above.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "link/session.h"
#include "pvgpu_wire.h"

struct node {
	struct range r;
	uint32_t weight; /* random; a parent's is not below its children's */
	struct node *left, *right;
};

struct map {
	pthread_rwlock_t lock;
	struct node *root;
};

_Atomic bool ranges_read_only;
static struct map device_map = {.lock = PTHREAD_RWLOCK_INITIALIZER};
static struct map host_map = {.lock = PTHREAD_RWLOCK_INITIALIZER};
static struct map reserved_map = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static struct map *map_of(enum range_kind kind)
{
	if (kind == RANGE_RESERVED)
		return &reserved_map;
	return kind == RANGE_REGISTERED || kind == RANGE_STAGED ? &host_map : &device_map;
}

static uint32_t next_weight(void)
{
	static _Atomic uint32_t counter;
	uint32_t x = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed) * 0x9e3779b9u;

	x ^= x >> 16;
	x *= 0x85ebca6bu;
	return x ^ x >> 13;
}

/* Split into the ranges that begin below addr and the rest. */
static void split(struct node *n, uint64_t addr, struct node **low, struct node **high)
{
	if (!n) {
		*low = *high = NULL;
	} else if (n->r.base < addr) {
		*low = n;
		split(n->right, addr, &n->right, high);
	} else {
		*high = n;
		split(n->left, addr, low, &n->left);
	}
}

/* Everything in low begins below everything in high. */
static struct node *merge(struct node *low, struct node *high)
{
	if (!low || !high)
		return low ? low : high;
	if (low->weight >= high->weight) {
		low->right = merge(low->right, high);
		return low;
	}
	high->left = merge(low, high->left);
	return high;
}

/* The range that begins last at or below addr. */
static struct node *floor_of(struct node *n, uint64_t addr)
{
	struct node *best = NULL;

	while (n) {
		if (n->r.base <= addr) {
			best = n;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

static void link_node(struct map *m, struct node *n)
{
	struct node *low, *high;

	split(m->root, n->r.base, &low, &high);
	m->root = merge(merge(low, n), high);
}

static void unlink_node(struct map *m, struct node *n)
{
	struct node **at = &m->root;

	while (*at != n)
		at = n->r.base < (*at)->r.base ? &(*at)->left : &(*at)->right;
	*at = merge(n->left, n->right);
}

/* The worker chooses addresses of device memory and variables, and is not trusted. */
static bool plausible(const struct range *r)
{
	const uint64_t end = r->base + r->size;

	if (end < r->base)
		return false;
	if (r->kind == RANGE_DEVICE || r->kind == RANGE_MAPPED || r->kind == RANGE_RESERVED)
		return r->base >= guest.device_base && end <= guest.device_end;
	return r->kind != RANGE_GLOBAL || end <= guest.arena_base || r->base >= guest.arena_end;
}

int range_add(const struct range *r)
{
	struct map *m = map_of(r->kind);
	struct node *before, *n;
	bool overlaps, known;

	if (!plausible(r))
		return pvgpu_broken(session(), "the worker placed memory at an impossible address");
	if (!r->size)
		return 0;
	n = malloc(sizeof(*n));
	if (!n)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*n = (struct node){.r = *r, .weight = next_weight()};
	n->r.id = guest_next_id();
	pthread_rwlock_wrlock(&m->lock);
	before = floor_of(m->root, r->base + r->size - 1);
	overlaps = before && r->base < before->r.base + before->r.size;
	known = overlaps && r->kind == RANGE_GLOBAL && before->r.kind == RANGE_GLOBAL;
	if (!overlaps)
		link_node(m, n);
	pthread_rwlock_unlock(&m->lock);
	if (!overlaps)
		return 0;
	free(n);
	if (known)
		return 0;
	return m == &host_map
		       ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
		       : pvgpu_broken(session(), "the worker placed memory over other memory");
}

static bool find(struct map *m, uint64_t addr, struct range *out)
{
	struct node *n;
	bool found;

	pthread_rwlock_rdlock(&m->lock);
	n = floor_of(m->root, addr);
	found = n && addr - n->r.base < n->r.size;
	if (found)
		*out = n->r;
	pthread_rwlock_unlock(&m->lock);
	return found;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

uint64_t range_mapped(const struct range *r)
{
	if (r->block)
		return round_up(r->size, PVGPU_ALLOC_UNIT);
	switch (r->kind) {
	case RANGE_PINNED:
	case RANGE_STAGED:
		return round_up(r->size, PVGPU_ALLOC_UNIT);
	default:
		return r->size;
	}
}

bool range_find_device(uint64_t addr, struct range *out)
{
	return find(&device_map, addr, out);
}

bool range_find_host(uint64_t addr, struct range *out)
{
	if (addr >= guest.arena_base && addr < guest.arena_end)
		return find(&device_map, addr, out);
	return find(&host_map, addr, out);
}

bool range_find_reserved(uint64_t addr, struct range *out)
{
	return find(&reserved_map, addr, out);
}

bool range_is_free(uint64_t addr, uint64_t len)
{
	struct node *n;
	bool is_free;

	pthread_rwlock_rdlock(&device_map.lock);
	n = floor_of(device_map.root, addr + len - 1);
	is_free = !n || addr >= n->r.base + n->r.size;
	pthread_rwlock_unlock(&device_map.lock);
	return is_free;
}

/* device_map.lock held: the mapping that holds an address. */
static struct range *mapping_at(uint64_t addr)
{
	struct node *n = floor_of(device_map.root, addr);

	return n && n->r.kind == RANGE_MAPPED && addr - n->r.base < n->r.size ? &n->r : NULL;
}

bool range_accessible(uint64_t addr, uint64_t len)
{
	bool ok = true;

	pthread_rwlock_rdlock(&device_map.lock);
	while (ok && len) {
		const struct range *r = mapping_at(addr);
		const uint64_t left = r ? r->size - (addr - r->base) : 0;
		const uint64_t step = len < left ? len : left;

		ok = r && r->flags;
		addr += step;
		len -= step;
	}
	pthread_rwlock_unlock(&device_map.lock);
	return ok;
}

bool range_read_only_slow(uint64_t addr, uint64_t len)
{
	const uint64_t end = addr + len;
	bool found = false;
	struct range *r;

	pthread_rwlock_rdlock(&device_map.lock);
	for (; addr < end && !found && (r = mapping_at(addr)); addr = r->base + r->size)
		found = r->flags == CU_MEM_ACCESS_FLAGS_PROT_READ;
	pthread_rwlock_unlock(&device_map.lock);
	return found;
}

bool range_is_mapped(uint64_t addr, uint64_t len)
{
	bool ok = len != 0;

	pthread_rwlock_rdlock(&device_map.lock);
	while (ok && len) {
		const struct range *r = mapping_at(addr);

		ok = r && r->base == addr && r->size <= len;
		addr += ok ? r->size : 0;
		len -= ok ? r->size : 0;
	}
	pthread_rwlock_unlock(&device_map.lock);
	return ok;
}

void range_set_access(uint64_t addr, uint64_t len, unsigned int flags)
{
	const uint64_t end = addr + len;
	struct range *r;

	pthread_rwlock_wrlock(&device_map.lock);
	for (; addr < end && (r = mapping_at(addr)); addr = r->base + r->size)
		r->flags = flags;
	if (flags == CU_MEM_ACCESS_FLAGS_PROT_READ)
		atomic_store(&ranges_read_only, true);
	pthread_rwlock_unlock(&device_map.lock);
}

atomic_bool range_any_sync;

static bool set_sync(struct map *m, uint64_t addr, bool sync)
{
	struct node *n;
	bool found;

	pthread_rwlock_wrlock(&m->lock);
	n = floor_of(m->root, addr);
	found = n && addr - n->r.base < n->r.size;
	if (found)
		n->r.sync = sync;
	pthread_rwlock_unlock(&m->lock);
	return found;
}

bool range_set_sync(uint64_t addr, bool sync)
{
	const bool device = set_sync(&device_map, addr, sync);
	const bool host = set_sync(&host_map, addr, sync);

	if (sync)
		atomic_store(&range_any_sync, true);
	return device || host;
}

bool range_is_sync(uint64_t addr)
{
	struct range r;

	return atomic_load_explicit(&range_any_sync, memory_order_relaxed) &&
	       (range_find_device(addr, &r) || range_find_host(addr, &r)) && r.sync;
}

bool range_remove(uint64_t addr, enum range_kind kind, struct range *out)
{
	struct map *m = map_of(kind);
	struct node *n;

	pthread_rwlock_wrlock(&m->lock);
	n = floor_of(m->root, addr);
	if (n && (n->r.base != addr || n->r.kind != kind))
		n = NULL;
	if (n) {
		unlink_node(m, n);
		*out = n->r;
	}
	pthread_rwlock_unlock(&m->lock);
	free(n);
	return n;
}

/* Selects ranges to remove: a context's host memory, a context's other ranges, or an owner's. */
struct filter {
	const struct ctx *ctx;
	const struct object *owner;
	bool host;
};

static bool belongs(const struct range *r, const struct filter *f)
{
	const bool host = r->kind == RANGE_PINNED || map_of(r->kind) == &host_map;

	return f->ctx ? r->ctx == f->ctx && host == f->host : r->owner == f->owner;
}

/* Move the ranges that the filter selects to *taken, chained by left; returns the rest. */
static struct node *sift(struct node *n, const struct filter *f, struct node **taken)
{
	if (!n)
		return NULL;
	n->left = sift(n->left, f, taken);
	n->right = sift(n->right, f, taken);
	if (belongs(&n->r, f)) {
		struct node *rest = merge(n->left, n->right);

		n->left = *taken;
		*taken = n;
		return rest;
	}
	return n;
}

static void remove_all(struct map *m, const struct filter *f, void (*fn)(const struct range *r))
{
	struct node *taken = NULL, *next;

	pthread_rwlock_wrlock(&m->lock);
	m->root = sift(m->root, f, &taken);
	pthread_rwlock_unlock(&m->lock);
	for (; taken; taken = next) {
		next = taken->left;
		if (fn)
			fn(&taken->r);
		free(taken);
	}
}

void range_remove_ctx_device(struct ctx *c)
{
	remove_all(&device_map, &(const struct filter){.ctx = c}, NULL);
	pool_forget_ctx(c);
}

void range_remove_ctx_host(const struct ctx *c, void (*fn)(const struct range *r))
{
	const struct filter f = {.ctx = c, .host = true};

	remove_all(&device_map, &f, fn);
	remove_all(&host_map, &f, fn);
}

void range_remove_owner(const struct object *owner)
{
	remove_all(&device_map, &(const struct filter){.owner = owner}, NULL);
}
