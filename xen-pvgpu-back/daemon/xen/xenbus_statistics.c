/* SPDX-License-Identifier: MIT */
/* Converts statistics between xenstore's keys and the scheduler. */

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

/* Converts microseconds from xenstore, which may hold any number. */
static uint64_t ns(uint64_t us)
{
	return us < UINT64_MAX / 1000 ? us * 1000 : 0;
}

void xenbus_restore(struct vgpu *v, const struct pvgpu_backend_statistics *s)
{
	const struct tenant_stats n = {
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
	struct tenant_stats n;

	share_stats(v, &n);
	*s = (struct pvgpu_backend_statistics){
		.memory_used = ledger_used(&v->ledger),
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
