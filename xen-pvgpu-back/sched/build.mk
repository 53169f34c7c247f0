# SPDX-License-Identifier: MIT
# What links the scheduler.
SCHED_OBJS := $(call obj,$(addprefix xen-pvgpu-back/sched/,sched.c share.c queue.c limit.c vtime.c stats.c wait.c heap.c pace.c \
	fair.c equal.c fixed.c best_effort.c rate.c))

UNIT += $(addprefix $(B)/unit/,sched_test sched_share_test sched_minimum_test sched_api_test sched_property_test sched_parts_test)
$(B)/unit/sched_test: $(call obj,tests/unit/sched_test.c tests/unit/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_test = $(CHECK_LIBS)
$(B)/unit/sched_share_test: $(call obj,tests/unit/sched_share_test.c tests/unit/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_share_test = $(CHECK_LIBS)
$(B)/unit/sched_minimum_test: $(call obj,tests/unit/sched_minimum_test.c tests/unit/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_minimum_test = $(CHECK_LIBS)
$(B)/unit/sched_api_test: $(call obj,tests/unit/sched_api_test.c tests/unit/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_api_test = $(CHECK_LIBS)
$(B)/unit/sched_parts_test: $(call obj,tests/unit/sched_parts_test.c) $(SCHED_OBJS)
LDLIBS_sched_parts_test = $(CHECK_LIBS)
$(B)/unit/sched_property_test: $(call obj,tests/unit/sched_property_test.c tests/unit/sched_random.c tests/unit/sched_drive.c) $(SCHED_OBJS)
LDLIBS_sched_property_test = $(CHECK_LIBS)

# Where a vGPU is placed.
PLACE_OBJS := $(call obj,xen-pvgpu-back/sched/place.c)

UNIT += $(B)/unit/place_test
$(B)/unit/place_test: $(call obj,tests/unit/place_test.c) $(PLACE_OBJS)
LDLIBS_place_test = $(CHECK_LIBS)

# Both on modelled GPUs: the simulator and pvgpuctl's sizing. Wants -lm.
SIM_OBJS := $(call obj,$(addprefix xen-pvgpu-back/sched/sim/,sim.c gate.c device.c load.c dist.c events.c)) $(SCHED_OBJS) $(PLACE_OBJS)

SIZING_OBJS := $(call obj,xen-pvgpu-back/sched/sim/sizing.c)

UNIT += $(addprefix $(B)/unit/,sim_test sizing_test)
$(B)/unit/sim_test: $(call obj,tests/unit/sim_test.c) $(SIM_OBJS)
LDLIBS_sim_test = $(CHECK_LIBS) -lm
$(B)/unit/sizing_test: $(call obj,tests/unit/sizing_test.c) $(SIZING_OBJS) $(SIM_OBJS)
LDLIBS_sizing_test = $(CHECK_LIBS) -lm
