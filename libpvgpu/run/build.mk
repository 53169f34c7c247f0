# SPDX-License-Identifier: MIT
# pvgpu-run: a script, so that it runs in any guest.
PROGS += $(B)/bin/pvgpu-run
$(B)/bin/pvgpu-run: libpvgpu/run/pvgpu-run Makefile libpvgpu/link/local.h
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@VERSION@|$(VERSION)|' \
		-e "s|@SOCKET@|$$(sed -n 's/.*DEFAULT_SOCKET "\(.*\)".*/\1/p' libpvgpu/link/local.h)|" $< >$@
	$(Q)chmod 755 $@

UNIT += $(B)/unit/pvgpu_run_test
$(B)/unit/pvgpu_run_test: tests/cudart/run_test.py $(B)/bin/pvgpu-run
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec $(PYTHON) %s %s\n' $(abspath $^) >$@
	$(Q)chmod +x $@
