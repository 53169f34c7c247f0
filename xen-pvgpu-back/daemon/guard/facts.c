/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/facts.h"

#include <string.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/rules/facts_rules.h"

/* As guests of the pool may know them. */
static void shown(const struct pool *p, struct pvgpu_gpu_card *out)
{
	if (!p->facts_known) {
		pvgpu_gpu_card_parse("", 0, out, NULL);
		return;
	}
	*out = p->facts;
	facts_for_guest(out,
			p->cfg.gpu_sensors == SENSORS_COARSE && p->cfg.mode != POOL_CONFIDENTIAL);
}

/* account_check() has seen to it that the part begins within the structure. */
static bool take(struct pool *p, const struct health_msg *m)
{
	const size_t left = sizeof(p->facts_come) - m->code;

	memcpy((unsigned char *)&p->facts_come + m->code, m->part,
	       left < HEALTH_PART ? left : HEALTH_PART);
	if (left > HEALTH_PART)
		return false;
	p->facts = p->facts_come;
	p->facts_known = true;
	return true;
}

void facts_take(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pvgpu_gpu_card before, after;
		struct pool *p = d->pools[i];

		shown(p, &before);
		if (!health_is_device(d, m->device, p->cfg.device) || !take(p, m))
			continue;
		shown(p, &after);
		if (memcmp(&before, &after, sizeof(before)) != 0)
			facts_changed(p);
	}
}

void facts_changed(struct pool *p)
{
	for (unsigned int i = 0; i < p->d->vgpu_n; i++)
		if (p->d->vgpus[i]->pool == p && p->d->vgpus[i]->xen)
			xenbus_changed(p->d->vgpus[i]->xen);
}

void facts_of(const struct vgpu *v, struct pvgpu_gpu_card *out)
{
	shown(v->pool, out);
}
