/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/guard/xid.h"
#include "xen-pvgpu-back/daemon/rules/account_check.h"

#define CONTEXT_MIN (16ull << 20) /* a driver takes less for other ends */

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

/* Whether it lost a drain by commands of its own is what one asks next. */
static void guilty_of_use(struct worker *w, const char *why)
{
	char all[192];

	snprintf(all, sizeof(all), "%s (%" PRIu64 " commands were issued late)", why,
		 gate_late_commands(w->gate));
	guilty(w, GUILTY_OF_USE, all);
}

/* The use less the copies that may be in it, of memory that moves (workers/parking.h). */
static uint64_t beside_copies(struct parking *k, uint64_t begin_ns, uint64_t busy)
{
	uint64_t copies = 0;

	if (begin_ns < k->copies_until)
		copies = busy < k->copies_ns ? busy : k->copies_ns;
	k->copies_ns -= copies;
	return busy - copies;
}

static void use(struct worker *w, const struct health_msg *m, uint64_t now)
{
	/* Kernels and memory overlap: the larger of the two times counts. */
	uint64_t busy = m->process.busy_ns > m->process.memory_ns ? m->process.busy_ns
								  : m->process.memory_ns;
	struct account *a = &w->account;
	uint64_t granted = 0;
	char why[128];

	a->used_ns += busy;
	if (w->vgpu->tenant)
		tenant_measured(w->vgpu->tenant, busy);
	if (w->gate) {
		granted = gate_granted_time(w->gate, &now);
		if (!w->d->cfg.exact_use)
			busy = judge_credible(&a->judge, m->process.begin_ns, busy, granted, now);
	}
	account_add(&w->vgpu->account, busy, m->process.end_ns, now);
	/* At the end of a session the driver itself causes use: it is charged but not judged. */
	if (w->state == CHECK_ENDED || !w->gate)
		return;
	busy = beside_copies(&w->parking, m->process.begin_ns, busy);
	if (judge_use(&a->judge, m->process.begin_ns, m->process.end_ns, busy, granted, now, why,
		      sizeof(why)))
		guilty_of_use(w, why);
}

/*
 * Whether NVIDIA's driver counts memory of another process for one that has it open, too, is not
 * known, so it may. The simulated GPU does not.
 */
static uint64_t tolerated(const struct worker *w)
{
	return w->d->cfg.exact_use ? 0 : w->imported;
}

/* Contexts, and what the driver takes for itself, count as it counts them. */
static void memory(struct worker *w, const struct health_msg *m, uint64_t now)
{
	const uint64_t may = w->leased + tolerated(w);
	struct account *a = &w->account;
	uint64_t beyond;
	char why[128];

	a->memory = m->process.memory;
	a->seen = true;
	if (w->state == CHECK_SERVING &&
	    judge_memory(&a->judge, m->at_ns, m->process.memory, may, w->d->cfg.context_memory, now,
			 why, sizeof(why)))
		guilty(w, GUILTY_OF_MEMORY, why);
	judge_lease(&a->judge, may, now);
	if (judge_beyond(&a->judge, m->at_ns, m->process.memory, &beyond))
		lease_measured(w, beyond);
}

/*
 * Only the driver knows the size of a context. The memory that a session has beside its lease, if
 * it is the same in two rounds, is taken for that, and the least of all sessions counts. It is the
 * vGPU's own figure: a worker that has more makes its own vGPU's contexts dear.
 */
static void learn_context(struct worker *w)
{
	struct account *a = &w->account;
	struct vgpu *v = w->vgpu;

	if (a->beyond >= CONTEXT_MIN && a->beyond == a->steady && !w->context_bytes &&
	    (!v->context_bytes || a->beyond < v->context_bytes)) {
		v->context_bytes = a->beyond;
		log_info("vgpu %s: a context takes %" PRIu64 " MiB of device memory, as measured",
			 v->cfg.name, a->beyond >> 20);
	}
	a->steady = a->beyond;
}

/* The session that has most beside its lease. */
static struct worker *largest(const struct vgpu *v)
{
	struct worker *w, *most = NULL;
	uint64_t n = 0;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu != v || w->state != CHECK_SERVING || w->killed ||
		    w->account.memory <= w->leased || w->account.memory - w->leased <= n)
			continue;
		n = w->account.memory - w->leased;
		most = w;
	}
	return most;
}

/*
 * The sessions of a vGPU together have more than it may: the one with most beside its lease is
 * ended, then the next. It cheats if it was told what a context takes. Otherwise honest sessions
 * may have made contexts at the same time, before one was measured, and it is no fault.
 */
static void too_much(struct vgpu *v, uint64_t total, uint64_t most)
{
	struct worker *w = largest(v);
	char why[160];

	if (!w)
		return;
	snprintf(why, sizeof(why),
		 "has %" PRIu64 " MiB of device memory, of which it leased %" PRIu64
		 " MiB: its vGPU has %" PRIu64 " MiB of %" PRIu64,
		 w->account.memory >> 20, w->leased >> 20, total >> 20, most >> 20);
	if (w->context_bytes || w->d->cfg.test_judge_observes)
		guilty(w, GUILTY_OF_MEMORY, why);
	else
		worker_kill(w, "%s", why);
}

/* A round is over. Processes that were not in it are not on the GPU. */
static void memory_round(struct vgpu *v, const struct health_msg *m, uint64_t now)
{
	uint64_t total = 0, most = lease_most(v);
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu != v || !counts(w))
			continue;
		if (!w->account.seen) {
			w->account.memory = 0;
			lease_measured(w, 0);
		}
		w->account.seen = false;
		total += w->account.memory;
		most += tolerated(w) < UINT64_MAX - most ? tolerated(w) : 0;
		learn_context(w);
	}
	if (judge_total(&v->judge, m->at_ns, total, most, v->d->cfg.context_memory, now))
		too_much(v, total, most);
}

static void xid(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (health_is_device(d, m->device, d->pools[i]->cfg.device))
			xid_seen(d->pools[i], m->code, 0);
}

static void link_told(struct pool *p, const struct health_msg *m)
{
	p->pcie = *m;
	near_found(p);
}

/* Keeps the driver's figures of the pools' GPUs, for statistics. */
static void state(struct daemon *d, const struct health_msg *m)
{
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];

		if (!health_is_device(d, m->device, p->cfg.device))
			continue;
		if (m->kind == HEALTH_DEVICE)
			p->driver_used = m->device_memory.used;
		else if (m->kind == HEALTH_STATE)
			p->sensors = *m;
		else
			link_told(p, m);
	}
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
	case HEALTH_DEVICE:
	case HEALTH_STATE:
	case HEALTH_PCIE:
		state(d, m);
		break;
	case HEALTH_FACTS:
		facts_take(d, m);
		break;
	case HEALTH_XID:
		xid(d, m);
		break;
	case HEALTH_ROUND:
		for (unsigned int i = 0; i < d->vgpu_n; i++) {
			memory_round(d->vgpus[i], m, now);
			charge(d->vgpus[i]);
		}
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
