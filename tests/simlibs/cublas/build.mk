# SPDX-License-Identifier: MIT
# A stand-in for cuBLAS on the simulated GPU, which computes by OpenBLAS. One build of it has both names.
SIMCUBLAS := $(B)/simcuda/libcublas.so.12 $(B)/simcuda/libcublas.so.13
SIMCUBLAS_GEN := $(B)/gen/simcublas_front.c $(B)/gen/simcublas_run.h
GEN += $(SIMCUBLAS_GEN)
LIBS += $(SIMCUBLAS)
$(SIMCUBLAS_GEN) &: tests/simlibs/cublas/front.py $(WIRE_API) $(WIRE_PY)
	$(Q)$(PYTHON) $< --out $(B)/gen
$(SIMCUBLAS): $(call obj,$(wildcard tests/simlibs/cublas/*.c) libpvgpu/cublas/rotations.c) $(B)/obj/gen/simcublas_front.o | $(SIMCUDA_LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,$(@F) -Wl,-z,nodelete -Wl,--version-script=$(B)/gen/$(@F).map \
		$(if $(SAN),,-Wl,-z,defs) -o $@ $^ $(SIMCUDA_LIB) -ldl -lm
