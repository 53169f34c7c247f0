/* SPDX-License-Identifier: MIT */
/*
 * Arena chunks of Xen guests' sessions: pvgpud maps the grants on an fd that the worker mmaps. A
 * worker's answer is trusted as far as a false one can only harm its own guest: pages of a chunk
 * that it did not unmap stay in use until the worker ends.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define PAGE   4096u
#define ASK_MS 30000u /* for the worker's answer */

_Static_assert(PVGPU_CTL_CHUNK_MAX / PAGE <= XEN_MAP_MAX, "a chunk is one mapping");
_Static_assert(XEN_CHUNKS_MAX <= HELD_CHUNKS, "all are on record");

void xenctl_chunks_free(struct xen_session *s)
{
	struct xen_chunk *k;

	while ((k = TAILQ_FIRST(&s->chunks))) {
		TAILQ_REMOVE(&s->chunks, k, link);
		free(k);
	}
	s->chunk_n = 0;
	s->arena = 0;
}

static bool same(const struct xen_chunk *k, const struct pvgpu_ctl_chunk *m)
{
	return k->address == m->address && k->size == m->size;
}

/* A chunk that shares a page with m; NULL: none. */
static struct xen_chunk *overlapping(struct xen_session *s, const struct pvgpu_ctl_chunk *m)
{
	struct xen_chunk *k;

	TAILQ_FOREACH(k, &s->chunks, link)
	{
		if (m->address < k->address + k->size && k->address < m->address + m->size)
			return k;
	}
	return NULL;
}

static bool good(struct xenctl *c, struct xen_slot *slot)
{
	const struct pvgpu_ctl_chunk *m = &slot->m.u.chunk;

	if (m->size && m->size % PAGE == 0 && m->size <= PVGPU_CTL_CHUNK_MAX &&
	    m->address % PAGE == 0 && m->address <= UINT64_MAX - m->size &&
	    (slot->m.op == PVGPU_CTL_CHUNK_ADD || !m->dir))
		return true;
	xenctl_answer(c, slot, EPROTO, "chunk of %#" PRIx64 " bytes at %#" PRIx64, m->size,
		      m->address);
	return false;
}

static void count(struct xen_session *s, uint64_t bytes)
{
	s->arena += bytes;
	xenctl_count(s->w, (uint32_t)(bytes / PAGE));
}

static void uncount(struct xen_session *s, uint64_t bytes)
{
	s->arena -= bytes;
	xenctl_uncount(s->w, (uint32_t)(bytes / PAGE));
}

static void chunk_free(struct xen_session *s, struct xen_chunk *k)
{
	uncount(s, k->size);
	held_remove(s->w->held, k->place);
	TAILQ_REMOVE(&s->chunks, k, link);
	s->chunk_n--;
	free(k);
}

static void list(struct xen_session *s, struct xen_chunk *k)
{
	TAILQ_INSERT_TAIL(&s->chunks, k, link);
	s->chunk_n++;
}

void xenctl_chunks_adopt(struct xen_session *s)
{
	struct held_chunk c;

	for (unsigned int i = 0; i < HELD_CHUNKS; i++) {
		struct xen_chunk *k;

		if (!held_chunk(s->w->held, i, &c))
			continue;
		s->arena += (uint64_t)c.pages * PAGE;
		/* Without memory for it the chunk counts, and cannot be removed. */
		k = calloc(1, sizeof(*k));
		if (!k)
			continue;
		*k = (struct xen_chunk){.address = c.address,
					.size = (uint64_t)c.pages * PAGE,
					.place = (int)i,
					.state = c.sure ? XEN_CHUNK_THERE : XEN_CHUNK_UNSURE};
		list(s, k);
	}
}

/* Sends the request to the worker; 0, or -1. */
static int ask(struct xen_session *s, struct xen_slot *slot, struct xen_chunk *k, uint64_t offset,
	       int fd)
{
	struct xenctl *c = s->c;
	struct pvgpu_sup m = {
		.kind = fd >= 0 ? PVGPU_SUP_CHUNK_ADD : PVGPU_SUP_CHUNK_REMOVE,
		.a = slot->m.u.chunk.address,
		.b = slot->m.u.chunk.size,
		.c = offset,
		.session = s->w->id,
	};

	if (!++c->next_id)
		c->next_id = 1;
	m.id = c->next_id;
	if (supervise_tell(s->w, &m, fd) < 0)
		return -1;
	slot->asked = m.id;
	slot->chunk = k;
	if (!s->asked++)
		worker_deadline(s->w, ASK_MS, "did not answer about a chunk of its arena");
	return 0;
}

/* 0, or an errno with a reason. */
static int check_add(struct xen_session *s, const struct pvgpu_ctl_chunk *m,
		     char reason[CHECK_REASON])
{
	const uint64_t limit = s->c->v->cfg.policy.arena_limit;

	if (s->arena > limit || m->size > limit - s->arena) {
		snprintf(reason, CHECK_REASON, "arena_limit of %" PRIu64 " MiB is reached",
			 limit >> 20);
		return ENOMEM;
	}
	if (s->chunk_n == XEN_CHUNKS_MAX) {
		snprintf(reason, CHECK_REASON, "more than %u chunks", XEN_CHUNKS_MAX);
		return ENOMEM;
	}
	return -xenctl_room(s->c, (uint32_t)(m->size / PAGE), reason);
}

/* Maps the grants and sends them to the worker. 0, or an errno with a reason. */
static int add(struct xen_session *s, struct xen_slot *slot, char reason[CHECK_REASON])
{
	const struct pvgpu_ctl_chunk *m = &slot->m.u.chunk;
	const uint32_t pages = (uint32_t)(m->size / PAGE);
	struct xenctl *c = s->c;
	struct xen_chunk *k;
	uint64_t offset;
	uint32_t *refs;
	int err, fd, place;

	refs = xenctl_directory(c, m->dir, pages, &err, reason);
	if (!refs)
		return err;
	place = held_add(s->w->held, m->address, pages);
	if (place < 0) {
		free(refs);
		snprintf(reason, CHECK_REASON, "the backend cannot record the chunk");
		return ENOMEM;
	}
	fd = c->ops->grants(c->x->domid, refs, pages, &offset);
	free(refs);
	if (fd < 0) {
		held_remove(s->w->held, place);
		snprintf(reason, CHECK_REASON, "cannot map %u grants: %s", pages, strerror(-fd));
		return -fd;
	}
	k = calloc(1, sizeof(*k));
	err = k ? ask(s, slot, k, offset, fd) : -1;
	/* Only the worker has the fd from now on. */
	close(fd);
	if (err) {
		snprintf(reason, CHECK_REASON,
			 k ? "the session is ending" : "the backend is out of memory");
		err = k ? EPIPE : ENOMEM;
		held_remove(s->w->held, place);
		free(k);
		return err;
	}
	k->address = m->address;
	k->size = m->size;
	k->place = place;
	k->state = XEN_CHUNK_ADDING;
	list(s, k);
	count(s, k->size);
	return 0;
}

bool xenctl_chunk_add(struct xenctl *c, struct xen_slot *slot)
{
	const struct pvgpu_ctl_chunk *m = &slot->m.u.chunk;
	struct xen_session *s = xenctl_session(c, slot->m.session);
	char reason[CHECK_REASON];
	struct xen_chunk *k;
	int err;

	if (!good(c, slot))
		return false;
	if (!s || s->state != XEN_OPEN) {
		xenctl_answer(c, slot, s ? EPIPE : ENOENT, "session %u is not open",
			      slot->m.session);
		return false;
	}
	k = overlapping(s, m);
	if (k && same(k, m) && k->state == XEN_CHUNK_THERE) {
		xenctl_answer(c, slot, 0, "%s", "");
		return false;
	}
	if (k && same(k, m) && k->state == XEN_CHUNK_UNSURE) {
		/* The worker takes it once, whether it has heard of it before or not. */
		chunk_free(s, k);
		k = NULL;
	}
	if (k) {
		xenctl_answer(c, slot, same(k, m) ? EBUSY : EEXIST,
			      "chunk at %#" PRIx64 " is there", k->address);
		return false;
	}
	err = check_add(s, m, reason);
	if (!err)
		err = add(s, slot, reason);
	if (err)
		xenctl_answer(c, slot, err, "%s", reason);
	return true;
}

void xenctl_chunk_remove(struct xenctl *c, struct xen_slot *slot)
{
	const struct pvgpu_ctl_chunk *m = &slot->m.u.chunk;
	struct xen_session *s = xenctl_session(c, slot->m.session);
	struct xen_chunk *k;

	if (!good(c, slot))
		return;
	if (s && s->state == XEN_ENDING)
		return; /* answered when its worker has gone */
	k = s && s->state == XEN_OPEN ? overlapping(s, m) : NULL;
	if (!k) {
		xenctl_answer(c, slot, 0, "%s", "");
		return;
	}
	if (!same(k, m)) {
		xenctl_answer(c, slot, EINVAL, "chunk at %#" PRIx64 " has %#" PRIx64 " bytes",
			      k->address, k->size);
		return;
	}
	if (k->state != XEN_CHUNK_THERE && k->state != XEN_CHUNK_UNSURE) {
		xenctl_answer(c, slot, EBUSY, "chunk at %#" PRIx64 " is being changed", k->address);
		return;
	}
	/* A worker that cannot take the request is about to die, which answers the guest. */
	held_sure(s->w->held, k->place, false);
	if (ask(s, slot, k, 0, -1) == 0)
		k->state = XEN_CHUNK_REMOVING;
}

static void is_there(struct xen_session *s, struct xen_chunk *k)
{
	held_sure(s->w->held, k->place, true);
	k->state = XEN_CHUNK_THERE;
}

static void added(struct xen_session *s, struct xen_chunk *k, int error)
{
	if (error)
		chunk_free(s, k);
	else
		is_there(s, k);
}

static void removed(struct xen_session *s, struct xen_chunk *k, int error)
{
	if (error)
		is_there(s, k);
	else
		chunk_free(s, k);
}

/* The guest's request for a message id to the worker. */
static struct xen_slot *asked_for(struct xen_session *s, uint32_t id)
{
	for (uint32_t i = 0; id && i < PVGPU_CTL_SLOTS; i++) {
		struct xen_slot *slot = &s->c->slots[i];

		if (slot->state == XEN_SLOT_RUNNING && slot->asked == id &&
		    slot->m.session == s->number)
			return slot;
	}
	return NULL;
}

void xenctl_chunked(struct worker *w, const struct pvgpu_sup *m)
{
	struct xen_session *s = w->xs;
	struct xen_slot *slot = s ? asked_for(s, m->id) : NULL;
	const int error = (int)m->a;

	if (!slot) {
		/* A worker of a vGPU that was disconnected in the meantime may answer an earlier
		 * request. */
		if (s || !w->number || !w->vgpu->xen_ending)
			worker_kill(w, "answered a request about a chunk that was not sent");
		return;
	}
	if (slot->m.op == PVGPU_CTL_CHUNK_ADD)
		added(s, slot->chunk, error);
	else
		removed(s, slot->chunk, error);
	xenctl_answer(s->c, slot, error, "%s", m->reason[0] ? m->reason : strerror(error));
	if (!--s->asked && s->state == XEN_OPEN)
		worker_deadline(w, 0, NULL);
}
