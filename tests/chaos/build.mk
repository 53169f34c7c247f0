# SPDX-License-Identifier: MIT
# Random programs and random faults on the local link, with a seed; on Xen it is the lab's scenario vgpu-chaos.
TESTPROGS += $(B)/tests/chaos-client
$(B)/tests/chaos-client: $(call obj,tests/chaos/client.c tests/programs/common.c) $(B)/obj/kernels/kernels.a | $(B)/stubs/libcuda.so
LDLIBS_chaos-client = -L$(B)/stubs -lcuda

# CHAOS_SEED (else a new one), CHAOS_SECONDS, CHAOS_ARGS. check-chaos has a fixed seed and, before it, those that have failed.
.PHONY: chaos check-chaos
chaos: tests
	$(Q)$(PYTHON) tests/chaos/chaos.py --build $(B) --rows --open --seconds $(or $(CHAOS_SECONDS),1800) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(CHAOS_ARGS)
check-chaos: tests
	$(Q)$(PYTHON) tests/chaos/chaos_test.py --build $(B)
	$(Q)$(PYTHON) tests/chaos/chaos.py --build $(B) --rows --seconds $(or $(CHAOS_SECONDS),60) --seed 2 $(CHAOS_ARGS)
