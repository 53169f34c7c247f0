# SPDX-License-Identifier: MIT
CTL_SRCS := $(sort $(wildcard xen-pvgpu-back/ctl/*.c xen-pvgpu-back/ctl/*/*.c))

PROGS += $(B)/bin/pvgpuctl
PVGPUCTL_OBJS = $(call obj,$(CTL_SRCS) $(TOOLSTACK_SRCS) $(STATISTICS_SRCS)) $(CHECK_OBJS) $(KEYS_OBJS) $(SIM_OBJS) $(SIZING_OBJS)
$(B)/bin/pvgpuctl: $$(PVGPUCTL_OBJS)
LDLIBS_pvgpuctl := -lxenstore -linih -ljansson -lm

UNIT += $(addprefix $(B)/unit/,ctl_attach_test ctl_vms_test ctl_cli_test ctl_site_test ctl_drain_test ctl_meeting_test)
$(B)/unit/ctl_attach_test: $$(call obj,tests/unit/ctl/ctl_attach_test.c xen-pvgpu-back/ctl/core/await.c $$(TOOLSTACK_SRCS)) $$(FAKE_XENSTORE) \
	$$(CHECK_OBJS) $$(KEYS_OBJS)
LDLIBS_ctl_attach_test = $(CHECK_LIBS) -linih -ljansson
$(B)/unit/ctl_vms_test: $$(call obj,tests/unit/ctl/ctl_vms_test.c $$(TOOLSTACK_SRCS)) $$(FAKE_XENSTORE) $$(KEYS_OBJS)
LDLIBS_ctl_vms_test = $(CHECK_LIBS) -linih -ljansson
$(B)/unit/ctl_cli_test $(B)/unit/ctl_site_test $(B)/unit/ctl_drain_test $(B)/unit/ctl_meeting_test: $(B)/unit/%: $(B)/obj/tests/unit/ctl/%.o \
	$$(call obj,tests/unit/ctl/ctl_run.c $(filter-out %/main.c,$(CTL_SRCS)) $$(TOOLSTACK_SRCS) $$(STATISTICS_SRCS)) $$(FAKE_XENSTORE) \
	$$(CHECK_OBJS) $$(KEYS_OBJS) $$(SIM_OBJS) $$(SIZING_OBJS)
LDLIBS_ctl_site_test = $(CHECK_LIBS) -linih -ljansson -lm
LDLIBS_ctl_drain_test = $(CHECK_LIBS) -linih -ljansson -lm
LDLIBS_ctl_meeting_test = $(CHECK_LIBS) -linih -ljansson -lm
LDLIBS_ctl_cli_test = $(CHECK_LIBS) -linih -ljansson -lm
