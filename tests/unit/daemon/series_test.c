/* SPDX-License-Identifier: MIT */
/*
 * The series that Prometheus has of a host: VMs are started again and renamed, with xenstore in
 * memory and pvgpud's own code from the keys to the text of /metrics.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/daemon_fake.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/daemon/admin/events.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"
#include "xen-pvgpu-back/statistics/statistics.h"

#define DIR     "/local/domain/0/backend/pvgpu"
#define WEB1    "6f0c7d1e-2b7a-4d3c-9a57-2d8e1f3b4c60"
#define BATCH   "11111111-2b7a-4d3c-9a57-2d8e1f3b4c60"
#define REBOOTS 240 /* in an hour of scrapes each 15 s */

static struct daemon d;
static uint64_t clock_ms;

/* ---- the rest of pvgpud ---- */

char *admin_answer(struct daemon *dm, const char *line, size_t len)
{
	return NULL;
}

unsigned int events_last(struct pvgpu_event_record *out, unsigned int most)
{
	return 0;
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

/* ---- the toolstack ---- */

static void settle(void)
{
	for (unsigned int i = 0; i < 12; i++)
		ev_run(d.loop, EVRUN_NOWAIT);
}

static void put(uint32_t domid, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DIR "/%u/0/%s", domid, key);
	fake_set(path, value);
}

/* name NULL: an older toolstack, which does not tell. */
static void boot(uint32_t domid, const char *name, const char *uuid)
{
	char text[64];

	fake_domain(domid, name ? name : "x", uuid);
	snprintf(text, sizeof(text), "/local/domain/%u/device/pvgpu/0", domid);
	put(domid, "frontend", text);
	snprintf(text, sizeof(text), "/local/domain/%u/device/pvgpu/0/state", domid);
	fake_set(text, "1");
	snprintf(text, sizeof(text), "%u", domid);
	put(domid, "frontend-id", text);
	put(domid, "online", "1");
	snprintf(text, sizeof(text), "9c1b7a52-3f60-4f8e-8d55-%012u", domid);
	put(domid, "uuid", text);
	put(domid, "memory", "1G");
	put(domid, "pool", "/alice");
	if (name) {
		put(domid, "vm-name", name);
		put(domid, "vm-uuid", uuid);
	}
	put(domid, "state", "1");
	settle();
}

static void end(uint32_t domid)
{
	char path[64];

	snprintf(path, sizeof(path), DIR "/%u/0", domid);
	fake_remove(path);
	fake_domain_gone(domid);
	settle();
}

/* ---- Prometheus ---- */

static void scrape(struct text *t)
{
	struct snapshots count = {0};
	char why[STATISTICS_WHY];
	struct statistics s;
	size_t size;
	void *bytes = snapshot_make(&d, &count, &size);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(statistics_take(&s, bytes, size, why), 0);
	statistics_metrics(t, &s);
	statistics_free(&s);
	ck_assert(!t->failed);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The text's series in order, without their values; allocated. */
static char *series_of(struct text *t)
{
	char *lines[4096], *all = calloc(1, t->n + 1), *rest, *line;
	size_t n = 0, at = 0;

	for (line = strtok_r(t->bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '#')
			continue;
		*strrchr(line, ' ') = '\0';
		ck_assert_uint_lt(n, sizeof(lines) / sizeof(lines[0]));
		lines[n++] = line;
	}
	qsort(lines, n, sizeof(lines[0]), compare);
	for (size_t i = 0; i < n; i++) {
		ck_assert_msg(!i || strcmp(lines[i - 1], lines[i]) != 0, "%s is there twice",
			      lines[i]);
		at += (size_t)sprintf(all + at, "%s\n", lines[i]);
	}
	return all;
}

static char *series(void)
{
	struct text t = {0};
	char *all;

	scrape(&t);
	all = series_of(&t);
	text_free(&t);
	return all;
}

/* Says what promtool says, where it is installed. */
static void promtool(void)
{
	struct text t = {0};
	FILE *f;

	if (system("command -v promtool >/dev/null 2>&1") != 0)
		return;
	scrape(&t);
	f = popen("promtool check metrics", "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(t.bytes, 1, t.n, f), t.n);
	ck_assert_int_eq(pclose(f), 0);
	text_free(&t);
}

/* ---- up and down ---- */

static void setup(void)
{
	static struct config_pool pools[1];

	log_set_level(LOG_LEVEL_ERROR);
	fake_reset();
	fake_set("/local/domain/0/domid", "0");
	daemon_fake = (struct daemon_fake){0};
	pools[0] = (struct config_pool){.name = "default", .device = "0", .overcommit = 1000};
	d = (struct daemon){.cfg = {.xen = CONFIG_XEN_ON,
				    .pools = pools,
				    .pool_n = 1,
				    .max_sessions = 64,
				    .xen_max_grants = 1u << 20,
				    .xen_max_channels = 4096}};
	d.loop = ev_loop_new(EVFLAG_AUTO);
	TAILQ_INIT(&d.workers);
	ck_assert_int_eq(pool_start(&d), 0);
	d.pools[0]->device_memory = 16ull << 30;
	ck_assert_int_eq(xenbus_start(&d), 0);
	xenbus_run(&d);
	settle();
}

static void teardown(void)
{
	xenbus_stop(&d, true);
	pool_stop(&d);
	free(d.vgpus);
	ev_loop_destroy(d.loop);
	fake_reset();
}

#define WEB1_LABELS                                                                                \
	"pvgpu_vgpu_sessions{vm=\"web1\",vm_uuid=\"" WEB1                                          \
	"\",vgpu=\"0\",tenant=\"alice\",pool=\"default\",gpu_uuid=\"GPU-of-0\"}\n"

START_TEST(a_vm_that_comes_back_has_no_new_series)
{
	uint32_t domid = 1;
	char *first, *now;

	boot(domid, "web1", WEB1);
	boot(1000, "batch", BATCH);
	first = series();
	ck_assert_msg(strstr(first, WEB1_LABELS) != NULL, "%s", first);
	for (unsigned int i = 0; i < REBOOTS; i++, domid++) {
		/* The domain before ends at the same time, sooner or later. */
		if (i % 2) {
			boot(domid + 1, "web1", WEB1);
			now = series();
			ck_assert_str_eq(now, first);
			free(now);
			end(domid);
		} else {
			end(domid);
			boot(domid + 1, "web1", WEB1);
		}
		now = series();
		ck_assert_str_eq(now, first);
		free(now);
		if (i % 60 == 0)
			promtool();
	}
	free(first);
}
END_TEST

START_TEST(a_vm_that_nobody_names)
{
	char *all;

	boot(1, NULL, WEB1);
	boot(2, NULL, BATCH);
	all = series();
	ck_assert_ptr_nonnull(strstr(all, "pvgpu_vgpu_sessions{vgpu=\"9c1b7a52-3f60-4f8e-8d55-"
					  "000000000001\",tenant=\"alice\","));
	free(all);
	/* pvgpu-attachd tells it later. */
	put(1, "vm-uuid", WEB1);
	put(1, "vm-name", "web\"1");
	settle();
	all = series();
	ck_assert_ptr_nonnull(
		strstr(all, "pvgpu_vgpu_sessions{vm=\"web\\\"1\",vm_uuid=\"" WEB1 "\",vgpu=\"0\""));
	free(all);
}
END_TEST

/* pvgpud is started again: its GPUs have no name of their own before the driver has told it. */
START_TEST(no_series_before_the_gpu_is_known)
{
	char *all;

	boot(1, "web1", WEB1);
	daemon_fake.health_starts = true;
	all = series();
	ck_assert_ptr_null(strstr(all, "pvgpu_vgpu_"));
	ck_assert_ptr_null(strstr(all, "pvgpu_gpu_"));
	ck_assert_ptr_nonnull(strstr(all, "pvgpu_daemon_sessions\n"));
	free(all);
	daemon_fake.health_starts = false;
	all = series();
	ck_assert_ptr_nonnull(strstr(all, WEB1_LABELS));
	free(all);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("series");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_vm_that_comes_back_has_no_new_series);
	tcase_add_test(t, a_vm_that_nobody_names);
	tcase_add_test(t, no_series_before_the_gpu_is_known);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
