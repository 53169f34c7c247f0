/* SPDX-License-Identifier: MIT */
/* Kernels that take a while, wait for the host, or wait for each other. */
#include "device.h"

/* Occupy the device for this long without much work, then set a word. */
KERNEL delay(u64 nanoseconds, u32 *word, u32 value)
{
	u64 start = global_timer();

	while (global_timer() - start < nanoseconds)
		nap(20000);
	if (!global_index() && word)
		*word = value;
}

/* Append to a log in device memory: which launch ran when. */
KERNEL append(u32 *log, u32 value)
{
	if (!global_index())
		log[1 + atomic_add(&log[0], 1u)] = value;
}

/* All blocks wait for all blocks: this ends for certain only in a cooperative launch. */
INLINE void grid_barrier(u32 *arrived, u32 goal)
{
	barrier();
	if (!threadIdx.x) {
		fence();
		atomic_add(arrived, 1u);
		while (__atomic_load_n(arrived, __ATOMIC_RELAXED) < goal)
			nap(1000);
		fence();
	}
	barrier();
}

/* Each block writes, then reads its neighbour's word, `rounds` times. */
KERNEL ring(u32 *words, u32 *arrived, u32 rounds)
{
	u32 mine = blockIdx.x, next = (blockIdx.x + 1) % gridDim.x, v;

	for (u32 r = 0; r < rounds; r++) {
		v = __atomic_load_n(&words[next], __ATOMIC_RELAXED);
		grid_barrier(arrived, gridDim.x * (2 * r + 1));
		if (!threadIdx.x)
			__atomic_store_n(&words[mine], v + 1, __ATOMIC_RELAXED);
		grid_barrier(arrived, gridDim.x * (2 * r + 2));
	}
}

/* Reverse a block's words through dynamic shared memory. */
KERNEL reverse(u32 *p, u32 n)
{
	extern __shared__ u32 room[];

	for (u32 i = threadIdx.x; i < n; i += blockDim.x)
		room[i] = p[blockIdx.x * n + i];
	barrier();
	for (u32 i = threadIdx.x; i < n; i += blockDim.x)
		p[blockIdx.x * n + i] = room[n - 1 - i];
}

/* Keeps a private array, so that local memory is needed. */
KERNEL private_array(u32 *out, u32 n, u32 stride)
{
	volatile u32 a[64];
	u32 total = 0;

	for (u32 i = 0; i < 64; i++)
		a[i] = i * n;
	for (u32 i = 0; i < 64; i += stride)
		total += a[i];
	out[global_index()] = total;
}

/* At most 128 threads a block. */
extern "C" __attribute__((launch_bounds(128))) __global__ void bounded(u32 *out)
{
	out[global_index()] = blockDim.x;
}
