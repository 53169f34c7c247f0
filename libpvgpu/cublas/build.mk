# SPDX-License-Identifier: MIT
# The guest's libcublas.so.12: generated calls over libcuda's client table. One symbol for each call with a block.
PVGPU_CUBLAS_OBJS := $(call obj,$(wildcard libpvgpu/cublas/*.c libpvgpu/client/*.c libpvgpu/log/*.c)) $(addprefix $(B)/obj/gen/,pvgpu_stubs.o pvgpu_calls_cublas.o cublas_public.o)

LIBS += $(B)/lib/libcublas.so.12
$(B)/lib/libcublas.so.12: $(PVGPU_CUBLAS_OBJS) | $(B)/gen/cublas.map
LDFLAGS_libcublas.so.12 = -Wl,-soname,libcublas.so.12 -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/cublas.map
LDLIBS_libcublas.so.12 = -ldl
