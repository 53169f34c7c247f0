# SPDX-License-Identifier: MIT
# The simulated GPU's management library, beside its libcuda.so.1.
SIMNVML_LIB := $(B)/simcuda/libnvidia-ml.so.1
TESTPROGS += $(SIMNVML_LIB)

$(SIMNVML_LIB): $(call obj,tests/simcuda/nvml/nvml.c tests/simcuda/nvml/gpu.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libnvidia-ml.so.1 $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o,$^) $(LDLIBS)

UNIT += $(B)/unit/simnvml_test
$(B)/unit/simnvml_test: $(call obj,tests/unit/simnvml_test.c tests/simcuda/nvml/nvml.c tests/simcuda/nvml/gpu.c)
LDLIBS_simnvml_test = $(CHECK_LIBS)
