# SPDX-License-Identifier: MIT
# Programs of Debian's that drive libcuda.so.1 by themselves, as they are: directly on the simulated GPU and through pvgpu.
.PHONY: check-clients check-halide check-numba check-gstreamer check-monitors check-torch check-page check-podman check-jax check-cuda-python check-llama
check-clients: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v ffmpeg_test
# Twenty seconds: pipelines in C++ are compiled first.
check-halide: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v halide_test
# Numba's own tests; half a minute.
check-numba: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v numba_test
# The tests of NVIDIA's Python bindings, which their wheel has.
check-cuda-python: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -B -m unittest -v cuda_python_test
# GStreamer's plugin for CUDA; half a minute.
check-gstreamer: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v gstreamer_test
# gpustat, nvitop, nvtop and pynvml of Debian 13 in a chroot, which debootstrap makes: needs root.
check-monitors: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v monitors_test
# Debian 13's PyTorch for CUDA in a chroot: needs root, and downloads a gigabyte and more the first time.
check-torch: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v torch_test
# The status page in headless Chromium; its pictures are in $(B)/page.
check-page: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v page_test
# Containers with vGPUs, by what pvgpuctl cdi writes: needs root.
check-podman: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v podman_test
# JAX from PyPI trains a small transformer: needs root.
check-jax: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -B -m unittest -v jax_test
# llama.cpp from its source decodes: two minutes of compiling the first time.
check-llama: tests
	$(Q)cd tests/clients && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -B -m unittest -v llama_test

# What PyPI's frameworks are linked with, against our libraries' symbols. `make imports` reads the wheels again, three gigabytes,
# and check-imports sees that they say the same.
UNIT += $(B)/unit/imports_test
$(B)/unit/imports_test: tests/clients/imports_test.py tests/clients/imports_elf.py tests/clients/imports.txt $$(filter $(B)/lib/%,$$(LIBS))
	$(Q)mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec $(PYTHON) -B %s %s\n' $(abspath $< $(B)) >$@
	$(Q)chmod +x $@
.PHONY: imports check-imports
check-imports:
	$(Q)$(PYTHON) -B tests/clients/imports_collect.py >$(B)/imports.txt
	$(Q)diff tests/clients/imports.txt $(B)/imports.txt
imports:
	$(Q)$(PYTHON) -B tests/clients/imports_collect.py >$(B)/imports.txt
	$(Q)mv $(B)/imports.txt tests/clients/imports.txt
