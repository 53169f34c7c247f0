# SPDX-License-Identifier: MIT
DAEMON_SRCS := $(addprefix xen-pvgpu-back/daemon/,main.c config.c log.c ledger.c vgpu.c open.c open_local.c session.c spawn.c \
	supervise.c lease.c worker_log.c adopt.c tree.c admin_json.c admin.c)

PROGS += $(B)/bin/pvgpud
$(B)/bin/pvgpud: $(call obj,$(DAEMON_SRCS) xen-pvgpu-back/link/msg.c xen-pvgpu-back/link/local_check.c)
LDLIBS_pvgpud := -lev -linih -ljansson

UNIT += $(addprefix $(B)/unit/,ledger_test config_test local_check_test xenbus_test)
$(B)/unit/ledger_test: $(call obj,tests/unit/ledger_test.c xen-pvgpu-back/daemon/ledger.c)
LDLIBS_ledger_test = $(CHECK_LIBS)
$(B)/unit/config_test: $(call obj,tests/unit/config_test.c xen-pvgpu-back/daemon/config.c xen-pvgpu-back/daemon/log.c \
	xen-pvgpu-back/link/local_check.c)
LDLIBS_config_test = $(CHECK_LIBS) -linih
$(B)/unit/local_check_test: $(call obj,tests/unit/local_check_test.c xen-pvgpu-back/link/msg.c \
	xen-pvgpu-back/link/local_check.c)
LDLIBS_local_check_test = $(CHECK_LIBS)
$(B)/unit/xenbus_test: $(call obj,tests/unit/xenbus_test.c xen-pvgpu-back/daemon/xenbus_rules.c) $$(KEYS_OBJS)
LDLIBS_xenbus_test = $(CHECK_LIBS)
