# SPDX-License-Identifier: MIT
# A stand-in for cuBLAS on the simulated GPU: kernels of tests/kernels/blas.cu, launched by the driver API.
LIBS += $(B)/simcuda/libcublas.so.12
$(B)/simcuda/libcublas.so.12: $(call obj,$(wildcard tests/simcuda/cublas/*.c)) $(B)/obj/kernels/blas.o | $(SIMCUDA_LIB) $(B)/gen/cublas.map
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libcublas.so.12 -Wl,-z,nodelete -Wl,--version-script=$(B)/gen/cublas.map \
		$(if $(SAN),,-Wl,-z,defs) -o $@ $^ $(SIMCUDA_LIB)
