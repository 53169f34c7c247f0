/* SPDX-License-Identifier: MIT */
/* Leases of memory: what pvgpud hears of parked memory, and what its successor does. */
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/frame/frame.h"

#define MIB     (1ull << 20)
#define SESSION 5

static struct worker w;
static int pvgpud = -1;

void worker_log(struct worker *v, const char *fmt, ...)
{
}

void worker_kick(struct worker *v)
{
}

void share_tell(struct worker *v)
{
}

bool share_behind(const struct worker *v)
{
	return false;
}

void share_up(struct worker *v)
{
}

void share_down(struct worker *v)
{
}

static void connect_pvgpud(void)
{
	int pair[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(dup2(pair[0], PVGPU_SUP_CONTROL_FD), PVGPU_SUP_CONTROL_FD);
	if (pair[0] != PVGPU_SUP_CONTROL_FD)
		close(pair[0]);
	pvgpud = pair[1];
}

static bool hears(struct pvgpu_sup *m)
{
	struct msg_in in;

	return msg_recv(pvgpud, m, sizeof(*m), 0, &in) > 0;
}

/* All that it has to say, up to a message of this kind. */
static struct pvgpu_sup heard(uint32_t kind)
{
	struct pvgpu_sup m;

	do
		ck_assert_msg(hears(&m), "no message of kind %u", kind);
	while (m.kind != kind);
	return m;
}

static bool hears_of_parked(void)
{
	struct pvgpu_sup m;

	while (hears(&m))
		if (m.kind == PVGPU_SUP_PARKED)
			return true;
	return false;
}

static const struct link_ops local = {.serves = CHECK_LOCAL_SESSION};

/* A session with 8 MiB. */
static void setup(void)
{
	/* The number of the control socket is taken before another file has it. */
	while (dup(STDERR_FILENO) < PVGPU_SUP_CONTROL_FD)
		;
	memset(&w, 0, sizeof(w));
	w.link = &local;
	w.info.session = SESSION;
	connect_pvgpud();
	lease_init(&w, 64 * MIB);
	w.lease.leased = 8 * MIB;
}

/* pvgpud is gone, and another one adopts the session. */
static void restart(bool settled)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_MEMINFO,
				    .a = 64 * MIB,
				    .c = w.lease.leased + w.lease.parked,
				    .knows = PVGPU_SUP_KNOWS_ALL};

	close(pvgpud);
	lease_down(&w);
	connect_pvgpud();
	ck_assert_int_eq(lease_up(&w), 0);
	heard(PVGPU_SUP_STATE);
	if (settled)
		lease_heard(&w, &m);
}

START_TEST(a_question_is_answered)
{
	const uint32_t question = lease_park_asked(&w, 7);
	struct pvgpu_sup m;

	lease_parked(&w, question, 6 * MIB, 100, false, "");
	m = heard(PVGPU_SUP_PARKED);
	ck_assert_uint_eq(m.id, 7);
	ck_assert_uint_eq(m.a, 6 * MIB);
	ck_assert_uint_eq(w.lease.leased, 2 * MIB);
	/* Once. */
	lease_parked(&w, question, 0, 0, true, "why");
	ck_assert(!hears_of_parked());
}
END_TEST

/* A former pvgpud's question has the same number as its successor's: _i: memory was parked. */
START_TEST(a_former_question_is_not_answered)
{
	const uint32_t former = lease_park_asked(&w, 1);
	uint32_t question;
	struct pvgpu_sup m;

	restart(true);
	question = lease_park_asked(&w, 1);
	lease_parked(&w, question, 0, 0, true, "about to be parked");
	ck_assert_uint_eq(heard(PVGPU_SUP_PARKED).id, 1);
	lease_parked(&w, former, _i ? 6 * MIB : 0, 100, !_i, "");
	if (!_i) {
		ck_assert(!hears_of_parked());
		return;
	}
	m = heard(PVGPU_SUP_PARKED);
	ck_assert_uint_eq(m.id, 0);
	ck_assert_uint_eq(m.a, 6 * MIB);
}
END_TEST

/* ... also when the successor's waits for its answer. */
START_TEST(answers_come_in_any_order)
{
	const uint32_t former = lease_park_asked(&w, 1);
	uint32_t question;

	restart(true);
	question = lease_park_asked(&w, 1);
	lease_parked(&w, former, 4 * MIB, 100, false, "");
	ck_assert_uint_eq(heard(PVGPU_SUP_PARKED).id, 0);
	lease_parked(&w, question, 0, 0, true, "its memory is parked already");
	ck_assert_uint_eq(heard(PVGPU_SUP_PARKED).id, 1);
}
END_TEST

/* Before the successor's first word the session does not know what it understands. */
START_TEST(a_successor_hears_what_is_parked)
{
	const uint32_t former = lease_park_asked(&w, 1);
	const struct pvgpu_sup meminfo = {.kind = PVGPU_SUP_MEMINFO,
					  .a = 64 * MIB,
					  .c = 8 * MIB,
					  .knows = PVGPU_SUP_KNOWS_ALL};
	struct pvgpu_sup m;

	restart(false);
	lease_parked(&w, former, 6 * MIB, 100, false, "");
	ck_assert(!hears_of_parked());
	lease_heard(&w, &meminfo);
	m = heard(PVGPU_SUP_PARKED);
	ck_assert_uint_eq(m.id, 0);
	ck_assert_uint_eq(m.a, 6 * MIB);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_lease");
	TCase *t = tcase_create("lease");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_question_is_answered);
	tcase_add_loop_test(t, a_former_question_is_not_answered, 0, 2);
	tcase_add_test(t, answers_come_in_any_order);
	tcase_add_test(t, a_successor_hears_what_is_parked);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
