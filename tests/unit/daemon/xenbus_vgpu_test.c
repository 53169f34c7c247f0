/* SPDX-License-Identifier: MIT */
/* A guest's vGPUs from pvgpud's side of xenstore, without sessions and workers: how often pvgpud
 * asks xenstore, and that it serves a vGPU that is attached while the one before is still ending.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define MANY  60u
#define DIR   "/local/domain/0/backend/pvgpu/1"
#define FRONT "/local/domain/1/device/pvgpu"
#define HOST  "/local/domain/0/data/pvgpu"

/* From an attach to two ends that are connected, and from there to nothing. */
#define REQUESTS_UP   43u
#define REQUESTS_DOWN 32u

static struct daemon d;
static struct pool pool, *pools[] = {&pool};
static uint64_t promised, clock_ms, clock_step;
static bool busy;               /* sessions take their time to end */
static struct xen_vgpu *ending; /* the vGPU whose sessions are ending */
static unsigned int connects;

/* ---- the rest of pvgpud ---- */

char *admin_answer(struct daemon *dm, const char *line, size_t len)
{
	return NULL;
}

uint64_t now_ms(void)
{
	return clock_ms += clock_step;
}

struct vgpu *daemon_add_vgpu(struct daemon *dm, const struct config_vgpu *cfg, struct pool *p)
{
	struct vgpu *v = calloc(1, sizeof(*v));

	v->d = dm;
	v->cfg = *cfg;
	promised += cfg->memory;
	xenbus_host_changed(dm);
	return v;
}

void daemon_remove_vgpu(struct vgpu *v)
{
	promised -= v->cfg.memory;
	free(v);
}

struct pool *pool_place(struct daemon *dm, const struct config_vgpu *cfg, const struct vgpu *v,
			char reason[POOL_REASON])
{
	return &pool;
}

bool pool_waits(struct daemon *dm, const struct config_vgpu *cfg)
{
	return false;
}

struct pool *pool_find(struct daemon *dm, const char *name)
{
	return &pool;
}

uint64_t pool_free(const struct pool *p)
{
	return p->device_memory - promised;
}

int pool_live(struct daemon *dm, const char *text, char error[CONFIG_ERROR])
{
	return 0;
}

int group_live(struct daemon *dm, const char *text, char error[CONFIG_ERROR])
{
	return 0;
}

void group_told(struct daemon *dm, struct pool_group *g, const struct pvgpu_backend_group_policy *p)
{
}

int config_vgpu_pool(struct config_vgpu *v, const char *text, char error[CONFIG_ERROR])
{
	return 0;
}

int vgpu_change(struct vgpu *v, const struct config_vgpu *cfg, char reason[POOL_REASON])
{
	return 0;
}

void vgpu_drain(struct vgpu *v, enum pvgpu_drain to)
{
	v->drain = to;
}

bool parking_want(struct vgpu *v, bool on, char *why, size_t cap)
{
	v->parking.on = on;
	return true;
}

bool residency_is_on(const struct pool *p)
{
	return false;
}

void residency_promised(const struct pool *p, uint64_t *reserved, uint64_t *parked)
{
	*reserved = *parked = 0;
}

void canary_clear(struct pool *p)
{
}

void canary_health(const struct pool *p, char *out, size_t cap)
{
	snprintf(out, cap, "ok");
}

bool canary_in_use(const struct pool *p)
{
	return true;
}

const char *health_state(const struct daemon *dm)
{
	return "on";
}

void faults_pardon(struct vgpu *v, uint64_t number)
{
}

uint64_t faults_left_s(const struct vgpu *v)
{
	return 0;
}

void share_policy(struct vgpu *v)
{
}

void share_restore(struct vgpu *v, const struct tenant_stats *before)
{
}

void share_stats(const struct vgpu *v, struct tenant_stats *out)
{
	*out = (struct tenant_stats){0};
}

static struct pvgpu_gpu_card gpu;

void facts_of(const struct vgpu *v, struct pvgpu_gpu_card *out)
{
	*out = gpu;
}

int xenctl_connect(struct xen_vgpu *x, uint32_t ring_ref, uint32_t port, bool adopting,
		   char reason[CHECK_REASON])
{
	connects++;
	return 0;
}

void xenctl_disconnect(struct xen_vgpu *x, bool guest_gone)
{
	if (busy)
		ending = x;
	else
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

/* ---- the toolstack and the guest ---- */

static void put(xs_transaction_t t, const char *dir, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	ck_assert(xs_write(xs_open(0), t, path, value, (unsigned int)strlen(value)));
}

static void set(const char *dir, unsigned int id, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u/%s", dir, id, key);
	fake_set(path, value);
}

static const char *get(const char *dir, unsigned int id, const char *key)
{
	char path[128];
	const char *text;

	snprintf(path, sizeof(path), "%s/%u/%s", dir, id, key);
	text = fake_get(path);
	return text ? text : "";
}

static void attach(unsigned int id)
{
	xs_transaction_t t = xs_transaction_start(xs_open(0));
	char back[64], front[64];

	snprintf(back, sizeof(back), DIR "/%u", id);
	snprintf(front, sizeof(front), FRONT "/%u", id);
	put(t, back, "frontend", front);
	put(t, back, "frontend-id", "1");
	put(t, back, "online", "1");
	put(t, back, "uuid", "6a6c8ab2-9c1b-4d3e-8f10-0123456789ab");
	put(t, back, "memory", "16777216");
	put(t, back, "policy", "");
	put(t, front, "backend", back);
	put(t, front, "backend-id", "0");
	put(t, back, "state", "1");
	put(t, front, "state", "1");
	ck_assert(xs_transaction_end(xs_open(0), t, false));
}

static void detach(unsigned int id)
{
	char path[64];

	snprintf(path, sizeof(path), DIR "/%u", id);
	fake_remove(path);
	snprintf(path, sizeof(path), FRONT "/%u", id);
	fake_remove(path);
}

static void settle(void)
{
	for (unsigned int i = 0; i < 12; i++)
		ev_run(d.loop, EVRUN_NOWAIT);
}

/* pvgpud's requests to xenstore while it handles an event. */
static unsigned int follow(void)
{
	fake_requests();
	settle();
	return fake_requests();
}

static unsigned int connect_guest(unsigned int id)
{
	unsigned int n;

	ck_assert_str_eq(get(DIR, id, "state"), "2");
	set(FRONT, id, "protocol-version", "1");
	set(FRONT, id, "ring-ref", "8");
	set(FRONT, id, "event-channel", "15");
	set(FRONT, id, "state", "3");
	n = follow();
	ck_assert_str_eq(get(DIR, id, "state"), "4");
	set(FRONT, id, "state", "4");
	return n + follow();
}

static void setup(void)
{
	fake_reset();
	fake_set("/local/domain/0/domid", "0");
	fake_domain(1, "guest", "6a6c8ab2-9c1b-4d3e-8f10-0123456789ab");
	log_set_level(LOG_LEVEL_ERROR);
	promised = 0;
	connects = 0;
	clock_step = 1000; /* nothing is too soon */
	busy = false;
	ending = NULL;
	pool = (struct pool){.device_memory = 1ull << 40, .driver_version = 13000};
	strcpy(pool.cfg.name, "default");
	strcpy(pool.model, "a GPU");
	d = (struct daemon){
		.cfg = {.xen = CONFIG_XEN_ON, .max_sessions = 64}, .pools = pools, .pool_n = 1};
	d.loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(xenbus_start(&d), 0);
	xenbus_run(&d);
	settle();
	ck_assert_str_eq(fake_get(HOST "/gpu-memory-free"), "1099511627776");
}

static void teardown(void)
{
	xenbus_stop(&d, false);
	ck_assert_uint_eq(promised, 0);
	ev_loop_destroy(d.loop);
	fake_reset();
}

START_TEST(requests)
{
	unsigned int up = 0, down = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		unsigned int n;

		attach(i);
		n = follow() + connect_guest(i);
		up = n > up ? n : up;
	}
	ck_assert_uint_eq(connects, MANY);
	ck_assert_msg(up <= REQUESTS_UP, "%u requests to connect one more of %u", up, MANY);
	/* An event of none of these vGPUs. */
	fake_set(HOST "/log-level", "error");
	ck_assert_uint_le(follow(), 4);
	for (unsigned int i = 0; i < MANY; i++) {
		unsigned int n;

		set(DIR, i, "online", "0");
		n = follow();
		set(FRONT, i, "state", "6");
		n += follow();
		ck_assert_str_eq(get(DIR, i, "state"), "6");
		detach(i);
		n += follow();
		down = n > down ? n : down;
	}
	ck_assert_msg(down <= REQUESTS_DOWN, "%u requests to detach one", down);
	ck_assert_str_eq(fake_get(HOST "/gpu-memory-free"), "1099511627776");
}
END_TEST

START_TEST(host_keys)
{
	/* The toolstack's "ok" is answered with the state of the GPU, even if that has not changed.
	 */
	ck_assert_str_eq(fake_get(HOST "/health"), "default ok");
	fake_set(HOST "/health", "ok");
	settle();
	ck_assert_str_eq(fake_get(HOST "/health"), "default ok");
	attach(0);
	settle();
	ck_assert_str_eq(fake_get(HOST "/gpu-memory-free"), "1099494850560");
	/* All keys are written again when the directory was lost. */
	fake_remove(HOST);
	attach(1);
	settle();
	attach(2);
	settle();
	ck_assert_str_eq(fake_get(HOST "/gpu-memory-free"), "1099461296128");
	ck_assert_str_eq(fake_get(HOST "/version"), PVGPU_VERSION);
	ck_assert_str_eq(fake_get(HOST "/model"), "a GPU");
}
END_TEST

/* Keys are read again when they change, and not for a state. */
START_TEST(keys_that_change)
{
	attach(0);
	settle();
	connect_guest(0);
	set(DIR, 0, "memory", "much");
	settle();
	ck_assert_ptr_nonnull(strstr(get(DIR, 0, "last-reason"), "memory"));
	/* Running sessions continue; a new connection is refused until the key is right. */
	ck_assert_str_eq(get(DIR, 0, "state"), "4");
	set(DIR, 0, "memory", "33554432");
	set(FRONT, 0, "state", "6");
	settle();
	ck_assert_str_eq(get(DIR, 0, "state"), "6");
	set(FRONT, 0, "state", "1");
	settle();
	connect_guest(0);
	ck_assert_uint_eq(connects, 2);
}
END_TEST

START_TEST(attached_anew_while_the_old_one_ends)
{
	attach(0);
	settle();
	connect_guest(0);
	busy = true;
	detach(0);
	settle();
	ck_assert_ptr_nonnull(ending);
	attach(0);
	settle();
	ck_assert_str_eq(get(DIR, 0, "state"), "1");
	busy = false;
	xenbus_idle(ending);
	settle();
	connect_guest(0);
	ck_assert_uint_eq(connects, 2);
}
END_TEST

/* Keys written by hand: a vGPU that cannot be served is looked at once, and not for ever. */
START_TEST(what_is_left_of_a_directory)
{
	fake_set(DIR "/0/state", "1");
	settle();
	ck_assert_uint_eq(follow(), 0);
	attach(0);
	settle();
	connect_guest(0);
	ck_assert_uint_eq(connects, 1);
}
END_TEST

/* More conflicts than a transaction has retries. */
START_TEST(refused_for_a_while)
{
	attach(0);
	fake_conflicts(100000);
	settle();
	ck_assert_str_eq(get(DIR, 0, "state"), "1");
	fake_conflicts(0);
	while (strcmp(get(DIR, 0, "state"), "2"))
		ev_run(d.loop, EVRUN_ONCE);
	connect_guest(0);
	ck_assert_uint_eq(connects, 1);
}
END_TEST

/* Each vGPU's are written; how many that were. */
static unsigned int count_all(void)
{
	unsigned int writes = 0;
	struct xen_vgpu *x;

	TAILQ_FOREACH(x, &d.xen->vgpus, link)
	{
		uint64_t before = x->stats_ms;

		xenbus_count(x);
		writes += x->stats_ms != before;
	}
	return writes;
}

/* Counters that move all the time: a write a second for each vGPU; none where nothing moves. */
START_TEST(statistics_once_a_second)
{
	const unsigned int vgpus = 30, seconds = 5;
	unsigned int writes = 0;
	struct xen_vgpu *x;

	for (unsigned int i = 0; i < vgpus; i++) {
		attach(i);
		settle();
		connect_guest(i);
	}
	clock_step = 0;
	for (unsigned int ms = 0; ms < seconds * 1000; ms += 10, clock_ms += 10) {
		TAILQ_FOREACH(x, &d.xen->vgpus, link)
		x->v->total++;
		writes += count_all();
	}
	ck_assert_uint_le(writes, vgpus * seconds);
	ck_assert_uint_ge(writes, vgpus * (seconds - 1));
	clock_ms += 1000;
	ck_assert_uint_eq(count_all(), vgpus);
	ck_assert_ptr_nonnull(strstr(get(DIR, 7, "statistics"), "sessions-total=500"));
	clock_ms += 1000;
	ck_assert_uint_eq(count_all(), 0);
}
END_TEST

/* The GPU's description is written when it has changed, and only then. */
START_TEST(facts_of_the_gpu)
{
	attach(7);
	settle();
	gpu.brand = 14;
	connect_guest(7);
	clock_ms += 1000;
	xenbus_changed(TAILQ_FIRST(&d.xen->vgpus));
	ck_assert_uint_eq(count_all(), 1);
	ck_assert_ptr_nonnull(strstr(get(DIR, 7, "statistics"), "brand=14"));
	clock_ms += 1000;
	xenbus_changed(TAILQ_FIRST(&d.xen->vgpus));
	ck_assert_uint_eq(count_all(), 0);
	gpu.temperature = 45;
	clock_ms += 1000;
	xenbus_changed(TAILQ_FIRST(&d.xen->vgpus));
	ck_assert_uint_eq(count_all(), 1);
	ck_assert_ptr_nonnull(strstr(get(DIR, 7, "statistics"), " temperature=45 "));
}
END_TEST

/* Of many together 50 a second, each in its turn. */
START_TEST(statistics_of_many_are_paced)
{
	const unsigned int ms = 6000, step = 5;
	unsigned int writes[MANY] = {0}, all = 0;
	uint64_t before[MANY];
	struct xen_vgpu *x;

	for (unsigned int i = 0; i < MANY; i++) {
		attach(i);
		settle();
		connect_guest(i);
	}
	clock_step = 0;
	for (unsigned int at = 0; at < ms; at += step, clock_ms += step) {
		TAILQ_FOREACH(x, &d.xen->vgpus, link)
		{
			before[x->devid] = x->stats_ms;
			x->v->total++;
			xenbus_changed(x);
		}
		settle();
		TAILQ_FOREACH(x, &d.xen->vgpus, link)
		writes[x->devid] += x->stats_ms != before[x->devid];
	}
	for (unsigned int i = 0; i < MANY; i++) {
		all += writes[i];
		ck_assert_uint_ge(writes[i], ms / (MANY * 20) - 1);
		ck_assert_uint_le(writes[i], ms / (MANY * 20) + 1);
	}
	ck_assert_uint_le(all, ms / 20 + 1);
	ck_assert_uint_ge(all, ms / 20 - MANY / 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xenbus_vgpu");
	TCase *t = tcase_create("xenbus_vgpu");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, requests);
	tcase_add_test(t, host_keys);
	tcase_add_test(t, keys_that_change);
	tcase_add_test(t, attached_anew_while_the_old_one_ends);
	tcase_add_test(t, what_is_left_of_a_directory);
	tcase_add_test(t, refused_for_a_while);
	tcase_add_test(t, statistics_once_a_second);
	tcase_add_test(t, facts_of_the_gpu);
	tcase_add_test(t, statistics_of_many_are_paced);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
