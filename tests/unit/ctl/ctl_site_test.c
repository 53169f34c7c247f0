/* SPDX-License-Identifier: MIT */
/* Profiles, tenants and capacity: pvgpuctl's command line in dom0 over xenstore in memory. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/ctl/ctl_run.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"

#define HOST   "/local/domain/0/data/pvgpu"
#define UUID0  "00000000-0000-0000-0000-000000000000"
#define TENANT "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define G      "000000000"

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static void gpu(unsigned int id, const char *name, const char *model, const char *room)
{
	char path[64];

	snprintf(path, sizeof(path), HOST "/gpu-%u/name", id);
	fake_set(path, name);
	snprintf(path, sizeof(path), HOST "/gpu-%u/model", id);
	fake_set(path, model);
	snprintf(path, sizeof(path), HOST "/gpu-%u/room", id);
	fake_set(path, room);
}

static const char profiles[] = "[default]\n"
			       "max-sessions = 8\n"
			       "[profile small]\n"
			       "description = a small one\n"
			       "memory = 1G\n"
			       "weight = 25\n"
			       "per-gpu = 2\n"
			       "[profile large]\n"
			       "memory = 4G\n"
			       "min-share = 40%\n"
			       "max-sessions = 3\n"
			       "[profile fine]\n"
			       "memory = 1G\n"
			       "gpus = NVIDIA H200*, *A100*\n";

static void setup(void)
{
	unsetenv("PVGPU_RUN_DIR");
	strcpy(dir, "/tmp/ctl-site.XXXXXX");
	ck_assert(mkdtemp(dir));
	put("profiles.conf", profiles);
	fake_reset();
	fake_domain(0, "Domain-0", UUID0);
	for (unsigned int i = 1; i <= 9; i++) {
		char name[16], uuid[40];

		snprintf(name, sizeof(name), "web%u", i);
		snprintf(uuid, sizeof(uuid), "00000000-0000-0000-0000-00000000000%u", i);
		fake_domain(i, name, uuid);
	}
	fake_set(HOST "/version", "0.1.0");
	fake_set(HOST "/gpu-memory-free", "16" G "000");
	gpu(0, "first", "NVIDIA H200", "memory=8589934592 memory-free=8589934592");
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

#define ATTACH(vm, ...) RUN("attach", vm, "--no-wait", "--site-dir", dir, __VA_ARGS__)

static const char *key(unsigned int fe, const char *name)
{
	char path[96];
	const char *value;

	snprintf(path, sizeof(path), "/local/domain/0/backend/pvgpu/%u/0/%s", fe, name);
	value = fake_get(path);
	return value ? value : "(none)";
}

START_TEST(a_profile_is_what_the_vgpu_gets)
{
	ck_assert_int_eq(ATTACH("web1", "--profile", "small"), EXIT_DONE);
	ck_assert_str_eq(key(1, "memory"), "1073741824");
	ck_assert_str_eq(key(1, "policy"), "max-sessions=8 weight=25");
	ck_assert_str_eq(key(1, "profile"), "small");
	ck_assert_str_eq(key(1, "pool"), "(none)");
	/* The vGPU's own options take precedence. */
	ck_assert_int_eq(ATTACH("web2", "--profile", "small", "--memory", "2G", "--weight", "30"),
			 EXIT_DONE);
	ck_assert_str_eq(key(2, "memory"), "2147483648");
	ck_assert_str_eq(key(2, "policy"), "max-sessions=8 weight=30");
	ck_assert_int_eq(ATTACH("web3", "--profile", "tiny"), EXIT_NOT_THERE);
	HAS(errors, "profile 'tiny': ");
	HAS(errors, "has only small, large, fine");
	ck_assert_int_eq(RUN("list", "--json"), EXIT_DONE);
	HAS(out, "\"profile\": \"small\"");
}
END_TEST

START_TEST(a_changed_profile_changes_nothing_by_itself)
{
	ck_assert_int_eq(ATTACH("web1", "--profile", "small"), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "drain=1"), EXIT_DONE);
	put("profiles.conf", "[profile small]\nmemory = 2G\nweight = 50\n");
	ck_assert_int_eq(RUN("set", "web1", "max-share=50%", "--site-dir", dir), EXIT_DONE);
	ck_assert_str_eq(key(1, "memory"), "1073741824");
	ck_assert_int_eq(RUN("refresh", "--dry-run", "--site-dir", dir), EXIT_DONE);
	HAS(out, "vGPU 0 of web1: memory: '1073741824' -> '2147483648', policy: ");
	HAS(out, "(not done)");
	ck_assert_str_eq(key(1, "memory"), "1073741824");
	ck_assert_int_eq(RUN("refresh", "small", "--json", "--site-dir", dir), EXIT_DONE);
	HAS(out, "\"to\": \"2147483648\"");
	/* The order to drain stays; the vGPU's own settings do not. */
	ck_assert_str_eq(key(1, "policy"), "weight=50 drain=1");
	ck_assert_int_eq(RUN("refresh", "tiny", "--site-dir", dir), EXIT_NOT_THERE);
}
END_TEST

START_TEST(another_profile)
{
	put("profiles.conf", profiles);
	ck_assert_int_eq(ATTACH("web1", "--profile", "small", "--tenant", "a"), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "--profile", "large", "weight=7", "--site-dir", dir),
			 EXIT_DONE);
	ck_assert_str_eq(key(1, "memory"), "4294967296");
	ck_assert_str_eq(key(1, "policy"), "min-share=40% max-sessions=3 weight=7");
	ck_assert_str_eq(key(1, "profile"), "large");
	ck_assert_str_eq(key(1, "pool"), "/a");
	ck_assert_int_eq(RUN("set", "web1", "profile=small"), EXIT_USAGE);
	HAS(errors, "--profile NAME");
	ck_assert_int_eq(RUN("set", "web1"), EXIT_USAGE);
	ck_assert_int_eq(RUN("set", "web1", "--tenant", "b", "--site-dir", dir), EXIT_DONE);
	ck_assert_str_eq(key(1, "pool"), "/b");
	ck_assert_str_eq(key(1, "profile"), "large");
}
END_TEST

START_TEST(at_most_so_many_on_a_gpu)
{
	ck_assert_int_eq(ATTACH("web1", "--profile", "small"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web2", "--profile", "small"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web3", "--profile", "small"), EXIT_REFUSED);
	HAS(errors, "web3: profile small fits on no GPU of domain 0: first: it has 2 of at most 2 "
		    "vGPUs of this profile");
	/* Guaranteed shares do not exceed the whole. */
	ck_assert_int_eq(ATTACH("web3", "--profile", "large"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web4", "--profile", "large"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web5", "--profile", "large"), EXIT_REFUSED);
	HAS(errors, "80% of the GPU's time are guaranteed already, one more takes 40%");
	ck_assert_int_eq(RUN("set", "web3", "--profile", "small", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "2 of at most 2");
	/* Itself it is no obstacle to itself. */
	ck_assert_int_eq(RUN("set", "web3", "--profile", "large", "--site-dir", dir), EXIT_DONE);
	ck_assert_int_eq(RUN("detach", "web1", "--force"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web5", "--profile", "small"), EXIT_DONE);
}
END_TEST

START_TEST(the_gpu_that_has_room)
{
	gpu(1, "second", "NVIDIA A100 80GB", "memory=8589934592 memory-free=8589934592 vgpus=3");
	gpu(2, "third", "Tesla T4", "memory=8589934592 memory-free=8589934592");
	ck_assert_int_eq(ATTACH("web1", "--profile", "fine"), EXIT_DONE);
	ck_assert_str_eq(key(1, "pool"), "first");
	gpu(0, "first", "NVIDIA H200", "memory=8589934592 memory-free=1 vgpus=1");
	ck_assert_int_eq(ATTACH("web2", "--profile", "fine", "--tenant", "a"), EXIT_DONE);
	ck_assert_str_eq(key(2, "pool"), "second/a");
	gpu(1, "second", "NVIDIA A100 80GB", "memory=8589934592 memory-free=8589934592 healthy=0");
	ck_assert_int_eq(ATTACH("web3", "--profile", "fine"), EXIT_REFUSED);
	HAS(errors, "first: 0 of 8192 MiB are not promised yet, one more takes 1024 MiB");
	HAS(errors, "second: it takes no new sessions: pvgpuctl pools --backend 0 says why");
	HAS(errors, "third: is a 'Tesla T4', the profile is for NVIDIA H200*, *A100*");
	ck_assert_int_eq(ATTACH("web3", "--profile", "fine", "--pool", "third"), EXIT_REFUSED);
	HAS(errors, "first: the vGPU is for pool third");
	/* One without limits of its own is left to pvgpud. */
	ck_assert_int_eq(ATTACH("web4", "--memory", "1G"), EXIT_DONE);
	ck_assert_str_eq(key(4, "pool"), "(none)");
}
END_TEST

START_TEST(tenants_have_limits_over_all_their_vms)
{
	put("tenants.conf", "[tenant " TENANT "]\n"
			    "vgpus = 3\nmemory = 5G\nrate-commands = 1000\nweight = 300\n"
			    "max-share = 60%\n"
			    "[tenant *]\nvgpus = 1\n");
	ck_assert_int_eq(ATTACH("web1", "--tenant", TENANT), EXIT_REFUSED);
	HAS(errors, "has a limit of memory, so each of its vGPUs needs one: give --memory");
	ck_assert_int_eq(ATTACH("web1", "--tenant", TENANT, "--memory", "4G"), EXIT_DONE);
	ck_assert_str_eq(key(1, "pool"), "/" TENANT);
	/* pvgpud keeps shares and rates, over all vGPUs of the tenant. */
	ck_assert_str_eq(key(1, "group-policy"), "rate-commands=1000 weight=300 max-share=60%");
	ck_assert_int_eq(ATTACH("web2", "--tenant", TENANT, "--memory", "2G"), EXIT_REFUSED);
	HAS(errors, "has memory 4294967296 of at most 5368709120, one more takes 2147483648");
	ck_assert_int_eq(
		ATTACH("web2", "--pool", "/" TENANT, "--memory", "512M", "--rate-commands", "400"),
		EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web2", "memory=2G", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "of at most 5368709120");
	ck_assert_str_eq(key(2, "memory"), "536870912");
	ck_assert_int_eq(RUN("set", "web2", "memory=256M", "--site-dir", dir), EXIT_DONE);
	/* All that the file does not name. */
	ck_assert_int_eq(ATTACH("web3", "--tenant", "other"), EXIT_DONE);
	ck_assert_str_eq(key(3, "group-policy"), "(none)");
	ck_assert_int_eq(ATTACH("web4", "--tenant", "other"), EXIT_REFUSED);
	HAS(errors, "tenant other has 1 of at most 1 vGPU: detach one, or raise vgpus");
	ck_assert_int_eq(ATTACH("web4", "--tenant", "another"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web5", "--tenant", "no spaces"), EXIT_USAGE);
	ck_assert_int_eq(ATTACH("web5", "--tenant", "a", "--pool", "/b"), EXIT_USAGE);
	HAS(errors, "names group b, and the tenant is a");
}
END_TEST

START_TEST(a_lowered_limit_takes_nothing_away)
{
	put("tenants.conf", "[tenant a]\nvgpus = 2\nmemory = 4G\n");
	ck_assert_int_eq(ATTACH("web1", "--profile", "small", "--tenant", "a"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web2", "--profile", "small", "--tenant", "a"), EXIT_DONE);
	put("tenants.conf", "[tenant a]\nvgpus = 1\nmemory = 1G\nweight = 7\n");
	put("profiles.conf", "[profile small]\nmemory = 1G\nper-gpu = 1\ngpus = none\n");
	/* Settings that the limits do not concern can be changed. */
	ck_assert_int_eq(RUN("set", "web1", "weight=3", "--site-dir", dir), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "memory=512M", "--site-dir", dir), EXIT_DONE);
	ck_assert_int_eq(RUN("set", "web1", "memory=600M", "--site-dir", dir), EXIT_REFUSED);
	ck_assert_int_eq(RUN("set", "web1", "memory=0", "--site-dir", dir), EXIT_REFUSED);
	ck_assert_int_eq(RUN("refresh", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "vGPU 0 of web1: tenant a has memory 1073741824 of at most 1073741824");
	ck_assert_str_eq(key(1, "memory"), "536870912");
	ck_assert_str_eq(key(2, "group-policy"), "weight=7");
	ck_assert_int_eq(ATTACH("web3", "--tenant", "a", "--memory", "1M"), EXIT_REFUSED);
	/* Another profile is new to the vGPU. */
	put("profiles.conf", "[profile small]\nmemory = 1G\n"
			     "[profile fine]\nmemory = 1M\ngpus = none\n");
	ck_assert_int_eq(RUN("set", "web2", "--profile", "fine", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "is a 'NVIDIA H200', the profile is for none");
}
END_TEST

START_TEST(tenants_are_shown_and_refreshed)
{
	json_t *o, *t;

	put("tenants.conf", "[tenant a]\nvgpus = 3\nweight = 300\n");
	ck_assert_int_eq(ATTACH("web1", "--tenant", "a", "--memory", "1G"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web2", "--tenant", "a", "--memory", "1G"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web3", "--tenant", "b"), EXIT_DONE);
	fake_set("/local/domain/0/backend/pvgpu/1/0/statistics", "gpu-time=2000000");
	ck_assert_int_eq(RUN("tenants", "--json", "--site-dir", dir), EXIT_DONE);
	o = json_loads(out, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "tenants")), 2);
	t = json_array_get(json_object_get(o, "tenants"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(t, "vgpus")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(t, "memory")), 2ll << 30);
	ck_assert_int_eq(json_integer_value(json_object_get(t, "gpu-time")), 2000000);
	json_decref(o);
	ck_assert_int_eq(RUN("tenants", "--site-dir", dir), EXIT_DONE);
	HAS(out, "weight=300");
	ck_assert_int_eq(RUN("tenants", "c", "--site-dir", dir), EXIT_NOT_THERE);
	put("tenants.conf", "[tenant a]\nvgpus = 3\nmin-share = 10%\n");
	ck_assert_str_eq(key(1, "group-policy"), "weight=300");
	ck_assert_int_eq(RUN("refresh", "--site-dir", dir), EXIT_DONE);
	ck_assert_str_eq(key(1, "group-policy"), "min-share=10%");
	ck_assert_str_eq(key(2, "group-policy"), "min-share=10%");
	ck_assert_str_eq(key(3, "group-policy"), "(none)");
	put("tenants.conf", "");
	ck_assert_int_eq(RUN("refresh", "--site-dir", dir), EXIT_DONE);
	ck_assert_str_eq(key(1, "group-policy"), "(none)");
}
END_TEST

/* "fits" and "limit" of a profile in capacity's JSON. */
static void fits(const char *profile, int n, const char *limit)
{
	json_t *o = json_loads(out, 0, NULL), *p, *b;
	size_t i;

	ck_assert_ptr_nonnull(o);
	b = json_array_get(json_object_get(o, "backends"), 0);
	json_array_foreach(json_object_get(b, "profiles"), i, p)
	{
		if (strcmp(json_string_value(json_object_get(p, "name")), profile) != 0)
			continue;
		ck_assert_int_eq(json_integer_value(json_object_get(p, "fits")), n);
		ck_assert_str_eq(json_string_value(json_object_get(p, "limit")), limit);
		json_decref(o);
		return;
	}
	ck_abort_msg("no profile %s in %s", profile, out);
}

START_TEST(capacity)
{
	gpu(1, "second", "Tesla T4", "memory=4294967296 memory-free=3221225472 vgpus=1");
	ck_assert_int_eq(RUN("capacity", "--json", "--site-dir", dir), EXIT_DONE);
	fits("small", 4, "per-gpu");
	fits("large", 2, "min-share");
	fits("fine", 8, "memory");
	ck_assert_int_eq(ATTACH("web1", "--profile", "large"), EXIT_DONE);
	ck_assert_str_eq(key(1, "pool"), "first");
	ck_assert_int_eq(ATTACH("web2", "--profile", "small"), EXIT_DONE);
	gpu(0, "first", "NVIDIA H200", "memory=8589934592 memory-free=2147483648 vgpus=2");
	ck_assert_int_eq(RUN("capacity", "--json", "--site-dir", dir), EXIT_DONE);
	fits("small", 3, "per-gpu");
	fits("large", 0, "memory");
	fits("fine", 2, "memory");
	/* As many as it says, and not one more. */
	for (unsigned int i = 3; i < 6; i++) {
		char vm[2] = {(char)('0' + i), 0};

		ck_assert_int_eq(ATTACH(vm, "--profile", "small"), EXIT_DONE);
	}
	ck_assert_int_eq(ATTACH("6", "--profile", "small"), EXIT_REFUSED);
	put("tenants.conf", "[tenant a]\nvgpus = 1\n");
	ck_assert_int_eq(RUN("capacity", "--json", "--tenant", "a", "--site-dir", dir), EXIT_DONE);
	fits("fine", 1, "vgpus");
	ck_assert_int_eq(RUN("capacity", "--site-dir", dir), EXIT_DONE);
	HAS(out, "Domain-0, GPU second (Tesla T4): 3072 of 4096 MiB are not promised, 1 vGPU\n");
	HAS(out, "fine                 Domain-0                2     0  first: 2048 of 8192 MiB");
	ck_assert_int_eq(RUN("capacity", "--backend", "nowhere", "--site-dir", dir),
			 EXIT_NOT_THERE);
	fake_remove(HOST);
	ck_assert_int_eq(RUN("capacity", "--json", "--site-dir", dir), EXIT_DONE);
	fits("small", 0, "");
	HAS(out, "no pvgpud runs there: start it");
}
END_TEST

START_TEST(a_driver_domain)
{
	json_t *o, *all;

	put("profiles.conf", "[profile here]\nmemory = 1G\n"
			     "[profile there]\nmemory = 1G\nbackend = web9\nper-gpu = 3\n");
	fake_set("/local/domain/9/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/9/data/pvgpu/gpu-0/name", "default");
	fake_set("/local/domain/9/data/pvgpu/gpu-0/room",
		 "memory=8589934592 memory-free=8589934592");
	ck_assert_int_eq(ATTACH("web1", "--profile", "there"), EXIT_DONE);
	ck_assert_str_eq(fake_get("/local/domain/9/backend/pvgpu/1/0/profile"), "there");
	ck_assert_int_eq(RUN("capacity", "--json", "--site-dir", dir), EXIT_DONE);
	o = json_loads(out, 0, NULL);
	all = json_object_get(o, "backends");
	ck_assert_uint_eq(json_array_size(all), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(all, 0), "profiles")), 1);
	json_decref(o);
	fits("here", 8, "memory");
	ck_assert_int_eq(RUN("capacity", "--json", "--backend", "web9", "--site-dir", dir),
			 EXIT_DONE);
	fits("there", 2, "per-gpu");
	fits("here", 8, "memory");
}
END_TEST

START_TEST(faults_of_the_files)
{
	put("profiles.conf", "[profile good]\nmemory = 1G\n"
			     "[profile bad]\nmemory = lots\nweight = 3\nspeed = 4\n"
			     "[profle typo]\nmemory = 1G\n"
			     "[profile good]\n"
			     "[profile a b]\n"
			     "[profile live]\ndrain = 1\nper-gpu = many\nuuid = x\n");
	ck_assert_int_eq(RUN("profiles", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "/profiles.conf:4: memory 'lots': must be ");
	HAS(errors, "/profiles.conf:6: speed: no such setting; there are ");
	HAS(errors, ", per-gpu, gpus, description");
	HAS(errors, ":7: [profle typo]: there are sections [profile NAME] and [default]");
	HAS(errors, ":9: profile good is there already");
	HAS(errors, ":10: profile a b: a name is 1 to 31 letters");
	HAS(errors, ":12: drain: is an order to a vGPU that exists");
	HAS(errors, ":13: per-gpu 'many': must be a number");
	HAS(errors, ":14: uuid: belongs to one vGPU");
	HAS(out, "bad                         all        -  FAULTY weight=3");
	ck_assert_int_eq(RUN("profiles", "good", "--json", "--site-dir", dir), EXIT_REFUSED);
	HAS(out, "\"faults\": [");
	/* The others can be used. */
	ck_assert_int_eq(ATTACH("web1", "--profile", "good"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web2", "--profile", "bad"), EXIT_REFUSED);
	HAS(errors, "profile 'bad' cannot be used: ");
	HAS(errors, ":4: memory 'lots'");
	put("tenants.conf", "x = 1\n[tenant a]\nvgpus = no\nspeed = 1\nweight = 0\n[group b]\n"
			    "[tenant -x]\n[tenant a]\nmemory = ?\nhello\n");
	ck_assert_int_eq(RUN("tenants", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "/tenants.conf:1: a key before the first [section]");
	HAS(errors, ":3: vgpus 'no': must be a number from 0 (no limit) to 65536");
	HAS(errors, ":4: speed: no such setting; a tenant has vgpus, memory, weight");
	HAS(errors, ":5: weight '0': must be ");
	HAS(errors, ":6: [group b]: there are sections [tenant NAME]");
	HAS(errors, ":7: tenant -x: a name is 1 to 39 letters");
	HAS(errors, ":8: tenant a is there already");
	ck_assert_int_eq(ATTACH("web2", "--tenant", "a"), EXIT_REFUSED);
	HAS(errors, "the limits of tenant a cannot be read: ");
	put("profiles.conf", "");
	ck_assert_int_eq(RUN("profiles", "--site-dir", dir), EXIT_DONE);
	HAS(errors, "has no profiles");
	ck_assert_int_eq(RUN("profiles", "good", "--site-dir", dir), EXIT_NOT_THERE);
	ck_assert_int_eq(RUN("profiles", "--site-dir", "/nonexistent"), EXIT_DONE);
}
END_TEST

/* Each of these could be read, and means nothing that anyone wants. */
START_TEST(contradictions_of_the_files)
{
	put("profiles.conf", "[default]\nmax-share = 25%\n[profile good]\nmin-share = 25%\n"
			     "[profile bad]\nmin-share = 30%\n"
			     "[profile own]\nmin-share = 30%\nmax-share = 50%\n"
			     "[profile bytes]\nmemory = 8\nwieght = 3\nper_gpu = 2\n");
	ck_assert_int_eq(RUN("profiles", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "/profiles.conf: profile bad: min-share 30% is above max-share 25%");
	ck_assert_ptr_null(strstr(errors, "profile good"));
	ck_assert_ptr_null(strstr(errors, "profile own"));
	HAS(errors, "; did you mean 8G?");
	HAS(errors, "wieght: no such setting; did you mean weight?");
	HAS(errors, "per_gpu: no such setting; did you mean per-gpu?");
	ck_assert_int_eq(ATTACH("web1", "--profile", "own"), EXIT_DONE);
	ck_assert_int_eq(ATTACH("web2", "--profile", "bad"), EXIT_REFUSED);
	ck_assert_int_eq(RUN("set", "web1", "--profile", "nosuch", "--site-dir", dir),
			 EXIT_NOT_THERE);
	put("tenants.conf", "[tenant a]\nmin-share = 30%\nmax-share = 20%\n"
			    "[tenant b]\nwieght = 3\nmemory = 8\n");
	ck_assert_int_eq(RUN("tenants", "--site-dir", dir), EXIT_REFUSED);
	HAS(errors, "/tenants.conf: tenant a: min-share 30% is above max-share 20%");
	HAS(errors, "wieght: no such setting; did you mean weight?");
	HAS(errors, ":6: memory '8': must be ");
	HAS(errors, "; did you mean 8G?");
}
END_TEST

START_TEST(the_file_that_is_installed)
{
	ck_assert_int_eq(RUN("profiles", "--site-dir", "xen-pvgpu-back/toolstack"), EXIT_DONE);
	ck_assert_str_eq(errors, "");
	HAS(out, "pvgpu-8g                   8192        -  ");
	ck_assert_int_eq(RUN("tenants", "--site-dir", "xen-pvgpu-back/toolstack"), EXIT_DONE);
	ck_assert_str_eq(errors, "");
}
END_TEST

START_TEST(kept_as_it_was_made)
{
	char vms[160];

	snprintf(vms, sizeof(vms), "%s/vms.d", dir);
	ck_assert_int_eq(ATTACH("web1", "--profile", "small", "--persistent", "--config-dir", vms),
			 EXIT_DONE);
	ck_assert_int_eq(RUN("detach", "web1", "--force"), EXIT_DONE);
	snprintf(vms, sizeof(vms), "grep -q 'made-from = small' %s/vms.d/web1.conf", dir);
	ck_assert_int_eq(system(vms), 0);
	/* refresh is for the file, too. */
	snprintf(vms, sizeof(vms), "%s/vms.d", dir);
	ck_assert_int_eq(ATTACH("web1", "--profile", "small", "--persistent", "--config-dir", vms),
			 EXIT_DONE);
	put("profiles.conf", "[profile small]\nmemory = 3G\n");
	ck_assert_int_eq(RUN("refresh", "--site-dir", dir, "--config-dir", vms), EXIT_DONE);
	snprintf(vms, sizeof(vms), "grep -q 'memory = 3221225472' %s/vms.d/web1.conf", dir);
	ck_assert_int_eq(system(vms), 0);
}
END_TEST

START_TEST(two_at_the_same_time)
{
	/* The first try is in conflict with another writer, who has taken the last place. */
	ck_assert_int_eq(ATTACH("web1", "--profile", "small"), EXIT_DONE);
	fake_conflicts(1);
	ck_assert_int_eq(ATTACH("web2", "--profile", "small"), EXIT_DONE);
	ck_assert_str_eq(key(2, "profile"), "small");
}
END_TEST

/* Limits cost a bounded number of requests for each vGPU that is there. */
START_TEST(the_cost_of_limits)
{
	unsigned int plain, limited;

	put("tenants.conf", "[tenant a]\nvgpus = 3\n");
	for (unsigned int i = 10; i < 110; i++) {
		char name[16], path[96];

		snprintf(name, sizeof(name), "vm%u", i);
		fake_domain(i, name, UUID0);
		snprintf(path, sizeof(path), "/local/domain/0/backend/pvgpu/%u/0/memory", i);
		fake_set(path, "1");
	}
	fake_requests();
	ck_assert_int_eq(ATTACH("web1", "--memory", "1M"), EXIT_DONE);
	plain = fake_requests();
	ck_assert_int_eq(ATTACH("web2", "--memory", "1M", "--tenant", "a"), EXIT_DONE);
	limited = fake_requests();
	/* Of each domain one directory, of each vGPU another and four keys. */
	ck_assert_uint_le(limited, plain + 110 + 101 * 5 + 10);
}
END_TEST

START_TEST(hundreds_of_tenants)
{
	static char text[65536];
	size_t at = 0;

	for (unsigned int i = 0; i < 500; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "[tenant %08x-3f60-4f8e-8d55-0a2f6c1e7b90]\nvgpus = 2\n"
				       "max-share = 50%%\n",
				       i);
	put("tenants.conf", text);
	ck_assert_int_eq(ATTACH("web1", "--tenant", "000001f3-3f60-4f8e-8d55-0a2f6c1e7b90"),
			 EXIT_DONE);
	ck_assert_str_eq(key(1, "group-policy"), "max-share=50%");
	ck_assert_str_eq(key(1, "pool"), "/000001f3-3f60-4f8e-8d55-0a2f6c1e7b90");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_site");
	TCase *t = tcase_create("site");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_profile_is_what_the_vgpu_gets);
	tcase_add_test(t, a_changed_profile_changes_nothing_by_itself);
	tcase_add_test(t, another_profile);
	tcase_add_test(t, at_most_so_many_on_a_gpu);
	tcase_add_test(t, the_gpu_that_has_room);
	tcase_add_test(t, tenants_have_limits_over_all_their_vms);
	tcase_add_test(t, a_lowered_limit_takes_nothing_away);
	tcase_add_test(t, tenants_are_shown_and_refreshed);
	tcase_add_test(t, capacity);
	tcase_add_test(t, a_driver_domain);
	tcase_add_test(t, faults_of_the_files);
	tcase_add_test(t, contradictions_of_the_files);
	tcase_add_test(t, the_file_that_is_installed);
	tcase_add_test(t, kept_as_it_was_made);
	tcase_add_test(t, two_at_the_same_time);
	tcase_add_test(t, the_cost_of_limits);
	tcase_add_test(t, hundreds_of_tenants);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
