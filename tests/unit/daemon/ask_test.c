/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl in dom0 asks the pvgpud of a driver domain: both ends' own code, with xenstore in memory
 * between them. And it asks hostile domains, and a pvgpud is asked in ways that pvgpuctl does not.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xenstore.h>

#include "tests/unit/ctl/ctl_run.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/daemon/admin/events.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/statistics.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"
#include "xen-pvgpu-back/statistics/statistics.h"

#define BE      5u
#define HOST    "/local/domain/5/data/pvgpu"
#define REQUEST HOST "/request"
#define ANSWER  HOST "/answer"
#define MANY    60u

static struct daemon d;
static struct xenbus bus;
static struct vgpu vgpus[MANY], *list[MANY];
static struct worker worker;
static unsigned int kills, drains, clears, asked;
static char dir[64], last[PVGPU_KEY_TEXT];

/* ---- the rest of pvgpud ---- */

uint64_t now_ms(void)
{
	return 1000000;
}

void faults_save(struct daemon *dm)
{
}

void canary_drain(struct pool *p)
{
	drains++;
}

void worker_kill(struct worker *w, const char *fmt, ...)
{
	kills++;
}

void xenbus_changed(struct xen_vgpu *x)
{
}

void xenbus_host_changed(struct daemon *dm)
{
}

void xenbus_predicted(struct daemon *dm)
{
}

void xenbus_memory_changed(struct daemon *dm)
{
}

int xenbus_host_make(struct xenbus *b)
{
	struct xs_permissions p = {.id = b->domid, .perms = XS_PERM_NONE};

	ck_assert(xs_mkdir(b->xs, 0, b->host) && xs_set_permissions(b->xs, 0, b->host, &p, 1));
	return 0;
}

struct vgpu *daemon_vgpu(struct daemon *dm, const char *name)
{
	for (unsigned int i = 0; i < dm->vgpu_n; i++)
		if (!strcmp(dm->vgpus[i]->cfg.name, name))
			return dm->vgpus[i];
	return NULL;
}

void *snapshot_copy(struct daemon *dm, size_t *size)
{
	struct snapshots count = {0};

	return snapshot_make(dm, &count, size);
}

void statistics_vgpu(const struct vgpu *v, struct statistics_vgpu *n)
{
	*n = (struct statistics_vgpu){0};
	for (unsigned int i = 0; i < PVGPU_VGPU_N; i++)
		n->value[i] = 1000000 + i;
	for (unsigned int k = 0; k < PVGPU_VGPU_HIST_N; k++)
		n->latency[k] = (struct pvgpu_latency){.n = {3, 2, 1}, .ns = 5000000};
}

/* ---- both ends ---- */

/* pvgpud's loop: it has heard of a change. */
static void pvgpud(void)
{
	const char *text = fake_get(REQUEST);

	if (!text || !strcmp(text, last))
		return;
	snprintf(last, sizeof(last), "%s", text);
	asked++;
	xenbus_ask(&bus);
}

static void start_pvgpud(void)
{
	static struct config_pool pools[] = {
		{.name = "default", .device = "0", .overcommit = 1000}};
	struct config_vgpu cfg = {.memory = 1 << 20};

	ck_assert_int_eq(pvgpu_backend_policy_parse("", 0, &cfg.policy, NULL), 0);
	d.cfg.pools = pools;
	d.cfg.pool_n = 1;
	d.cfg.sandbox = CONFIG_SANDBOX_FULL;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(pool_start(&d), 0);
	d.pools[0]->device_memory = 1ull << 30;
	TAILQ_INIT(&d.workers);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(cfg.name, sizeof(cfg.name), "vgpu%u", i);
		vgpu_init(&vgpus[i], &d, &cfg, d.pools[0]);
		list[i] = &vgpus[i];
	}
	d.vgpus = list;
	d.vgpu_n = MANY;
	vgpus[0].sessions = 1;
	worker = (struct worker){
		.d = &d, .pool = d.pools[0], .vgpu = &vgpus[0], .id = 7, .state = CHECK_SERVING};
	TAILQ_INSERT_TAIL(&d.workers, &worker, link);
	bus = (struct xenbus){.d = &d, .xs = xs_open(0), .domid = BE, .host = HOST};
	xenbus_ask_start(&bus);
}

static void setup(void)
{
	unsetenv("PVGPU_RUN_DIR");
	strcpy(dir, "/tmp/ask-test.XXXXXX");
	ck_assert(mkdtemp(dir));
	ask_limits = (struct ask_limits){dir, 100, 100};
	fake_reset();
	fake_domain(0, "Domain-0", "00000000-0000-0000-0000-000000000000");
	fake_domain(BE, "gpu", "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90");
	kills = drains = clears = asked = 0;
	last[0] = '\0';
	events_start();
	start_pvgpud();
	fake_script(pvgpud);
}

static void teardown(void)
{
	char cmd[96];

	xenbus_ask_stop(&bus, false);
	pool_stop(&d);
	ev_loop_destroy(d.loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

/* ---- what works ---- */

START_TEST(every_subcommand)
{
	ck_assert_int_eq(RUN("pools", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "default ");
	HAS(out, " 1024 ");
	ck_assert_int_eq(RUN("sessions", "--backend", "5"), EXIT_DONE);
	HAS(out, "vgpu0");
	HAS(out, "       7 ");
	ck_assert_int_eq(RUN("sessions", "vgpu0", "--json", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "\"id\": 7,");
	ck_assert_int_eq(RUN("kill", "vgpu0", "7", "--backend", "gpu"), EXIT_DONE);
	ck_assert_uint_eq(kills, 1);
	ck_assert_int_eq(RUN("kill", "vgpu0", "8", "--backend", "gpu"), EXIT_NOT_THERE);
	ck_assert_str_eq(errors, "pvgpuctl: vGPU vgpu0 has no session 8; pvgpuctl sessions shows "
				 "them\n");
	ck_assert_int_eq(RUN("kill", "nosuch", "8", "--backend", "gpu"), EXIT_NOT_THERE);
	ck_assert_str_eq(errors, "pvgpuctl: nosuch: no such vGPU; pvgpuctl list shows them\n");
	ck_assert_int_eq(RUN("gpu", "drain", "nosuch", "--backend", "gpu"), EXIT_NOT_THERE);
	ck_assert_str_eq(errors, "pvgpuctl: nosuch: no such GPU; pvgpuctl pools shows them\n");
	ck_assert_int_eq(RUN("read", "/vgpu/vgpu3/wieght", "--backend", "gpu"), EXIT_NOT_THERE);
	HAS(errors, "/vgpu/vgpu3/wieght: no such key; did you mean weight?");
	ck_assert_int_eq(RUN("write", "/vgpu/vgpu3/wieght", "5", "--backend", "gpu"),
			 EXIT_NOT_THERE);
	HAS(errors, "; did you mean weight?");
	ck_assert_int_eq(RUN("write", "/vgpu/vgpu3/sessions", "5", "--backend", "gpu"),
			 EXIT_REFUSED);
	HAS(errors, "read-only");
	ck_assert_int_eq(RUN("write", "/vgpu/vgpu3/policy", "min-share=60% max-share=50%",
			     "--backend", "gpu"),
			 EXIT_USAGE);
	HAS(errors, "min-share 60% is above max-share 50%");
	ck_assert_uint_eq(vgpus[3].cfg.policy.min_share, 0);
	ck_assert_int_eq(RUN("read", "/vgpu/vgpu3/weight", "--backend", "gpu"), EXIT_DONE);
	ck_assert_str_eq(out, "100\n");
	ck_assert_int_eq(RUN("write", "/vgpu/vgpu3/weight", "250", "--backend", "gpu"), EXIT_DONE);
	ck_assert_int_eq(RUN("wait", "/vgpu/vgpu3/weight", "250", "--backend", "gpu"), EXIT_DONE);
	ck_assert_uint_eq(vgpus[3].cfg.policy.weight, 250);
	ck_assert_int_eq(RUN("tree", "/daemon", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "/daemon/log-level = ");
	/* The audit line says that it was dom0, and which program there. */
	ck_assert_int_eq(RUN("events", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "audit: dom0 uid ");
	HAS(out, "/vgpu/vgpu3/weight: '100' -> '250'");
	ck_assert_int_eq(RUN("gpu", "drain", "default", "--timeout", "0", "--backend", "gpu"),
			 EXIT_TIMEOUT);
	ck_assert_uint_eq(drains, 1);
	HAS(errors, "vGPU vgpu0 has 1 session; pvgpuctl sessions shows it");
	/* Its sessions go on, so the fake GPU is still in use. */
	ck_assert_int_eq(RUN("gpu", "admit", "default", "--timeout", "0", "--backend", "gpu"),
			 EXIT_DONE);
	HAS(out, "in use already");
	ck_assert_int_eq(RUN("doctor", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "pvgpud is in domain 5");
	HAS(out, "GPU default: ok");
	ck_assert_ptr_null(strstr(out, "kernel:"));
}
END_TEST

/* dom0 says of a driver domain what pvgpu-exporter says in it, byte for byte. */
START_TEST(the_same_metrics)
{
	struct snapshots count = {0};
	char why[STATISTICS_WHY];
	struct text t = {0};
	struct statistics s;
	size_t size;
	void *bytes;

	d.vgpu_n = 1;
	ck_assert_int_eq(RUN("stats", "--metrics", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "# TYPE pvgpu_vgpu_grant_wait_seconds histogram\n");
	HAS(out, "pvgpu_vgpu_sessions{vgpu=\"vgpu0\",pool=\"default\",gpu_uuid=\"GPU-of-0\"}");
	HAS(out, "pvgpu_vgpu_kernel_seconds_bucket{");
	bytes = snapshot_make(&d, &count, &size);
	ck_assert_int_eq(statistics_take(&s, bytes, size, why), 0);
	statistics_metrics(&t, &s);
	/* The time that pvgpud itself has taken meanwhile is another one. */
	for (const char *a = out, *b = t.bytes; *a || *b;) {
		const size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");

		if (strncmp(a, "pvgpu_daemon_", 13) != 0)
			ck_assert_msg(n == m && !strncmp(a, b, n), "%.*s is not %.*s", (int)n, a,
				      (int)m, b);
		a += n + (a[n] != '\0');
		b += m + (b[m] != '\0');
	}
	text_free(&t);
	statistics_free(&s);
	ck_assert_int_eq(RUN("stats", "vgpu0", "--metrics", "--backend", "gpu"), EXIT_USAGE);
	HAS(errors, "--metrics is of all vGPUs: leave out vgpu0");
}
END_TEST

/* Nothing of who uses a confidential pool, with vGPUs and without. */
START_TEST(metrics_of_a_confidential_pool)
{
	d.pools[0]->cfg.mode = POOL_CONFIDENTIAL;
	for (d.vgpu_n = 0; d.vgpu_n < 2; d.vgpu_n++) {
		ck_assert_int_eq(RUN("stats", "--metrics", "--backend", "gpu"), EXIT_DONE);
		HAS(out, "pvgpu_gpu_healthy{pool=\"default\",gpu_uuid=\"GPU-of-0\"} 1\n");
		HAS(out, "\npvgpu_daemon_uptime_seconds ");
		ck_assert_ptr_null(strstr(out, "\npvgpu_vgpu_"));
		ck_assert_ptr_null(strstr(out, "\npvgpu_gpu_memory_unpromised_bytes{"));
		ck_assert_ptr_null(strstr(out, "\npvgpu_daemon_sessions "));
	}
	d.pools[0]->cfg.mode = POOL_SHARED;
}
END_TEST

/* A second driver domain with the same vGPUs. */
static struct xenbus other;

static void two_pvgpuds(void)
{
	static char seen[PVGPU_KEY_TEXT];
	const char *text = fake_get("/local/domain/6/data/pvgpu/request");

	pvgpud();
	if (text && strcmp(text, seen) != 0) {
		snprintf(seen, sizeof(seen), "%s", text);
		xenbus_ask(&other);
	}
}

/* Of several backends each line says which, each family is there once, and one that is silent is
 * named and hides nothing. */
START_TEST(metrics_of_several)
{
	const char *last_type;

	d.vgpu_n = 1;
	fake_domain(6, "gpu2", "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b91");
	other = (struct xenbus){
		.d = &d, .xs = xs_open(0), .domid = 6, .host = "/local/domain/6/data/pvgpu"};
	xenbus_ask_start(&other);
	fake_script(two_pvgpuds);
	ck_assert_int_eq(RUN("stats", "--metrics"), EXIT_DONE);
	HAS(out, "pvgpu_daemon_info{backend=\"gpu\",version=");
	HAS(out, "pvgpu_vgpu_sessions{backend=\"gpu\",vgpu=\"vgpu0\",");
	HAS(out, "pvgpu_vgpu_sessions{backend=\"gpu2\",vgpu=\"vgpu0\",");
	last_type = strstr(out, "# TYPE pvgpu_vgpu_sessions ");
	ck_assert_ptr_nonnull(last_type);
	ck_assert_ptr_null(strstr(last_type + 1, "# TYPE pvgpu_vgpu_sessions "));
	fake_script(pvgpud); /* the other one is silent */
	ask_limits.first_s = 0.1;
	ck_assert_int_eq(RUN("stats", "--metrics"), EXIT_TIMEOUT);
	HAS(errors, "domain 6");
	HAS(out, "pvgpu_vgpu_sessions{backend=\"gpu\",vgpu=\"vgpu0\",");
	ck_assert_ptr_null(strstr(out, "gpu2"));
	xenbus_ask_stop(&other, false);
}
END_TEST

/* Without --backend: the socket, else the only domain that answers. */
START_TEST(whom_it_asks)
{
	ck_assert_int_eq(RUN("read", "/vgpu/vgpu3/weight"), EXIT_DONE);
	ck_assert_str_eq(out, "100\n");
	ck_assert_int_eq(RUN("read", "/vgpu/vgpu3/weight", "--local"), EXIT_NOT_THERE);
	HAS(errors, "/run/pvgpu/admin.sock");
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--local", "--backend", "gpu"), EXIT_USAGE);
	HAS(errors, "--backend excludes --local");
	fake_domain(6, "gpu2", "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b91");
	fake_set("/local/domain/6/data/pvgpu/answer", "");
	ck_assert_int_eq(RUN("read", "/daemon/pid"), EXIT_USAGE);
	HAS(errors, "say which with --backend: gpu, gpu2");
	fake_remove("/local/domain/6/data/pvgpu/answer");
	ck_assert_int_eq(RUN("pools", "--backend", "gpu2"), EXIT_NOT_THERE);
	HAS(errors, "domain 6: no pvgpud that answers dom0 runs there");
	ck_assert_int_eq(RUN("pools", "--backend", "gpu3"), EXIT_NOT_THERE);
	HAS(errors, "backend 'gpu3'");
	fake_absent(ENOENT);
	ck_assert_int_eq(RUN("pools", "--backend", "gpu"), EXIT_NOT_THERE);
	HAS(errors, "no xenstore here");
	ck_assert_int_eq(RUN("pools"), EXIT_NOT_THERE);
	HAS(errors, "/run/pvgpu/admin.sock");
}
END_TEST

/* Sixty vGPUs take several pages. A request is gone when it is answered, and its answer with the
 * next look of pvgpud. */
START_TEST(pages)
{
	ck_assert_int_eq(RUN("read", "/vgpu/vgpu59/weight", "--backend", "gpu"), EXIT_DONE);
	ck_assert_uint_eq(asked, 1);
	ck_assert_int_eq(RUN("tree", "/vgpu", "--json", "--backend", "gpu"), EXIT_DONE);
	HAS(out, "\"vgpu9\"");
	ck_assert_uint_gt(asked, 10);
	ck_assert_ptr_null(fake_get(REQUEST));
	ck_assert_ptr_nonnull(bus.ask.text);
	xenbus_ask(&bus);
	ck_assert_ptr_null(bus.ask.text);
	ck_assert_str_eq(fake_get(ANSWER), "");
}
END_TEST

/* Each page fits a node of a domain with xenstored's default quota. */
START_TEST(page_sizes)
{
	char text[PVGPU_KEY_TEXT];
	unsigned int n = 0;
	size_t len = 0;

	fake_set(REQUEST, "18446744073709551615 0/0 {\"op\":\"tree\",\"path\":\"/\"}");
	do {
		struct pvgpu_message m;

		xenbus_ask(&bus);
		ck_assert_uint_le(strlen(fake_get(ANSWER)), 1960);
		ck_assert_int_eq(pvgpu_host_answer_parse(fake_get(ANSWER), strlen(fake_get(ANSWER)),
							 &m, NULL),
				 0);
		ck_assert_uint_eq(m.page, n);
		ck_assert(m.len == PVGPU_MESSAGE_MAX || n + 1 == m.pages);
		len += m.len;
		snprintf(text, sizeof(text), "18446744073709551615 %u/0 ", ++n);
		fake_set(REQUEST, text);
	} while (n < bus.ask.pages);
	ck_assert_uint_eq(len, bus.ask.len);
	/* A page that there is not changes nothing. */
	snprintf(text, sizeof(text), "%s", fake_get(ANSWER));
	xenbus_ask(&bus);
	ck_assert_str_eq(fake_get(ANSWER), text);
}
END_TEST

/* dom0 alone writes requests, the backend alone answers, and no guest reads either. */
static void see_permissions(void)
{
	if (fake_get(REQUEST))
		ck_assert_str_eq(fake_perms(REQUEST), "n0,r5");
	pvgpud();
}

START_TEST(permissions)
{
	ck_assert_str_eq(fake_perms(ANSWER), "n5");
	/* Also where the backend domain was there first. */
	fake_set(REQUEST, "");
	fake_chmod(REQUEST, "n5");
	fake_script(see_permissions);
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_DONE);
	ck_assert_uint_ge(asked, 1);
}
END_TEST

/* A request is done once: not again for its number, and not by the next pvgpud. */
START_TEST(once)
{
	static const char write[] =
		"9 0/0 {\"op\":\"write\",\"path\":\"/vgpu/vgpu0/session/7/kill\","
		"\"value\":\"1\"}";

	fake_set(REQUEST, write);
	xenbus_ask(&bus);
	xenbus_ask(&bus);
	ck_assert_uint_eq(kills, 1);
	HAS(fake_get(ANSWER), "9 0/1 {\"ok\":true}");
	xenbus_ask_stop(&bus, true);
	memset(&bus.ask, 0, sizeof(bus.ask));
	xenbus_ask_start(&bus);
	xenbus_ask(&bus);
	ck_assert_uint_eq(kills, 1);
	HAS(fake_get(ANSWER), "9 0/1 {\"ok\":false,\"error\":\"EAGAIN\"");
	fake_set(REQUEST, "nonsense");
	xenbus_ask(&bus);
	fake_set(REQUEST, "10 0/0 nonsense");
	xenbus_ask(&bus);
	HAS(fake_get(ANSWER), "10 0/1 {\"ok\":false,\"error\":\"EINVAL\"");
	xenbus_ask_stop(&bus, false);
	ck_assert_ptr_null(fake_get(ANSWER));
}
END_TEST

/* ---- hostile domains ---- */

static const char *says; /* behind the request's number */

static void hostile(void)
{
	char text[3 * PVGPU_KEY_TEXT];
	const char *request = fake_get(REQUEST);

	if (!request || !strcmp(request, last))
		return;
	snprintf(last, sizeof(last), "%s", request);
	snprintf(text, sizeof(text), "%.*s %s", (int)strcspn(request, " "), request, says);
	fake_set(ANSWER, text);
}

static void expect(const char *answer, int status, const char *why)
{
	says = answer;
	last[0] = '\0';
	fake_script(hostile);
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), status);
	HAS(errors, why);
	for (const char *p = errors; *p; p++)
		ck_assert((*p >= ' ' && *p <= '~') || *p == '\n');
	ck_assert_ptr_null(fake_get(REQUEST));
}

START_TEST(hostile_answers)
{
	char deep[400] = "0/1 ";

	expect("0/1 {\"ok\":true,\"value\":\"7\"}", EXIT_DONE, "");
	ck_assert_str_eq(out, "7\n");
	expect("0/1 ", EXIT_NOT_THERE, "domain 5: its answer is malformed");
	expect("0/1 []", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":true", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":true,\"value\":\"a\\u001b[2Jb\"}", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":true,\"value\":\"a\\u009bb\"}", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":true,\"a\\u0007b\":\"c\"}", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":false,\"reason\":\"\\u007f\"}", EXIT_NOT_THERE, "malformed");
	expect("0/1 {\"ok\":false}", EXIT_REFUSED, "refused");
	expect("0/1 {\"ok\":7,\"reason\":{}}", EXIT_REFUSED, "refused");
	for (unsigned int i = 0; i < 50; i++)
		strcat(deep, "{\"a\":");
	strcat(deep, "1");
	for (unsigned int i = 0; i < 50; i++)
		strcat(deep, "}");
	expect(deep, EXIT_NOT_THERE, "malformed");
	expect("0/4097 {", EXIT_NOT_THERE, "its answer has 4097 pages, more than 4096");
	expect("0/4294967295 {", EXIT_NOT_THERE, "pages, more than 4096");
}
END_TEST

/* Every subcommand copes with an answer whose parts are of other types. */
START_TEST(hostile_types)
{
	static const char *const answers[] = {
		"0/1 {\"ok\":true}",
		"0/1 {\"ok\":true,\"tree\":7,\"value\":[],\"log\":\"x\",\"list\":{}}",
		"0/1 {\"ok\":true,\"tree\":[[]],\"log\":{\"next\":\"x\",\"events\":[7,[],{}]}}",
		"0/1 {\"ok\":true,\"tree\":{\"vgpu\":7,\"pool\":[1],\"daemon\":\"x\"}}",
		("0/1 {\"ok\":true,\"tree\":{\"vgpu\":{\"a\":[],\"b\":7},\"pool\":{\"p\":null},"
		 "\"daemon\":{\"version\":{}},\"session\":[],\"a\":{\"session\":{\"7\":[]}}}}"),
	};
	static const char *const commands[][3] = {
		{"pools", NULL, NULL},  {"sessions", NULL, NULL}, {"kill", "vgpu0", "7"},
		{"events", NULL, NULL}, {"doctor", NULL, NULL},   {"tree", NULL, NULL},
		{"read", "/a", NULL},   {"write", "/a", "1"},     {"wait", "/a", "1"},
		{"gpu", "drain", "p"},  {"gpu", "admit", "p"},
	};

	fake_script(hostile);
	says = answers[0];
	last[0] = '\0';
	ck_assert_int_eq(RUN("pools", "--backend", "gpu"), EXIT_NOT_THERE);
	HAS(errors, "pvgpud's answer has no keys");
	for (size_t a = 0; a < sizeof(answers) / sizeof(answers[0]); a++) {
		says = answers[a];
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
			const char *const *w = commands[i];

			last[0] = '\0';
			ck_assert_int_le(ctl_run("--backend", "gpu", "--timeout", "0", w[0],
						 w[1] ? w[1] : NULL, w[2], NULL),
					 EXIT_TIMEOUT);
		}
	}
}
END_TEST

/* Silence, an answer to another question, garbage, pages without end: it ends when its time is
 * over. */
START_TEST(hostile_silence)
{
	ask_limits.first_s = 0;
	fake_script(NULL);
	fake_set(ANSWER, "1 0/1 {\"ok\":true,\"value\":\"7\"}");
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_TIMEOUT);
	HAS(errors, "domain 5 has not answered in 0 s: does pvgpud run there?");
	fake_set(ANSWER, "nonsense");
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_TIMEOUT);
	HAS(errors, "host/answer 'nonsense': must be");
	ask_limits = (struct ask_limits){dir, 100, 0};
	expect("0/2 {", EXIT_TIMEOUT, "domain 5 has not answered in 0 s");
}
END_TEST

static void changes_its_mind(void)
{
	static bool first;

	first = !first;
	says = first ? "0/2 {" : "1/3 }";
	hostile();
}

START_TEST(hostile_pages)
{
	fake_script(changes_its_mind);
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_NOT_THERE);
	HAS(errors, "its answer has 3 pages, not 2: was its pvgpud started meanwhile?");
}
END_TEST

/* Transactions that the domain makes fail for ever. */
START_TEST(hostile_writer)
{
	fake_writer(HOST);
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_REFUSED);
	HAS(errors, "xenstore: the request to domain 5: ");
}
END_TEST

/* One at a time. */
START_TEST(locked)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/pvgpuctl-5.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ask_limits.first_s = 0;
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_TIMEOUT);
	HAS(errors, "another pvgpuctl is asking domain 5");
	ck_assert_ptr_null(fake_get(REQUEST));
	close(fd);
	ask_limits.first_s = 100;
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_DONE);
	/* A link in its place is not followed. */
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(RUN("read", "/daemon/pid", "--backend", "gpu"), EXIT_REFUSED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ask");
	TCase *t = tcase_create("ask");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_subcommand);
	tcase_add_test(t, the_same_metrics);
	tcase_add_test(t, metrics_of_a_confidential_pool);
	tcase_add_test(t, metrics_of_several);
	tcase_add_test(t, whom_it_asks);
	tcase_add_test(t, pages);
	tcase_add_test(t, page_sizes);
	tcase_add_test(t, permissions);
	tcase_add_test(t, once);
	tcase_add_test(t, hostile_answers);
	tcase_add_test(t, hostile_types);
	tcase_add_test(t, hostile_silence);
	tcase_add_test(t, hostile_pages);
	tcase_add_test(t, hostile_writer);
	tcase_add_test(t, locked);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
