# SPDX-License-Identifier: MIT
ATTACHD_SRCS := $(sort $(wildcard xen-pvgpu-back/attachd/*.c))

PROGS += $(B)/bin/pvgpu-attachd
ATTACHD_OBJS = $(call obj,$(ATTACHD_SRCS) $(TOOLSTACK_SRCS)) $(KEYS_OBJS)
$(B)/bin/pvgpu-attachd: $$(ATTACHD_OBJS) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-attachd := -ldl -lseccomp -lxenstore -lev -linih -ljansson

UNIT += $(B)/unit/attachd_test
$(B)/unit/attachd_test: $$(call obj,tests/unit/ctl/attachd_test.c $(filter-out %/main.c,$(ATTACHD_SRCS)) $$(TOOLSTACK_SRCS)) $$(FAKE_XENSTORE) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_attachd_test = $(CHECK_LIBS) -linih -ljansson
