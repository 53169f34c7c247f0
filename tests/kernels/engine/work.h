/* SPDX-License-Identifier: MIT */
/*
 * Plain functions of a thread's number, compiled both as device code and for the host: the engine's
 * results must equal the CPU's in every bit.
 */
#ifndef PVGPU_ENGINE_WORK_H
#define PVGPU_ENGINE_WORK_H

typedef unsigned char w8;
typedef unsigned short w16;
typedef unsigned int w32;
typedef unsigned long long w64;

#define OUTLINE __attribute__((noinline))

WORK w32 mix(w32 h, w32 v)
{
	h ^= v + 0x9e3779b9u + (h << 6) + (h >> 2);
	return h * 2654435761u;
}

WORK w32 small_types(w32 n)
{
	signed char a = (signed char)(n * 37);
	w8 b = (w8)(n * 91 + 3);
	short c = (short)(n * 1001);
	w16 d = (w16)(n * 7919);
	w32 h = 1;

	for (int k = 0; k < 9; k++) {
		a = (signed char)(a * 3 + k);
		b = (w8)(b / 3 + a);
		c = (short)((c >> 1) ^ (a * 8));
		d = (w16)(d % 251 + b * c);
		h = mix(h, (w32)a);
		h = mix(h, b);
		h = mix(h, (w32)c);
		h = mix(h, d < b ? d : (w32)-c);
	}
	return h;
}

WORK w32 wide_types(w32 n)
{
	w64 a = n * 0x123456789abcdefull + 99;
	long long b = (long long)(a ^ 0xfedcba9876543210ull);
	w32 h = 2;

	for (int k = 1; k < 12; k++) {
		a = a * 6364136223846793005ull + 1442695040888963407ull;
		b = b / (k * 17 - 100) + (long long)(a % (w64)(k * 1000003));
		h = mix(h, (w32)(a >> (k * 3)));
		h = mix(h, (w32)(b >> 7));
		h = mix(h, (w32)(b % 1000));
		h = mix(h, (w32)__builtin_popcountll(a) + (w32)__builtin_clzll(a | 1));
		h = mix(h, a > (w64)b ? 5 : b > 0 ? 6 : 7);
	}
	return h;
}

WORK w32 bit_tricks(w32 n)
{
	w32 h = n, v = n * 2246822519u + 1;

	for (w32 k = 0; k < 16; k++) {
		v = (v << (k & 31)) | (v >> ((32 - k) & 31));
		h = mix(h, (w32)__builtin_popcount(v));
		h = mix(h, (w32)__builtin_clz(v | 1));
		h = mix(h, __builtin_bswap32(v));
		h = mix(h, (v >> 5 & 0x7f) | (v & 0xff) << 24);
		h = mix(h, (w32)((int)v >> (k & 15)));
		v += h;
	}
	return h;
}

WORK w32 float_bits(float f)
{
	w32 v;

	__builtin_memcpy(&v, &f, sizeof(v));
	return v;
}

WORK w64 double_bits(double d)
{
	w64 v;

	__builtin_memcpy(&v, &d, sizeof(v));
	return v;
}

WORK w32 singles(w32 n)
{
	float x = (float)n * 0.37f - 5.0f, y = 1.0f / ((float)n + 0.5f), s = 0;
	w32 h = 3;

	for (int k = 0; k < 20; k++) {
		s = s * 0.9f + x * y;
		x = x - y * (float)k;
		y = y < 0.001f ? 3.25f : y * 0.75f;
		if (s > 100.0f)
			s = s / 3.0f;
		h = mix(h, float_bits(s));
		h = mix(h, (w32)(int)(x * 10.0f));
		h = mix(h, (w32)(w8)(y * 50.0f));
		h = mix(h, x < s ? 1 : x == y ? 2 : 3);
	}
	return h;
}

WORK w32 doubles(w32 n)
{
	double x = (double)(int)(n - 20) * 1.1, y = 0.1, s = 1;
	w32 h = 4;

	for (int k = 1; k < 20; k++) {
		s = s + x / (double)k;
		y = y * s - x;
		if (y > 1e6 || y < -1e6)
			y = y / 1e5;
		h = mix(h, (w32)double_bits(s));
		h = mix(h, (w32)(double_bits(y) >> 32));
		h = mix(h, float_bits((float)y));
		h = mix(h, (w32)(long long)(y * 1000.0));
	}
	return h;
}

OUTLINE WORK w32 fibonacci(w32 n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

struct triple {
	w32 a;
	double b;
	w8 c[5];
};

OUTLINE WORK struct triple turn(struct triple t, w32 by)
{
	struct triple r;

	r.a = t.a * 3 + by;
	r.b = t.b / 2 + by;
	for (int k = 0; k < 5; k++)
		r.c[k] = (w8)(t.c[(k + by) % 5] + k);
	return r;
}

WORK w32 structs(w32 n)
{
	struct triple t;
	w32 h = 5;

	t.a = n;
	t.b = n * 0.25;
	for (int k = 0; k < 5; k++)
		t.c[k] = (w8)(n + k * 50);
	for (w32 k = 0; k < 6; k++)
		t = turn(t, k + n % 3);
	h = mix(h, t.a);
	h = mix(h, (w32)double_bits(t.b));
	for (int k = 0; k < 5; k++)
		h = mix(h, t.c[k]);
	return h;
}

WORK w32 local_sort(w32 n)
{
	int v[24];
	w32 h = 6, seed = n;

	for (int k = 0; k < 24; k++) {
		seed = seed * 1103515245u + 12345u;
		v[k] = (int)(seed >> 8) % 1000 - 500;
	}
	for (int i = 1; i < 24; i++) {
		int x = v[i], j = i - 1;

		while (j >= 0 && v[j] > x) {
			v[j + 1] = v[j];
			j--;
		}
		v[j + 1] = x;
	}
	for (int k = 0; k < 24; k++)
		h = mix(h, (w32)v[k]);
	return h;
}

WORK w32 branches(w32 n)
{
	w32 h = n, state = n % 7;

	for (int k = 0; k < 40 && state != 9; k++) {
		switch (state) {
		case 0:
			state = h & 1 ? 3 : 5;
			break;
		case 1:
			state = 4;
			h += 17;
			break;
		case 2:
			h ^= 0x55;
			state = h % 6;
			continue;
		case 3:
			h = h >> 1;
			state = (h ^ n) & 3;
			break;
		case 4:
			h = h * 5 + 1;
			state = h & 8 ? 6 : 2;
			break;
		case 5:
			h -= n;
			state = 1;
			break;
		case 6:
			state = n & 16 ? 9 : 0;
			break;
		}
		h = mix(h, state);
	}
	return h;
}

OUTLINE WORK w32 twice(w32 v)
{
	return 2 * v + 1;
}

OUTLINE WORK w32 square(w32 v)
{
	return v * v;
}

OUTLINE WORK w32 flip(w32 v)
{
	return ~v;
}

WORK w32 pointers(w32 n)
{
	w32 (*f[3])(w32) = {twice, square, flip};
	w32 h = n;

	for (w32 k = 0; k < 8; k++)
		h = mix(h, f[(n + k) % 3](h));
	return h;
}

WORK w32 all_work(w32 which, w32 n)
{
	switch (which) {
	case 0:
		return small_types(n);
	case 1:
		return wide_types(n);
	case 2:
		return bit_tricks(n);
	case 3:
		return singles(n);
	case 4:
		return doubles(n);
	case 5:
		return fibonacci(n % 12);
	case 6:
		return structs(n);
	case 7:
		return local_sort(n);
	case 8:
		return branches(n);
	default:
		return pointers(n);
	}
}

#define WORK_COUNT 10

#endif
