/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/core/await.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Time for the guest to close its end after the backend's. A guest may fail to do so. */
#define GUEST_S 10.0
/* Looks after the limit, for what was there before it. Each write of a guest to its own keys brings
 * an event, so events have no end of their own. */
#define LATE_LOOKS 8u
#define STANDS_MS  5000 /* between two looks whether xenstored is there */

static const char token[] = "await";

double await_now(void)
{
	return store_now();
}

bool await_event(struct store *s, double end)
{
	for (;;) {
		struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
		double left = end - await_now();
		int ms = end < 0      ? -1
			 : left <= 0  ? 0
			 : left > 1e6 ? 1000000000
				      : (int)(left * 1e3) + 1;

		/* Where xenstored ends, its connection's descriptor does not tell. */
		if (ms < 0 || ms > STANDS_MS)
			ms = STANDS_MS;
		errno = 0;
		if (store_event(s)) {
			/* Events already queued are answered by the same look at xenstore. */
			while (store_event(s))
				;
			return true;
		}
		if (errno != EAGAIN)
			return false;
		if (poll(&p, 1, ms) < 0 && errno != EINTR)
			return false;
		if (end >= 0 && await_now() >= end && !(p.revents & POLLIN))
			return false;
	}
}

/* Has the goal been reached, or can it not be reached any more? */
static bool settled(struct store *s, const struct vgpu *v, enum await_goal goal,
		    enum await_end *end)
{
	if (goal == AWAIT_CLOSED) {
		*end = AWAIT_DONE;
		return !v->backend_there || v->state == PVGPU_STATE_CLOSED ||
		       !domain_exists(s, v->ids.be) || !domain_exists(s, v->ids.fe);
	}
	if (v->state == PVGPU_STATE_CONNECTED && v->guest_state == PVGPU_STATE_CONNECTED) {
		*end = AWAIT_DONE;
		return true;
	}
	*end = AWAIT_GONE;
	if (!v->backend_there || !v->guest_there)
		return true;
	*end = AWAIT_REFUSED;
	return v->state == PVGPU_STATE_CLOSED || v->guest_state == PVGPU_STATE_CLOSED;
}

static bool is_late(double until, unsigned int *late)
{
	return until >= 0 && await_now() >= until && ++*late > LATE_LOOKS;
}

enum await_end await_vgpu(struct store *s, const struct pvgpu_ids *ids, enum await_goal goal,
			  double limit_s, await_progress *progress, void *arg, struct vgpu *last)
{
	double until = limit_s < 0 ? -1 : await_now() + limit_s, guest_until = 0;
	enum await_end end = AWAIT_FAILED;
	char paths[2][STORE_PATH];
	struct vgpu before = {.ids = *ids};
	unsigned int late = 0;
	bool fine;

	vgpu_path(PVGPU_TREE_FRONTEND, ids, pvgpu_keys[PVGPU_KEY_FRONTEND_STATE].name, paths[0]);
	vgpu_path(PVGPU_TREE_BACKEND, ids, pvgpu_keys[PVGPU_KEY_BACKEND_STATE].name, paths[1]);
	/* Each watch fires at once, so nothing is missed in between. */
	fine = store_watch(s, paths[0], token) == 0 && store_watch(s, paths[1], token) == 0 &&
	       store_watch(s, "@releaseDomain", token) == 0;
	while (fine) {
		vgpu_read_states(s, ids, last);
		if (progress &&
		    (last->state != before.state || last->guest_state != before.guest_state))
			progress(arg, last);
		before = *last;
		if (settled(s, last, goal, &end)) {
			if (goal != AWAIT_CLOSED || !vgpu_guest_closes(last) ||
			    !domain_exists(s, last->ids.fe))
				break;
			if (!guest_until)
				guest_until = await_now() + GUEST_S;
			if (until >= 0 && until < guest_until)
				guest_until = until;
			if (is_late(guest_until, &late) || !await_event(s, guest_until))
				break;
			continue;
		}
		if (is_late(until, &late) || !await_event(s, until)) {
			end = AWAIT_TIMEOUT;
			break;
		}
	}
	/* The full read has the reason and the other fields for messages. */
	vgpu_read(s, ids, last);
	store_unwatch(s, paths[0], token);
	store_unwatch(s, paths[1], token);
	store_unwatch(s, "@releaseDomain", token);
	return end;
}

/* The error that the guest's xenbus has written about its device. */
static bool guest_error(struct store *s, const struct vgpu *v, char *buf, size_t cap)
{
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "/local/domain/%u/error/device/pvgpu/%u/error", v->ids.fe,
		 v->ids.id);
	return store_text(s, path, buf, cap) && buf[0];
}

static void explain_closed(struct store *s, const char *vm, const char *be, const struct vgpu *v,
			   char *buf, size_t cap)
{
	char why[160];

	if (v->reason.len)
		snprintf(buf, cap, "pvgpud in %s refused it: %s", be, v->reason.s);
	else if (v->guest_state != PVGPU_STATE_CLOSED)
		snprintf(buf, cap, "pvgpud in %s closed it without a reason; see its log there",
			 be);
	else if (guest_error(s, v, why, sizeof(why)))
		snprintf(buf, cap, "pvgpu.ko in %s refused it: %s", vm, why);
	else
		snprintf(buf, cap,
			 "pvgpu.ko in %s refused it, or was unloaded; the guest's kernel log says "
			 "why",
			 vm);
}

static void explain_connecting(struct store *s, const char *vm, const char *be,
			       const struct vgpu *v, char *buf, size_t cap)
{
	if (!v->backend_there || !v->guest_there)
		snprintf(buf, cap, "the vGPU's directory of %s is gone: %s",
			 v->guest_there ? be : vm,
			 domain_exists(s, v->guest_there ? v->ids.be : v->ids.fe)
				 ? "it was detached"
				 : "the domain has ended");
	else if (v->state == PVGPU_STATE_CLOSED || v->guest_state == PVGPU_STATE_CLOSED)
		explain_closed(s, vm, be, v, buf, cap);
	else if (v->state == PVGPU_STATE_INITIALISING)
		snprintf(buf, cap,
			 "pvgpud in %s has not taken it up: does it run there? Its log says more",
			 be);
	else if (v->state == PVGPU_STATE_INITWAIT && v->guest_state == PVGPU_STATE_INITIALISING)
		snprintf(buf, cap,
			 "%s has not loaded pvgpu.ko: it is still booting, or the module is not "
			 "installed there ('modprobe pvgpu' in the guest tells)",
			 vm);
	else if (v->guest_state == PVGPU_STATE_INITIALISED)
		snprintf(buf, cap,
			 "pvgpud in %s has not connected to the guest's ring; see its log", be);
	else
		snprintf(buf, cap, "backend %s, guest %s", state_name(v->state),
			 state_name(v->guest_state));
}

void await_explain(struct store *s, const struct domains *d, const struct vgpu *v,
		   enum await_goal goal, char *buf, size_t cap)
{
	char vm_buf[DOMAIN_NAME], be_buf[DOMAIN_NAME];
	const char *vm = domain_label(d, v->ids.fe, vm_buf);
	const char *be = domain_label(d, v->ids.be, be_buf);

	if (goal == AWAIT_CONNECTED)
		explain_connecting(s, vm, be, v, buf, cap);
	else
		snprintf(
			buf, cap,
			"pvgpud in %s has not closed it (backend %s, guest %s): does it run there? "
			"--force removes the vGPU without it",
			be, state_name(v->state), state_name(v->guest_state));
}
