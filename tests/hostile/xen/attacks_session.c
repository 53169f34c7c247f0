/* SPDX-License-Identifier: MIT */
/* Sessions: opened and cancelled, opened beyond the limit, opened and closed twice, across
 * restarts of pvgpud, and a guest that is paused, saved or destroyed in the middle. */
#include "tests/hostile/xen/attack.h"

#include <errno.h>

#define CANCELLED 16
#define CHURN     12

static struct ask *send_open(struct seat *s)
{
	struct pvgpu_ctl_msg m = seat_open_msg(s);

	return front_send(s->f, &m);
}

static struct ask *send_close(struct seat *s)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE, .session = s->number};

	return front_send(s->f, &m);
}

/* Each is closed before it is open. */
static void cancelled(struct front *f)
{
	struct ask *open[CANCELLED], *close[CANCELLED];
	struct seat *s[CANCELLED];

	for (int i = 0; i < CANCELLED; i++) {
		s[i] = seat_make(f);
		open[i] = send_open(s[i]);
		close[i] = send_close(s[i]);
	}
	attack_scene("neighbour");
	for (int i = 0; i < CANCELLED; i++) {
		front_wait(f, open[i]);
		attack_said(f);
		WANT(front_wait(f, close[i]) == 0, "not closed: %s", f->said);
		seat_free(s[i]);
	}
}

/* One after the other, each used and closed. */
static void churn(struct front *f)
{
	for (int i = 0; i < CHURN; i++) {
		struct seat *s = seat_make(f);

		WANT(seat_open(s) == 0, "not opened: %s", f->said);
		if (i == CHURN / 2)
			attack_scene("neighbour");
		WANT(seat_close(s) == 0, "not closed: %s", f->said);
		seat_free(s);
	}
}

/* More than max-sessions at once: `arg` of them are served. */
static void beyond_limit(struct front *f)
{
	struct seat *s[CANCELLED];
	unsigned int served = 0;
	int r;

	for (int i = 0; i < CANCELLED; i++) {
		s[i] = seat_make(f);
		r = seat_open(s[i]);
		served += !r;
		WANT(!r || r == EUSERS, "error %d, %s", r, f->said);
		attack_said(f);
	}
	attack_scene("neighbour");
	WANT(served == (unsigned int)attack->arg, "%u sessions", served);
	for (int i = 0; i < CANCELLED; i++) {
		WANT(seat_close(s[i]) == 0, "not closed: %s", f->said);
		seat_free(s[i]);
	}
}

static void twice(struct front *f)
{
	struct seat *s = attack_seat;
	struct ask *a, *b;

	/* The number of a session that is open: the same answer, and no second session. */
	WANT(seat_open(s) == 0, "opened again: %s", f->said);
	WANT(seat_answers(s), "the session was ended");
	a = send_close(s);
	b = send_close(s);
	WANT(front_wait(f, a) == 0 && front_wait(f, b) == 0, "closed twice: %s", f->said);
	a = send_close(s);
	WANT(front_wait(f, a) == 0, "closed a third time: %s", f->said);
}

/* Open and closing at once, with the number used again at once. */
static void number_again(struct front *f)
{
	struct seat *s = attack_seat;
	struct ask *a = send_close(s), *b = send_open(s);

	WANT(front_wait(f, a) == 0, "not closed: %s", f->said);
	front_wait(f, b);
	attack_said(f);
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
}

static void never_open(struct front *f)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE};

	for (uint32_t n = 0x7ffffff0u; n < 0x7ffffff8u; n++) {
		m.session = n;
		WANT(front_call(f, &m) == 0, "session %u: %s", n, f->said);
	}
}

/* ---- pvgpud restarts ---- */

/* With requests that it had not answered. */
static void restarted(struct front *f)
{
	struct seat *s = seat_make(f);
	const unsigned int again = f->again;
	struct ask *a;
	int r;

	a = send_open(s);
	attack_scene(attack->text);
	r = front_wait(f, a);
	WANT(r == 0, "opening: error %d, %s", r, f->said);
	WANT(f->again > again, "the new pvgpud did not ask for requests again");
	WANT(seat_answers(attack_seat), "the session was ended");
	if (!r)
		WANT(seat_close(s) == 0, "not closed: %s", f->said);
	seat_free(s);
}

/* The indices lie while no pvgpud runs. */
static void lies_restarted(struct front *f)
{
	struct pvgpu_ctl_page *p = (void *)f->page.at;

	attack_scene("kill_only");
	pvgpu_store(&p->to_back.cons.v, 0x12345678u);
	pvgpu_store(&p->to_front.prod.v, 0x87654321u);
	guest_acts++;
	attack_scene("start");
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

/* ---- the guest itself ---- */

static void paused(struct front *f)
{
	struct seat *s = seat_make(f);
	struct ask *a = send_open(s);

	attack_scene("pause");
	WANT(front_wait(f, a) == 0, "opening: %s", f->said);
	WANT(seat_answers(attack_seat), "the session was ended");
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	seat_free(s);
}

static void destroyed(struct front *f)
{
	struct seat *s = seat_make(f);

	send_open(s);
	attack_scene("destroy");
}

/* In the domain that it is restored to it offers the page and the port of before, which are
 * nobody's there. */
static void saved(struct front *f)
{
	const struct pages page = f->page;
	const uint32_t port = f->port;
	struct seat *s = seat_make(f);

	send_open(s);
	/* Linux's device for event channels ends with a BUG when ports that were bound before the
	 * guest was saved are closed after it. */
	port_end(port);
	port_end(attack_seat->port);
	port_end(s->port);
	attack_scene("save");
	front_init(f, f->ids.id, f->other);
	f->page = page;
	f->port = port;
	front_begin(f);
	front_offer(f);
	front_wait_state(f, STATE_BIT(CLOSING) | STATE_BIT(CLOSED));
}

const struct attack attacks_session[] = {
	{"open_cancelled", CONNECTED, LIVES, cancelled, 0, NULL,
	 "answer (closed by the guest|the vGPU's max_sessions is reached)"},
	{"open_churn", CONNECTED, LIVES, churn, 0, NULL, "log ended: the guest closed the session"},
	{"open_beyond", CONNECTED, LIVES, beyond_limit, 8, NULL,
	 "answer the vGPU's max_sessions is reached"},
	{"open_twice", SETTLED, LIVES, twice, 0, NULL, "log ended: the guest closed the session"},
	{"open_number_again", SETTLED, LIVES, number_again, 0, NULL,
	 "log ended: the guest closed the session"},
	{"close_never_open", CONNECTED, LIVES, never_open, 0, NULL, NULL},
	{"restart_kill", SETTLED, LIVES, restarted, 0, "kill", "log taken over, [0-9]+ session"},
	{"restart_hand_over", SETTLED, LIVES, restarted, 0, "restart",
	 "log taken over, [0-9]+ session"},
	{"restart_lies", SETTLED, CLOSES, lies_restarted, 0, NULL,
	 "log Closing: control ring: invalid index"},
	{"guest_paused", SETTLED, LIVES, paused, 0, NULL, NULL},
	{"guest_destroyed", CHUNKED, LEAVES, destroyed, 0, NULL,
	 "log ended: |domain [0-9]+ has ended"},
	{"guest_saved", CHUNKED, LEAVES, saved, 0, NULL,
	 "log Closing: cannot (map the control ring, grant|bind event channel) [0-9]+: "},
	{0}};
