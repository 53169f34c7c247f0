# SPDX-License-Identifier: MIT
# Our own CUDA runtime, shared and static, for programs of CUDA 12 and 13. It loads libcuda.so.1 itself and links nothing of ours.
CUDART_GEN := $(foreach v,12 13,$(B)/gen/cudart$(v).map $(B)/gen/cudart_refused$(v).c)
GEN += $(CUDART_GEN)
$(B)/gen/.cudart: libpvgpu/cudart/gen/rt_symbols.py libpvgpu/cudart/symbols.api $(wildcard libpvgpu/tools/*.py)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --out $(@D)
	$(Q)touch $@
$(CUDART_GEN): $(B)/gen/.cudart ;

cudart_objs = $(call obj,$(sort $(wildcard $(addprefix libpvgpu/cudart/,*.c graphs/*.c memory/*.c v$(1)/*.c)))) $(B)/obj/gen/cudart_refused$(1).o

define cudart_library
LIBS += $(B)/lib/libcudart.so.$(1)
$(B)/lib/libcudart.so.$(1): $(call cudart_objs,$(1)) | $(B)/gen/cudart$(1).map
LDFLAGS_libcudart.so.$(1) = -Wl,-soname,libcudart.so.$(1) $$(if $$(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/cudart$(1).map
LDLIBS_libcudart.so.$(1) = -ldl

# For who links it in place of NVIDIA's: one archive for the headers of each version.
CUDART_STATIC += $(B)/cudart/$(1)/libcudart_static.a
$(B)/cudart/$(1)/libcudart_static.a: $(call cudart_objs,$(1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach v,12 13,$(eval $(call cudart_library,$(v))))
all: $$(CUDART_STATIC)

.PHONY: docs-cudart check-docs-cudart
docs-cudart:
	$(Q)$(PYTHON) libpvgpu/cudart/gen/rt_symbols.py --docs
check-docs-cudart:
	$(Q)$(PYTHON) libpvgpu/cudart/gen/rt_symbols.py --check-docs
check-docs: check-docs-cudart
