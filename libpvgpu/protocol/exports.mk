# SPDX-License-Identifier: MIT
# libcuda's symbols: version script, refused calls, the cuGetProcAddress table, a stub to link with.
EXPORTS_GEN := $(addprefix $(B)/gen/,libcuda.map cuda_public.h cuda_public.c cuda_refused.c cuda_procaddr.h cuda_procaddr.c cuda_stub.c)
GEN += $(EXPORTS_GEN)

# Files that did not change keep their time; the stamp says that they are current.
$(B)/gen/.exports: libpvgpu/protocol/gen/exports.py libpvgpu/protocol/exports.api $(WIRE_API) $(WIRE_PY) \
		$(wildcard libpvgpu/cuda/include/*.h) $(wildcard libpvgpu/tools/*.py)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --out $(@D)
	$(if $(NEXT),$(Q)sed -i 's/^	global:/&\n\t\tpvgpuNextEcho;/' $(@D)/libcuda.map)
	$(Q)touch $@
$(EXPORTS_GEN): $(B)/gen/.exports ;

.PHONY: docs-symbols
docs-symbols:
	$(Q)$(PYTHON) libpvgpu/protocol/gen/exports.py --docs

# What programs are linked with where no libcuda is installed: every symbol, no function.
$(B)/stubs/libcuda.so: $(B)/obj/gen/cuda_stub.o $(B)/gen/libcuda.map
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,--version-script=$(B)/gen/libcuda.map -o $@ $<

.PHONY: check-protocol check-exports check-docs check-docs-symbols
check-protocol: check-exports
check-exports:
	$(Q)$(PYTHON) tests/protocol/exports_test.py
	$(Q)CC="$(CC)" $(PYTHON) tests/protocol/cuda_header_test.py -v
check-docs: check-docs-symbols
check-docs-symbols:
	$(Q)$(PYTHON) libpvgpu/protocol/gen/exports.py --check-docs
