# SPDX-License-Identifier: MIT
# A tenant that measures. It finds the libcuda.so.1 to use in LD_LIBRARY_PATH, as tests/programs do, and needs nothing else
# but libc.
TESTPROGS += $(if $(SAN),,$(B)/tests/gpu-meter)
$(B)/tests/gpu-meter: $(call obj,$(wildcard tests/gpu/meter/*.c)) $(B)/obj/kernels/kernels.a $(B)/stubs/libcuda.so
LDLIBS_gpu-meter = $(B)/stubs/libcuda.so -l:libjansson.a

.PHONY: check-gpu-measure
check-gpu-measure: tests
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v measure_test
