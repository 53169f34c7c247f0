# SPDX-License-Identifier: MIT
PROGS += $(B)/bin/pvgpuctl
$(B)/bin/pvgpuctl: $(call obj,xen-pvgpu-back/ctl/pvgpuctl.c)
LDLIBS_pvgpuctl := -ljansson
