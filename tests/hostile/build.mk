# SPDX-License-Identifier: MIT
# A hostile guest against a real daemon and real workers on the simulated GPU, with witnesses beside it.
HOSTILE_SRCS := $(wildcard tests/hostile/attack*.c) tests/hostile/guest.c
TESTPROGS += $(B)/tests/attack $(B)/tests/witness
$(B)/tests/attack: $(call obj,$(HOSTILE_SRCS)) $(B)/obj/kernels/kernels.a
LDLIBS_attack := -llz4 -lzstd
# It is no guest of the library: only what speaks the API wants the stub.
$(B)/tests/witness: $(call obj,tests/hostile/witness.c tests/programs/common.c) $(B)/obj/kernels/kernels.a | $(B)/stubs/libcuda.so
LDLIBS_witness = -L$(B)/stubs -lcuda

# A worker that has been taken over: it does not ask for what it takes.
TESTPROGS += $(B)/tests/pvgpu-worker-cheat
$(B)/tests/pvgpu-worker-cheat: $$(call obj,tests/hostile/cheat.c $$(WORKER_SRCS) $$(BACK_LINK_SRCS) libpvgpu/image/fatbin.c) \
	$(B)/obj/gen/pvgpu_decode.o
LDLIBS_pvgpu-worker-cheat := -ldl -Wl,--wrap=gpu_gate_take -Wl,--wrap=gate_issued -Wl,--wrap=lease_get -Wl,--wrap=lease_put

.PHONY: check-hostile
check-hostile: tests
	$(Q)$(PYTHON) tests/hostile/hostile_test.py --build $(B)
