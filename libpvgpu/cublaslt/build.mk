# SPDX-License-Identifier: MIT
# The guest's libcublasLt.so.12 and .13: the same functions over libcuda's client table, under the symbols and the version node of each.
CUBLASLT_GEN := $(foreach v,12 13,$(B)/gen/cublaslt$(v).map $(B)/gen/cublaslt_refused$(v).c)
GEN += $(CUBLASLT_GEN)
$(B)/gen/.cublaslt: libpvgpu/cublaslt/gen/lt_symbols.py libpvgpu/cublaslt/symbols.api $(WIRE_API) $(WIRE_PY) $(wildcard libpvgpu/tools/*.py)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --out $(@D)
	$(Q)touch $@
$(CUBLASLT_GEN): $(B)/gen/.cublaslt ;

PVGPU_CUBLASLT_OBJS := $(call obj,$(sort $(wildcard libpvgpu/cublaslt/*.c libpvgpu/client/*.c libpvgpu/log/*.c)) libpvgpu/cublas/status.c) \
	$(addprefix $(B)/obj/gen/,pvgpu_stubs.o pvgpu_calls_cublaslt.o cublaslt_public.o)

define cublaslt_library
LIBS += $(B)/lib/libcublasLt.so.$(1)
$(B)/lib/libcublasLt.so.$(1): $(PVGPU_CUBLASLT_OBJS) $(B)/obj/gen/cublaslt_refused$(1).o | $(B)/gen/cublaslt$(1).map
LDFLAGS_libcublasLt.so.$(1) = -Wl,-soname,libcublasLt.so.$(1) -Wl,-z,nodelete $$(if $$(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/cublaslt$(1).map
LDLIBS_libcublasLt.so.$(1) = -ldl
endef
$(foreach v,12 13,$(eval $(call cublaslt_library,$(v))))

.PHONY: docs-cublaslt check-docs-cublaslt
docs-cublaslt:
	$(Q)$(PYTHON) libpvgpu/cublaslt/gen/lt_symbols.py --docs
check-docs-cublaslt:
	$(Q)$(PYTHON) libpvgpu/cublaslt/gen/lt_symbols.py --check-docs
check-docs: check-docs-cublaslt
