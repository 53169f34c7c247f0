# SPDX-License-Identifier: MIT
# What the simulated GPU does not have, for the probe's test.
TESTPROGS += $(if $(SAN),,$(B)/tests/fake_rm.so)
$(B)/tests/fake_rm.so: $(call obj,tests/gpu/fake/rm.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ -ldl

.PHONY: check-gpu-timeslice
check-gpu-timeslice: tests
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v timeslice_test
