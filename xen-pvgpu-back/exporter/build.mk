# SPDX-License-Identifier: MIT
# pvgpu-exporter: pvgpud's statistics over HTTP.
PROGS += $(B)/bin/pvgpu-exporter
$(B)/bin/pvgpu-exporter: $(call obj,$(sort $(wildcard xen-pvgpu-back/exporter/*.c))) $$(call obj,$$(STATISTICS_SRCS)) $$(KEYS_OBJS)
LDLIBS_pvgpu-exporter := -lmicrohttpd
