/* SPDX-License-Identifier: MIT */
/*
 * Which vGPUs are admitted, with xenstore in memory: the toolstack attaches, pvgpud's own code from
 * the keys to the pools decides, and says why not. Guests, workers and the scheduler are not there.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "tests/unit/daemon/daemon_fake.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define DIR "/local/domain/0/backend/pvgpu"
#define MIB (1ull << 20)

static struct daemon d;
static uint64_t clock_ms;

/* ---- the rest of pvgpud ---- */

char *admin_answer(struct daemon *dm, const char *line, size_t len)
{
	return NULL;
}

uint64_t now_ms(void)
{
	return clock_ms += 1000; /* nothing is too soon */
}

struct vgpu *daemon_add_vgpu(struct daemon *dm, const struct config_vgpu *cfg, struct pool *pool)
{
	struct vgpu *v = calloc(1, sizeof(*v));

	dm->vgpus = realloc(dm->vgpus, (dm->vgpu_n + 1) * sizeof(struct vgpu *));
	vgpu_init(v, dm, cfg, pool);
	dm->vgpus[dm->vgpu_n++] = v;
	pool_changed(pool);
	return v;
}

void daemon_remove_vgpu(struct vgpu *v)
{
	unsigned int i = 0;

	vgpu_close(v, false);
	group_put(v->d, v->group);
	while (v->d->vgpus[i] != v)
		i++;
	v->d->vgpu_n--;
	memmove(&v->d->vgpus[i], &v->d->vgpus[i + 1], (v->d->vgpu_n - i) * sizeof(struct vgpu *));
	pool_changed(v->pool);
	free(v);
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

/* ---- the toolstack and guests ---- */

static void put(uint32_t domid, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DIR "/%u/0/%s", domid, key);
	fake_set(path, value);
}

static const char *get(uint32_t domid, const char *key)
{
	char path[128];
	const char *value;

	snprintf(path, sizeof(path), DIR "/%u/0/%s", domid, key);
	value = fake_get(path);
	return value ? value : "";
}

static void settle(void)
{
	for (unsigned int i = 0; i < 12; i++)
		ev_run(d.loop, EVRUN_NOWAIT);
}

static void front(uint32_t domid, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu/0/%s", domid, key);
	fake_set(path, value);
}

/* The keys without the state. */
static void describe(uint32_t domid, const char *memory)
{
	char text[64];

	snprintf(text, sizeof(text), "/local/domain/%u/device/pvgpu/0", domid);
	put(domid, "frontend", text);
	snprintf(text, sizeof(text), "%u", domid);
	put(domid, "frontend-id", text);
	put(domid, "online", "1");
	snprintf(text, sizeof(text), "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b%02u", domid);
	put(domid, "uuid", text);
	put(domid, "memory", memory);
	front(domid, "state", "1");
}

static void attach(uint32_t domid, const char *memory)
{
	describe(domid, memory);
	put(domid, "state", "1");
	settle();
}

static void detach(uint32_t domid)
{
	char path[64];

	snprintf(path, sizeof(path), DIR "/%u/0", domid);
	fake_remove(path);
	settle();
}

static void change(uint32_t domid, const char *key, const char *value)
{
	put(domid, key, value);
	settle();
}

static struct vgpu *vgpu_of(uint32_t domid)
{
	for (unsigned int i = 0; i < d.vgpu_n; i++)
		if (d.vgpus[i]->xen && d.vgpus[i]->xen->domid == domid)
			return d.vgpus[i];
	return NULL;
}

/* ---- up and down ---- */

static struct config_pool pools[2];
static unsigned int max_grants, each_grants, max_channels; /* 0: the default */

static void known(unsigned int i, uint64_t memory)
{
	d.pools[i]->device_memory = memory;
	pool_known(d.pools[i]);
	pool_changed(d.pools[i]);
	settle();
}

static void up(unsigned int n, uint64_t memory)
{
	log_set_level(LOG_LEVEL_ERROR);
	pools[0] = (struct config_pool){.name = "first", .device = "0", .overcommit = 1000};
	pools[1] = (struct config_pool){.name = "second", .device = "1", .overcommit = 1000};
	d = (struct daemon){.cfg = {.xen = CONFIG_XEN_ON,
				    .pools = pools,
				    .pool_n = n,
				    .max_sessions = 64,
				    .xen_max_grants = max_grants,
				    .xen_vgpu_grants = each_grants,
				    .xen_max_channels = max_channels}};
	d.loop = ev_loop_new(EVFLAG_AUTO);
	TAILQ_INIT(&d.workers);
	ck_assert_int_eq(pool_start(&d), 0);
	for (unsigned int i = 0; i < n; i++)
		d.pools[i]->device_memory = memory;
	ck_assert_int_eq(xenbus_start(&d), 0);
	ck_assert_ptr_nonnull(d.xen);
	xenbus_run(&d);
	settle();
}

static void setup(void)
{
	fake_reset();
	fake_set("/local/domain/0/domid", "0");
	for (unsigned int g = 1; g <= 4; g++)
		fake_domain(g, "guest", "6a6c8ab2-9c1b-4d3e-8f10-0123456789ab");
	daemon_fake = (struct daemon_fake){0};
	max_grants = each_grants = max_channels = 0;
}

static void teardown(void)
{
	xenbus_stop(&d, true);
	ck_assert_uint_eq(d.vgpu_n, 0);
	pool_stop(&d);
	free(d.vgpus);
	ev_loop_destroy(d.loop);
	fake_reset();
}

static void ck_reason(uint32_t domid, const char *part)
{
	ck_assert_msg(strstr(get(domid, "last-reason"), part) != NULL, "'%s' is not in '%s'", part,
		      get(domid, "last-reason"));
}

#define ADMITTED "2" /* InitWait */
#define REFUSED  "6" /* Closed */

START_TEST(what_fits_is_admitted)
{
	up(1, 1024 * MIB);
	attach(1, "536870912");
	ck_assert_str_eq(get(1, "state"), ADMITTED);
	attach(2, "536870912");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	ck_assert_uint_eq(pool_free(d.pools[0]), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/gpu-memory-free"), "0");
	attach(3, "1048576");
	ck_assert_str_eq(get(3, "state"), REFUSED);
	ck_reason(3, "pool has room: memory 1 MiB, but 0 MiB are free: lower it, detach a vGPU or "
		     "raise overcommit");
}
END_TEST

/* The promises to all vGPUs must fit, whatever memory is free. */
START_TEST(promises_must_fit)
{
	static const char *const why[] = {
		"2 vGPUs are promised 700 of 2000 grants each: detach one, lower xen_vgpu_grants "
		"or raise xen_max_grants",
		"2 vGPUs are promised 2 of 5 event channels each: detach one or raise "
		"xen_max_channels",
		"2 vGPUs are promised a session each, and max_sessions is 2: detach one or raise "
		"it"};

	if (_i == 0)
		max_grants = 2000, each_grants = 700;
	else if (_i == 1)
		max_channels = 5;
	up(1, 1024 * MIB);
	if (_i == 2)
		d.cfg.max_sessions = 2;
	attach(1, "1048576");
	attach(2, "0");
	ck_assert_str_eq(get(1, "state"), ADMITTED);
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	attach(3, "1048576");
	ck_assert_str_eq(get(3, "state"), REFUSED);
	ck_reason(3, why[_i]);
	/* When another goes there is room. */
	detach(1);
	ck_assert_str_eq(get(3, "state"), ADMITTED);
}
END_TEST

/* With Xen's defaults there are enough for more vGPUs than are promised to work at a time. */
START_TEST(default_promises)
{
	up(1, 1024 * MIB);
	ck_assert_uint_eq(d.cfg.xen_max_grants, 114688);
	ck_assert_uint_ge(d.cfg.xen_vgpu_grants, 321 + 256);
	ck_assert_uint_ge(d.cfg.xen_max_grants / d.cfg.xen_vgpu_grants, 192);
	ck_assert_uint_ge(d.cfg.xen_max_channels, 2 * 192);
	xenbus_stop(&d, true);
	pool_stop(&d);
	ev_loop_destroy(d.loop);
	fake_set("platform/max_maptrack_frames", "4096");
	up(1, 1024 * MIB);
	ck_assert_uint_eq(d.cfg.xen_max_grants, 4 * 114688);
}
END_TEST

static void two_of_which_one_fits(void)
{
	up(1, 1024 * MIB);
	attach(1, "536870912");
	attach(2, "805306368");
	ck_assert_str_eq(get(2, "state"), REFUSED);
	ck_assert_ptr_null(vgpu_of(2));
	ck_reason(2, "memory 768 MiB, but 512 MiB are free");
}

START_TEST(tried_again_when_memory_is_free)
{
	two_of_which_one_fits();
	change(1, "memory", "402653184");
	ck_assert_str_eq(get(2, "state"), REFUSED);
	change(1, "memory", "268435456");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	ck_assert_uint_eq(vgpu_of(2)->ledger.quota, 768 * MIB);
}
END_TEST

START_TEST(tried_again_when_another_goes)
{
	two_of_which_one_fits();
	detach(1);
	ck_assert_str_eq(get(2, "state"), ADMITTED);
}
END_TEST

START_TEST(tried_again_when_it_asks_for_less)
{
	two_of_which_one_fits();
	change(2, "memory", "536870912");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
}
END_TEST

START_TEST(tried_again_when_more_may_be_promised)
{
	two_of_which_one_fits();
	fake_set("/local/domain/0/data/pvgpu/pools", "first overcommit=1.2");
	settle();
	ck_assert_str_eq(get(2, "state"), REFUSED);
	fake_set("/local/domain/0/data/pvgpu/pools", "first overcommit=1.25");
	settle();
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	ck_assert_uint_eq(daemon_fake.gpus_changed, 2);
	/* Admitted vGPUs stay admitted. */
	fake_remove("/local/domain/0/data/pvgpu/pools");
	settle();
	ck_assert_uint_eq(d.pools[0]->cfg.overcommit, 1000);
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	ck_assert_str_eq(get(1, "state"), ADMITTED);
}
END_TEST

START_TEST(waits_for_a_gpu_that_nobody_knows)
{
	up(1, 0);
	attach(1, "536870912");
	attach(2, "805306368");
	ck_assert_str_eq(get(1, "state"), "1");
	ck_assert_str_eq(get(2, "state"), "1");
	d.pools[0]->failures = 1;
	strcpy(d.pools[0]->failure, "cannot load libcuda");
	xenbus_memory_changed(&d);
	settle();
	ck_assert_str_eq(get(1, "state"), "1");
	ck_reason(1, "cannot load libcuda");
	d.pools[0]->failures = 0;
	known(0, 1024 * MIB);
	ck_assert_str_eq(get(1, "state"), ADMITTED);
	ck_assert_str_eq(get(2, "state"), REFUSED);
}
END_TEST

START_TEST(a_gone_vgpu_waits_no_more)
{
	up(1, 0);
	attach(1, "536870912");
	detach(1);
	ck_assert_ptr_null(TAILQ_FIRST(&d.xen->vgpus));
}
END_TEST

START_TEST(a_raise_that_does_not_fit)
{
	up(1, 1024 * MIB);
	attach(1, "536870912");
	attach(2, "268435456");
	change(2, "memory", "805306368");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	ck_assert_uint_eq(vgpu_of(2)->ledger.quota, 256 * MIB);
	ck_reason(2, "memory 768 MiB, but 512 MiB are free");
	change(1, "memory", "268435456");
	ck_assert_uint_eq(vgpu_of(2)->ledger.quota, 768 * MIB);
}
END_TEST

START_TEST(what_ran_is_not_asked)
{
	describe(1, "805306368");
	put(1, "state", "4");
	front(1, "state", "4");
	describe(2, "805306368");
	put(2, "state", "4");
	front(2, "state", "4");
	describe(3, "1048576");
	put(3, "state", "2");
	up(1, 0);
	ck_assert_ptr_nonnull(vgpu_of(1));
	ck_assert_ptr_nonnull(vgpu_of(2));
	ck_assert_ptr_null(vgpu_of(3));
	ck_assert_str_eq(get(3, "state"), "2");
	known(0, 1024 * MIB);
	ck_assert_str_eq(get(3, "state"), REFUSED);
}
END_TEST

/* The simulation's parts, one in a turn of the loop. */
struct goal;
struct goal_run;
static unsigned int parts, turn_of_part, parts_of_turn;
static const struct goal_run *stepped; /* in turn_of_part */
static uint64_t most_events;

bool __real_goal_go(struct goal_run *r, uint64_t events);
bool __wrap_goal_go(struct goal_run *r, uint64_t events);
int __real_goal_predict(const struct goal *g);
int __wrap_goal_predict(const struct goal *g);

bool __wrap_goal_go(struct goal_run *r, uint64_t events)
{
	const unsigned int turn = ev_iteration(d.loop);

	/* Each of the two pools has one. */
	if (turn == turn_of_part)
		ck_assert_ptr_ne(r, stepped);
	else
		parts_of_turn = 0;
	ck_assert_uint_le(++parts_of_turn, 2);
	turn_of_part = turn;
	stepped = r;
	most_events = events > most_events ? events : most_events;
	parts++;
	return __real_goal_go(r, events);
}

int __wrap_goal_predict(const struct goal *g)
{
	ck_assert_uint_eq(ev_depth(d.loop), 0);
	return __real_goal_predict(g);
}

static void until_state(uint32_t domid, const char *state)
{
	while (strcmp(get(domid, "state"), state) != 0)
		ev_run(d.loop, EVRUN_ONCE);
}

/* A vGPU is refused that would make another one wait longer than its goal, or itself. */
START_TEST(latency_goals)
{
	up(1, 1024 * MIB);
	/* Its use, 0.5 % of the GPU, is due to it beside one of the others, not beside two. */
	put(1, "policy", "weight=1 latency-goal=4000");
	attach(1, "1048576");
	until_state(1, ADMITTED);
	put(2, "policy", "weight=80");
	attach(2, "1048576");
	until_state(2, ADMITTED);
	put(3, "policy", "latency-goal=1000");
	attach(3, "1048576");
	until_state(3, REFUSED);
	ck_reason(3, "pool first: its latency-goal is 1.0 ms, ");
	detach(3);
	put(4, "policy", "weight=80");
	attach(4, "1048576");
	until_state(4, REFUSED);
	ck_reason(4, "pool first: another vGPU's latency-goal is 4.0 ms, ");
	/* There is room again; and a change of settings is not refused. */
	detach(2);
	until_state(4, ADMITTED);
	change(4, "policy", "latency-goal=1");
	ck_assert_str_eq(get(4, "state"), ADMITTED);
	while (!vgpu_of(4)->predicted_us)
		ev_run(d.loop, EVRUN_ONCE);
	ck_assert_uint_gt(vgpu_of(4)->predicted_us, 1);
	ck_assert_uint_gt(vgpu_of(1)->predicted_us, 1);
	change(4, "policy", "");
	while (vgpu_of(4)->predicted_us)
		ev_run(d.loop, EVRUN_ONCE);
}
END_TEST

/* Several at a time; what they wait for is made in parts of bounded length. */
START_TEST(predictions_are_made_in_parts)
{
	up(2, 1024 * MIB);
	parts = turn_of_part = 0;
	most_events = 0;
	put(1, "policy", "latency-goal=20000");
	put(1, "pool", "second");
	attach(1, "1048576");
	until_state(1, ADMITTED);
	for (uint32_t i = 2; i < 6; i++) {
		put(i, "policy", i % 2 ? "" : "latency-goal=20000");
		put(i, "pool", "second");
		describe(i, "1048576");
		put(i, "state", "1");
	}
	for (uint32_t i = 2; i < 6; i++) {
		until_state(i, ADMITTED);
		ck_assert_str_eq(vgpu_of(i)->pool->cfg.name, "second");
	}
	ck_assert_uint_gt(parts, 20);
	ck_assert_uint_le(most_events, 1024);
	/* Another pool for one that is there, while it is predicted what that means. */
	put(6, "policy", "latency-goal=1");
	put(6, "pool", "first");
	attach(6, "1048576");
	until_state(6, ADMITTED);
	change(6, "pool", "second");
	ck_assert_str_eq(vgpu_of(6)->pool->cfg.name, "first");
	while (!*get(6, "last-reason"))
		ev_run(d.loop, EVRUN_ONCE);
	ck_reason(6, "pool second: its latency-goal is 0.0 ms, ");
	change(6, "policy", "latency-goal=20000");
	while (strcmp(vgpu_of(6)->pool->cfg.name, "second") != 0)
		ev_run(d.loop, EVRUN_ONCE);
}
END_TEST

START_TEST(pools_by_name)
{
	up(2, 1024 * MIB);
	describe(1, "536870912");
	put(1, "pool", "second/research");
	attach(1, "536870912");
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "second");
	ck_assert_str_eq(vgpu_of(1)->group->cfg.name, "research");
	put(2, "pool", "third");
	attach(2, "1048576");
	ck_assert_str_eq(get(2, "state"), REFUSED);
	ck_reason(2, "pool third: no such pool");
	change(2, "pool", "first");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	put(3, "pool", "a/b/c");
	attach(3, "1048576");
	ck_assert_str_eq(get(3, "state"), REFUSED);
	ck_reason(3, "POOL, POOL/GROUP or /GROUP");
	/* Another pool takes effect at once while no session runs; another group always does. */
	change(1, "pool", "first/other");
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "first");
	ck_assert_str_eq(vgpu_of(1)->group->cfg.name, "other");
	vgpu_of(1)->sessions = 1;
	change(1, "pool", "second/research");
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "first");
	ck_assert_str_eq(vgpu_of(1)->group->cfg.name, "research");
	vgpu_of(1)->sessions = 0;
	vgpu_settle(vgpu_of(1));
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "second");
	ck_assert_uint_ge(daemon_fake.moved, 4);
}
END_TEST

START_TEST(placed_where_there_is_room)
{
	up(2, 1024 * MIB);
	attach(1, "805306368");
	attach(2, "805306368");
	ck_assert_ptr_ne(vgpu_of(1)->pool, vgpu_of(2)->pool);
	attach(3, "805306368");
	ck_assert_str_eq(get(3, "state"), REFUSED);
	ck_reason(3, "no pool has room: memory 768 MiB, but 256 MiB are free");
	attach(4, "268435456");
	ck_assert_str_eq(get(4, "state"), ADMITTED);
}
END_TEST

START_TEST(placed_by_load)
{
	up(2, 1024 * MIB);
	d.cfg.placement = PLACE_LOAD;
	d.pools[0]->load_ppm = 900000;
	d.pools[1]->load_ppm = 100000;
	attach(1, "1048576");
	attach(2, "1048576");
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "second");
	ck_assert_str_eq(vgpu_of(2)->pool->cfg.name, "second");
	d.pools[1]->load_ppm = 950000;
	attach(3, "1048576");
	ck_assert_str_eq(vgpu_of(3)->pool->cfg.name, "first");
}
END_TEST

START_TEST(nothing_on_an_unsound_gpu)
{
	up(2, 1024 * MIB);
	daemon_fake.unsound = "it gives wrong results";
	attach(1, "1048576");
	attach(2, "1048576");
	ck_assert_str_eq(vgpu_of(1)->pool->cfg.name, "second");
	ck_assert_str_eq(vgpu_of(2)->pool->cfg.name, "second");
	put(3, "pool", "first");
	attach(3, "1048576");
	ck_assert_str_eq(get(3, "state"), REFUSED);
	ck_reason(3, "it gives wrong results");
}
END_TEST

/* One without a promise, too, is tried again when the toolstack says that the GPU is well. */
START_TEST(tried_again_when_the_gpu_is_well)
{
	up(1, 1024 * MIB);
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/health"), "first ok; accounting off");
	daemon_fake.unsound = "the GPU is unhealthy: a test";
	attach(1, "0");
	ck_assert_str_eq(get(1, "state"), REFUSED);
	ck_reason(1, "the GPU is unhealthy: a test");
	fake_set("/local/domain/0/data/pvgpu/health", "first ok");
	settle();
	ck_assert_ptr_nonnull(daemon_fake.unsound); /* as pvgpud itself writes it */
	fake_set("/local/domain/0/data/pvgpu/health", "ok");
	settle();
	ck_assert_ptr_null(daemon_fake.unsound);
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/health"), "first ok; accounting off");
	xenbus_memory_changed(&d); /* canary.c does that */
	settle();
	ck_assert_str_eq(get(1, "state"), ADMITTED);
}
END_TEST

START_TEST(away_from_an_unsound_gpu)
{
	up(2, 1024 * MIB);
	attach(1, "1048576");
	put(2, "pool", "first");
	attach(2, "1048576");
	put(3, "pool", "second");
	attach(3, "1048576");
	attach(4, "1048576");
	ck_assert_ptr_eq(vgpu_of(1)->pool, d.pools[0]);
	vgpu_move(vgpu_of(4), d.pools[0]);
	vgpu_of(4)->sessions = 1;
	daemon_fake.unsound = "it gives wrong results";
	pool_evacuate(d.pools[0]);
	ck_assert_ptr_eq(vgpu_of(1)->pool, d.pools[1]);
	ck_assert_ptr_eq(vgpu_of(2)->pool, d.pools[0]); /* named */
	ck_assert_ptr_eq(vgpu_of(4)->pool, d.pools[0]); /* has a session */
	vgpu_of(4)->sessions = 0;
	vgpu_settle(vgpu_of(4));
	ck_assert_ptr_eq(vgpu_of(4)->pool, d.pools[1]);
	/* The quota can also be changed in the pool that a session binds it to. */
	change(2, "memory", "2097152");
	ck_assert_uint_eq(vgpu_of(2)->ledger.quota, 2 * MIB);
}
END_TEST

/* A vGPU that was left out for lack of room, with sessions of a former pvgpud. */
START_TEST(left_out_with_sessions_stays)
{
	struct vgpu *v;

	up(2, 1024 * MIB);
	attach(1, "1048576");
	v = vgpu_of(1);
	ck_assert_ptr_eq(v->pool, d.pools[0]);
	snprintf(v->unfit, sizeof(v->unfit), "no room");
	v->sessions = 1;
	put(2, "pool", "first");
	attach(2, "1073741824");
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	pool_changed(d.pools[0]);
	ck_assert_ptr_eq(v->pool, d.pools[0]);
	ck_assert_str_eq(v->unfit, "no room");
	v->sessions = 0;
	vgpu_settle(v);
	ck_assert_ptr_eq(v->pool, d.pools[1]);
	ck_assert_str_eq(v->unfit, "");
}
END_TEST

START_TEST(what_is_used_without_a_promise_counts)
{
	uint64_t leased = 0;

	up(1, 1024 * MIB);
	attach(1, "0");
	ck_assert_uint_eq(lease_free(vgpu_of(1)), 1024 * MIB);
	ck_assert(ledger_take(&vgpu_of(1)->ledger, &leased, 512 * MIB));
	attach(2, "805306368");
	ck_assert_str_eq(get(2, "state"), REFUSED);
	ck_reason(2, "512 MiB are free");
	ledger_end(&vgpu_of(1)->ledger, &leased);
	vgpu_changed(vgpu_of(1));
	while (ev_is_active(&d.pools[0]->used_timer))
		ev_run(d.loop, EVRUN_ONCE);
	settle();
	ck_assert_str_eq(get(2, "state"), ADMITTED);
	/* Memory promised by now is not free for it. */
	ck_assert_uint_eq(lease_free(vgpu_of(1)), 256 * MIB);
	/* Neither is memory that its processes have beside their leases, which is no more than it
	 * may have. */
	ledger_measured(&vgpu_of(1)->ledger, &leased, 300 * MIB);
	ck_assert_uint_eq(lease_free(vgpu_of(1)), 0);
	ck_assert_uint_eq(lease_most(vgpu_of(1)), 256 * MIB);
	ck_assert_uint_eq(lease_most(vgpu_of(2)), 768 * MIB);
	ledger_measured(&vgpu_of(1)->ledger, &leased, 0);
}
END_TEST

START_TEST(groups_live)
{
	up(1, 1024 * MIB);
	put(1, "pool", "/research");
	attach(1, "1048576");
	fake_set("/local/domain/0/data/pvgpu/groups",
		 "research weight=300 rate-bytes=2M; idle max-share=5%");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 300);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.bytes_per_s, 2 * MIB);
	ck_assert_uint_eq(daemon_fake.groups_changed, 2);
	/* An invalid value changes nothing. */
	fake_set("/local/domain/0/data/pvgpu/groups", "research weight=0");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 300);
	fake_remove("/local/domain/0/data/pvgpu/groups");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 100);
	detach(1);
	ck_assert(TAILQ_EMPTY(&d.groups));
}
END_TEST

START_TEST(groups_told_by_the_toolstack)
{
	static const char tenant[] = "/9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90";

	up(1, 1024 * MIB);
	put(1, "pool", tenant);
	put(1, "group-policy", "weight=300 max-share=60% rate-commands=5000 rate-bytes=1G");
	attach(1, "1048576");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.commands_per_s, 5000);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.bytes_per_s, 1ull << 30);
	ck_assert_str_eq(vgpu_of(1)->group->cfg.name, tenant + 1);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 300);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.max_ppm, 600000);
	/* A vGPU that says nothing of its group leaves it as it is. */
	put(2, "pool", tenant);
	attach(2, "1048576");
	settle();
	ck_assert_uint_eq(vgpu_of(2)->group->cfg.weight, 300);
	put(2, "group-policy", "weight=50");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 50);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.commands_per_s, 0);
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.max_ppm, 0);
	/* The key data/pvgpu/groups takes precedence while it is there. */
	fake_set("/local/domain/0/data/pvgpu/groups",
		 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90 weight=7");
	settle();
	put(2, "group-policy", "weight=70");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 7);
	fake_remove("/local/domain/0/data/pvgpu/groups");
	settle();
	ck_assert_uint_eq(vgpu_of(1)->group->cfg.weight, 70);
	detach(1);
	detach(2);
	ck_assert(TAILQ_EMPTY(&d.groups));
}
END_TEST

START_TEST(what_each_gpu_has_left)
{
	fake_set("/local/domain/0/data/pvgpu/gpu-7/name", "old");
	up(2, 1024 * MIB);
	settle();
	ck_assert_ptr_null(fake_get("/local/domain/0/data/pvgpu/gpu-7"));
	put(1, "pool", "second");
	attach(1, "268435456");
	settle();
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/gpu-1/name"), "second");
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/gpu-1/room"),
			 "memory=1073741824 memory-free=805306368 vgpus=1 healthy=1 "
			 "park-memory=0 park-free=0 reserve-free=0");
	/* One that is promised nothing is seen, too. */
	put(2, "pool", "first");
	attach(2, "0");
	settle();
	ck_assert_str_eq(fake_get("/local/domain/0/data/pvgpu/gpu-0/room"),
			 "memory=1073741824 memory-free=1073741824 vgpus=1 healthy=1 "
			 "park-memory=0 park-free=0 reserve-free=0");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("admission");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_fits_is_admitted);
	tcase_add_loop_test(t, promises_must_fit, 0, 3);
	tcase_add_test(t, default_promises);
	tcase_add_test(t, tried_again_when_memory_is_free);
	tcase_add_test(t, tried_again_when_another_goes);
	tcase_add_test(t, tried_again_when_it_asks_for_less);
	tcase_add_test(t, tried_again_when_more_may_be_promised);
	tcase_add_test(t, waits_for_a_gpu_that_nobody_knows);
	tcase_add_test(t, a_gone_vgpu_waits_no_more);
	tcase_add_test(t, a_raise_that_does_not_fit);
	tcase_add_test(t, what_ran_is_not_asked);
	tcase_add_test(t, latency_goals);
	tcase_add_test(t, predictions_are_made_in_parts);
	tcase_add_test(t, pools_by_name);
	tcase_add_test(t, placed_where_there_is_room);
	tcase_add_test(t, placed_by_load);
	tcase_add_test(t, nothing_on_an_unsound_gpu);
	tcase_add_test(t, tried_again_when_the_gpu_is_well);
	tcase_add_test(t, away_from_an_unsound_gpu);
	tcase_add_test(t, left_out_with_sessions_stays);
	tcase_add_test(t, what_is_used_without_a_promise_counts);
	tcase_add_test(t, groups_live);
	tcase_add_test(t, groups_told_by_the_toolstack);
	tcase_add_test(t, what_each_gpu_has_left);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
