# SPDX-License-Identifier: MIT
# Tests of the wire: both generated halves against each other, and the generator itself.
WIRE_TEST_OBJS := $(call obj,tests/protocol/wire_case.c) $(B)/obj/gen/pvgpu_stubs.o $(B)/obj/gen/pvgpu_decode.o \
	$(B)/obj/gen/pvgpu_wire_test.o

# From the top folder, where tests run.
CPPFLAGS_wire_case := -DGEN_DIR='"$(B)/gen"'

UNIT += $(B)/unit/decode_test $(B)/unit/dispatch_test
$(B)/unit/decode_test: $(call obj,tests/unit/decode_test.c) $(WIRE_TEST_OBJS)
LDLIBS_decode_test := $(CHECK_LIBS)
$(B)/unit/dispatch_test: $(call obj,tests/unit/dispatch_test.c) $(WIRE_TEST_OBJS)
LDLIBS_dispatch_test := $(CHECK_LIBS)

.PHONY: check-protocol check-wire
check-wire:
	$(Q)$(PYTHON) tests/protocol/wire_test.py
check-protocol: check-wire

# The records of the current version, until it is released; then a new folder begins.
.PHONY: record-wire
record-wire: $(B)/unit/decode_test
	$(Q)rm -f tests/protocol/recorded/v1/*
	$(Q)$< --record tests/protocol/recorded/v1
