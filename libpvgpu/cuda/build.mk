# SPDX-License-Identifier: MIT
# The guest's libcuda.so.1.
PVGPU_CUDA_OBJS := $(call obj,$(sort $(wildcard libpvgpu/cuda/*.c libpvgpu/cuda/*/*.c libpvgpu/log/*.c)) $(addprefix libpvgpu/image/,fatbin.c managed.c ptx_text.c ptx_variable.c) $(if $(NEXT),tests/protocol/next/guest.c)) \
	$(addprefix $(B)/obj/gen/,pvgpu_stubs.o pvgpu_calls_cuda.o cuda_public.o cuda_refused.o cuda_procaddr.o)

LIBS += $(B)/lib/libcuda.so.1 $(B)/lib/libcuda.so
$(B)/lib/libcuda.so.1: $(PVGPU_CUDA_OBJS) $$(PVGPU_LINK_OBJS) | $(B)/gen/libcuda.map
LDFLAGS_libcuda.so.1 = -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/libcuda.map

$(B)/lib/libcuda.so: $(B)/lib/libcuda.so.1
	$(Q)ln -sf libcuda.so.1 $@

# The tests' session executes commands in the calling thread.
GUEST_TESTS := guest_array_test guest_calls_test guest_launch_test guest_context_test guest_copy_test guest_misc_test guest_pageable_test guest_trust_test guest_undefined_test guest_vmm_test
UNIT += $(GUEST_TESTS:%=$(B)/unit/%)
$(GUEST_TESTS:%=$(B)/unit/%): $(B)/unit/%: $(B)/obj/tests/unit/guest/%.o $(call obj,tests/unit/guest/guest_fake.c) $(PVGPU_CUDA_OBJS)
GUEST_TEST_LIBS = $(CHECK_LIBS)
$(foreach t,$(GUEST_TESTS),$(eval LDLIBS_$(t) = $$(GUEST_TEST_LIBS)))
LDLIBS_guest_launch_test += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

UNIT += $(B)/unit/managed_test
$(B)/unit/managed_test: $(call obj,tests/unit/guest/managed_test.c $(addprefix libpvgpu/image/,managed.c ptx_text.c ptx_variable.c))
LDLIBS_managed_test = $(CHECK_LIBS)

# A unit test is a program that exits with 0.
UNIT += $(B)/unit/guest_symbols_test
$(B)/unit/guest_symbols_test: tests/unit/guest/guest_symbols_test.sh $(B)/lib/libcuda.so.1 libpvgpu/protocol/exports.api
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec %s %s %s\n' $(abspath $^) >$@
	$(Q)chmod +x $@
