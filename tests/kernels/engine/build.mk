# SPDX-License-Identifier: MIT
# Kernels for the engine's own tests, each compiled at three levels. clang 14 writes the same text for
# sm_70 and for the newest architecture it knows, but for the .target line, which the tests vary.
# Included by tests/simcuda/ptx/build.mk; the PTX is committed.
ENGINE_KERNELS := $(basename $(notdir $(wildcard tests/kernels/engine/*.cu)))
ENGINE_FLAGS   := -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 --cuda-path=/nonexistent -nocudainc \
	-nocudalib -ffp-contract=off -Wall -Wextra -Werror -Wno-unused-function \
	-Xclang -target-feature -Xclang +ptx75

.PHONY: engine-kernels check-engine-kernels
engine-kernels:
	$(Q)set -e; for k in $(ENGINE_KERNELS); do for o in 0 2 3; do \
		$(KERNELCC) $(ENGINE_FLAGS) -O$$o -S -o tests/kernels/engine/$$k.O$$o.ptx \
			tests/kernels/engine/$$k.cu; \
	done; done

# Compares the committed PTX with this compiler's output.
check-engine-kernels:
	$(Q)set -e; \
	if ! $(KERNELCC) --version | grep -q 'version $(KERNELCC_IS)'; then \
		echo "SKIP engine kernels: the committed PTX is of clang $(KERNELCC_IS)"; exit 0; fi; \
	for k in $(ENGINE_KERNELS); do for o in 0 2 3; do \
		$(KERNELCC) $(ENGINE_FLAGS) -O$$o -S -o - tests/kernels/engine/$$k.cu | \
			cmp -s - tests/kernels/engine/$$k.O$$o.ptx || \
			{ echo "FAIL tests/kernels/engine/$$k.O$$o.ptx is not current: make engine-kernels"; exit 1; }; \
	done; done; echo "ok   engine kernels are current"
