/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores as most warps do them: the addresses of each half have one distance from lane to
 * lane, none, that of neighbours, or that of rows. Then the first lane's address says it all.
 */
#include "tests/simcuda/ptx/exec.h"

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define HALF     (LANES / 2)
#define STEP_MAX (1u << 20)

struct half {
	u64 at;
	u32 step; /* bytes from lane to lane */
	u8 *p;
};

/* The second lane tells the distance; do the others keep to it? N: addresses in a vector. */
#define HALVES(name, T, N)                                                                         \
	typedef T name##_vector __attribute__((vector_size(sizeof(T) * (N))));                     \
	LANE_CODE static bool name(const T *a, struct half h[2])                                   \
	{                                                                                          \
		name##_vector other = {0};                                                         \
		T all = 0;                                                                         \
		for (int n = 0; n < 2; n++, a += HALF) {                                           \
			const T step = a[1] - a[0];                                                \
			name##_vector want, is;                                                    \
			for (int l = 0; l < (N); l++)                                              \
				want[l] = a[0] + (T)l * step;                                      \
			for (int l = 0; l < HALF; l += (N), want += (N)*step) {                    \
				memcpy(&is, a + l, sizeof(is));                                    \
				other |= is ^ want;                                                \
			}                                                                          \
			h[n].at = a[0];                                                            \
			h[n].step = (u32)step;                                                     \
			all |= step & ~(T)(STEP_MAX - 1);                                          \
		}                                                                                  \
		for (int l = 0; l < (N); l++)                                                      \
			all |= other[l];                                                           \
		return !all;                                                                       \
	}
HALVES(halves_of_words, u32, 8)
HALVES(halves_of_addresses, u64, 4)

/* The memory of a half, if it may be accessed without another question. */
static u8 *half_place(struct warp *w, const struct mem_op *m, const struct half *h, u32 size,
		      bool store)
{
	const struct ptx_cta *c = w->cta;
	const u64 len = (u64)(HALF - 1) * h->step + size;
	u64 at = h->at + (u64)m->offset;
	enum space space = (enum space)m->space;

	if (m->base_cls == CLS_W)
		at = (u32)at;
	if ((at | h->step) & (size - 1) || (store && h->step < size))
		return NULL;
	if (space == SPACE_GENERIC) {
		const u64 window = at & WINDOW_MASK;

		if (window && window != SHARED_WINDOW)
			return NULL;
		space = window ? SPACE_SHARED : SPACE_GLOBAL;
		at &= ~window;
	}
	if (space == SPACE_SHARED)
		return len <= c->shared_bytes && at <= c->shared_bytes - len ? c->shared + at
									     : NULL;
	for (int k = 0; k < RANGES; k++) {
		const struct range *r = &c->ranges[k];

		if (at >= r->lo && at < r->hi && r->hi - at >= len && (r->write || !store))
			return (u8 *)(uintptr_t)at;
	}
	return NULL;
}

/*
 * An element is one access here, too: no instruction of the processor divides an aligned one. And
 * what all lanes read at one address is one access.
 */
#define MOVE_HALVES(BITS)                                                                          \
	static inline void load_half##BITS(u##BITS *t, const struct half *h, u32 k)                \
	{                                                                                          \
		const u##BITS *s = (const u##BITS *)h->p + k;                                      \
		if (!h->step) {                                                                    \
			const u##BITS one = __atomic_load_n(s, __ATOMIC_RELAXED);                  \
			for (int l = 0; l < HALF; l++)                                             \
				t[l] = one;                                                        \
		} else if (h->step == sizeof(*s)) {                                                \
			INDEPENDENT                                                                \
			for (int l = 0; l < HALF; l++)                                             \
				t[l] = s[l];                                                       \
		} else {                                                                           \
			const u8 *p = (const u8 *)s;                                               \
			for (int l = 0; l < HALF; l++, p += h->step)                               \
				t[l] = *(const u##BITS *)p;                                        \
		}                                                                                  \
	}                                                                                          \
	LANE_CODE static void load_halves##BITS(u##BITS *t, const struct half h[2], u32 k)         \
	{                                                                                          \
		load_half##BITS(t, &h[0], k);                                                      \
		if (!h[0].step && !h[1].step && h[0].p == h[1].p)                                  \
			memcpy(t + HALF, t, HALF * sizeof(*t));                                    \
		else                                                                               \
			load_half##BITS(t + HALF, &h[1], k);                                       \
	}                                                                                          \
	LANE_CODE static void store_halves##BITS(const u##BITS *t, const struct half h[2], u32 k)  \
	{                                                                                          \
		for (int n = 0; n < 2; n++, t += HALF) {                                           \
			u##BITS *s = (u##BITS *)h[n].p + k;                                        \
			const u32 step = h[n].step / (u32)sizeof(*s);                              \
			if (step == 1) {                                                           \
				INDEPENDENT                                                        \
				for (int l = 0; l < HALF; l++)                                     \
					s[l] = t[l];                                               \
			} else {                                                                   \
				for (u32 l = 0; l < HALF; l++)                                     \
					s[l * step] = t[l];                                        \
			}                                                                          \
		}                                                                                  \
	}
MOVE_HALVES(32)
MOVE_HALVES(64)

bool access_coalesced(struct warp *w, const struct insn *i, uint32_t mask, bool store)
{
	const struct mem_op *m = i->ptr;
	const u32 size = (u32)m->bytes * m->count;
	struct half h[2];

#ifdef __SANITIZE_THREAD__
	return false; /* it takes these loops for races */
#endif
	if (mask != FULL_MASK || !m->may_coalesce)
		return false;
	if (!(m->base_cls == CLS_W ? halves_of_words(row(w, i->a), h)
				   : halves_of_addresses(row(w, i->a), h)))
		return false;
	for (int n = 0; n < 2; n++) {
		h[n].p = half_place(w, m, &h[n], size, store);
		if (!h[n].p)
			return false;
	}
	for (u32 k = 0; k < m->count; k++) {
		void *t = row(w, m->regs[k]);

		if (store && m->bytes == 4)
			store_halves32(t, h, k);
		else if (store)
			store_halves64(t, h, k);
		else if (m->bytes == 4)
			load_halves32(t, h, k);
		else
			load_halves64(t, h, k);
	}
	return true;
}
