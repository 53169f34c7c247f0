/* SPDX-License-Identifier: MIT */
/* Integer arithmetic and logic over the lanes of a warp. */
#include "tests/simcuda/ptx/exec.h"

const uint32_t lane_nibbles[16][4] = {
#define NIBBLE(n)                                                                                  \
	{                                                                                          \
		n & 1 ? ~0u : 0, n & 2 ? ~0u : 0, n & 4 ? ~0u : 0, n & 8 ? ~0u : 0                 \
	}
	NIBBLE(0),  NIBBLE(1),  NIBBLE(2),  NIBBLE(3),  NIBBLE(4),  NIBBLE(5),
	NIBBLE(6),  NIBBLE(7),  NIBBLE(8),  NIBBLE(9),  NIBBLE(10), NIBBLE(11),
	NIBBLE(12), NIBBLE(13), NIBBLE(14), NIBBLE(15),
};

typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

/*
 * d = EXPR of x, y, z. Lanes outside the mask keep their values: unless there are none, results go
 * through an array of their own.
 */
#define LOOP1(name, T, BITS, EXPR)                                                                 \
	LANE_CODE static int name(struct warp *w, const struct insn *i, uint32_t mask)             \
	{                                                                                          \
		const T *a = row(w, i->a);                                                         \
		uint##BITS##_t t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			T x = a[l];                                                                \
			d[l] = (uint##BITS##_t)(EXPR);                                             \
		}                                                                                  \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}
#define LOOP2(name, T, T2, BITS, EXPR)                                                             \
	LANE_CODE static int name(struct warp *w, const struct insn *i, uint32_t mask)             \
	{                                                                                          \
		const T *a = row(w, i->a);                                                         \
		const T2 *b = row(w, i->b);                                                        \
		uint##BITS##_t t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			T x = a[l];                                                                \
			T2 y = b[l];                                                               \
			d[l] = (uint##BITS##_t)(EXPR);                                             \
		}                                                                                  \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}
#define LOOP3(name, T, TC, BITS, EXPR)                                                             \
	LANE_CODE static int name(struct warp *w, const struct insn *i, uint32_t mask)             \
	{                                                                                          \
		const T *a = row(w, i->a), *b = row(w, i->b);                                      \
		const TC *c = row(w, i->c);                                                        \
		uint##BITS##_t t[LANES], *d = mask == FULL_MASK ? row(w, i->d) : t;                \
		INDEPENDENT                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			T x = a[l], y = b[l];                                                      \
			TC z = c[l];                                                               \
			d[l] = (uint##BITS##_t)(EXPR);                                             \
		}                                                                                  \
		if (mask != FULL_MASK)                                                             \
			put##BITS(row(w, i->d), t, mask);                                          \
		return STEP_NEXT;                                                                  \
	}

/* Division by zero gives all ones, the remainder the dividend; -1 needs care against overflow. */
#define UDIV(x, y, ones) ((y) ? (x) / (y) : (ones))
#define UREM(x, y)       ((y) ? (x) % (y) : (x))
#define SDIV(U, x, y)    ((y) == 0 ? (U) ~(U)0 : (y) == -1 ? (U)(0 - (U)(x)) : (U)((x) / (y)))
#define SREM(U, x, y)    ((y) == 0 ? (U)(x) : (y) == -1 ? (U)0 : (U)((x) % (y)))

#define FOR_UNSIGNED(U, BITS)                                                                      \
	LOOP2(add_##BITS, U, U, BITS, x + y)                                                       \
	LOOP2(sub_##BITS, U, U, BITS, x - y)                                                       \
	LOOP2(and_##BITS, U, U, BITS, x &y)                                                        \
	LOOP2(or_##BITS, U, U, BITS, x | y)                                                        \
	LOOP2(xor_##BITS, U, U, BITS, x ^ y)                                                       \
	LOOP2(shl_##BITS, U, u32, BITS, y < BITS ? (U)(x << (y & (BITS - 1))) : (U)0)              \
	LOOP2(shr_u##BITS, U, u32, BITS, y < BITS ? (U)(x >> (y & (BITS - 1))) : (U)0)             \
	LOOP2(div_u##BITS, U, U, BITS, UDIV(x, y, (U) ~(U)0))                                      \
	LOOP2(rem_u##BITS, U, U, BITS, UREM(x, y))                                                 \
	LOOP2(min_u##BITS, U, U, BITS, x < y ? x : y)                                              \
	LOOP2(max_u##BITS, U, U, BITS, x > y ? x : y)                                              \
	LOOP3(sad_u##BITS, U, U, BITS, z + (x < y ? y - x : x - y))                                \
	LOOP1(not_##BITS, U, BITS, ~x)                                                             \
	LOOP1(neg_##BITS, U, BITS, 0 - x)                                                          \
	LOOP1(cnot_##BITS, U, BITS, x == 0)
#define FOR_SIGNED(S, U, BITS)                                                                     \
	LOOP2(shr_s##BITS, S, u32, BITS, x >> (y < BITS ? y : BITS - 1))                           \
	LOOP2(div_s##BITS, S, S, BITS, SDIV(U, x, y))                                              \
	LOOP2(rem_s##BITS, S, S, BITS, SREM(U, x, y))                                              \
	LOOP2(min_s##BITS, S, S, BITS, x < y ? x : y)                                              \
	LOOP2(max_s##BITS, S, S, BITS, x > y ? x : y)                                              \
	LOOP3(sad_s##BITS, S, U, BITS, z + (x < y ? (U)y - (U)x : (U)x - (U)y))                    \
	LOOP1(abs_s##BITS, S, BITS, x < 0 ? 0 - (U)x : (U)x)

FOR_UNSIGNED(u16, 16)
FOR_UNSIGNED(u32, 32)
FOR_UNSIGNED(u64, 64)
FOR_SIGNED(s16, u16, 16)
FOR_SIGNED(s32, u32, 32)
FOR_SIGNED(s64, u64, 64)

LOOP2(mul_lo16, u16, u16, 16, (u32)x *y)
LOOP2(mul_lo32, u32, u32, 32, x *y)
LOOP2(mul_lo64, u64, u64, 64, x *y)
LOOP2(mul_hi_u16, u16, u16, 16, ((u32)x * y) >> 16)
LOOP2(mul_hi_s16, s16, s16, 16, (u32)((s32)x *y) >> 16)
LOOP2(mul_hi_u32, u32, u32, 32, ((u64)x * y) >> 32)
LOOP2(mul_hi_s32, s32, s32, 32, (u64)((s64)x *y) >> 32)
LOOP2(mul_hi_u64, u64, u64, 64, ((u128)x * y) >> 64)
LOOP2(mul_hi_s64, s64, s64, 64, (u128)((s128)x *y) >> 64)
LOOP2(mul_wide_u16, u16, u16, 32, (u32)x *y)
LOOP2(mul_wide_s16, s16, s16, 32, (s32)x *y)
LOOP2(mul_wide_u32, u32, u32, 64, (u64)x *y)
LOOP2(mul_wide_s32, s32, s32, 64, (s64)x *y)
LOOP3(mad_lo16, u16, u16, 16, (u32)x *y + z)
LOOP3(mad_lo32, u32, u32, 32, x *y + z)
LOOP3(mad_lo64, u64, u64, 64, x *y + z)
LOOP3(mad_wide_u16, u16, u32, 32, (u32)x *y + z)
LOOP3(mad_wide_s16, s16, u32, 32, (u32)((s32)x *y) + z)
LOOP3(mad_wide_u32, u32, u64, 64, (u64)x *y + z)
LOOP3(mad_wide_s32, s32, u64, 64, (u64)((s64)x *y) + z)

static inline s32 s24(u32 v)
{
	return (s32)(v << 8) >> 8;
}

static inline s32 saturate32(s64 v)
{
	return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (s32)v;
}

LOOP2(add_sat, s32, s32, 32, saturate32((s64)x + y))
LOOP2(sub_sat, s32, s32, 32, saturate32((s64)x - y))
LOOP2(mul24_lo_u, u32, u32, 32, (u64)(x & 0xffffff) * (y & 0xffffff))
LOOP2(mul24_lo_s, u32, u32, 32, (s64)s24(x) * s24(y))
LOOP2(mul24_hi_u, u32, u32, 32, ((u64)(x & 0xffffff) * (y & 0xffffff)) >> 16)
LOOP2(mul24_hi_s, u32, u32, 32, ((s64)s24(x) * s24(y)) >> 16)

LOOP1(popc32, u32, 32, __builtin_popcount(x))
LOOP1(popc64, u64, 32, __builtin_popcountll(x))
LOOP1(clz32, u32, 32, x ? __builtin_clz(x) : 32)
LOOP1(clz64, u64, 32, x ? __builtin_clzll(x) : 64)

static inline u32 brev32_of(u32 v)
{
	v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
	v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
	v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
	return __builtin_bswap32(v);
}

LOOP1(brev32, u32, 32, brev32_of(x))
LOOP1(brev64, u64, 64, (u64)brev32_of((u32)x) << 32 | brev32_of((u32)(x >> 32)))

/* The highest bit that differs from the sign; all ones when there is none. */
#define TOP32(v)   ((v) ? 31 - (u32)__builtin_clz(v) : ~0u)
#define TOP64(v)   ((v) ? 63 - (u32)__builtin_clzll(v) : ~0u)
#define SHIFT32(v) ((v) ? (u32)__builtin_clz(v) : ~0u)
#define SHIFT64(v) ((v) ? (u32)__builtin_clzll(v) : ~0u)
LOOP1(bfind_u32, u32, 32, TOP32(x))
LOOP1(bfind_s32, u32, 32, TOP32(x ^ (0 - (x >> 31))))
LOOP1(bfind_u64, u64, 32, TOP64(x))
LOOP1(bfind_s64, u64, 32, TOP64(x ^ (0 - (x >> 63))))
LOOP1(bfinds_u32, u32, 32, SHIFT32(x))
LOOP1(bfinds_s32, u32, 32, SHIFT32(x ^ (0 - (x >> 31))))
LOOP1(bfinds_u64, u64, 32, SHIFT64(x))
LOOP1(bfinds_s64, u64, 32, SHIFT64(x ^ (0 - (x >> 63))))

/* Position and length are bytes; bits beyond the word repeat the sign, or are zero. */
static inline u64 bit_field(u64 v, u32 pos, u32 len, u32 bits, bool is_signed)
{
	u32 last = pos + len - 1 < bits - 1 ? pos + len - 1 : bits - 1;
	u64 sign = is_signed && len ? v >> last & 1 : 0, out;

	if (!len)
		return 0;
	out = pos < bits ? v >> pos : 0;
	if (pos >= bits)
		return sign ? ~0ull : 0;
	u32 have = last - pos + 1;

	if (have < 64)
		out = (out & ((1ull << have) - 1)) | (sign ? ~0ull << have : 0);
	return out;
}

#define BFE(name, T, BITS, SIGNED)                                                                 \
	static int name(struct warp *w, const struct insn *i, uint32_t mask)                       \
	{                                                                                          \
		const T *a = row(w, i->a);                                                         \
		const u32 *b = row(w, i->b), *c = row(w, i->c);                                    \
		T t[LANES];                                                                        \
		for (int l = 0; l < LANES; l++)                                                    \
			t[l] = (T)bit_field(a[l], b[l] & 255, c[l] & 255, BITS, SIGNED);           \
		put##BITS(row(w, i->d), t, mask);                                                  \
		return STEP_NEXT;                                                                  \
	}
BFE(bfe_u32, u32, 32, false)
BFE(bfe_s32, u32, 32, true)
BFE(bfe_u64, u64, 64, false)
BFE(bfe_s64, u64, 64, true)

#define BFI(name, T, BITS)                                                                         \
	int name(struct warp *w, const struct insn *i, uint32_t mask)                              \
	{                                                                                          \
		const T *a = row(w, i->a), *b = row(w, i->b);                                      \
		const u32 *c = row(w, i->c), *n = row(w, i->x);                                    \
		T t[LANES];                                                                        \
		for (int l = 0; l < LANES; l++) {                                                  \
			u32 pos = c[l] & 255, len = n[l] & 255;                                    \
			T m = len >= BITS ? (T) ~(T)0 : (T)(((T)1 << len) - 1);                    \
			m = pos >= BITS ? 0 : (T)(m << pos);                                       \
			t[l] = (b[l] & ~m) | (pos >= BITS ? 0 : (T)(a[l] << pos) & m);             \
		}                                                                                  \
		put##BITS(row(w, i->d), t, mask);                                                  \
		return STEP_NEXT;                                                                  \
	}
BFI(op_bfi32, u32, 32)
BFI(op_bfi64, u64, 64)

#define BY_BITS(f)                                                                                 \
	{                                                                                          \
		f##16, f##32, f##64, f##16, f##32, f##64, f##16, f##32, f##64                      \
	}
#define BY_SIGN(f)                                                                                 \
	{                                                                                          \
		f##_u16, f##_u32, f##_u64, f##_s16, f##_s32, f##_s64, NULL, NULL, NULL             \
	}
#define BITS_ONLY(f)                                                                               \
	{                                                                                          \
		NULL, NULL, NULL, NULL, NULL, NULL, f##16, f##32, f##64                            \
	}

/* Columns: u16 u32 u64 s16 s32 s64 b16 b32 b64. */
static int column(enum type t)
{
	switch (t) {
	case TY_U16:
		return 0;
	case TY_U32:
		return 1;
	case TY_U64:
		return 2;
	case TY_S16:
		return 3;
	case TY_S32:
		return 4;
	case TY_S64:
		return 5;
	case TY_B16:
		return 6;
	case TY_B32:
		return 7;
	case TY_B64:
		return 8;
	default:
		return -1;
	}
}

#define ARITHMETIC(f)                                                                              \
	{                                                                                          \
		f##16, f##32, f##64, f##16, f##32, f##64, NULL, NULL, NULL                         \
	}

static const exec_fn int2_table[I2_COUNT][9] = {
	[I2_ADD] = ARITHMETIC(add_),
	[I2_SUB] = ARITHMETIC(sub_),
	[I2_MUL_LO] = ARITHMETIC(mul_lo),
	[I2_MUL_HI] = BY_SIGN(mul_hi),
	[I2_MUL_WIDE] = {mul_wide_u16, mul_wide_u32, NULL, mul_wide_s16, mul_wide_s32},
	[I2_DIV] = BY_SIGN(div),
	[I2_REM] = BY_SIGN(rem),
	[I2_MIN] = BY_SIGN(min),
	[I2_MAX] = BY_SIGN(max),
	[I2_AND] = BITS_ONLY(and_),
	[I2_OR] = BITS_ONLY(or_),
	[I2_XOR] = BITS_ONLY(xor_),
	[I2_SHL] = BITS_ONLY(shl_),
	[I2_SHR] = {shr_u16, shr_u32, shr_u64, shr_s16, shr_s32, shr_s64, shr_u16, shr_u32,
		    shr_u64},
	[I2_ADD_SAT] = {[4] = add_sat},
	[I2_SUB_SAT] = {[4] = sub_sat},
	[I2_MUL24_LO] = {[1] = mul24_lo_u, [4] = mul24_lo_s},
	[I2_MUL24_HI] = {[1] = mul24_hi_u, [4] = mul24_hi_s},
};

static const exec_fn int1_table[I1_COUNT][9] = {
	[I1_NOT] = BITS_ONLY(not_),
	[I1_NEG] = {NULL, NULL, NULL, neg_16, neg_32, neg_64},
	[I1_ABS] = {NULL, NULL, NULL, abs_s16, abs_s32, abs_s64},
	[I1_CNOT] = BITS_ONLY(cnot_),
	[I1_POPC] = {[7] = popc32, [8] = popc64},
	[I1_CLZ] = {[7] = clz32, [8] = clz64},
	[I1_BREV] = {[7] = brev32, [8] = brev64},
	[I1_BFIND] = {[1] = bfind_u32, [2] = bfind_u64, [4] = bfind_s32, [5] = bfind_s64},
	[I1_BFIND_SHIFT] = {[1] = bfinds_u32, [2] = bfinds_u64, [4] = bfinds_s32, [5] = bfinds_s64},
};

static const exec_fn int3_table[I3_COUNT][9] = {
	[I3_MAD_LO] = ARITHMETIC(mad_lo),
	[I3_MAD_WIDE] = {mad_wide_u16, mad_wide_u32, NULL, mad_wide_s16, mad_wide_s32},
	[I3_BFE] = {[1] = bfe_u32, [2] = bfe_u64, [4] = bfe_s32, [5] = bfe_s64},
	[I3_SAD] = BY_SIGN(sad),
};

exec_fn int2_fn(enum int2 op, enum type t)
{
	int c = column(t);

	return c < 0 ? NULL : int2_table[op][c];
}

exec_fn int1_fn(enum int1 op, enum type t)
{
	int c = column(t);

	return c < 0 ? NULL : int1_table[op][c];
}

exec_fn int3_fn(enum int3 op, enum type t)
{
	int c = column(t);

	return c < 0 ? NULL : int3_table[op][c];
}
