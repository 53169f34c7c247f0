# SPDX-License-Identifier: MIT
# The programs of the kit. None is linked with libcuda: they load it. Sanitizers' builds have none of them: they are run without.

# It has our own error texts and exports, to compare the driver's with, and tries what the backend does by the
# backend's own code.
TESTPROGS += $(if $(SAN),,$(B)/tests/gpu-probe)
$(B)/tests/gpu-probe: $(call obj,$(wildcard tests/gpu/probe/*.c tests/gpu/probe/*/*.c) libpvgpu/cuda/core/error.c xen-pvgpu-back/contract/msg.c \
	xen-pvgpu-back/health/nvml.c xen-pvgpu-back/worker/far.c) $(B)/obj/gen/exports_api.o $(B)/obj/kernels/kernels.a
# error.c has the functions proper, which the public ones call. Its ioctl (tsg.c) is to stand before the C library's, for libcuda, too.
LDLIBS_gpu-probe := -Wl,--defsym=cuGetErrorName=pvgpu_cuGetErrorName,--defsym=cuGetErrorString=pvgpu_cuGetErrorString -l:libjansson.a -l:liblz4.a -l:libzstd.a -ldl -Wl,--export-dynamic-symbol=ioctl

$(B)/obj/gen/exports_api.o: libpvgpu/protocol/exports.api tests/kernels/embed.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -DNAME=exports_api -DFILE='"$<"' -c -o $@ tests/kernels/embed.S

# Each program has a folder of its own.
include $(sort $(wildcard tests/gpu/*/build.mk))

.PHONY: check-gpu-probe
check-gpu-probe: tests
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v probe_test
