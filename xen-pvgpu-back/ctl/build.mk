# SPDX-License-Identifier: MIT
# What pvgpuctl and pvgpu-attachd share: xenstore, domains, vGPUs, attach, the VMs' files.
CTL_SRCS := $(addprefix xen-pvgpu-back/ctl/,store.c domains.c wish.c vgpus.c attach.c vms.c)
PVGPUCTL_SRCS := $(CTL_SRCS) $(addprefix xen-pvgpu-back/ctl/,pvgpuctl.c local.c check.c await.c xen.c xen_attach.c xen_list.c sizing.c)
FAKE_XENSTORE := $(call obj,tests/unit/fake_xenstore.c)

PROGS += $(B)/bin/pvgpuctl
$(B)/bin/pvgpuctl: $(call obj,$(PVGPUCTL_SRCS) xen-pvgpu-back/ctl/main.c) $$(CHECK_OBJS) $$(KEYS_OBJS) $$(SIM_OBJS) $$(SIZING_OBJS)
LDLIBS_pvgpuctl := -lxenstore -linih -ljansson -lm

UNIT += $(addprefix $(B)/unit/,ctl_attach_test ctl_vms_test ctl_cli_test)
$(B)/unit/ctl_attach_test: $(call obj,tests/unit/ctl_attach_test.c xen-pvgpu-back/ctl/await.c $(CTL_SRCS)) $(FAKE_XENSTORE) \
	$$(CHECK_OBJS) $$(KEYS_OBJS)
LDLIBS_ctl_attach_test = $(CHECK_LIBS) -linih -ljansson
$(B)/unit/ctl_vms_test: $(call obj,tests/unit/ctl_vms_test.c $(CTL_SRCS)) $(FAKE_XENSTORE) $$(KEYS_OBJS)
LDLIBS_ctl_vms_test = $(CHECK_LIBS) -linih -ljansson
$(B)/unit/ctl_cli_test: $(call obj,tests/unit/ctl_cli_test.c $(PVGPUCTL_SRCS)) $(FAKE_XENSTORE) $$(CHECK_OBJS) $$(KEYS_OBJS) \
	$$(SIM_OBJS) $$(SIZING_OBJS)
LDLIBS_ctl_cli_test = $(CHECK_LIBS) -linih -ljansson -lm
