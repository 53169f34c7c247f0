# SPDX-License-Identifier: MIT
# What the backend's processes say to each other. An archive: each program takes of it what it uses. List it last.
CONTRACT := $(B)/obj/xen-pvgpu-back/contract.a
$(CONTRACT): $(call obj,$(sort $(wildcard xen-pvgpu-back/contract/*.c)))
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

UNIT += $(B)/unit/local_check_test
$(B)/unit/local_check_test: $(call obj,tests/unit/daemon/local_check_test.c) $(CONTRACT)
LDLIBS_local_check_test = $(CHECK_LIBS) -Wl,--wrap=recvmsg
UNIT += $(B)/unit/log_sink_test
$(B)/unit/log_sink_test: $(call obj,tests/unit/daemon/log_sink_test.c) $(CONTRACT)
LDLIBS_log_sink_test = $(CHECK_LIBS)
