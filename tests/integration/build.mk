# SPDX-License-Identifier: MIT
# Programs against real daemons and workers, on the simulated GPU.
TESTPROGS += $(B)/tests/closed
$(B)/tests/closed: $(call obj,tests/integration/closed.c) $(B)/stubs/libcuda.so
LDLIBS_closed = $(B)/stubs/libcuda.so -ldl
TESTPROGS += $(B)/tests/parked $(B)/tests/turns
$(B)/tests/parked: $(call obj,tests/integration/parked.c) $(B)/stubs/libcuda.so
LDLIBS_parked = $(B)/stubs/libcuda.so
$(B)/tests/turns: $(call obj,tests/integration/turns.c) $(B)/stubs/libcuda.so
LDLIBS_turns = $(B)/stubs/libcuda.so
TESTPROGS += $(B)/tests/descriptors
$(B)/tests/descriptors: $(call obj,tests/integration/descriptors.c) $(B)/stubs/libcuda.so
LDLIBS_descriptors = $(B)/stubs/libcuda.so
TESTPROGS += $(B)/tests/defect $(B)/tests/pidfd_proxy.so $(B)/tests/no_pidfd.so
$(B)/tests/defect: $(call obj,tests/integration/defect.c)
$(B)/tests/pidfd_proxy.so: $(call obj,tests/integration/pidfd_proxy.c)
$(B)/tests/no_pidfd.so: $(call obj,tests/integration/no_pidfd.c)
$(B)/tests/pidfd_proxy.so $(B)/tests/no_pidfd.so:
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^

.PHONY: check-shares
check-shares: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v share_test

# Memory is parked and comes back this often under programs at work: five minutes.
PARK_CYCLES := 10000
.PHONY: check-parking
check-parking: tests
	$(Q)cd tests/integration && PVGPU_PARK_CYCLES=$(PARK_CYCLES) PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v parking_test.Parking.test_programs_see_nothing_of_it

# Three times the GPU's memory, and a hundred idle vGPUs.
.PHONY: check-oversubscribe
check-oversubscribe: tests
	$(Q)cd tests/integration && PVGPU_OVERSUBSCRIBE=1 PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v oversubscribe_test

# pvgpu-acceptance, rehearsed with all test programs.
.PHONY: check-acceptance
check-acceptance: tests
	$(Q)cd tests/integration && PVGPU_ACCEPTANCE=all PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v acceptance_test

# What pvgpuctl prints with --json, against its schemas.
.PHONY: check-answers
check-answers: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest answers_test mistakes_test

# The vGPUs as devices of containers.
.PHONY: check-cdi
check-cdi: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest cdi_test

# What README and the operators' pages say to do, as it stands there.
.PHONY: check-readme
check-readme: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest readme_test operators_test

.PHONY: check-exporter
check-exporter: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v exporter_test dashboards_test

# The dashboards against Grafana's own description of dashboards, a package of PyPI's; skipped where it cannot be installed.
GRAFANA_SDK := grafana-foundation-sdk==1769699998!10.1.0
.PHONY: check-grafana
check-grafana:
	$(Q)[ -d $(B)/grafana/grafana_foundation_sdk ] || $(PYTHON) -m pip -q install --no-deps --target $(B)/grafana '$(GRAFANA_SDK)' || \
		echo "check-grafana: $(GRAFANA_SDK) could not be installed by pip"
	$(Q)cd tests/integration && PYTHONPATH=$(abspath $(B))/grafana $(PYTHON) -m unittest dashboards_test

.PHONY: check-programs check-called check-programs-san check-mutation check-lifecycle check-pools check-watchdog check-valgrind check-gpu

check-programs: tests
	$(Q)$(PYTHON) tests/integration/run_programs.py --build $(B)
	$(Q)$(PYTHON) tests/integration/run_programs.py --build $(B) --no-zero-copy
	$(Q)$(PYTHON) tests/integration/run_programs.py --build $(B) --folder cudart
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest cublas_test cublaslt_test log_test refused_test
# Which calls no program makes, or makes only in one way: the list of called.expected. Half a minute.
check-called: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest called_test
check-programs-san: tests
	$(Q)$(PYTHON) tests/integration/run_programs.py --build $(B) --san $(SAN) --without "$(LESS_PROGRAMS)"
check-mutation: tests
	$(Q)$(PYTHON) tests/integration/mutation.py --build $(B)
check-lifecycle: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v lifecycle_test pinned_test lanes_test restart_test reload_test files_test growth_test kill_test cheat_test overrides_test compat_test simulated_test sandbox_test cgroup_test helpers_test owned_test many_test parking_test oversubscribe_test
check-watchdog: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v watchdog_test statistics_test
check-pools: tests
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v pools_test closed_test sharing_test reset_test
# FULL=1: every part, every program; PART="guest unit": these parts.
check-valgrind: tests
	$(Q)$(PYTHON) tests/integration/check_valgrind.py --build $(B) $(if $(FULL),--full) $(addprefix --part ,$(PART)) \
		--units $(UNIT)

# The same programs on NVIDIA's libcuda, directly and as the far end; skipped where there is no GPU.
check-gpu: packages
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/integration/run_programs.py --build $(B) --gpu
