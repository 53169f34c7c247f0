/* SPDX-License-Identifier: MIT */
/*
 * Arena chunks of Xen guests' sessions: pvgpud maps the grants on an fd that the worker mmaps, and
 * has each on record for the next pvgpud. A worker's answer is a claim. Grants of a chunk are
 * uncounted when the mark of its file is gone (xen_ops.h): no process has it open or mapped. Where
 * that cannot be seen they count until the worker is dead.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define PAGE   4096u
#define ASK_MS 30000u /* for the worker's answer */
/* Bytes of chunks that a worker may fail to map in its life: they count all the same. */
#define FAILED_MAX ((uint64_t)PVGPU_CTL_CHUNK_MAX)

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

static bool good(struct xenctl *c, struct xen_request *req)
{
	const struct pvgpu_ctl_chunk *m = &req->m.u.chunk;

	if (m->size && m->size % PAGE == 0 && m->size <= PVGPU_CTL_CHUNK_MAX &&
	    m->address % PAGE == 0 && m->address <= UINT64_MAX - m->size &&
	    (req->m.op == PVGPU_CTL_CHUNK_ADD || !m->dir))
		return true;
	xenctl_answer(c, req, EPROTO, "chunk of %#" PRIx64 " bytes at %#" PRIx64, m->size,
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

static void list(struct xen_session *s, struct xen_chunk *k)
{
	TAILQ_INSERT_TAIL(&s->chunks, k, link);
	s->chunk_n++;
}

static void unlist(struct xen_session *s, struct xen_chunk *k)
{
	TAILQ_REMOVE(&s->chunks, k, link);
	s->chunk_n--;
	free(k);
}

static uint64_t number(const struct xen_session *s, const struct xen_chunk *k)
{
	return held_number(s->w->held, k->place);
}

static bool is_marked(const struct xen_session *s, const struct xen_chunk *k)
{
	return s->c->ops->marked(number(s, k));
}

/* No process has its file open or mapped, as an honest worker sees to before it answers. */
static bool is_gone(const struct xen_session *s, const struct xen_chunk *k)
{
	return k->known && !is_marked(s, k);
}

/* For chunks whose file no worker was given. For all others see free_if_gone(). */
static void chunk_free(struct xen_session *s, struct xen_chunk *k)
{
	uncount(s, k->size);
	held_remove(s->w->held, k->place);
	unlist(s, k);
}

static bool free_if_gone(struct xen_session *s, struct xen_chunk *k)
{
	if (!is_gone(s, k))
		return false;
	chunk_free(s, k);
	return true;
}

void xenctl_chunks_adopt(struct xen_session *s)
{
	const struct held *h = s->w->held;
	struct held_chunk c;

	for (unsigned int i = held_next(h, 0); i < HELD_CHUNKS; i = held_next(h, i + 1)) {
		struct xen_chunk *k;

		if (!held_chunk(h, i, &c))
			continue;
		if (c.state == HELD_MAPPING) {
			xenctl_uncount(s->w, c.pages);
			held_remove(s->w->held, (int)i);
			continue;
		}
		s->arena += (uint64_t)c.pages * PAGE;
		if (c.state == HELD_LOST)
			s->failed += (uint64_t)c.pages * PAGE;
		/* Without memory for it the chunk counts, and cannot be removed. */
		k = c.state == HELD_LOST ? NULL : calloc(1, sizeof(*k));
		if (!k)
			continue;
		*k = (struct xen_chunk){.address = c.address,
					.size = (uint64_t)c.pages * PAGE,
					.place = (int)i,
					.state = c.state == HELD_THERE ? XEN_CHUNK_THERE
								       : XEN_CHUNK_UNSURE};
		k->known = is_marked(s, k);
		list(s, k);
	}
}

/* Sends the request to the worker; 0, or -1. */
static int ask(struct xen_session *s, struct xen_request *req, struct xen_chunk *k, uint64_t offset,
	       int fd)
{
	struct xenctl *c = s->c;
	struct pvgpu_sup m = {
		.kind = fd >= 0 ? PVGPU_SUP_CHUNK_ADD : PVGPU_SUP_CHUNK_REMOVE,
		.a = req->m.u.chunk.address,
		.b = req->m.u.chunk.size,
		.c = offset,
		.session = s->w->id,
	};

	if (!++c->next_id)
		c->next_id = 1;
	m.id = c->next_id;
	if (supervise_tell(s->w, &m, fd) < 0)
		return -1;
	req->asked = m.id;
	req->chunk = k;
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
	return -xenctl_room(s->c, (uint32_t)(m->size / PAGE), false, reason);
}

/* Begins to map the grants. 0, or an errno with a reason. */
static int add(struct xen_session *s, struct xen_request *req, char reason[CHECK_REASON])
{
	const struct pvgpu_ctl_chunk *m = &req->m.u.chunk;
	const int place = held_add(s->w->held, m->address, (uint32_t)(m->size / PAGE));
	struct xen_chunk *k = place < 0 ? NULL : calloc(1, sizeof(*k));

	if (place < 0) {
		snprintf(reason, CHECK_REASON, "the backend cannot record the chunk");
		return ENOMEM;
	}
	req->chunk = k;
	if (!k || xenctl_map_start(s, req) < 0) {
		held_remove(s->w->held, place);
		free(k);
		snprintf(reason, CHECK_REASON, "the backend is out of memory");
		return ENOMEM;
	}
	k->address = m->address;
	k->size = m->size;
	k->place = place;
	k->state = XEN_CHUNK_ADDING;
	list(s, k);
	count(s, k->size);
	return 0;
}

bool xenctl_chunk_mapped(struct xen_session *s, struct xen_request *req, int fd, uint64_t offset)
{
	struct xen_chunk *k = req->chunk;

	/* The file of a former pvgpud for the same chunk may have the mark. */
	k->known = s->c->ops->mark(fd, number(s, k)) == 0;
	held_mark(s->w->held, k->place, HELD_UNSURE);
	if (ask(s, req, k, offset, fd) == 0)
		return true;
	xenctl_chunk_not_mapped(s, req, EPIPE, "the session is ending");
	return false;
}

void xenctl_chunk_not_mapped(struct xen_session *s, struct xen_request *req, int error,
			     const char *reason)
{
	chunk_free(s, req->chunk);
	xenctl_answer(s->c, req, error, "%s", reason);
}

static void begin_add(struct xen_session *s, struct xen_request *req)
{
	char reason[CHECK_REASON];
	int err = check_add(s, &req->m.u.chunk, reason);

	if (!err)
		err = add(s, req, reason);
	if (err)
		xenctl_answer(s->c, req, err, "%s", reason);
}

/* A worker that cannot take the request is about to die, which answers the guest. */
static void ask_removal(struct xen_session *s, struct xen_request *req, struct xen_chunk *k)
{
	held_mark(s->w->held, k->place, HELD_UNSURE);
	if (ask(s, req, k, 0, -1) == 0)
		k->state = XEN_CHUNK_REMOVING;
}

void xenctl_chunk_add(struct xenctl *c, struct xen_request *req)
{
	const struct pvgpu_ctl_chunk *m = &req->m.u.chunk;
	struct xen_session *s = xenctl_session(c, req->m.session);
	struct xen_chunk *k;

	if (!good(c, req))
		return;
	if (!s || s->state != XEN_OPEN) {
		xenctl_answer(c, req, s ? EPIPE : ENOENT, "session %u is not open", req->m.session);
		return;
	}
	k = overlapping(s, m);
	if (k && same(k, m) && k->state == XEN_CHUNK_THERE) {
		xenctl_answer(c, req, 0, "%s", "");
		return;
	}
	if (k && same(k, m) && k->state == XEN_CHUNK_UNSURE && free_if_gone(s, k))
		k = NULL;
	if (!k) {
		begin_add(s, req);
	} else if (same(k, m) && k->state == XEN_CHUNK_UNSURE) {
		/* The worker may have it. It is added when the worker has removed it. */
		ask_removal(s, req, k);
	} else {
		xenctl_answer(c, req, same(k, m) ? EBUSY : EEXIST, "chunk at %#" PRIx64 " is there",
			      k->address);
	}
}

void xenctl_chunk_remove(struct xenctl *c, struct xen_request *req)
{
	const struct pvgpu_ctl_chunk *m = &req->m.u.chunk;
	struct xen_session *s = xenctl_session(c, req->m.session);
	struct xen_chunk *k;

	if (!good(c, req))
		return;
	if (s && s->state == XEN_ENDING)
		return; /* answered when its worker has gone */
	k = s && s->state == XEN_OPEN ? overlapping(s, m) : NULL;
	if (!k) {
		xenctl_answer(c, req, 0, "%s", "");
		return;
	}
	if (!same(k, m)) {
		xenctl_answer(c, req, EINVAL, "chunk at %#" PRIx64 " has %#" PRIx64 " bytes",
			      k->address, k->size);
		return;
	}
	if (k->state != XEN_CHUNK_THERE && k->state != XEN_CHUNK_UNSURE) {
		xenctl_answer(c, req, EBUSY, "chunk at %#" PRIx64 " is being changed", k->address);
		return;
	}
	ask_removal(s, req, k);
}

static void is_there(struct xen_session *s, struct xen_chunk *k)
{
	k->known = is_marked(s, k);
	held_mark(s->w->held, k->place, HELD_THERE);
	k->state = XEN_CHUNK_THERE;
}

/* The guest has no such chunk any more, but it counts. */
static void lose(struct xen_session *s, struct xen_chunk *k)
{
	held_mark(s->w->held, k->place, HELD_LOST);
	unlist(s, k);
}

/* The worker still has what it says it has not. */
static void kept(struct xen_session *s, const struct xen_chunk *k)
{
	s->failed += k->size;
	if (s->failed > FAILED_MAX)
		faults_kill(s->w, FAULT_PROTOCOL,
			    "has %" PRIu64 " MiB of chunks that it says it has not",
			    s->failed >> 20);
}

/* EINVAL of the kernel means bad grants: there is room for all that pvgpud counts. */
static void not_added(struct xen_session *s, struct xen_chunk *k, int error)
{
	if (error == EINVAL)
		faults_breach(s->c->v, "grants of a chunk that cannot be mapped");
	if (free_if_gone(s, k))
		return;
	kept(s, k);
	lose(s, k);
}

static void added(struct xen_session *s, struct xen_chunk *k, int error)
{
	if (error)
		not_added(s, k, error);
	else
		is_there(s, k);
}

static void removed(struct xen_session *s, struct xen_chunk *k, int error)
{
	if (error) {
		is_there(s, k);
		return;
	}
	if (free_if_gone(s, k))
		return;
	/* That a former pvgpud mapped a chunk without a mark is no lie of the worker's. */
	if (k->known)
		kept(s, k);
	lose(s, k);
}

/* The worker has answered about the chunk that a former pvgpud knew nothing certain of. An error:
 * the worker has it, and it is in use. */
static void add_once_more(struct xen_session *s, struct xen_request *req, int error)
{
	struct xen_chunk *k = req->chunk;

	req->chunk = NULL;
	req->asked = 0;
	removed(s, k, error);
	if (error)
		xenctl_answer(s->c, req, 0, "%s", "");
	else
		begin_add(s, req);
}

/* The guest's request for a message id to the worker. */
static struct xen_request *asked_for(struct xen_session *s, uint32_t id)
{
	struct xen_request *req;

	TAILQ_FOREACH(req, &s->c->requests, link)
	{
		if (id && req->state == XEN_REQ_RUNNING && req->asked == id &&
		    req->m.session == s->number)
			return req;
	}
	return NULL;
}

void xenctl_chunked(struct worker *w, const struct pvgpu_sup *m)
{
	struct xen_session *s = w->xs;
	struct xen_request *req = s ? asked_for(s, m->id) : NULL;
	const int error = (int)m->a;

	if (!req) {
		/* A worker of a vGPU that was disconnected in the meantime may answer an earlier
		 * request. */
		if (s || !w->number || !w->vgpu->xen_ending)
			worker_kill(w, "answered a request about a chunk that was not sent");
		return;
	}
	if (!--s->asked && s->state == XEN_OPEN)
		worker_deadline(w, 0, NULL);
	if (req->m.op == PVGPU_CTL_CHUNK_ADD && req->chunk->state == XEN_CHUNK_REMOVING) {
		add_once_more(s, req, error);
		return;
	}
	if (req->m.op == PVGPU_CTL_CHUNK_ADD)
		added(s, req->chunk, error);
	else
		removed(s, req->chunk, error);
	xenctl_answer(s->c, req, error, "%s", m->reason[0] ? m->reason : strerror(error));
}
