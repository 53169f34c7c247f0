/* SPDX-License-Identifier: MIT */
/* Domains whose toolstack attaches vGPUs itself: a libxl with the patches of xen-pvgpu-back/xl. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/attachd/round.h"

static bool names_id(const char *ids, uint32_t id)
{
	char *end;

	while (*ids >= '0' && *ids <= '9') {
		if (strtoul(ids, &end, 10) == id)
			return true;
		ids = end + strspn(end, " ");
	}
	return false;
}

/*
 * libxl writes the node in the transaction that makes the domain's directory, so there is no time
 * at which the domain is seen without it.
 */
void libxl_leave(struct round *r, const struct domain *d, const struct vm_conf *c,
		 bool left[VMS_VGPUS])
{
	char path[STORE_PATH], *ids;
	size_t len;

	snprintf(path, sizeof(path), "/libxl/%u/pvgpu", d->domid);
	ids = store_read(r->k->store, path, &len);
	for (size_t i = 0; i < c->n && i < VMS_VGPUS; i++)
		left[i] = ids && (c->by_xl || names_id(ids, c->vgpus[i].id));
	free(ids);
}
