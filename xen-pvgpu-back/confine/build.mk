# SPDX-License-Identifier: MIT
# The sandboxes' parts. An archive, as contract.a: list it before -lseccomp.
CONFINE := $(B)/obj/xen-pvgpu-back/confine.a
$(CONFINE): $(call obj,$(sort $(wildcard xen-pvgpu-back/confine/*.c)))
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
