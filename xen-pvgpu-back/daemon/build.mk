# SPDX-License-Identifier: MIT
# pvgpud: every file of its folders, the scheduler and the placement.
daemon = $(addprefix xen-pvgpu-back/daemon/,$(1))
DAEMON_SRCS := $(sort $(wildcard xen-pvgpu-back/daemon/*.c xen-pvgpu-back/daemon/*/*.c))

PROGS += $(B)/bin/pvgpud
$(B)/bin/pvgpud: $(call obj,$(DAEMON_SRCS)) $$(call obj,$$(STATISTICS_SRCS)) $$(SIM_OBJS) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_pvgpud := -lev -lm -linih -ljansson -lxenstore -lxengnttab -lxenevtchn

# Groups that tests link: a folder, or a part of one.
CONFIG_SRCS   := $(filter xen-pvgpu-back/daemon/config/%,$(DAEMON_SRCS))
RULES_SRCS    := $(filter xen-pvgpu-back/daemon/rules/%,$(DAEMON_SRCS))
XENBUS_SRCS   := $(filter xen-pvgpu-back/daemon/xen/xenbus%,$(DAEMON_SRCS)) xen-pvgpu-back/daemon/guard/statistics.c xen-pvgpu-back/daemon/rules/budget.c xen-pvgpu-back/daemon/rules/portion.c
XENCTL_SRCS   := $(filter xen-pvgpu-back/daemon/xen/xenctl%,$(DAEMON_SRCS))
# The scheduler's driver, without its link to vGPUs and workers.
SCHEDULE_SRCS := $(filter-out %/share.c %/usage.c,$(filter xen-pvgpu-back/daemon/dispatch/%,$(DAEMON_SRCS)))

UNIT += $(addprefix $(B)/unit/,ledger_test scrub_test config_test xenbus_test)
$(B)/unit/ledger_test: $(call obj,tests/unit/daemon/ledger_test.c $(call daemon,rules/ledger.c))
LDLIBS_ledger_test = $(CHECK_LIBS)
$(B)/unit/scrub_test: $(call obj,tests/unit/daemon/scrub_test.c $(call daemon,guard/scrub.c)) $$(CONTRACT)
LDLIBS_scrub_test = $(CHECK_LIBS)
$(B)/unit/config_test: $(call obj,tests/unit/daemon/config_test.c $(CONFIG_SRCS)) $$(CONTRACT) $$(KEYS_OBJS)
LDLIBS_config_test = $(CHECK_LIBS) -linih
$(B)/unit/xenbus_test: $(call obj,tests/unit/daemon/xenbus_test.c $(call daemon,xen/xenbus_rules.c)) $$(KEYS_OBJS)
LDLIBS_xenbus_test = $(CHECK_LIBS)
# xenstore's events, with vGPUs that the test counts looks at.
UNIT += $(B)/unit/xenbus_events_test
$(B)/unit/xenbus_events_test: $(call obj,tests/unit/daemon/xenbus_events_test.c tests/unit/keys/fake_xenstore.c \
	$(call daemon,xen/xenbus.c xen/xenbus_store.c xen/xenbus_rules.c rules/budget.c)) $$(KEYS_OBJS)
LDLIBS_xenbus_events_test = $(CHECK_LIBS) -lev
# The whole of it, without what it is for.
UNIT += $(B)/unit/xenbus_vgpu_test
$(B)/unit/xenbus_vgpu_test: $(call obj,tests/unit/daemon/xenbus_vgpu_test.c tests/unit/keys/fake_xenstore.c $(XENBUS_SRCS)) $$(KEYS_OBJS) \
	$$(CONTRACT)
LDLIBS_xenbus_vgpu_test = $(CHECK_LIBS) -lev

UNIT += $(B)/unit/held_test
$(B)/unit/held_test: $(call obj,tests/unit/daemon/held_test.c $(call daemon,core/held.c))
LDLIBS_held_test = $(CHECK_LIBS)
# Where a GPU is, of files like sysfs's.
UNIT += $(B)/unit/near_test
$(B)/unit/near_test: $(call obj,tests/unit/daemon/near_test.c $(call daemon,core/near.c)) $$(CONTRACT)
LDLIBS_near_test = $(CHECK_LIBS)
UNIT += $(B)/unit/uids_test
$(B)/unit/uids_test: $(call obj,tests/unit/daemon/uids_test.c $(call daemon,rules/uids.c))
LDLIBS_uids_test = $(CHECK_LIBS)
# Who is at the other end of a socket.
UNIT += $(B)/unit/peer_test
$(B)/unit/peer_test: $(call obj,tests/unit/daemon/peer_test.c) $$(CONTRACT)
LDLIBS_peer_test = $(CHECK_LIBS) -Wl,--wrap=getsockopt

# In a folder of files like a cgroup's.
UNIT += $(B)/unit/cgroup_test
$(B)/unit/cgroup_test: $(call obj,tests/unit/daemon/cgroup_test.c $(call daemon,cgroup/cgroup.c cgroup/cgroup_files.c cgroup/host_memory.c) $(CONFIG_SRCS)) $$(CONTRACT) $$(KEYS_OBJS)
LDLIBS_cgroup_test = $(CHECK_LIBS) -lev -linih -Wl,--wrap=mkdirat,--wrap=unlinkat,--wrap=cgroup_write
UNIT += $(B)/unit/process_test
$(B)/unit/process_test: $(call obj,tests/unit/daemon/process_test.c $(call daemon,core/process.c))
LDLIBS_process_test = $(CHECK_LIBS)
UNIT += $(addprefix $(B)/unit/,quarantine_test overdue_test entitle_test judge_test account_check_test account_test)
$(B)/unit/quarantine_test: $(call obj,tests/unit/daemon/quarantine_test.c $(call daemon,rules/quarantine.c guard/xid.c))
LDLIBS_quarantine_test = $(CHECK_LIBS)
$(B)/unit/overdue_test: $(call obj,tests/unit/daemon/overdue_test.c $(call daemon,rules/overdue.c))
LDLIBS_overdue_test = $(CHECK_LIBS)
UNIT += $(B)/unit/watchdog_test
$(B)/unit/watchdog_test: $(call obj,tests/unit/daemon/watchdog_test.c $(call daemon,guard/watchdog.c rules/overdue.c)) $$(CONTRACT)
LDLIBS_watchdog_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=opendir
$(B)/unit/entitle_test: $(call obj,tests/unit/daemon/entitle_test.c $(call daemon,dispatch/entitle.c))
LDLIBS_entitle_test = $(CHECK_LIBS)
UNIT += $(B)/unit/portion_test
$(B)/unit/portion_test: $(call obj,tests/unit/daemon/portion_test.c $(call daemon,rules/portion.c))
LDLIBS_portion_test = $(CHECK_LIBS)
UNIT += $(B)/unit/budget_test
$(B)/unit/budget_test: $(call obj,tests/unit/daemon/budget_test.c $(call daemon,rules/budget.c))
LDLIBS_budget_test = $(CHECK_LIBS)
UNIT += $(B)/unit/alive_test
$(B)/unit/alive_test: $(call obj,tests/unit/daemon/alive_test.c) $$(CONTRACT)
LDLIBS_alive_test = $(CHECK_LIBS) -lev
UNIT += $(B)/unit/worker_log_test
$(B)/unit/worker_log_test: $(call obj,tests/unit/daemon/worker_log_test.c $(call daemon,workers/worker_log.c)) $$(CONTRACT)
LDLIBS_worker_log_test = $(CHECK_LIBS) -lev
$(B)/unit/judge_test: $(call obj,tests/unit/daemon/judge_test.c $(call daemon,rules/judge.c))
LDLIBS_judge_test = $(CHECK_LIBS)
UNIT += $(B)/unit/facts_rules_test
$(B)/unit/facts_rules_test: $(call obj,tests/unit/daemon/facts_rules_test.c $(call daemon,rules/facts_rules.c))
LDLIBS_facts_rules_test = $(CHECK_LIBS)
$(B)/unit/account_check_test: $(call obj,tests/unit/daemon/account_check_test.c $(call daemon,rules/account_check.c))
LDLIBS_account_check_test = $(CHECK_LIBS)
$(B)/unit/account_test: $(call obj,tests/unit/daemon/account_test.c $(call daemon,core/near.c guard/account.c guard/strangers.c rules/account_check.c rules/judge.c \
	rules/ledger.c))
LDLIBS_account_test = $(CHECK_LIBS)

UNIT += $(B)/unit/schedule_test
$(B)/unit/schedule_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_test = $(CHECK_LIBS) -lev
UNIT += $(B)/unit/bells_test
$(B)/unit/bells_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/bells_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_bells_test = $(CHECK_LIBS) -lev
UNIT += $(B)/unit/schedule_joint_test
$(B)/unit/schedule_joint_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_joint_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_joint_test = $(CHECK_LIBS) -lev

UNIT += $(B)/unit/schedule_dry_test
$(B)/unit/schedule_dry_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_dry_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_dry_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime

UNIT += $(B)/unit/schedule_maximum_test
$(B)/unit/schedule_maximum_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_maximum_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_maximum_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime

UNIT += $(B)/unit/schedule_help_test
$(B)/unit/schedule_help_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_help_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_help_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime
UNIT += $(B)/unit/schedule_pieces_test
$(B)/unit/schedule_pieces_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_pieces_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_pieces_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime
# Plays tests/unit/daemon/replay; --record makes those tables.
UNIT += $(B)/unit/schedule_replay_test
$(B)/unit/schedule_replay_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_replay_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_replay_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime,--wrap=state_event
# Plants another constant in the turns that pvgpud and the simulator share.
UNIT += $(B)/unit/schedule_planted_test
$(B)/unit/schedule_planted_test: $$(SIM_OBJS) $(call obj,tests/unit/daemon/schedule_planted_test.c $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_schedule_planted_test = $(CHECK_LIBS) -lev -lm -Wl,--wrap=clock_gettime,--wrap=timerfd_settime,--wrap=window_early_dry,--wrap=window_brief_kernel
UNIT += $(B)/unit/schedule_clock_test
$(B)/unit/schedule_clock_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/schedule_clock_test.c $(SCHEDULE_SRCS) \
	$(call daemon,rules/judge.c rules/overdue.c)) $$(CONTRACT)
LDLIBS_schedule_clock_test = $(CHECK_LIBS) -lev -Wl,--wrap=clock_gettime,--wrap=timerfd_settime
UNIT += $(B)/unit/share_test
$(B)/unit/share_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/share_test.c $(call daemon,dispatch/share.c) $(SCHEDULE_SRCS)) $$(CONTRACT)
LDLIBS_share_test = $(CHECK_LIBS) -lev -Wl,--wrap=calloc
UNIT += $(B)/unit/usage_test
$(B)/unit/usage_test: $(call obj,tests/unit/daemon/usage_test.c $(call daemon,dispatch/usage.c)) $$(CONTRACT)
LDLIBS_usage_test = $(CHECK_LIBS)

# The control rings' side with a guest in memory and workers that the test plays.
XENCTL_TEST_SRCS := tests/unit/daemon/xenctl_fake.c $(XENCTL_SRCS) $(RULES_SRCS) $(call daemon,config/config_value.c core/held.c core/overrides.c core/pools.c core/process.c core/worker.c \
	guard/canary.c guard/faults.c guard/xid.c workers/adopt.c workers/exports.c workers/goals.c cgroup/cgroup_files.c cgroup/host_memory.c workers/lease.c workers/parking.c workers/residency.c workers/open.c workers/pool.c workers/pulse.c workers/session.c \
	workers/spares.c workers/supervise.c workers/vgpu.c workers/worker_log.c)
UNIT += $(addprefix $(B)/unit/,xenctl_session_test xenctl_open_test xenctl_ring_test xenctl_chunk_test control_flood_test adopt_test exports_test lease_test parking_test residency_test reserve_test)
$(addprefix $(B)/unit/,xenctl_session_test xenctl_open_test xenctl_ring_test xenctl_chunk_test control_flood_test adopt_test exports_test lease_test parking_test residency_test reserve_test): $(B)/unit/%: $(B)/obj/tests/unit/daemon/%.o $(call obj,$(XENCTL_TEST_SRCS)) \
	$$(SIM_OBJS) $$(CONTRACT) $$(KEYS_OBJS)
LDLIBS_xenctl_session_test = $(CHECK_LIBS) -lev -lm
LDLIBS_xenctl_open_test = $(CHECK_LIBS) -lev -lm
LDLIBS_xenctl_ring_test = $(CHECK_LIBS) -lev -lm
LDLIBS_xenctl_chunk_test = $(CHECK_LIBS) -lev -lm
LDLIBS_control_flood_test = $(CHECK_LIBS) -lev -lm
LDLIBS_adopt_test = $(CHECK_LIBS) -lev -lm
LDLIBS_exports_test = $(CHECK_LIBS) -lev -lm
LDLIBS_lease_test = $(CHECK_LIBS) -lev -lm -Wl,--wrap=poll
LDLIBS_parking_test = $(CHECK_LIBS) -lev -lm
LDLIBS_residency_test = $(CHECK_LIBS) -lev -lm
LDLIBS_reserve_test = $(CHECK_LIBS) -lev -lm
UNIT += $(B)/unit/residency_turns_test
$(B)/unit/residency_turns_test: $(call obj,tests/unit/daemon/residency_turns_test.c) $(call obj,$(call daemon,rules/ledger.c workers/lease.c workers/parking.c workers/residency.c))
LDLIBS_residency_turns_test = $(CHECK_LIBS) -lm -Wl,--wrap=clock_gettime
UNIT += $(B)/unit/gate_flood_test
$(B)/unit/gate_flood_test: $$(SCHED_OBJS) $(call obj,tests/unit/daemon/gate_flood_test.c $(XENCTL_TEST_SRCS) $(SCHEDULE_SRCS)) \
	$$(SIM_OBJS) $$(CONTRACT) $$(KEYS_OBJS)
LDLIBS_gate_flood_test = $(CHECK_LIBS) -lev -lm

# From the toolstack's keys to pools, with xenstore in memory and neither guests nor workers.
UNIT += $(B)/unit/admission_test
$(B)/unit/admission_test: $(call obj,tests/unit/daemon/admission_test.c tests/unit/daemon/daemon_fake.c tests/unit/keys/fake_xenstore.c $(XENBUS_SRCS) \
	$(CONFIG_SRCS) $(call daemon,core/held.c core/pools.c rules/ledger.c workers/goals.c cgroup/cgroup_files.c cgroup/host_memory.c workers/lease.c workers/parking.c workers/residency.c workers/pool.c workers/pool_live.c workers/vgpu.c)) \
	$$(SIM_OBJS) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_admission_test = $(CHECK_LIBS) -lev -lm -linih -Wl,--wrap=goal_go,--wrap=goal_predict

# The names of series, from the toolstack's keys to the text that Prometheus reads.
UNIT += $(B)/unit/series_test
$(B)/unit/series_test: $$(call obj,tests/unit/daemon/series_test.c tests/unit/daemon/daemon_fake.c tests/unit/keys/fake_xenstore.c $(XENBUS_SRCS) \
	$(CONFIG_SRCS) $(call daemon,admin/snapshot.c core/held.c core/pools.c rules/ledger.c workers/goals.c cgroup/cgroup_files.c cgroup/host_memory.c workers/lease.c workers/parking.c workers/residency.c workers/pool.c \
	workers/pool_live.c workers/vgpu.c) $$(STATISTICS_SRCS)) $$(SIM_OBJS) $$(KEYS_OBJS) $$(CONTRACT)
LDLIBS_series_test = $(CHECK_LIBS) -lev -lm -linih

# pvgpuctl in dom0 and pvgpud in a driver domain, with xenstore in memory between them.
UNIT += $(B)/unit/ask_test
$(B)/unit/ask_test: $(call obj,tests/unit/daemon/ask_test.c tests/unit/daemon/daemon_fake.c tests/unit/keys/fake_xenstore.c tests/unit/ctl/ctl_run.c \
	$(CONFIG_SRCS) $(call daemon,admin/admin_json.c admin/events.c admin/snapshot.c admin/tree.c admin/tree_write.c core/held.c core/pools.c rules/ledger.c rules/budget.c workers/goals.c \
	cgroup/cgroup_files.c cgroup/host_memory.c workers/lease.c workers/parking.c workers/residency.c workers/pool.c workers/pool_live.c workers/vgpu.c xen/xenbus_ask.c xen/xenbus_store.c)) \
	$$(filter-out %/ctl/main.o,$$(PVGPUCTL_OBJS)) $$(CONTRACT)
LDLIBS_ask_test = $(CHECK_LIBS) -lev -lm -linih -ljansson
