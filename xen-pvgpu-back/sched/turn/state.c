/* SPDX-License-Identifier: MIT */
/*
 * The state of a vGPU: whether it has a turn, whether its gates are open, and whether work of its
 * former turn is on the GPU. docs/scheduling-model.md has the table with guards and actions; a test
 * compares both and walks each row.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

static const struct row {
	enum turn_state from;
	enum turn_event event;
	enum turn_state to;
} rows[] = {
	{TURN_OUT, TURN_GRANT, TURN_ALONE},
	{TURN_DRAINS, TURN_GRANT, TURN_ALONE},
	{TURN_HELPED, TURN_GRANT, TURN_ALONE},
	{TURN_ALONE, TURN_CLOSE, TURN_OUT},
	{TURN_MEMBER, TURN_CLOSE, TURN_HELD},
	{TURN_OUT, TURN_BUSY, TURN_DRAINS},
	{TURN_HELD, TURN_BUSY, TURN_HELD_DRAINS},
	{TURN_DRAINS, TURN_DRAINED, TURN_OUT},
	{TURN_HELD_DRAINS, TURN_DRAINED, TURN_HELD},
	{TURN_ALONE, TURN_JOIN, TURN_MEMBER},
	{TURN_OUT, TURN_JOIN, TURN_HELD},
	{TURN_DRAINS, TURN_JOIN, TURN_HELD_DRAINS},
	{TURN_HELD, TURN_OPEN, TURN_MEMBER},
	{TURN_HELD_DRAINS, TURN_OPEN, TURN_MEMBER},
	{TURN_MEMBER, TURN_DROP, TURN_ALONE},
	{TURN_HELD, TURN_DROP, TURN_OUT},
	{TURN_HELD_DRAINS, TURN_DROP, TURN_DRAINS},
	{TURN_DRAINS, TURN_HELP, TURN_HELPED},
	{TURN_HELPED, TURN_HELP_OVER, TURN_DRAINS},
};

bool state_after(enum turn_state from, enum turn_event event, enum turn_state *to)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].from != from || rows[i].event != event)
			continue;
		*to = rows[i].to;
		return true;
	}
	return false;
}

/* Keeps the lists and counts that follow from the states. */
static void enter(struct turn_vgpu *v, enum turn_state to)
{
	const bool left = state_leaves(v), member = state_joint(v);
	struct turns *t = v->turns;

	v->state = to;
	if (state_leaves(v) && !left)
		TAILQ_INSERT_TAIL(&t->leavers, v, leaver_link);
	else if (!state_leaves(v) && left)
		TAILQ_REMOVE(&t->leavers, v, leaver_link);
	t->joint.n += state_joint(v);
	t->joint.n -= member;
	if (state_leaves(v))
		return;
	v->as_issued = false;
	v->help.at = 0;
}

/* An event that the state does not know changes nothing. */
void state_event(struct turn_vgpu *v, enum turn_event event)
{
	enum turn_state to;

	if (state_after(v->state, event, &to))
		enter(v, to);
}

void state_gone(struct turn_vgpu *v)
{
	enter(v, TURN_OUT);
}
