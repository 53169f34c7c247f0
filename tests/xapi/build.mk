# SPDX-License-Identifier: MIT
# The xe plugin, called as xapi calls it, over pvgpuctl with a xenstore that is a file.
TESTPROGS += $(B)/tests/pvgpuctl-fake
$(B)/tests/pvgpuctl-fake: $$(call obj,tests/xapi/ctl_fake.c $$(filter-out %/main.c,$$(CTL_SRCS)) $$(TOOLSTACK_SRCS) $$(STATISTICS_SRCS)) $$(FAKE_XENSTORE) \
	$$(CHECK_OBJS) $$(KEYS_OBJS) $$(SIM_OBJS) $$(SIZING_OBJS)
LDLIBS_pvgpuctl-fake = -linih -ljansson -lm

.PHONY: check-xapi
check-xapi: $(B)/tests/pvgpuctl-fake $(B)/bin/pvgpuctl $(B)/bin/pvgpu-attachd
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/plugin_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/xcpng_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/rrdd_test.py
