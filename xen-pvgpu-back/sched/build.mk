# SPDX-License-Identifier: MIT
# The scheduler and its turns; where a vGPU is placed, which needs nothing of it.
PLACE_SRCS := xen-pvgpu-back/sched/place.c
SCHED_OBJS := $(call obj,$(filter-out $(PLACE_SRCS),$(sort $(wildcard xen-pvgpu-back/sched/*.c xen-pvgpu-back/sched/turn/*.c))))
PLACE_OBJS := $(call obj,$(PLACE_SRCS))

UNIT += $(addprefix $(B)/unit/,sched_test sched_share_test sched_minimum_test sched_api_test sched_joint_test sched_due_test sched_property_test sched_parts_test sched_pieces_test)
$(B)/unit/sched_test: $(call obj,tests/unit/sched/sched_test.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_test = $(CHECK_LIBS)
$(B)/unit/sched_share_test: $(call obj,tests/unit/sched/sched_share_test.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_share_test = $(CHECK_LIBS)
$(B)/unit/sched_minimum_test: $(call obj,tests/unit/sched/sched_minimum_test.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_minimum_test = $(CHECK_LIBS)
$(B)/unit/sched_api_test: $(call obj,tests/unit/sched/sched_api_test.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_api_test = $(CHECK_LIBS)
$(B)/unit/sched_joint_test: $(call obj,tests/unit/sched/sched_joint_test.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_joint_test = $(CHECK_LIBS)
$(B)/unit/sched_due_test: $(call obj,tests/unit/sched/sched_due_test.c) $(SCHED_OBJS)
LDLIBS_sched_due_test = $(CHECK_LIBS)
$(B)/unit/sched_parts_test: $(call obj,tests/unit/sched/sched_parts_test.c) $(SCHED_OBJS)
LDLIBS_sched_parts_test = $(CHECK_LIBS)
$(B)/unit/sched_property_test: $(call obj,tests/unit/sched/sched_property_test.c tests/unit/sched/sched_random.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_property_test = $(CHECK_LIBS)
$(B)/unit/sched_pieces_test: $(call obj,tests/unit/sched/sched_pieces_test.c tests/unit/sched/sched_random.c tests/unit/sched/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_pieces_test = $(CHECK_LIBS)

UNIT += $(B)/unit/place_test
$(B)/unit/place_test: $(call obj,tests/unit/sched/place_test.c) $(PLACE_OBJS)
LDLIBS_place_test = $(CHECK_LIBS)

# Both on modelled GPUs: the simulator and pvgpuctl's sizing. Wants -lm.
SIZING_SRCS := xen-pvgpu-back/sched/sim/sizing.c
SIM_OBJS    := $(call obj,$(filter-out $(SIZING_SRCS),$(sort $(wildcard xen-pvgpu-back/sched/sim/*.c)))) $(SCHED_OBJS) $(PLACE_OBJS)
SIZING_OBJS := $(call obj,$(SIZING_SRCS))

UNIT += $(addprefix $(B)/unit/,sim_test sizing_test)
$(B)/unit/sim_test: $(call obj,tests/unit/sched/sim_test.c) $(SIM_OBJS)
LDLIBS_sim_test = $(CHECK_LIBS) -lm
$(B)/unit/sizing_test: $(call obj,tests/unit/sched/sizing_test.c) $(SIZING_OBJS) $(SIM_OBJS)
LDLIBS_sizing_test = $(CHECK_LIBS) -lm
