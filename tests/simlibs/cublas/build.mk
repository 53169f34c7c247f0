# SPDX-License-Identifier: MIT
# A stand-in for cuBLAS on the simulated GPU: kernels of tests/kernels/blas.cu, launched by the driver API. One build of it has both names.
SIMCUBLAS := $(B)/simcuda/libcublas.so.12 $(B)/simcuda/libcublas.so.13
LIBS += $(SIMCUBLAS)
$(SIMCUBLAS): $(call obj,$(wildcard tests/simlibs/cublas/*.c)) $(B)/obj/kernels/blas.o | $(SIMCUDA_LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,$(@F) -Wl,-z,nodelete -Wl,--version-script=$(B)/gen/$(@F).map \
		$(if $(SAN),,-Wl,-z,defs) -o $@ $^ $(SIMCUDA_LIB)
