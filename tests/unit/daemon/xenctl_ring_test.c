/* SPDX-License-Identifier: MIT */
/* The control rings' side of pvgpud: rings full and broken, guest and pvgpud gone and back. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

static void answers(uint32_t op, uint32_t first, unsigned int n, int error)
{
	for (unsigned int i = 0; i < n; i++)
		answer(op, first + i, error);
}

/* Fill the page with requests that pvgpud has not seen yet; returns the number of the first one. */
static uint32_t ask_full(uint32_t op, uint32_t session)
{
	const uint32_t first = fake.g.next_id + 1;

	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS; i++)
		fake_request(op, session, NULL, 0);
	return first;
}

/* The guest's next connection, with a page that is new. */
static void guest_anew(void)
{
	memset(fake.g.page, 0, sizeof(*fake.g.page));
	pvgpu_ctl_init_front(&fake.g.ctl, fake.g.page);
	ck_assert_int_eq(fake_connect(false), 0);
}

/* The guest does not take answers: no answer and no event is lost, and requests wait. */
START_TEST(full_rings)
{
	struct fake_worker *k[2] = {opened(SESSION), opened(SESSION + 1)};
	struct pvgpu_ctl_msg m;
	uint32_t first = ask_full(0x77, SESSION), n = PVGPU_CTL_SLOTS;

	fake_settle();
	m = (struct pvgpu_ctl_msg){.op = 0x77, .session = SESSION};
	for (int r = 0; !r; n += !r) {
		m.id = ++fake.g.next_id;
		r = fake_put(&m);
		if (r)
			break;
		fake_settle();
	}
	/* In the page, and as many as pvgpud keeps. */
	ck_assert_uint_eq(n, 2 * PVGPU_CTL_SLOTS + 16 + 2 * 8);
	fake_die(k[0]);
	fake_die(k[1]);
	fake_settle();
	ck_assert_int_eq(fake_put(&m), -EAGAIN);
	answers(0x77, first, n, ENOSYS);
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
	no_answer();
	ck_assert_int_eq(fake_put(&m), 0);
}
END_TEST

/* Sessions that ended unheard count, so that a guest cannot pile them up. */
START_TEST(unheard_ends)
{
	uint32_t first = ask_full(0x77, SESSION), id;

	ck_assert_uint_eq(first, 1);
	fake_settle();
	fake.v->cfg.policy.max_sessions = 1;
	ask_open(SESSION);
	fake_seal(fake_serving(SESSION));
	fake_die(fake_serving(SESSION));
	fake_settle();
	id = ask_open(SESSION + 1);
	answers(0x77, first, PVGPU_CTL_SLOTS, ENOSYS);
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
	if (_i) /* The ring is checked when there is an event to send. */
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
	guest_anew();
	fake_settle();
}

/* A page full of the same breach is one fault. */
static void bad_requests(void)
{
	uint32_t first = ask_full(PVGPU_CTL_SESSION_CLOSE, 0);

	fake_settle();
	answers(PVGPU_CTL_SESSION_CLOSE, first, PVGPU_CTL_SLOTS, EPROTO);
}

static void (*const breaches[])(void) = {broken_ring, bad_requests};

/* Breaches by the guest's kernel count as those of its sessions do. */
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

/* A guest that repeats a refused request as fast as it can. */
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
		/* A worker that answers an earlier question is no fault. */
		fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = 1});
		ck_assert(!k->w->killed);
		ck_assert_uint_eq(fake.idle, 0);
		fake_die(k);
	}
	fake_settle();
	ck_assert_uint_eq(fake.idle, 1);
	ck_assert_uint_eq(fake.d.xen_grants, 0);
	/* And again. */
	guest_anew();
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

/* The pvgpud that comes next finds the guest as it is. */
static void come_back(void)
{
	ck_assert_int_eq(fake_connect(true), 0);
	fake_settle();
	fake_again();
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
	come_back();
	ck_assert_ptr_nonnull(fake_serving(SESSION + 3));
	no_answer(); /* before the workers have reported their state */
	say_state(SESSION + 2, 0);
	answer(PVGPU_CTL_SESSION_OPEN, ids[0], 0);
	say_state(SESSION, 3);
	ck_assert_uint_ge(fake.d.xen_grants, 3 * FAKE_RING_PAGES + 3);
	/* There was no chunk: the worker need not be asked. */
	answer(PVGPU_CTL_CHUNK_REMOVE, ids[3], 0);
	k = fake_serving(SESSION);
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0); /* of ids[1]: is it there? */
	chunked(k, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, ids[2], 0);
	chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
	answer(PVGPU_CTL_CHUNK_ADD, ids[1], 0);
	ck_assert_uint_eq(k->w->grants, FAKE_RING_PAGES + 1);
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
	come_back();
	fake_seal(fake_serving(SESSION));
	answer(PVGPU_CTL_SESSION_OPEN, id, 0);
}
END_TEST

/* Workers that died while no pvgpud ran: before, between and after the adoption's steps. */
START_TEST(restart_lost)
{
	struct pvgpu_ctl_msg m;
	uint32_t id, seen = 0;

	for (uint32_t i = 0; i < 3; i++)
		opened(SESSION + i);
	fake_die(fake_serving(SESSION));
	fake_restart();
	/* As adopt.c does for a socket without a listener. */
	xenctl_lost(fake.v, SESSION);
	fake_die(fake_serving(SESSION + 1));
	fake_settle();
	come_back();
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

/* Workers that do not end hold up nobody else: more of them than the page has slots. */
START_TEST(closing_holds_up_nobody)
{
	const unsigned int n = PVGPU_CTL_SLOTS + 4;
	struct fake_worker *good;
	uint32_t id;

	fake.v->cfg.policy.max_sessions = n + 1;
	for (uint32_t i = 0; i <= n; i++)
		opened(SESSION + i);
	for (uint32_t i = 0; i < n; i++) {
		fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION + i, NULL, 0);
		fake_settle();
	}
	no_answer();
	good = fake_serving(SESSION + n);
	added(good, SESSION + n, BASE, 4096);
	id = ask_chunk(PVGPU_CTL_CHUNK_REMOVE, SESSION + n, BASE, 4096);
	chunked(good, PVGPU_SUP_CHUNK_REMOVE, 0);
	answer(PVGPU_CTL_CHUNK_REMOVE, id, 0);
	for (uint32_t i = 0; i < n; i++)
		fake_die(fake_serving(SESSION + i));
	fake_settle();
}
END_TEST

/* The answers of those that were asked about before are in any order, and none is lost. */
START_TEST(restart_with_all_closing)
{
	const unsigned int n = 8;
	struct pvgpu_ctl_msg m;
	unsigned int closed = 0;

	for (uint32_t i = 0; i < n; i++)
		opened(SESSION + i);
	for (uint32_t i = 0; i < n; i++) {
		fake_request(PVGPU_CTL_SESSION_CLOSE, SESSION + i, NULL, 0);
		fake_settle();
	}
	no_answer();
	fake_restart();
	come_back();
	for (uint32_t i = 0; i < n; i++)
		say_state(SESSION + i, 0);
	for (uint32_t i = 0; i < n; i++)
		fake_die(fake_serving(SESSION + i));
	fake_settle();
	while (fake_answer(&m)) {
		ck_assert_uint_eq(m.op, PVGPU_CTL_SESSION_CLOSE);
		ck_assert_int_eq(m.error, 0);
		closed++;
	}
	ck_assert_uint_eq(closed, n);
}
END_TEST

/* As fast as it can, what costs little: it waits, and is disconnected when it never stops. */
START_TEST(a_flood_of_requests)
{
	struct pvgpu_ctl_msg m = {.op = 0x77, .id = 1, .session = SESSION};
	uint64_t begin, most, heard = 0;

	fake.clock_stands = true;
	begin = now_ms();
	while (!fake.fatal[0]) {
		struct pvgpu_ctl_msg got;

		while (!fake_put(&m))
			;
		fake_pause();
		ev_run(fake.d.loop, EVRUN_NOWAIT);
		while (fake_answer(&got))
			heard++;
		most = PVGPU_CTL_BURST + (now_ms() - begin) * PVGPU_CTL_A_SECOND / 1000;
		ck_assert_uint_le(heard, most);
	}
	ck_assert_ptr_nonnull(strstr(fake.fatal, "more requests than"));
	ck_assert_uint_eq(fake.v->quarantine.faults, 1);
	ck_assert_uint_ge(heard, PVGPU_CTL_BURST);
	ck_assert_uint_ge(now_ms() - begin, 5000);
}
END_TEST

/* A guest that keeps to what ring/control.h says is never near. */
START_TEST(who_keeps_to_the_budget)
{
	struct pvgpu_ctl_msg m = {.op = 0x77, .id = 1, .session = SESSION}, got;

	fake.clock_stands = true;
	for (unsigned int i = 0; i < 1000; i++) {
		for (unsigned int n = 0; n < PVGPU_CTL_A_SECOND / 50; n++) {
			ck_assert_int_eq(fake_put(&m), 0);
			ev_run(fake.d.loop, EVRUN_NOWAIT);
			while (fake_answer(&got))
				;
		}
		ck_assert(!ev_is_active(&fake.x.ctl->pause));
		fake_pass(20);
	}
	ck_assert_str_eq(fake.fatal, "");
	ck_assert_uint_eq(fake.x.requests.over, 0);
}
END_TEST

/* Rings without a request are turns for nothing. */
START_TEST(a_flood_of_rings)
{
	unsigned int n = 0;

	fake.clock_stands = true;
	for (; !fake.masked && n < 100000; n++) {
		fake_ring();
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	}
	ck_assert_uint_ge(n, 10000);
	ck_assert_uint_lt(n, 100000);
	fake_pause();
	ev_run(fake.d.loop, EVRUN_NOWAIT);
	ck_assert(!fake.masked);
	ck_assert_str_eq(fake.fatal, "");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, closing_holds_up_nobody);
	tcase_add_test(t, restart_with_all_closing);
	tcase_add_test(t, a_flood_of_requests);
	tcase_add_test(t, who_keeps_to_the_budget);
	tcase_add_test(t, a_flood_of_rings);
	tcase_add_test(t, full_rings);
	tcase_add_test(t, unheard_ends);
	LOOP(impossible_indices, 2);
	LOOP(breaches_are_faults, 2);
	tcase_add_test(t, log_is_bounded);
	tcase_add_test(t, turns_are_short);
	LOOP(disconnect, 2);
	tcase_add_test(t, disconnect_when_there_is_nothing);
	tcase_add_test(t, connect_fails);
	tcase_add_test(t, restart);
	tcase_add_test(t, restart_before_assignment);
	tcase_add_test(t, restart_lost);
	LOOP(restart_without_a_guest, 2);
	tcase_add_test(t, leave);
}

int main(void)
{
	return run_xenctl_tests("xenctl_ring", add);
}
