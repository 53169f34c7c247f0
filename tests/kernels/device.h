/* SPDX-License-Identifier: MIT */
/* CUDA's device language for clang without an SDK: attributes, indices and the few calls used here.
 */
#ifndef PVGPU_TEST_DEVICE_H
#define PVGPU_TEST_DEVICE_H

#define __global__   __attribute__((global))
#define __device__   __attribute__((device))
#define __shared__   __attribute__((shared))
#define __constant__ __attribute__((constant))
#define KERNEL       extern "C" __global__ void
#define INLINE       static __device__ inline __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* threadIdx.x and the like read special registers. */
#define INDEX(type, sreg)                                                                          \
	struct type {                                                                              \
		struct {                                                                           \
			INLINE_MEMBER operator u32() const                                         \
			{                                                                          \
				return __nvvm_read_ptx_sreg_##sreg##_x();                          \
			}                                                                          \
		} x;                                                                               \
		struct {                                                                           \
			INLINE_MEMBER operator u32() const                                         \
			{                                                                          \
				return __nvvm_read_ptx_sreg_##sreg##_y();                          \
			}                                                                          \
		} y;                                                                               \
		struct {                                                                           \
			INLINE_MEMBER operator u32() const                                         \
			{                                                                          \
				return __nvvm_read_ptx_sreg_##sreg##_z();                          \
			}                                                                          \
		} z;                                                                               \
	};
#define INLINE_MEMBER __device__ inline __attribute__((always_inline))
INDEX(thread_index, tid)
INDEX(block_index, ctaid)
INDEX(block_size, ntid)
INDEX(grid_size, nctaid)
#undef INDEX
#undef INLINE_MEMBER

#define threadIdx (thread_index{})
#define blockIdx  (block_index{})
#define blockDim  (block_size{})
#define gridDim   (grid_size{})

INLINE u32 global_index()
{
	return blockIdx.x * blockDim.x + threadIdx.x;
}

INLINE u32 global_count()
{
	return gridDim.x * blockDim.x;
}

INLINE u32 lane()
{
	return threadIdx.x & 31;
}

INLINE void barrier()
{
	__syncthreads();
}

INLINE void fence()
{
	__nvvm_membar_gl();
}

#define ALL_LANES 0xffffffffu

INLINE int shuffle_down(int v, u32 by)
{
	return __nvvm_shfl_sync_down_i32(ALL_LANES, v, by, 31);
}

INLINE int shuffle_up(int v, u32 by)
{
	return __nvvm_shfl_sync_up_i32(ALL_LANES, v, by, 0);
}

INLINE int shuffle_xor(int v, u32 with)
{
	return __nvvm_shfl_sync_bfly_i32(ALL_LANES, v, with, 31);
}

INLINE float shuffle_down(float v, u32 by)
{
	return __nvvm_shfl_sync_down_f32(ALL_LANES, v, by, 31);
}

INLINE u32 ballot(bool v)
{
	return __nvvm_vote_ballot_sync(ALL_LANES, v);
}

INLINE u32 atomic_add(u32 *p, u32 v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

INLINE u64 atomic_add(u64 *p, u64 v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

/* Sleep for about this long (at most a millisecond), leaving the multiprocessor to other threads.
 */
INLINE void nap(u32 nanoseconds)
{
	asm volatile("nanosleep.u32 %0;" ::"r"(nanoseconds));
}

INLINE u64 global_timer()
{
	u64 t;

	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
	return t;
}

INLINE void trap()
{
	asm volatile("trap;");
}

extern "C" __device__ int printf(const char *format, ...);
extern "C" __device__ void __assertfail(const char *message, const char *file, u32 line,
					const char *function, unsigned long char_size);
#define device_assert(what)                                                                        \
	do {                                                                                       \
		if (!(what))                                                                       \
			__assertfail(#what, "fault.cu", __LINE__, __func__, 1);                    \
	} while (0)

#endif
