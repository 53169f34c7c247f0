/* SPDX-License-Identifier: MIT */
/* GPUs and holdings, from xenstore. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "xen-pvgpu-back/toolstack/room.h"

#define GPUS_MAX 64

/* Parses a key's value into *out, which keeps its value if the key's is malformed. */
#define READ(s, ids, KEY, parse, out)                                                              \
	do {                                                                                       \
		size_t len_;                                                                       \
		char *text_ = store_key(s, KEY, ids, &len_);                                       \
                                                                                                   \
		parse(text_, len_, out, NULL);                                                     \
		free(text_);                                                                       \
	} while (0)

int gpus_read(struct store *s, uint32_t be, struct gpus *out)
{
	struct pvgpu_ids ids = {.be = be};

	*out = (struct gpus){.v = calloc(GPUS_MAX, sizeof(*out->v))};
	if (!out->v)
		return -ENOMEM;
	for (ids.id = 0; ids.id < GPUS_MAX; ids.id++) {
		struct gpu *g = &out->v[out->n];

		READ(s, &ids, PVGPU_KEY_GPU_NAME, pvgpu_gpu_name_parse, &g->name);
		if (!g->name.len)
			break;
		READ(s, &ids, PVGPU_KEY_GPU_MODEL, pvgpu_gpu_model_parse, &g->model);
		READ(s, &ids, PVGPU_KEY_GPU_ROOM, pvgpu_gpu_room_parse, &g->room);
		out->n++;
	}
	return 0;
}

void gpus_free(struct gpus *g)
{
	free(g->v);
	*g = (struct gpus){0};
}

static int add(struct store *s, const struct pvgpu_ids *ids, struct holdings *out)
{
	struct holding *more = reallocarray(out->v, out->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	out->v = more;
	more += out->n++;
	*more = (struct holding){.ids = *ids};
	READ(s, ids, PVGPU_KEY_BACKEND_PROFILE, pvgpu_backend_profile_parse, &more->profile);
	READ(s, ids, PVGPU_KEY_BACKEND_POOL, pvgpu_backend_pool_parse, &more->pool);
	READ(s, ids, PVGPU_KEY_BACKEND_MEMORY, pvgpu_backend_memory_parse, &more->memory);
	READ(s, ids, PVGPU_KEY_BACKEND_POLICY, pvgpu_backend_policy_parse, &more->policy);
	return 0;
}

static int of_guest(struct store *s, uint32_t be, uint32_t fe, struct holdings *out)
{
	char path[STORE_PATH];
	uint32_t *ids;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu/%u", be, fe);
	err = store_numbers(s, path, PVGPU_DEVID_MAX, &ids, &n);
	for (size_t i = 0; i < n && !err; i++)
		err = add(s, &(struct pvgpu_ids){.fe = fe, .be = be, .id = ids[i]}, out);
	free(ids);
	return err;
}

static int of_backend(struct store *s, uint32_t be, struct holdings *out)
{
	char path[STORE_PATH];
	uint32_t *guests;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu", be);
	err = store_numbers(s, path, PVGPU_DOMID_MAX, &guests, &n);
	for (size_t i = 0; i < n && !err; i++)
		err = of_guest(s, be, guests[i], out);
	free(guests);
	return err;
}

int holdings_read(struct store *s, struct holdings *out)
{
	uint32_t *domids;
	size_t n;
	int err = store_numbers(s, "/local/domain", PVGPU_DOMID_MAX, &domids, &n);

	*out = (struct holdings){0};
	for (size_t i = 0; i < n && !err; i++)
		err = of_backend(s, domids[i], out);
	free(domids);
	if (err)
		holdings_free(out);
	return err;
}

void holdings_free(struct holdings *h)
{
	free(h->v);
	*h = (struct holdings){0};
}
