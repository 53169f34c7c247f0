/* SPDX-License-Identifier: MIT */
/* The room for more vGPUs: the GPUs of a backend domain, the holdings of this host's vGPUs, and the
 * limits of profiles and tenants. */
#ifndef PVGPU_ROOM_H
#define PVGPU_ROOM_H

#include "xen-pvgpu-back/toolstack/store.h"
#include "xen-pvgpu-back/toolstack/tenants.h"

#define ROOM_WHY       320
#define ROOM_UNLIMITED UINT32_MAX

struct gpu {
	struct pvgpu_text name, model;
	struct pvgpu_gpu_room room;
};

struct gpus {
	struct gpu *v;
	size_t n;
};

/* The GPUs of a backend domain; none while its pvgpud does not know them. */
int gpus_read(struct store *s, uint32_t be, struct gpus *out);
void gpus_free(struct gpus *g);

/* The settings of a vGPU that count against limits, used or not. */
struct holding {
	struct pvgpu_ids ids;
	struct pvgpu_text profile, pool;
	uint64_t memory;
	struct pvgpu_backend_policy policy;
};

struct holdings {
	struct holding *v;
	size_t n;
};

/* Of all backends of this host. */
int holdings_read(struct store *s, struct holdings *out);
void holdings_free(struct holdings *h);

enum room_limit {
	ROOM_NOTHING, /* in the way */
	ROOM_MEMORY,
	ROOM_PER_GPU,
	ROOM_SHARE, /* guaranteed shares */
	ROOM_MODEL, /* the profile is not for this GPU */
	ROOM_POOL,  /* the vGPU is for another pool */
	ROOM_HEALTH,
	ROOM_VGPUS, /* these and memory: of a tenant */
};

struct room {
	uint32_t fits; /* how many more; ROOM_UNLIMITED */
	enum room_limit limit;
	char why[ROOM_WHY]; /* with the way out */
};

/* A word for programs. */
const char *room_word(enum room_limit limit);

/* A vGPU that is to be, or to be changed. Limits are checked for what it does not have yet: one
 * that was lowered takes nothing away, and keeps nothing else from being changed. */
struct room_ask {
	const struct vgpu_spec *w; /* resolved, see site.h */
	uint32_t be;
	bool force; /* memory is not checked */
	/* It exists: it is not counted, and its GPU's memory is pvgpud's to check. NULL: it is new.
	 */
	const struct pvgpu_ids *except;
	const struct vgpu_spec *had; /* its settings until now */
};

void room_on_gpu(const struct room_ask *a, const struct gpu *g, const struct holdings *h,
		 struct room *out);
void room_of_tenant(const struct room_ask *a, const struct holdings *h, struct room *out);

/* Names the GPU in a key "pool"; the group stays. */
void room_pool(struct pvgpu_text *pool, const struct gpu *on);
/* Is there anything to be checked? */
bool room_matters(const struct room_ask *a);
/* 0, and *gpu: the GPU that it must be on, NULL: any; or -ENOSPC with an error. */
int room_check(const struct room_ask *a, const struct gpus *all, const struct holdings *h,
	       const struct gpu **gpu, char *err, size_t cap);

#endif
