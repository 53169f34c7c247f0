# SPDX-License-Identifier: MIT
# The guest's management library, and pvgpu-smi.
.PHONY: check-nvml
check-nvml: tests
	$(Q)cd tests/nvml && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v nvml_test
