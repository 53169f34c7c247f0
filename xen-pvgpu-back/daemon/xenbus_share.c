/* SPDX-License-Identifier: MIT */
/* Between the keys and the scheduler: policy and statistics. */
#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/share.h"
#include "xen-pvgpu-back/daemon/xenbus_store.h"

void xenbus_policy(const struct pvgpu_backend_policy *p, struct config_vgpu *cfg)
{
	cfg->share = (struct sched_share){
		.class = (enum sched_class)p->priority,
		.weight = p->weight,
		.min_ppm = p->min_share,
		.max_ppm = p->max_share,
		.fixed_ppm = p->fixed_share,
	};
	cfg->rate_commands = (unsigned int)p->rate_commands;
	cfg->burst_commands = (unsigned int)p->burst_commands;
	cfg->rate_bytes = p->rate_bytes;
	cfg->burst_bytes = p->burst_bytes;
	cfg->queue_depth = p->queue_depth;
	cfg->kernel_limit_ms = p->kernel_limit;
	cfg->pardon = p->pardon;
}

/* Of a number of microseconds that somebody may have written. */
static uint64_t ns(uint64_t us)
{
	return us < UINT64_MAX / 1000 ? us * 1000 : 0;
}

void xenbus_restore(struct vgpu *v, const struct pvgpu_backend_statistics *s)
{
	const struct seat_stats n = {
		.gpu_ns = ns(s->gpu_time),
		.wait_ns = ns(s->wait_time),
		.throttled_ns = ns(s->throttled_time),
		.copy_bytes = s->copy_bytes,
		.launches = s->launches,
		.slices = s->slices,
	};

	share_restore(v, &n);
}

void xenbus_statistics(const struct vgpu *v, struct pvgpu_backend_statistics *s)
{
	struct seat_stats n;

	share_stats(v, &n);
	*s = (struct pvgpu_backend_statistics){
		.memory_used = v->ledger.used,
		.sessions = v->sessions,
		.sessions_total = v->total,
		.sessions_failed = v->failed,
		.gpu_time = n.gpu_ns / 1000,
		.wait_time = n.wait_ns / 1000,
		.throttled_time = n.throttled_ns / 1000,
		.copy_bytes = n.copy_bytes,
		.launches = n.launches,
		.slices = n.slices,
		.inflight = n.inflight_ns / 1000,
		.faults = v->quarantine.faults < UINT32_MAX ? (uint32_t)v->quarantine.faults
							    : UINT32_MAX,
		.quarantined = faults_left_s(v),
	};
}
