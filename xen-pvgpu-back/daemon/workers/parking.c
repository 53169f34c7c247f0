/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/workers/parking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"
#include "xen-pvgpu-back/daemon/cgroup/host_memory.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define FIRST_MS    500u /* without a command, at most, before memory is parked at first */
#define LOOK_LEAST  1u   /* ms between two questions */
#define LOOK_MOST   250u
#define COPY_FOR_NS 5000000000u /* use of the GPU by copies, and then */
#define COPY_A_BYTE 16u         /* ns: the simulated GPU copies while its thread has a processor */
#define TOLD_MOST   2u /* by an adopted worker: what it has, and what it was about to park */

static void copies_begin(struct worker *w, uint64_t bytes)
{
	w->parking.copies_until = UINT64_MAX;
	w->parking.copies_ns = COPY_FOR_NS + bytes * COPY_A_BYTE;
}

static void copies_end(struct worker *w)
{
	w->parking.copies_until = pvgpu_poll_now();
}

void parking_adopted(struct worker *w)
{
	if (!w->parking.knows)
		return;
	copies_begin(w, w->leased);
	w->parking.copies_until = pvgpu_poll_now() + w->parking.copies_ns;
}

/* ---- how much host memory there is for it ---- */

static uint64_t machine_memory(bool *swaps)
{
	struct sysinfo s;

	*swaps = true;
	if (sysinfo(&s) < 0)
		return 0;
	*swaps = s.totalswap != 0;
	return (uint64_t)s.totalram * s.mem_unit;
}

uint64_t parking_machine(void)
{
	bool swaps;

	return machine_memory(&swaps);
}

static uint64_t parked_by_all(const struct daemon *d)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		n += d->vgpus[i]->ledger.parked;
	return n;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Its part of the pool's budget, or else of half of the machine's memory, which is for all. Of the
 * memory that its cgroup leaves the worker, and that the vGPU's sessions may hold together, a
 * quarter stays for its other uses. */
static uint64_t room(const struct worker *w, uint64_t machine)
{
	uint64_t n = residency_is_on(w->vgpu->pool) ? residency_host_room(w->vgpu)
						    : minus(machine / 2, parked_by_all(w->d));
	uint64_t most, used;

	n = less(n, host_memory_room(w->vgpu, machine) / 4 * 3);
	if (w->cgroup < 0)
		return n;
	most = cgroup_read_number(w->cgroup, "memory.max");
	used = cgroup_read_number(w->cgroup, "memory.current");
	return most == UINT64_MAX || used == UINT64_MAX ? n : less(n, minus(most, used) / 4 * 3);
}

static bool never_swapped(const struct worker *w, bool swaps)
{
	return !swaps || (w->cgroup >= 0 && !cgroup_read_number(w->cgroup, "memory.swap.max"));
}

/* ---- asking ---- */

/* how: enum pvgpu_sup_park */
static void ask(struct worker *w, uint64_t most, unsigned int how, uint64_t ms)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_PARK,
				    .id = ++w->parking.asked,
				    .session = w->id,
				    .a = most,
				    .b = how,
				    .c = ms};

	w->parking.waits = true;
	w->parking.most = most;
	copies_begin(w, w->leased);
	if (how & PVGPU_SUP_PARK_BUSY)
		w->parking.copies_ns += (uint32_t)ms * 1000000ull;
	supervise_tell(w, &m, -1);
}

static bool may_park(const struct worker *w)
{
	return w->state == CHECK_SERVING && w->sealed && w->parking.knows && !w->parking.waits &&
	       !w->parking.bytes && !w->parking.began_ns && w->leased;
}

bool parking_leave(struct worker *w, uint64_t most, uint64_t enough, unsigned int ms)
{
	const uint64_t mib = (enough + (1u << 20) - 1) >> 20;
	unsigned int how = PVGPU_SUP_PARK_BUSY;
	bool swaps;

	most = less(most, room(w, machine_memory(&swaps)));
	if (!most)
		return false;
	if (never_swapped(w, swaps))
		how |= PVGPU_SUP_PARK_SAFE;
	w->parking.leaves = less(most, enough);
	ask(w, most, how, mib << 32 | ms);
	return true;
}

bool parking_grows(const struct worker *w)
{
	return w->parking.waits && w->parking.most;
}

static unsigned int idle_ms(const struct worker *w)
{
	const unsigned int ms = w->d->cfg.park_idle_ms;

	return w->parking.came || ms < FIRST_MS ? ms : FIRST_MS;
}

static double look_s(const struct daemon *d)
{
	const unsigned int ms = d->cfg.park_idle_ms / 4;

	return (ms < LOOK_LEAST ? LOOK_LEAST : ms > LOOK_MOST ? LOOK_MOST : ms) / 1e3;
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
	struct vgpu *v = t->data;
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		const unsigned int ms = idle_ms(w);
		uint64_t most;
		bool swaps;

		if (w->vgpu != v || v->pool->cfg.mode != POOL_SHARED || !may_park(w))
			continue;
		most = room(w, machine_memory(&swaps));
		if (most)
			ask(w, most, never_swapped(w, swaps) ? PVGPU_SUP_PARK_SAFE : 0, ms);
	}
}

void parking_init(struct vgpu *v)
{
	ev_timer_init(&v->parking.look, on_look, 0., 0.);
	v->parking.look.data = v;
}

void parking_stop(struct vgpu *v)
{
	ev_timer_stop(v->d->loop, &v->parking.look);
}

static void bring_back(struct vgpu *v)
{
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && w->state == CHECK_SERVING && w->parking.bytes &&
		    !w->parking.waits)
			ask(w, 0, 0, 0);
	}
}

bool parking_want(struct vgpu *v, bool on, char *why, size_t cap)
{
	struct worker *w;

	if (on && v->pool->cfg.mode != POOL_SHARED) {
		snprintf(why, cap,
			 "pool %s is exclusive or confidential: memory of its vGPUs is not parked",
			 v->pool->cfg.name);
		return false;
	}
	if (on == v->parking.on && !on)
		return true;
	v->parking.on = on;
	log_info("vgpu %s: its memory %s", v->cfg.name,
		 on ? "is parked while its sessions are idle" : "stays on the GPU");
	parking_stop(v);
	if (!on) {
		bring_back(v);
		return true;
	}
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v)
			w->parking.came = false;
	}
	ev_timer_set(&v->parking.look, look_s(v->d), look_s(v->d));
	ev_timer_start(v->d->loop, &v->parking.look);
	return true;
}

int parking_write(struct vgpu *v, const char *value, char *why, size_t cap)
{
	if (!strcmp(value, "0") || !strcmp(value, "1"))
		return parking_want(v, *value == '1', why, cap) ? 0 : EBUSY;
	snprintf(why, cap, "park '%.40s': must be 0 or 1", value);
	return EINVAL;
}

/* ---- the worker's messages ---- */

/* A reading of its memory may be older than a lease that shrinks. */
static void note(struct worker *w)
{
	judge_lease(&w->account.judge, w->leased, pvgpu_poll_now());
}

static void parked(struct worker *w, const struct pvgpu_sup *m)
{
	struct vgpu *v = w->vgpu;

	if (m->id ? !w->parking.waits || m->id != w->parking.asked : !w->adopted) {
		faults_kill(w, FAULT_PROTOCOL, "answers question %" PRIu32 ", which was not asked",
			    m->id);
		return;
	}
	if (m->id) {
		w->parking.waits = false;
	} else if (w->parking.told++ == TOLD_MOST) {
		faults_kill(w, FAULT_PROTOCOL, "says again what it has parked, without a question");
		return;
	}
	if (m->id && m->a > w->parking.most) {
		faults_kill(w, FAULT_PROTOCOL,
			    "parks %" PRIu64 " bytes, and was asked for %" PRIu64, m->a,
			    w->parking.most);
		return;
	}
	note(w);
	/* Memory that the worker shares stays: another session may be charged for it any moment. */
	if (m->a > w->leased - w->exported ||
	    ledger_park(&v->ledger, &w->leased, &w->parking.bytes, m->a) < 0) {
		faults_kill(w, FAULT_PROTOCOL, "parks %" PRIu64 " bytes of a lease of %" PRIu64,
			    m->a, w->leased);
		return;
	}
	/* A worker that was asked to bring its memory back answers when its copies have begun. An
	 * adopted one says what is parked while it may move more. */
	if (m->id && !w->parking.began_ns)
		copies_end(w);
	if (w->parking.wants && w->parking.most)
		lease_unparked(w); /* it asks again, with what it needs now */
	residency_parked(w, m->a, m->c == 1);
	if (!m->a) {
		log_debug("%s: parks nothing: %s", worker_name(w), m->reason);
		return;
	}
	v->parking.parks += m->id != 0;
	v->parking.us += m->b < COPY_FOR_NS ? m->b : 0;
	log_info("%s: %" PRIu64 " MiB are parked, %" PRIu64 " MiB stay on the GPU", worker_name(w),
		 m->a >> 20, w->leased >> 20);
	vgpu_changed(v);
	lease_serve(v->pool);
}

void parking_resumes(struct worker *w, uint32_t id)
{
	const uint64_t bytes = w->parking.bytes;

	ledger_resume(&w->vgpu->ledger, &w->leased, &w->parking.bytes);
	w->parking.wants = false;
	w->parking.came = true;
	w->parking.began_ns = pvgpu_poll_now();
	w->parking.coming = bytes;
	copies_begin(w, bytes);
	supervise_say(w, PVGPU_SUP_LEASED, id, bytes);
	vgpu_changed(w->vgpu);
}

static void resume(struct worker *w, const struct pvgpu_sup *m)
{
	if (!m->a || m->a != w->parking.bytes)
		faults_kill(w, FAULT_PROTOCOL,
			    "asks for %" PRIu64 " parked bytes, of which there are %" PRIu64, m->a,
			    w->parking.bytes);
	else if (w->parking.wants)
		faults_kill(w, FAULT_PROTOCOL, "asks for its parked bytes twice");
	else
		lease_parked(w, m->id, m->a);
}

static void resumed(struct worker *w, const struct pvgpu_sup *m)
{
	const uint64_t now = pvgpu_poll_now();

	/* A former pvgpud granted it. */
	if (!w->parking.began_ns && w->adopted) {
		copies_end(w);
		residency_came(w, m->a, 0);
		return;
	}
	if (!w->parking.began_ns || m->a != w->parking.coming) {
		faults_kill(w, FAULT_PROTOCOL, "says that memory is back which was not away");
		return;
	}
	pvgpu_latency_add(&w->vgpu->parking.resumes, now - w->parking.began_ns);
	residency_came(w, m->a, now - w->parking.began_ns);
	w->parking.began_ns = 0;
	copies_end(w);
	log_info("%s: %" PRIu64 " MiB are back on the GPU", worker_name(w), m->a >> 20);
}

void parking_heard(struct worker *w, const struct pvgpu_sup *m)
{
	if (m->kind == PVGPU_SUP_PARKED)
		parked(w, m);
	else if (m->kind == PVGPU_SUP_RESUME)
		resume(w, m);
	else
		resumed(w, m);
}

void parking_died(struct worker *w)
{
	if (w->parking.bytes)
		ledger_resume(&w->vgpu->ledger, &w->leased, &w->parking.bytes);
}
