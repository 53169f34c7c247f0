/* SPDX-License-Identifier: MIT */
/* The groups of wrong calls: errors_calls.c (refused), errors_faults.c (kernels that go wrong). */
#ifndef PVGPU_TEST_ERRORS_H
#define PVGPU_TEST_ERRORS_H

#include "tests/programs/common.h"

bool same_result(CUresult got, CUresult want, CUresult other);
void show(const char *call, CUresult got);

/* The call must give this result; it is printed, so that both ways of running show the same. */
#define REFUSED2(want, other, call)                                                                \
	do {                                                                                       \
		CUresult got_ = (call);                                                            \
		CHECK(same_result(got_, want, other), "%s: %s, not %s", #call, result_name(got_),  \
		      result_name(want));                                                          \
		show(#call, got_);                                                                 \
	} while (0)
#define REFUSED(want, call) REFUSED2(want, want, call)

void errors_uninitialised(void);
void errors_no_context(void);
void errors_null(void);
void errors_values(void);
void errors_handles(void);
void errors_images(void);
void errors_launches(void);
void errors_memory(void);
void errors_contexts(void);
void fault_null(void);
void fault_wild(void);
void fault_read(void);
void fault_misaligned(void);
void fault_trap(void);
void fault_assert(void);
void fault_other_stream(void);
void fault_copy(void);
void fault_callback(void);

#endif
