/* SPDX-License-Identifier: MIT */
/*
 * The environment of ring.h, in user space (compiler builtins) and in the kernel: types, memcpy,
 * ordered access to shared words, a full barrier.
 *
 * pvgpu_copied() follows each copy out of shared memory. From then on the compiler may not read the
 * source again in place of the copy, which was or will be checked.
 */
#ifndef PVGPU_RING_COMPAT_H
#define PVGPU_RING_COMPAT_H

#ifdef __KERNEL__

#include <linux/types.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <asm/barrier.h>
#include <linux/atomic.h>

#define pvgpu_load(p)             READ_ONCE(*(p))
#define pvgpu_load_acquire(p)     smp_load_acquire(p)
#define pvgpu_store(p, v)         WRITE_ONCE(*(p), v)
#define pvgpu_store_release(p, v) smp_store_release(p, v)
#define pvgpu_exchange(p, v)      xchg(p, v)
#define pvgpu_full_barrier()      smp_mb()
#define pvgpu_copied()            barrier()

#else

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define pvgpu_load(p)             __atomic_load_n(p, __ATOMIC_RELAXED)
#define pvgpu_load_acquire(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define pvgpu_store(p, v)         __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define pvgpu_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define pvgpu_exchange(p, v)      __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)

/* A test defines it, to be the other side. */
#ifndef pvgpu_copied
#define pvgpu_copied() __asm__ __volatile__("" ::: "memory")
#endif

/*
 * gcc warns that thread sanitizer does not model a fence. That is harmless here: data is ordered by
 * acquire and release on the indices, the fence only orders an index against a flag, both atomic.
 */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wtsan"
#endif
static inline void pvgpu_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
#endif
