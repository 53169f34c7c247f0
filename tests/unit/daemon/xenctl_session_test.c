/* SPDX-License-Identifier: MIT */
/* The control rings' side of pvgpud: what a guest asks about sessions and their chunks. */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

static uint32_t ask_close(uint32_t session)
{
	uint32_t id = fake_request(PVGPU_CTL_SESSION_CLOSE, session, NULL, 0);

	fake_settle();
	return id;
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

	id = ask_close(SESSION);
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
static void twice(struct pvgpu_ctl_open *o)
{
	((struct pvgpu_dir_page *)fake.pages[DIR_REF])->ref[FAKE_RING_PAGES - 1] = RING_REF + 3;
}
static void short_chain(struct pvgpu_ctl_open *o)
{
	o->dir = 0;
}
static void long_ring(struct pvgpu_ctl_open *o)
{
	o->cmd_size = o->rep_size = PVGPU_RING_MAX;
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
	fake.v->cfg.policy.max_sessions = 0;
}

static const struct {
	void (*how)(struct pvgpu_ctl_open *o);
	int error;
} bad_opens[] = {
	{wrong_sizes, EPROTO},   {no_sizes, EPROTO},  {no_directory, EPROTO},
	{bad_directory, EPROTO}, {hole, EPROTO},      {short_chain, EPROTO},
	{twice, EPROTO},         {long_ring, EINVAL}, {no_maps, ENOSPC},
	{no_channel, EINVAL},    {budget, ENOMEM},    {draining, ESHUTDOWN},
	{full_vgpu, EUSERS},
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

START_TEST(open_again)
{
	struct fake_worker *k = opened(SESSION);

	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION), 0);
	ck_assert_uint_eq(fake.v->sessions, 1);
	/* Not while it opens, or closes. */
	ask_open(SESSION + 1);
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION + 1), EBUSY);
	fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION), EBUSY);
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

/* Once its guest has closed, no message of the worker puts off its end. */
START_TEST(worker_stays)
{
	struct fake_worker *k = opened(SESSION);

	ask_close(SESSION);
	ck_assert(ev_is_active(&k->w->deadline));
	fake_seal(k);
	fake_settle();
	ck_assert(ev_is_active(&k->w->deadline));
}
END_TEST

/* Answered without the worker. */
static void chunk_gives(uint32_t op, uint64_t address, uint64_t size, int error)
{
	answer(op, ask_chunk(op, SESSION, address, size), error);
}

/* A Xen guest cannot be watched by pidfd, so its worker must take its bell now and then. */
START_TEST(worker_is_deaf)
{
	struct fake_worker *k = opened(SESSION);
	unsigned int asked;

	pulse_start(k->w);
	for (unsigned int i = 0; i < 3; i++) {
		fake.unheard = !fake.unheard;
		for (asked = fake.asked; fake.asked < asked + 5;)
			ev_run(fake.d.loop, EVRUN_ONCE);
	}
	ck_assert(!k->w->killed);
	for (fake.unheard = true; !k->w->killed;)
		ev_run(fake.d.loop, EVRUN_ONCE);
	ck_assert_ptr_nonnull(strstr(k->w->reason, "did not take its bell"));
	asked = fake.asked;
	fake_settle();
	ck_assert_uint_eq(fake.asked, asked);
	ck_assert_uint_eq(fake.v->sessions, 0);
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
	/* Later requests of the guest for this session. */
	chunk_gives(PVGPU_CTL_CHUNK_REMOVE, BASE, 8192, 0);
	chunk_gives(PVGPU_CTL_CHUNK_ADD, BASE, 8192, ENOENT);
	answer(PVGPU_CTL_SESSION_CLOSE, ask_close(SESSION), 0);
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
	/* Again. */
	chunk_gives(PVGPU_CTL_CHUNK_ADD, BASE, 3 * 4096, 0);
	chunk_gives(PVGPU_CTL_CHUNK_ADD, BASE + 4096, 4096, EEXIST);
	chunk_gives(PVGPU_CTL_CHUNK_REMOVE, BASE, 4096, EINVAL);
	/* The worker refuses: the chunk stays, or is not added. */
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, EBUSY);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, EBUSY);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 3);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + 0x10000, 4096);
	chunked(k, PVGPU_SUP_CHUNK_ADD, ENOMEM);
	answer(PVGPU_CTL_CHUNK_ADD, id, ENOMEM);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 3);
	/* Not twice at once. */
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 3 * 4096);
	chunk_gives(PVGPU_CTL_CHUNK_REMOVE, BASE, 3 * 4096, EBUSY);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	chunk_gives(PVGPU_CTL_CHUNK_REMOVE, BASE, 3 * 4096, 0);
	ck_assert(!ev_is_active(&k->w->deadline));
}
END_TEST

enum { ADD = PVGPU_CTL_CHUNK_ADD, REMOVE = PVGPU_CTL_CHUNK_REMOVE };

static const struct {
	uint32_t op;
	uint64_t address, size;
	uint32_t dir;
	int error;
} bad_chunks[] = {
	{ADD, BASE, 0, DIR_REF, EPROTO},
	{ADD, BASE, 100, DIR_REF, EPROTO},
	{ADD, BASE + 1, 4096, DIR_REF, EPROTO},
	{ADD, BASE, PVGPU_CTL_CHUNK_MAX + 4096ull, DIR_REF, EPROTO},
	{ADD, BASE, UINT64_MAX - 4095, DIR_REF, EPROTO},
	{ADD, UINT64_MAX - 4095, 8192, DIR_REF, EPROTO},
	{ADD, BASE, 4096, 0, EPROTO},
	{REMOVE, BASE, 4096, DIR_REF, EPROTO},
	{ADD, BASE, 65 << 20, DIR_REF, ENOMEM},
};

START_TEST(refused_chunks)
{
	const struct pvgpu_ctl_chunk m = {.address = bad_chunks[_i].address,
					  .size = bad_chunks[_i].size,
					  .dir = bad_chunks[_i].dir};
	struct fake_worker *k = opened(SESSION);
	struct pvgpu_sup_assign heard;
	unsigned int fds;

	fake_directory(DIR_REF, RING_REF, 16);
	fake_request(bad_chunks[_i].op, SESSION, &m, sizeof(m));
	fake_settle();
	answer(bad_chunks[_i].op, fake.g.next_id, bad_chunks[_i].error);
	ck_assert(!fake_hear(k, PVGPU_SUP_CHUNK_ADD, &heard, &fds));
	ck_assert(!fake_hear(k, PVGPU_SUP_CHUNK_REMOVE, &heard, &fds));
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
}
END_TEST

/* A worker that answers for chunks it was not asked about, or twice, is killed. */
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
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(0), EPROTO);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	answer(PVGPU_CTL_SESSION_CLOSE, ask_close(99), 0);
	ck_assert_str_eq(fake.fatal, "");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, open_and_close);
	LOOP(refused_opens, COUNT(bad_opens));
	tcase_add_test(t, open_again);
	tcase_add_test(t, workers_that_die_early);
	tcase_add_test(t, worker_that_refuses);
	tcase_add_test(t, close_while_opening);
	tcase_add_test(t, worker_stays);
	tcase_add_test(t, worker_is_deaf);
	tcase_add_test(t, worker_dies);
	tcase_add_test(t, worker_ends);
	tcase_add_test(t, chunks);
	LOOP(refused_chunks, COUNT(bad_chunks));
	LOOP(lying_worker, 2);
	tcase_add_test(t, unknown_requests);
}

int main(void)
{
	return run_xenctl_tests("xenctl_session", add);
}
