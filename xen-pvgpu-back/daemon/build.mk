# SPDX-License-Identifier: MIT
XENBUS_SRCS := $(addprefix xen-pvgpu-back/daemon/,xenbus.c xenbus_host.c xenbus_rules.c xenbus_store.c xenbus_vgpu.c xenbus_keys.c)
XENCTL_SRCS := $(addprefix xen-pvgpu-back/daemon/,xenctl.c xenctl_session.c xenctl_chunk.c xenctl_grants.c)
# What goes wrong, and what follows.
FAULT_SRCS := $(addprefix xen-pvgpu-back/daemon/,faults.c quarantine.c canary.c xid.c watch.c judge.c)
# What workers use, as the far end counts it.
ACCOUNT_SRCS := $(addprefix xen-pvgpu-back/daemon/,account.c account_check.c health.c)
DAEMON_SRCS := $(addprefix xen-pvgpu-back/daemon/,main.c config.c config_value.c config_finish.c config_live.c pool.c pool_live.c scrub.c log.c ledger.c vgpu.c open.c open_local.c session.c spawn.c \
	supervise.c lease.c worker_log.c adopt.c tree.c admin_json.c admin.c faults_file.c watchdog.c) $(FAULT_SRCS) $(ACCOUNT_SRCS) $(XENCTL_SRCS) $(XENBUS_SRCS) \
	xen-pvgpu-back/sched/place.c

# The scheduler's driver, and its link to vGPUs and workers.
SCHEDULE_SRCS := $(addprefix xen-pvgpu-back/daemon/,gate.c limits.c schedule.c hang.c seat.c entitle.c)
SHARE_SRCS := $(addprefix xen-pvgpu-back/daemon/,share.c usage.c xenbus_share.c) $(SCHEDULE_SRCS)

PROGS += $(B)/bin/pvgpud
$(B)/bin/pvgpud: $$(SCHED_OBJS) $(call obj,$(DAEMON_SRCS) $(SHARE_SRCS) $(addprefix xen-pvgpu-back/link/,msg.c local_check.c xen_real.c)) $$(KEYS_OBJS)
LDLIBS_pvgpud := -lev -linih -ljansson -lxenstore -lxengnttab -lxenevtchn

UNIT += $(addprefix $(B)/unit/,ledger_test scrub_test config_test local_check_test xenbus_test)
$(B)/unit/ledger_test: $(call obj,tests/unit/ledger_test.c xen-pvgpu-back/daemon/ledger.c)
LDLIBS_ledger_test = $(CHECK_LIBS)
$(B)/unit/scrub_test: $(call obj,tests/unit/scrub_test.c xen-pvgpu-back/daemon/scrub.c xen-pvgpu-back/daemon/log.c)
LDLIBS_scrub_test = $(CHECK_LIBS)
# xenstore's events, with vGPUs that the test counts looks at.
UNIT += $(B)/unit/xenbus_events_test
$(B)/unit/xenbus_events_test: $(call obj,tests/unit/xenbus_events_test.c tests/unit/fake_xenstore.c \
	$(addprefix xen-pvgpu-back/daemon/,xenbus.c xenbus_store.c xenbus_rules.c)) $$(KEYS_OBJS)
LDLIBS_xenbus_events_test = $(CHECK_LIBS) -lev
# The whole of it, without what it is for.
UNIT += $(B)/unit/xenbus_vgpu_test
$(B)/unit/xenbus_vgpu_test: $(call obj,tests/unit/xenbus_vgpu_test.c tests/unit/fake_xenstore.c $(XENBUS_SRCS) \
	$(addprefix xen-pvgpu-back/daemon/,xenbus_share.c log.c)) $$(KEYS_OBJS)
LDLIBS_xenbus_vgpu_test = $(CHECK_LIBS) -lev
$(B)/unit/config_test: $(call obj,tests/unit/config_test.c xen-pvgpu-back/daemon/config.c xen-pvgpu-back/daemon/config_value.c xen-pvgpu-back/daemon/config_finish.c xen-pvgpu-back/daemon/config_live.c xen-pvgpu-back/daemon/log.c \
	xen-pvgpu-back/link/local_check.c)
LDLIBS_config_test = $(CHECK_LIBS) -linih
$(B)/unit/local_check_test: $(call obj,tests/unit/local_check_test.c xen-pvgpu-back/link/msg.c \
	xen-pvgpu-back/link/local_check.c)
LDLIBS_local_check_test = $(CHECK_LIBS)
$(B)/unit/xenbus_test: $(call obj,tests/unit/xenbus_test.c xen-pvgpu-back/daemon/xenbus_rules.c) $$(KEYS_OBJS)
LDLIBS_xenbus_test = $(CHECK_LIBS)

UNIT += $(B)/unit/quarantine_test $(B)/unit/watch_test
$(B)/unit/quarantine_test: $(call obj,tests/unit/quarantine_test.c $(addprefix xen-pvgpu-back/daemon/,quarantine.c xid.c))
LDLIBS_quarantine_test = $(CHECK_LIBS)
$(B)/unit/watch_test: $(call obj,tests/unit/watch_test.c xen-pvgpu-back/daemon/watch.c)
LDLIBS_watch_test = $(CHECK_LIBS)

UNIT += $(B)/unit/schedule_test
$(B)/unit/schedule_test: $$(SCHED_OBJS) $(call obj,tests/unit/schedule_test.c $(SCHEDULE_SRCS))
LDLIBS_schedule_test = $(CHECK_LIBS) -lev
UNIT += $(B)/unit/schedule_hang_test
$(B)/unit/schedule_hang_test: $$(SCHED_OBJS) $(call obj,tests/unit/schedule_hang_test.c $(SCHEDULE_SRCS))
LDLIBS_schedule_hang_test = $(CHECK_LIBS) -lev
UNIT += $(B)/unit/schedule_clock_test
$(B)/unit/schedule_clock_test: $$(SCHED_OBJS) $(call obj,tests/unit/schedule_clock_test.c $(SCHEDULE_SRCS) $(addprefix xen-pvgpu-back/daemon/,judge.c watch.c))
LDLIBS_schedule_clock_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime
UNIT += $(B)/unit/share_test
$(B)/unit/share_test: $$(SCHED_OBJS) $(call obj,tests/unit/share_test.c xen-pvgpu-back/daemon/share.c xen-pvgpu-back/daemon/log.c $(SCHEDULE_SRCS))
LDLIBS_share_test = $(CHECK_LIBS) -lev -Wl,--wrap=calloc
UNIT += $(B)/unit/usage_test
$(B)/unit/usage_test: $(call obj,tests/unit/usage_test.c $(addprefix xen-pvgpu-back/daemon/,usage.c log.c))
LDLIBS_usage_test = $(CHECK_LIBS)

# The control rings' side with a guest in memory and workers that the test plays.
XENCTL_TEST_SRCS := $(XENCTL_SRCS) tests/unit/xenctl_fake.c xen-pvgpu-back/link/msg.c xen-pvgpu-back/link/local_check.c \
	$(addprefix xen-pvgpu-back/daemon/,adopt.c open.c session.c supervise.c lease.c ledger.c vgpu.c worker_log.c log.c pool.c config_value.c) xen-pvgpu-back/sched/place.c $(FAULT_SRCS)
UNIT += $(B)/unit/xenctl_session_test $(B)/unit/xenctl_ring_test
$(B)/unit/xenctl_session_test: $(call obj,tests/unit/xenctl_session_test.c $(XENCTL_TEST_SRCS))
LDLIBS_xenctl_session_test = $(CHECK_LIBS) -lev
$(B)/unit/xenctl_ring_test: $(call obj,tests/unit/xenctl_ring_test.c $(XENCTL_TEST_SRCS))
LDLIBS_xenctl_ring_test = $(CHECK_LIBS) -lev

# From the toolstack's keys to pools, with xenstore in memory and neither guests nor workers.
UNIT += $(B)/unit/admission_test
$(B)/unit/admission_test: $(call obj,tests/unit/admission_test.c tests/unit/daemon_fake.c tests/unit/fake_xenstore.c $(XENBUS_SRCS) \
	$(addprefix xen-pvgpu-back/daemon/,xenbus_share.c pool.c pool_live.c vgpu.c lease.c ledger.c config.c config_value.c \
	config_finish.c config_live.c log.c) xen-pvgpu-back/sched/place.c xen-pvgpu-back/link/local_check.c) $$(KEYS_OBJS)
LDLIBS_admission_test = $(CHECK_LIBS) -lev -linih
