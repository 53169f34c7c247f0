# SPDX-License-Identifier: MIT
# The kit: see tests/gpu/README.md. What it takes of the build is in make_kit.py.
.PHONY: gpu-kit
gpu-kit: tests
	$(Q)$(PYTHON) tests/gpu/kit/make_kit.py --build $(B) --version $(VERSION)

# docs/gpu.md, from a results.json of the kit, which becomes docs/gpu-results.json; without RESULTS from that one, if there is one.
.PHONY: gpu-report check-docs check-docs-gpu
gpu-report:
	$(Q)$(PYTHON) tests/gpu/kit/report.py $(if $(RESULTS),--results $(RESULTS))
check-docs: check-docs-gpu
check-docs-gpu:
	$(Q)$(PYTHON) tests/gpu/kit/report.py --check

# Without a GPU: in a bare Debian system with the simulated one, and the short form of it.
.PHONY: gpu-kit-rehearsal check-gpu-kit
gpu-kit-rehearsal: gpu-kit
	$(Q)$(PYTHON) tests/gpu/kit/rehearse.py --build $(B) $(if $(REFRESH),--refresh)
check-gpu-kit: gpu-kit
	$(Q)$(MAKE) --no-print-directory -j2 --output-sync=target check-gpu-kit-whole check-gpu-kit-parts

# Side by side: the first one mostly waits.
.PHONY: check-gpu-kit-whole check-gpu-kit-parts
check-gpu-kit-whole:
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v kit_test.Rehearsal
check-gpu-kit-parts:
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v \
		$(addprefix kit_test.,OneItem Stages Parts WholeRuns)
