// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The control ring and event channels. Requests wait in `queued` for a slot and for the units that
 * they cost (ring/control.h), then in `sent` for their answer. The backend is not trusted: an
 * answer must fit a request that was sent, and an impossible index ends the connection.
 */
#include <linux/interrupt.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <xen/page.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_trace.h"

#define BUDGET    64  /* messages at a time, so that other work is not blocked */
#define ERRNO_MAX 133 /* of the generic table: ERFKILL, EHWPOISON */

/* ---- event channels ---- */

void pvgpu_channel_init(struct pvgpu_channel *c)
{
	spin_lock_init(&c->lock);
	c->port = 0;
	c->irq = 0;
}

static int pvgpu_ctl_no_channel(struct pvgpu_vgpu *v, int err, struct pvgpu_why *why)
{
	if (err != -ENOSPC) {
		pvgpu_say(why, "cannot make an event channel: error %d", -err);
		return err;
	}
	pvgpu_say(why, "out of event channels: raise max_event_channels of this guest");
	dev_warn_ratelimited(&v->xdev->dev,
			     "out of event channels: raise max_event_channels of this guest\n");
	return err;
}

static void pvgpu_ctl_close_port(struct pvgpu_vgpu *v, evtchn_port_t port)
{
	struct evtchn_close close = {.port = port};

	pvgpu_count(&v->stats.hypercalls);
	if (HYPERVISOR_event_channel_op(EVTCHNOP_close, &close))
		dev_warn(&v->xdev->dev, "cannot close event channel %u: it stays in use\n", port);
}

/* The port's interrupt, without a handler. On an error the port is closed. */
static int pvgpu_ctl_bind_port(struct pvgpu_vgpu *v, evtchn_port_t port)
{
	struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
	int irq;

	pvgpu_count(&v->stats.hypercalls); /* the kernel binds it to a CPU */
	irq = pvgpu_bind_evtchn(port);
	if (irq > 0)
		return irq;
	/* The kernel has closed it or not, depending on where it failed. */
	pvgpu_count(&v->stats.hypercalls);
	if (!HYPERVISOR_event_channel_op(EVTCHNOP_status, &status) &&
	    status.status == EVTCHNSTAT_unbound)
		pvgpu_ctl_close_port(v, port);
	return irq ? irq : -EINVAL;
}

/*
 * An unbound port for the domain and its interrupt. Not xenbus_alloc_evtchn(), which closes the
 * whole device when there is no port.
 */
int pvgpu_channel_open(struct pvgpu_vgpu *v, struct pvgpu_channel *c, domid_t to,
		       irq_handler_t handler, void *data, struct pvgpu_why *why)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = to};
	unsigned long flags;
	int irq, ret;

	pvgpu_count(&v->stats.hypercalls);
	ret = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);
	if (ret)
		return pvgpu_ctl_no_channel(v, ret, why);
	irq = pvgpu_ctl_bind_port(v, alloc.port);
	if (irq < 0)
		return pvgpu_ctl_no_channel(v, irq, why);
	/* Before the handler may run, which needs it. */
	spin_lock_irqsave(&c->lock, flags);
	c->port = alloc.port;
	c->irq = irq;
	spin_unlock_irqrestore(&c->lock, flags);
	ret = request_irq(irq, handler, 0, c->name, data);
	if (!ret)
		return 0;
	spin_lock_irqsave(&c->lock, flags);
	c->irq = 0;
	spin_unlock_irqrestore(&c->lock, flags);
	pvgpu_count(&v->stats.hypercalls);
	evtchn_put(alloc.port); /* unbinds the interrupt and closes the port */
	return pvgpu_ctl_no_channel(v, ret, why);
}

/* Closes the port, too. No handler runs afterwards. */
void pvgpu_channel_close(struct pvgpu_vgpu *v, struct pvgpu_channel *c, void *data)
{
	unsigned long flags;
	int irq;

	spin_lock_irqsave(&c->lock, flags);
	irq = c->irq;
	c->irq = 0;
	spin_unlock_irqrestore(&c->lock, flags);
	if (irq <= 0)
		return;
	pvgpu_count(&v->stats.hypercalls);
	unbind_from_irqhandler(irq, data);
}

/* By the interrupt's number: after a restore the port number may be another channel's. */
void pvgpu_channel_notify(struct pvgpu_vgpu *v, struct pvgpu_channel *c)
{
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	if (c->irq > 0) {
		notify_remote_via_irq(c->irq);
		pvgpu_count(&v->stats.notifications);
		pvgpu_count(&v->stats.hypercalls);
	}
	spin_unlock_irqrestore(&c->lock, flags);
}

void pvgpu_channel_eoi(struct pvgpu_vgpu *v, struct pvgpu_channel *c, bool spurious)
{
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	if (c->irq > 0) {
		pvgpu_eoi(c->irq, spurious);
		pvgpu_count(&v->stats.hypercalls);
	}
	spin_unlock_irqrestore(&c->lock, flags);
}

/* ---- requests ---- */

static void pvgpu_ctl_broken(struct pvgpu_vgpu *v, const char *what)
{
	if (test_and_set_bit(PVGPU_BROKEN, &v->flags))
		return;
	dev_err(&v->xdev->dev,
		"the backend (domain %u) broke the control ring's rules: %s; closing the vGPU\n",
		v->backend, what);
	pvgpu_kick(v);
}

static struct pvgpu_req *pvgpu_ctl_sent_with(struct pvgpu_vgpu *v, u32 id)
{
	struct pvgpu_req *req;

	list_for_each_entry(req, &v->sent, node)
		if (req->msg.id == id)
			return req;
	return NULL;
}

static u32 pvgpu_ctl_new_id(struct pvgpu_vgpu *v)
{
	do
		v->last_id++;
	while (!v->last_id || pvgpu_ctl_sent_with(v, v->last_id));
	return v->last_id;
}

/*
 * Under ctl_lock: take the units that a request costs, or false: the pump runs again when they are
 * there. A little slower than the backend allows, whose clock is another one.
 */
static bool pvgpu_ctl_pay(struct pvgpu_vgpu *v, struct pvgpu_req *req)
{
	const u64 each = NSEC_PER_SEC / (PVGPU_CTL_A_SECOND - PVGPU_CTL_A_SECOND / 16);
	const u64 cost = pvgpu_ctl_cost(&req->msg) * each, burst = PVGPU_CTL_BURST * each;
	const u64 now = ktime_get_ns();

	lockdep_assert_held(&v->ctl_lock);
	if (req->paid)
		return true;
	if (now > burst && v->paid_until < now - burst)
		v->paid_until = now - burst;
	if (v->paid_until + cost > now) {
		mod_delayed_work(pvgpu_wq, &v->pump_work,
				 nsecs_to_jiffies(v->paid_until + cost - now) + 1);
		return false;
	}
	v->paid_until += cost;
	req->paid = true;
	return true;
}

/* Under ctl_lock: publish what fits. True: ring the backend. */
static bool pvgpu_ctl_pump(struct pvgpu_vgpu *v)
{
	bool published = false;

	lockdep_assert_held(&v->ctl_lock);
	while (v->live && !list_empty(&v->queued)) {
		struct pvgpu_req *req = list_first_entry(&v->queued, struct pvgpu_req, node);
		int ret;

		if (!pvgpu_ctl_pay(v, req))
			break;
		req->msg.id = pvgpu_ctl_new_id(v);
		req->index = v->ctl.prod;
		ret = pvgpu_ctl_put(&v->ctl, &req->msg);
		if (ret == -EAGAIN)
			break;
		if (ret) {
			v->live = false;
			pvgpu_ctl_broken(v, "its index of the requests is impossible");
			break;
		}
		list_move_tail(&req->node, &v->sent);
		trace_pvgpu_request(v->index, req->msg.op, req->msg.id, req->msg.session, 0);
		pvgpu_count(&v->stats.requests);
		published = true;
	}
	return published;
}

int pvgpu_submit(struct pvgpu_vgpu *v, struct pvgpu_req *req, u32 gen)
{
	bool ring;

	spin_lock(&v->ctl_lock);
	if (!v->live || v->gen != gen) {
		spin_unlock(&v->ctl_lock);
		return -EPIPE;
	}
	list_add_tail(&req->node, &v->queued);
	ring = pvgpu_ctl_pump(v);
	spin_unlock(&v->ctl_lock);
	if (ring)
		pvgpu_channel_notify(v, &v->channel);
	return 0;
}

/* ---- answers and events ---- */

/* Under ctl_lock: the request that a message answers, taken out; NULL: none, or *bad. */
static struct pvgpu_req *pvgpu_ctl_answered(struct pvgpu_vgpu *v, const struct pvgpu_ctl_msg *m,
					    bool *bad)
{
	struct pvgpu_req *req = pvgpu_ctl_sent_with(v, m->id);

	lockdep_assert_held(&v->ctl_lock);
	if (!req) {
		pvgpu_count(&v->stats.answers_dropped);
		return NULL;
	}
	*bad = m->op != req->msg.op || m->session != req->msg.session || m->error < 0;
	if (*bad)
		return NULL;
	list_del_init(&req->node);
	req->answer = *m;
	req->result = m->error > ERRNO_MAX ? -EIO : -m->error;
	return req;
}

/* A new backend daemon: the former one has taken requests that it will not answer any more. */
static void pvgpu_ctl_send_again(struct pvgpu_vgpu *v, u32 before)
{
	struct pvgpu_req *req, *next;
	LIST_HEAD(again);

	spin_lock(&v->ctl_lock);
	list_for_each_entry_safe(req, next, &v->sent, node) {
		if ((s32)(req->index - before) >= 0)
			continue;
		req->paid = false;
		list_move_tail(&req->node, &again);
	}
	if (list_empty(&again))
		pvgpu_count(&v->stats.answers_dropped);
	list_splice(&again, &v->queued);
	spin_unlock(&v->ctl_lock);
}

static void pvgpu_ctl_take_event(struct pvgpu_vgpu *v, const struct pvgpu_ctl_msg *m)
{
	if (m->op == PVGPU_CTL_SESSION_ENDED)
		pvgpu_session_ended(v, m);
	else if (m->op == PVGPU_CTL_AGAIN)
		pvgpu_ctl_send_again(v, m->u.again.before);
	else
		pvgpu_count(&v->stats.answers_dropped);
}

/* One message: 1, 0 when there is none, or -EPROTO. */
static int pvgpu_ctl_take_one(struct pvgpu_vgpu *v)
{
	struct pvgpu_req *req = NULL;
	struct pvgpu_ctl_msg m;
	bool ring = false, bad = false;
	int ret = 0;

	spin_lock(&v->ctl_lock);
	if (v->live)
		ret = pvgpu_ctl_peek(&v->ctl, 0, &m);
	if (ret > 0) {
		trace_pvgpu_answer(v->index, m.op, m.id, m.session, m.error);
		if (m.id)
			req = pvgpu_ctl_answered(v, &m, &bad);
		ring = pvgpu_ctl_release(&v->ctl, 1);
	}
	if (ret < 0 || bad)
		v->live = false;
	spin_unlock(&v->ctl_lock);

	if (ring)
		pvgpu_channel_notify(v, &v->channel);
	if (ret < 0)
		pvgpu_ctl_broken(v, "its index of the answers is impossible");
	else if (bad)
		pvgpu_ctl_broken(v, "an answer does not fit its request");
	if (ret < 0 || bad)
		return -EPROTO;
	if (req)
		req->done(req);
	else if (ret && !m.id)
		pvgpu_ctl_take_event(v, &m);
	return ret;
}

void pvgpu_event_work(struct work_struct *w)
{
	struct pvgpu_vgpu *v = container_of(w, struct pvgpu_vgpu, event_work);
	const s64 dropped = atomic64_read(&v->stats.answers_dropped);
	unsigned int n = 0;
	bool ring, useful;
	int ret;

	do
		ret = pvgpu_ctl_take_one(v);
	while (ret > 0 && ++n < BUDGET);
	if (ret < 0)
		return; /* without pvgpu_eoi() the backend cannot interrupt again */
	spin_lock(&v->ctl_lock);
	ring = pvgpu_ctl_pump(v);
	spin_unlock(&v->ctl_lock);
	if (ring)
		pvgpu_channel_notify(v, &v->channel);
	/* A backend must not be able to keep this guest busy with unexpected messages. */
	useful = ring || n > atomic64_read(&v->stats.answers_dropped) - dropped;
	if (ret > 0)
		queue_work(pvgpu_wq, &v->event_work);
	else
		pvgpu_channel_eoi(v, &v->channel, !useful);
}

void pvgpu_pump_work(struct work_struct *w)
{
	struct pvgpu_vgpu *v = container_of(to_delayed_work(w), struct pvgpu_vgpu, pump_work);
	bool ring;

	spin_lock(&v->ctl_lock);
	ring = pvgpu_ctl_pump(v);
	spin_unlock(&v->ctl_lock);
	if (ring)
		pvgpu_channel_notify(v, &v->channel);
}

static irqreturn_t pvgpu_ctl_interrupt(int irq, void *data)
{
	struct pvgpu_vgpu *v = data;

	pvgpu_count(&v->stats.events);
	queue_work(pvgpu_wq, &v->event_work);
	return IRQ_HANDLED;
}

/* ---- the connection ---- */

int pvgpu_ctl_connect(struct pvgpu_vgpu *v, u64 features, struct pvgpu_why *why)
{
	const domid_t backend = v->xdev->otherend_id;
	struct pvgpu_mem *m;
	int ret;

	ret = pvgpu_mem_new(backend, PVGPU_CTL_PAGE_SIZE, false, NULL, &m, why);
	if (ret)
		return ret;
	spin_lock(&v->ctl_lock);
	v->backend = backend;
	v->features = features;
	v->ctl_mem = m;
	pvgpu_ctl_init_front(&v->ctl, pvgpu_mem_first(m));
	clear_bit(PVGPU_BROKEN, &v->flags);
	v->gen++;
	v->live = true;
	spin_unlock(&v->ctl_lock);
	ret = pvgpu_channel_open(v, &v->channel, backend, pvgpu_ctl_interrupt, v, why);
	if (ret) {
		spin_lock(&v->ctl_lock);
		v->live = false;
		v->ctl_mem = NULL;
		spin_unlock(&v->ctl_lock);
		pvgpu_mem_end(m);
	}
	return ret;
}

/* No event work runs afterwards, and no request is accepted; those that were go to reqs. */
void pvgpu_ctl_disconnect(struct pvgpu_vgpu *v, struct list_head *reqs)
{
	spin_lock(&v->ctl_lock);
	v->live = false;
	v->ready = false;
	list_splice_tail_init(&v->sent, reqs);
	list_splice_tail_init(&v->queued, reqs);
	spin_unlock(&v->ctl_lock);
	pvgpu_channel_close(v, &v->channel, v);
	cancel_work_sync(&v->event_work);
	cancel_delayed_work_sync(&v->pump_work);
	if (v->ctl_mem)
		list_add_tail(&v->ctl_mem->node, &v->limbo);
	v->ctl_mem = NULL;
}

void pvgpu_ctl_fail(struct list_head *reqs)
{
	struct pvgpu_req *req, *next;

	list_for_each_entry_safe(req, next, reqs, node) {
		list_del_init(&req->node);
		req->result = -EPIPE;
		req->done(req);
	}
}

/* Whether the event channels are gone with the domain that had them: after a restore. */
bool pvgpu_ctl_void(struct pvgpu_vgpu *v)
{
	return v->channel.irq > 0 && irq_from_evtchn(v->channel.port) != v->channel.irq;
}
