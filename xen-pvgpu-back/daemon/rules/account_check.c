/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/account_check.h"

#include <stdio.h>

#include "pvgpu_keys.h"

#define SECOND      1000000000ull
#define SPAN_MAX    (60 * SECOND)
#define AHEAD_MAX   (1 * SECOND) /* for the error of converting between clocks */
#define MEMORY_MAX  (1ull << 50)
#define XID_MAX     65535u
#define OWED_MIN_NS 50000000ll /* smaller amounts are rounding or charges in delay */
#define LAG_MAX_NS  (5 * SECOND)
#define PIDS_MAX    (1u << 22) /* the kernel's own limit */

static const char *check_process(const struct health_msg *m, uint64_t now)
{
	uint64_t begin = m->process.begin_ns, end = m->process.end_ns;

	if (m->pid > PIDS_MAX)
		return "pid";
	if (m->process.memory != HEALTH_UNKNOWN && m->process.memory > MEMORY_MAX)
		return "memory";
	if (!end)
		return begin || m->process.busy_ns || m->process.memory_ns ? "time" : NULL;
	if (begin > end || end - begin > SPAN_MAX || end > now + AHEAD_MAX)
		return "time";
	/* busy may exceed the span a little by the rounding of clocks. */
	if (m->process.busy_ns > SPAN_MAX || m->process.memory_ns > SPAN_MAX)
		return "use";
	return NULL;
}

static const char *fault(const struct health_msg *m, uint64_t now)
{
	if (m->kind == HEALTH_HELLO)
		return m->code == HEALTH_VERSION ? NULL : "version";
	if (m->device >= HEALTH_DEVICES)
		return "device";
	if (m->at_ns > now + AHEAD_MAX)
		return "time";
	switch (m->kind) {
	case HEALTH_PROCESS:
		return check_process(m, now);
	case HEALTH_DEVICE:
		return m->device_memory.total > MEMORY_MAX || m->device_memory.used > MEMORY_MAX
			       ? "memory"
			       : NULL;
	case HEALTH_XID:
		return m->code > XID_MAX ? "Xid" : NULL;
	case HEALTH_FACTS:
		return m->code % HEALTH_PART || m->code >= sizeof(struct pvgpu_gpu_card) ? "place"
											 : NULL;
	case HEALTH_STATE: /* shown only */
	case HEALTH_PCIE:
	case HEALTH_GPU:
	case HEALTH_TROUBLE:
	case HEALTH_ROUND:
		return NULL;
	default:
		return "kind";
	}
}

int account_check(const struct health_msg *m, uint64_t now, char *why, size_t cap)
{
	const char *what = fault(m, now);

	if (!what)
		return 0;
	snprintf(why, cap, "a record of kind %u with a bad %s", m->kind, what);
	return -1;
}

void account_text(const char text[40], char out[41])
{
	for (unsigned int i = 0; i < 40; i++) {
		out[i] = text[i];
		if (out[i] && (out[i] < 0x20 || out[i] > 0x7e))
			out[i] = '?';
	}
	out[40] = '\0';
}

void account_add(struct account_vgpu *a, uint64_t busy_ns, uint64_t end_ns, uint64_t now)
{
	uint64_t lag = now > end_ns ? now - end_ns : 0;

	if (!a->fresh || lag > a->lag_ns)
		a->lag_ns = lag;
	a->fresh = true;
	a->used_ns += busy_ns;
}

uint64_t account_settle(struct account_vgpu *a, uint64_t charged)
{
	uint64_t owed = 0;
	int64_t least;

	/* Without new use there is nothing to settle: charges go on, and reports of use lag. */
	if (!a->fresh)
		return 0;
	a->fresh = false;
	least = -OWED_MIN_NS - (int64_t)(a->lag_ns < LAG_MAX_NS ? a->lag_ns : LAG_MAX_NS);
	if (a->started)
		a->owed_ns +=
			(int64_t)(a->used_ns - a->used_seen) - (int64_t)(charged - a->charged_seen);
	a->started = true;
	/* Time that was charged but not used is not refunded: no other vGPU could use it. */
	if (a->owed_ns < least)
		a->owed_ns = least;
	if (a->owed_ns > OWED_MIN_NS) {
		owed = (uint64_t)a->owed_ns;
		a->owed_ns = 0;
	}
	a->used_seen = a->used_ns;
	a->charged_seen = charged + owed;
	return owed;
}
