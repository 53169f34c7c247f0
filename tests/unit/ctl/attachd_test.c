/* SPDX-License-Identifier: MIT */
/* pvgpu-attachd's rounds over xenstore in memory, and what xapi says as files. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/attachd/reconcile.h"
#include "xen-pvgpu-back/contract/log.h"

#define FE    "/local/domain/3/device/pvgpu/0"
#define BE    "/local/domain/0/backend/pvgpu/3/0"
#define UUID0 "00000000-0000-0000-0000-000000000000"
#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define UUID7 "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"
#define VGPU  "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a12"

static struct store s;
static struct reconciler k;
static char dir[64];
static size_t empty;

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static void setup(void)
{
	log_set_program("pvgpu-attachd");
	strcpy(dir, "/tmp/attachd-test.XXXXXX");
	ck_assert(mkdtemp(dir));
	fake_reset();
	fake_domain(0, "Domain-0", UUID0);
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "1073741824");
	fake_set("/vm", "");
	ck_assert_int_eq(store_open(&s), 0);
	k = (struct reconciler){.store = &s, .dir = dir, .site_dir = dir};
	empty = fake_nodes();
	put("web1.conf", "[vgpu 0]\nmemory = 512M\nweight = 200\nuuid = " VGPU "\n");
}

static void teardown(void)
{
	char cmd[128];

	reconcile_free(&k);
	store_close(&s);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

static unsigned int round_of(void)
{
	unsigned int waiting;

	ck_assert_int_eq(reconcile_round(&k, &waiting), 0);
	return waiting;
}

START_TEST(starts_and_ends)
{
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_uint_eq(fake_nodes(), empty);
	fake_domain(3, "web1", UUID3);
	fake_domain(4, "other", UUID7);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
	ck_assert_str_eq(fake_get(BE "/policy"), "weight=200");
	ck_assert_str_eq(fake_get(BE "/memory"), "536870912");
	ck_assert_str_eq(fake_get(FE "/state"), "1");
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/4"));
	/* Nothing more to do. */
	fake_set(FE "/state", "4");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(FE "/state"), "4");
	/* Restarted: a new number, the same vGPU. */
	fake_domain_gone(3);
	fake_domain(5, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/3"));
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/5/0/uuid"), VGPU);
	fake_domain_gone(4);
	fake_domain_gone(5);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_uint_eq(fake_nodes(), empty);
	ck_assert_uint_eq(k.n, 0);
}
END_TEST

/* A VM that is received, is renamed, or has its vGPU from another toolstack. */
START_TEST(names_follow_the_vm)
{
	fake_domain(3, "web1--incoming", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/vm-name"), "web1");
	ck_assert_str_eq(fake_get(BE "/vm-uuid"), UUID3);
	fake_set("/local/domain/3/name", "b\303\274ro");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/vm-name"), "b??ro");
	fake_remove(BE "/vm-name");
	fake_remove(BE "/vm-uuid");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/vm-name"), "b??ro");
	ck_assert_str_eq(fake_get(BE "/vm-uuid"), UUID3);
	ck_assert_str_eq(fake_perms(BE "/vm-uuid"), "n0,r3");
}
END_TEST

START_TEST(a_guest_that_has_not_seen_it_is_told_again)
{
	const char *states[] = {"1", "2", "2", "4"}, *fronts[] = {"1", "1", "3", "4"};
	const unsigned int unseen[] = {1, 1, 0, 0};

	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	/* It was made a moment ago. */
	ck_assert_uint_eq(k.unseen, 1);
	for (unsigned int i = 0; i < 4; i++) {
		fake_set(BE "/state", states[i]);
		fake_set(FE "/state", fronts[i]);
		ck_assert_uint_eq(round_of(), 0);
		ck_assert_uint_eq(k.unseen, unseen[i]);
		ck_assert_str_eq(fake_get(FE "/state"), fronts[i]);
	}
}
END_TEST

START_TEST(waits_for_the_backend)
{
	put("web1.conf", "[vgpu 0]\nbackend = gpu\n[vgpu 1]\n");
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 1);
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/3/1"));
	fake_domain(7, "gpu", UUID7);
	ck_assert_uint_eq(round_of(), 1);
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
	/* The watch is there, so attachd notices. */
	ck_assert(store_event(&s));
	while (store_event(&s))
		;
	fake_set("/local/domain/7/data/pvgpu/gpu-memory-free", "1");
	ck_assert(store_event(&s));
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/7/backend/pvgpu/3/0"));
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r7");
	/* The driver domain ends and comes back. */
	fake_domain_gone(7);
	fake_set(FE "/state", "7");
	ck_assert_uint_eq(round_of(), 1);
	ck_assert_str_eq(fake_get(FE "/state"), "7");
	fake_domain(8, "gpu", UUID7);
	fake_set("/local/domain/8/data/pvgpu/version", "0.1.0");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/8/backend/pvgpu/3/0"));
	ck_assert_str_eq(fake_get(FE "/backend"), "/local/domain/8/backend/pvgpu/3/0");
	ck_assert_str_eq(fake_get(FE "/state"), "1");
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r8");
	/* Its guest ends: this is how the driver domain sees it. */
	fake_domain_gone(3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/8/backend"));
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
}
END_TEST

START_TEST(waits_for_memory)
{
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "1048576");
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 1);
	ck_assert_ptr_null(fake_get(BE));
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "536870912");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get(BE));
	/* Moved on this host: both are there for a while, and the new one needs its keys now. */
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "0");
	fake_domain(9, "web1--incoming", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/9/0/uuid"), VGPU);
}
END_TEST

START_TEST(operators_detach_counts)
{
	struct pvgpu_ids ids = {.fe = 3};

	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get(BE));
	/* Until SIGHUP, */
	reconcile_again(&k);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get(BE));
	/* or the next start of the daemon. */
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	reconcile_free(&k);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get(BE));
	/* A detach without a waiting pvgpuctl is finished, */
	fake_set(BE "/online", "0");
	fake_set(BE "/state", "5");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get(BE));
	fake_set(BE "/state", "6");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(FE));
	/* and a guest that throws its keys away gets no new ones. */
	reconcile_again(&k);
	ck_assert_uint_eq(round_of(), 0);
	fake_remove(FE);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(FE));
}
END_TEST

START_TEST(hand_made_ones_are_left_alone)
{
	struct vgpu_spec w = {.any_id = true};
	struct pvgpu_ids ids = {.fe = 4};
	char err[ATTACH_ERROR];

	fake_domain(4, "other", UUID7);
	ck_assert_int_eq(attach_make(&s, &w, &ids, false, err), 0);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/4/0"));
	fake_domain_gone(4);
	fake_domain(6, "other", UUID7);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	ck_assert_ptr_null(fake_get("/local/domain/6/device/pvgpu"));
}
END_TEST

START_TEST(bad_files)
{
	char first[PVGPU_UUID_TEXT];

	put("bad.conf", "[vgpu 0]\nmemory = lots\n");
	put("web1.conf", "[vgpu 0]\n");
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert(strstr(k.complaint, "bad.conf:2: memory '"));
	/* Without a uuid in the file, the uuid is still the same each time. */
	snprintf(first, sizeof(first), "%s", fake_get(BE "/uuid"));
	fake_domain_gone(3);
	fake_domain(4, "web1", UUID7);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/4/0/uuid"), first);
}
END_TEST

/* A guest that writes to its own keys without end: what is left of its vGPU goes, and the others
 * are served in the same round. */
START_TEST(a_guest_that_writes_on)
{
	unsigned int requests;

	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	fake_set(BE "/online", "0");
	fake_set(BE "/state", "6");
	fake_set(FE "/state", "6");
	fake_domain(4, "web2", UUID7);
	put("web2.conf", "[vgpu 0]\n");
	fake_writer(FE);
	fake_requests();
	ck_assert_uint_eq(round_of(), 0);
	requests = fake_requests();
	ck_assert(!fake_get(BE));
	ck_assert(!fake_get(FE));
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/4/0/uuid"));
	ck_assert_msg(requests < 200, "%u requests", requests);
}
END_TEST

/* Conflicts of one guest take no time from the next: each has a limit of its own. */
START_TEST(each_has_its_own_time)
{
	const double before = store_now();

	s.until = before - 1;
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert(s.until > before && s.until < store_now() + 5);
	s.until = before - 1;
	fake_set(BE "/online", "0");
	fake_set(BE "/state", "6");
	fake_set(FE "/state", "6");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert(!fake_get(BE));
	ck_assert(s.until > before && s.until < store_now() + 5);
}
END_TEST

START_TEST(watches)
{
	ck_assert_int_eq(reconcile_watch(&k), 0);
	while (store_event(&s))
		;
	fake_domain(3, "web1", UUID3);
	ck_assert(store_event(&s));
	while (store_event(&s))
		;
	fake_domain_gone(3);
	ck_assert(store_event(&s));
	while (store_event(&s))
		;
	fake_set("/vm/" UUID3 "/name", "web1");
	ck_assert(store_event(&s));
}
END_TEST

START_TEST(profiles_count_from_the_next_start)
{
	put("web1.conf", "[vgpu 0]\nprofile = small\nweight = 7\ntenant = a\n");
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 1);
	ck_assert_ptr_nonnull(strstr(k.attachments[0].why_not, "profile 'small': "));
	put("profiles.conf", "[profile small]\nmemory = 256M\nweight = 50\nmax-sessions = 3\n");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/memory"), "268435456");
	ck_assert_str_eq(fake_get(BE "/policy"), "max-sessions=3 weight=7");
	ck_assert_str_eq(fake_get(BE "/profile"), "small");
	ck_assert_str_eq(fake_get(BE "/pool"), "/a");
	/* A change of the profile reaches no vGPU that is there. */
	put("profiles.conf", "[profile small]\nmemory = 128M\nper-gpu = 1\n");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/memory"), "268435456");
	fake_domain_gone(3);
	fake_domain(5, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/5/0/memory"), "134217728");
}
END_TEST

START_TEST(made_from_a_profile_it_stays_as_it_was)
{
	put("web1.conf", "[vgpu 0]\nmade-from = small\nmemory = 512M\n");
	put("profiles.conf", "[profile small]\nmemory = 256M\nweight = 50\n");
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get(BE "/memory"), "536870912");
	ck_assert_str_eq(fake_get(BE "/policy"), "");
	ck_assert_str_eq(fake_get(BE "/profile"), "small");
}
END_TEST

START_TEST(a_line_of_xl)
{
	k.xl_dir = dir;
	put("profiles.conf", "[profile small]\nmemory = 256M\n");
	put("web7.cfg", "name = 'web7'\npvgpu = [ 'profile=small', 'memory=1M' ]\n");
	put("web1.cfg", "name = 'web1'\npvgpu = [ 'memory=1M' ]\n");
	fake_domain(7, "web7", UUID7);
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/7/0/profile"), "small");
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/7/1/memory"), "1048576");
	/* Its own file takes precedence. */
	ck_assert_str_eq(fake_get(BE "/memory"), "536870912");
	/* Started again: xl gives it another uuid. */
	fake_domain_gone(7);
	fake_domain(8, "web7", VGPU);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/8/0/profile"), "small");
}
END_TEST

START_TEST(a_libxl_that_attaches_leads)
{
	k.xl_dir = dir;
	put("web7.cfg", "name = 'web7'\npvgpu = [ 'memory=1M', 'memory=2M' ]\n");
	put("web1.conf", "[vgpu 0]\nmemory = 512M\n[vgpu 1]\nmemory = 1M\n[vgpu 10]\n");
	/* Before it has attached anything: what xl's file says is its own, all of it. */
	fake_domain(7, "web7", UUID7);
	fake_set("/libxl/7/pvgpu", "");
	fake_domain(3, "web1", UUID3);
	fake_set("/libxl/3/pvgpu", "0 10");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/7"));
	/* The VM's own file: but for the numbers that libxl has. */
	ck_assert_ptr_null(fake_get(BE "/memory"));
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/3/1/memory"), "1048576");
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/3/10/memory"));
	/* The same files, started by a libxl without the patches. */
	fake_domain_gone(7);
	fake_remove("/libxl/7");
	fake_domain(8, "web7", VGPU);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/8/1/memory"), "2097152");
}
END_TEST

/* ---- what xapi says ---- */

static void say(const char *uuid, const char *vgpus)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "%s.conf", uuid);
	snprintf(text, sizeof(text), "[vm]\nuuid = %s\n%s", uuid, vgpus);
	put(name, text);
	reconcile_file(&k, name);
}

static void say_nothing(const char *uuid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.conf", dir, uuid);
	ck_assert_int_eq(unlink(path), 0);
	reconcile_file(&k, strrchr(path, '/') + 1);
}

static unsigned int changes(void)
{
	unsigned int waiting;
	char path[STORE_PATH];

	while (store_event_path(&s, path))
		reconcile_event(&k, path);
	ck_assert_int_eq(reconcile_changes(&k, &waiting), 0);
	return waiting;
}

static void setup_xapi(void)
{
	setup();
	k.dir = "/nonexistent";
	k.xapi_dir = dir;
	put("profiles.conf", "[profile small]\nmemory = 1M\n[profile big]\nmemory = 64M\n");
	ck_assert_int_eq(reconcile_watch(&k), 0);
}

#define ONE "[vgpu 0]\nprofile = small\n"
#define TWO ONE "[vgpu 1]\nprofile = small\n"

START_TEST(xapi_toggles)
{
	char uuid[PVGPU_UUID_TEXT];

	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get(BE));
	/* On, while it runs. */
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/profile"), "small");
	snprintf(uuid, sizeof(uuid), "%s", fake_get(BE "/uuid"));
	fake_set(BE "/state", "4");
	fake_set(FE "/state", "4");
	/* One more, */
	say(UUID3, TWO);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/3/1"));
	/* which nobody has taken up: it goes at once, and the first one stays. */
	fake_set("/local/domain/0/backend/pvgpu/3/1/state", "6");
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/3/1"));
	ck_assert_str_eq(fake_get(BE "/online"), "1");
	/* Off: asked to close, and removed when both ends have. */
	say(UUID3, "");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_eq(k.leaving, 1);
	ck_assert_str_eq(fake_get(BE "/online"), "0");
	ck_assert_str_eq(fake_get(BE "/state"), "4");
	/* On again in the meantime: the next one waits for the end of the first. */
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 1);
	fake_set(BE "/state", "6");
	fake_set(FE "/state", "6");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/online"), "1");
	ck_assert_str_eq(fake_get(BE "/uuid"), uuid);
	/* The VM ends while it is on. */
	fake_domain_gone(3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_eq(fake_nodes(), empty);
	ck_assert_uint_eq(k.n, 0);
}
END_TEST

START_TEST(xapi_counts_more)
{
	struct vgpu_spec w = {.any_id = true};
	struct pvgpu_ids ids = {.fe = 3};
	char err[ATTACH_ERROR];

	/* Off counts more than a file, and is for vGPUs made by hand, too. */
	k.dir = dir;
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
	w.any_id = false;
	ids.id = w.id = 5;
	ck_assert_int_eq(attach_make(&s, &w, &ids, false, err), 0);
	fake_set(BE "/state", "6");
	fake_set("/local/domain/0/backend/pvgpu/3/5/state", "6");
	say(UUID3, "");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	/* A profile: those of other numbers that were made by hand stay. */
	ck_assert_int_eq(attach_make(&s, &w, &ids, false, err), 0);
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/profile"), "small");
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/3/5"));
}
END_TEST

START_TEST(xapi_says_nothing_any_more)
{
	fake_domain(3, "web1", UUID3);
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 0);
	fake_set(BE "/state", "6");
	/* pvgpu-xapi has not seen all VMs: a file that is not there means nothing. */
	say_nothing(UUID3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/online"), "1");
	/* It has, while pvgpu-attachd was away. */
	reconcile_free(&k);
	put("synced", "");
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_null(fake_get(BE));
	/* A vGPU of a file stays. */
	fake_domain(4, "other", UUID7);
	k.dir = dir;
	put("other.conf", "[vgpu 0]\n");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_eq(round_of(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/4/0"));
}
END_TEST

START_TEST(xapi_and_an_operators_detach)
{
	struct pvgpu_ids ids = {.fe = 3};

	fake_domain(3, "web1", UUID3);
	say(UUID3, ONE);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	reconcile_file(&k, UUID3 ".conf");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get(BE));
	/* Another word of xapi's counts as a start does. */
	say(UUID3, "[vgpu 0]\nprofile = big\n");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/profile"), "big");
	/* A file that is broken changes nothing. */
	say(UUID3, "[vgpu x]\n");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/online"), "1");
}
END_TEST

/* ---- only what changed is read again ---- */

#define MANY 500

START_TEST(a_round_does_not_grow_with_domains)
{
	char name[32], uuid[PVGPU_UUID_TEXT];
	unsigned int n;

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012u", i);
		fake_domain(10 + i, name, uuid);
	}
	fake_requests();
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_gt(fake_requests(), MANY);
	/* Nothing has happened. */
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_eq(fake_requests(), 0);
	/* One more, without a vGPU: the list, its name and uuid, and where it could have a vGPU. */
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_le(fake_requests(), 7);
	fake_domain_gone(3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_uint_le(fake_requests(), 4);
	/* With one. */
	say(UUID3, ONE);
	fake_domain(4, "web1", UUID3);
	ck_assert_uint_eq(changes(), 0);
	n = fake_requests();
	ck_assert_msg(n < 70, "%u requests to attach", n);
	ck_assert_ptr_nonnull(fake_get("/local/domain/0/backend/pvgpu/4/0"));
	fake_set("/local/domain/0/backend/pvgpu/4/0/state", "4");
	fake_set("/local/domain/4/device/pvgpu/0/state", "4");
	changes();
	fake_requests();
	fake_domain_gone(4);
	ck_assert_uint_eq(changes(), 0);
	n = fake_requests();
	ck_assert_msg(n < 25, "%u requests to remove", n);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend"));
	/* Another name is seen. */
	fake_set("/vm/00000000-0000-4000-8000-000000000007/name", "web1");
	fake_set("/local/domain/17/name", "web1");
	k.dir = dir;
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/17/0/uuid"), VGPU);
}
END_TEST

START_TEST(changes_follow_a_driver_domain)
{
	put("web1.conf", "[vgpu 0]\nbackend = gpu\n");
	ck_assert_int_eq(reconcile_watch(&k), 0);
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(changes(), 1);
	fake_domain(7, "gpu", UUID7);
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_nonnull(fake_get("/local/domain/7/backend/pvgpu/3/0"));
	fake_domain_gone(7);
	ck_assert_uint_eq(changes(), 1);
	fake_domain(8, "gpu", UUID7);
	fake_set("/local/domain/8/data/pvgpu/version", "0.1.0");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(FE "/backend"), "/local/domain/8/backend/pvgpu/3/0");
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r8");
	fake_domain_gone(3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/8/backend"));
}
END_TEST

/* pvgpud in a driver domain learns of a guest's end when its keys go, and by xenstored if it may.
 */
START_TEST(changes_follow_vgpus_made_by_hand)
{
	struct vgpu_spec w = {.any_id = true};
	struct pvgpu_ids ids = {.fe = 3, .be = 7};
	char err[ATTACH_ERROR];

	k.dir = "/nonexistent";
	ck_assert_int_eq(reconcile_watch(&k), 0);
	fake_domain(3, "web1", UUID3);
	fake_domain(7, "gpu", UUID7);
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
	ck_assert_uint_eq(changes(), 0);
	ck_assert_int_eq(attach_make(&s, &w, &ids, false, err), 0);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r7");
	fake_domain_gone(3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_ptr_null(fake_get("/local/domain/7/backend"));
}
END_TEST

START_TEST(a_name_that_comes_late)
{
	ck_assert_int_eq(reconcile_watch(&k), 0);
	ck_assert_uint_eq(changes(), 0);
	fake_set("/local/domain/3", "");
	fake_set("/vm/" UUID3 "/uuid", UUID3);
	ck_assert_uint_eq(changes(), 0);
	fake_domain(3, "web1", UUID3);
	ck_assert_uint_eq(changes(), 0);
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attachd");
	TCase *t = tcase_create("rounds"), *x = tcase_create("xapi");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, starts_and_ends);
	tcase_add_test(t, names_follow_the_vm);
	tcase_add_test(t, a_guest_that_has_not_seen_it_is_told_again);
	tcase_add_test(t, waits_for_the_backend);
	tcase_add_test(t, waits_for_memory);
	tcase_add_test(t, operators_detach_counts);
	tcase_add_test(t, hand_made_ones_are_left_alone);
	tcase_add_test(t, bad_files);
	tcase_add_test(t, a_guest_that_writes_on);
	tcase_add_test(t, each_has_its_own_time);
	tcase_add_test(t, watches);
	tcase_add_test(t, profiles_count_from_the_next_start);
	tcase_add_test(t, made_from_a_profile_it_stays_as_it_was);
	tcase_add_test(t, a_line_of_xl);
	tcase_add_test(t, a_libxl_that_attaches_leads);
	tcase_add_test(t, changes_follow_a_driver_domain);
	tcase_add_test(t, changes_follow_vgpus_made_by_hand);
	tcase_add_test(t, a_name_that_comes_late);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(x, setup_xapi, teardown);
	tcase_add_test(x, xapi_toggles);
	tcase_add_test(x, xapi_counts_more);
	tcase_add_test(x, xapi_says_nothing_any_more);
	tcase_add_test(x, xapi_and_an_operators_detach);
	tcase_add_test(x, a_round_does_not_grow_with_domains);
	suite_add_tcase(suite, x);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
