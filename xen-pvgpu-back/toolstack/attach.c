/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/toolstack/room.h"

struct making {
	const struct vgpu_spec *w;
	struct pvgpu_ids *ids;
	bool force;
	const struct vgpus *others; /* that the guest may have; NULL: any */
	struct gpus gpus;           /* of the backend, if the vGPU's limits depend on them */
	struct pvgpu_text pool;     /* as it is written */
	char *err;
};

static int refuse(struct making *m, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(struct making *m, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->err, ATTACH_ERROR, fmt, ap);
	va_end(ap);
	return code;
}

static bool pvgpud_runs(struct store *s, uint32_t be)
{
	char path[STORE_PATH];

	vgpu_path(PVGPU_TREE_HOST, &(struct pvgpu_ids){.be = be},
		  pvgpu_keys[PVGPU_KEY_HOST_VERSION].name, path);
	return store_exists(s, path);
}

static int check_domains(struct store *s, struct making *m)
{
	const struct pvgpu_ids *ids = m->ids;

	if (!domain_exists(s, ids->fe))
		return refuse(m, -ENOENT, "domain %u is gone", ids->fe);
	if (!domain_exists(s, ids->be))
		return refuse(m, -ENOENT, "backend domain %u is gone", ids->be);
	return 0;
}

static int check_ends(struct store *s, struct making *m)
{
	const struct pvgpu_ids *ids = m->ids;
	int err;

	if (ids->fe == ids->be)
		return refuse(m, -EINVAL,
			      "domain %u cannot serve itself; programs in the backend domain use "
			      "pvgpud's local link",
			      ids->fe);
	if (pvgpud_runs(s, ids->be))
		return 0;
	err = check_domains(s, m);
	if (err)
		return err;
	return refuse(m, -ENODEV,
		      "no pvgpud runs in domain %u (it has no data/pvgpu/version): start it "
		      "there, or choose another backend domain (--backend)",
		      ids->be);
}

static int check_memory(struct store *s, struct making *m)
{
	char why[PVGPU_KEY_ERROR], *text;
	uint64_t room;
	size_t len;
	int err;

	if (m->force || !m->w->memory)
		return 0;
	text = store_key(s, PVGPU_KEY_HOST_GPU_MEMORY_FREE, m->ids, &len);
	/* The key is missing while pvgpud does not know its GPU yet; pvgpud checks the memory
	 * itself. */
	err = text ? pvgpu_host_gpu_memory_free_parse(text, len, &room, why) : 0;
	if (err)
		refuse(m, err, "domain %u: %s", m->ids->be, why);
	else if (text && m->w->memory > room)
		err = refuse(m, -ENOSPC,
			     "%" PRIu64 " MiB wanted, but only %" PRIu64
			     " MiB of the GPU in domain %u are not promised yet: detach another "
			     "vGPU, ask for less, or let it wait until there is room (--force)",
			     m->w->memory >> 20, room >> 20, m->ids->be);
	free(text);
	return err;
}

/* Keys of this guest and number in other backends are left over; pvgpu-attachd removes them. */
static bool is_used(struct store *s, const struct pvgpu_ids *ids)
{
	char path[STORE_PATH];

	vgpu_path(PVGPU_TREE_FRONTEND, ids, NULL, path);
	if (store_exists(s, path))
		return true;
	vgpu_path(PVGPU_TREE_BACKEND, ids, NULL, path);
	return store_exists(s, path);
}

static int choose_id(struct store *s, struct making *m)
{
	m->ids->id = m->w->any_id ? 0 : m->w->id;
	while (m->w->any_id && m->ids->id < PVGPU_DEVID_MAX && is_used(s, m->ids))
		m->ids->id++;
	if (!is_used(s, m->ids))
		return 0;
	return refuse(m, -EEXIST,
		      "domain %u already has a vGPU %u; leave out --id for the lowest free number, "
		      "or detach that one",
		      m->ids->fe, m->ids->id);
}

/* dom0 writes the names of a guest's vGPUs, so no guest can make this conflict. */
static int check_others(struct store *s, const struct making *m)
{
	char path[STORE_PATH];
	bool known = true;
	uint32_t *ids;
	size_t n;
	int err;

	if (!m->others)
		return 0;
	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", m->ids->fe);
	err = store_numbers(s, path, PVGPU_DEVID_MAX, &ids, &n);
	if (err)
		return err;
	for (size_t i = 0; i < n && known; i++) {
		known = false;
		for (size_t k = 0; k < m->others->n && !known; k++)
			known = m->others->v[k].ids.id == ids[i];
	}
	free(ids);
	return known ? 0 : -EALREADY;
}

/* The directories above a vGPU's belong to dom0; only the domain that they are for may read them.
 */
static int make_parent(struct store *s, const char *path, uint32_t reader)
{
	char perms[32] = "n0";

	if (store_exists(s, path))
		return 0;
	if (reader)
		snprintf(perms, sizeof(perms), "n0,r%u", reader);
	return store_directory(s, path, perms);
}

/* The lowest directory is never there without those above it. */
static int make_backend_parents(struct store *s, const struct pvgpu_ids *ids)
{
	char path[STORE_PATH], lowest[STORE_PATH];
	int err;

	snprintf(lowest, sizeof(lowest), "/local/domain/%u/backend/pvgpu/%u", ids->be, ids->fe);
	if (store_exists(s, lowest))
		return 0;
	snprintf(path, sizeof(path), "/local/domain/%u/backend", ids->be);
	err = make_parent(s, path, ids->be);
	snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu", ids->be);
	if (!err)
		err = make_parent(s, path, ids->be);
	return err ? err : make_parent(s, lowest, ids->be);
}

static int make_directory(struct store *s, enum pvgpu_tree_id tree, enum pvgpu_key_id like,
			  const struct pvgpu_ids *ids)
{
	char path[STORE_PATH], perms[64];
	int err = pvgpu_key_perms(&pvgpu_keys[like], ids, perms, sizeof(perms));

	vgpu_path(tree, ids, NULL, path);
	return err ? err : store_directory(s, path, perms);
}

/* The backend's directory gets the permissions of the toolstack's keys until those are written. */
static int make_directories(struct store *s, const struct pvgpu_ids *ids)
{
	char path[STORE_PATH];
	int err = make_backend_parents(s, ids);

	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", ids->fe);
	if (!err)
		err = make_parent(s, path, ids->fe);
	if (!err)
		err = make_directory(s, PVGPU_TREE_FRONTEND, PVGPU_KEY_FRONTEND_STATE, ids);
	return err ? err : make_directory(s, PVGPU_TREE_BACKEND, PVGPU_KEY_BACKEND_ONLINE, ids);
}

/* The VM's name as a key may hold it, the same while the VM is being received by migration. */
static void key_name(const struct domain *d, char name[DOMAIN_NAME])
{
	domain_own_name(d, name);
	for (char *p = name; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static int put_vm(struct store *s, const struct pvgpu_ids *ids)
{
	char name[DOMAIN_NAME];
	struct domain d;
	int err;

	domain_read(s, ids->fe, &d);
	key_name(&d, name);
	err = store_add(s, PVGPU_KEY_BACKEND_VM_NAME, ids, name);
	return err ? err : store_add(s, PVGPU_KEY_BACKEND_VM_UUID, ids, d.uuid);
}

static int put_policy(struct store *s, const struct making *m)
{
	const struct vgpu_spec *w = m->w;
	const struct pvgpu_ids *ids = m->ids;
	char text[PVGPU_KEY_TEXT];
	struct pvgpu_uuid uuid = w->uuid;
	int err = w->has_uuid ? 0 : uuid_random(&uuid);

	if (!err)
		err = pvgpu_backend_uuid_format(&uuid, text, sizeof(text), NULL);
	if (!err)
		err = store_add(s, PVGPU_KEY_BACKEND_UUID, ids, text);
	if (!err && w->model.len)
		err = store_add(s, PVGPU_KEY_BACKEND_MODEL, ids, w->model.s);
	if (!err && m->pool.len)
		err = store_add(s, PVGPU_KEY_BACKEND_POOL, ids, m->pool.s);
	if (!err && w->group_policy)
		err = store_add(s, PVGPU_KEY_BACKEND_GROUP_POLICY, ids, w->group_policy);
	if (!err && w->profile.len)
		err = store_add(s, PVGPU_KEY_BACKEND_PROFILE, ids, w->profile.s);
	if (!err)
		err = pvgpu_backend_memory_format(w->memory, text, sizeof(text), NULL);
	if (!err)
		err = store_add(s, PVGPU_KEY_BACKEND_MEMORY, ids, text);
	return err ? err : store_add(s, PVGPU_KEY_BACKEND_POLICY, ids, w->policy);
}

static int put_toolstack_keys(struct store *s, const struct making *m)
{
	const struct pvgpu_ids *ids = m->ids;
	char other[STORE_PATH], number[16];
	int err;

	vgpu_path(PVGPU_TREE_FRONTEND, ids, NULL, other);
	err = store_add(s, PVGPU_KEY_BACKEND_FRONTEND, ids, other);
	snprintf(number, sizeof(number), "%u", ids->fe);
	if (!err)
		err = store_add(s, PVGPU_KEY_BACKEND_FRONTEND_ID, ids, number);
	if (!err)
		err = store_add(s, PVGPU_KEY_BACKEND_ONLINE, ids, "1");
	if (!err)
		err = put_vm(s, ids);
	return err ? err : put_policy(s, m);
}

/*
 * A key inherits the permissions of its directory. To set those of each key would double the cost
 * of an attach, so the toolstack's keys are written first and then the directory is given to its
 * domain.
 */
static int put_keys(struct store *s, const struct making *m)
{
	const struct pvgpu_ids *ids = m->ids;
	char other[STORE_PATH], number[16];
	int err = put_toolstack_keys(s, m);

	if (!err)
		err = make_directory(s, PVGPU_TREE_BACKEND, PVGPU_KEY_BACKEND_STATE, ids);
	vgpu_path(PVGPU_TREE_BACKEND, ids, NULL, other);
	if (!err)
		err = store_add(s, PVGPU_KEY_FRONTEND_BACKEND, ids, other);
	snprintf(number, sizeof(number), "%u", ids->be);
	if (!err)
		err = store_add(s, PVGPU_KEY_FRONTEND_BACKEND_ID, ids, number);
	/* Each end begins when its state appears, so the states are written last. */
	snprintf(number, sizeof(number), "%d", PVGPU_STATE_INITIALISING);
	if (!err)
		err = store_add(s, PVGPU_KEY_BACKEND_STATE, ids, number);
	return err ? err : store_add(s, PVGPU_KEY_FRONTEND_STATE, ids, number);
}

/* In the transaction, so that two that are made at the same time do not take the same place. */
static int check_room(struct store *s, struct making *m)
{
	const struct room_ask ask = {.w = m->w, .be = m->ids->be, .force = m->force};
	struct holdings all;
	const struct gpu *on;
	int err;

	m->pool = m->w->pool;
	if (!room_matters(&ask))
		return 0;
	err = holdings_read(s, &all);
	if (err)
		return refuse(m, err, "reading what other vGPUs have: %s", strerror(-err));
	err = room_check(&ask, &m->gpus, &all, &on, m->err, ATTACH_ERROR);
	if (!err && on)
		room_pool(&m->pool, on);
	holdings_free(&all);
	return err;
}

static int make(struct store *s, void *arg)
{
	struct making *m = arg;
	int err = check_domains(s, m);

	if (!err)
		err = check_others(s, m);
	if (!err)
		err = choose_id(s, m);
	if (!err)
		err = check_room(s, m);
	if (err)
		return err;
	err = make_directories(s, m->ids);
	if (!err)
		err = put_keys(s, m);
	return err ? refuse(m, err, "writing the keys of vGPU %u of domain %u: %s", m->ids->id,
			    m->ids->fe, strerror(-err))
		   : 0;
}

int attach_beside(struct store *s, const struct vgpu_spec *w, struct pvgpu_ids *ids, bool force,
		  const struct vgpus *others, char err[ATTACH_ERROR])
{
	struct making m = {.w = w, .ids = ids, .force = force, .others = others, .err = err};
	int r;

	err[0] = '\0';
	/* pvgpud writes its host keys again with each vGPU: read inside the transaction they would
	 * make it conflict. */
	r = check_ends(s, &m);
	if (!r)
		r = check_memory(s, &m);
	if (!r && room_matters(&(struct room_ask){.w = w}))
		r = gpus_read(s, ids->be, &m.gpus);
	if (!r)
		r = store_atomically(s, make, &m);
	gpus_free(&m.gpus);
	if (r && !err[0])
		refuse(&m, r, "xenstore did not take the keys of vGPU %u of domain %u: %s", ids->id,
		       ids->fe, strerror(-r));
	return r;
}

int attach_make(struct store *s, const struct vgpu_spec *w, struct pvgpu_ids *ids, bool force,
		char err[ATTACH_ERROR])
{
	return attach_beside(s, w, ids, force, NULL, err);
}

int attach_possible(struct store *s, const struct vgpu_spec *w, const struct pvgpu_ids *ids,
		    bool force, char err[ATTACH_ERROR])
{
	struct pvgpu_ids at = *ids;
	struct making m = {.w = w, .ids = &at, .force = force, .err = err};
	int r = check_ends(s, &m);

	if (!r)
		r = check_domains(s, &m);
	return r ? r : check_memory(s, &m);
}

/* A vGPU that is to go; one with another uuid is a later one of its number. */
struct going {
	const struct pvgpu_ids *ids;
	const char *uuid;
};

/* The key normally exists. Where it was removed it is written with the toolstack's permissions. */
static int offline(struct store *s, void *arg)
{
	const struct going *g = arg;
	char online[STORE_PATH];

	if (g->uuid[0] && !vgpu_is_there(s, g->ids, g->uuid))
		return -ENOENT;
	vgpu_path(PVGPU_TREE_BACKEND, g->ids, pvgpu_keys[PVGPU_KEY_BACKEND_ONLINE].name, online);
	if (store_exists(s, online))
		return store_write(s, online, "0");
	if (!vgpu_is_there(s, g->ids, ""))
		return -ENOENT;
	return store_put(s, PVGPU_KEY_BACKEND_ONLINE, g->ids, "0");
}

int attach_offline(struct store *s, const struct pvgpu_ids *ids, const char *uuid)
{
	struct going g = {ids, uuid};

	return store_atomically(s, offline, &g);
}

struct renaming {
	const struct pvgpu_ids *ids;
	const char *name, *uuid;
};

static int rename_vm(struct store *s, void *arg)
{
	const struct renaming *r = arg;
	char path[STORE_PATH];
	int err;

	vgpu_path(PVGPU_TREE_BACKEND, r->ids, NULL, path);
	if (!store_exists(s, path))
		return 0;
	err = store_put(s, PVGPU_KEY_BACKEND_VM_NAME, r->ids, r->name);
	return err ? err : store_put(s, PVGPU_KEY_BACKEND_VM_UUID, r->ids, r->uuid);
}

int attach_name(struct store *s, const struct pvgpu_ids *ids, const struct domain *d)
{
	char name[DOMAIN_NAME], *has;
	struct renaming r = {ids, name, d->uuid};
	bool same;
	size_t len;

	key_name(d, name);
	has = store_key(s, PVGPU_KEY_BACKEND_VM_NAME, ids, &len);
	same = has && !strcmp(has, name);
	free(has);
	return same ? 0 : store_atomically(s, rename_vm, &r);
}

/* The directory above the guest's vGPUs is dom0's. */
static int remove_guest_parent(struct store *s, void *arg)
{
	const struct pvgpu_ids *ids = arg;
	char path[STORE_PATH];
	bool removed;

	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", ids->fe);
	return store_remove_if_empty(s, path, &removed);
}

/*
 * Removes the guest's directory, unless it has been made anew for another backend. No transaction:
 * each write of the guest to its own keys would make one conflict.
 */
static int remove_guest_end(struct store *s, const struct pvgpu_ids *ids)
{
	struct pvgpu_ids other;
	char path[STORE_PATH], *text;
	struct pvgpu_ids at = *ids;
	struct names left;
	bool elsewhere;
	size_t len;
	int err;

	text = store_key(s, PVGPU_KEY_FRONTEND_BACKEND, ids, &len);
	elsewhere = text && pvgpu_frontend_backend_parse(text, len, &other, NULL) == 0 &&
		    other.be != ids->be;
	free(text);
	if (elsewhere) {
		/* The guest can write this key: it counts only if that backend has the vGPU. */
		other.fe = ids->fe;
		other.id = ids->id;
		vgpu_path(PVGPU_TREE_BACKEND, &other, NULL, path);
		if (store_exists(s, path))
			return 0;
	}
	/* Made anew since the other end was removed. */
	if (vgpu_is_there(s, ids, ""))
		return 0;
	vgpu_path(PVGPU_TREE_FRONTEND, ids, NULL, path);
	err = store_remove(s, path);
	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", ids->fe);
	if (err || store_list(s, path, &left) < 0)
		return err;
	/* When it stays it harms no other vGPU. */
	if (!left.n)
		store_atomically(s, remove_guest_parent, &at);
	names_free(&left);
	return 0;
}

/* Removes the directories above the vGPU's that are empty now, up to the one that a toolstack
 * removes with the last device. */
static int remove_backend_parents(struct store *s, const struct pvgpu_ids *ids)
{
	char paths[3][STORE_PATH];
	bool removed = true;
	int err = 0;

	snprintf(paths[0], STORE_PATH, "/local/domain/%u/backend/pvgpu/%u", ids->be, ids->fe);
	snprintf(paths[1], STORE_PATH, "/local/domain/%u/backend/pvgpu", ids->be);
	snprintf(paths[2], STORE_PATH, "/local/domain/%u/backend", ids->be);
	for (unsigned int i = 0; i < 3 && removed && !err; i++)
		err = store_remove_if_empty(s, paths[i], &removed);
	return err;
}

static int remove_backend_end(struct store *s, void *arg)
{
	const struct going *g = arg;
	char path[STORE_PATH];
	int err;

	if (g->uuid[0] && !vgpu_is_there(s, g->ids, g->uuid) && vgpu_is_there(s, g->ids, ""))
		return -ESTALE;
	vgpu_path(PVGPU_TREE_BACKEND, g->ids, NULL, path);
	err = store_remove(s, path);
	return err ? err : remove_backend_parents(s, g->ids);
}

int attach_remove(struct store *s, const struct pvgpu_ids *ids, const char *uuid)
{
	struct going g = {ids, uuid};
	int err = store_atomically(s, remove_backend_end, &g);

	if (err == -ESTALE)
		return 0;
	return err ? err : remove_guest_end(s, ids);
}

bool attach_served(struct store *s, const struct vgpu *v)
{
	if (!v->backend_there || v->state == PVGPU_STATE_CLOSED || !domain_exists(s, v->ids.fe) ||
	    !domain_exists(s, v->ids.be))
		return false;
	/* In state Initialising nothing is mapped, and only a running pvgpud would take the vGPU
	 * up. */
	return v->state != PVGPU_STATE_INITIALISING || pvgpud_runs(s, v->ids.be);
}
