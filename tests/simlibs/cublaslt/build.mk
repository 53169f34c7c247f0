# SPDX-License-Identifier: MIT
# A stand-in for cuBLASLt on the simulated GPU, under both names.
SIMCUBLASLT := $(B)/simcuda/libcublasLt.so.12 $(B)/simcuda/libcublasLt.so.13
LIBS += $(SIMCUBLASLT)
$(SIMCUBLASLT): $(B)/simcuda/libcublasLt.so.%: $(call obj,$(wildcard tests/simlibs/cublaslt/*.c) libpvgpu/cublas/status.c) | $(SIMCUDA_LIB) $(B)/gen/cublaslt13.map
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/libcublasLt.so.13/$(@F)/' $(B)/gen/cublaslt13.map > $@.map
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,$(@F) -Wl,-z,nodelete -Wl,--version-script=$@.map $(if $(SAN),,-Wl,-z,defs) -o $@ $^ $(SIMCUDA_LIB) -lm

# The guest's library, whose symbols are NVIDIA's.
UNIT += $(B)/unit/cublaslt_symbols_test
$(B)/unit/cublaslt_symbols_test: tests/simlibs/cublaslt/symbols_test.py $(B)/lib/libcublasLt.so.12 $(B)/lib/libcublasLt.so.13
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec $(PYTHON) %s %s\n' $(abspath $< $(B)) >$@
	$(Q)chmod +x $@
