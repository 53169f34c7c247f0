/* SPDX-License-Identifier: MIT */
/*
 * The effect on others when a process's work fails or is killed: how long the neighbour
 * stands still, how soon a new process gets a context, and whether it finds what was there. The
 * harmless kinds come first; the step ends when a new process gets none.
 */
#include "tests/gpu/probe/semantics/step_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/health/nvml.h"

#define LONG_MS   60000
#define BESIDE_NS (opt.quick ? 200000000ull : 1000000000ull)
#define GAP_NS    1000000000ull /* more of it: a neighbour's user would notice */

const struct fault faults[] = {
	{"killed_idle", NULL, 0, 0},
	{"null", "write_word", CUDA_ERROR_ILLEGAL_ADDRESS, 1},
	{"wild", "write_word", CUDA_ERROR_ILLEGAL_ADDRESS, 64},
	{"misaligned", "write_word", CUDA_ERROR_MISALIGNED_ADDRESS, 1},
	{"assert", "check_even", CUDA_ERROR_ASSERT, 1},
	{"trap", "give_up", CUDA_ERROR_LAUNCH_FAILED, 4},
	{"endless", "endless", 0, 1},
	{"endless_wide", "endless", 0, 8192},
	{NULL, NULL, 0, 0},
};

const struct fault *fault_find(const char *name)
{
	const struct fault *f = faults;

	while (f->name && name && strcmp(f->name, name) != 0)
		f++;
	return name && f->name ? f : NULL;
}

/* ---- Xids, where NVML tells them ---- */
static struct {
	struct nvml nvml;
	nvmlEventSet_t set;
	bool on;
} xids;

static void xids_open(void)
{
	char reason[256] = "";
	nvmlDevice_t device;

	if (!opt.libnvml[0] || nvml_load(&xids.nvml, opt.libnvml, reason, sizeof(reason)) < 0 ||
	    xids.nvml.nvmlInit_v2() || xids.nvml.nvmlDeviceGetHandleByIndex_v2(0, &device) ||
	    xids.nvml.nvmlEventSetCreate(&xids.set)) {
		say_text("xids_absent", "%s", reason[0] ? reason : "NVML does not start");
		return;
	}
	xids.on = !xids.nvml.nvmlDeviceRegisterEvents(device, nvmlEventTypeXidCriticalError,
						      xids.set);
	say_int("xids_registered", xids.on);
}

static void xids_say(const char *fault)
{
	char list[128] = "", key[64];
	nvmlEventData_t event;

	while (xids.on && strlen(list) < sizeof(list) - 16 &&
	       !xids.nvml.nvmlEventSetWait_v2(xids.set, &event, opt.quick ? 50 : 300))
		snprintf(list + strlen(list), 16, "%llu ", (unsigned long long)event.eventData);
	snprintf(key, sizeof(key), "%s_xids", fault);
	if (xids.on)
		say_text(key, "%s", list);
}

/* ---- the processes ---- */
static struct shared *s;

static bool begin_role(struct role *r, const char *role, const char *fault)
{
	const char *env[2] = {NULL, NULL};
	char prefix[32], kind[64];

	snprintf(prefix, sizeof(prefix), "%s_%s_", fault, role);
	snprintf(kind, sizeof(kind), "%s=%s", FAULT_ENV, fault);
	env[0] = kind;
	return role_start(r, role, prefix, env);
}

/* The neighbour's rounds in so many ns. */
static uint64_t rounds_in(uint64_t ns)
{
	const uint64_t before = atomic_load(&s->rounds), until = now_ns() + ns;

	while (now_ns() < until)
		usleep(1000);
	return atomic_load(&s->rounds) - before;
}

/* The neighbour has computed again: true, or it does not within this time. */
static bool neighbour_moves(void)
{
	const uint64_t before = atomic_load(&s->rounds), until = now_ns() + LONG_MS * 1000000ull;

	while (atomic_load(&s->rounds) < before + 2) {
		if (now_ns() > until || atomic_load(&s->result))
			return false;
		usleep(1000);
	}
	return true;
}

/* The tenant does not end by itself: see how the neighbour does, and kill it. */
static void kill_tenant(struct role *tenant, const struct fault *f)
{
	uint64_t begin;

	say_intf((int64_t)rounds_in(BESIDE_NS), "%s_rounds_beside", f->name);
	begin = now_ns();
	if (f->kernel)
		verdict(ASSUME_endless_takes_turns,
			begin - atomic_load(&s->last_ns) < GAP_NS &&
				atomic_load(&s->gap_ns) < GAP_NS,
			"%s: the neighbour's longest gap is %llu us", f->name,
			(unsigned long long)atomic_load(&s->gap_ns) / 1000);
	begin = now_ns();
	role_kill(tenant);
	begin = now_ns() - begin;
	say_intf((int64_t)begin, "%s_dies_ns", f->name);
	verdict(ASSUME_killed_is_gone, begin < 5000000000ull, "%s: %llu us", f->name,
		(unsigned long long)begin / 1000);
}

static bool run_tenant(const struct fault *f)
{
	struct role tenant;

	if (!begin_role(&tenant, "tenant", f->name))
		return false;
	if (!role_await(&tenant, LONG_MS)) {
		role_kill(&tenant);
		return false;
	}
	say_intf((int64_t)rounds_in(BESIDE_NS), "%s_rounds_alone", f->name);
	atomic_store(&s->gap_ns, 0);
	role_go_on(&tenant);
	if (f->code) {
		role_wait(&tenant, LONG_MS);
		return true;
	}
	if (!role_await(&tenant, LONG_MS)) {
		role_kill(&tenant);
		return false;
	}
	kill_tenant(&tenant, f);
	return true;
}

/* false: the GPU seems to give no process a context any more. */
static bool run_next(const struct fault *f)
{
	struct role next;
	const uint64_t begin = now_ns();
	bool well;

	well = begin_role(&next, "next", f->name) && role_wait(&next, LONG_MS) &&
	       !atomic_load(&s->next_result);
	say_intf((int64_t)(now_ns() - begin), "%s_next_whole_ns", f->name);
	verdict(ASSUME_next_context, well, "%s: result %d", f->name, atomic_load(&s->next_result));
	if (well && atomic_load(&s->marked_bytes))
		verdict(ASSUME_fault_memory_zeroed, !atomic_load(&s->found),
			"%s: %llu words of %llu bytes, %llu scanned", f->name,
			(unsigned long long)atomic_load(&s->found),
			(unsigned long long)atomic_load(&s->marked_bytes),
			(unsigned long long)atomic_load(&s->scanned_bytes));
	return well;
}

static bool run_fault(const struct fault *f)
{
	struct role neighbour;
	bool moves, well;

	memset(s, 0, sizeof(*s));
	if (!begin_role(&neighbour, "neighbour", f->name) || !role_await(&neighbour, LONG_MS))
		return false;
	if (!run_tenant(f)) {
		role_kill(&neighbour);
		return false;
	}
	moves = neighbour_moves();
	say_intf((int64_t)atomic_load(&s->gap_ns), "%s_neighbour_gap_ns", f->name);
	say_intf((int64_t)atomic_load(&s->marked_bytes), "%s_marked_bytes", f->name);
	xids_say(f->name);
	verdict(ASSUME_neighbours_live, moves && !atomic_load(&s->result), "%s: %s, result %d",
		f->name, moves ? "it goes on" : "it stands still", atomic_load(&s->result));
	well = run_next(f);
	atomic_store(&s->stop, 1);
	role_wait(&neighbour, LONG_MS);
	return well;
}

static const struct part roles[] = {
	{"tenant", faults_tenant, 0, NULL},
	{"neighbour", faults_neighbour, 0, NULL},
	{"next", faults_next, 0, NULL},
	{NULL, NULL, 0, NULL},
};

void step_faults(void)
{
	if (opt.role) {
		parts_run(roles);
		return;
	}
	s = role_shared(sizeof(*s));
	if (!s)
		return;
	xids_open();
	for (const struct fault *f = faults; f->name; f++) {
		if (run_fault(f))
			continue;
		say_text("ended_at", "%s", f->name);
		break;
	}
}
