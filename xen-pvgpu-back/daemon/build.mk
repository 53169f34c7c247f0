# SPDX-License-Identifier: MIT
DAEMON_SRCS := $(addprefix xen-pvgpu-back/daemon/,main.c config.c log.c ledger.c vgpu.c open.c session.c spawn.c \
	supervise.c worker_log.c adopt.c tree.c admin_json.c admin.c)

PROGS += $(B)/bin/pvgpud
$(B)/bin/pvgpud: $(call obj,$(DAEMON_SRCS) xen-pvgpu-back/link/msg.c xen-pvgpu-back/link/local_check.c)
LDLIBS_pvgpud := -lev -linih -ljansson
