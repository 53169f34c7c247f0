/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/faults.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/xid.h"

#define BREACH_MS 1000u
#define BLAME_MS  60000u /* a vGPU has one canary in this time for what its sessions say */

static const char blamed_wrongly[] = "its worker blamed the GPU, which works";

static struct quarantine_rule rule(const struct vgpu *v)
{
	const struct config *c = &v->d->cfg;

	return (struct quarantine_rule){.faults = c->quarantine_faults,
					.window_ms = c->quarantine_window_s * 1000ull,
					.time_ms = c->quarantine_time_s * 1000ull};
}

/* The name for pvgpuctl. */
static void ctl_name(const struct vgpu *v, char out[40])
{
	snprintf(out, 40, "%s", v->ctl_name[0] ? v->ctl_name : v->cfg.name);
}

static void changed(struct vgpu *v)
{
	faults_save(v->d);
	if (v->xen)
		xenbus_changed(v->xen);
}

static void user_quarantined(struct vgpu *v, uint32_t user, uint64_t left_ms, bool news,
			     const char *why)
{
	char name[40];

	ctl_name(v, name);
	if (news || log_room(&v->noise, now_ms(), v->cfg.name))
		log_warning("vgpu %s: user %u of its guest quarantined for %u s: no new sessions "
			    "of this user; the last fault: %s; pvgpuctl pardon %s ends it",
			    v->cfg.name, user - 1, (unsigned int)((left_ms + 999) / 1000), why,
			    name);
	snprintf(v->last_reason, sizeof(v->last_reason), "user %u quarantined: %s", user - 1, why);
	open_refuse_user(v, user, EPERM, "this user was quarantined just now");
}

void faults_count(struct vgpu *v, uint32_t user, enum fault kind, const char *why)
{
	const struct quarantine_rule r = rule(v);
	uint64_t now = now_ms(), left;
	const bool held = quarantine_holds(&v->quarantine, &r, now);
	const bool user_held = quarantine_user_ms(&v->quarantine, &r, now, user);
	char name[40];

	if (kind == FAULT_NONE || (kind == FAULT_KERNEL && !v->d->cfg.quarantine_kernel_faults))
		return;
	if (quarantine_fault(&v->quarantine, &r, now, user, why)) {
		const unsigned int n = quarantine_count(&v->quarantine, &r, now);

		ctl_name(v, name);
		if (!held || log_room(&v->noise, now, v->cfg.name))
			log_warning("vgpu %s: quarantined for %u s after %u fault%s: no new "
				    "sessions; the last: %s; pvgpuctl pardon %s ends it",
				    v->cfg.name, v->d->cfg.quarantine_time_s, n, n == 1 ? "" : "s",
				    why, name);
		snprintf(v->last_reason, sizeof(v->last_reason), "quarantined: %s", why);
		open_refuse_all(v->d, v, EPERM, "the vGPU was quarantined just now");
	} else if ((left = quarantine_user_ms(&v->quarantine, &r, now, user))) {
		user_quarantined(v, user, left, !user_held, why);
	}
	changed(v);
}

void faults_breach(struct vgpu *v, const char *why)
{
	faults_breach_of(v, QUARANTINE_NOBODY, why);
}

void faults_breach_of(struct vgpu *v, uint32_t user, const char *why)
{
	uint64_t now = now_ms();

	if (v->breach_ms && now - v->breach_ms < BREACH_MS)
		return;
	v->breach_ms = now;
	log_warning("vgpu %s: its guest broke the protocol: %s", v->cfg.name, why);
	faults_count(v, user, FAULT_PROTOCOL, why);
}

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	char why[sizeof(w->reason)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!w->killed)
		w->fault = kind;
	worker_kill(w, "%s", why);
}

/*
 * A worker says that the GPU is at fault. That is believed when the GPU says so, too: by an Xid, or
 * to a canary. Otherwise it is a fault of the vGPU. A canary takes a spare worker, so a vGPU whose
 * blame was refuted a moment ago gets no other one.
 */
static void blame(struct worker *w)
{
	struct vgpu *v = w->vgpu;
	uint64_t now = now_ms();

	if (canary_suspects(w->pool)) {
		canary_want(w->pool, "after CUresult %u of %s", w->device_error, worker_name(w));
		return;
	}
	if (v->blamed_ms && now - v->blamed_ms < BLAME_MS && !v->blames) {
		log_warning("%s: blames the GPU, which a canary has found to work: a fault of its "
			    "vGPU",
			    worker_name(w));
		faults_count(v, w->user, FAULT_CHEAT, blamed_wrongly);
		return;
	}
	v->blamed = w->pool;
	v->blame_user[v->blames % QUARANTINE_FAULTS_MAX] = w->user;
	v->blames++;
	if (v->blames > 1)
		return; /* that canary has not answered yet */
	v->blamed_ms = now;
	canary_want(w->pool, "after CUresult %u of %s", w->device_error, worker_name(w));
}

void faults_blame_settled(struct pool *p, bool right)
{
	for (unsigned int i = 0; i < p->d->vgpu_n; i++) {
		struct vgpu *v = p->d->vgpus[i];
		unsigned int n = v->blamed == p ? v->blames : 0;

		if (!n)
			continue;
		v->blames = 0;
		v->blamed = NULL;
		if (right) {
			v->blamed_ms = 0;
			continue;
		}
		log_warning("vgpu %s: %u of its sessions blamed the GPU, which works: faults of "
			    "the vGPU",
			    v->cfg.name, n);
		for (n = n < QUARANTINE_FAULTS_MAX ? n : QUARANTINE_FAULTS_MAX; n; n--)
			faults_count(v, v->blame_user[n - 1], FAULT_CHEAT, blamed_wrongly);
	}
}

void faults_session_ended(struct worker *w)
{
	enum fault kind = w->fault;

	if (kind == FAULT_NONE && w->end == PVGPU_END_PROTOCOL)
		kind = FAULT_PROTOCOL;
	else if (kind == FAULT_NONE && w->device_error && !w->hardware)
		kind = FAULT_KERNEL;
	if (w->device_error)
		log_info("%s: its first device error was CUresult %u", worker_name(w),
			 w->device_error);
	faults_count(w->vgpu, w->user, kind, w->reason);
	if (w->hardware && kind == FAULT_NONE)
		blame(w);
	else if (kind == FAULT_WATCHDOG || kind == FAULT_CHEAT)
		canary_want(w->pool, "after %s was ended", worker_name(w));
}

bool faults_refuse(const struct vgpu *v, uint32_t user, char reason[CHECK_REASON])
{
	const struct quarantine_rule r = rule(v);
	uint64_t now = now_ms(), left = quarantine_user_ms(&v->quarantine, &r, now, user);
	char name[40];

	ctl_name(v, name);
	if (quarantine_holds(&v->quarantine, &r, now))
		quarantine_say(&v->quarantine, &r, now, name, reason, CHECK_REASON);
	else if (left)
		quarantine_say_user(left, name, reason, CHECK_REASON);
	else
		return false;
	return true;
}

void faults_pardon(struct vgpu *v, uint64_t number)
{
	if (number == v->quarantine.pardon)
		return;
	if (quarantine_pardon(&v->quarantine, number))
		log_info("vgpu %s: pardoned: its faults are forgotten", v->cfg.name);
	v->cfg.policy.pardon = number;
	changed(v);
}

uint64_t faults_left_s(const struct vgpu *v)
{
	const struct quarantine_rule r = rule(v);
	uint64_t now = now_ms();

	return quarantine_holds(&v->quarantine, &r, now)
		       ? (v->quarantine.until_ms - now + 999) / 1000
		       : 0;
}

static struct worker *worker_of(const struct daemon *d, pid_t pid)
{
	struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (pid > 0 && w->pid == pid)
			return w;
	}
	return NULL;
}

/* NVML does not tell whose an Xid is. One vGPU alone has sessions on the GPU: it is that one's. */
static const struct vgpu *only_user(const struct pool *p)
{
	const struct vgpu *found = NULL;

	for (unsigned int i = 0; i < p->d->vgpu_n; i++) {
		const struct vgpu *v = p->d->vgpus[i];

		if (v->pool != p || !v->sessions)
			continue;
		if (found)
			return NULL;
		found = v;
	}
	return found;
}

void xid_seen(struct pool *p, uint32_t number, pid_t pid)
{
	const struct xid *x = xid_find(number);
	struct worker *w = worker_of(p->d, pid);
	const struct vgpu *v = w ? w->vgpu : only_user(p);
	bool bad = x->action >= XID_WATCH;

	p->xids++;
	p->last_xid = number;
	if (xid_is_of_gpu(x))
		canary_xid(p);

	log_line(bad ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "pool %s: Xid %" PRIu32 " (%s)%s%s: %s",
		 p->cfg.name, number, x->what, v ? " of vgpu " : "", v ? v->cfg.name : "",
		 xid_advice(x->action));
	switch (x->action) {
	case XID_KILL:
		if (w && w->vgpu)
			faults_kill(w, FAULT_WATCHDOG, "met Xid %" PRIu32 " (%s)", number, x->what);
		canary_want_spaced(p, "after Xid %" PRIu32, number);
		break;
	case XID_CHECK:
		canary_want_spaced(p, "after Xid %" PRIu32, number);
		break;
	case XID_RESET:
	case XID_REBOOT:
		canary_lock(p, "Xid %" PRIu32 " (%s): %s", number, x->what, xid_advice(x->action));
		break;
	default:
		break;
	}
}
