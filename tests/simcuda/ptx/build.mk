# SPDX-License-Identifier: MIT
# The PTX engine. Programs that use it link SIMCUDA_PTX_OBJS and SIMCUDA_PTX_LIBS.
SIMCUDA_PTX_DIR  := tests/simcuda/ptx
SIMCUDA_PTX_SRCS := $(sort $(wildcard $(SIMCUDA_PTX_DIR)/*.c))
SIMCUDA_PTX_OBJS := $(call obj,$(SIMCUDA_PTX_SRCS))
SIMCUDA_PTX_LIBS := -lm

# Register rows are read as integers and as floats; sums and products must not be fused.
PTX_EXEC_FLAGS := -O3 -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-trapping-math
CFLAGS_exec_int     := $(PTX_EXEC_FLAGS)
CFLAGS_exec_bits    := $(PTX_EXEC_FLAGS)
CFLAGS_exec_float   := $(PTX_EXEC_FLAGS)
CFLAGS_exec_half    := $(PTX_EXEC_FLAGS)
CFLAGS_exec_cvt     := $(PTX_EXEC_FLAGS)
CFLAGS_exec_compare := $(PTX_EXEC_FLAGS)
CFLAGS_exec_mem     := $(PTX_EXEC_FLAGS)
CFLAGS_exec_coalesced := $(PTX_EXEC_FLAGS)
CFLAGS_exec_atom    := $(PTX_EXEC_FLAGS)
CFLAGS_exec_warp    := $(PTX_EXEC_FLAGS)
CFLAGS_address      := $(PTX_EXEC_FLAGS)
CFLAGS_exec_special := $(PTX_EXEC_FLAGS)
CFLAGS_exec_tex     := $(PTX_EXEC_FLAGS)
CFLAGS_exec_matrix  := $(PTX_EXEC_FLAGS)
CFLAGS_exec_async   := $(PTX_EXEC_FLAGS)
CFLAGS_exec_tensor  := $(PTX_EXEC_FLAGS)

# ptxrun: parse a file, list its kernels, run one.
TESTPROGS += $(B)/tests/ptxrun
$(B)/tests/ptxrun: $(call obj,tests/simcuda/ptx/tool/ptxrun.c) $(SIMCUDA_PTX_OBJS)
LDLIBS_ptxrun := $(SIMCUDA_PTX_LIBS)

PTX_TESTS := $(patsubst tests/simcuda/test/%.c,%,$(sort $(wildcard tests/simcuda/test/ptx_*_test.c)))
UNIT += $(PTX_TESTS:%=$(B)/unit/%)
define ptx_test
$(B)/unit/$(1): $(call obj,tests/simcuda/test/$(1).c tests/simcuda/test/ptx_case.c tests/simcuda/test/ptx_real.c) $(SIMCUDA_PTX_OBJS)
LDLIBS_$(1) := $(CHECK_LIBS) $(SIMCUDA_PTX_LIBS)
endef
$(foreach t,$(PTX_TESTS),$(eval $(call ptx_test,$(t))))
include tests/kernels/engine/build.mk
CFLAGS_ptx_kernel_test := -ffp-contract=off

# Each row of the table of instructions has a test of its values; compiled kernels and what only parses do not count.
PTX_VALUE_TESTS := $(filter-out ptx_isa_test ptx_kernel_test ptx_link_test ptx_parse_test,$(PTX_TESTS))
.PHONY: check-isa-values
check-isa-values: $(PTX_VALUE_TESTS:%=$(B)/unit/%)
	$(Q)$(PYTHON) $(SIMCUDA_PTX_DIR)/tool/isa_values.py $^

# docs/simcuda-ptx.md is made from the table of instructions.
.PHONY: simcuda-docs check-docs check-docs-simcuda
simcuda-docs:
	$(Q)$(PYTHON) $(SIMCUDA_PTX_DIR)/tool/isa_docs.py
check-docs: check-docs-simcuda
check-docs-simcuda:
	$(Q)$(PYTHON) $(SIMCUDA_PTX_DIR)/tool/isa_docs.py --check
