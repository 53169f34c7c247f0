/* SPDX-License-Identifier: MIT */
/* pvgpuctl's command line in dom0: options, subcommands, what is printed, exit status. */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/ctl/ctl_run.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"

#define FE    "/local/domain/3/device/pvgpu/0"
#define BE    "/local/domain/0/backend/pvgpu/3/0"
#define UUID0 "00000000-0000-0000-0000-000000000000"
#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define VGPU  "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"

static char dir[64];

static void setup(void)
{
	unsetenv("PVGPU_RUN_DIR");
	strcpy(dir, "/tmp/ctl-test.XXXXXX");
	ck_assert(mkdtemp(dir));
	fake_reset();
	fake_domain(0, "Domain-0", UUID0);
	fake_domain(3, "web1", UUID3);
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "8589934592");
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

/* Both ends as they should be: each looks at the other's state. */
static void behave(void)
{
	const char *fe = fake_get(FE "/state"), *be = fake_get(BE "/state"), *on;

	if (!fe || !be)
		return;
	on = fake_get(BE "/online");
	if (on && !strcmp(on, "0") && strcmp(be, "6") != 0)
		fake_set(BE "/state", strcmp(be, "5") != 0 ? "5" : "6");
	else if (!strcmp(be, "6") && !strcmp(fe, "4"))
		fake_set(FE "/state", "6");
	else if (!strcmp(be, "1"))
		fake_set(BE "/state", "2");
	else if (!strcmp(be, "2") && !strcmp(fe, "1"))
		fake_set(FE "/state", "3");
	else if (!strcmp(be, "2") && !strcmp(fe, "3"))
		fake_set(BE "/state", "4");
	else if (!strcmp(be, "4") && !strcmp(fe, "3"))
		fake_set(FE "/state", "4");
}

START_TEST(usage)
{
	ck_assert_int_eq(RUN("dance"), EXIT_USAGE);
	HAS(errors, "dance: no such command");
	ck_assert_int_eq(RUN("attach"), EXIT_USAGE);
	HAS(errors, "Usage: pvgpuctl attach VM");
	ck_assert_int_eq(RUN("attach", "web1", "more"), EXIT_USAGE);
	ck_assert_int_eq(RUN("list", "--weight", "3"), EXIT_USAGE);
	HAS(errors, "--weight is no option of list");
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "lots"), EXIT_USAGE);
	ck_assert_str_eq(errors,
			 "pvgpuctl: --memory 'lots': must be 0, or bytes or a number with K, "
			 "M, G or T, 1M to 1024T\n");
	/* A number without its unit. */
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "8"), EXIT_USAGE);
	HAS(errors, "--memory '8': must be ");
	HAS(errors, "; did you mean 8G?");
	ck_assert_int_eq(RUN("attach", "web1", "--arena-limit", "512"), EXIT_USAGE);
	HAS(errors, "; did you mean 512M?");
	/* Each error has the name of the option once. */
	ck_assert_int_eq(RUN("attach", "web1", "--priority", "urgent"), EXIT_USAGE);
	ck_assert_str_eq(errors, "pvgpuctl: --priority 'urgent': must be high, medium or low\n");
	ck_assert_int_eq(RUN("attach", "web1", "--min-share", "60%", "--max-share", "50%"),
			 EXIT_USAGE);
	HAS(errors, "web1: min-share 60% is above max-share 50%");
	ck_assert_int_eq(RUN("attach", "web1", "--id", "-1"), EXIT_USAGE);
	ck_assert_int_eq(RUN("attach", "web1", "--id", "65536"), EXIT_USAGE);
	ck_assert_int_eq(RUN("attach", "web1", "--weight", "0"), EXIT_USAGE);
	ck_assert_int_eq(RUN("attach", "web1", "--uuid", "1"), EXIT_USAGE);
	ck_assert_int_eq(RUN("attach", "web1", "--timeout", "soon"), EXIT_USAGE);
	ck_assert_int_eq(RUN("attach", "web1", "--nonsense"), EXIT_USAGE);
	ck_assert_int_eq(RUN("detach", "web1", "--all", "--id", "0"), EXIT_USAGE);
	ck_assert_int_eq(RUN("--help"), EXIT_DONE);
	HAS(out, "--max-sessions N");
	ck_assert_int_eq(RUN("detach", "--help"), EXIT_DONE);
	HAS(out, "Usage: pvgpuctl detach VM");
	ck_assert_ptr_null(strstr(out, "--weight"));
	ck_assert_ptr_null(fake_get(FE));
}
END_TEST

/* Statistics from xenstore alone: a line in 80 columns, JSON. */
START_TEST(statistics)
{
	const char *line;

	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1"), EXIT_DONE);
	fake_set(BE "/statistics", "sessions=2 gpu-time=1500000 launches=7 memory-used=1048576 "
				   "command-wait-p99=2048 grant-wait-p50=4");
	ck_assert_int_eq(RUN("top", "--interval", "0.1"), EXIT_DONE);
	line = strstr(out, "web1:0 ");
	ck_assert_ptr_nonnull(line);
	ck_assert_uint_le(strcspn(line, "\n"), 80);
	HAS(line, "2.0ms\n");
	ck_assert_int_eq(RUN("stats", "web1"), EXIT_DONE);
	HAS(out, "gpu-time                            1500000 ");
	ck_assert_int_eq(RUN("stats", "--json"), EXIT_DONE);
	HAS(out, ",\"daemon\":null,\"gpus\":[],\"vgpus\":[{\"name\":\"web1:0\",\"vm\":{\"domid\":3,"
		 "\"name\":\"web1\",");
	HAS(out, "\"memory-used\":1048576,");
	HAS(out, "\"sessions-refused\":null,"); /* no key has it */
	HAS(out, "\"command-wait\":{\"count\":null,\"sum\":null,\"avg\":0,\"p50\":0,\"p95\":0,"
		 "\"p99\":2048,\"buckets\":null}");
	/* Histograms are pvgpud's, and none answers. */
	ck_assert_int_eq(RUN("stats", "--metrics"), EXIT_NOT_THERE);
	HAS(errors, "no domain has a pvgpud that answers dom0");
	ck_assert_int_eq(RUN("stats", "web2"), EXIT_NOT_THERE);
	ck_assert_int_eq(RUN("top", "--sort", "colour"), EXIT_USAGE);
	ck_assert_int_eq(RUN("top", "--interval", "0"), EXIT_USAGE);
	ck_assert_int_eq(RUN("top", "--count", "0"), EXIT_USAGE);
}
END_TEST

static unsigned long long charged; /* 0: nothing happens while pvgpuctl sleeps */

/* In place of libc's: while pvgpuctl sleeps, its vGPU is charged more than the time that passes, as
 * at the end of a long slice. */
int nanosleep(const struct timespec *t, struct timespec *left)
{
	char text[80];

	if (charged) {
		charged += 10000000;
		snprintf(text, sizeof(text), "sessions=1 gpu-time=%llu wait-time=%llu", charged,
			 charged);
		fake_set(BE "/statistics", text);
	}
	return clock_nanosleep(CLOCK_MONOTONIC, 0, t, left);
}

START_TEST(no_part_of_time_is_above_all_of_it)
{
	const char *line;

	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1"), EXIT_DONE);
	charged = 1;
	ck_assert_int_eq(RUN("top", "--interval", "0.1"), EXIT_DONE);
	charged = 0;
	line = strstr(out, "web1:0 ");
	ck_assert_ptr_nonnull(line);
	HAS(line, " 100.0 ");
	for (const char *p = line; (p = strchr(p, ' ')); p++)
		ck_assert_msg(strtod(p, NULL) <= 100, "%s", line);
}
END_TEST

START_TEST(not_there)
{
	ck_assert_int_eq(RUN("attach", "web2"), EXIT_NOT_THERE);
	HAS(errors, "VM 'web2': no domain here has that name, uuid or number");
	ck_assert_int_eq(RUN("attach", "web1", "--backend", "gpu"), EXIT_NOT_THERE);
	HAS(errors, "backend 'gpu'");
	ck_assert_int_eq(RUN("attach", "Domain-0", "--backend", "web1"), EXIT_NOT_THERE);
	HAS(errors, "no pvgpud runs in domain 3");
	ck_assert_int_eq(RUN("show", "web1"), EXIT_NOT_THERE);
	ck_assert_int_eq(RUN("detach", "web1"), EXIT_NOT_THERE);
	HAS(errors, "has no vGPU");
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "9G"), EXIT_REFUSED);
	HAS(errors, "only 8192 MiB");
	fake_absent(ENOENT);
	ck_assert_int_eq(RUN("attach", "web1"), EXIT_NOT_THERE);
	HAS(errors, "no xenstore here");
	/* Without xenstore these are about the admin socket. */
	ck_assert_int_eq(RUN("list"), EXIT_NOT_THERE);
	HAS(errors, "/run/pvgpu/admin.sock");
	fake_absent(0);
	ck_assert_int_eq(RUN("list", "--run-dir", "/nowhere"), EXIT_NOT_THERE);
	HAS(errors, "/nowhere/admin.sock");
	ck_assert_int_eq(RUN("list", "--local"), EXIT_NOT_THERE);
	HAS(errors, "admin.sock");
	/* Options that only VMs' vGPUs have are not passed over. */
	ck_assert_int_eq(RUN("set", "a", "weight=5", "--all", "--local"), EXIT_USAGE);
	HAS(errors, "--all is for the vGPUs of VMs");
	ck_assert_int_eq(RUN("list", "--watch", "--local"), EXIT_USAGE);
}
END_TEST

START_TEST(life)
{
	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "2G", "--weight", "300", "--uuid", VGPU),
			 EXIT_DONE);
	ck_assert_str_eq(out, "vGPU 0 of web1: Connected, served by Domain-0, uuid " VGPU "\n");
	ck_assert_str_eq(errors, "");
	ck_assert_int_eq(RUN("attach", "3", "--id", "0"), EXIT_REFUSED);
	HAS(errors, "already has a vGPU 0");
	fake_set(BE "/statistics", "memory-used=1073741824 sessions=2 gpu-time=48210077 "
				   "memory-parked=536870912");
	ck_assert_int_eq(RUN("list"), EXIT_DONE);
	HAS(out,
	    "web1         3    0 Domain-0 Connected                    1024/2048        512    300 "
	    "medium        100%        2       48.2       0.0\n");
	ck_assert_int_eq(RUN("set", UUID3, "max-sessions=2", "memory=1G", "drain=1"), EXIT_DONE);
	ck_assert_str_eq(fake_get(BE "/policy"), "weight=300 max-sessions=2 drain=1");
	ck_assert_str_eq(fake_get(BE "/memory"), "1073741824");
	ck_assert_str_eq(fake_perms(BE "/policy"), "n0,r3");
	ck_assert_int_eq(RUN("set", "web1", "weight=0"), EXIT_USAGE);
	ck_assert_int_eq(RUN("set", "web1", "weight"), EXIT_USAGE);
	ck_assert_int_eq(RUN("set", "web1", "uuid=" VGPU), EXIT_USAGE);
	ck_assert_str_eq(fake_get(BE "/policy"), "weight=300 max-sessions=2 drain=1");
	ck_assert_int_eq(RUN("set", "web1", "max-share=12.50%", "priority=low", "pool=default/lab"),
			 EXIT_DONE);
	ck_assert_str_eq(fake_get(BE "/policy"),
			 "weight=300 max-sessions=2 drain=1 max-share=12.5% priority=low");
	ck_assert_str_eq(fake_get(BE "/pool"), "default/lab");
	ck_assert_int_eq(RUN("set", "web1", "max-share=101%"), EXIT_USAGE);
	HAS(errors, "a share of 0% to 100%");
	ck_assert_int_eq(RUN("set", "web1", "wieght=5"), EXIT_USAGE);
	HAS(errors, "vGPU 0 of web1: wieght: no such setting; did you mean weight?");
	ck_assert_int_eq(RUN("set", "web1", "colour=red"), EXIT_USAGE);
	HAS(errors, "colour: no such setting; there are backend, uuid, model, memory, ");
	ck_assert_int_eq(RUN("set", "web1", "min-share=20%"), EXIT_USAGE);
	HAS(errors, "min-share 20% is above max-share 12.5%");
	/* Both together, in either order. */
	ck_assert_int_eq(RUN("set", "web1", "min-share=20%", "max-share=30%"), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "max-share=12.5%", "min-share=0%"), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "memory=8"), EXIT_USAGE);
	HAS(errors, "; did you mean 8G?");
	ck_assert_int_eq(RUN("list", "--json"), EXIT_DONE);
	HAS(out, "\"max-share\": \"12.5%\"");
	HAS(out, "\"weight\": 300");
	HAS(out, "\"pool\": \"default/lab\"");
	ck_assert_int_eq(RUN("show", "web1"), EXIT_DONE);
	HAS(out, "backend: Domain-0 (domain 0)");
	HAS(out, "weight=300");
	ck_assert_int_eq(RUN("detach", "web1", "--uuid", UUID3), EXIT_NOT_THERE);
	HAS(errors, "no such vGPU");
	ck_assert_int_eq(RUN("detach", "web1"), EXIT_DONE);
	ck_assert_str_eq(out, "vGPU 0 of web1: detached\n");
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	ck_assert_ptr_null(fake_get("/local/domain/3/device/pvgpu"));
}
END_TEST

/* A vGPU of the answer that was printed, which the caller frees. */
static json_t *vgpu_in(json_t *answer, size_t n)
{
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "format")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "vgpus")), n);
	return json_array_get(json_object_get(answer, "vgpus"), 0);
}

START_TEST(json)
{
	json_t *all, *o;

	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1", "--json", "--memory", "2G"), EXIT_DONE);
	all = json_loads(out, 0, NULL);
	o = vgpu_in(all, 1);
	ck_assert(json_is_true(json_object_get(o, "connected")));
	ck_assert_int_eq(json_integer_value(json_object_get(o, "memory")), 2ll << 30);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "vm"), "name")),
			 "web1");
	json_decref(all);
	ck_assert_int_eq(RUN("list", "--json"), EXIT_DONE);
	all = json_loads(out, 0, NULL);
	vgpu_in(all, 1);
	json_decref(all);
	ck_assert_int_eq(RUN("show", "web1", "--json"), EXIT_DONE);
	all = json_loads(out, 0, NULL);
	o = json_object_get(json_object_get(vgpu_in(all, 1), "keys"), "frontend");
	ck_assert_str_eq(json_string_value(json_object_get(o, "backend")), BE);
	json_decref(all);
	fake_domain_gone(3);
	ck_assert_int_eq(RUN("list", "web1"), EXIT_NOT_THERE);
	/* Keys that its domain has left behind can still be named by the domain's number. */
	ck_assert_int_eq(RUN("list", "3"), EXIT_DONE);
	HAS(out, "domain 3");
	ck_assert_int_eq(RUN("detach", "3"), EXIT_DONE);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
}
END_TEST

START_TEST(waiting)
{
	json_t *o;

	ck_assert_int_eq(RUN("attach", "web1", "--timeout", "0"), EXIT_TIMEOUT);
	HAS(errors,
	    "vGPU 0 of web1 is not connected after 0 s: pvgpud in Domain-0 has not taken it "
	    "up");
	HAS(errors, "It stays attached");
	ck_assert_ptr_nonnull(fake_get(BE));
	fake_set(BE "/state", "2");
	ck_assert_int_eq(RUN("detach", "web1", "--timeout", "0"), EXIT_TIMEOUT);
	HAS(errors, "--force");
	ck_assert_str_eq(fake_get(BE "/online"), "0");
	ck_assert_int_eq(RUN("detach", "web1", "--force"), EXIT_DONE);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	HAS(out, "Initialising");
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	ck_assert_int_eq(RUN("detach", "web1"), EXIT_USAGE);
	HAS(errors, "has 2 vGPUs: say which with --id");
	ck_assert_int_eq(RUN("detach", "web1", "--all", "--force"), EXIT_DONE);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	ck_assert_int_eq(RUN("attach", "web1", "--timeout", "0", "--json"), EXIT_TIMEOUT);
	o = json_loads(out, 0, NULL);
	HAS(json_string_value(json_object_get(vgpu_in(o, 1), "reason")), "has not taken it up");
	json_decref(o);
}
END_TEST

/* The second time changes nothing, whatever identifies the vGPU. */
START_TEST(ensured)
{
	size_t nodes;

	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--ensure"), EXIT_DONE);
	HAS(out, "vGPU 0 of web1: Connected");
	nodes = fake_nodes();
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--ensure"), EXIT_DONE);
	HAS(out, "vGPU 0 of web1: Connected");
	ck_assert_int_eq(RUN("attach", "web1", "--id", "0", "--ensure", "--json"), EXIT_DONE);
	HAS(out, "\"connected\": true");
	ck_assert_uint_eq(fake_nodes(), nodes);
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "2G", "--ensure"), EXIT_REFUSED);
	HAS(errors, "web1: vGPU 0 of web1 is there, and its memory is another one: pvgpuctl set");
	ck_assert_uint_eq(fake_nodes(), nodes);
	/* Another number is another vGPU. */
	ck_assert_int_eq(RUN("attach", "web1", "--id", "1", "--no-wait", "--ensure"), EXIT_DONE);
	ck_assert_uint_gt(fake_nodes(), nodes);
	nodes = fake_nodes();
	ck_assert_int_eq(RUN("attach", "web1", "--id", "1", "--no-wait", "--ensure"), EXIT_DONE);
	ck_assert_uint_eq(fake_nodes(), nodes);
}
END_TEST

static void refuse(void)
{
	if (!fake_get(BE "/state") || !strcmp(fake_get(BE "/state"), "6"))
		return;
	fake_set(BE "/last-reason", "policy: no");
	fake_set(BE "/state", "6");
}

START_TEST(refused)
{
	fake_script(refuse);
	ck_assert_int_eq(RUN("attach", "web1", "--persistent", "--config-dir", dir), EXIT_REFUSED);
	HAS(errors, "vGPU 0 of web1: pvgpud in Domain-0 refused it: policy: no");
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(mkdtemp(strcpy(dir, "/tmp/ctl-test.XXXXXX")));
}
END_TEST

START_TEST(persistent)
{
	char path[128], line[256] = "";
	FILE *f;

	fake_script(behave);
	ck_assert_int_eq(RUN("attach", "web1", "--persistent", "--config-dir", dir, "--memory",
			     "1G", "--uuid", VGPU),
			 EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "weight=7", "--persistent", "--config-dir", dir),
			 EXIT_DONE);
	snprintf(path, sizeof(path), "%s/web1.conf", dir);
	f = fopen(path, "r");
	ck_assert(f);
	ck_assert_uint_gt(fread(line, 1, sizeof(line) - 1, f), 0);
	fclose(f);
	HAS(line, "[vgpu 0]\nuuid = " VGPU "\nmemory = 1073741824\nweight = 7\n");
	ck_assert_int_eq(RUN("detach", "web1", "--config-dir", dir), EXIT_DONE);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(RUN("detach", "web1", "--persistent", "--config-dir", dir), EXIT_DONE);
	ck_assert_int_lt(access(path, F_OK), 0);
	ck_assert_int_eq(RUN("detach", "web1", "--persistent", "--config-dir", dir),
			 EXIT_NOT_THERE);
	/* The VM does not run. */
	ck_assert_int_eq(RUN("attach", "web1", "--persistent", "--config-dir", dir), EXIT_DONE);
	fake_domain_gone(3);
	ck_assert_int_eq(RUN("detach", "web1", "--persistent", "--config-dir", dir), EXIT_DONE);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(sizing)
{
	json_t *o, *l;

	/* Neither Xen nor pvgpud is asked. */
	fake_absent(ENOENT);
	/* Twenty vGPUs take 80 GiB; there is no memory for one more. */
	ck_assert_int_eq(RUN("sizing", "--load", "web:memory=4G,duty=0.1%", "--gpu-memory", "80G",
			     "--p99", "1s"),
			 EXIT_DONE);
	HAS(out, "One GPU carries 20 vGPUs of this mix. Limited by memory: 0.0 GiB");
	HAS(out, "memory 80.0 of 80.0 GiB");
	/* Four vGPUs that always have work get a quarter each; a fifth would not. */
	ck_assert_int_eq(RUN("sizing", "--json", "--load",
			     "hog:arrival=closed,duty=100%,least=21%,p99=none", "--switch", "0us"),
			 EXIT_DONE);
	o = json_loads(out, 0, NULL);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "vgpus")), 4);
	ck_assert_str_eq(json_string_value(json_object_get(o, "limit")), "least");
	l = json_array_get(json_object_get(o, "loads"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(l, "name")), "hog");
	ck_assert_double_eq_tol(json_real_value(json_object_get(l, "gpu_time")), 1, 0.01);
	json_decref(o);
	/* Two loads, one to one; an impossible goal. */
	ck_assert_int_eq(RUN("sizing", "--load", "a:share=50%,duty=0.1%", "--load",
			     "b:share=50%,duty=0.1%,priority=low,weight=7", "--most", "6",
			     "--simulate", "5s", "--policy", "best-effort", "--slice", "3ms"),
			 EXIT_DONE);
	HAS(out, "--most: all goals are still met");
	ck_assert_int_eq(RUN("sizing", "--load", "a", "--p99", "1us"), EXIT_REFUSED);
	HAS(out, "carries 0 vGPUs");
	ck_assert_int_eq(RUN("sizing"), EXIT_USAGE);
	HAS(errors, "say with --load");
	ck_assert_int_eq(RUN("sizing", "--load", "a:kernel=5"), EXIT_USAGE);
	HAS(errors, "--load a:kernel=5: kernel=5: must be a time");
	ck_assert_int_eq(RUN("sizing", "--load", "a:color=5%"), EXIT_USAGE);
	HAS(errors, "is not known");
	ck_assert_int_eq(RUN("sizing", "--load", "a:duty"), EXIT_USAGE);
	ck_assert_int_eq(RUN("sizing", "--load", ":duty=5%"), EXIT_USAGE);
	ck_assert_int_eq(RUN("sizing", "--load", "a", "--policy", "nice"), EXIT_USAGE);
	HAS(errors, "--policy nice: must be fair");
	ck_assert_int_eq(RUN("sizing", "--load", "a", "--weight", "3"), EXIT_USAGE);
	HAS(errors, "--weight is no option of sizing");
	ck_assert_int_eq(RUN("list", "--p99", "3ms"), EXIT_USAGE);
	fake_absent(0);
}
END_TEST

static unsigned int shown;

/* After each list something changes; then what was printed is looked at. */
static void change(void)
{
	static const char *const states[] = {"2", "4", "5"};
	ssize_t n;

	if (shown < 3) {
		fake_set(BE "/state", states[shown++]);
		return;
	}
	n = pread(STDOUT_FILENO, out, sizeof(out) - 1, 0);
	out[n < 0 ? 0 : n] = '\0';
	_exit(strstr(out, "\"Initialising\"}") && strstr(out, "\"InitWait\"}") &&
			      strstr(out, "\"Connected\"}") && strstr(out, "\"Closing\"}")
		      ? 77
		      : 1);
}

START_TEST(watching)
{
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	fake_script(change);
	RUN("list", "--watch", "--json");
	ck_abort_msg("watching ended by itself");
}
END_TEST

/* libxenstore's descriptor does not tell. */
START_TEST(watching_a_xenstored_that_ends)
{
	fake_script(fake_hang_up);
	ck_assert_int_eq(RUN("list", "--watch", "--json"), EXIT_REFUSED);
	HAS(errors, "xenstore has ended");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_cli");
	TCase *t = tcase_create("cli");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, usage);
	tcase_add_test(t, statistics);
	tcase_add_test(t, no_part_of_time_is_above_all_of_it);
	tcase_add_test(t, not_there);
	tcase_add_test(t, life);
	tcase_add_test(t, json);
	tcase_add_test(t, waiting);
	tcase_add_test(t, ensured);
	tcase_add_test(t, refused);
	tcase_add_test(t, persistent);
	tcase_add_test(t, sizing);
	tcase_add_exit_test(t, watching, 77);
	tcase_add_test(t, watching_a_xenstored_that_ends);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
