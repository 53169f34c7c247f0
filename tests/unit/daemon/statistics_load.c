/* SPDX-License-Identifier: MIT */
/*
 * statistics_load: pvgpud's side of xenstore as it is (xen/, pools, statistics), over a xenstored
 * whose socket is in the environment (XENSTORED_PATH). Every statistic of each vGPU changes all the
 * time. The scheduler, workers and guests' rings are not there, so what this process uses of a
 * processor is what statistics and xenstore cost. statistics_load_test.py plays toolstack and
 * guests.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/daemon/daemon_fake.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define TICK_S 0.1 /* share.c tells xenbus of changes once a second */

static struct daemon d;
static uint64_t ticks;

/* ---- the rest of pvgpud ---- */

void __wrap_share_stats(const struct vgpu *v, struct tenant_stats *out);
void __wrap_share_stats(const struct vgpu *v, struct tenant_stats *out)
{
	const uint64_t n = ticks * 1000 + v->xen->domid;

	*out = (struct tenant_stats){.gpu_ns = n * 900000,
				     .due_ns = n * 1000000,
				     .wait_ns = n * 300000,
				     .throttled_ns = n * 2000,
				     .rate_ns = n * 1000,
				     .copy_bytes = n * 65536,
				     .launches = n * 7,
				     .commands = n * 11,
				     .slices = n,
				     .inflight_ns = n % 7 * 1000,
				     .parked = n % 3,
				     .promise_ppm = 10000};
	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++)
		out->grant_wait.n[i] = out->command_wait.n[i] = out->kernels.n[i] = n * (i + 1);
}

char *admin_answer(struct daemon *dm, const char *line, size_t len)
{
	return NULL;
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct vgpu *daemon_add_vgpu(struct daemon *dm, const struct config_vgpu *cfg, struct pool *pool)
{
	struct vgpu *v = calloc(1, sizeof(*v));

	dm->vgpus = realloc(dm->vgpus, (dm->vgpu_n + 1) * sizeof(struct vgpu *));
	if (!v || !dm->vgpus)
		abort();
	vgpu_init(v, dm, cfg, pool);
	dm->vgpus[dm->vgpu_n++] = v;
	pool_changed(pool);
	return v;
}

/* The test detaches none. */
void daemon_remove_vgpu(struct vgpu *v)
{
	abort();
}

int xenctl_connect(struct xen_vgpu *x, uint32_t ring_ref, uint32_t port, bool adopting,
		   char reason[CHECK_REASON])
{
	return 0;
}

void xenctl_disconnect(struct xen_vgpu *x, bool guest_gone)
{
	xenbus_idle(x);
}

void xenctl_leave(struct xen_vgpu *x)
{
}

void xenctl_maps_stop(struct daemon *all)
{
}

void faults_breach(struct vgpu *v, const char *why)
{
}

/* ---- */

static void on_tick(struct ev_loop *loop, ev_timer *t, int events)
{
	ticks++;
	for (unsigned int i = 0; i < d.vgpu_n; i++)
		xenbus_changed(d.vgpus[i]->xen);
}

static void on_term(struct ev_loop *loop, ev_signal *s, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

int main(void)
{
	static struct config_pool pool = {.name = "default", .device = "0", .overcommit = 1000};
	static ev_timer tick;
	static ev_signal term;

	d = (struct daemon){.cfg = {.xen = CONFIG_XEN_ON,
				    .pools = &pool,
				    .pool_n = 1,
				    .max_sessions = 1024,
				    .xen_max_grants = 1u << 20,
				    .xen_max_channels = 4096}};
	d.loop = ev_loop_new(EVFLAG_AUTO);
	TAILQ_INIT(&d.workers);
	if (!d.loop || pool_start(&d) < 0)
		return 1;
	d.pools[0]->device_memory = UINT64_C(1) << 40;
	if (xenbus_start(&d) < 0 || !d.xen)
		return 1;
	xenbus_run(&d);
	ev_timer_init(&tick, on_tick, TICK_S, TICK_S);
	ev_timer_start(d.loop, &tick);
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_start(d.loop, &term);
	ev_run(d.loop, 0);
	return d.failed;
}
