# SPDX-License-Identifier: MIT
# The wire: C sources, tables for the tests and seeds, all made from the descriptions.
WIRE_API := $(sort $(wildcard libpvgpu/protocol/[0-9]*.api))
WIRE_LOCK := libpvgpu/protocol/numbers.lock
# NEXT=1 builds the version after this one, with one new call (tests/protocol/next), for tests of versions. Use another B.
ifneq ($(NEXT),)
WIRE_API := $(patsubst libpvgpu/protocol/%,$(B)/next/%,$(WIRE_API)) $(B)/next/90-next.api
WIRE_LOCK :=
$(B)/next/%.api: libpvgpu/protocol/%.api tests/protocol/next/bump
	$(Q)tests/protocol/next/bump libpvgpu/protocol/00-base.api $< $@
$(B)/next/90-next.api: tests/protocol/next/next.api tests/protocol/next/bump
	$(Q)tests/protocol/next/bump libpvgpu/protocol/00-base.api $< $@
endif
WIRE_PY  := $(filter-out %/exports.py,$(wildcard libpvgpu/protocol/gen/*.py)) $(wildcard libpvgpu/tools/*.py)
WIRE_GEN := $(B)/gen/cublaslt_public.h $(B)/gen/cublaslt_public.c $(addprefix $(B)/gen/pvgpu_,cublaslt.h valid_cublaslt.h calls_cublaslt.h calls_cublaslt.c conform_cublaslt.h) \
	$(B)/gen/libcublas.so.12.map $(B)/gen/libcublas.so.13.map $(B)/gen/cublas_public.h $(B)/gen/cublas_public.c $(B)/gen/cublas_refused.c $(addprefix $(B)/gen/pvgpu_,wire.h stubs.h stubs.c decode.h decode.c wire_test.h wire_test.c far.h handlers.c \
	valid_cuda.h calls_cuda.h calls_cuda.c cublas.h valid_cublas.h calls_cublas.h calls_cublas.c \
	conform_cuda.h conform_cublas.h vary_cublas.h attack_cublas.h)
GEN += $(WIRE_GEN)

$(WIRE_GEN) $(B)/gen/corpus/decode/.stamp &: $(WIRE_API) $(wildcard libpvgpu/protocol/*.exports) $(WIRE_PY) $(WIRE_LOCK)
	$(Q)$(PYTHON) libpvgpu/protocol/gen/wire.py $(if $(WIRE_LOCK),,--no-lock) --out $(B)/gen $(WIRE_API)
	$(Q)touch $(B)/gen/corpus/decode/.stamp

# After a change of the description: take it over in numbers.lock (unreleased versions only) and in docs/protocol.md.
.PHONY: relock check-docs check-docs-wire
relock:
	$(Q)$(PYTHON) libpvgpu/protocol/gen/wire.py --relock --docs $(WIRE_API)
check-docs-wire:
	$(Q)$(PYTHON) libpvgpu/protocol/gen/wire.py --check-docs $(WIRE_API)
check-docs: check-docs-wire

-include libpvgpu/protocol/exports.mk
