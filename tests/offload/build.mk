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

.PHONY: offload-programs check-offload check-libgomp
offload-programs:
	$(Q)[ -n "$(OFFLOAD_GCC)" ] || { echo "no GCC that offloads to nvptx: install gcc-12-offload-nvptx (make packages)"; exit 1; }
	$(Q)$(MAKE) --no-print-directory $(OFFLOAD_NAMES:%=$(B)/offload/%)
# OpenMP's programs must not fall back to the CPU.
check-offload: tests offload-programs
	$(Q)OMP_TARGET_OFFLOAD=mandatory ACC_DEVICE_TYPE=nvidia $(PYTHON) tests/integration/run_programs.py --build $(B) --folder offload
# libgomp's own tests, from Debian's source of the compiler.
check-libgomp: tests
	$(Q)$(PYTHON) tests/offload/libgomp.py --build $(B) --fetch $(if $(SOURCE),--source $(SOURCE)) --jobs 4
