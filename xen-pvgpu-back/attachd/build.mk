# SPDX-License-Identifier: MIT
ATTACHD_SRCS := $(addprefix xen-pvgpu-back/,attachd/keep.c daemon/log.c)

PROGS += $(B)/bin/pvgpu-attachd
$(B)/bin/pvgpu-attachd: $$(call obj,xen-pvgpu-back/attachd/main.c $$(ATTACHD_SRCS) $$(CTL_SRCS)) $$(KEYS_OBJS)
LDLIBS_pvgpu-attachd := -lxenstore -lev -linih -ljansson

UNIT += $(B)/unit/attachd_test
$(B)/unit/attachd_test: $$(call obj,tests/unit/attachd_test.c $$(ATTACHD_SRCS) $$(CTL_SRCS)) $$(FAKE_XENSTORE) $$(KEYS_OBJS)
LDLIBS_attachd_test = $(CHECK_LIBS) -linih -ljansson
