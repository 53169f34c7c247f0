# SPDX-License-Identifier: MIT
# The simulated GPU's management library, beside its libcuda.so.1.
SIMNVML_LIB  := $(B)/simcuda/libnvidia-ml.so.1
SIMNVML_OBJS := $(call obj,$(sort $(wildcard tests/simcuda/nvml/*.c)))
LIBS += $(SIMNVML_LIB)

$(SIMNVML_LIB): $(SIMNVML_OBJS)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libnvidia-ml.so.1 $(if $(SAN),,-Wl,-z,defs) -o $@ $(filter %.o,$^) $(LDLIBS)

UNIT += $(B)/unit/simnvml_test
$(B)/unit/simnvml_test: $(call obj,tests/simcuda/test/simnvml_test.c) $(SIMNVML_OBJS)
LDLIBS_simnvml_test = $(CHECK_LIBS)
