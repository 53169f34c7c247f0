# SPDX-License-Identifier: MIT
# Real Xen with four guests; demo-local: four clients on this machine, on its GPU where it has one.
.PHONY: demo-local
demo:
	$(Q)echo "pvgpu demo: four Xen guests share one GPU. The machine that runs Xen is emulated (QEMU), and its GPU is simulated."
	$(Q)echo "make demo takes 2 to 10 minutes on two cores, and up to 12 minutes the first time: then packages are installed, pvgpu is built"
	$(Q)echo "and images are made. A line follows at least every ten seconds."
	$(Q)$(MAKE) --no-print-directory lab-packages
	$(Q)$(PYTHON) tests/demo/progress.py "pvgpu is built" $(MAKE) --no-print-directory -j2 lab-built
	$(Q)$(PYTHON) tests/demo/xen.py --build $(B)
demo-local: packages
	$(Q)$(PYTHON) tests/demo/progress.py "pvgpu is built" $(MAKE) --no-print-directory -j2 tests
	$(Q)$(PYTHON) tests/demo/local.py --build $(B)
# README's pictures, anew; DEMO=FILE names what `make demo` has printed.
.PHONY: pictures
pictures: tests
	$(Q)$(PYTHON) tests/demo/pictures.py --build $(B) $(if $(DEMO),--demo $(DEMO))
