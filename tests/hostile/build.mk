# SPDX-License-Identifier: MIT
# A hostile guest against a real daemon and real workers on the simulated GPU, with witnesses beside it.
HOSTILE_SRCS := $(wildcard tests/hostile/attack*.c) tests/hostile/guest.c tests/hostile/want.c
TESTPROGS += $(B)/tests/attack $(B)/tests/witness
$(B)/tests/attack: $(call obj,$(HOSTILE_SRCS)) $(B)/obj/kernels/kernels.a
LDLIBS_attack := -llz4 -lzstd
# The attacker does not use libcuda; only the witness is linked with the stub.
$(B)/tests/witness: $(call obj,tests/hostile/witness.c tests/programs/common.c) $(B)/obj/kernels/kernels.a | $(B)/stubs/libcuda.so
LDLIBS_witness = -L$(B)/stubs -lcuda

# A worker that a guest has taken over: it takes the GPU and memory without asking pvgpud.
TESTPROGS += $(B)/tests/pvgpu-worker-cheat
$(B)/tests/pvgpu-worker-cheat: $$(call obj,tests/hostile/cheat.c $$(WORKER_SRCS) $$(WORKER_IMAGE)) \
	$$(WORKER_GEN) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-worker-cheat = -ldl -lseccomp $(WORKER_IMAGE_LIBS) -Wl,--wrap=gpu_gate_take -Wl,--wrap=gate_commit -Wl,--wrap=lease_get -Wl,--wrap=lease_put

# One that wants out of its sandbox.
TESTPROGS += $(B)/tests/pvgpu-worker-escape
$(B)/tests/pvgpu-worker-escape: $$(call obj,tests/hostile/escape.c $$(WORKER_SRCS) $$(WORKER_IMAGE)) \
	$$(WORKER_GEN) $$(CONTRACT) $$(CONFINE)
LDLIBS_pvgpu-worker-escape = -ldl -lseccomp $(WORKER_IMAGE_LIBS) -Wl,--wrap=loop_run

# A management library that has been taken over, and the event loop of pvgpu-attachd.
TESTPROGS += $(B)/tests/nvml-escape.so $(B)/tests/attachd-escape.so
$(B)/tests/nvml-escape.so: $(call obj,tests/hostile/nvml_escape.c tests/hostile/ways_out.c) | $(B)/simcuda/libnvidia-ml.so.1
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/../simcuda' -o $@ $(filter %.o,$^) $(B)/simcuda/libnvidia-ml.so.1
$(B)/tests/attachd-escape.so: $(call obj,tests/hostile/attachd_escape.c tests/hostile/ways_out.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^ -ldl

.PHONY: check-hostile check-hostile-tame
check-hostile: tests
	$(Q)$(PYTHON) tests/hostile/hostile_test.py --build $(B)
# Each test must notice that its attack did not take place.
check-hostile-tame: tests
	$(Q)$(PYTHON) tests/hostile/hostile_test.py --build $(B) --tame

# 100 sessions for a long time, and hostile guests beside them; SOAK_SECONDS, SOAK_SEED, SOAK_JSON=FILE for make results.
.PHONY: soak check-soak
soak check-soak: tests
	$(Q)$(PYTHON) tests/hostile/soak.py --build $(B) --seconds $(or $(SOAK_SECONDS),$(if $(filter check-soak,$@),60,1800)) \
		$(if $(filter check-soak,$@),--rate 3) $(if $(SOAK_SEED),--seed $(SOAK_SEED)) $(if $(SOAK_JSON),--json $(SOAK_JSON))

# A hostile frontend in a guest's user space, for the lab (LAB_BUILT): static, and without pvgpu.ko.
$(B)/tests/lab-frontend: $(call obj,$(wildcard tests/hostile/xen/*.c) tests/hostile/guest.c tests/hostile/want.c) $$(KEYS_OBJS)
LDLIBS_lab-frontend := -static
