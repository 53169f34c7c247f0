/* SPDX-License-Identifier: MIT */
/* Attaching, waiting and removing over xenstore in memory. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/toolstack/attach.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xenstore-schema/dump.h"

#define FE    "/local/domain/3/device/pvgpu/0"
#define BE    "/local/domain/7/backend/pvgpu/3/0"
#define UUID0 "00000000-0000-0000-0000-000000000000"
#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define UUID7 "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"
#define LONG  120.0 /* seconds that no test waits */

static struct store s;
static char err[ATTACH_ERROR];
static struct pvgpu_ids ids;
static struct vgpu_spec spec;

static void setup(void)
{
	fake_reset();
	fake_domain(0, "Domain-0", UUID0);
	fake_domain(3, "web1", UUID3);
	fake_domain(7, "gpu", UUID7);
	fake_chmod("/local/domain/7/data/pvgpu", "n7");
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/7/data/pvgpu/gpu-memory-free", "8589934592");
	ck_assert_int_eq(store_open(&s), 0);
	spec = (struct vgpu_spec){.any_id = true};
	ids = (struct pvgpu_ids){.fe = 3, .be = 7};
}

static void teardown(void)
{
	store_close(&s);
	fake_reset();
}

static void findings(void *arg, enum pvgpu_severity severity, const char *path, const char *text)
{
	fprintf(stderr, "%s: %s\n", path, text);
}

/* The faults that pvgpuctl check would report: values, both ends, permissions. */
static void check_tree(size_t vgpus)
{
	struct pvgpu_findings f = {.report = findings};
	char *text = fake_dump();
	size_t len = strlen(text), cap = pvgpu_dump_lines(text, len), line;
	struct pvgpu_entry *e = calloc(cap, sizeof(*e));
	const char *why;
	long n = pvgpu_dump_read(text, len, e, cap, &line, &why);

	ck_assert_int_ge(n, 0);
	ck_assert(pvgpu_keys_validate(e, (size_t)n, &f));
	ck_assert_uint_eq(f.vgpus, vgpus);
	ck_assert_uint_eq(f.warnings, 0);
	free(e);
	free(text);
}

static void must_attach(void)
{
	int r = attach_make(&s, &spec, &ids, false, err);

	ck_assert_msg(r == 0, "%d: %s", r, err);
}

START_TEST(keys_and_permissions)
{
	size_t before = fake_nodes();

	ck_assert_int_eq(vgpu_spec_set(&spec, "memory", "4G", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&spec, "weight", "200", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&spec, "arena-limit", "1G", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&spec, "model", "pvgpu 4 GiB", err), 0);
	must_attach();
	ck_assert_uint_eq(ids.id, 0);
	check_tree(1);
	ck_assert_str_eq(fake_get(FE "/backend"), BE);
	ck_assert_str_eq(fake_get(FE "/backend-id"), "7");
	ck_assert_str_eq(fake_get(FE "/state"), "1");
	ck_assert_str_eq(fake_get(BE "/frontend"), FE);
	ck_assert_str_eq(fake_get(BE "/frontend-id"), "3");
	ck_assert_str_eq(fake_get(BE "/online"), "1");
	ck_assert_str_eq(fake_get(BE "/memory"), "4294967296");
	ck_assert_str_eq(fake_get(BE "/policy"), "weight=200 arena-limit=1073741824");
	ck_assert_str_eq(fake_get(BE "/model"), "pvgpu 4 GiB");
	ck_assert_str_eq(fake_get(BE "/vm-name"), fake_get("/local/domain/3/name"));
	ck_assert_str_eq(fake_get(BE "/vm-uuid"), fake_get("/local/domain/3/vm") + 4);
	ck_assert_str_eq(fake_perms(BE "/vm-name"), "n0,r7,r3");
	ck_assert_str_eq(fake_get(BE "/state"), "1");
	ck_assert_str_eq(fake_perms(FE), "n3,r7");
	ck_assert_str_eq(fake_perms(FE "/state"), "n3,r7");
	ck_assert_str_eq(fake_perms(BE), "n7,r3");
	ck_assert_str_eq(fake_perms(BE "/state"), "n7,r3");
	ck_assert_str_eq(fake_perms(BE "/policy"), "n0,r7,r3");
	ck_assert_str_eq(fake_perms("/local/domain/7/backend/pvgpu"), "n0,r7");
	ck_assert_str_eq(fake_perms("/local/domain/7/backend/pvgpu/3"), "n0,r7");
	ck_assert_str_eq(fake_perms("/local/domain/3/device/pvgpu"), "n0,r3");
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert_uint_eq(fake_nodes(), before);
}
END_TEST

/* The cost of many is the cost of one, times their number. */
START_TEST(requests)
{
	char uuid[PVGPU_UUID_TEXT];
	struct domains d;
	struct vgpus all;

	must_attach();
	for (unsigned int i = 1; i <= 20; i++) {
		spec = (struct vgpu_spec){.id = i};
		fake_requests();
		must_attach();
		ck_assert_uint_le(fake_requests(), 29);
	}
	check_tree(21);
	vgpu_read_uuid(&s, &ids, uuid);
	fake_requests();
	ck_assert_int_eq(attach_offline(&s, &ids, uuid), 0);
	ck_assert_uint_le(fake_requests(), 5);
	ck_assert_int_eq(domains_read(&s, &d), 0);
	fake_requests();
	ck_assert_int_eq(vgpus_read_guest(&s, &d, 3, &ids.id, &all), 0);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.v[0].ids.id, 20);
	ck_assert_uint_eq(all.v[0].ids.be, 7);
	/* Three domains that may serve it, the guest itself, the keys. */
	ck_assert_uint_le(fake_requests(), 4 + 13);
	vgpus_free(&all);
	ck_assert_int_eq(vgpus_read_guest(&s, &d, 3, NULL, &all), 0);
	ck_assert_uint_eq(all.n, 21);
	vgpus_free(&all);
	fake_requests();
	ck_assert_int_eq(vgpus_read(&s, &d, vgpu_read_states, &all), 0);
	ck_assert_uint_eq(all.n, 21);
	ck_assert_uint_le(fake_requests(), 7 + 5 * 21);
	vgpus_free(&all);
	domains_free(&d);
	fake_requests();
	ck_assert_int_eq(attach_remove(&s, &ids, uuid), 0);
	ck_assert_uint_le(fake_requests(), 9);
}
END_TEST

START_TEST(numbers)
{
	must_attach();
	must_attach();
	ck_assert_uint_eq(ids.id, 1);
	spec.any_id = false;
	spec.id = 5;
	must_attach();
	ck_assert_uint_eq(ids.id, 5);
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -EEXIST);
	ck_assert(strstr(err, "already has a vGPU 5"));
	/* In use with another backend. */
	ids.be = 0;
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -EEXIST);
	check_tree(3);
	/* The others and their parents stay. */
	ids = (struct pvgpu_ids){.fe = 3, .be = 7, .id = 1};
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	check_tree(2);
	spec.any_id = true;
	must_attach();
	ck_assert_uint_eq(ids.id, 1);
}
END_TEST

START_TEST(refusals)
{
	size_t before = fake_nodes();

	ids.fe = 4;
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -ENOENT);
	ck_assert_str_eq(err, "domain 4 is gone");
	ids.fe = ids.be = 3;
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -EINVAL);
	ids.be = 0;
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -ENODEV);
	ck_assert(strstr(err, "no pvgpud runs in domain 0"));
	ids.be = 9;
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -ENOENT);
	ids.be = 7;
	spec.memory = (8ull << 30) + 1;
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -ENOSPC);
	ck_assert(strstr(err, "only 8192 MiB"));
	ck_assert_int_eq(attach_possible(&s, &spec, &ids, false, err), -ENOSPC);
	ck_assert_int_eq(attach_possible(&s, &spec, &ids, true, err), 0);
	ck_assert_uint_eq(fake_nodes(), before);
	ck_assert_int_eq(attach_make(&s, &spec, &ids, true, err), 0);
	/* A backend that writes nonsense. */
	fake_set("/local/domain/7/data/pvgpu/gpu-memory-free", "much");
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -EINVAL);
	ck_assert(strstr(err, "gpu-memory-free"));
}
END_TEST

START_TEST(conflicts)
{
	size_t before = fake_nodes();

	fake_conflicts(1000000);
	ck_assert_int_eq(attach_make(&s, &spec, &ids, false, err), -EAGAIN);
	ck_assert_msg(strstr(err, "xenstore did not take"), "%s", err);
	ck_assert_uint_eq(fake_nodes(), before);
	fake_conflicts(5);
	must_attach();
	check_tree(1);
	ck_assert_uint_eq(ids.id, 0);
}
END_TEST

/* The guest writes to its own keys without end: both directories go all the same, and ours is not
 * the guest's to keep. */
START_TEST(removal_while_the_guest_writes)
{
	size_t before = fake_nodes();

	must_attach();
	fake_writer(FE);
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert(!fake_get(BE));
	ck_assert(!fake_get(FE));
	ck_assert_uint_eq(fake_nodes(), before);
}
END_TEST

/* Where a transaction conflicts without end, the time limit ends it. */
START_TEST(conflicts_have_a_time_limit)
{
	must_attach();
	fake_conflicts(1000000);
	fake_requests();
	s.until = store_now();
	ck_assert_int_eq(attach_remove(&s, &ids, ""), -ETIMEDOUT);
	ck_assert_uint_le(fake_requests(), 12);
	ck_assert_int_eq(attach_offline(&s, &ids, ""), -ETIMEDOUT);
	ck_assert_ptr_nonnull(fake_get(BE));
	fake_conflicts(0);
	s.until = 0;
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
}
END_TEST

/* ---- the other ends ---- */

static unsigned int at;
static const char *const *story; /* pairs of path and value */

static void next(void)
{
	if (!story[2 * at])
		return;
	fake_set(story[2 * at], story[2 * at + 1]);
	at++;
}

static enum await_end tell(const char *const *what, enum await_goal goal, double limit, char *why)
{
	struct domains d;
	struct vgpu v;
	enum await_end end;

	story = what;
	at = 0;
	fake_script(next);
	end = await_vgpu(&s, &ids, goal, limit, NULL, NULL, &v);
	fake_script(NULL);
	ck_assert_int_eq(domains_read(&s, &d), 0);
	await_explain(&s, &d, &v, goal, why, ATTACH_ERROR);
	domains_free(&d);
	return end;
}

START_TEST(connects)
{
	static const char *const good[] = {BE "/state", "2",         FE "/state", "3", BE "/state",
					   "4",         FE "/state", "4",         NULL};
	char why[ATTACH_ERROR];

	must_attach();
	ck_assert_int_eq(tell(good, AWAIT_CONNECTED, LONG, why), AWAIT_DONE);
	/* The condition holds already. */
	ck_assert_int_eq(tell(good + 8, AWAIT_CONNECTED, LONG, why), AWAIT_DONE);
}
END_TEST

START_TEST(refused)
{
	static const char *const by_pvgpud[] = {BE "/last-reason", "policy: cannot be met\x1b[2J",
						BE "/state", "6", NULL};
	static const char *const by_guest[] = {BE "/state",
					       "2",
					       "/local/domain/3/error/device/pvgpu/0/error",
					       "22 no version in common\x1b",
					       FE "/state",
					       "6",
					       NULL};
	char why[ATTACH_ERROR];

	must_attach();
	ck_assert_int_eq(tell(by_pvgpud, AWAIT_CONNECTED, LONG, why), AWAIT_REFUSED);
	ck_assert(strstr(why, "pvgpud in gpu"));
	ck_assert(!strchr(why, '\x1b'));
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	must_attach();
	ck_assert_int_eq(tell(by_guest, AWAIT_CONNECTED, LONG, why), AWAIT_REFUSED);
	ck_assert_msg(strstr(why, "pvgpu.ko in web1 refused it: 22 no version in common?"), "%s",
		      why);
}
END_TEST

START_TEST(times_out)
{
	static const char *const nothing[] = {NULL};
	static const char *const waits[] = {BE "/state", "2", NULL};
	static const char *const ring[] = {BE "/state", "2", FE "/state", "3", NULL};
	char why[ATTACH_ERROR];

	must_attach();
	ck_assert_int_eq(tell(nothing, AWAIT_CONNECTED, 0, why), AWAIT_TIMEOUT);
	ck_assert_msg(strstr(why, "pvgpud in gpu has not taken it up"), "%s", why);
	/* Changes that arrived before the limit are handled first, although the limit is over. */
	ck_assert_int_eq(tell(waits, AWAIT_CONNECTED, 0, why), AWAIT_TIMEOUT);
	ck_assert_msg(strstr(why, "web1 has not loaded pvgpu.ko"), "%s", why);
	ck_assert_int_eq(tell(ring, AWAIT_CONNECTED, 0, why), AWAIT_TIMEOUT);
	ck_assert_msg(strstr(why, "has not connected to the guest's ring"), "%s", why);
	ck_assert_int_eq(tell(nothing, AWAIT_CLOSED, 0, why), AWAIT_TIMEOUT);
	ck_assert_msg(strstr(why, "--force"), "%s", why);
}
END_TEST

static void guest_dies(void)
{
	fake_domain_gone(3);
	fake_script(NULL);
}

START_TEST(guest_gone)
{
	struct domains d;
	struct vgpu v;
	char why[ATTACH_ERROR];

	must_attach();
	fake_script(guest_dies);
	ck_assert_int_eq(await_vgpu(&s, &ids, AWAIT_CONNECTED, LONG, NULL, NULL, &v), AWAIT_GONE);
	ck_assert_int_eq(domains_read(&s, &d), 0);
	await_explain(&s, &d, &v, AWAIT_CONNECTED, why, sizeof(why));
	domains_free(&d);
	ck_assert_msg(strstr(why, "the domain has ended"), "%s", why);
	ck_assert(!attach_served(&s, &v));
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert(!fake_get(BE));
	ck_assert(!fake_get("/local/domain/7/backend/pvgpu"));
}
END_TEST

START_TEST(closes)
{
	static const char *const good[] = {BE "/state", "5",         BE "/state", "6", FE "/state",
					   "5",         FE "/state", "6",         NULL};
	static const char *const backend_only[] = {BE "/state", "6", NULL};
	char why[ATTACH_ERROR];
	struct vgpu v;

	must_attach();
	ck_assert_int_eq(tell(backend_only, AWAIT_CLOSED, LONG, why), AWAIT_DONE);
	fake_set(BE "/state", "4");
	fake_set(FE "/state", "4");
	vgpu_read(&s, &ids, &v);
	ck_assert(attach_served(&s, &v));
	ck_assert_int_eq(attach_offline(&s, &ids, ""), 0);
	ck_assert_str_eq(fake_get(BE "/online"), "0");
	ck_assert_str_eq(fake_perms(BE "/online"), "n0,r7,r3");
	/* For a guest that never closes, the wait ends after the given time. */
	ck_assert_int_eq(tell(backend_only, AWAIT_CLOSED, 0, why), AWAIT_DONE);
	ck_assert_str_eq(fake_get(FE "/state"), "4");
	fake_set(BE "/state", "4");
	/* Not before the guest has closed its end, too: it would write to the next vGPU's keys. */
	ck_assert_int_eq(tell(good, AWAIT_CLOSED, LONG, why), AWAIT_DONE);
	ck_assert_str_eq(fake_get(FE "/state"), "6");
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert_int_eq(attach_offline(&s, &ids, ""), -ENOENT);
}
END_TEST

/* Each event is followed by the next one. */
static void writes_on(void)
{
	fake_set(FE "/state", "4");
}

/* A guest whose writes never end does not prolong a wait. */
START_TEST(waits_end_while_the_guest_writes)
{
	struct vgpu v;

	must_attach();
	fake_set(BE "/state", _i ? "6" : "4");
	fake_script(writes_on);
	ck_assert_int_eq(await_vgpu(&s, &ids, AWAIT_CLOSED, 0.05, NULL, NULL, &v),
			 _i ? AWAIT_DONE : AWAIT_TIMEOUT);
	fake_script(NULL);
}
END_TEST

START_TEST(another_backend_is_left_alone)
{
	must_attach();
	ids.be = 0;
	/* A leftover in dom0: the guest's directory belongs to the vGPU of domain 7. */
	fake_set("/local/domain/0/backend/pvgpu/3/0/state", "1");
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert(!fake_get("/local/domain/0/backend"));
	check_tree(1);
	/* A guest that names a backend which has no such vGPU does not keep its directory by that.
	 */
	fake_set(FE "/backend", "/local/domain/0/backend/pvgpu/3/0");
	ids.be = 7;
	ck_assert_int_eq(attach_remove(&s, &ids, ""), 0);
	ck_assert(!fake_get(FE));
}
END_TEST

START_TEST(names)
{
	struct domains d;
	const struct domain *found;

	fake_domain(12, "web2", "AABBCCDD-0000-4000-8000-000000000001");
	fake_domain(13, "web2", "aabbccdd-0000-4000-8000-000000000002");
	fake_domain(14, "12", "nonsense");
	fake_domain(15, "esc\x1b[2J", "");
	ck_assert_int_eq(domains_read(&s, &d), 0);
	ck_assert_uint_eq(d.n, 7);
	ck_assert_int_eq(domains_resolve(&d, "VM", "web1", &found, err), 0);
	ck_assert_uint_eq(found->domid, 3);
	ck_assert_int_eq(domains_resolve(&d, "VM", "3", &found, err), 0);
	ck_assert_uint_eq(found->domid, 3);
	ck_assert_int_eq(
		domains_resolve(&d, "VM", "9C1B7A52-3f60-4f8e-8d55-0a2f6c1e7b90", &found, err), 0);
	ck_assert_uint_eq(found->domid, 3);
	ck_assert_int_eq(
		domains_resolve(&d, "VM", "aabbccdd-0000-4000-8000-000000000001", &found, err), 0);
	ck_assert_uint_eq(found->domid, 12);
	ck_assert_int_eq(domains_resolve(&d, "VM", "web2", &found, err), -ENOTUNIQ);
	ck_assert_msg(strstr(err, "domain 12") && strstr(err, "domain 13"), "%s", err);
	ck_assert_int_eq(domains_resolve(&d, "VM", "12", &found, err), -ENOTUNIQ);
	ck_assert_int_eq(domains_resolve(&d, "VM", "web", &found, err), -ENOENT);
	ck_assert_int_eq(domains_resolve(&d, "VM", "", &found, err), -ENOENT);
	ck_assert_str_eq(domains_find(&d, 15)->name, "esc?[2J");
	ck_assert_str_eq(domains_find(&d, 14)->uuid, "");
	domains_free(&d);
}
END_TEST

START_TEST(all_vgpus)
{
	struct domains d;
	struct vgpus all;

	must_attach();
	fake_set(BE "/state", "4");
	fake_set(FE "/state", "4");
	fake_set(BE "/statistics", "memory-used=1073741824 sessions=2 gpu-time=1500000 new=1");
	fake_set(BE "/last-reason", "session 12: out of memory quota");
	/* Invalid values are shown as empty; names that are no numbers are ignored. */
	fake_set("/local/domain/7/backend/pvgpu/3/1/state", "four");
	fake_set("/local/domain/7/backend/pvgpu/3/x/state", "4");
	fake_set("/local/domain/7/backend/pvgpu/99999999999/0/state", "4");
	/* The backend domain of this one is gone. */
	fake_set("/local/domain/3/device/pvgpu/2/backend-id", "8");
	fake_set("/local/domain/3/device/pvgpu/2/state", "7");
	ck_assert_int_eq(domains_read(&s, &d), 0);
	ck_assert_int_eq(vgpus_read(&s, &d, vgpu_read, &all), 0);
	ck_assert_uint_eq(all.n, 3);
	ck_assert(all.v[0].backend_there && all.v[0].guest_there && all.v[0].online);
	ck_assert_int_eq(all.v[0].state, PVGPU_STATE_CONNECTED);
	ck_assert_uint_eq(all.v[0].statistics.sessions, 2);
	ck_assert_uint_eq(all.v[0].statistics.memory_used, 1u << 30);
	ck_assert_str_eq(all.v[0].reason.s, "session 12: out of memory quota");
	ck_assert_uint_eq(strlen(all.v[0].uuid), 36);
	ck_assert_int_eq(all.v[1].state, PVGPU_STATE_UNKNOWN);
	ck_assert(!all.v[1].guest_there);
	ck_assert_uint_eq(all.v[2].ids.be, 8);
	ck_assert(!all.v[2].backend_there);
	ck_assert_int_eq(all.v[2].guest_state, PVGPU_STATE_RECONFIGURING);
	vgpus_free(&all);
	domains_free(&d);
}
END_TEST

static bool none_gone(void *arg, uint32_t domid)
{
	return domid == *(uint32_t *)arg;
}

START_TEST(special_events)
{
	uint32_t dead = 0, both[] = {5, 7}, six = 6;

	ck_assert_int_eq(store_let_hear(&s, "@releaseDomain", both, 2, none_gone, &dead), 0);
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r5,r7");
	dead = 5;
	ck_assert_int_eq(store_let_hear(&s, "@releaseDomain", &six, 1, none_gone, &dead), 0);
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r7,r6");
	ck_assert_int_eq(store_let_hear(&s, "@releaseDomain", &six, 1, none_gone, &dead), 0);
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r7,r6");
	/* As xenstored 4.17 does. */
	fake_mute();
	ck_assert_int_eq(store_let_hear(&s, "@releaseDomain", &six, 1, none_gone, &dead), 0);
	ck_assert_str_eq(fake_perms("@releaseDomain"), "n0,r6");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_attach");
	TCase *t = tcase_create("attach");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, keys_and_permissions);
	tcase_add_test(t, numbers);
	tcase_add_test(t, refusals);
	tcase_add_test(t, conflicts);
	tcase_add_test(t, removal_while_the_guest_writes);
	tcase_add_test(t, conflicts_have_a_time_limit);
	tcase_add_loop_test(t, waits_end_while_the_guest_writes, 0, 2);
	tcase_add_test(t, requests);
	tcase_add_test(t, connects);
	tcase_add_test(t, refused);
	tcase_add_test(t, times_out);
	tcase_add_test(t, guest_gone);
	tcase_add_test(t, closes);
	tcase_add_test(t, another_backend_is_left_alone);
	tcase_add_test(t, names);
	tcase_add_test(t, all_vgpus);
	tcase_add_test(t, special_events);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
