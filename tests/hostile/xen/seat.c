/* SPDX-License-Identifier: MIT */
/* Sessions of the frontend: their memory, the requests about them, and their rings through guest.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/hostile/xen/front.h"

static void bell(struct guest *g)
{
	const struct seat *s = (const void *)((const unsigned char *)g - offsetof(struct seat, g));

	port_ring(s->port);
}

struct pvgpu_dir_page *dir_page(struct pages *dir)
{
	return (void *)dir->at;
}

void dir_make(struct front *f, struct pages *dir, const struct pages *of)
{
	pages_grant(dir, f->back, 1, 0);
	memcpy(dir_page(dir)->ref, of->ref, of->n * sizeof(uint32_t));
}

static void lend_ring(struct seat *s)
{
	struct guest *g = &s->g;

	g->ring_fd = g->to_worker = g->to_guest = g->sock = -1;
	g->cmd_size = CMD_SIZE;
	g->rep_size = REP_SIZE;
	g->page = (void *)s->ring.at;
	g->cmd = s->ring.at + PVGPU_RING_PAGE_SIZE;
	g->rep = g->cmd + CMD_SIZE;
	g->bell = bell;
	g->limit_s = WAIT_MS / 1000;
	pvgpu_ring_format(g->page, CMD_SIZE, REP_SIZE);
}

struct seat *seat_make(struct front *f)
{
	struct seat *s = calloc(1, sizeof(*s));
	unsigned int i = 0;

	while (i < SEATS && f->seat[i])
		i++;
	if (!s || i == SEATS)
		die("more than %u sessions", SEATS);
	f->seat[i] = s;
	s->f = f;
	s->number = ++f->next_session;
	pages_grant(&s->ring, f->back, RING_PAGES, 0);
	lend_ring(s);
	dir_make(f, &s->dir, &s->ring);
	s->port = port_make(f->back);
	return s;
}

struct pvgpu_ctl_msg seat_open_msg(const struct seat *s)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_OPEN, .session = s->number};

	m.u.open.cmd_size = CMD_SIZE;
	m.u.open.rep_size = REP_SIZE;
	m.u.open.dir = s->dir.ref[0];
	m.u.open.port = s->port;
	memcpy(m.u.open.comm, "frontend", sizeof("frontend"));
	return m;
}

int seat_open(struct seat *s)
{
	struct pvgpu_ctl_msg m = seat_open_msg(s);
	struct ask *a = front_send(s->f, &m);
	const int r = front_wait(s->f, a);

	if (r)
		return r;
	s->open = true;
	s->g.session = a->answer.u.opened.number;
	s->g.arena_limit = a->answer.u.opened.arena_limit;
	return 0;
}

void seat_settle(struct seat *s)
{
	guest_hello(&s->g);
	guest_windows(&s->g);
}

struct pvgpu_ctl_msg seat_chunk_msg(const struct seat *s, uint32_t op, uint64_t address,
				    uint64_t size, uint32_t dir)
{
	struct pvgpu_ctl_msg m = {.op = op, .session = s->number};

	m.u.chunk = (struct pvgpu_ctl_chunk){.address = address, .size = size, .dir = dir};
	return m;
}

int seat_chunk(struct seat *s, uint32_t n)
{
	struct pvgpu_ctl_msg m;

	pages_grant(&s->chunk, s->f->back, n, 0);
	dir_make(s->f, &s->chunk_dir, &s->chunk);
	m = seat_chunk_msg(s, PVGPU_CTL_CHUNK_ADD, s->g.arena_base, n * (uint64_t)PAGE,
			   s->chunk_dir.ref[0]);
	return front_call(s->f, &m);
}

int seat_close(struct seat *s)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE, .session = s->number};

	s->open = false;
	return front_call(s->f, &m);
}

bool seat_answers(struct seat *s)
{
	const struct pvgpu_wire_device_snapshot_reply *r = (const void *)&s->g.reply;

	front_take(s->f);
	return !s->ended && guest_answers(&s->g) && r->total_mem;
}

bool seat_wait_end(struct seat *s)
{
	const uint64_t until = now_ms() + WAIT_MS;

	for (front_take(s->f); !s->ended; front_take(s->f)) {
		if (now_ms() > until)
			return false;
		nap_ms(5);
	}
	return true;
}

void seat_free(struct seat *s)
{
	for (unsigned int i = 0; i < SEATS; i++)
		if (s->f->seat[i] == s)
			s->f->seat[i] = NULL;
	pages_end(&s->chunk_dir);
	pages_end(&s->chunk);
	pages_end(&s->dir);
	pages_end(&s->ring);
	port_end(s->port);
	free(s);
}
