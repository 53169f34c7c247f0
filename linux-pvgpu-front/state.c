// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The state machine of docs/xenstore.md. The state work reads both ends' states, makes the next
 * move, and reads them again. Events only queue the work, so none is lost and none accumulates. The
 * queue is frozen while the guest is suspended.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_trace.h"

#define LIMBO_MAX   (10 * HZ) /* how long a closing backend may take to unmap quietly */
#define RETRY_STEPS 6
#define STABLE      (10 * HZ) /* a connection that lasts longer resets the count of failures */

/* ---- moves ---- */

static enum pvgpu_state pvgpu_state_mine(const struct pvgpu_vgpu *v)
{
	return (enum pvgpu_state)v->xdev->state;
}

/* False: the schema does not allow this move. */
static bool pvgpu_state_move(struct pvgpu_vgpu *v, enum pvgpu_state to, enum pvgpu_state other,
			     bool resuming)
{
	if (pvgpu_state_mine(v) == to)
		return true;
	if (!pvgpu_frontend_may_move(pvgpu_state_mine(v), to, other, resuming)) {
		dev_warn(&v->xdev->dev, "state %s cannot become %s while the backend is %s\n",
			 xenbus_strstate(v->xdev->state), xenbus_strstate((enum xenbus_state)to),
			 xenbus_strstate((enum xenbus_state)other));
		return false;
	}
	trace_pvgpu_state(v->index, v->xdev->state, to, other);
	if (to == PVGPU_STATE_CLOSED)
		xenbus_frontend_closed(v->xdev); /* wakes a shutdown that waits for it */
	else
		xenbus_switch_state(v->xdev, (enum xenbus_state)to);
	return pvgpu_state_mine(v) == to;
}

static int pvgpu_state_publish(struct pvgpu_vgpu *v)
{
	int ret;

	if (v->published)
		return 0;
	v->misc = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = v->name,
		.fops = &pvgpu_fops,
		.parent = &v->xdev->dev,
		.mode = pvgpu_mode & 0666,
	};
	ret = misc_register(&v->misc);
	if (ret)
		xenbus_dev_error(v->xdev, ret, "cannot make /dev/%s", v->name);
	v->published = !ret;
	return ret;
}

void pvgpu_unpublish(struct pvgpu_vgpu *v)
{
	if (v->published)
		misc_deregister(&v->misc);
	v->published = false;
}

/* ---- connection ---- */

void pvgpu_flush_limbo(struct pvgpu_vgpu *v)
{
	LIST_HEAD(list);

	list_splice_init(&v->limbo, &list);
	pvgpu_mem_end_list(&list);
}

/* Sessions are lost; their memory waits in limbo. */
void pvgpu_disconnect(struct pvgpu_vgpu *v, const char *why)
{
	LIST_HEAD(reqs);

	if (v->ready && time_after(jiffies, v->connected_at + STABLE))
		v->failures = 0;
	pvgpu_ctl_disconnect(v, &reqs);
	pvgpu_sessions_end(v, why, &v->limbo);
	pvgpu_ctl_fail(&reqs);
	v->limbo_until = jiffies + LIMBO_MAX;
}

/* Close the vGPU. Tried again when the backend's state changes, and with `again` also later. */
static void pvgpu_state_refuse(struct pvgpu_vgpu *v, enum pvgpu_state other, int err, bool again,
			       const char *text)
{
	xenbus_dev_error(v->xdev, err, "%s", text);
	v->refused = true;
	v->refused_in = other;
	v->retry = again;
	v->retry_at = jiffies + (PVGPU_RETRY_MIN << min(v->failures, (unsigned int)RETRY_STEPS));
	v->failures++;
}

/* The backend is in InitWait. False: no move now. */
static bool pvgpu_state_connect(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	struct pvgpu_identity id;
	char err[PVGPU_KEY_ERROR] = "";
	struct pvgpu_why why = {""};
	int ret;

	ret = pvgpu_read_backend(v, &id, err);
	if (ret == -EAGAIN) {
		pvgpu_kick_in(v, PVGPU_RETRY_MIN);
		return false;
	}
	if (ret) {
		pvgpu_state_refuse(v, other, ret, false, err);
		return pvgpu_state_move(v, PVGPU_STATE_CLOSED, other, false);
	}
	spin_lock(&v->lock);
	v->id = id;
	spin_unlock(&v->lock);
	ret = pvgpu_ctl_connect(v, id.features, &why);
	if (ret) {
		pvgpu_state_refuse(v, other, ret, true, why.text);
		return pvgpu_state_move(v, PVGPU_STATE_CLOSED, other, false);
	}
	ret = pvgpu_write_frontend(v, v->ctl_mem->ref[0], v->channel.port, &id);
	if (ret) {
		pvgpu_disconnect(v, "");
		pvgpu_flush_limbo(v);
		pvgpu_state_refuse(v, other, ret, true, "cannot write the frontend's keys");
		return pvgpu_state_move(v, PVGPU_STATE_CLOSED, other, false);
	}
	trace_pvgpu_state(v->index, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITIALISED, other);
	return true;
}

static bool pvgpu_state_accept(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	if (!pvgpu_state_move(v, PVGPU_STATE_CONNECTED, other, false))
		return false;
	v->connected_at = jiffies;
	v->refused = v->retry = false;
	if (pvgpu_state_publish(v)) {
		/* Without its device it would be of no use, and look as if it were. */
		pvgpu_disconnect(v, "");
		v->failures++;
		v->retry = true;
		return pvgpu_state_move(v, PVGPU_STATE_CLOSING, other, false);
	}
	spin_lock(&v->ctl_lock);
	v->ready = v->live;
	spin_unlock(&v->ctl_lock);
	dev_info(&v->xdev->dev, "/dev/%s: vGPU %s, served by domain %u\n", v->name, v->id.uuid,
		 v->backend);
	return true;
}

/* ---- the next move in each state; true: read the states again ---- */

static bool pvgpu_when_initialising(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	if (READ_ONCE(pvgpu_going_down))
		return pvgpu_state_move(v, PVGPU_STATE_CLOSED, other, false);
	return other == PVGPU_STATE_INITWAIT && pvgpu_state_connect(v, other);
}

static bool pvgpu_when_initialised(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	const bool down = READ_ONCE(pvgpu_going_down);

	if (other == PVGPU_STATE_CONNECTED)
		return pvgpu_state_accept(v, other);
	if (!down && other != PVGPU_STATE_CLOSING && other != PVGPU_STATE_CLOSED &&
	    other != PVGPU_STATE_UNKNOWN)
		return false;
	pvgpu_disconnect(v, "");
	if (!down)
		pvgpu_state_refuse(v, other, -ECONNREFUSED, true,
				   "the backend refused the vGPU: its last-reason in xenstore says "
				   "why");
	return pvgpu_state_move(v, PVGPU_STATE_CLOSING, other, false);
}

static bool pvgpu_when_connected(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	const bool broken = test_bit(PVGPU_BROKEN, &v->flags);
	const char *why = "the backend has gone";
	const bool down = READ_ONCE(pvgpu_going_down);
	enum pvgpu_state to;

	if (other == PVGPU_STATE_CONNECTED && !broken && !down)
		return false;
	if (other == PVGPU_STATE_CONNECTED) {
		why = broken ? "the backend broke the control ring" : "the guest shuts down";
		to = PVGPU_STATE_CLOSING;
	} else if (other == PVGPU_STATE_CLOSING ||
		   (other == PVGPU_STATE_CLOSED && !pvgpu_read_online(v))) {
		why = "the vGPU is being detached";
		to = PVGPU_STATE_CLOSING;
	} else if (pvgpu_frontend_may_move(PVGPU_STATE_CONNECTED, PVGPU_STATE_INITIALISING, other,
					   false)) {
		/* Processes that hold the device have lost their sessions. They do not hold up
		 * those that open it anew. */
		to = PVGPU_STATE_INITIALISING;
	} else {
		return false;
	}
	dev_info(&v->xdev->dev, "/dev/%s: %s\n", v->name, why);
	pvgpu_disconnect(v, why);
	if (broken)
		v->failures++;
	v->retry = broken;
	return pvgpu_state_move(v, to, other, false);
}

static bool pvgpu_when_closing(struct pvgpu_vgpu *v, enum pvgpu_state other)
{
	if (v->ctl_mem) /* closed by xenbus: the guest shuts down */
		pvgpu_disconnect(v, "the vGPU is being closed");
	pvgpu_unpublish(v);
	v->retry_at = jiffies + (PVGPU_RETRY_MIN << min(v->failures, (unsigned int)RETRY_STEPS));
	return pvgpu_state_move(v, PVGPU_STATE_CLOSED, other, false);
}

static bool pvgpu_when_closed(struct pvgpu_vgpu *v, enum pvgpu_state other, bool fresh)
{
	const bool offered = other == PVGPU_STATE_INITIALISING || other == PVGPU_STATE_INITWAIT;
	const bool due = time_after_eq(jiffies, v->retry_at);

	pvgpu_unpublish(v);
	if (READ_ONCE(pvgpu_going_down))
		return false;
	if (fresh)
		set_bit(PVGPU_FRESH, &v->flags); /* kept until the vGPU leaves this state */
	if (v->refused && other != v->refused_in)
		v->refused = false;
	if (!offered && other != PVGPU_STATE_CLOSED)
		return false;
	if (!fresh) {
		/* A backend that has closed an online vGPU accepts it again later. */
		if (v->refused && !v->retry)
			return false;
		if (!offered && !pvgpu_read_online(v))
			return false;
		if ((v->refused || !offered) && !due)
			return false;
	}
	clear_bit(PVGPU_FRESH, &v->flags);
	v->refused = false;
	return pvgpu_state_move(v, PVGPU_STATE_INITIALISING, other, false);
}

static bool pvgpu_state_step(struct pvgpu_vgpu *v, enum pvgpu_state other, bool fresh)
{
	switch (pvgpu_state_mine(v)) {
	case PVGPU_STATE_INITIALISING:
		return pvgpu_when_initialising(v, other);
	case PVGPU_STATE_INITIALISED:
		return pvgpu_when_initialised(v, other);
	case PVGPU_STATE_CONNECTED:
		return pvgpu_when_connected(v, other);
	case PVGPU_STATE_CLOSING:
		return pvgpu_when_closing(v, other);
	case PVGPU_STATE_CLOSED:
		return pvgpu_when_closed(v, other, fresh);
	default:
		return false;
	}
}

/* Is the directory in xenstore the one that this vGPU has? False: no move is possible. */
static bool pvgpu_state_same_directory(struct pvgpu_vgpu *v, bool fresh)
{
	enum pvgpu_state own;

	if (pvgpu_read_state(v, true, &own)) {
		pvgpu_kick_in(v, PVGPU_RETRY_MIN);
		return false;
	}
	if (!v->xdev->otherend || own == PVGPU_STATE_UNKNOWN) {
		/* The guest was restored without the vGPU, or the vGPU is being removed. */
		pvgpu_disconnect(v, "the vGPU is gone");
		pvgpu_unpublish(v);
		pvgpu_flush_limbo(v);
		if (own == PVGPU_STATE_INITIALISING && pvgpu_plugged(v))
			pvgpu_reprobe(v);
		return false;
	}
	if (own == pvgpu_state_mine(v))
		return true;
	if (fresh && own == PVGPU_STATE_INITIALISING) {
		xenbus_switch_state(v->xdev, XenbusStateInitialising);
		return true;
	}
	if (own == PVGPU_STATE_INITIALISING) {
		pvgpu_disconnect(v, "the vGPU was attached anew");
		pvgpu_reprobe(v);
		return false;
	}
	/* Resumed with the old directory; xenbus has reset its copy of the state only. */
	if (pvgpu_state_mine(v) == PVGPU_STATE_INITIALISING)
		xenbus_printf(XBT_NIL, v->xdev->nodename, "state", "%d", XenbusStateInitialising);
	return true;
}

static void pvgpu_state_look_at_resume(struct pvgpu_vgpu *v)
{
	const bool asked = test_and_clear_bit(PVGPU_RESUMED, &v->flags);

	if (!asked && !pvgpu_ctl_void(v))
		return;
	pvgpu_disconnect(v, "the guest was restored or migrated");
	pvgpu_flush_limbo(v); /* the old domain's grants ended with it */
	v->refused = v->retry = false;
	v->failures = 0;
}

/* ---- the work ---- */

static bool pvgpu_state_backend_has_let_go(enum pvgpu_state other)
{
	return other == PVGPU_STATE_UNKNOWN || other == PVGPU_STATE_INITIALISING ||
	       other == PVGPU_STATE_INITWAIT || other == PVGPU_STATE_CLOSED;
}

/* Queue the work again for the next timeout. */
static void pvgpu_state_plan(struct pvgpu_vgpu *v)
{
	unsigned long next = 0, now = jiffies;

	if (!list_empty(&v->limbo))
		next = time_after(v->limbo_until, now) ? v->limbo_until - now : 1;
	if (pvgpu_state_mine(v) == PVGPU_STATE_CLOSED && time_after(v->retry_at, now))
		next = next ? min(next, v->retry_at - now) : v->retry_at - now;
	if (!next)
		return;
	spin_lock(&v->kick_lock);
	/* Has no effect if the work is queued already. */
	if (!v->removed)
		queue_delayed_work(pvgpu_wq, &v->state_work, next);
	spin_unlock(&v->kick_lock);
}

void pvgpu_state_work(struct work_struct *w)
{
	struct pvgpu_vgpu *v = container_of(to_delayed_work(w), struct pvgpu_vgpu, state_work);
	enum pvgpu_state other;
	unsigned int moves = 0;
	bool fresh, again;

	pvgpu_state_look_at_resume(v);
	do {
		fresh = test_bit(PVGPU_FRESH, &v->flags);
		if (!pvgpu_state_same_directory(v, fresh))
			return;
		if (pvgpu_read_state(v, false, &other)) {
			pvgpu_kick_in(v, PVGPU_RETRY_MIN);
			return;
		}
		if (pvgpu_state_mine(v) != PVGPU_STATE_CLOSED)
			clear_bit(PVGPU_FRESH, &v->flags);
		again = pvgpu_state_step(v, other,
					 fresh && pvgpu_state_mine(v) == PVGPU_STATE_CLOSED);
	} while (again && ++moves < 8);
	if (again)
		pvgpu_kick(v);
	if (pvgpu_state_backend_has_let_go(other) || time_after_eq(jiffies, v->limbo_until))
		pvgpu_flush_limbo(v);
	pvgpu_state_plan(v);
}
