# SPDX-License-Identifier: MIT
# What pvgpuctl and pvgpu-exporter share.
STATISTICS_SRCS := $(sort $(wildcard xen-pvgpu-back/statistics/*.c))

UNIT += $(B)/unit/latency_test
$(B)/unit/latency_test: $(call obj,tests/unit/daemon/latency_test.c $(STATISTICS_SRCS)) $$(KEYS_OBJS)
LDLIBS_latency_test = $(CHECK_LIBS)
