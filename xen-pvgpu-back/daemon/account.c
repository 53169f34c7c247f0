/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/account_check.h"
#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/faults.h"
#include "xen-pvgpu-back/daemon/schedule.h"
#include "xen-pvgpu-back/daemon/xid.h"

/* Those with a session, by pid: a round may name hundreds. */
struct by_pid {
	uint32_t pid;
	struct worker *w;
};

static int compare(const void *a, const void *b)
{
	const struct by_pid *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* NULL: none, or no memory for them, and then nobody is judged this time. */
static struct by_pid *sort_workers(const struct daemon *d, size_t *n)
{
	struct by_pid *all = calloc(d->worker_n ? d->worker_n : 1, sizeof(*all));
	struct worker *w;

	*n = 0;
	if (!all)
		return NULL;
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->vgpu && *n < d->worker_n)
			all[(*n)++] = (struct by_pid){(uint32_t)w->pid, w};
	}
	qsort(all, *n, sizeof(*all), compare);
	return all;
}

static struct worker *find(const struct by_pid *all, size_t n, uint32_t pid)
{
	const struct by_pid key = {.pid = pid};
	const struct by_pid *p = n ? bsearch(&key, all, n, sizeof(*all), compare) : NULL;

	/* One that has said that its session has ended is there until it has exited. */
	return p && (p->w->state == CHECK_SERVING || p->w->state == CHECK_ENDED) && !p->w->killed
		       ? p->w
		       : NULL;
}

static void use(struct worker *w, const struct health_msg *m, uint64_t now)
{
	/* Whichever of the two was occupied longer. */
	uint64_t busy = m->process.busy_ns > m->process.memory_ns ? m->process.busy_ns
								  : m->process.memory_ns;
	struct account *a = &w->account;
	uint64_t granted;
	char why[128];

	a->used_ns += busy;
	account_add(&w->vgpu->account, busy, m->process.end_ns, now);
	/* What goes on when a session ends is the driver's doing, too: it pays, no more. */
	if (w->state == CHECK_ENDED)
		return;
	if (!w->gate)
		return;
	granted = gate_granted_time(w->gate, &now);
	if (judge_use(&a->judge, m->process.begin_ns, m->process.end_ns, busy, granted, now, why,
		      sizeof(why)))
		faults_kill(w, FAULT_CHEAT, "%s", why);
}

static void memory(struct worker *w, const struct health_msg *m, uint64_t now)
{
	char why[128];

	w->account.memory = m->process.memory;
	if (w->state == CHECK_SERVING &&
	    judge_memory(&w->account.judge, m->at_ns, m->process.memory, w->leased,
			 w->d->cfg.context_memory, now, why, sizeof(why)))
		faults_kill(w, FAULT_CHEAT, "%s", why);
}

static void xid(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (health_is_device(d, m->device, d->pools[i]->cfg.device))
			xid_seen(d->pools[i], m->code, 0);
}

/* What the far end has counted and nobody has paid. */
static void charge(struct vgpu *v)
{
	struct seat_stats s;
	uint64_t owed;

	if (!v->seat)
		return;
	seat_stats(v->seat, &s);
	owed = account_settle(&v->account, s.gpu_ns);
	if (!owed)
		return;
	log_debug("vgpu %s: the far end counts %" PRIu64 " ms more than were charged", v->cfg.name,
		  owed / 1000000);
	seat_charge(v->seat, owed);
}

static void take(struct daemon *d, const struct health_msg *m, const struct by_pid *all, size_t n,
		 uint64_t now)
{
	char text[41];
	struct worker *w;

	switch (m->kind) {
	case HEALTH_GPU:
		account_text(m->text, text);
		health_uuid(d, m->device, text);
		break;
	case HEALTH_PROCESS:
		w = find(all, n, m->pid);
		if (!w)
			break;
		w->account.known = true;
		if (m->process.memory != HEALTH_UNKNOWN)
			memory(w, m, now);
		if (m->process.end_ns && !w->killed)
			use(w, m, now);
		break;
	case HEALTH_XID:
		xid(d, m);
		break;
	case HEALTH_ROUND:
		for (unsigned int i = 0; i < d->vgpu_n; i++)
			charge(d->vgpus[i]);
		break;
	}
}

int account_take(struct daemon *d, const struct health_msg *m, unsigned int n, char *why,
		 size_t cap)
{
	uint64_t now = pvgpu_poll_now();
	struct by_pid *all;
	size_t workers;
	int r = 0;

	/* All or none: what breaks the rules once is not believed in the rest either. */
	for (unsigned int i = 0; i < n; i++)
		if (account_check(&m[i], now, why, cap) < 0)
			return -1;
	all = sort_workers(d, &workers);
	for (unsigned int i = 0; i < n; i++)
		take(d, &m[i], all, all ? workers : 0, now);
	free(all);
	return r;
}

bool account_used(const struct worker *w, uint64_t *ns)
{
	*ns = w->account.used_ns;
	return w->account.known;
}
