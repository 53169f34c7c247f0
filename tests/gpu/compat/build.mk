# SPDX-License-Identifier: MIT
# What the kit preloads into pvgpud where the kernel lacks something, as gVisor's does.
TESTPROGS += $(if $(SAN),,$(B)/tests/gpu-compat.so)
$(B)/tests/gpu-compat.so: $(call obj,tests/gpu/compat/pidfd.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -shared $(LDFLAGS) -o $@ $^
