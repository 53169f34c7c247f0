# SPDX-License-Identifier: MIT
# pvgpu.ko for the kernels of several Debian suites; see docs/module.md. The suites' packages are kept in
# $(B)/module/suites; REFRESH=1: newer ones. KERNEL="6.1 newest": only these.
.PHONY: check-module
check-module:
	$(Q)$(MAKE) --no-print-directory install-module-source DESTDIR=$(abspath $(B))/module/installed PREFIX=/usr
	$(Q)$(PYTHON) tests/module/matrix.py --tree $(B)/module/installed/usr/src/pvgpu-$(VERSION) --work $(B)/module/suites \
		$(if $(REFRESH),--refresh) $(KERNEL)

.PHONY: check-docs-abi
check-docs: check-docs-abi
check-docs-abi:
	$(Q)$(PYTHON) tests/module/abi_test.py
