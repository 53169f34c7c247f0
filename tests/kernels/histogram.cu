/* SPDX-License-Identifier: MIT */
/* Bytes counted into 256 bins: in shared memory first, then added up. */
#include "device.h"

KERNEL histogram(const u8 *in, u32 n, u32 *bins)
{
	__shared__ u32 local[256];

	for (u32 i = threadIdx.x; i < 256; i += blockDim.x)
		local[i] = 0;
	barrier();
	for (u32 i = global_index(); i < n; i += global_count())
		atomic_add(&local[in[i]], 1u);
	barrier();
	for (u32 i = threadIdx.x; i < 256; i += blockDim.x)
		atomic_add(&bins[i], local[i]);
}

/* Every kind of read-modify-write on one word each, by all threads. */
KERNEL atomics(u32 *w, u64 *wide, float *f)
{
	u32 i = global_index();

	atomic_add(&w[0], i);
	__atomic_fetch_sub(&w[1], i, __ATOMIC_RELAXED);
	__atomic_fetch_and(&w[2], ~(1u << (i & 15)), __ATOMIC_RELAXED);
	__atomic_fetch_or(&w[3], 1u << (i & 31), __ATOMIC_RELAXED);
	__atomic_fetch_xor(&w[4], i, __ATOMIC_RELAXED);
	__nvvm_atom_max_gen_ui(&w[5], i);
	__nvvm_atom_min_gen_ui(&w[6], 1000000 - i);
	__nvvm_atom_inc_gen_ui(&w[7], 99);
	u32 expected = i, wanted = i + 1;
	if (__atomic_compare_exchange_n(&w[8], &expected, wanted, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		atomic_add(&w[9], 1u);
	__atomic_fetch_add(&wide[0], (u64)i << 32, __ATOMIC_RELAXED);
	__nvvm_atom_add_gen_f(f, 0.5f);
}
