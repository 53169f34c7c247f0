# SPDX-License-Identifier: MIT
HEALTH_SRCS := $(sort $(wildcard xen-pvgpu-back/health/*.c))

PROGS += $(B)/bin/pvgpu-health
$(B)/bin/pvgpu-health: $(call obj,$(HEALTH_SRCS)) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-health := -ldl -lseccomp

# The script that resets a GPU.
PROGS += $(B)/bin/pvgpu-gpu-reset
$(B)/bin/pvgpu-gpu-reset: xen-pvgpu-back/health/pvgpu-gpu-reset
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

UNIT += $(B)/unit/health_sample_test
$(B)/unit/health_sample_test: $(call obj,tests/unit/daemon/health_sample_test.c $(filter-out %/main.c,$(HEALTH_SRCS))) $$(CONTRACT)
LDLIBS_health_sample_test = $(CHECK_LIBS) -ldl
