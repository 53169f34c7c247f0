/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"

struct pool *pool_find(struct daemon *d, const char *name)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (!strcmp(d->pools[i]->cfg.name, name))
			return d->pools[i];
	return NULL;
}
