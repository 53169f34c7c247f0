/* SPDX-License-Identifier: MIT */
/* The sessions of a vGPU: their reports and gates. */
#include "xen-pvgpu-back/sched/turn/internal.h"

/* More than any kernel limit; sums over sessions and products with a ratio do not overflow. */
#define DRAIN_MOST_NS (1ull << 42)

uint64_t turn_issued_ns(const struct turn_report *r)
{
	return (r->busy_ns < TURN_NEVER_NS ? r->busy_ns : TURN_NEVER_NS) +
	       (r->inflight_ns < TURN_NEVER_NS ? r->inflight_ns : TURN_NEVER_NS);
}

/* The growth of a counter. */
static uint64_t grown(uint64_t then, uint64_t now)
{
	const uint64_t n = now > then ? now - then : 0;

	return n < TURN_NEVER_NS ? n : TURN_NEVER_NS;
}

static void count(struct turn_session *s, const struct turn_report *r)
{
	const uint64_t issued = grown(turn_issued_ns(&s->last), turn_issued_ns(r));
	struct turn_vgpu *v = s->vgpu;
	uint64_t *reported = &v->account.reported_ns;

	s->full |= r->full != s->last.full;
	v->issued += issued;
	*reported += state_joint(v) || v->as_issued ? issued / 256 * v->rate.q8
						    : grown(s->last.busy_ns, r->busy_ns);
	*reported = *reported < TURN_NEVER_NS ? *reported : TURN_NEVER_NS;
}

void turns_report(struct turn_session *s, const struct turn_report *r)
{
	if (!s->adopted)
		count(s, r);
	else if (r->commands || r->drained || r->wants)
		s->adopted = false; /* a former driver has counted this one */
	s->last = *r;
	s->closing &= !r->drained;
}

void sessions_report(struct turn_vgpu *v, uint64_t now)
{
	const uint64_t issued = v->issued;

	v->turns->act->report(v, now);
	if (v->issued != issued)
		v->issued_at = now;
}

bool session_wants(const struct turn_session *s)
{
	return !s->kept && s->last.wants && (!s->limited || !s->last.drained);
}

uint64_t sessions_drain_ns(const struct turn_vgpu *v)
{
	const struct turn_session *s;
	uint64_t ns = 0, own;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		/* An older worker adds up. */
		own = s->last.drain_ns ? s->last.drain_ns : s->last.inflight_ns;
		ns += own < DRAIN_MOST_NS ? own : DRAIN_MOST_NS;
	}
	return ns;
}

uint64_t sessions_drains_in(const struct turn_vgpu *v, uint64_t now)
{
	uint64_t ns = sessions_drain_ns(v), since = now, done;
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.oldest_ns && s->last.oldest_ns < since)
			since = s->last.oldest_ns;
	}
	done = now - since;
	if (!ns)
		return 0;
	return ns > done + OVERDUE_NS ? ns - done : OVERDUE_NS;
}

void session_set_open(struct turn_session *s, bool open, uint64_t now)
{
	const struct turn_actions *act = s->vgpu->turns->act;

	if (open == s->open || (open && s->kept))
		return;
	if (open)
		act->open(s, now);
	s->closing = !open && act->close(s, now);
	s->open = open;
}

void sessions_set_open(struct turn_vgpu *v, bool open, uint64_t now)
{
	struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	session_set_open(s, open, now);
}

void turns_join(struct turn_vgpu *v, struct turn_session *s, bool adopted)
{
	/* While no driver ran its gate counted as open. */
	*s = (struct turn_session){.vgpu = v,
				   .window.inflight_ns = TURN_ALONE_NS,
				   .adopted = adopted,
				   .closing = adopted};
	if (!v->session_n) {
		/* Another program's kernels. */
		v->rate.q8 = 256;
		v->rate.known = RATE_NONE;
		v->rate.used = 0;
	}
	window_uncount(v);
	TAILQ_INSERT_TAIL(&v->sessions, s, link);
	v->session_n++;
	window_count(v);
}

void turns_admit(struct turn_session *s, uint64_t now)
{
	if (state_joint(s->vgpu))
		joint_admit(s, now);
	else if (s->vgpu == s->vgpu->turns->holder)
		session_set_open(s, true, now);
}

void turns_keep_closed(struct turn_session *s, bool on, uint64_t now)
{
	s->kept = on;
	if (on)
		session_set_open(s, false, now);
	else
		turns_admit(s, now);
}

void turns_leave(struct turn_session *s)
{
	struct turn_vgpu *v = s->vgpu;

	window_uncount(v);
	TAILQ_REMOVE(&v->sessions, s, link);
	v->session_n--;
	window_count(v);
}
