/* SPDX-License-Identifier: MIT */
/* The vGPUs of this host, as both ends have them in xenstore. */
#ifndef PVGPU_CTL_VGPUS_H
#define PVGPU_CTL_VGPUS_H

#include <jansson.h>

#include "xen-pvgpu-back/ctl/domains.h"

struct vgpu {
	struct pvgpu_ids ids;
	bool backend_there, guest_there; /* the two directories */
	bool online;
	enum pvgpu_state state, guest_state; /* Unknown: there is none, or it is nonsense */
	char uuid[PVGPU_UUID_TEXT];          /* empty: there is none */
	struct pvgpu_text model, pool, reason;
	uint64_t memory;
	struct pvgpu_backend_policy policy;
	struct pvgpu_backend_statistics statistics;
};

struct vgpus {
	struct vgpu *v;
	size_t n;
};

/* One, by its ids; whatever is missing or nonsense is Unknown, 0 or empty. */
void vgpu_read(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
/* There or not, both states and online only: all that decides what is to be done. */
void vgpu_read_states(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
typedef void vgpu_reader(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
/*
 * All of them, by guest and number: backends' directories, and guests' directories that none of
 * those belongs to (then ids.be is what the guest's own key says, and backend_there false).
 */
int vgpus_read(struct store *s, const struct domains *d, vgpu_reader *read, struct vgpus *out);
/* Likewise, but those of one guest only, which may be gone; id: this one only, NULL: all. */
int vgpus_read_guest(struct store *s, const struct domains *d, uint32_t fe, const uint32_t *id,
		     struct vgpus *out);
void vgpus_free(struct vgpus *v);
/* The guest has taken it up and has not closed it yet. Who removes the directories meanwhile may
 * find its "Closed" in those of the next vGPU of that number. */
bool vgpu_guest_closes(const struct vgpu *v);
/* Both ends' directories. */
void vgpu_path(enum pvgpu_tree_id tree, const struct pvgpu_ids *ids, const char *name,
	       char path[STORE_PATH]);

/* "Connected", or both ends' states as "InitWait/Initialising". */
void vgpu_state_text(const struct vgpu *v, char *buf, size_t cap);
const char *state_name(enum pvgpu_state s);
json_t *vgpu_json(const struct vgpu *v, const struct domains *d);

#endif
