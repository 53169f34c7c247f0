# SPDX-License-Identifier: MIT
# libxl and xl with the patches of xen-pvgpu-back/xl. They are no part of `make`, nor of `make check`.
#
#   make xl-toolstack       BUILD/xl/SUITE/out: xl and its libraries; SUITE=: of another suite of Debian than the machine's
#   make check-xl           both: Xen 4.17's, and the newest one's; and what the former does, without Xen
XL_SUITES := bookworm trixie

.PHONY: xl-packages xl-toolstack check-xl
xl-packages:
	$(Q).ci/install-packages
	$(Q).ci/install-packages tests/xl/packages

xl-toolstack: xl-packages
	$(Q)$(PYTHON) tests/xl/toolstack.py --build $(B) $(if $(REFRESH),--refresh) $(SUITE)

check-xl: xl-packages $(B)/bin/pvgpuctl
	$(Q)failed=; for s in $(XL_SUITES); do \
		$(PYTHON) tests/xl/toolstack.py --build $(B) $$s; status=$$?; \
		case $$status in 0|77) ;; *) failed="$$failed $$s" ;; esac; done; \
	[ -z "$$failed" ] || { echo "xl: failed:$$failed" >&2; exit 1; }
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xl/xl_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/xl/unpatched_test.py
