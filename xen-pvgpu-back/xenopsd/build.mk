# SPDX-License-Identifier: MIT
XENOPSD_SRCS := $(sort $(wildcard xen-pvgpu-back/xenopsd/*.c))

PROGS += $(B)/bin/pvgpu-vgpu
XENOPSD_OBJS = $(call obj,$(XENOPSD_SRCS) $(TOOLSTACK_SRCS)) $(KEYS_OBJS)
$(B)/bin/pvgpu-vgpu: $$(XENOPSD_OBJS) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-vgpu := -ldl -lseccomp -lxenstore -linih -ljansson

UNIT += $(B)/unit/xenopsd_test
$(B)/unit/xenopsd_test: $$(call obj,tests/unit/ctl/xenopsd_test.c $(filter-out %/main.c,$(XENOPSD_SRCS)) $$(TOOLSTACK_SRCS)) $$(FAKE_XENSTORE) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_xenopsd_test = $(CHECK_LIBS) -linih -ljansson
