/* SPDX-License-Identifier: MIT */
/*
 * Statistics for readers other than root: tenants of a confidential pool learn nothing of each
 * other. xenstore-schema/gen/statistics_doc.py has the same lists, for the schema of the JSON.
 */
#include <string.h>

#include "xen-pvgpu-back/statistics/statistics.h"

/* Values that tell of the GPU itself, and nothing of its users. */
static bool is_of_gpu(unsigned int value)
{
	switch (value) {
	case PVGPU_GPU_HEALTHY:
	case PVGPU_GPU_DRAINED:
	case PVGPU_GPU_STATE:
	case PVGPU_GPU_READMISSIONS:
	case PVGPU_GPU_CANARIES:
	case PVGPU_GPU_START_FAILURES:
	case PVGPU_GPU_UNKNOWN_PROCESSES:
		return true;
	default:
		return false;
	}
}

/* Where one confidential pool is the only one in use, these are its tenants' own. */
static void hide_totals(struct pvgpu_daemon_record *own)
{
	own->value[PVGPU_DAEMON_VGPUS] = PVGPU_UNKNOWN;
	own->value[PVGPU_DAEMON_SESSIONS] = PVGPU_UNKNOWN;
	own->value[PVGPU_DAEMON_WORKERS] = PVGPU_UNKNOWN;
	own->value[PVGPU_DAEMON_WORKERS_STARTED] = PVGPU_UNKNOWN;
}

static bool hide_gpus(struct pvgpu_gpu_record *gpus, uint32_t n)
{
	bool any = false;

	for (uint32_t i = 0; i < n; i++) {
		if (!gpus[i].confidential)
			continue;
		any = true;
		for (unsigned int k = 0; k < PVGPU_GPU_N; k++)
			if (!is_of_gpu(k))
				gpus[i].value[k] = PVGPU_UNKNOWN;
	}
	return any;
}

static bool is_confidential(const struct statistics *s, const char *pool)
{
	for (uint32_t i = 0; i < s->header->gpus; i++)
		if (s->gpus[i].confidential && !strcmp(s->gpus[i].name, pool))
			return true;
	return false;
}

/* Events name vGPUs and their programs, also those of vGPUs that are gone. */
void statistics_hide(struct statistics *s)
{
	struct pvgpu_snapshot_header *h = s->header;
	struct pvgpu_daemon_record *own = (void *)(h + 1);
	struct pvgpu_gpu_record *gpus = (void *)(own + 1);
	struct pvgpu_vgpu_record *v = (void *)(gpus + h->gpus);
	uint32_t n = 0;

	if (!hide_gpus(gpus, h->gpus))
		return;
	hide_totals(own);
	for (uint32_t i = 0; i < h->vgpus; i++)
		if (!is_confidential(s, v[i].pool))
			v[n++] = v[i];
	h->vgpus = n;
	h->events = 0;
}
