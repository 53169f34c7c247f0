/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/statistics.h"

#include <stdio.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

void statistics_vgpu(const struct vgpu *v, struct statistics_vgpu *out)
{
	uint64_t *n = out->value;
	struct tenant_stats s;

	share_stats(v, &s);
	n[PVGPU_VGPU_MEMORY_USED] = ledger_used(&v->ledger);
	n[PVGPU_VGPU_MEMORY_PARKED] = v->ledger.parked;
	n[PVGPU_VGPU_PARK_TIME] = v->parking.us;
	n[PVGPU_VGPU_PARKS] = v->parking.parks;
	n[PVGPU_VGPU_MEMORY_REFUSED] = v->parking.refused;
	n[PVGPU_VGPU_MEMORY_LIMIT] = v->ledger.quota;
	n[PVGPU_VGPU_MEMORY_PEAK] = v->ledger.peak;
	n[PVGPU_VGPU_SESSIONS] = v->sessions;
	n[PVGPU_VGPU_SESSIONS_TOTAL] = v->total;
	n[PVGPU_VGPU_SESSIONS_FAILED] = v->failed;
	n[PVGPU_VGPU_SESSIONS_REFUSED] = v->refused;
	n[PVGPU_VGPU_KILLS] = v->kills;
	n[PVGPU_VGPU_GPU_TIME] = s.gpu_ns / 1000;
	n[PVGPU_VGPU_ENTITLED_TIME] = s.due_ns / 1000;
	n[PVGPU_VGPU_SHARE] = s.promise_ppm;
	n[PVGPU_VGPU_LATENCY_GOAL] = v->cfg.policy.latency_goal;
	n[PVGPU_VGPU_LATENCY_PREDICTED] = v->predicted_us;
	n[PVGPU_VGPU_WAIT_TIME] = s.wait_ns / 1000;
	n[PVGPU_VGPU_LONGEST_WAIT] = s.longest_wait_ns / 1000;
	n[PVGPU_VGPU_THROTTLED_TIME] = s.throttled_ns / 1000;
	n[PVGPU_VGPU_RATE_THROTTLED_TIME] = s.rate_ns / 1000;
	n[PVGPU_VGPU_COPY_BYTES] = s.copy_bytes;
	n[PVGPU_VGPU_COMMANDS] = s.commands;
	n[PVGPU_VGPU_LAUNCHES] = s.launches;
	n[PVGPU_VGPU_SLICES] = s.slices;
	n[PVGPU_VGPU_INFLIGHT] = s.inflight_ns / 1000;
	n[PVGPU_VGPU_PARKED] = s.parked;
	n[PVGPU_VGPU_FAULTS] = v->quarantine.faults;
	n[PVGPU_VGPU_QUARANTINED] = faults_left_s(v);
	out->latency[PVGPU_VGPU_HIST_GRANT_WAIT] = s.grant_wait;
	out->latency[PVGPU_VGPU_HIST_COMMAND_WAIT] = s.command_wait;
	out->latency[PVGPU_VGPU_HIST_KERNEL_TIME] = s.kernels;
	out->latency[PVGPU_VGPU_HIST_RESUME_TIME] = v->parking.resumes;
}

uint64_t statistics_field(const struct statistics_vgpu *s, unsigned int field)
{
	const struct pvgpu_statistic_field *f = &pvgpu_statistic_fields[field];

	switch ((enum pvgpu_statistic_part)f->part) {
	case PVGPU_PART_VALUE:
		return s->value[f->of];
	case PVGPU_PART_AVG:
		return pvgpu_latency_average_us(&s->latency[f->of]);
	case PVGPU_PART_P50:
		return pvgpu_latency_percentile_us(&s->latency[f->of], 50);
	case PVGPU_PART_P95:
		return pvgpu_latency_percentile_us(&s->latency[f->of], 95);
	case PVGPU_PART_P99:
		return pvgpu_latency_percentile_us(&s->latency[f->of], 99);
	}
	return 0;
}
