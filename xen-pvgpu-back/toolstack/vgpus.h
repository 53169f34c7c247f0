/* SPDX-License-Identifier: MIT */
/* The vGPUs of this host, from both ends' keys in xenstore. */
#ifndef PVGPU_CTL_VGPUS_H
#define PVGPU_CTL_VGPUS_H

#include <jansson.h>

#include "xen-pvgpu-back/toolstack/domains.h"

struct vgpu {
	struct pvgpu_ids ids;
	bool backend_there, guest_there; /* the two directories */
	bool online;
	enum pvgpu_state state, guest_state; /* Unknown: missing or malformed */
	char uuid[PVGPU_UUID_TEXT];          /* empty: none */
	struct pvgpu_text model, pool, profile, reason;
	uint64_t memory;
	struct pvgpu_backend_policy policy;
	struct pvgpu_backend_statistics statistics;
};

struct vgpus {
	struct vgpu *v;
	size_t n;
};

/* One vGPU by its ids. Missing or malformed keys become Unknown, 0 or empty. */
void vgpu_read(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
/* Reads existence, both states and online only: enough to decide on attach and detach. */
void vgpu_read_states(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
/* Its uuid; empty: none. */
void vgpu_read_uuid(struct store *s, const struct pvgpu_ids *ids, char uuid[PVGPU_UUID_TEXT]);
/* Is it still there, by its backend's directory? Another one may have been given its number since:
 * that has another uuid. uuid: as it was read; empty: any. */
bool vgpu_is_there(struct store *s, const struct pvgpu_ids *ids, const char *uuid);
typedef void vgpu_reader(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v);
/* All vGPUs, sorted by guest and number: backends' directories, and guests' directories without a
 * backend's (then ids.be is the value of the guest's own key, and backend_there is false). */
int vgpus_read(struct store *s, const struct domains *d, vgpu_reader *read, struct vgpus *out);
/* The same for one guest, which may be gone. id: only this vGPU; NULL: all. */
int vgpus_read_guest(struct store *s, const struct domains *d, uint32_t fe, const uint32_t *id,
		     struct vgpus *out);
/* Adds those of one guest that is there, on these backends or on none; out is zeroed or has
 * others. */
int vgpus_add_guest(struct store *s, const struct domains *backends, uint32_t fe, vgpu_reader *read,
		    struct vgpus *out);
void vgpus_free(struct vgpus *v);
/* The guest has taken the vGPU up and has not closed it yet. A caller that removes the directories
 * now may later find this guest's "Closed" in those of the next vGPU of the number. */
bool vgpu_guest_closes(const struct vgpu *v);
/* The path of a vGPU's directory in a tree, or of a key in it. */
void vgpu_path(enum pvgpu_tree_id tree, const struct pvgpu_ids *ids, const char *name,
	       char path[STORE_PATH]);

/* "Connected", or both ends' states as "InitWait/Initialising". */
void vgpu_state_text(const struct vgpu *v, char *buf, size_t cap);
const char *state_name(enum pvgpu_state s);
/* In pvgpud's words: draining, ending, quarantined, or the backend's state. */
const char *vgpu_state_word(const struct vgpu *v);
json_t *vgpu_json(const struct vgpu *v, const struct domains *d);
/* A record's text: numbers as numbers, shares and words as strings; a field that is not there has
 * its default. */
json_t *vgpu_record_json(enum pvgpu_key_id id, const char *text);

#endif
