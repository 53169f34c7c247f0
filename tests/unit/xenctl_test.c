/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/xenctl_fake.h"

#define DIR_REF  2u
#define RING_REF 100u
#define SESSION  5u
#define BASE     0x300000000000ull

static unsigned int files_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned int files_before;

static void up(void)
{
	files_before = files_open();
	fake_up();
	fake_settle();
}

static void down(void)
{
	fake_down();
	ck_assert_uint_eq(files_open(), files_before);
}

static struct pvgpu_ctl_open good_open(void)
{
	fake_directory(DIR_REF, RING_REF, FAKE_RING_PAGES);
	return (struct pvgpu_ctl_open){.cmd_size = PVGPU_RING_MIN,
				       .rep_size = PVGPU_RING_MIN,
				       .dir = DIR_REF,
				       .port = 21,
				       .comm = "vecadd"};
}

static uint32_t ask_open(uint32_t session)
{
	struct pvgpu_ctl_open o = good_open();
	uint32_t id = fake_request(PVGPU_CTL_SESSION_OPEN, session, &o, sizeof(o));

	fake_settle();
	return id;
}

static uint32_t ask_chunk(uint32_t op, uint32_t session, uint64_t address, uint64_t size)
{
	struct pvgpu_ctl_chunk k = {.address = address, .size = size};
	uint32_t id;

	if (op == PVGPU_CTL_CHUNK_ADD) {
		k.dir = DIR_REF;
		fake_directory(DIR_REF, RING_REF, (uint32_t)(size / 4096));
	}
	id = fake_request(op, session, &k, sizeof(k));
	fake_settle();
	return id;
}

static struct pvgpu_ctl_msg answer(uint32_t op, uint32_t id, int error)
{
	struct pvgpu_ctl_msg m;

	ck_assert(fake_answer(&m));
	ck_assert_uint_eq(m.op, op);
	ck_assert_uint_eq(m.id, id);
	ck_assert_msg(m.error == error, "error %d, text %.48s", m.error, m.u.text);
	fake_settle();
	return m;
}

static void no_answer(void)
{
	struct pvgpu_ctl_msg m;

	ck_assert(!fake_answer(&m));
}

/* An open session. */
static struct fake_worker *opened(uint32_t session)
{
	uint32_t id = ask_open(session);
	struct fake_worker *k = fake_serving(session);
	struct pvgpu_ctl_msg m;

	ck_assert_ptr_nonnull(k);
	no_answer();
	fake_seal(k);
	m = answer(PVGPU_CTL_SESSION_OPEN, id, 0);
	ck_assert_uint_eq(m.session, session);
	ck_assert_uint_eq(m.u.opened.number, k->w->id);
	ck_assert_uint_eq(m.u.opened.arena_limit, 64 << 20);
	return k;
}

/* The worker's next question, answered. */
static void chunked(struct fake_worker *k, uint32_t kind, int error)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	ck_assert(fake_hear(k, kind, &m, &fds));
	ck_assert_uint_eq(fds, kind == PVGPU_SUP_CHUNK_ADD);
	fake_say(k, &(struct pvgpu_sup){
			    .kind = PVGPU_SUP_CHUNKED, .id = m.head.id, .a = (uint64_t)error});
}

static void added(struct fake_worker *k, uint32_t session, uint64_t address, uint64_t size)
{
	uint32_t id = ask_chunk(PVGPU_CTL_CHUNK_ADD, session, address, size);

	no_answer();
	chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
	answer(PVGPU_CTL_CHUNK_ADD, id, 0);
}

START_TEST(open_and_close)
{
	struct pvgpu_sup_assign m;
	struct fake_worker *k;
	unsigned int fds;
	uint32_t id;

	ask_open(SESSION);
	k = fake_serving(SESSION);
	ck_assert(fake_hear(k, PVGPU_SUP_ASSIGN, &m, &fds));
	ck_assert_uint_eq(fds, PVGPU_SUP_XEN_FDS);
	ck_assert_uint_eq(m.link, PVGPU_SUP_LINK_XEN);
	ck_assert_uint_eq(m.guest_pid, SESSION);
	ck_assert_uint_eq(m.port, 121);
	ck_assert_uint_eq(m.flags, PVGPU_SUP_NO_ZERO_COPY);
	ck_assert_uint_eq(m.cmd_size, PVGPU_RING_MIN);
	ck_assert_uint_eq(fake.map_count, FAKE_RING_PAGES);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	ck_assert_str_eq(strchr(k->w->sock, '.'), ".xen-7-0-9c1b7a52.5.sock");
	fake_seal(k);
	answer(PVGPU_CTL_SESSION_OPEN, fake.g.next_id, 0);
	ck_assert_uint_ge(fake.g.rung, 1);

	id = fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	fake_settle();
	ck_assert(fake_hear(k, PVGPU_SUP_CLOSE, &m, &fds));
	ck_assert_uint_eq(fds, 0);
	/* Answered when the worker is gone, not when it says so. */
	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_ENDED, .a = PVGPU_END_GUEST_GONE});
	no_answer();
	fake_die(k);
	fake_settle();
	answer(PVGPU_CTL_SESSION_CLOSE, id, 0);
	no_answer();
	ck_assert_uint_eq(fake.v->sessions, 0);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	ck_assert_uint_eq(fake.v->failed, 0);
	ck_assert_uint_ge(fake.changed, 2);
}
END_TEST

static void wrong_sizes(struct pvgpu_ctl_open *o)
{
	o->cmd_size = 5;
}
static void no_sizes(struct pvgpu_ctl_open *o)
{
	o->rep_size = 0;
}
static void no_directory(struct pvgpu_ctl_open *o)
{
	o->dir = 0;
}
static void bad_directory(struct pvgpu_ctl_open *o)
{
	o->dir = 0xffffffff;
}
static void hole(struct pvgpu_ctl_open *o)
{
	((struct pvgpu_dir_page *)fake.pages[DIR_REF])->ref[FAKE_RING_PAGES - 1] = 0;
}
static void short_chain(struct pvgpu_ctl_open *o)
{
	o->cmd_size = o->rep_size = PVGPU_RING_MAX;
	fake_directory(DIR_REF, RING_REF, PVGPU_DIR_REFS);
}
static void no_maps(struct pvgpu_ctl_open *o)
{
	fake.fail_map = ENOSPC;
}
static void no_channel(struct pvgpu_ctl_open *o)
{
	fake.fail_channel = EINVAL;
}
static void budget(struct pvgpu_ctl_open *o)
{
	fake.d.cfg.xen_max_grants = FAKE_RING_PAGES - 1;
}
static void draining(struct pvgpu_ctl_open *o)
{
	fake.v->drain = true;
}
static void full_vgpu(struct pvgpu_ctl_open *o)
{
	fake.v->cfg.max_sessions = 0;
}

static const struct {
	void (*how)(struct pvgpu_ctl_open *o);
	int error;
} bad_opens[] = {
	{wrong_sizes, EPROTO},   {no_sizes, EPROTO},   {no_directory, EPROTO},
	{bad_directory, EPROTO}, {hole, EPROTO},       {short_chain, EPROTO},
	{no_maps, ENOSPC},       {no_channel, EINVAL}, {budget, ENOMEM},
	{draining, ESHUTDOWN},   {full_vgpu, EUSERS},
};

START_TEST(refused_opens)
{
	struct pvgpu_ctl_open o = good_open();
	struct pvgpu_ctl_msg m;

	bad_opens[_i].how(&o);
	fake_request(PVGPU_CTL_SESSION_OPEN, SESSION, &o, sizeof(o));
	fake_settle();
	m = answer(PVGPU_CTL_SESSION_OPEN, fake.g.next_id, bad_opens[_i].error);
	ck_assert_int_ne(m.u.text[0], 0);
	ck_assert_uint_eq(fake.v->sessions, 0);
	ck_assert_uint_eq(fake.v->openings, 0);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	ck_assert_str_eq(fake.fatal, "");
}
END_TEST

/* A chain that leads back to itself gives as many references as were wanted, and ends. */
START_TEST(chain_that_is_a_ring)
{
	struct pvgpu_ctl_open o = good_open();
	uint32_t pages = (uint32_t)(pvgpu_ring_bytes(PVGPU_RING_MAX, PVGPU_RING_MAX) / 4096);

	o.cmd_size = o.rep_size = PVGPU_RING_MAX;
	fake_directory(DIR_REF, RING_REF, PVGPU_DIR_REFS);
	((struct pvgpu_dir_page *)fake.pages[DIR_REF])->next = DIR_REF;
	fake_request(PVGPU_CTL_SESSION_OPEN, SESSION, &o, sizeof(o));
	fake_settle();
	ck_assert_uint_eq(fake.map_count, pages);
	ck_assert_uint_eq(fake.copies, (pages + PVGPU_DIR_REFS - 1) / PVGPU_DIR_REFS);
}
END_TEST

START_TEST(open_again)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	id = ask_open(SESSION);
	answer(PVGPU_CTL_SESSION_OPEN, id, 0);
	ck_assert_uint_eq(fake.v->sessions, 1);
	/* Not while it opens, or closes. */
	ask_open(SESSION + 1);
	id = ask_open(SESSION + 1);
	answer(PVGPU_CTL_SESSION_OPEN, id, EBUSY);
	fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	id = ask_open(SESSION);
	answer(PVGPU_CTL_SESSION_OPEN, id, EBUSY);
	ck_assert_ptr_eq(fake_serving(SESSION), k);
}
END_TEST

/* Workers that die before they serve: three tries, each with grants mapped anew. */
START_TEST(workers_that_die_early)
{
	uint32_t id = ask_open(SESSION);

	for (unsigned int i = 1; i <= 3; i++) {
		ck_assert_uint_eq(fake.maps, i);
		ck_assert_uint_eq(fake.channels, i);
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
		no_answer();
		fake_die(fake_serving(SESSION));
		fake_settle();
	}
	answer(PVGPU_CTL_SESSION_OPEN, id, ENODEV);
	ck_assert_uint_eq(fake.maps, 3);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	opened(SESSION);
}
END_TEST

/* One that says why it cannot: no second try. */
START_TEST(worker_that_refuses)
{
	uint32_t id = ask_open(SESSION);
	struct fake_worker *k = fake_serving(SESSION);
	struct pvgpu_ctl_msg m;

	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_ENDED,
					.a = PVGPU_END_FAILED,
					.reason = "cannot map the ring"});
	no_answer();
	fake_die(k);
	fake_settle();
	m = answer(PVGPU_CTL_SESSION_OPEN, id, ENODEV);
	ck_assert_str_eq(m.u.text, "cannot map the ring");
	ck_assert_uint_eq(fake.maps, 1);
}
END_TEST

/* The guest closes what is not open yet: both are answered when nothing is mapped. */
START_TEST(close_while_opening)
{
	uint32_t open_id = ask_open(SESSION), id;

	id = fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	ev_run(fake.d.loop, EVRUN_NOWAIT);
	ck_assert(fake_serving(SESSION)->w->killed);
	no_answer();
	fake_settle();
	answer(PVGPU_CTL_SESSION_OPEN, open_id, ESHUTDOWN);
	answer(PVGPU_CTL_SESSION_CLOSE, id, 0);
	no_answer();
	ck_assert_uint_eq(fake.v->sessions, 0);
}
END_TEST

/* Nothing that it says puts off the time at which it is ended, once its guest has closed. */
START_TEST(worker_stays)
{
	struct fake_worker *k = opened(SESSION);

	fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	fake_settle();
	ck_assert(ev_is_active(&k->w->deadline));
	fake_seal(k);
	fake_settle();
	ck_assert(ev_is_active(&k->w->deadline));
}
END_TEST

START_TEST(worker_dies)
{
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_ctl_msg m;
	uint32_t id;

	added(k, SESSION, BASE, 8192);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 8192, 4096);
	ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 8192);
	fake_die(k);
	fake_settle();
	answer(PVGPU_CTL_CHUNK_ADD, id, EPIPE);
	answer(PVGPU_CTL_CHUNK_REMOVE, id + 1, 0);
	m = answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_uint_eq(m.session, SESSION);
	ck_assert_uint_eq(m.u.ended.reason, PVGPU_END_FAILED);
	ck_assert_str_eq(m.u.ended.text, "the worker died");
	no_answer();
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	/* What the guest asks of it afterwards. */
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 8192);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 8192);
	answer(PVGPU_CTL_CHUNK_ADD, id, ENOENT);
	id = fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	fake_settle();
	answer(PVGPU_CTL_SESSION_CLOSE, id, 0);
}
END_TEST

START_TEST(worker_ends)
{
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_ctl_msg m;

	fake_say(k, &(struct pvgpu_sup){
			    .kind = PVGPU_SUP_ENDED, .a = PVGPU_END_DRAINED, .reason = "drained"});
	no_answer();
	fake_die(k);
	fake_settle();
	m = answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_uint_eq(m.u.ended.reason, PVGPU_END_DRAINED);
	ck_assert_str_eq(m.u.ended.text, "drained");
}
END_TEST

START_TEST(chunks)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	added(k, SESSION, BASE, 3 * 4096);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 3);
	/* Again: without the worker. */
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 3 * 4096);
	answer(PVGPU_CTL_CHUNK_ADD, id, 0);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 4096, 4096);
	answer(PVGPU_CTL_CHUNK_ADD, id, EEXIST);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 4096);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, EINVAL);
	/* The worker does not want: it stays, or does not come. */
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, EBUSY);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, EBUSY);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 3);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 0x10000, 4096);
	chunked(k, PVGPU_SUP_CHUNK_ADD, ENOMEM);
	answer(PVGPU_CTL_CHUNK_ADD, id, ENOMEM);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 3);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	/* Not twice at once. */
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, EBUSY);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, id - 1, 0);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	ck_assert(!ev_is_active(&k->w->deadline));
}
END_TEST

static const struct {
	struct pvgpu_ctl_chunk m;
	uint32_t op;
	int error;
} bad_chunks[] = {
	{{.address = BASE, .size = 0, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = BASE, .size = 100, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = BASE + 1, .size = 4096, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = BASE, .size = PVGPU_CTL_CHUNK_MAX + 4096ull, .dir = DIR_REF},
	 PVGPU_CTL_CHUNK_ADD,
	 EPROTO},
	{{.address = BASE, .size = UINT64_MAX - 4095, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = UINT64_MAX - 4095, .size = 8192, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = BASE, .size = 4096, .dir = 0}, PVGPU_CTL_CHUNK_ADD, EPROTO},
	{{.address = BASE, .size = 4096, .dir = DIR_REF}, PVGPU_CTL_CHUNK_REMOVE, EPROTO},
	{{.address = BASE, .size = 65 << 20, .dir = DIR_REF}, PVGPU_CTL_CHUNK_ADD, ENOMEM},
};

START_TEST(refused_chunks)
{
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_sup_assign m;
	unsigned int fds;

	fake_directory(DIR_REF, RING_REF, 16);
	fake_request(bad_chunks[_i].op, SESSION, &bad_chunks[_i].m, sizeof(bad_chunks[_i].m));
	fake_settle();
	answer(bad_chunks[_i].op, fake.g.next_id, bad_chunks[_i].error);
	ck_assert(!fake_hear(k, PVGPU_SUP_CHUNK_ADD, &m, &fds));
	ck_assert(!fake_hear(k, PVGPU_SUP_CHUNK_REMOVE, &m, &fds));
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
}
END_TEST

/* A worker that speaks of chunks that nobody asked it about, or twice, is killed. */
START_TEST(lying_worker)
{
	struct fake_worker *k = opened(SESSION), *other = opened(SESSION + 1);

	if (_i)
		added(k, SESSION, BASE, 4096);
	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = (uint32_t)_i});
	ck_assert_ptr_null(fake_serving(SESSION));
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_ptr_eq(fake_serving(SESSION + 1), other);
}
END_TEST

START_TEST(unknown_requests)
{
	uint32_t id = fake_request(0x77, SESSION, NULL, 0);

	fake_settle();
	answer(0x77, id, ENOSYS);
	ck_assert_uint_eq(fake.v->quarantine.faults, 0);
	id = ask_open(0);
	answer(PVGPU_CTL_SESSION_OPEN, id, EPROTO);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	id = fake_request(PVGPU_CTL_SESSION_CLOSE, 99, NULL, 0);
	fake_settle();
	answer(PVGPU_CTL_SESSION_CLOSE, id, 0);
	ck_assert_str_eq(fake.fatal, "");
}
END_TEST

/* The guest does not take answers: nothing is lost, events neither, and requests wait. */
START_TEST(full_rings)
{
	struct fake_worker *k[2] = {opened(SESSION), opened(SESSION + 1)};
	struct pvgpu_ctl_msg m;
	uint32_t first = fake.g.next_id + 1;

	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		fake_request(0x77, SESSION, NULL, 0);
	fake_settle();
	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		fake_request(0x77, SESSION, NULL, 0);
	m = (struct pvgpu_ctl_msg){.op = 0x77, .id = 1};
	ck_assert_int_eq(fake_put(&m), -EAGAIN);
	fake_die(k[0]);
	fake_die(k[1]);
	fake_settle();
	ck_assert_int_eq(fake_put(&m), -EAGAIN);
	for (unsigned int i = 0; i < 2 * PVGPU_CTL_SLOTS; i++)
		answer(0x77, first + i, ENOSYS);
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	no_answer();
	ck_assert_int_eq(fake_put(&m), 0);
}
END_TEST

/* Sessions that ended unheard count, so that a guest cannot pile them up. */
START_TEST(unheard_ends)
{
	uint32_t id;

	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		fake_request(0x77, SESSION, NULL, 0);
	fake_settle();
	fake.v->cfg.max_sessions = 1;
	ask_open(SESSION);
	fake_seal(fake_serving(SESSION));
	fake_die(fake_serving(SESSION));
	fake_settle();
	id = ask_open(SESSION + 1);
	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		answer(0x77, i + 1, ENOSYS);
	answer(PVGPU_CTL_SESSION_OPEN, id - 1, 0);
	answer(PVGPU_CTL_SESSION_OPEN, id, EUSERS);
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_ptr_null(fake_serving(SESSION + 1));
}
END_TEST

START_TEST(impossible_indices)
{
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_ctl_queue *q = _i ? &fake.g.page->to_front : &fake.g.page->to_back;

	if (_i)
		q->cons.v = fake.g.page->to_front.prod.v - PVGPU_CTL_SLOTS - 1;
	else
		q->prod.v = fake.g.page->to_back.cons.v + PVGPU_CTL_SLOTS + 1;
	if (_i) /* It is looked at when there is something to say. */
		fake_die(k);
	fake_ring();
	fake_settle();
	ck_assert_str_ne(fake.fatal, "");
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	xenctl_disconnect(&fake.x, false);
	ck_assert(!fake.connected);
	if (!_i) {
		ck_assert_uint_eq(fake.idle, 0);
		fake_die(k);
	}
	fake_settle();
	ck_assert_uint_eq(fake.idle, 1);
}
END_TEST

static void broken_ring(void)
{
	fake.g.page->to_back.prod.v += PVGPU_CTL_SLOTS + 1;
	fake_ring();
	fake_settle();
	ck_assert_str_ne(fake.fatal, "");
	fake.fatal[0] = '\0';
	xenctl_disconnect(&fake.x, false);
	memset(fake.g.page, 0, sizeof(*fake.g.page));
	pvgpu_ctl_init_front(&fake.g.ctl, fake.g.page);
	ck_assert_int_eq(fake_connect(false), 0);
	fake_settle();
}

/* As many as the page holds, and all the same: one fault. */
static void bad_requests(void)
{
	uint32_t first = fake.g.next_id + 1;

	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		fake_request(PVGPU_CTL_SESSION_CLOSE, 0, NULL, 0);
	fake_settle();
	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		answer(PVGPU_CTL_SESSION_CLOSE, first + i, EPROTO);
}

static void (*const breaches[])(void) = {broken_ring, bad_requests};

/* What the guest's kernel breaks counts as what its sessions do. */
START_TEST(breaches_are_faults)
{
	struct pvgpu_ctl_msg m;
	uint32_t id;

	fake.d.cfg.quarantine_faults = 3;
	fake.d.cfg.quarantine_window_s = fake.d.cfg.quarantine_time_s = 600;
	for (unsigned int i = 1; i <= 3; i++) {
		ck_assert_uint_eq(faults_left_s(fake.v), 0);
		breaches[_i]();
		ck_assert_uint_eq(fake.v->quarantine.faults, i);
		fake_pass(2000);
	}
	ck_assert_uint_gt(faults_left_s(fake.v), 0);
	id = ask_open(SESSION);
	m = answer(PVGPU_CTL_SESSION_OPEN, id, EPERM);
	ck_assert_msg(!strncmp(m.u.text, "quarantined for", 15), "%.48s", m.u.text);
}
END_TEST

/* A guest that is refused for ever, as fast as it can. */
START_TEST(log_is_bounded)
{
	int file = memfd_create("log", MFD_CLOEXEC), was = dup(STDERR_FILENO);
	unsigned int lines = 0;
	char text[65536];
	ssize_t n;

	fake.v->drain = true;
	dup2(file, STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	for (unsigned int i = 0; i < 300; i++)
		answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION), ESHUTDOWN);
	for (unsigned int i = 0; i < 20; i++)
		bad_requests();
	log_set_level(LOG_LEVEL_ERROR);
	dup2(was, STDERR_FILENO);
	n = pread(file, text, sizeof(text), 0);
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	ck_assert_uint_ge(lines, 10);
	ck_assert_uint_le(lines, 60);
	close(file);
	close(was);
}
END_TEST

/* One turn does no more than the page holds, and ends at the first request that maps. */
START_TEST(turns_are_short)
{
	struct pvgpu_ctl_open o = good_open();

	for (unsigned int i = 0; i < 4; i++)
		fake_request(PVGPU_CTL_SESSION_OPEN, SESSION + i, &o, sizeof(o));
	for (unsigned int i = 1; i <= 4; i++) {
		unsigned int before = fake.copies;

		for (unsigned int n = 0; fake.copies == before && n < 100; n++)
			ev_run(fake.d.loop, EVRUN_NOWAIT);
		ck_assert_uint_eq(fake.copies, before + 1);
	}
}
END_TEST

START_TEST(disconnect)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id = ask_open(SESSION + 1);
	struct pvgpu_sup_assign m;
	unsigned int fds;

	xenctl_disconnect(&fake.x, _i);
	ck_assert_ptr_null(fake.x.ctl);
	ck_assert(!fake.connected);
	ck_assert_int_eq(k->w->killed, _i);
	ck_assert_int_eq(fake_hear(k, PVGPU_SUP_CLOSE, &m, &fds), !_i);
	ck_assert(fake_serving(SESSION + 1)->w->killed);
	ck_assert_uint_eq(fake.idle, 0);
	if (!_i) {
		/* One that answers what it was asked before is not to blame. */
		fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = 1});
		ck_assert(!k->w->killed);
		ck_assert_uint_eq(fake.idle, 0);
		fake_die(k);
	}
	fake_settle();
	ck_assert_uint_eq(fake.idle, 1);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	/* And again. */
	memset(fake.g.page, 0, sizeof(*fake.g.page));
	pvgpu_ctl_init_front(&fake.g.ctl, fake.g.page);
	ck_assert_int_eq(fake_connect(false), 0);
	opened(SESSION);
	ck_assert_uint_gt(id, 0);
}
END_TEST

START_TEST(disconnect_when_there_is_nothing)
{
	xenctl_disconnect(&fake.x, false);
	ck_assert_uint_eq(fake.idle, 1);
	xenctl_disconnect(&fake.x, true);
	ck_assert_uint_eq(fake.idle, 2);
}
END_TEST

START_TEST(connect_fails)
{
	char reason[CHECK_REASON];

	xenctl_disconnect(&fake.x, false);
	ck_assert_int_eq(xenctl_connect(&fake.x, 0, FAKE_PORT, false, reason), -EINVAL);
	ck_assert_ptr_nonnull(strstr(reason, "grant 0"));
	ck_assert_int_eq(xenctl_connect(&fake.x, FAKE_RING_REF, 3, false, reason), -EINVAL);
	ck_assert_ptr_nonnull(strstr(reason, "event channel 3"));
	ck_assert_ptr_null(fake.x.ctl);
}
END_TEST

static void say_state(uint32_t session, uint32_t chunk_pages)
{
	struct fake_worker *k = fake_serving(session);
	struct pvgpu_sup m = {
		.kind = PVGPU_SUP_STATE, .session = k->w->id, .b = session, .id = chunk_pages};

	strcpy(m.vgpu, fake.v->cfg.name);
	fake_say(k, &m);
}

/* pvgpud is killed with requests in flight: the next one executes them again. */
START_TEST(restart)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t ids[5];

	added(k, SESSION, BASE, 8192);
	opened(SESSION + 1);
	ids[0] = ask_open(SESSION + 2); /* given to a worker, which is not sealed */
	ids[1] = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 0x10000, 4096);
	fake_restart();
	ids[2] = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 8192);
	ids[3] = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE + 0x20000, 4096);
	ids[4] = ask_open(SESSION + 3);
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	ck_assert_ptr_nonnull(fake_serving(SESSION + 3));
	no_answer(); /* before the workers have said what they are */
	say_state(SESSION + 2, 0);
	answer(PVGPU_CTL_SESSION_OPEN, ids[0], 0);
	say_state(SESSION, 3);
	ck_assert_uint_ge(fake.d.xen_grants, 3 * FAKE_RING_PAGES + 3);
	k = fake_serving(SESSION);
	chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
	answer(PVGPU_CTL_CHUNK_ADD, ids[1], 0);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, ids[2], 0);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, ids[3], 0);
	fake_seal(fake_serving(SESSION + 3));
	answer(PVGPU_CTL_SESSION_OPEN, ids[4], 0);
	no_answer();
}
END_TEST

/* A spare that had not been told of the session died with pvgpud: it is started anew. */
START_TEST(restart_before_assignment)
{
	uint32_t id;

	fake.d.cfg.spares = 0;
	fake_die(&fake.workers[0]);
	fake_settle();
	id = ask_open(SESSION);
	fake_restart();
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	fake_seal(fake_serving(SESSION));
	answer(PVGPU_CTL_SESSION_OPEN, id, 0);
}
END_TEST

/* Workers that died while nobody looked: before, between and after. */
START_TEST(restart_lost)
{
	struct pvgpu_ctl_msg m;
	uint32_t id, seen = 0;

	for (uint32_t i = 0; i < 3; i++)
		opened(SESSION + i);
	fake_die(fake_serving(SESSION));
	fake_restart();
	/* As adopt.c does for a socket that nobody listens on. */
	xenctl_lost(fake.v, SESSION);
	fake_die(fake_serving(SESSION + 1));
	fake_settle();
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	/* While the third is asked what it is. */
	id = fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION + 2, NULL, 0);
	fake_die(fake_serving(SESSION + 2));
	fake_settle();
	while (fake_answer(&m)) {
		if (m.id) {
			ck_assert_uint_eq(m.id, id);
			ck_assert_int_eq(m.error, 0);
			m.session = SESSION + 2;
		}
		seen |= 1u << (m.session - SESSION);
	}
	ck_assert_uint_eq(seen, 7);
	ck_assert_uint_eq(fake.v->sessions, 0);
}
END_TEST

/* The guest is gone, or closing, when pvgpud comes back: adopted workers end all the same. */
START_TEST(restart_without_a_guest)
{
	opened(SESSION);
	fake_restart();
	xenctl_disconnect(&fake.x, _i);
	ck_assert(fake_serving(SESSION)->w->killed);
	ck_assert_uint_eq(fake.idle, 0);
	fake_settle();
	ck_assert_uint_eq(fake.idle, 1);
}
END_TEST

/* pvgpud leaves: workers are left alone, and it says nothing. */
START_TEST(leave)
{
	struct fake_worker *k = opened(SESSION);
	unsigned int rung = fake.g.rung;

	ask_open(SESSION + 1);
	xenctl_leave(&fake.x);
	fake_settle();
	ck_assert(!k->w->killed && !fake_serving(SESSION + 1)->w->killed);
	ck_assert(!fake.connected);
	ck_assert_uint_eq(fake.g.rung, rung);
	no_answer();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xenctl");
	TCase *t = tcase_create("xenctl");
	SRunner *r;
	int failed;

#define LOOP(test, table) tcase_add_loop_test(t, test, 0, (int)(sizeof(table) / sizeof((table)[0])))
	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, open_and_close);
	LOOP(refused_opens, bad_opens);
	tcase_add_test(t, chain_that_is_a_ring);
	tcase_add_test(t, open_again);
	tcase_add_test(t, workers_that_die_early);
	tcase_add_test(t, worker_that_refuses);
	tcase_add_test(t, close_while_opening);
	tcase_add_test(t, worker_stays);
	tcase_add_test(t, worker_dies);
	tcase_add_test(t, worker_ends);
	tcase_add_test(t, chunks);
	LOOP(refused_chunks, bad_chunks);
	tcase_add_loop_test(t, lying_worker, 0, 2);
	tcase_add_test(t, unknown_requests);
	tcase_add_test(t, full_rings);
	tcase_add_test(t, unheard_ends);
	tcase_add_loop_test(t, impossible_indices, 0, 2);
	tcase_add_loop_test(t, breaches_are_faults, 0, 2);
	tcase_add_test(t, log_is_bounded);
	tcase_add_test(t, turns_are_short);
	tcase_add_loop_test(t, disconnect, 0, 2);
	tcase_add_test(t, disconnect_when_there_is_nothing);
	tcase_add_test(t, connect_fails);
	tcase_add_test(t, restart);
	tcase_add_test(t, restart_before_assignment);
	tcase_add_test(t, restart_lost);
	tcase_add_loop_test(t, restart_without_a_guest, 0, 2);
	tcase_add_test(t, leave);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
