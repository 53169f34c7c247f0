/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/account.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/guard/xid.h"
#include "xen-pvgpu-back/daemon/rules/account_check.h"

/* Workers sorted by pid: a round may have hundreds of records. */
struct by_pid {
	uint32_t pid;
	struct worker *w;
};

static int compare(const void *a, const void *b)
{
	const struct by_pid *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* NULL: out of memory; then no worker is judged in this round. */
static struct by_pid *sort_workers(const struct daemon *d, size_t *n)
{
	struct by_pid *all = calloc(d->worker_n ? d->worker_n : 1, sizeof(*all));
	struct worker *w;

	*n = 0;
	if (!all)
		return NULL;
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (*n < d->worker_n)
			all[(*n)++] = (struct by_pid){(uint32_t)w->pid, w};
	}
	qsort(all, *n, sizeof(*all), compare);
	return all;
}

static struct worker *find(const struct by_pid *all, size_t n, uint32_t pid)
{
	const struct by_pid key = {.pid = pid};
	const struct by_pid *p = n ? bsearch(&key, all, n, sizeof(*all), compare) : NULL;

	return p ? p->w : NULL;
}

/* A worker that has reported the end of its session counts until it has exited. */
static bool counts(const struct worker *w)
{
	return w->vgpu && (w->state == CHECK_SERVING || w->state == CHECK_ENDED) && !w->killed;
}

static void stranger(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (health_is_device(d, m->device, d->pools[i]->cfg.device))
			strangers_seen(d->pools[i], m->pid);
}

/* Ends the worker or, with test_judge_observes, logs each finding once. */
static void guilty(struct worker *w, enum guilt of, const char *why)
{
	if (!w->d->cfg.test_judge_observes) {
		faults_kill(w, FAULT_CHEAT, "%s", why);
		return;
	}
	if (w->account.spared & of)
		return;
	w->account.spared |= of;
	log_warning("%s: TEST OVERRIDE test_judge_observes: not ended, although it %s",
		    worker_name(w), why);
}

static void use(struct worker *w, const struct health_msg *m, uint64_t now)
{
	/* Kernels and memory overlap: the larger of the two times counts. */
	uint64_t busy = m->process.busy_ns > m->process.memory_ns ? m->process.busy_ns
								  : m->process.memory_ns;
	struct account *a = &w->account;
	uint64_t granted;
	char why[128];

	a->used_ns += busy;
	account_add(&w->vgpu->account, busy, m->process.end_ns, now);
	/* At the end of a session the driver itself causes use: it is charged but not judged. */
	if (w->state == CHECK_ENDED)
		return;
	if (!w->gate)
		return;
	granted = gate_granted_time(w->gate, &now);
	if (judge_use(&a->judge, m->process.begin_ns, m->process.end_ns, busy, granted, now, why,
		      sizeof(why)))
		guilty(w, GUILTY_OF_USE, why);
}

static void memory(struct worker *w, const struct health_msg *m, uint64_t now)
{
	char why[128];

	w->account.memory = m->process.memory;
	if (w->state == CHECK_SERVING &&
	    judge_memory(&w->account.judge, m->at_ns, m->process.memory, w->leased,
			 w->d->cfg.context_memory, now, why, sizeof(why)))
		guilty(w, GUILTY_OF_MEMORY, why);
}

static void xid(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (health_is_device(d, m->device, d->pools[i]->cfg.device))
			xid_seen(d->pools[i], m->code, 0);
}

/* Charges use that the driver has counted and that was not charged. */
static void charge(struct vgpu *v)
{
	struct tenant_stats s;
	uint64_t owed;

	if (!v->tenant)
		return;
	tenant_stats(v->tenant, &s);
	owed = account_settle(&v->account, s.gpu_ns);
	if (!owed)
		return;
	log_debug("vgpu %s: the driver counts %" PRIu64 " ms more than were charged", v->cfg.name,
		  owed / 1000000);
	tenant_charge(v->tenant, owed);
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
		if (!w && all)
			stranger(d, m);
		if (!w || !counts(w))
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
		for (unsigned int i = 0; i < d->pool_n; i++) {
			canary_round(d->pools[i]);
			strangers_round(d->pools[i]);
		}
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

	/* One implausible record discredits the whole batch. */
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
