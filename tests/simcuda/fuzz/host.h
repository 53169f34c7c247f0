/* SPDX-License-Identifier: MIT */
/*
 * Generated kernels for the CPU, as the model of what the GPU must do. A statement is done for one
 * thread after the other before the next statement; e[] says which threads are at this place.
 */
#define FN  static inline
#define DEV static __attribute__((noinline))
#include "tests/simcuda/fuzz/common.h"

#include <fenv.h>
#include <math.h>

#define V(x)           x[t]
#define TID            ((u32)t)
#define LANE           (TID & 31)
#define EACH           for (int t = 0; t < T; t++)
#define EACH_E         EACH if (e[t])

#define AMOUNT(n)      (n)
#define mulhi_u(a, b)  ((u32)((u64)(u32)(a) * (u32)(b) >> 32))
#define mulhi_s(a, b)  ((u32)((s64)(s32)(a) * (s32)(b) >> 32))
#define mul24_u(a, b)  (((a)&0xffffff) * ((b)&0xffffff))
#define sad_u(a, b, c) (((a) > (b) ? (a) - (b) : (b) - (a)) + (c))
#define popc(a)        ((u32)__builtin_popcount(a))
#define popc64(a)      ((u32)__builtin_popcountll(a))
#define clz(a)         ((a) ? (u32)__builtin_clz(a) : 32u)
#define ffma(a, b, c)  fmaf(a, b, c)
#define dfma(a, b, c)  fma(a, b, c)
#define fsqrt(a)       sqrtf(a)
#define f2i(a)         to_int(truncf(a))
#define f2i_rn(a)      to_int(rintf(a))
#define sat(a)         ((a) > 0 ? (a) < 1 ? (a) : 1 : 0)
#define add_rz(a, b)   rounded(FE_TOWARDZERO, 0, a, b)
#define mul_rp(a, b)   rounded(FE_UPWARD, 1, a, b)
#define mul_rm(a, b)   rounded(FE_DOWNWARD, 1, a, b)

FN u32 brev(u32 v)
{
	u32 r = 0;

	for (int i = 0; i < 32; i++)
		r |= (v >> i & 1) << (31 - i);
	return r;
}

FN u32 prmt(u32 a, u32 b, u32 c)
{
	u64 all = (u64)b << 32 | a;
	u32 r = 0;

	for (int i = 0; i < 4; i++) {
		u32 s = c >> (4 * i) & 15, v = (u32)(all >> (8 * (s & 7))) & 255;

		r |= (s & 8 ? (v & 128 ? 255u : 0) : v) << (8 * i);
	}
	return r;
}

FN u32 bmsk(u32 a, u32 b, u32 c)
{
	u32 r = 0;

	for (u32 i = 0; i < 32; i++)
		r |= (u32)(i >= a && i - a < b) << i;
	return r;
}

FN u32 szext(u32 a, u32 b, u32 c)
{
	u32 n = b % 32;

	return !n ? 0 : a >> (n - 1) & 1 ? a | ~0u << n : a & ~(~0u << n);
}

FN u32 clamped(s32 v)
{
	return (u32)(v < -128 ? -128 : v > 127 ? 127 : v) & 255;
}
#define pack_s8(a, b, c)   ((u32)(c) << 16 | clamped((s32)(a)) << 8 | clamped((s32)(b)))
#define carried(a, b, c)   ((c) + (u32)((u64)(u32)(a) + (u32)(b) >> 32))
#define no_borrow(a, b, c) ((c) + (u32)((u32)(a) >= (u32)(b)))

#include "tests/simcuda/fuzz/halves.h"

/* Row `row` of the signed bytes of a by column `col` of the unsigned ones of b, of one warp. */
FN u32 bytes_dot(const u32 *a, const u32 *b, u32 row, u32 col)
{
	u32 sum = 0;

	for (u32 k = 0; k < 16; k++) {
		s32 x = (signed char)(a[row * 4 + k / 4] >> k % 4 * 8);
		s32 y = (u8)(b[col * 4 + k / 4] >> k % 4 * 8);

		sum += (u32)(x * y);
	}
	return sum;
}

FN u32 load_rows(const u32 *sh, const u32 *row, u32 lane)
{
	return sh[row[lane / 4] + lane % 4];
}

FN u32 load_columns(const u32 *sh, const u32 *row, u32 lane)
{
	const u32 column = lane / 4, at = column / 2, shift = column % 2 * 16;
	const u32 one = sh[row[lane % 4 * 2] + at], two = sh[row[lane % 4 * 2 + 1] + at];

	return (one >> shift & 0xffff) | (two >> shift & 0xffff) << 16;
}

FN void store_rows(u32 *sh, u32 n, u32 lane, u32 v)
{
	sh[(lane / 4 + n) % 8 * 4 + lane % 4] = v;
}

FN void store_columns(u32 *sh, u32 n, u32 lane, u32 v)
{
	for (u32 i = 0; i < 2; i++) {
		u16 *row = (u16 *)(sh + (lane % 4 * 2 + i + n) % 8 * 4);

		row[lane / 4] = (u16)(v >> 16 * i);
	}
}

/* Of two zeros the minimum is the negative one; a NaN gives way to a number. */
FN float ffmin(float a, float b)
{
	if (a != a || b != b)
		return a != a ? b : a;
	return a < b || (a == b && signbit(a)) ? a : b;
}

FN float ffmax(float a, float b)
{
	if (a != a || b != b)
		return a != a ? b : a;
	return a > b || (a == b && !signbit(a)) ? a : b;
}

FN u32 to_int(float v)
{
	return v != v ? 0 : v >= 0x1p31f ? 0x7fffffffu : v < -0x1p31f ? 0x80000000u : (u32)(s32)v;
}

FN u32 f2u(float v)
{
	return v != v || v <= 0 ? 0 : v >= 0x1p32f ? ~0u : (u32)v;
}

FN u32 d2i(double v)
{
	return v != v || v < -0x1p31 ? 0x80000000u : v >= 0x1p31 ? 0x7fffffffu : (u32)(s32)v;
}

static __attribute__((noinline)) float rounded(int mode, int product, float a, float b)
{
	volatile float x = a, y = b, r;

	fesetround(mode);
	if (product)
		r = x * y;
	else
		r = x + y;
	fesetround(FE_TONEAREST);
	return r;
}

#define KERNEL(n, th)                                                                              \
	const u32 threads_##n = th;                                                                \
	void k##n(u32 *out, const u32 *in);                                                        \
	void k##n(u32 *out, const u32 *in)                                                         \
	{                                                                                          \
		enum { T = th };                                                                   \
		u32 sh[THREADS_MAX], acc[ACC_WORDS] = ACC_INIT, a[T], b[T], c[T], d[T];            \
		u64 p[T], q[T];                                                                    \
		float x[T], y[T];                                                                  \
		double z[T];                                                                       \
		u8 e_0[T], *e = e_0;                                                               \
		EACH                                                                               \
		{                                                                                  \
			a[t] = in[t * IN_WORDS], b[t] = in[t * IN_WORDS + 1];                      \
			c[t] = in[t * IN_WORDS + 2], d[t] = (u32)t;                                \
			p[t] = (u64)a[t] << 32 | b[t];                                             \
			q[t] = in[t * IN_WORDS + 3] * 0x9e3779b97f4a7c15ull;                       \
			x[t] = number(b[t]), y[t] = number(c[t]), z[t] = (double)x[t] * 3;         \
			sh[t] = a[t] ^ b[t], e[t] = 1;                                             \
		}                                                                                  \
		(void)acc;
#define END_KERNEL                                                                                 \
	EACH_E STORE(out + t * OUT_WORDS);                                                         \
	}

#define SET(v, x)   EACH_E v[t] = (x);
#define IF(k, p, x) PIF(k, x)
#define ELSE(k)     PELSE(k)
#define PIF(k, x)                                                                                  \
	{                                                                                          \
		u8 c_##k[T], n_##k[T];                                                             \
		EACH                                                                               \
		{                                                                                  \
			c_##k[t] = e[t] && (x);                                                    \
			n_##k[t] = e[t] && !c_##k[t];                                              \
		}                                                                                  \
		(void)n_##k;                                                                       \
		{                                                                                  \
			u8 *e = c_##k;
#define PELSE(k)                                                                                   \
	}                                                                                          \
	{                                                                                          \
		u8 *e = n_##k;
#define END_IF                                                                                     \
	}                                                                                          \
	}
#define LOOP(k, p, n) PLOOP(k, n)
#define PLOOP(k, n)                                                                                \
	{                                                                                          \
		u32 q_##k[T];                                                                      \
		u8 l_##k[T], b_##k[T];                                                             \
		EACH                                                                               \
		{                                                                                  \
			l_##k[t] = e[t];                                                           \
			q_##k[t] = e[t] ? (n) : 0;                                                 \
		}                                                                                  \
		for (u32 i_##k = 0;; i_##k++) {                                                    \
			u8 *e = b_##k, any_ = 0;                                                   \
			EACH any_ |= b_##k[t] = l_##k[t] = l_##k[t] && i_##k < q_##k[t];           \
			if (!any_)                                                                 \
				break;
#define END_LOOP                                                                                   \
	}                                                                                          \
	}
#define BREAK_IF(k, x)    EACH if (e[t] && (x)) e[t] = l_##k[t] = 0;
#define CONTINUE_IF(k, x) EACH if (e[t] && (x)) e[t] = 0;
#define RET_IF(x)                                                                                  \
	EACH if (e[t] && (x))                                                                      \
	{                                                                                          \
		STORE(out + t * OUT_WORDS);                                                        \
		e[t] = 0;                                                                          \
	}

/* The lanes of thread t's warp that are here, and those of them for which x[] is true. */
FN u32 lanes(const u8 *e, const u8 *x, int t, int n)
{
	u32 m = 0;

	for (int l = 0; l < 32 && (t & ~31) + l < n; l++)
		m |= (u32)(e[(t & ~31) + l] && x[(t & ~31) + l]) << l;
	return m;
}

#define EVAL(type, x)                                                                              \
	type v_[T];                                                                                \
	EACH v_[t] = e[t] ? (x) : 0;
#define BALLOT(v, k, x)                                                                            \
	{                                                                                          \
		EVAL(u8, (x) ? 1 : 0) EACH_E v[t] = lanes(e, v_, t, T);                            \
	}
#define VOTE(v, k, kind, x)                                                                        \
	{                                                                                          \
		EVAL(u8, (x) ? 1 : 0)                                                              \
		EACH_E v[t] = v[t] * 2 + vote_##kind(lanes(e, v_, t, T), lanes(e, e, t, T));       \
	}
#define vote_all(yes, who) ((yes) == (who))
#define vote_any(yes, who) ((yes) != 0)
#define vote_uni(yes, who) ((yes) == (who) || (yes) == 0)
#define MASK(v, k)         EACH_E v[t] = lanes(e, e, t, T);
#define ELECT(v, k)                                                                                \
	EACH_E                                                                                     \
	{                                                                                          \
		const u32 first = (u32)__builtin_ctz(lanes(e, e, t, T));                           \
		v[t] = first == (u32)LANE ? first + 64 : first;                                    \
	}
#define MATCH(v, k, x)                                                                             \
	{                                                                                          \
		EVAL(u32, x) EACH_E v[t] = match(e, v_, t, T);                                     \
	}
#define REDUX(v, k, op, x)                                                                         \
	{                                                                                          \
		EVAL(u32, x) EACH_E v[t] = redux(redux_##op, e, v_, t, T);                         \
	}
#define WSYNC(k)
#define SHFL(v, k, mode, x, s, w)                                                                  \
	{                                                                                          \
		EVAL(u32, x)                                                                       \
		EACH_E v[t] = v_[shuffled(shfl_##mode, e, t, (int)((s)&31), w, T)];                \
	}

FN u32 match(const u8 *e, const u32 *v, int t, int n)
{
	u32 m = 0;

	for (int l = 0; l < 32 && (t & ~31) + l < n; l++)
		m |= (u32)(e[(t & ~31) + l] && v[(t & ~31) + l] == v[t]) << l;
	return m;
}

enum { redux_add, redux_umin, redux_umax, redux_and, redux_or, redux_xor };
FN u32 redux(int op, const u8 *e, const u32 *v, int t, int n)
{
	u32 r = v[t];

	for (int j = t & ~31; j < (t & ~31) + 32 && j < n; j++) {
		if (j == t || !e[j])
			continue;
		r = op == redux_add    ? r + v[j]
		    : op == redux_umin ? umin(r, v[j])
		    : op == redux_umax ? umax(r, v[j])
		    : op == redux_and  ? r & v[j]
		    : op == redux_or   ? r | v[j]
				       : r ^ v[j];
	}
	return r;
}

/* The thread that thread t reads; itself where the segment ends or nobody is there. */
enum { shfl_up, shfl_down, shfl_bfly, shfl_idx };
FN int shuffled(int mode, const u8 *e, int t, int by, int width, int n)
{
	int lane = t & 31, first = lane / width * width, j;

	switch (mode) {
	case shfl_up:
		j = lane - by >= first ? lane - by : lane;
		break;
	case shfl_down:
		j = lane + by < first + width ? lane + by : lane;
		break;
	case shfl_bfly:
		j = (lane ^ by) < first + width ? lane ^ by : lane;
		break;
	default:
		j = first + by % width;
	}
	j += t & ~31;
	return j < n && e[j] ? j : t;
}

#define SYNC
#define PUT(x)  EACH_E sh[t] = (x);
#define COPY(n) EACH_E sh[t] = in[t * IN_WORDS + n];
/* All threads are here: those that could be missing have not been asked to leave yet. */
#define MMA(v, w, xa, xb)                                                                          \
	{                                                                                          \
		u32 a_[T], b_[T];                                                                  \
		EACH a_[t] = (xa);                                                                 \
		EACH b_[t] = (xb);                                                                 \
		EACH                                                                               \
		{                                                                                  \
			const u32 *of_a = a_ + (t & ~31), *of_b = b_ + (t & ~31);                  \
			v[t] += bytes_dot(of_a, of_b, LANE / 4, LANE % 4 * 2);                     \
			w[t] += bytes_dot(of_a, of_b, LANE / 4, LANE % 4 * 2 + 1);                 \
		}                                                                                  \
	}
/* Here, too: lane l has elements 2 (l % 4) and the next of row l / 4, or of column l / 4. */
#define LOAD_MATRIX(v, how, x)                                                                     \
	{                                                                                          \
		u32 row_[T];                                                                       \
		EACH row_[t] = (x) % (T / 4) * 4;                                                  \
		EACH v[t] = load_##how(sh, row_ + (t & ~31), LANE);                                \
	}
#define STORE_MATRIX(how, n, x)                                                                    \
	{                                                                                          \
		u32 v_[T];                                                                         \
		EACH v_[t] = (x);                                                                  \
		EACH store_##how(sh + (t & ~31), n, LANE, v_[t]);                                  \
	}
#define GET(v, x) EACH_E v[t] = sh[(x) % T];
#define BARRED(v, kind, x)                                                                         \
	{                                                                                          \
		u32 yes_ = 0, who_ = 0;                                                            \
		EACH_E yes_ += (x) ? 1 : 0, who_++;                                                \
		EACH_E v[t] += bar_##kind(yes_, who_);                                             \
	}
#define bar_popc(yes, who) (yes)
#define bar_and(yes, who)  ((yes) == (who))
#define bar_or(yes, who)   ((yes) != 0)
#define ATOM(op, x)                                                                                \
	EACH_E                                                                                     \
	{                                                                                          \
		const u32 v_ = (x);                                                                \
		atom_##op                                                                          \
	}
#define SUM(v, n) EACH_E v[t] ^= acc[n];
#define atom_add  acc[0] += v_;
#define atom_umin acc[1] = umin(acc[1], v_);
#define atom_umax acc[2] = umax(acc[2], v_);
#define atom_and  acc[3] &= v_;
#define atom_or   acc[4] |= v_;
#define atom_xor  acc[5] ^= v_;
#define atom_smin acc[6] = smin(acc[6], v_);
#define atom_smax acc[7] = smax(acc[7], v_);
