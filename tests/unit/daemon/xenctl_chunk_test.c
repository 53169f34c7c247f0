/* SPDX-License-Identifier: MIT */
/* The control rings' side of pvgpud: large chunks, in slices, and chunks that fail. */
#include <errno.h>

#include "tests/unit/daemon/xenctl_case.h"

/* A chain that leads back to itself lists references twice, and ends there. */
START_TEST(chain_that_is_a_ring)
{
	const uint32_t pages = 5 * PVGPU_DIR_REFS + 7;
	struct pvgpu_ctl_chunk m = {.address = BASE, .size = pages * 4096ull, .dir = DIR_REF};
	unsigned int copies, maps;

	opened(SESSION);
	copies = fake.copies;
	maps = fake.maps;
	fake_directory(DIR_REF, RING_REF, PVGPU_DIR_REFS);
	((struct pvgpu_dir_page *)fake.pages[DIR_REF])->next = DIR_REF;
	fake_request(PVGPU_CTL_CHUNK_ADD, SESSION, &m, sizeof(m));
	fake_settle();
	ck_assert_uint_eq(fake.copies, copies + 2);
	ck_assert_uint_eq(fake.maps, maps + 1);
	answer(PVGPU_CTL_CHUNK_ADD, fake.g.next_id, EPROTO);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	ck_assert_uint_eq(fake.held, 0);
}
END_TEST

static void ask_large(uint32_t session, uint32_t pages)
{
	struct pvgpu_ctl_chunk m = {.address = BASE, .size = pages * 4096ull, .dir = DIR_REF};

	fake_directory(DIR_REF, RING_REF, pages);
	fake_request(PVGPU_CTL_CHUNK_ADD, session, &m, sizeof(m));
}

/* However large a chunk is, a turn of the loop maps one slice of it, and others go on meanwhile. */
START_TEST(large_chunks_in_slices)
{
	const uint32_t pages = 15 * PVGPU_DIR_REFS;
	struct fake_worker *k = opened(SESSION);
	unsigned int maps = fake.maps, turns = 0, id;

	opened(SESSION + 1);
	maps = fake.maps;
	ask_large(SESSION, pages);
	while (fake.maps < maps + 15) {
		const unsigned int before = fake.maps + fake.copies;

		ev_run(fake.d.loop, EVRUN_NOWAIT);
		ck_assert_uint_le(fake.maps + fake.copies, before + 2);
		if (++turns == 5) { /* answered at once, in the middle of it */
			id = fake_request(0x77, SESSION + 1, NULL, 0);
			ev_run(fake.d.loop, EVRUN_NOWAIT);
			ev_run(fake.d.loop, EVRUN_NOWAIT);
			answer(0x77, id, ENOSYS);
			break;
		}
	}
	ck_assert_uint_eq(turns, 5);
	fake_settle();
	ck_assert_uint_eq(fake.maps, maps + 15);
	chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
	answer(PVGPU_CTL_CHUNK_ADD, fake.g.next_id - 1, 0);
}
END_TEST

/* A mapping that is given up in the middle is taken back in slices, too: no file is closed with
 * many. */
START_TEST(given_up_in_the_middle)
{
	const uint32_t pages = 12 * PVGPU_DIR_REFS;
	unsigned int unmaps, files;
	struct pvgpu_ctl_msg m;

	opened(SESSION);
	files = open_files();
	ask_large(SESSION, pages);
	while (fake.held < 6 * PVGPU_DIR_REFS)
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	if (_i == 0) /* by its own end */
		((struct pvgpu_dir_page *)fake.pages[DIR_REF + 11])->ref[3] = 0;
	else if (_i == 1)
		fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION, NULL, 0);
	else
		fake_die(fake_serving(SESSION));
	while (fake.held) {
		unmaps = fake.unmaps;
		ev_run(fake.d.loop, EVRUN_NOWAIT);
		ck_assert_uint_le(fake.unmaps, unmaps + 1);
	}
	fake_settle();
	ck_assert(fake_answer(&m));
	ck_assert_uint_eq(m.op, PVGPU_CTL_CHUNK_ADD);
	ck_assert_int_eq(m.error, _i == 0 ? EPROTO : EPIPE);
	ck_assert_uint_eq(fake.v->quarantine.faults, _i == 0);
	if (_i != 2) {
		ck_assert_uint_eq(open_files(), files);
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	}
}
END_TEST

/* Large chunks without end: their sender waits for its budget, and nobody is to blame for one. */
START_TEST(large_chunks_cost)
{
	const uint32_t pages = 16384;
	struct fake_worker *k = opened(SESSION);
	unsigned int n = 0;
	uint64_t begin;

	fake.clock_stands = true;
	begin = now_ms();
	while (now_ms() - begin < 4000) {
		uint32_t id;

		ask_large(SESSION, pages);
		id = fake.g.next_id;
		for (struct pvgpu_ctl_msg m; !pvgpu_ctl_peek(&fake.g.ctl, 0, &m);) {
			struct pvgpu_sup_assign heard;
			unsigned int fds;

			fake_pause();
			ev_run(fake.d.loop, EVRUN_NOWAIT);
			if (fake_hear(k, PVGPU_SUP_CHUNK_ADD, &heard, &fds))
				msg_send(k->control,
					 &(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED,
							     .id = heard.head.id},
					 sizeof(struct pvgpu_sup), NULL, 0);
		}
		answer(PVGPU_CTL_CHUNK_ADD, id, 0);
		id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, pages * 4096ull);
		fake_pause();
		fake_settle();
		chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
		answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
		n++;
	}
	ck_assert_uint_ge(n, PVGPU_CTL_BURST / (pages / PVGPU_CTL_UNIT_PAGES + 2));
	ck_assert_uint_le(n,
			  (PVGPU_CTL_BURST + (now_ms() - begin + 1) * PVGPU_CTL_A_SECOND / 1000) /
				  (pages / PVGPU_CTL_UNIT_PAGES));
	ck_assert_str_eq(fake.fatal, "");
}
END_TEST

/* A worker says that it could not map, and has the file: they count while it lives. */
START_TEST(failed_chunks_count)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	fake.keeps = true;

	for (unsigned int i = 1; i <= 3; i++) {
		id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 5 * 4096);
		chunked(k, PVGPU_SUP_CHUNK_ADD, _i ? EINVAL : ENOMEM);
		answer(PVGPU_CTL_CHUNK_ADD, id, _i ? EINVAL : ENOMEM);
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + i * 5);
		fake_pass(2000);
		/* Grants that cannot be mapped are the guest's fault. */
		ck_assert_uint_eq(fake.v->quarantine.faults, _i ? i : 0);
	}
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.d.xen_grants, 0);
}
END_TEST

/* One that it could not map, and of which the file is gone, is gone. */
START_TEST(failed_chunks_that_are_gone)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	for (unsigned int i = 0; i < 3; i++) {
		id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 5 * 4096);
		chunked(k, PVGPU_SUP_CHUNK_ADD, EINVAL);
		answer(PVGPU_CTL_CHUNK_ADD, id, EINVAL);
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
		ck_assert_uint_eq(k->w->xs->arena, 0);
	}
	added(k, SESSION, BASE, 5 * 4096);
}
END_TEST

/* A worker says that it has removed chunks, and still has them: they count while it lives, and it
 * may not have many. */
START_TEST(removed_chunks_that_stay)
{
	const uint32_t pages = 8192;
	struct fake_worker *k = opened(SESSION);
	unsigned int n = 0;
	uint32_t id;

	fake.v->cfg.policy.arena_limit = 8ull << 30;
	while (!k->w->killed) {
		ask_large(SESSION, pages);
		fake_settle();
		chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
		answer(PVGPU_CTL_CHUNK_ADD, fake.g.next_id, 0);
		fake.keeps = true;
		id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, pages * 4096ull);
		chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
		answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
		fake.keeps = false;
		if (++n == 9)
			break;
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + n * pages);
		ck_assert_uint_eq(k->w->xs->chunk_n, 0);
		fake_pass(2000);
	}
	ck_assert_uint_eq(n, 9);
	fake_settle();
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
}
END_TEST

/* Nor does a restart of pvgpud help: it finds the mark. Without one, nothing can be seen to go. */
START_TEST(removed_chunks_that_stay_after_a_restart)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	added(k, SESSION, BASE, 5 * 4096);
	fake.drops = _i == 2; /* a former pvgpud knew no marks */
	fake_restart();
	k = fake_serving(SESSION);
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	fake.drops = false;
	fake_again();
	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_STATE,
					.session = k->w->id,
					.b = SESSION,
					.id = 5,
					.vgpu = "xen-7-0-9c1b7a52"});
	fake.keeps = _i == 1;
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 5 * 4096);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + (_i ? 5 : 0));
	ck_assert_uint_eq(k->w->xs->failed, _i == 1 ? 5 * 4096 : 0);
	ck_assert(!k->w->killed);
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.d.xen_grants, 0);
}
END_TEST

/* The next pvgpud comes, and finds a worker with this many pages. The guest does not repeat what it
 * has asked. */
static struct fake_worker *restarted(uint32_t pages)
{
	struct fake_worker *k;
	struct pvgpu_ctl_msg m;

	fake_restart();
	k = fake_serving(SESSION);
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	ck_assert(fake_answer(&m));
	ck_assert_uint_eq(m.op, PVGPU_CTL_AGAIN);
	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_STATE,
					.session = k->w->id,
					.b = SESSION,
					.id = pages,
					.vgpu = "xen-7-0-9c1b7a52"});
	return k;
}

static struct fake_worker *left_unanswered(struct fake_worker *k, uint32_t pages)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION, BASE, 5 * 4096);
	ck_assert(fake_hear(k, PVGPU_SUP_CHUNK_REMOVE, &m, &fds));
	return restarted(pages);
}

/* A worker leaves a removal unanswered, pvgpud is restarted, and the guest adds the chunk anew:
 * what the worker still has goes on counting, however often that is done. */
START_TEST(unsure_chunks_that_stay)
{
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	added(k, SESSION, BASE, 5 * 4096);
	for (uint32_t i = 1; i <= 3; i++) {
		k = left_unanswered(k, _i ? 5 * i : 5);
		id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 5 * 4096);
		fake.keeps = _i;
		chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
		fake_settle();
		fake.keeps = false;
		chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
		answer(PVGPU_CTL_CHUNK_ADD, id, 0);
		ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 5 + (_i ? 5 * i : 0));
		ck_assert_uint_eq(k->w->xs->arena, (5 + (_i ? 5 * i : 0)) * 4096);
		ck_assert_uint_eq(k->w->xs->chunk_n, 1);
	}
	/* It is in use: it stays, and is there. */
	k = left_unanswered(k, 5);
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, 5 * 4096);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, EBUSY);
	answer(PVGPU_CTL_CHUNK_ADD, id, 0);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 5 + (_i ? 5 * 3 : 0));
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.d.xen_grants, 0);
}
END_TEST

/* A chunk that was being mapped when pvgpud was killed: no worker has its file. */
START_TEST(chunks_that_no_worker_was_given)
{
	opened(SESSION);
	ask_large(SESSION, 12 * PVGPU_DIR_REFS);
	while (fake.held < 6 * PVGPU_DIR_REFS)
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES + 12 * PVGPU_DIR_REFS);
	restarted(0);
	ck_assert_uint_eq(fake.d.xen_grants, FAKE_RING_PAGES);
	ck_assert_uint_eq(fake_serving(SESSION)->w->xs->chunk_n, 0);
}
END_TEST

/* The part of another vGPU cannot be taken, and some of the surplus is left to rings. */
START_TEST(another_vgpus_part)
{
	struct xen_vgpu x = {.d = &fake.d};
	struct vgpu other = {.d = &fake.d, .xen = &x};
	struct vgpu *both[2] = {fake.v, &other};
	struct fake_worker *k = opened(SESSION);
	uint32_t id;

	fake.d.vgpus = both;
	fake.d.vgpu_n = 2;
	x.v = &other;
	fake.d.cfg.xen_max_grants = 1600;
	fake.d.cfg.xen_vgpu_grants = 500;
	/* 1,600 less 500 of the other one's, the ring and a sixteenth of all. */
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE, (1001 - FAKE_RING_PAGES) * 4096ull);
	answer(PVGPU_CTL_CHUNK_ADD, id, ENOMEM);
	added(k, SESSION, BASE, (1000 - FAKE_RING_PAGES) * 4096ull);
	opened(SESSION + 1);
	opened(SESSION + 2);
	opened(SESSION + 3);
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION + 4), ENOMEM);
	/* A maximum. */
	fake.d.cfg.xen_max_grants = 100000;
	fake.d.cfg.xen_vgpu_max_grants = fake.v->xen_grants + 10;
	id = ask_chunk(PVGPU_CTL_CHUNK_ADD, SESSION, BASE + (1ull << 30), 11 * 4096);
	answer(PVGPU_CTL_CHUNK_ADD, id, ENOMEM);
	added(k, SESSION, BASE + (1ull << 30), 10 * 4096);
	fake.d.vgpus = fake.vgpus;
	fake.d.vgpu_n = 1;
}
END_TEST

/* Not without end: its worker goes, and everything that it may have mapped. */
START_TEST(many_failed_chunks)
{
	struct fake_worker *k = opened(SESSION);
	unsigned int n = 0;

	fake.v->cfg.policy.arena_limit = 8ull << 30;
	fake.keeps = true;
	while (!k->w->killed) {
		ask_large(SESSION, 16384);
		fake_settle();
		chunked(k, PVGPU_SUP_CHUNK_ADD, ENOMEM);
		answer(PVGPU_CTL_CHUNK_ADD, fake.g.next_id, ENOMEM);
		fake_pass(2000);
		if (++n == 5)
			break;
	}
	ck_assert_uint_eq(n, 5);
	fake_settle();
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, chain_that_is_a_ring);
	tcase_add_test(t, large_chunks_in_slices);
	LOOP(given_up_in_the_middle, 3);
	tcase_add_test(t, large_chunks_cost);
	LOOP(failed_chunks_count, 2);
	tcase_add_test(t, failed_chunks_that_are_gone);
	tcase_add_test(t, removed_chunks_that_stay);
	LOOP(removed_chunks_that_stay_after_a_restart, 3);
	LOOP(unsure_chunks_that_stay, 2);
	tcase_add_test(t, chunks_that_no_worker_was_given);
	tcase_add_test(t, another_vgpus_part);
	tcase_add_test(t, many_failed_chunks);
}

int main(void)
{
	return run_xenctl_tests("xenctl_chunk", add);
}
