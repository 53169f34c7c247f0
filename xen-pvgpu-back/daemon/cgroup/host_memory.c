/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/cgroup/host_memory.h"

#include <inttypes.h>

#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"

uint64_t host_memory_limit(const struct vgpu *v, uint64_t machine)
{
	const uint64_t all = v->pool ? v->pool->device_memory : 0;
	const uint64_t own = v->cfg.memory, most = machine / 4 * 3;
	uint64_t part;

	if (v->d->cfg.vgpu_memory)
		return v->d->cfg.vgpu_memory;
	if (!own || !all || own >= all)
		return most;
	part = (uint64_t)((double)most * (double)own / (double)all);
	return part > HOST_MEMORY_LEAST ? part : HOST_MEMORY_LEAST;
}

/* Of those that are not being ended, and the one that holds most. */
static uint64_t held_by(const struct vgpu *v, struct worker **most)
{
	struct worker *w;
	uint64_t sum = 0;

	*most = NULL;
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu != v || w->killed)
			continue;
		sum += w->host_memory;
		if (!*most || w->host_memory > (*most)->host_memory)
			*most = w;
	}
	return sum;
}

uint64_t host_memory_room(const struct vgpu *v, uint64_t machine)
{
	const uint64_t limit = host_memory_limit(v, machine);
	struct worker *most;
	const uint64_t held = held_by(v, &most);

	return held < limit ? limit - held : 0;
}

bool host_memory_is_tight(const struct vgpu *v, uint64_t machine)
{
	struct worker *most;

	return held_by(v, &most) > host_memory_limit(v, machine) / 2;
}

void host_memory_look(struct worker *w, uint64_t machine)
{
	const uint64_t now =
		w->cgroup < 0 ? UINT64_MAX : cgroup_read_number(w->cgroup, "memory.current");
	struct worker *most;
	uint64_t sum, limit;

	if (now == UINT64_MAX)
		return;
	w->host_memory = now;
	if (!w->vgpu)
		return;
	sum = held_by(w->vgpu, &most);
	limit = host_memory_limit(w->vgpu, machine);
	if (sum > limit && most)
		faults_kill(most, FAULT_MEMORY,
			    "the sessions of its vGPU hold %" PRIu64
			    " MiB of the backend's memory, this one most: vgpu_memory is %" PRIu64
			    " MiB",
			    sum >> 20, limit >> 20);
}
