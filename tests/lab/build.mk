# SPDX-License-Identifier: MIT
# Real Xen in an emulated machine: see docs/lab.md. host-packages lists the packages that it needs besides .ci/packages.
LAB_BUILT := $(addprefix $(B)/,tests/lab-agent tests/lab-grants tests/lab-backend tests/lab-frontend tests/lab-device tests/lab-cuda tests/chaos-client \
	tests/simcuda-top tests/pvgpu-worker-cheat tests/pvgpu-worker-escape bin/pvgpud bin/pvgpu-worker bin/pvgpu-health bin/pvgpuctl bin/pvgpu-attachd bin/pvgpu-vgpu \
	lib/libcuda.so.1 simcuda/libcuda.so.1 simcuda/libnvidia-ml.so.1 simcuda/simcuda-reset bin/pvgpu-smi lib/libcudart.so.12 cudart/gemm cudart/fft)

$(B)/tests/lab-agent: $(call obj,tests/lab/agent.c tests/lab/uevents.c tests/lab/wire.c)
LDLIBS_lab-agent := -static -lutil
$(B)/tests/lab-grants: $(call obj,tests/lab/grants.c)
LDLIBS_lab-grants := -static
$(B)/tests/lab-backend: $(call obj,tests/lab/backend.c)
LDLIBS_lab-backend := -static
$(B)/tests/lab-device: $(call obj,tests/lab/device.c)
LDLIBS_lab-device := -static

# It finds the libcuda.so.1 to use in LD_LIBRARY_PATH, as tests/programs do.
$(B)/tests/lab-cuda: $(call obj,tests/lab/cuda.c) $(B)/obj/kernels/kernels.a $(B)/stubs/libcuda.so
LDLIBS_lab-cuda = $(B)/stubs/libcuda.so

.PHONY: lab lab-shell lab-images lab-packages
lab-packages:
	$(Q).ci/install-packages
	$(Q).ci/install-packages tests/lab/host-packages

lab-images: lab-packages
	$(Q)$(MAKE) --no-print-directory lab-built
	$(Q)$(PYTHON) tests/lab/images.py --build $(B) $(if $(REFRESH),--refresh)

.PHONY: lab-built
lab-built: $$(LAB_BUILT) $$(TEST_PROGRAMS) $(B)/tests/next-echo next-version

# SCENARIO: one or several names of tests/lab/scenarios; all of them without it. ALONE=1: each on a machine of its own. QUICK=1: as in
# make check, without those that are LONG. JOBS: machines at once.
lab: lab-packages
	$(Q)$(MAKE) --no-print-directory lab-built
	$(Q)$(PYTHON) tests/lab/run.py --build $(B) $(if $(ALONE),--alone) $(if $(QUICK),--quick) $(if $(JOBS),--jobs $(JOBS)) $(SCENARIO)

# What vgpu-offload, vgpu-llama and vgpu-jax run in guests: programs that GCC, Halide and clang have compiled, and JAX on a disk.
.PHONY: lab-others
lab-others: packages
	$(Q)$(MAKE) --no-print-directory offload-programs
	$(Q)$(PYTHON) tests/clients/halide_build.py $(B)/lab/halide
	$(Q)$(MAKE) --no-print-directory check-llama
	$(Q)$(PYTHON) -B tests/clients/jax_image.py $(B)

# The basic scenarios with each of the kernels that guests may have; a kernel that cannot be had is skipped.
LAB_BASIC := vgpu-boot vgpu-device vgpu-memcg vgpu-processes vgpu-module vgpu-hvm
LAB_KERNELS := 5.10 6.12 newest
.PHONY: lab-kernels
lab-kernels: lab-packages
	$(Q)$(MAKE) --no-print-directory lab-built
	$(Q)failed=; for k in $(LAB_KERNELS); do \
		LAB_GUEST_KERNEL=$$k $(PYTHON) tests/lab/run.py --build $(B) $(LAB_BASIC); status=$$?; \
		case $$status in 0) ;; 77) echo "skip $$k" ;; *) failed="$$failed $$k" ;; esac; done; \
	[ -z "$$failed" ] || { echo "failed with Linux$$failed" >&2; exit 1; }

# A shell in dom0; GUEST=pv, pvh or hvm: one in a new guest.
lab-shell: lab-packages
	$(Q)$(MAKE) --no-print-directory lab-built
	$(Q)$(PYTHON) tests/lab/run.py --build $(B) --shell $(if $(GUEST),--guest $(GUEST))

# A kernel for guests that finds faults of pvgpu.ko; make lab LAB_KERNEL=debug uses it. See docs/module.md.
.PHONY: lab-debug-kernel
lab-debug-kernel: lab-packages
	$(Q)$(PYTHON) tests/lab/debug_kernel.py --build $(B) $(if $(REFRESH),--refresh)

# Counted costs of the data path: BUILD/bench-lab.json.
LAB_BUILT += $(B)/tests/lab-bench $(B)/tests/lab-copies.so
$(B)/tests/lab-bench: $(call obj,tests/lab/bench.c) $(B)/obj/kernels/kernels.a $(B)/stubs/libcuda.so
LDLIBS_lab-bench = $(B)/stubs/libcuda.so
$(B)/tests/lab-copies.so: $(call obj,tests/lab/copycount.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $< -ldl
CFLAGS_copycount := -fno-builtin

.PHONY: bench-lab
bench-lab: lab-packages
	$(Q)$(MAKE) --no-print-directory lab-built
	$(Q)$(PYTHON) tests/lab/bench.py --build $(B) $(if $(BENCH_JSON),--out $(BENCH_JSON))
