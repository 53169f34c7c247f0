/* SPDX-License-Identifier: MIT */
/* The addresses that a thread may access, and the layout of per-thread memory. */
#include "tests/simcuda/ptx/exec.h"

/*
 * Per-thread memory (.local, .param of frames) is kept in rows of words, so that lanes which use
 * the same address, as they mostly do, use neighbouring words.
 */
uint64_t local_get(const uint32_t *rows, uint32_t lane, uint32_t at, uint32_t bytes)
{
	const uint32_t *word = rows + (size_t)(at / 4) * LANES + lane;
	uint64_t v = word[0];

	if (bytes == 8)
		return v | (uint64_t)word[LANES] << 32;
	v >>= 8 * (at & 3);
	return bytes == 4 ? v : v & ((1u << 8 * bytes) - 1);
}

void local_put(uint32_t *rows, uint32_t lane, uint32_t at, uint32_t bytes, uint64_t v)
{
	uint32_t *word = rows + (size_t)(at / 4) * LANES + lane;
	uint32_t shift = 8 * (at & 3), keep;

	if (bytes >= 4) {
		word[0] = (uint32_t)v;
		if (bytes == 8)
			word[LANES] = (uint32_t)(v >> 32);
		return;
	}
	keep = ((1u << 8 * bytes) - 1) << shift;
	word[0] = (word[0] & ~keep) | ((uint32_t)v << shift & keep);
}

LANE_CODE void addresses(const struct warp *w, const struct insn *i, const struct mem_op *m,
			 uint32_t mask, uint64_t addr[LANES])
{
	uint64_t offset = (uint64_t)m->offset + (m->frame_local ? w->frame->local_base : 0);
	uint32_t first = (uint32_t)__builtin_ctz(mask);
	uint64_t dummy;

	if (m->base_cls == CLS_W) {
		const uint32_t *a = row(w, i->a);

		for (int l = 0; l < LANES; l++)
			addr[l] = (uint32_t)(a[l] + (uint32_t)offset);
	} else {
		const uint64_t *a = row(w, i->a);

		for (int l = 0; l < LANES; l++)
			addr[l] = a[l] + offset;
	}
	if (mask == FULL_MASK)
		return;
	/* lanes outside the mask repeat the first one's address, so that loops need no mask */
	dummy = addr[first];
	for (int l = 0; l < LANES; l++)
		addr[l] = mask >> l & 1 ? addr[l] : dummy;
}

/*
 * lo <= addr <= last and aligned, for every lane. lo and last are below 2^63, so that one of the
 * differences is negative otherwise; unlike comparisons, that vectorises everywhere.
 */
LANE_CODE bool all_within(const uint64_t addr[LANES], uint64_t lo, uint64_t last, uint32_t align)
{
	uint64_t outside = 0, low = 0;

	for (int l = 0; l < LANES; l++) {
		outside |= (addr[l] - lo) | (last - addr[l]);
		low |= addr[l];
	}
	return !(outside >> 63) && !(low & (align - 1));
}

static bool in_range(const struct range *r, uint64_t addr, uint32_t bytes, bool write)
{
	return addr >= r->lo && addr < r->hi && r->hi - addr >= bytes && (r->write || !write);
}

bool address_allowed(struct ptx_cta *c, uint64_t addr, uint32_t bytes, bool write)
{
	struct range r = {.write = write};

	for (int k = 0; k < RANGES; k++) {
		if (in_range(&c->ranges[k], addr, bytes, write))
			return true;
	}
	if (addr & WINDOW_MASK || !c->env->mem_check(c->env->arg, addr, bytes, write, &r.lo, &r.hi))
		return false;
	if (in_range(&r, addr, bytes, write)) {
		c->ranges[c->next_range] = r;
		c->next_range = (c->next_range + 1) % RANGES;
	}
	return true;
}

/* addr[] of lanes outside the mask repeats one inside. */
bool check_global(struct warp *w, const uint64_t addr[LANES], uint32_t mask, uint32_t bytes,
		  uint32_t align, bool write)
{
	struct ptx_cta *c = w->cta;
	const struct range *r = &c->ranges[(c->next_range + RANGES - 1) % RANGES];
	if (r->hi - r->lo >= bytes && (r->write || !write) &&
	    all_within(addr, r->lo, r->hi - bytes, align))
		return true;
	for (uint32_t m = mask; m; m &= m - 1) {
		uint32_t l = (uint32_t)__builtin_ctz(m);

		if (addr[l] & (align - 1)) {
			fault(w, l, PTX_FAULT_MISALIGNED, addr[l]);
			return false;
		}
		if (!address_allowed(c, addr[l], bytes, write)) {
			fault(w, l, PTX_FAULT_ADDRESS, addr[l]);
			return false;
		}
	}
	return true;
}

static enum space window_space(uint64_t addr)
{
	switch (addr & WINDOW_MASK) {
	case SHARED_WINDOW:
		return SPACE_SHARED;
	case LOCAL_WINDOW:
		return SPACE_LOCAL;
	case PARAM_WINDOW:
		return SPACE_PARAM;
	default:
		return SPACE_GLOBAL;
	}
}

uint32_t same_window(const uint64_t addr[LANES], uint32_t mask, enum space *space)
{
	uint64_t first = addr[__builtin_ctz(mask)] & WINDOW_MASK, differs = 0;
	uint32_t same = 0;

	*space = window_space(first);
	for (int l = 0; l < LANES; l++)
		differs |= (addr[l] & WINDOW_MASK) ^ first;
	if (!differs)
		return mask;
	for (int l = 0; l < LANES; l++)
		same |= (uint32_t)((addr[l] & WINDOW_MASK) == first) << l;
	return same & mask;
}

uint32_t guest_span(struct warp *w, uint32_t lane, uint64_t addr, const uint8_t **at, uint32_t max)
{
	struct ptx_cta *c = w->cta;
	uint64_t offset = addr & ~WINDOW_MASK;

	switch (window_space(addr)) {
	case SPACE_SHARED:
		*at = shared_of_lane(w, lane, offset, 1);
		offset %= CLUSTER_STRIDE;
		if (!*at)
			return 0;
		return c->shared_bytes - offset < max ? (uint32_t)(c->shared_bytes - offset) : max;
	case SPACE_LOCAL:
		if (offset >= w->local_bytes)
			break;
		*at = (const uint8_t *)(w->local + offset / 4 * LANES + lane) + (offset & 3);
		return 4 - (offset & 3) < max ? 4 - (uint32_t)(offset & 3) : max;
	case SPACE_PARAM:
		if (offset >= c->launch->kernel->param_bytes)
			break;
		*at = (const uint8_t *)c->launch->params + offset;
		return c->launch->kernel->param_bytes - offset < max
			       ? (uint32_t)(c->launch->kernel->param_bytes - offset)
			       : max;
	case SPACE_GLOBAL:
		if (!address_allowed(c, addr, 1, false))
			break;
		*at = (const uint8_t *)(uintptr_t)addr;
		for (int k = 0; k < RANGES; k++) {
			uint64_t left = c->ranges[k].hi - addr;

			if (in_range(&c->ranges[k], addr, 1, false))
				return left < max ? (uint32_t)left : max;
		}
		return 1;
	default:
		break;
	}
	fault(w, lane, PTX_FAULT_ADDRESS, addr);
	return 0;
}

uint8_t *guest_block(struct warp *w, uint32_t lane, enum space space, uint64_t addr, uint32_t bytes,
		     bool write)
{
	struct ptx_cta *c = w->cta;
	uint64_t offset = addr;

	if (space == SPACE_GENERIC) {
		space = window_space(addr);
		offset = space == SPACE_SHARED ? addr & ~WINDOW_MASK : addr;
	}
	if (space == SPACE_SHARED)
		return shared_of_lane(w, lane, offset, bytes);
	if (space == SPACE_GLOBAL && address_allowed(c, addr, bytes, write))
		return (uint8_t *)(uintptr_t)addr;
	fault(w, lane, PTX_FAULT_ADDRESS, addr);
	return NULL;
}

uint8_t *guest_place(struct warp *w, uint32_t lane, enum space space, uint64_t addr, uint32_t bytes,
		     bool write)
{
	if (!(addr & (bytes - 1)))
		return guest_block(w, lane, space, addr, bytes, write);
	fault(w, lane, PTX_FAULT_MISALIGNED, addr);
	return NULL;
}

bool guest_read(struct warp *w, uint32_t lane, uint64_t addr, void *to, uint32_t bytes)
{
	while (bytes) {
		const uint8_t *at;
		uint32_t n = guest_span(w, lane, addr, &at, bytes);

		if (!n)
			return false;
		memcpy(to, at, n);
		to = (uint8_t *)to + n;
		addr += n;
		bytes -= n;
	}
	return true;
}

/* Up to max - 1 characters; longer strings are cut. */
bool guest_string(struct warp *w, uint32_t lane, uint64_t addr, char *to, uint32_t max)
{
	uint32_t used = 0;

	while (used + 1 < max) {
		const uint8_t *at;
		uint32_t n = guest_span(w, lane, addr, &at, max - 1 - used);

		if (!n)
			return false;
		for (uint32_t k = 0; k < n; k++) {
			to[used] = (char)at[k];
			if (!to[used++])
				return true;
		}
		addr += n;
	}
	to[used] = 0;
	return true;
}
