/* SPDX-License-Identifier: MIT */
/*
 * Chunks are mapped in slices, the grants of one directory page at a time: 256 MiB at once would
 * stop all guests for as long as 65 grant copies and the kernel's allocation of 65,536 pages take.
 * One turn of pvgpud's loop maps one slice, of one vGPU. A vGPU has one chunk in this list, so that
 * all of them have their turns. A file with many grants is not closed at once, for the same
 * reason: what is given up is taken back in slices, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define PAGE 4096u

_Static_assert(XEN_MAP_MAX == PVGPU_DIR_REFS, "a slice is a directory page");
_Static_assert(PVGPU_SUP_SLICE == PVGPU_DIR_REFS * PAGE, "as the worker mmaps it");

struct xen_map {
	TAILQ_ENTRY(xen_map) link;
	const struct xen_ops *ops;
	struct xen_session *s; /* NULL: given up */
	struct xen_request *req;
	uint32_t dir, pages, done;
	struct xen_refs refs;
	int fd; /* -1: none yet */
	uint64_t offset;
};

struct xen_maps {
	TAILQ_HEAD(, xen_map) list;
	ev_timer turn;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* 0, or an errno with a reason. */
static int map_slice(struct xen_map *m, char reason[CHECK_REASON])
{
	const uint32_t n = least(m->pages - m->done, XEN_MAP_MAX);
	struct xenctl *c = m->s->c;
	struct pvgpu_dir_page d;
	uint64_t at = 0;
	int err;

	err = xenctl_directory(c, m->dir, n, m->done, &d, reason);
	if (!err)
		err = xenctl_refs_add(&m->refs, d.ref, n, reason);
	if (err)
		return err;
	err = -m->ops->grants(c->x->domid, d.ref, n, &m->fd, &at);
	if (!err && !m->done)
		m->offset = at;
	if (!err && at != m->offset + (uint64_t)m->done * PAGE)
		err = EIO; /* the kernel would have to have changed */
	if (err) {
		snprintf(reason, CHECK_REASON, "cannot map %u grants: %s", n, strerror(err));
		return err;
	}
	m->done += n;
	m->dir = d.next;
	return 0;
}

static void give_up(struct xen_map *m)
{
	m->s->c->map = NULL;
	xenctl_again(m->s->c);
	m->s = NULL;
}

/* True: it is over. */
static bool forward(struct xen_map *m)
{
	struct xen_session *s = m->s;
	struct xen_request *req = m->req;
	char reason[CHECK_REASON];
	int err = map_slice(m, reason);

	if (!err && m->done < m->pages)
		return false;
	give_up(m);
	if (err)
		xenctl_chunk_not_mapped(s, req, err, reason);
	else if (xenctl_chunk_mapped(s, req, m->fd, m->offset))
		m->done = 0; /* the worker's; closing our file does nothing more */
	return !m->done;
}

static bool back(struct xen_map *m)
{
	const uint32_t rest = m->done % XEN_MAP_MAX, n = rest ? rest : least(m->done, XEN_MAP_MAX);

	m->done -= n;
	if (n)
		m->ops->ungrant(m->fd, m->offset + (uint64_t)m->done * PAGE, n);
	return !m->done;
}

static void map_free(struct xen_map *m)
{
	xenctl_refs_end(&m->refs);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

static void on_turn(struct ev_loop *loop, ev_timer *t, int events)
{
	struct xen_maps *all = t->data;
	struct xen_map *m = TAILQ_FIRST(&all->list);

	TAILQ_REMOVE(&all->list, m, link);
	if (m->s ? forward(m) : back(m))
		map_free(m);
	else
		TAILQ_INSERT_TAIL(&all->list, m, link);
	if (TAILQ_EMPTY(&all->list))
		return;
	ev_timer_set(t, 0., 0.);
	ev_timer_start(loop, t);
}

static struct xen_maps *maps(struct daemon *d)
{
	if (d->xen_maps)
		return d->xen_maps;
	d->xen_maps = calloc(1, sizeof(*d->xen_maps));
	if (!d->xen_maps)
		return NULL;
	TAILQ_INIT(&d->xen_maps->list);
	ev_timer_init(&d->xen_maps->turn, on_turn, 0., 0.);
	d->xen_maps->turn.data = d->xen_maps;
	return d->xen_maps;
}

int xenctl_map_start(struct xen_session *s, struct xen_request *req)
{
	struct xen_maps *all = maps(s->c->d);
	struct xen_map *m = all ? malloc(sizeof(*m)) : NULL;

	if (!m)
		return -ENOMEM;
	*m = (struct xen_map){.ops = s->c->ops,
			      .s = s,
			      .req = req,
			      .dir = req->m.u.chunk.dir,
			      .pages = (uint32_t)(req->m.u.chunk.size / PAGE),
			      .fd = -1};
	if (xenctl_refs_begin(&m->refs, m->pages) < 0) {
		free(m);
		return -ENOMEM;
	}
	s->c->map = m;
	TAILQ_INSERT_TAIL(&all->list, m, link);
	if (!ev_is_active(&all->turn)) {
		ev_timer_set(&all->turn, 0., 0.);
		ev_timer_start(s->c->d->loop, &all->turn);
	}
	return 0;
}

void xenctl_map_cancel(struct xen_session *s)
{
	struct xen_map *m = s->c->map;

	if (!m || m->s != s)
		return;
	give_up(m);
	xenctl_chunk_not_mapped(s, m->req, EPIPE, "the session is ending");
}

void xenctl_maps_stop(struct daemon *d)
{
	struct xen_map *m;

	if (!d->xen_maps)
		return;
	ev_timer_stop(d->loop, &d->xen_maps->turn);
	while ((m = TAILQ_FIRST(&d->xen_maps->list))) {
		TAILQ_REMOVE(&d->xen_maps->list, m, link);
		map_free(m);
	}
	free(d->xen_maps);
	d->xen_maps = NULL;
}
