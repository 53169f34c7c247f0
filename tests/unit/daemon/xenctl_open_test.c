/* SPDX-License-Identifier: MIT */
/* The control rings' side of pvgpud: who gets a worker, how many are started, and who is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

static unsigned int starting(void)
{
	const struct worker *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, &fake.d.workers, link)
	n += w->state == CHECK_STARTING;
	return n;
}

/* Those that are starting fail, at most n of them. */
static void fail_starts(unsigned int n)
{
	for (unsigned int i = 0; i < fake.worker_n && n; i++) {
		struct worker *w = fake.workers[i].w;

		if (!w || w->state != CHECK_STARTING)
			continue;
		w->adopted = false;
		worker_kill(w, "did not become ready in time");
		n--;
	}
	fake_settle();
}

static void one_is_ready(void)
{
	for (unsigned int i = 0; i < fake.worker_n; i++) {
		struct fake_worker *k = &fake.workers[i];

		if (!k->w || k->w->state != CHECK_STARTING)
			continue;
		fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_READY, .b = 1 << 30});
		return;
	}
	ck_abort_msg("none starts");
}

static unsigned int before_other;

static int other_make(struct opening *o, struct pvgpu_sup_assign *m, int fds[MSG_FDS_MAX],
		      char reason[CHECK_REASON])
{
	before_other = fake.v->sessions;
	strcpy(reason, "seen");
	return -EIO;
}

static void other_refused(struct opening *o, int error, const char *reason)
{
	ck_assert_int_eq(error, EIO);
}

static void other_free(struct opening *o)
{
}

/* Many openings of one vGPU start one worker at a time, and another vGPU's is next after the first.
 */
START_TEST(openings_take_turns)
{
	static const struct opening_ops ops = {
		.make = other_make, .refused = other_refused, .free = other_free};
	const struct config_vgpu cfg = {.name = "other", .policy = {.max_sessions = 8}};
	struct vgpu *other = calloc(1, sizeof(*other));
	struct opening o = {0};
	char reason[CHECK_REASON];

	fake.slow = true;
	for (uint32_t i = 0; i < 7; i++)
		ask_open(SESSION + i);
	ck_assert_uint_eq(fake.v->sessions, 1); /* by the spare one */
	ck_assert_uint_le(starting(), 2);
	vgpu_init(other, &fake.d, &cfg, fake.d.pools[0]);
	open_init(&o, &ops, other);
	ck_assert_int_eq(open_ask(&o, reason), 0);
	ck_assert_uint_le(starting(), 3);
	while (fake.v->sessions < 7) {
		one_is_ready();
		ck_assert_uint_le(starting(), 3);
	}
	ck_assert_uint_eq(before_other, 1);
	ck_assert_uint_eq(starting(), 1);
	vgpu_close(other, false);
	free(other);
}
END_TEST

static unsigned int spares(void)
{
	const struct worker *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, &fake.d.workers, link)
	n += w->state == CHECK_STARTING || w->state == CHECK_SPARE;
	return n;
}

static void surplus_is_over(void)
{
	ev_timer *t = &fake.d.pools[0]->surplus;

	while (ev_is_active(t)) {
		ev_timer_stop(fake.d.loop, t);
		ev_feed_event(fake.d.loop, t, EV_TIMER);
		fake_settle();
	}
}

/* Openings that are taken back leave spare workers, which end; their number is as it was. */
START_TEST(spares_return_to_their_number)
{
	const unsigned int before = spares();
	struct config_vgpu cfg = {.policy = {.max_sessions = 8}};
	static const struct opening_ops ops = {
		.make = other_make, .refused = other_refused, .free = other_free};
	struct vgpu others[4] = {0};
	struct opening o[4] = {0};
	char reason[CHECK_REASON];

	fake.slow = true;
	ask_open(SESSION); /* takes the spare one */
	for (unsigned int i = 0; i < 4; i++) {
		snprintf(cfg.name, sizeof(cfg.name), "other%u", i);
		vgpu_init(&others[i], &fake.d, &cfg, fake.d.pools[0]);
		open_init(&o[i], &ops, &others[i]);
		ck_assert_int_eq(open_ask(&o[i], reason), 0);
	}
	fake_settle();
	ck_assert_uint_eq(starting(), before + 4);
	for (unsigned int i = 0; i < 4; i++) {
		open_drop(&o[i]);
		vgpu_close(&others[i], false);
	}
	while (starting())
		one_is_ready();
	ck_assert_uint_eq(spares(), before + 4);
	surplus_is_over();
	ck_assert_uint_eq(spares(), before);
	/* They were not missed. */
	ck_assert(!ev_is_active(&fake.d.pools[0]->retry));
	ck_assert_uint_eq(fake.v->sessions, 1);
}
END_TEST

/* A worker that starts then would hold up the end: nobody tells it to go. */
START_TEST(none_starts_while_it_stops)
{
	unsigned int before;

	ask_open(SESSION);
	before = spares();
	fake.d.cfg.spares++;
	spares_keep(&fake.d);
	ck_assert(ev_is_active(&fake.d.pools[0]->refill));
	fake.d.stopping = true;
	fake_settle();
	ck_assert_uint_eq(spares(), before);
}
END_TEST

/* One start that fails or takes too long refuses nobody else, nor do those that were under way
 * then; a second one in a row does. */
START_TEST(one_slow_start)
{
	uint32_t id[3];

	fake.slow = true;
	for (unsigned int i = 0; i < 3; i++)
		id[i] = ask_open(SESSION + i);
	fail_starts(1);
	ck_assert_uint_eq(fake.d.pools[0]->failures, 1);
	no_answer();
	if (_i) {
		one_is_ready();
		ck_assert_uint_eq(fake.d.pools[0]->failures, 0);
		ck_assert_uint_eq(fake.v->sessions, 2);
		no_answer();
		return;
	}
	fail_starts(8);
	ck_assert_uint_eq(fake.d.pools[0]->failures, 1);
	no_answer();
	ck_assert(ev_is_active(&fake.d.pools[0]->retry));
	ev_timer_stop(fake.d.loop, &fake.d.pools[0]->retry);
	ev_invoke(fake.d.loop, &fake.d.pools[0]->retry, EV_TIMER);
	fail_starts(8);
	ck_assert_uint_ge(fake.d.pools[0]->failures, 2);
	answer(PVGPU_CTL_SESSION_OPEN, id[1], ENODEV);
	answer(PVGPU_CTL_SESSION_OPEN, id[2], ENODEV);
	no_answer();
}
END_TEST

/* A ring whose grants are none: the session's worker says so before it has read a byte of the
 * guest's. */
START_TEST(bogus_rings_are_faults)
{
	for (uint32_t i = 1; i <= 3; i++) {
		uint32_t id = ask_open(SESSION);
		struct fake_worker *k = fake_serving(SESSION);

		fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_ENDED,
						.a = PVGPU_END_PROTOCOL,
						.reason = "cannot map the ring"});
		fake_die(k);
		fake_settle();
		answer(PVGPU_CTL_SESSION_OPEN, id, ENODEV);
		ck_assert_uint_eq(fake.v->quarantine.faults, i);
		fake_pass(2000);
	}
}
END_TEST

static void fault_of(uint32_t session)
{
	struct fake_worker *k = fake_serving(session);

	ck_assert_ptr_nonnull(k);
	faults_kill(k->w, FAULT_WATCHDOG, "had work that is too long");
	fake_die(k);
	fake_settle();
	answer(PVGPU_CTL_SESSION_ENDED, 0, 0);
}

/* One user's faults bring quarantine on this user, also those of sessions that a former pvgpud
 * opened. Those of two users bring it on all. */
START_TEST(one_user_is_not_all)
{
	const uint32_t user = QUARANTINE_USER(1000), other = QUARANTINE_USER(1001);
	struct pvgpu_ctl_msg m;

	for (uint32_t i = 0; i < 4; i++)
		opened_as(SESSION + i, user);
	opened_as(SESSION + 4, other);
	if (_i) {
		fake_restart();
		ck_assert_int_eq(fake_connect(true), 0);
		fake_settle();
		fake_again();
	}
	fake.d.cfg.quarantine_faults = 3;
	fake.d.cfg.quarantine_window_s = fake.d.cfg.quarantine_time_s = 600;
	fault_of(SESSION);
	if (!_i)
		opened_as(SESSION + 5, user);
	for (uint32_t i = 1; i < 4; i++)
		fault_of(SESSION + i);
	ck_assert_uint_eq(fake.v->quarantine.faults, 4);
	ck_assert_uint_eq(faults_left_s(fake.v), 0);
	m = answer(PVGPU_CTL_SESSION_OPEN, ask_open_as(SESSION + 6, user), EPERM);
	ck_assert_msg(!strncmp(m.u.text, "this user is quarantined", 24), "%.48s", m.u.text);
	opened_as(SESSION + 7, other);
	opened(SESSION + 8);
	fault_of(SESSION + 4);
	ck_assert_uint_gt(faults_left_s(fake.v), 0);
	m = answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION + 9), EPERM);
	ck_assert_msg(!strncmp(m.u.text, "quarantined for", 15), "%.48s", m.u.text);
	faults_pardon(fake.v, 1);
	opened_as(SESSION + 6, user);
}
END_TEST

/* Each vGPU is sure of one session, and of its event channels. */
START_TEST(another_vgpus_session)
{
	struct xen_vgpu x = {.d = &fake.d};
	struct vgpu other = {.d = &fake.d, .xen = &x};
	struct vgpu *both[2] = {fake.v, &other};

	fake.d.vgpus = both;
	fake.d.vgpu_n = 2;
	if (_i)
		fake.d.cfg.xen_max_channels = 5;
	else
		fake.d.cfg.max_sessions = 3;
	opened(SESSION);
	opened(SESSION + 1);
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION + 2), EUSERS);
	other.sessions = 1;
	fake.d.session_n++;
	answer(PVGPU_CTL_SESSION_OPEN, ask_open(SESSION + 2), EUSERS);
	fake.d.session_n--;
	fake.d.vgpus = fake.vgpus;
	fake.d.vgpu_n = 1;
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, openings_take_turns);
	tcase_add_test(t, spares_return_to_their_number);
	tcase_add_test(t, none_starts_while_it_stops);
	LOOP(one_slow_start, 2);
	tcase_add_test(t, bogus_rings_are_faults);
	LOOP(one_user_is_not_all, 2);
	LOOP(another_vgpus_session, 2);
}

int main(void)
{
	return run_xenctl_tests("xenctl_open", add);
}
