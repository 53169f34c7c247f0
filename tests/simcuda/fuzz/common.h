/* SPDX-License-Identifier: MIT */
/* What generated kernels use alike on both sides; device.h and host.h give it its meaning. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define THREADS_MAX 96
#define IN_WORDS    4
#define OUT_WORDS   12
/* Words of shared memory that atomics of one kind each work on, with their initial values. */
#define ACC_WORDS 8
#define ACC_INIT                                                                                   \
	{                                                                                          \
		0, ~0u, 0, ~0u, 0, 0, 0x7fffffff, 0x80000000u                                      \
	}

/* Which NaN a calculation gives is not a CPU's. */
FN u32 fbits(float x)
{
	u32 v;

	__builtin_memcpy(&v, &x, 4);
	return x != x ? 0x7fffffffu : v;
}

FN u64 dbits(double x)
{
	u64 v;

	__builtin_memcpy(&v, &x, 8);
	return x != x ? 0x7fffffffffffffffull : v;
}

FN float bitsf(u32 v)
{
	float x;

	__builtin_memcpy(&x, &v, 4);
	return x;
}

/* A small number of either sign; a third of all bits have an exponent of their own. */
FN float number(u32 v)
{
	return v % 3 ? (float)(s32)(v % 2001) / 8 - 125 : bitsf(v);
}

#define udiv(a, b)     ((a) / ((b) | 1))
#define urem(a, b)     ((a) % ((b) | 1))
#define sdiv(a, b)     ((u32)((s32)(a) / (s32)(((b)&0x7fffffff) | 1)))
#define srem(a, b)     ((u32)((s32)(a) % (s32)(((b)&0x7fffffff) | 1)))
#define umin(a, b)     ((a) < (b) ? (a) : (b))
#define umax(a, b)     ((a) > (b) ? (a) : (b))
#define smin(a, b)     ((s32)(a) < (s32)(b) ? (a) : (b))
#define smax(a, b)     ((s32)(a) > (s32)(b) ? (a) : (b))
#define shl(a, b)      ((a) << AMOUNT((b)&31))
#define shr(a, b)      ((a) >> ((b)&31))
#define sar(a, b)      ((u32)((s32)(a) >> ((b)&31)))
#define shl64(a, b)    ((a) << AMOUNT((b)&63))
#define shr64(a, b)    ((a) >> ((b)&63))
#define sar64(a, b)    ((u64)((s64)(a) >> ((b)&63)))
#define rotl(a, b)     ((a) << ((b)&31) | (a) >> (-(b)&31))
#define bits(a, n, w)  ((a) >> (n) & ((1u << (w)) - 1))
#define sbits(a, n, w) ((u32)((s32)((a) << (32 - (n) - (w))) >> (32 - (w))))

#define STORE(o)                                                                                   \
	do {                                                                                       \
		(o)[0] = V(a), (o)[1] = V(b), (o)[2] = V(c), (o)[3] = V(d);                        \
		(o)[4] = (u32)V(p), (o)[5] = (u32)(V(p) >> 32), (o)[6] = (u32)V(q),                \
		(o)[7] = (u32)(V(q) >> 32), (o)[8] = fbits(V(x)), (o)[9] = fbits(V(y));            \
		(o)[10] = (u32)dbits(V(z)), (o)[11] = (u32)(dbits(V(z)) >> 32);                    \
	} while (0)
