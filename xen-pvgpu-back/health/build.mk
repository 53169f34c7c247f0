# SPDX-License-Identifier: MIT
HEALTH_SRCS := $(addprefix xen-pvgpu-back/health/,main.c nvml.c sample.c)

PROGS += $(B)/bin/pvgpu-health
$(B)/bin/pvgpu-health: $(call obj,$(HEALTH_SRCS) xen-pvgpu-back/daemon/log.c)
LDLIBS_pvgpu-health := -ldl

UNIT += $(B)/unit/entitle_test
$(B)/unit/entitle_test: $(call obj,tests/unit/entitle_test.c xen-pvgpu-back/daemon/entitle.c)
LDLIBS_entitle_test = $(CHECK_LIBS)
