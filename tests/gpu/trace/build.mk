# SPDX-License-Identifier: MIT
# gpu-trace: what a program asks of the kernel, where there is no strace. It needs libc only.
TESTPROGS += $(if $(SAN),,$(B)/tests/gpu-trace $(B)/tests/gpu-trace-target)
$(B)/tests/gpu-trace: $(call obj,$(addprefix tests/gpu/trace/,main.c follow.c calls.c words.c mask.c table.c summary.c))
LDLIBS_gpu-trace := -l:libjansson.a
$(B)/tests/gpu-trace-target: $(call obj,tests/gpu/trace/target.c)

# Names of system calls by number, as this machine's headers have them.
GEN += $(B)/gen/trace_calls.h
$(B)/gen/trace_calls.h: tests/gpu/trace/build.mk
	$(Q)mkdir -p $(@D)
	$(Q)echo '#include <asm/unistd_64.h>' | $(CC) -E -dM - | \
		awk '$$2 ~ /^__NR_/ { printf "[%d] = \"%s\",\n", $$3, substr($$2, 6) }' | sort > $@

.PHONY: check-gpu-trace
check-gpu-trace: tests
	$(Q)cd tests/gpu && PVGPU_BUILD=$(abspath $(B)) $(PYTHON) -m unittest -v trace_test
