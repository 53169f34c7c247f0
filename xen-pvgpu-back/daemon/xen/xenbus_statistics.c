/* SPDX-License-Identifier: MIT */
/* Converts statistics between xenstore's keys and the scheduler. */

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/statistics.h"
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
		.due_ns = ns(s->entitled_time),
		.wait_ns = ns(s->wait_time),
		.throttled_ns = ns(s->throttled_time),
		.copy_bytes = s->copy_bytes,
		.launches = s->launches,
		.slices = s->slices,
		.commands = s->commands,
		.rate_ns = ns(s->rate_throttled_time),
	};

	share_restore(v, &n);
}

void xenbus_statistics(const struct vgpu *v, struct pvgpu_backend_statistics *s)
{
	const struct pvgpu_key *key = &pvgpu_keys[PVGPU_KEY_BACKEND_STATISTICS];
	struct statistics_vgpu n;

	statistics_vgpu(v, &n);
	for (uint32_t i = 0; i < PVGPU_STATISTIC_FIELDS; i++) {
		uint64_t value = statistics_field(&n, i);

		if (value > key->fields[i].max)
			value = key->fields[i].max;
		pvgpu_field_put(&key->fields[i], s, value);
	}
}
