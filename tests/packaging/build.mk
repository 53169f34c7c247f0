# SPDX-License-Identifier: MIT
# The packages: their file lists from `make install`, what an old dom0's tools ask of it; check-packages (of make check-full) builds
# and installs them.
UNIT += $(B)/unit/ev_test
$(B)/unit/ev_test: $(call obj,tests/packaging/ev_test.c xen-pvgpu-back/packaging/dom0/ev.c)
LDLIBS_ev_test = $(CHECK_LIBS)

TESTPROGS += $(B)/tests/ini-ours $(B)/tests/ini-theirs
$(B)/tests/ini-ours: $(call obj,tests/packaging/ini_dump.c xen-pvgpu-back/packaging/dom0/ini.c)
$(B)/tests/ini-theirs: $(call obj,tests/packaging/ini_dump.c)
LDLIBS_ini-theirs = -linih

.PHONY: check-packaging check-packages
check-packaging: all dom0 $(B)/tests/ini-ours $(B)/tests/ini-theirs
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/packaging/dom0_test.py -v
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/packaging/files_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/packaging/scripts_test.py
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/packaging/ansible_test.py
check-packages: deb rpm
	$(Q)$(PYTHON) tests/packaging/installed.py $(B)
	$(Q)PVGPU_BUILD=$(B) $(PYTHON) tests/packaging/ansible_test.py $(B)
