# SPDX-License-Identifier: MIT
PLACE_OBJS := $(call obj,xen-pvgpu-back/sched/place.c)

UNIT += $(B)/unit/place_test
$(B)/unit/place_test: $(call obj,tests/unit/place_test.c) $(PLACE_OBJS)
LDLIBS_place_test = $(CHECK_LIBS)
