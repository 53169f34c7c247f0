# SPDX-License-Identifier: MIT
HEALTH_SRCS := $(addprefix xen-pvgpu-back/health/,main.c nvml.c sample.c)

PROGS += $(B)/bin/pvgpu-health
$(B)/bin/pvgpu-health: $(call obj,$(HEALTH_SRCS) xen-pvgpu-back/daemon/log.c)
LDLIBS_pvgpu-health := -ldl

UNIT += $(B)/unit/entitle_test
$(B)/unit/entitle_test: $(call obj,tests/unit/entitle_test.c xen-pvgpu-back/daemon/entitle.c)
LDLIBS_entitle_test = $(CHECK_LIBS)

UNIT += $(B)/unit/health_sample_test
$(B)/unit/health_sample_test: $(call obj,tests/unit/health_sample_test.c xen-pvgpu-back/health/sample.c \
	xen-pvgpu-back/health/nvml.c xen-pvgpu-back/daemon/log.c)
LDLIBS_health_sample_test = $(CHECK_LIBS) -ldl

UNIT += $(B)/unit/judge_test
$(B)/unit/judge_test: $(call obj,tests/unit/judge_test.c xen-pvgpu-back/daemon/judge.c)
LDLIBS_judge_test = $(CHECK_LIBS)

UNIT += $(B)/unit/account_check_test
$(B)/unit/account_check_test: $(call obj,tests/unit/account_check_test.c xen-pvgpu-back/daemon/account_check.c)
LDLIBS_account_check_test = $(CHECK_LIBS)
UNIT += $(B)/unit/account_test
$(B)/unit/account_test: $(call obj,tests/unit/account_test.c $(addprefix xen-pvgpu-back/daemon/,account.c account_check.c judge.c))
LDLIBS_account_test = $(CHECK_LIBS)
