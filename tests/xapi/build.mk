# SPDX-License-Identifier: MIT
# The xe plugin, called as xapi calls it, over pvgpuctl with a xenstore that is a file.
TESTPROGS += $(B)/tests/pvgpuctl-fake
$(B)/tests/pvgpuctl-fake: $$(call obj,tests/xapi/ctl_fake.c $$(filter-out %/main.c,$$(CTL_SRCS)) $$(TOOLSTACK_SRCS) $$(STATISTICS_SRCS)) $$(FAKE_XENSTORE) \
	$$(CHECK_OBJS) $$(KEYS_OBJS) $$(SIM_OBJS) $$(SIZING_OBJS)
LDLIBS_pvgpuctl-fake = -linih -ljansson -lm

.PHONY: check-xapi check-attachd
check-xapi: $(B)/tests/pvgpuctl-fake $(B)/bin/pvgpuctl $(B)/bin/pvgpu-attachd $(B)/bin/pvgpu-vgpu
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/plugin_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/xcpng_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/rrdd_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/types_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/gpus_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/vgpu_objects_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/vgpu_program_test.py -v

# pvgpud's statistics of 100 vGPUs in Xen's own xenstored.
TESTPROGS += $(B)/tests/statistics_load
$(B)/tests/statistics_load: $$(call obj,tests/unit/daemon/statistics_load.c tests/unit/daemon/daemon_fake.c $$(XENBUS_SRCS) $$(CONFIG_SRCS) \
	$$(call daemon,core/held.c core/pools.c rules/ledger.c workers/goals.c cgroup/cgroup_files.c cgroup/host_memory.c workers/lease.c workers/parking.c workers/residency.c workers/pool.c workers/pool_live.c workers/vgpu.c)) \
	$$(SIM_OBJS) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_statistics_load = -lev -lm -linih -lxenstore -Wl,--wrap=share_stats
.PHONY: check-statistics-load
check-statistics-load: $(B)/tests/statistics_load
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/statistics_load_test.py

# pvgpu-attachd beside 500 domains, over Xen's own xenstored.
check-attachd: $(B)/bin/pvgpu-attachd
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xapi/idle_test.py
