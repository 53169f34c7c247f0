# SPDX-License-Identifier: MIT
# The guest's libcublas.so.12 and .13: generated calls over libcuda's client table. Both are the same objects: they differ by soname and version node.
PVGPU_CUBLAS_OBJS := $(call obj,$(wildcard libpvgpu/cublas/*.c libpvgpu/client/*.c libpvgpu/log/*.c)) $(addprefix $(B)/obj/gen/,pvgpu_stubs.o pvgpu_calls_cublas.o cublas_public.o cublas_refused.o)

define pvgpu_cublas
LIBS += $(B)/lib/$(1)
$(B)/lib/$(1): $(PVGPU_CUBLAS_OBJS) | $(B)/gen/$(1).map
LDFLAGS_$(1) = -Wl,-soname,$(1) -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/$(1).map
LDLIBS_$(1) = -ldl -lm
endef
$(foreach l,libcublas.so.12 libcublas.so.13,$(eval $(call pvgpu_cublas,$(l))))
