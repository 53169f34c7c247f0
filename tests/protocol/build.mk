# SPDX-License-Identifier: MIT
# Tests of the wire: both generated halves against each other, and the generator itself.
WIRE_TEST_OBJS := $(call obj,tests/protocol/wire_case.c) $(B)/obj/gen/pvgpu_stubs.o $(B)/obj/gen/pvgpu_decode.o \
	$(B)/obj/gen/pvgpu_wire_test.o

# From the top folder, where tests run.
CPPFLAGS_wire_case := -DGEN_DIR='"$(B)/gen"'

UNIT += $(B)/unit/decode_test $(B)/unit/dispatch_test
$(B)/unit/decode_test: $(call obj,tests/unit/guest/decode_test.c) $(WIRE_TEST_OBJS)
LDLIBS_decode_test := $(CHECK_LIBS)
$(B)/unit/dispatch_test: $(call obj,tests/unit/guest/dispatch_test.c) $(WIRE_TEST_OBJS)
LDLIBS_dispatch_test := $(CHECK_LIBS)

.PHONY: check-protocol check-wire
check-wire:
	$(Q)$(PYTHON) tests/protocol/wire_test.py
	$(Q)$(PYTHON) tests/protocol/calls_test.py
check-protocol: check-wire

# The records of the current version, until it is released; then a new file begins.
.PHONY: record-wire
record-wire: $(B)/unit/decode_test
	$(Q)$< --record tests/protocol/recorded/v1.txt

# A guest and a backend of different versions, in both directions. The lab does the same with pvgpu.ko between them.
NEXT_TREE := $(B)/next-version
$(B)/tests/next-echo: $(call obj,tests/protocol/next/echo.c) $(B)/stubs/libcuda.so
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ldl
TESTPROGS += $(B)/tests/next-echo

.PHONY: next-version check-versions
next-version:
	$(Q)$(MAKE) --no-print-directory $(if $(V),,-s) B=$(NEXT_TREE) NEXT=1 CFLAGS='-O0 -g1' $(addprefix $(NEXT_TREE)/,bin/pvgpud bin/pvgpu-worker lib/libcuda.so.1)
check-versions: tests next-version
	$(Q)cd tests/integration && PVGPU_BUILD=$(abspath $(B)) PVGPU_NEXT=$(abspath $(NEXT_TREE)) $(PYTHON) -m unittest -v versions_test
