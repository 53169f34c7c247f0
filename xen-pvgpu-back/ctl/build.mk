# SPDX-License-Identifier: MIT
PROGS += $(B)/bin/pvgpuctl
$(B)/bin/pvgpuctl: $(call obj,xen-pvgpu-back/ctl/pvgpuctl.c xen-pvgpu-back/ctl/check.c) \
	$$(CHECK_OBJS) $$(KEYS_OBJS)
LDLIBS_pvgpuctl := -ljansson
