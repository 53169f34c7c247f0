# SPDX-License-Identifier: MIT
# The guest's session runtime, part of libcuda.so.1; linked together with the generated stubs.
PVGPU_LINK_OBJS := $(call obj,$(sort $(wildcard libpvgpu/link/*.c)))

# Tests with a fake worker.
UNIT += $(B)/unit/session_call_test $(B)/unit/session_life_test
$(B)/unit/session_call_test: $(call obj,tests/unit/guest/session_call_test.c)
$(B)/unit/session_life_test: $(call obj,tests/unit/guest/session_life_test.c)
$(B)/unit/session_call_test $(B)/unit/session_life_test: $(call obj,tests/unit/guest/fake_worker.c) $(PVGPU_LINK_OBJS) \
	$(B)/obj/gen/pvgpu_stubs.o
LDLIBS_session_call_test = $(CHECK_LIBS)
LDLIBS_session_life_test = $(CHECK_LIBS)

UNIT += $(B)/unit/arena_test
$(B)/unit/arena_test: $(call obj,tests/unit/guest/arena_test.c libpvgpu/link/pages.c)
LDLIBS_arena_test = $(CHECK_LIBS)

UNIT += $(B)/unit/device_link_test
$(B)/unit/device_link_test: $(call obj,tests/unit/guest/device_link_test.c $(addprefix libpvgpu/link/,choose.c local.c device.c identity.c))
LDLIBS_device_link_test = $(CHECK_LIBS)

UNIT += $(B)/unit/region_test
$(B)/unit/region_test: $(call obj,tests/unit/guest/region_test.c) $(PVGPU_LINK_OBJS) $(B)/obj/gen/pvgpu_stubs.o
LDLIBS_region_test = $(CHECK_LIBS)
