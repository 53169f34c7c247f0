/* SPDX-License-Identifier: MIT */
/* The forms that public functions are written in, over the types of cuda.h. */
#ifndef PVGPU_CUDA_CORE_PUBLIC_H
#define PVGPU_CUDA_CORE_PUBLIC_H

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL /* cuda.h must not rename calls to their latest revision */
#endif
#include <cuda.h>

#include "cuda_public.h" /* what is defined here is what public functions go on to */

#include <stdbool.h>

#define PUBLIC      __attribute__((visibility("default")))
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * A call and its form for programs whose default stream is the thread's own. call may use
 * per_thread. _ptds: the call has no stream parameter; _ptsz: it has one.
 */
#define CU_WITH_THREAD_FORM(name, suffix, params, call)                                            \
	PUBLIC CUresult name params                                                                \
	{                                                                                          \
		const bool per_thread = false;                                                     \
		return (CUresult)(call);                                                           \
	}                                                                                          \
	PUBLIC CUresult name##suffix params                                                        \
	{                                                                                          \
		const bool per_thread = true;                                                      \
		return (CUresult)(call);                                                           \
	}
#define CU_PTDS(name, params, call) CU_WITH_THREAD_FORM(name, _ptds, params, call)
#define CU_PTSZ(name, params, call) CU_WITH_THREAD_FORM(name, _ptsz, params, call)

#endif
