# SPDX-License-Identifier: MIT
# Libraries that only have to be there: each is described in NAME.api, with what it has in C in NAME.c.
PRESENT_API := $(sort $(wildcard libpvgpu/present/*.api))
# NAME:VERSION:SONAME of each.
PRESENT := $(shell awk '/^library /{ n = FILENAME; sub(/.*\//, "", n); sub(/\.api$$/, "", n); \
	for (i = 3; i <= NF; i++) print n ":" $$i ":" $$2 ".so." $$i }' $(PRESENT_API))
present_part = $(word $(1),$(subst :, ,$(2)))
PRESENT_STEMS := $(foreach p,$(PRESENT),present_$(call present_part,1,$(p))_$(call present_part,2,$(p)))
PRESENT_GEN := $(PRESENT_STEMS:%=$(B)/gen/%.c) $(PRESENT_STEMS:%=$(B)/gen/%.map)
GEN += $(PRESENT_GEN)

$(B)/gen/.present: libpvgpu/present/gen/present_symbols.py $(PRESENT_API) $(wildcard libpvgpu/tools/*.py)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --out $(@D)
	$(Q)touch $@
$(PRESENT_GEN): $(B)/gen/.present ;

# present_library,NAME,VERSION,SONAME
define present_library
LIBS += $(B)/lib/$(3)
$(B)/lib/$(3): $(B)/obj/gen/present_$(1)_$(2).o $(call obj,libpvgpu/present/present.c $(wildcard libpvgpu/present/$(1).c)) \
	| $(B)/gen/present_$(1)_$(2).map $(B)/stubs/libcuda.so
LDFLAGS_$(3) = -Wl,-soname,$(3) -Wl,-z,nodelete $(if $(SAN),,-Wl,-z,defs) -Wl,--version-script=$(B)/gen/present_$(1)_$(2).map -Wl,--as-needed
LDLIBS_$(3) = $(B)/stubs/libcuda.so
endef
$(foreach p,$(PRESENT),$(eval $(call present_library,$(call present_part,1,$(p)),$(call present_part,2,$(p)),$(call present_part,3,$(p)))))

.PHONY: docs-present check-docs-present
docs-present:
	$(Q)$(PYTHON) libpvgpu/present/gen/present_symbols.py --docs
check-docs-present:
	$(Q)$(PYTHON) libpvgpu/present/gen/present_symbols.py --check-docs
check-docs: check-docs-present
