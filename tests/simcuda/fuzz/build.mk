# SPDX-License-Identifier: MIT
# The differential fuzzer: random kernels on the simulated GPU against a model on the CPU.
TESTPROGS += $(B)/tests/differ
$(B)/tests/differ: $(call obj,tests/simcuda/fuzz/differ.c) | $(B)/simcuda/libcuda.so
LDLIBS_differ = -L$(B)/simcuda -lcuda -ldl

# RANDOM_KERNELS: how many; the long run is 100,000.
.PHONY: check-simcuda-fuzz
check-simcuda-fuzz: $(B)/tests/differ
	$(Q)$(PYTHON) tests/simcuda/fuzz/run.py --build $(B) --cc $(KERNELCC) --kernels $(or $(RANDOM_KERNELS),300) --planted 2000
