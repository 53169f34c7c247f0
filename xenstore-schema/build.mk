# SPDX-License-Identifier: MIT
# The xenstore keys: accessors, table and documentation, all made from pvgpu.schema.
KEYS_PY  := $(addprefix xenstore-schema/gen/,schema.py describe.py values.py keys_c.py keys_doc.py keys_lock.py) \
	libpvgpu/protocol/gen/parse.py
KEYS_GEN := $(addprefix $(B)/gen/pvgpu_keys.,h c json)
GEN += $(KEYS_GEN)

$(KEYS_GEN) &: xenstore-schema/pvgpu.schema xenstore-schema/keys.lock $(KEYS_PY)
	$(Q)$(PYTHON) xenstore-schema/gen/schema.py --out $(B)/gen

# What a program links that reads or writes keys; the second part only if it also checks whole trees.
KEYS_OBJS  := $(call obj,xenstore-schema/values.c xenstore-schema/records.c) $(B)/obj/gen/pvgpu_keys.o
CHECK_OBJS := $(call obj,xenstore-schema/validate.c xenstore-schema/dump.c)

UNIT += $(B)/unit/keys_test $(B)/unit/keys_values_test $(B)/unit/keys_tree_test
$(B)/unit/keys_test: $(call obj,tests/unit/keys_test.c tests/unit/keys_take.c) $(KEYS_OBJS)
LDLIBS_keys_test := $(CHECK_LIBS)
$(B)/unit/keys_values_test: $(call obj,tests/unit/keys_values_test.c tests/unit/keys_take.c) $(KEYS_OBJS)
LDLIBS_keys_values_test := $(CHECK_LIBS)
$(B)/unit/keys_tree_test: $(call obj,tests/unit/keys_tree_test.c) $(CHECK_OBJS) $(KEYS_OBJS)
LDLIBS_keys_tree_test := $(CHECK_LIBS)

# After a change of the description, as for the wire.
.PHONY: relock-schema check-schema-docs check-schema
relock: relock-schema
relock-schema:
	$(Q)$(PYTHON) xenstore-schema/gen/schema.py --relock --docs
check-docs: check-schema-docs
check-schema-docs:
	$(Q)$(PYTHON) xenstore-schema/gen/schema.py --check-docs
check-protocol: check-schema
check-schema: $(B)/bin/pvgpuctl
	$(Q)$(PYTHON) tests/schema/schema_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/schema/check_test.py
