# SPDX-License-Identifier: MIT
# Tests of the wire: both generated halves against each other, and the generator itself.
WIRE_TEST_OBJS := $(call obj,tests/protocol/wire_case.c) $(B)/obj/gen/pvgpu_stubs.o $(B)/obj/gen/pvgpu_decode.o \
	$(B)/obj/gen/pvgpu_wire_test.o

UNIT += $(B)/unit/decode_test $(B)/unit/dispatch_test
$(B)/unit/decode_test: $(call obj,tests/unit/decode_test.c) $(WIRE_TEST_OBJS)
LDLIBS_decode_test := $(CHECK_LIBS)
CPPFLAGS_decode_test := -DGEN_DIR='"$(B)/gen"'
$(B)/unit/dispatch_test: $(call obj,tests/unit/dispatch_test.c) $(WIRE_TEST_OBJS)
LDLIBS_dispatch_test := $(CHECK_LIBS)

.PHONY: check-protocol check-wire
check-wire:
	$(Q)$(PYTHON) tests/protocol/wire_test.py
check-protocol: check-wire
