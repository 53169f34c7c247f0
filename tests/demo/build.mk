# SPDX-License-Identifier: MIT
demo: packages
	$(Q)echo "pvgpu demo: building"
	$(Q)$(MAKE) --no-print-directory -j2 tests
	$(Q)$(PYTHON) tests/demo/demo.py --build $(B)
