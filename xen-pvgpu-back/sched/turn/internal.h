/* SPDX-License-Identifier: MIT */
/* Shared by the files of sched/turn. v: a vGPU, s: one of its sessions, t: the turns of a GPU. */
#ifndef PVGPU_SCHED_TURN_INTERNAL_H
#define PVGPU_SCHED_TURN_INTERNAL_H

#include "xen-pvgpu-back/sched/turn/turn.h"

/* ---- state.c ---- */

static inline bool state_joint(const struct turn_vgpu *v)
{
	return v->state == TURN_MEMBER || v->state == TURN_HELD || v->state == TURN_HELD_DRAINS;
}

/* Its turn is over, and its work has not drained yet. */
static inline bool state_leaves(const struct turn_vgpu *v)
{
	return v->state == TURN_DRAINS || v->state == TURN_HELPED || v->state == TURN_HELD_DRAINS;
}

/* False: the state does not know the event. */
bool state_after(enum turn_state from, enum turn_event event, enum turn_state *to);
void state_event(struct turn_vgpu *v, enum turn_event event);
/* It leaves these turns. */
void state_gone(struct turn_vgpu *v);

/* ---- sessions.c: reports and gates ---- */

/* Asks for the reports of its sessions. */
void sessions_report(struct turn_vgpu *v, uint64_t now);
void session_set_open(struct turn_session *s, bool open, uint64_t now);
/* All of its gates but those that are kept closed. True: it has work in flight after closing. */
void sessions_set_open(struct turn_vgpu *v, bool open, uint64_t now);
/* Has it work that it could issue with the grant? */
bool session_wants(const struct turn_session *s);
/* The estimated time to drain of its work in flight. */
uint64_t sessions_drain_ns(const struct turn_vgpu *v);
/* The rest of that time by now; 0: no work is in flight. */
#define OVERDUE_NS 1u /* it should have ended */
uint64_t sessions_drains_in(const struct turn_vgpu *v, uint64_t now);

/* ---- window.c: bounds on work in flight ---- */

/* Tells the holder's sessions. */
void window_tell(struct turns *t, uint64_t now);
/* A session of one of several at once. */
void window_tell_joint(struct turn_session *s);
/* For a moment: what the session's own work in flight may wait for, and nothing else. */
void window_tell_help(struct turn_session *s);
/* Another vGPU's work comes to the GPU before this one's has ended. */
void window_learn_no_more(struct turn_vgpu *v);
/* Has a vGPU of a higher class a session? */
bool window_is_below(const struct turn_vgpu *v);
/* Have all of its class that have a session the same weight? */
bool window_alike(const struct turn_vgpu *v);
/* The next vGPU gets the grant so long before the work of the last one ends: a hand-over that is
 * seen to have taken handover_ns, and the next one's first command must be there by then. */
uint64_t window_early(uint64_t handover_ns);
/* Likewise where the holder's turn ends because it waits for its results, having taken turn_ns. */
uint64_t window_early_dry(uint64_t handover_ns, uint64_t turn_ns);
/* The most where one of a higher class has a session: that one waits for it each time it comes. */
uint64_t window_below(uint64_t handover_ns);
/* One that uses little at a time: its work in flight, estimated, stays below window_brief, or is a
 * single kernel below window_brief_kernel. alike: all of its class have the same weight. */
uint64_t window_brief(uint64_t handover_ns, bool alike);
uint64_t window_brief_kernel(uint64_t handover_ns, bool alike);
/* To be called before and after a change of its share or its number of sessions. */
void window_uncount(struct turn_vgpu *v);
void window_count(struct turn_vgpu *v);

/* ---- charge.c ---- */

/* Charges the time since the last charge. */
void charge_time(struct turns *t, uint64_t now);
/* Charges a vGPU's use as its sessions report it; passed: time that is not charged yet. */
void charge_alone(struct turn_vgpu *v, uint64_t passed, uint64_t now);
/* Drops use that is reported and not charged yet: wall time is charged for it instead. */
void charge_forget(struct turn_vgpu *v);
/* Likewise, all that have the GPU at once. Returns how many of them have work there. */
uint64_t charge_joint(struct turns *t, uint64_t passed, uint64_t now);
/* Likewise, what of the time that has passed since the last look is not charged, by what each has
 * issued. */
void charge_joint_rest(struct turns *t, uint64_t passed, uint64_t now);
/* The former holder has drained, or one of the two is gone: charges the time since the hand-over.
 */
void charge_settle(struct turns *t, uint64_t now);
/* To be called when the holder has got the grant. */
void charge_granted(struct turns *t, uint64_t now);
/* From now on the holder's flags are exact and wall time is charged. */
void charge_exactly(struct turns *t, uint64_t now);

/* ---- cost.c: what a hand-over costs ---- */

void cost_init(struct turns *t);
/* The GPU was idle so long at a hand-over. */
void cost_learn(struct turns *t, uint64_t ns);
/* The grant was given before the former holder had drained, which it has now. */
void cost_learn_overlap(struct turns *t, bool dry);
/* Tells the library when the cost has changed. */
void cost_tell(struct turns *t, uint64_t now);

/* ---- joint.c: several at once ---- */

/* Decides whether several have the GPU at once, and which of them; next: the library's choice.
 * False: they take turns. */
bool joint_decide(struct turns *t, struct turn_vgpu *next, uint64_t now);
/* A look at its sessions; full: one has had no room for more in flight since the last. */
void joint_seen(struct turn_vgpu *v, bool full);
/* Has it work in flight, by its sessions' last report? Not that which should have ended by now; 0:
 * that too. */
bool joint_busy(const struct turn_vgpu *v, uint64_t now);
/* May it have the GPU with others at once? */
bool joint_may(const struct turn_vgpu *v);
/* A session is new, or not kept closed any more. */
void joint_admit(struct turn_session *s, uint64_t now);
/* One that is ahead by more is held. At each look joint_ahead_look gives the lead from then on:
 * more if one is held though none has work on the GPU (idle), otherwise less, down to
 * joint_ahead_least. */
uint64_t joint_ahead_least(uint64_t slice_ns);
uint64_t joint_ahead_look(uint64_t ahead_ns, uint64_t slice_ns, bool idle);
/* The vGPU leaves. */
void joint_leave(struct turn_vgpu *v);

/* ---- dry.c: a turn that ends before its holder runs dry ---- */

/* Does its turn end before its last work, or has it? It does not count as one that wants the GPU
 * then. Of the holder t->dry_at says when to look again. */
bool dry_look(struct turn_vgpu *v, bool wants, uint64_t now);
/* Its turn is over. */
void dry_turn(struct turn_vgpu *v, bool ran_dry);
/* Has it run dry lately? Its sessions are to tell when they have issued all. */
bool dry_expected(const struct turn_vgpu *v);
/* Time until all known work of the holder has ended, as estimated; 0: not known. */
uint64_t dry_ends_in(const struct turn_vgpu *v, uint64_t now);

/* ---- pause.c: a holder that is expected back ---- */

/* Does a vGPU without work keep the grant, until t->pause_at? wants: it has work. */
bool pause_look(struct turn_vgpu *v, bool wants, uint64_t now);
/* Would the holder keep the grant if it ran dry? */
bool pause_may(const struct turn_vgpu *v);

/* ---- leavers.c: those that drain, overlap or hang after their turn ---- */

/* Its gates have just closed, or a session of it has work though they are. */
void leavers_begin(struct turn_vgpu *v, uint64_t now);
/* It has drained. */
void leavers_drained(struct turn_vgpu *v, uint64_t now);
/* When the next vGPU may have the grant that v has lost. */
uint64_t leavers_expect(struct turn_vgpu *v, uint64_t now);
/* Does a former holder's work run on beside the holder's? */
bool leavers_run_on(const struct turns *t, uint64_t now);
/* In an exclusive pool, when to look at a former holder that should have drained by then;
 * SCHED_NEVER: it should have. */
uint64_t leavers_late_at(const struct turns *t, uint64_t now);
/* May the next one have the grant? */
bool leavers_let_go(const struct turns *t, uint64_t now);

/* ---- help.c ---- */

/* Helps vGPUs that should have drained. *at: when to look again. */
void help_look(struct turns *t, uint64_t now, uint64_t *at);
/* Ends its moment, if it has one. */
void help_end(struct turn_vgpu *v, uint64_t now);

#endif
