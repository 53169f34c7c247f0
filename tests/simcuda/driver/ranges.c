/* SPDX-License-Identifier: MIT */
/*
 * Addresses that a kernel or a copy may touch: a sorted table, changed under a lock, read without
 * one (a changed sequence count makes a reader retry). Old tables are kept, so a reader never
 * touches freed memory; as each is twice the size of the one before, they cost little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct fast {
	_Atomic uint64_t lo, hi; /* hi is one past the end; its low bits are not needed elsewhere */
	_Atomic uint32_t access, join;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *table;
static struct fast *_Atomic fast;
static _Atomic size_t count;
static _Atomic uint32_t sequence;
static size_t room;

static void set(_Atomic uint64_t *p, uint64_t v)
{
	atomic_store_explicit(p, v, memory_order_release);
}

static uint64_t get(_Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static void copy_fast(struct fast *to, size_t i)
{
	set(&to[i].lo, table[i].base);
	set(&to[i].hi, table[i].base + table[i].size);
	atomic_store_explicit(&to[i].access, table[i].access, memory_order_release);
	atomic_store_explicit(&to[i].join, table[i].kind == RANGE_MAPPED, memory_order_release);
}

static void change_begin(void)
{
	atomic_fetch_add_explicit(&sequence, 1, memory_order_relaxed); /* entries: release */
}

static void change_end(void)
{
	atomic_fetch_add_explicit(&sequence, 1, memory_order_release);
}

static bool grow(void)
{
	size_t n = room ? room * 2 : 256;
	struct range *t = realloc(table, n * sizeof(*t));
	struct fast *f = calloc(n, sizeof(*f));

	if (t)
		table = t;
	if (!t || !f)
		return free(f), false;
	for (size_t i = 0; i < atomic_load(&count); i++)
		copy_fast(f, i);
	room = n;
	atomic_store_explicit(&fast, f, memory_order_release);
	return true;
}

/* The first range that ends after addr. */
static size_t position(uint64_t addr)
{
	size_t lo = 0, hi = atomic_load_explicit(&count, memory_order_relaxed);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (table[mid].base + table[mid].size <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

CUresult range_add(const struct range *r)
{
	static uint64_t next_buffer = 1;
	CUresult result = CUDA_SUCCESS;
	size_t n, at;

	pthread_mutex_lock(&lock);
	n = atomic_load(&count);
	at = position(r->base);
	if (at < n && table[at].base < r->base + r->size) {
		result = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	} else if (n == room && !grow()) {
		result = CUDA_ERROR_OUT_OF_MEMORY;
	} else {
		struct fast *f = atomic_load(&fast);

		change_begin();
		memmove(table + at + 1, table + at, (n - at) * sizeof(*table));
		table[at] = *r;
		table[at].buffer_id = next_buffer++;
		for (size_t i = n + 1; i-- > at;)
			copy_fast(f, i);
		atomic_store_explicit(&count, n + 1, memory_order_release);
		change_end();
	}
	pthread_mutex_unlock(&lock);
	return result;
}

bool range_remove(uint64_t base, struct range *out)
{
	bool found = false;
	size_t n, at;

	pthread_mutex_lock(&lock);
	n = atomic_load(&count);
	at = position(base);
	if (at < n && table[at].base == base) {
		struct fast *f = atomic_load(&fast);

		if (out)
			*out = table[at];
		change_begin();
		memmove(table + at, table + at + 1, (n - at - 1) * sizeof(*table));
		for (size_t i = at; i < n - 1; i++)
			copy_fast(f, i);
		atomic_store_explicit(&count, n - 1, memory_order_release);
		change_end();
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool range_find(uint64_t addr, struct range *out)
{
	bool found = false;
	size_t at;

	pthread_mutex_lock(&lock);
	at = position(addr);
	if (at < atomic_load(&count) && table[at].base <= addr) {
		*out = table[at];
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool range_update(uint64_t base, uint32_t access, int sync_memops)
{
	bool found = false;
	size_t at;

	pthread_mutex_lock(&lock);
	at = position(base);
	if (at < atomic_load(&count) && table[at].base <= base) {
		change_begin();
		if (sync_memops >= 0)
			table[at].sync_memops = sync_memops;
		else
			table[at].access = access;
		copy_fast(atomic_load(&fast), at);
		change_end();
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void range_set_place(uint64_t base, uint32_t place)
{
	size_t at;

	pthread_mutex_lock(&lock);
	at = position(base);
	if (at < atomic_load(&count) && table[at].base == base)
		table[at].place = place;
	pthread_mutex_unlock(&lock);
}

bool range_any(uint64_t base, uint64_t size)
{
	size_t at;
	bool any;

	pthread_mutex_lock(&lock);
	at = position(base);
	any = at < atomic_load(&count) && table[at].base < base + size;
	pthread_mutex_unlock(&lock);
	return any;
}

bool range_leaves_registered(uint64_t addr, uint64_t len)
{
	bool leaves = false;

	pthread_mutex_lock(&lock);
	for (size_t at = position(addr);
	     at < atomic_load(&count) && table[at].base < addr + len && !leaves; at++)
		leaves = table[at].kind == RANGE_REGISTERED &&
			 (table[at].base > addr || table[at].base + table[at].size < addr + len);
	pthread_mutex_unlock(&lock);
	return leaves;
}

void range_each_of(struct sim_ctx *ctx, enum range_kind kind, void (*fn)(const struct range *))
{
	struct range r;
	size_t i = 0;
	bool more;

	do {
		pthread_mutex_lock(&lock);
		while (i < atomic_load(&count) && (table[i].ctx != ctx || table[i].kind != kind))
			i++;
		more = i < atomic_load(&count);
		if (more)
			r = table[i];
		pthread_mutex_unlock(&lock);
		if (more)
			fn(&r); /* removes it */
	} while (more);
}

/* Lock-free. Ranges that were mapped side by side count as one, as in a real address space. */
static bool look(uint64_t addr, uint64_t end, uint32_t access, uint64_t *lo, uint64_t *hi)
{
	/* The table is published before a count that needs it, so the count is read first. */
	size_t n = atomic_load_explicit(&count, memory_order_acquire), a = 0, b = n;
	struct fast *f = atomic_load_explicit(&fast, memory_order_acquire);
	uint64_t last;

	while (f && a < b) {
		size_t mid = (a + b) / 2;

		if (get(&f[mid].hi) <= addr)
			a = mid + 1;
		else
			b = mid;
	}
	if (!f || a >= n || get(&f[a].lo) > addr)
		return false;
	*lo = get(&f[a].lo);
	for (last = get(&f[a].hi);; last = get(&f[a].hi)) {
		if ((atomic_load_explicit(&f[a].access, memory_order_acquire) & access) != access)
			return false;
		*hi = last;
		if (end <= last)
			return true;
		if (!atomic_load_explicit(&f[a].join, memory_order_acquire) || a + 1 >= n ||
		    get(&f[a + 1].lo) != last ||
		    !atomic_load_explicit(&f[a + 1].join, memory_order_acquire))
			return false;
		a++;
	}
}

bool range_check_mapped(uint64_t addr, uint64_t len, bool write)
{
	uint64_t lo, hi;
	struct range r;

	if (range_check(addr, len, write, &lo, &hi))
		return true;
	return range_find(addr, &r) && r.kind == RANGE_DEVICE &&
	       len <= memory_mapped(r.size) - (addr - r.base);
}

/* Device memory is mapped in whole pages: its segments, and its large allocations. */
bool range_check_page(uint64_t addr, uint64_t len, uint64_t *lo, uint64_t *hi)
{
	const uint64_t page = addr & ~(SIM_GRANULARITY - 1);
	bool touched = false;

	if (len > SIM_GRANULARITY - (addr - page))
		return false;
	pthread_mutex_lock(&lock);
	for (size_t at = position(page); at < atomic_load(&count) && !touched; at++) {
		if (table[at].base >= page + SIM_GRANULARITY)
			break;
		touched = table[at].kind == RANGE_DEVICE;
	}
	pthread_mutex_unlock(&lock);
	*lo = page;
	*hi = page + SIM_GRANULARITY;
	return touched;
}

void range_describe(uint64_t addr, char *text, size_t size)
{
	size_t at;

	*text = 0;
	pthread_mutex_lock(&lock);
	at = position(addr);
	if (at < atomic_load(&count) && table[at].base <= addr)
		snprintf(text, size, " (inside the %llu bytes at 0x%llx)",
			 (unsigned long long)table[at].size, (unsigned long long)table[at].base);
	else if (at && addr - (table[at - 1].base + table[at - 1].size) < SIM_GRANULARITY)
		snprintf(text, size, " (%llu bytes behind the end of the %llu bytes at 0x%llx)",
			 (unsigned long long)(addr - table[at - 1].base - table[at - 1].size),
			 (unsigned long long)table[at - 1].size,
			 (unsigned long long)table[at - 1].base);
	pthread_mutex_unlock(&lock);
}

bool range_check(uint64_t addr, uint64_t len, bool write, uint64_t *lo, uint64_t *hi)
{
	uint32_t before, access = write ? 3 : 1;
	bool ok;

	if (addr + len < addr)
		return false;
	do {
		while ((before = atomic_load_explicit(&sequence, memory_order_acquire)) & 1)
			__builtin_ia32_pause();
		ok = look(addr, addr + len, access, lo, hi);
	} while (atomic_load_explicit(&sequence, memory_order_relaxed) != before);
	return ok;
}
