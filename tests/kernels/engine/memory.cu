/* SPDX-License-Identifier: MIT */
/* Every kind of memory, atomics of every kind, and generic pointers to all of it. */
#include "../device.h"

__device__ u32 counters[8] = { 0, 0, 0, 0xffffffff, 0, 0, 0, 0 };
__device__ float fsum;
__device__ double dsum;
__constant__ u32 primes[8] = { 2, 3, 5, 7, 11, 13, 17, 19 };
__device__ u32 *const where = counters + 2;
__device__ const char *words[3] = { "one", "three", "fifteen" };

static __device__ __attribute__((noinline)) u32 sum_of(const u32 *p, u32 n)
{
	u32 s = 0;

	for (u32 i = 0; i < n; i++)
		s += p[i];
	return s;
}

/* The same function reads global, constant, shared and local memory. */
KERNEL generic(u32 *out, const u32 *in)
{
	__shared__ u32 shared[64];
	u32 local[8], t = threadIdx.x;

	shared[t] = in[t] * 2;
	for (u32 i = 0; i < 8; i++)
		local[i] = in[(t + i) & 63] + i;
	barrier();
	const u32 *p = t % 4 == 0 ? in : t % 4 == 1 ? primes : t % 4 == 2 ? shared : local;

	out[t] = sum_of(p, 8);
}

/* Bubble a byte array through shared and local memory, unaligned lengths. */
KERNEL bytes(u8 *out, const u8 *in, u32 n)
{
	__shared__ u8 tile[256];
	u8 mine[33];
	u32 t = threadIdx.x;

	for (u32 i = t; i < n; i += blockDim.x)
		tile[i] = (u8)(in[i] ^ 0x5a);
	barrier();
	for (u32 i = 0; i < 33; i++)
		mine[i] = tile[(t + i * 7) % n];
	u32 h = 0;
	for (u32 i = 0; i < 33; i++)
		h = h * 31 + mine[32 - i];
	const char *w = words[t % 3];
	while (*w)
		h = h * 31 + (u8)*w++;
	out[t] = (u8)(h >> 3);
}

KERNEL atomics(u32 *out, int *signed_out, u64 *wide)
{
	__shared__ u32 local_count;
	u32 t = threadIdx.x;

	if (!t)
		local_count = 0;
	barrier();
	atomic_add(&counters[0], t);
	__nvvm_atom_max_gen_ui(&counters[1], t * 3);
	__nvvm_atom_or_gen_i((int *)where, 1 << (t & 31));
	__nvvm_atom_and_gen_i((int *)&counters[3], ~(1 << (t & 7)));
	__nvvm_atom_xor_gen_i((int *)&counters[4], (int)t);
	__nvvm_atom_inc_gen_ui(&counters[5], 9);
	__nvvm_atom_dec_gen_ui(&counters[6], 9);
	__nvvm_atom_min_gen_i(&signed_out[0], -(int)t);
	__nvvm_atom_max_gen_i(&signed_out[1], -(int)t - 5);
	atomic_add(&wide[0], (u64)t << 32);
	__nvvm_atom_max_gen_ull(&wide[1], (u64)t << 40);
	__nvvm_atom_add_gen_f(&fsum, 0.5f);
	__nvvm_atom_add_gen_d(&dsum, 0.25);
	out[t] = atomic_add(&local_count, 1u);
	u32 old = counters[7], seen;
	do {
		seen = old;
		old = (u32)__nvvm_atom_cas_gen_i((int *)&counters[7], (int)seen, (int)(seen + t));
	} while (old != seen);
}

/* The results of atomics(), for the host. */
KERNEL results(u32 *out)
{
	for (u32 i = 0; i < 8; i++)
		out[i] = counters[i];
	out[8] = (u32)fsum;
	out[9] = (u32)dsum;
}

/* Vectors of two and four. */
struct alignas(16) four {
	float x, y, z, w;
};
struct alignas(8) two {
	u16 a, b, c, d;
};

KERNEL vectors(four *out, const four *in, two *small)
{
	u32 t = threadIdx.x;
	four v = in[t];
	two s = small[t];

	out[t] = four{ v.w, v.z * 2, v.y + v.x, v.x };
	small[t] = two{ s.d, (u16)(s.a + 1), s.b, s.c };
}

/* A tree sum in dynamic shared memory, a scan by shuffles in each warp. */
KERNEL reduce(u32 *out, const u32 *in)
{
	extern __shared__ u32 room[];
	u32 t = threadIdx.x, v = in[t];

	room[t] = v;
	barrier();
	for (u32 s = blockDim.x / 2; s; s >>= 1) {
		if (t < s)
			room[t] += room[t + s];
		barrier();
	}
	for (u32 by = 1; by < 32; by <<= 1) {
		u32 other = (u32)shuffle_up((int)v, by);

		if (lane() >= by)
			v += other;
	}
	out[t] = v + room[0];
}
