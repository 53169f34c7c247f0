# SPDX-License-Identifier: MIT
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lm -lrt)

# Tests that docs/security.md names.
.PHONY: check-docs check-docs-tests
check-docs: check-docs-tests
check-docs-tests:
	$(Q)$(PYTHON) tests/check/named_tests.py
