# SPDX-License-Identifier: MIT
# The ring is headers only; these are its tests.
UNIT += $(B)/unit/ring_test $(B)/unit/ring_stress_test
$(B)/unit/ring_test: $(call obj,tests/unit/guest/ring_test.c)
LDLIBS_ring_test = $(CHECK_LIBS)
UNIT += $(B)/unit/ring_copy_test
$(B)/unit/ring_copy_test: $(call obj,tests/unit/guest/ring_copy_test.c)
LDLIBS_ring_copy_test = $(CHECK_LIBS)
$(B)/unit/ring_stress_test: $(call obj,tests/unit/guest/ring_stress_test.c)
