# SPDX-License-Identifier: MIT
# Test kernels: the PTX beside each source is committed, so that a build needs no particular version of clang.
# `make kernels` generates it again; check-kernels compares it with this compiler's output.
KERNELS     := $(basename $(notdir $(wildcard tests/kernels/*.cu)))
KERNELCC    ?= clang
KERNELCC_IS := 14.0.6
# An installed SDK must not be used; each operation must round by itself.
KERNELFLAGS := -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 --cuda-path=/nonexistent -nocudainc \
	-nocudalib -Xclang -target-feature -Xclang +ptx64 -O2 -ffp-contract=off -Wall -Wextra -Werror

.PHONY: kernels check-kernels
kernels: $(KERNELS:%=kernel-%)
kernel-%:
	$(Q)$(KERNELCC) $(KERNELFLAGS) -S -o tests/kernels/$*.ptx tests/kernels/$*.cu

check-kernels:
	$(Q)tests/kernels/check.sh "$(KERNELCC)" "$(KERNELCC_IS)" "$(KERNELFLAGS)"

# Each PTX text as an object: the symbol ptx_NAME, NUL terminated, and ptx_NAME_size without the NUL.
$(B)/obj/kernels/%.o: tests/kernels/%.ptx tests/kernels/embed.S
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -DNAME=ptx_$* -DFILE='"$<"' -c -o $@ tests/kernels/embed.S
