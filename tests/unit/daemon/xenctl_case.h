/* SPDX-License-Identifier: MIT */
/* Requests of the guest with pvgpud's answers, and its workers' part in them. */
#ifndef PVGPU_TEST_XENCTL_CASE_H
#define PVGPU_TEST_XENCTL_CASE_H

#include <check.h>
#include <string.h>

#include "tests/unit/open_files.h"
#include "tests/unit/daemon/xenctl_fake.h"

#define DIR_REF       2u
#define RING_REF      100u
#define SESSION       5u
#define BASE          0x300000000000ull

#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, (int)(n))

static unsigned int files_before;

static void up(void)
{
	files_before = open_files();
	fake_up();
	fake_settle();
}

static void down(void)
{
	/* Nothing is to be done again and again. */
	fake_settle();
	ck_assert(!fake.x.ctl || !ev_is_active(&fake.x.ctl->again));
	fake_down();
	ck_assert_uint_eq(open_files(), files_before);
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

/* user: its uid and 1. */
static uint32_t ask_open_as(uint32_t session, uint32_t user)
{
	struct pvgpu_ctl_open o = good_open();
	uint32_t id;

	o.user = user;
	id = fake_request(PVGPU_CTL_SESSION_OPEN, session, &o, sizeof(o));
	fake_settle();
	return id;
}

static inline uint32_t ask_open(uint32_t session)
{
	return ask_open_as(session, 0);
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
static struct fake_worker *opened_as(uint32_t session, uint32_t user)
{
	uint32_t id = ask_open_as(session, user);
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

static inline struct fake_worker *opened(uint32_t session)
{
	return opened_as(session, 0);
}

/* The worker's next question, answered. */
static void chunked(struct fake_worker *k, uint32_t kind, int error)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	ck_assert(fake_hear(k, kind, &m, &fds));
	ck_assert_uint_eq(fds, kind == PVGPU_SUP_CHUNK_ADD);
	fake.drops = (kind == PVGPU_SUP_CHUNK_ADD) == (error != 0);
	fake_say(k, &(struct pvgpu_sup){
			    .kind = PVGPU_SUP_CHUNKED, .id = m.head.id, .a = (uint64_t)error});
	fake.drops = false;
}

static inline void added(struct fake_worker *k, uint32_t session, uint64_t address, uint64_t size)
{
	uint32_t id = ask_chunk(PVGPU_CTL_CHUNK_ADD, session, address, size);

	no_answer();
	chunked(k, PVGPU_SUP_CHUNK_ADD, 0);
	answer(PVGPU_CTL_CHUNK_ADD, id, 0);
}

static int run_xenctl_tests(const char *name, void (*add)(TCase *t))
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, up, down);
	tcase_set_timeout(t, 60);
	add(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}

#endif
