# SPDX-License-Identifier: MIT
# The guest's libnvidia-ml.so.1: over the session runtime, without libcuda.
NVML_GEN := $(addprefix $(B)/gen/,nvml.map nvml_refused.c)
GEN += $(NVML_GEN)
$(B)/gen/.nvml: libpvgpu/ml/gen/ml_symbols.py libpvgpu/ml/symbols.api $(wildcard libpvgpu/tools/*.py)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --out $(@D)
	$(Q)touch $@
$(NVML_GEN): $(B)/gen/.nvml ;

# Without the calls that are refused: what pvgpu-smi takes.
PVGPU_ML_OBJS = $(call obj,$(sort $(wildcard libpvgpu/ml/*.c))) $(PVGPU_LINK_OBJS) $(B)/obj/gen/pvgpu_stubs.o $(KEYS_OBJS)

LIBS += $(B)/lib/libnvidia-ml.so.1
$(B)/lib/libnvidia-ml.so.1: $$(PVGPU_ML_OBJS) $(B)/obj/gen/nvml_refused.o | $(B)/gen/nvml.map
LDFLAGS_libnvidia-ml.so.1 = -Wl,-soname,libnvidia-ml.so.1 -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/nvml.map

.PHONY: docs-nvml check-docs-nvml
docs-nvml:
	$(Q)$(PYTHON) libpvgpu/ml/gen/ml_symbols.py --docs
check-docs-nvml:
	$(Q)$(PYTHON) libpvgpu/ml/gen/ml_symbols.py --check-docs
check-docs: check-docs-nvml

UNIT += $(B)/unit/ml_test
$(B)/unit/ml_test: $(call obj,tests/unit/guest/ml_test.c) $$(PVGPU_ML_OBJS)
LDLIBS_ml_test = $(CHECK_LIBS)
