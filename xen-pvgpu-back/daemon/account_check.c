/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/account_check.h"

#include <stdio.h>

#define SECOND     1000000000ull
#define SPAN_MAX   (60 * SECOND)
#define AHEAD_MAX  (1 * SECOND) /* clocks are one machine's, but are converted */
#define MEMORY_MAX (1ull << 50)
#define XID_MAX    65535u
#define PIDS_MAX   (1u << 22) /* the kernel's own limit */

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
	/* Rounding of a clock to another may cost a little of the span. */
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
