# SPDX-License-Identifier: MIT
# The xenstore keys: accessors, table and documentation, all made from pvgpu.schema.
KEYS_PY  := $(wildcard xenstore-schema/gen/*.py libpvgpu/tools/*.py)
KEYS_GEN := $(addprefix $(B)/gen/pvgpu_keys.,h c json) $(addprefix $(B)/gen/pvgpu_statistics.,h c)
GEN += $(KEYS_GEN)

# Tests of the generator bring a description of their own.
SCHEMA ?= xenstore-schema/pvgpu.schema
$(KEYS_GEN) &: $(SCHEMA) xenstore-schema/pvgpu.statistics xenstore-schema/keys.lock $(KEYS_PY)
	$(Q)$(PYTHON) xenstore-schema/gen/schema.py $(if $(filter file,$(origin SCHEMA)),,--no-lock) --out $(B)/gen $(SCHEMA)

# Linked by programs that read or write keys; CHECK_OBJS only by those that check whole trees.
KEYS_OBJS  := $(call obj,xenstore-schema/values.c xenstore-schema/records.c xenstore-schema/nearest.c) $(B)/obj/gen/pvgpu_keys.o $(B)/obj/gen/pvgpu_statistics.o
CHECK_OBJS := $(call obj,xenstore-schema/validate.c xenstore-schema/dump.c)

UNIT += $(B)/unit/keys_test $(B)/unit/keys_values_test $(B)/unit/keys_tree_test
$(B)/unit/keys_test: $(call obj,tests/unit/keys/keys_test.c tests/unit/keys/keys_take.c) $(KEYS_OBJS)
LDLIBS_keys_test := $(CHECK_LIBS)
$(B)/unit/keys_values_test: $(call obj,tests/unit/keys/keys_values_test.c tests/unit/keys/keys_take.c) $(KEYS_OBJS)
LDLIBS_keys_values_test := $(CHECK_LIBS)
$(B)/unit/keys_tree_test: $(call obj,tests/unit/keys/keys_tree_test.c) $(CHECK_OBJS) $(KEYS_OBJS)
LDLIBS_keys_tree_test := $(CHECK_LIBS)

# Every door to a vGPU's policy: pvgpud's configuration, pvgpuctl, the keys themselves.
UNIT += $(B)/unit/policy_doors_test
$(B)/unit/policy_doors_test: $(call obj,tests/unit/keys/policy_doors_test.c xen-pvgpu-back/toolstack/vgpu_spec.c) \
	$$(call obj,$$(CONFIG_SRCS)) $$(CONTRACT) $(KEYS_OBJS)
LDLIBS_policy_doors_test := $(CHECK_LIBS) -linih

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
	$(Q)$(PYTHON) tests/schema/statistics_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/schema/check_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/schema/ctl_man_test.py
# It runs the simulated GPU, so it comes after the build.
.PHONY: check-planted
check-planted: tests
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/schema/planted_test.py
