/* SPDX-License-Identifier: MIT */
/* data/pvgpu/gpu-N: what each GPU has and what is left of it, for the toolstack. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

enum { NAME, MODEL, ROOM, KEYS };
static const char *const keys[KEYS] = {"name", "model", "room"};

struct xenbus_gpu {
	char paths[KEYS][32];
	char texts[KEYS][XENBUS_HOST_TEXT], written[KEYS][XENBUS_HOST_TEXT];
};
_Static_assert(KEYS == XENBUS_GPU_KEYS, "room for all");

static void describe(const struct daemon *d, const struct pool *p, struct xenbus_gpu *g)
{
	struct pvgpu_gpu_room room = {.memory = p->device_memory,
				      .memory_free = p->device_memory ? pool_free(p) : 0,
				      .healthy = canary_in_use(p)};
	struct pvgpu_text model;
	uint64_t reserved, parked;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		room.vgpus += d->vgpus[i]->pool == p;
	if (p->device_memory && residency_is_on(p)) {
		residency_promised(p, &reserved, &parked);
		room.park_memory = p->cfg.park_memory;
		room.park_free = p->cfg.park_memory > parked ? p->cfg.park_memory - parked : 0;
		room.reserve_free = p->device_memory > reserved ? p->device_memory - reserved : 0;
	}
	pvgpu_text_set(&model, p->model, strlen(p->model));
	snprintf(g->texts[NAME], XENBUS_HOST_TEXT, "%s", p->cfg.name);
	snprintf(g->texts[MODEL], XENBUS_HOST_TEXT, "%.63s", model.s);
	pvgpu_gpu_room_format(&room, g->texts[ROOM], XENBUS_HOST_TEXT, NULL);
}

/* GPUs of an earlier pvgpud with more pools. */
static void remove_from(struct xenbus *b, unsigned int first)
{
	struct xenbus_write w = {0};
	char **names;
	unsigned int n, id;

	if (xenbus_list(b, b->host, &names, &n) < 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (sscanf(names[i], "gpu-%u", &id) != 1 || id < first)
			continue;
		w.key = names[i];
		xenbus_put(b, b->host, "", &w, 1);
	}
	free(names);
}

static int prepare(struct xenbus *b)
{
	if (!b->gpus)
		b->gpus = calloc(b->d->pool_n, sizeof(*b->gpus));
	if (!b->gpus)
		return -ENOMEM;
	if (b->published)
		return 0;
	remove_from(b, b->d->pool_n);
	for (unsigned int i = 0; i < b->d->pool_n; i++)
		memset(b->gpus[i].written, 0, sizeof(b->gpus[i].written));
	return 0;
}

int xenbus_gpus_changes(struct xenbus *b, struct xenbus_write *w, unsigned int *n)
{
	int err = prepare(b);

	for (unsigned int i = 0; i < b->d->pool_n && !err; i++) {
		struct xenbus_gpu *g = &b->gpus[i];

		memset(g->texts, 0, sizeof(g->texts));
		describe(b->d, b->d->pools[i], g);
		for (unsigned int k = 0; k < KEYS; k++) {
			if (!strcmp(g->texts[k], g->written[k]))
				continue;
			snprintf(g->paths[k], sizeof(g->paths[k]), "gpu-%u/%s", i, keys[k]);
			w[(*n)++] = (struct xenbus_write){g->paths[k],
							  g->texts[k][0] ? g->texts[k] : NULL};
		}
	}
	return err;
}

void xenbus_gpus_written(struct xenbus *b)
{
	for (unsigned int i = 0; b->gpus && i < b->d->pool_n; i++)
		memcpy(b->gpus[i].written, b->gpus[i].texts, sizeof(b->gpus[i].written));
}

void xenbus_gpus_remove(struct xenbus *b)
{
	remove_from(b, 0);
}
