# SPDX-License-Identifier: MIT
# Real Xen with four guests; demo-local: four clients on this machine, on its GPU where it has one.
.PHONY: demo-local
demo: lab-packages
	$(Q)echo "pvgpu demo: building"
	$(Q)$(MAKE) --no-print-directory -j2 lab-built
	$(Q)$(PYTHON) tests/demo/xen.py --build $(B)
demo-local: packages
	$(Q)echo "pvgpu demo: building"
	$(Q)$(MAKE) --no-print-directory -j2 tests
	$(Q)$(PYTHON) tests/demo/local.py --build $(B)
