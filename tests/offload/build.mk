# SPDX-License-Identifier: MIT
# Programs that Debian's GCC offloads to the GPU by OpenMP and OpenACC: a client of libcuda.so.1 that nobody here wrote. libgomp loads the
# library itself; the device's code is PTX that GCC makes and libcuda.so.1 links.
OFFLOAD_GCC     = $(firstword $(foreach v,12 13 14 15,$(if $(wildcard /usr/lib/gcc/*/$(v)/accel/nvptx-none/mkoffload),gcc-$(v))))
OFFLOAD_NAMES  := $(basename $(notdir $(wildcard tests/offload/*.c)))
OFFLOAD_CFLAGS := -O2 -g0 -std=gnu11 -Wall -no-pie -I. -foffload=nvptx-none -foffload-options=-lm -foffload-options=-latomic -foffload-options=-Wa,--no-verify
OFFLOAD_FLAGS_omp := -fopenmp
OFFLOAD_FLAGS_acc := -fopenacc

$(B)/offload/%: tests/offload/%.c tests/offload/check.h
	$(Q)mkdir -p $(@D)
	$(Q)$(OFFLOAD_GCC) $(OFFLOAD_CFLAGS) $(OFFLOAD_FLAGS_$(firstword $(subst _, ,$*))) -o $@ $< -lm

# The OpenMP programs by clang and LLVM's offloading library, too, with stand-ins for the two tools of NVIDIA's that clang calls. Not those
# that LLVM 14 cannot do (docs/testing.md says why).
OFFLOAD_LLVM_NOT   := omp_atomics omp_heap omp_loops omp_math omp_parallel omp_recursion omp_tasks
OFFLOAD_LLVM_NAMES := $(filter-out $(OFFLOAD_LLVM_NOT),$(filter omp_%,$(OFFLOAD_NAMES)))
OFFLOAD_LLVM       := $(wildcard /usr/lib/llvm-14/lib/libomptarget.rtl.cuda.so)

$(B)/offload-llvm/toolkit/bin/ptxas: tests/offload/suites/toolkit.py tests/offload/suites/libdevice.c
	$(Q)$(PYTHON) tests/offload/suites/toolkit.py $(B)/offload-llvm/toolkit clang-14
$(B)/offload-llvm/%: tests/offload/%.c tests/offload/check.h $(B)/offload-llvm/toolkit/bin/ptxas
	$(Q)clang-14 -O2 -Wall -Wno-openmp-mapping -Wno-pass-failed -I. -fopenmp -fopenmp-targets=nvptx64-nvidia-cuda -Xopenmp-target -march=sm_70 \
		--cuda-path=$(abspath $(B)/offload-llvm/toolkit) -o $@ $< -lm -latomic

.PHONY: offload-programs check-offload check-libgomp check-offload-llvm check-libomptarget
offload-programs:
	$(Q)[ -n "$(OFFLOAD_GCC)" ] || { echo "no GCC that offloads to nvptx: install gcc-12-offload-nvptx (make packages)"; exit 1; }
	$(Q)$(MAKE) --no-print-directory $(OFFLOAD_NAMES:%=$(B)/offload/%)
# OpenMP's programs must not fall back to the CPU.
check-offload: tests offload-programs
	$(Q)OMP_TARGET_OFFLOAD=mandatory ACC_DEVICE_TYPE=nvidia $(PYTHON) tests/integration/run_programs.py --build $(B) --folder offload
# libgomp's own tests, from Debian's source of the compiler.
check-libgomp: tests
	$(Q)$(PYTHON) tests/offload/suites/libgomp.py --build $(B) --fetch $(if $(SOURCE),--source $(SOURCE)) --jobs 4
check-offload-llvm: tests
	$(Q)if [ -z "$(OFFLOAD_LLVM)" ]; then echo "SKIP LLVM's offloading: apt-get install libomp-14-dev clang-14"; else \
		$(MAKE) --no-print-directory $(OFFLOAD_LLVM_NAMES:%=$(B)/offload-llvm/%) && OMP_TARGET_OFFLOAD=mandatory \
		$(PYTHON) tests/integration/run_programs.py --build $(B) --folder offload-llvm $(OFFLOAD_LLVM_NAMES) && \
		$(PYTHON) tests/offload/suites/pace.py --build $(B); fi
# The tests of LLVM's offloading library, from Debian's source of LLVM.
check-libomptarget: tests
	$(Q)$(PYTHON) tests/offload/suites/libomptarget.py --build $(B) --fetch $(if $(SOURCE),--source $(SOURCE)) --jobs 4
