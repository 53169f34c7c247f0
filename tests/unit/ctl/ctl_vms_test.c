/* SPDX-License-Identifier: MIT */
/* pvgpu-vms.conf(5), and the properties of vGPUs that it shares with the command line. */
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/toolstack/vms.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define UUID4 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b91"

static char dir[64], err[VMS_ERROR];

static void setup(void)
{
	strcpy(dir, "/tmp/vms-test.XXXXXX");
	ck_assert(mkdtemp(dir));
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *put(const char *name, const char *text)
{
	static char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
	return path;
}

START_TEST(reads)
{
	struct vm_conf c;
	const char *path =
		put("web1.conf", "# comment\n[vm]\nname = web one\nuuid = " UUID3
				 "\n\n[vgpu 0]\nmemory = 4G\nweight = 200\n  max-sessions "
				 "= 4 ; few\nbackend = gpu\nuuid = " UUID4
				 "\nmodel = pvgpu 4 GiB\n[vgpu 2]\n[vgpu 1]\ndrain=1\n");

	ck_assert_msg(vm_conf_read(&c, path, err) == 0, "%s", err);
	ck_assert_str_eq(c.name, "web one");
	ck_assert_str_eq(c.uuid, UUID3);
	ck_assert_uint_eq(c.n, 3);
	ck_assert_uint_eq(c.vgpus[0].memory, 4ull << 30);
	ck_assert_str_eq(c.vgpus[0].policy, "weight=200 max-sessions=4");
	ck_assert_str_eq(c.vgpus[0].backend, "gpu");
	ck_assert_str_eq(c.vgpus[0].model.s, "pvgpu 4 GiB");
	ck_assert(c.vgpus[0].has_uuid && !c.vgpus[1].has_uuid);
	ck_assert_uint_eq(c.vgpus[1].id, 2);
	ck_assert_str_eq(vm_conf_vgpu(&c, 1)->policy, "drain=1");
	vm_conf_free(&c);
	/* Named after its VM. */
	ck_assert_int_eq(vm_conf_read(&c, put("web2.conf", "[vgpu 0]\n"), err), 0);
	ck_assert_str_eq(c.name, "web2");
	vm_conf_free(&c);
	ck_assert_int_eq(vm_conf_read(&c, put(UUID3 ".conf", "[vgpu 0]\n"), err), 0);
	ck_assert_str_eq(c.uuid, UUID3);
	ck_assert_str_eq(c.name, "");
	vm_conf_free(&c);
}
END_TEST

START_TEST(complains)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"[vgpu 0]\nmemory = lots\n", "a.conf:2: memory 'lots': must be 0, or bytes"},
		{"[vgpu 0]\nmemory = 8\n", "; did you mean 8G?"},
		{"[vgpu 0]\nweight = 1\n[vgpu 0]\nweight = 2\n",
		 "a.conf:3: this vGPU is there already"},
		{"[vgpu 0]\nwieght = 1\n", "no such setting; did you mean weight?"},
		{"[vgpu 0]\n\nweight = 0\n", "a.conf:3: weight '0': must be "},
		{"[vgpu 0]\nweight = 1 drain=1\n", "must be one value"},
		{"[vgpu 0]\nspeed = 1\n", "speed: no such setting; there are backend, "},
		{"[vgpu x]\n", "a.conf:1: must be [vgpu N]"},
		{"[vgpu 99999999]\nweight=1\n", "must be [vgpu N]"},
		{"[vgpu -1]\n", "must be [vgpu N]"},
		{"[vm]\nuuid = 12\n", "a.conf:2: uuid: must be 32"},
		{"[vm]\ncolour = red\n", "[vm] has name and uuid"},
		{"[daemon]\nx = 1\n", "a.conf:2: there are the sections [vm] and [vgpu N]"},
		{"[vgpu 0]\nhello\n", "a.conf:2: neither [section] nor key = value"},
	};
	struct vm_conf c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(vm_conf_read(&c, put("a.conf", wrong[i].text), err), -EINVAL);
		ck_assert_msg(strstr(err, wrong[i].says), "'%s' not in '%s'", wrong[i].says, err);
	}
	ck_assert_int_eq(vm_conf_read(&c, "/nonexistent/x.conf", err), -ENOENT);
}
END_TEST

static unsigned int faults;

static void count(void *arg, const char *text)
{
	ck_assert(strstr(text, "bad.conf"));
	faults++;
}

START_TEST(finds)
{
	struct domain by_uuid = {.domid = 1, .name = "renamed", .uuid = UUID3},
		      by_name = {.domid = 2, .name = "web2", .uuid = UUID4},
		      received = {.domid = 3, .name = "web2--incoming", .uuid = UUID4},
		      longer = {.domid = 4, .name = "web22"}, nameless = {.domid = 5};
	struct vms v;

	ck_assert_int_eq(vms_read(&v, "/nonexistent", count, NULL), 0);
	ck_assert_uint_eq(v.n, 0);
	vms_free(&v);
	put("a.conf", "[vm]\nname = web1\nuuid = " UUID3 "\n[vgpu 0]\n");
	put("web2.conf", "[vgpu 0]\n");
	put("bad.conf", "hello\n");
	put(".hidden.conf", "hello\n");
	put("web2.conf.old", "hello\n");
	ck_assert_int_eq(vms_read(&v, dir, count, NULL), 1);
	ck_assert_uint_eq(faults, 1);
	ck_assert_uint_eq(v.n, 2);
	ck_assert_ptr_eq(vms_find(&v, &by_uuid), &v.v[0]);
	ck_assert_ptr_eq(vms_find(&v, &by_name), &v.v[1]);
	ck_assert_ptr_eq(vms_find(&v, &received), &v.v[1]);
	ck_assert_ptr_null(vms_find(&v, &longer));
	ck_assert_ptr_null(vms_find(&v, &nameless));
	vms_free(&v);
}
END_TEST

static void take_fault(void *arg, const char *text)
{
	snprintf(err, sizeof(err), "%s", text);
}

static struct vgpu_spec some_spec(uint32_t id)
{
	struct vgpu_spec w = {.id = id};

	ck_assert_int_eq(vgpu_spec_set(&w, "memory", "4G", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&w, "weight", "200", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&w, "arena-limit", "1G", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&w, "uuid", UUID4, err), 0);
	ck_assert_int_eq(vgpu_spec_set(&w, "model", "pvgpu 4 GiB", err), 0);
	ck_assert_int_eq(vgpu_spec_set(&w, "backend", "gpu", err), 0);
	return w;
}

START_TEST(a_pardon_can_be_one_more)
{
	char policy[PVGPU_KEY_TEXT] = "weight=200";

	ck_assert_int_eq(policy_set(policy, "pardon", "+1", err), 0);
	ck_assert_str_eq(policy, "weight=200 pardon=1");
	ck_assert_int_eq(policy_set(policy, "pardon", "+41", err), 0);
	ck_assert_str_eq(policy, "weight=200 pardon=42");
	ck_assert_int_eq(policy_set(policy, "pardon", "7", err), 0);
	ck_assert_str_eq(policy, "weight=200 pardon=7");
	ck_assert_int_lt(policy_set(policy, "pardon", "+18446744073709551615", err), 0);
	ck_assert_int_lt(policy_set(policy, "pardon", "+x", err), 0);
	ck_assert_int_lt(policy_set(policy, "weight", "+1", err), 0);
	ck_assert_str_eq(policy, "weight=200 pardon=7");
}
END_TEST

START_TEST(keeps_and_forgets)
{
	struct domain d = {.domid = 3, .name = "web1", .uuid = UUID3};
	struct vgpu_spec w = some_spec(0), w1 = some_spec(1);
	struct vms v;
	char sub[128];

	snprintf(sub, sizeof(sub), "%s/etc/new", dir);
	ck_assert_msg(vms_keep(sub, &d, &w, err) == 0, "%s", err);
	ck_assert_int_eq(vms_keep(sub, &d, &w1, err), 0);
	/* Again: it is replaced. */
	ck_assert_int_eq(vgpu_spec_set(&w, "memory", "2G", err), 0);
	ck_assert_int_eq(vms_keep(sub, &d, &w, err), 0);
	ck_assert_int_eq(vms_read(&v, sub, count, NULL), 0);
	ck_assert_uint_eq(v.n, 1);
	ck_assert_uint_eq(v.v[0].n, 2);
	ck_assert_str_eq(v.v[0].name, "web1");
	ck_assert_str_eq(v.v[0].uuid, UUID3);
	ck_assert_mem_eq(&v.v[0].vgpus[1].uuid, &w1.uuid, sizeof(w1.uuid));
	ck_assert_uint_eq(v.v[0].vgpus[0].memory, 2ull << 30);
	ck_assert_str_eq(v.v[0].vgpus[0].policy, "weight=200 arena-limit=1073741824");
	ck_assert_str_eq(v.v[0].vgpus[0].model.s, "pvgpu 4 GiB");
	ck_assert_str_eq(v.v[0].vgpus[0].backend, "gpu");
	vms_free(&v);
	ck_assert_int_eq(vms_forget(sub, &d, "web1", false, 7, err), -ENOENT);
	ck_assert_int_eq(vms_forget(sub, &d, "web1", false, 0, err), 0);
	ck_assert_int_eq(vms_read(&v, sub, count, NULL), 0);
	ck_assert_uint_eq(v.v[0].n, 1);
	ck_assert_uint_eq(v.v[0].vgpus[0].id, 1);
	vms_free(&v);
	/* The VM does not run. */
	ck_assert_int_eq(vms_forget(sub, NULL, "web2", true, 0, err), -ENOENT);
	ck_assert_int_eq(vms_forget(sub, NULL, "web1", true, 0, err), 0);
	ck_assert_int_eq(rmdir(sub), 0);
}
END_TEST

START_TEST(odd_names)
{
	struct domain d = {.domid = 3, .name = "../x;y", .uuid = UUID3};
	struct vgpu_spec w = some_spec(0);
	struct vms v;

	ck_assert_int_eq(vms_keep(dir, &d, &w, err), 0);
	ck_assert_int_eq(vms_read(&v, dir, count, NULL), 0);
	ck_assert_uint_eq(v.n, 1);
	ck_assert(strstr(v.v[0].path, UUID3 ".conf"));
	ck_assert_ptr_eq(vms_find(&v, &d), &v.v[0]);
	vms_free(&v);
	d.uuid[0] = '\0';
	ck_assert_int_eq(vms_keep(dir, &d, &w, err), -EINVAL);
	/* Another VM's file is not taken. */
	strcpy(d.name, "web1");
	put("web1.conf", "[vm]\nuuid = " UUID4 "\n[vgpu 0]\n");
	ck_assert_int_eq(vms_keep(dir, &d, &w, err), -EEXIST);
}
END_TEST

START_TEST(policy_text)
{
	char p[PVGPU_KEY_TEXT] = "weight=100 future=7 drain=0";

	ck_assert_int_eq(policy_set(p, "weight", "300", err), 0);
	ck_assert_str_eq(p, "future=7 drain=0 weight=300");
	ck_assert_int_eq(policy_set(p, "arena-limit", "2G", err), 0);
	ck_assert_str_eq(p, "future=7 drain=0 weight=300 arena-limit=2147483648");
	ck_assert_int_eq(policy_set(p, "drain", "2", err), -EINVAL);
	ck_assert_int_eq(policy_set(p, "future", "2", err), -EINVAL);
	ck_assert_str_eq(p, "future=7 drain=0 weight=300 arena-limit=2147483648");
}
END_TEST

START_TEST(xl_configuration)
{
	struct vm_conf c;
	struct vms v = {0};

	ck_assert_int_eq(xl_config_read(&c,
					put("web1.cfg",
					    "# pvgpu = [ 'no' ]\n"
					    "name = \"web1\" ; memory = 512\n"
					    "disk = [ 'phy:/dev/a,xvda,w', # ]\n"
					    "         \"phy:/dev/b,xvdb,w\" ]\n"
					    "uuid='" UUID3 "'\n"
					    "pvgpu = [ \"profile=pvgpu-8g,backend=gpu\", # first\n"
					    "  'id=4, memory=1G,pool=fast/a',\n"
					    "  'weight=7', ]\n"
					    "vif = ['mac=00:16:3e:00:00:01']"),
					err),
			 1);
	ck_assert_str_eq(c.name, "web1");
	ck_assert_str_eq(c.uuid, UUID3);
	ck_assert_uint_eq(c.n, 3);
	ck_assert_uint_eq(c.vgpus[0].id, 0);
	ck_assert_str_eq(c.vgpus[0].profile.s, "pvgpu-8g");
	ck_assert_str_eq(c.vgpus[0].backend, "gpu");
	ck_assert_uint_eq(c.vgpus[1].id, 4);
	ck_assert_uint_eq(c.vgpus[1].memory, 1ull << 30);
	ck_assert_str_eq(c.vgpus[1].pool.s, "fast/a");
	ck_assert_uint_eq(c.vgpus[2].id, 5);
	ck_assert_str_eq(c.vgpus[2].policy, "weight=7");
	vm_conf_free(&c);
	/* Others are not looked at, and one with an error keeps no other from being read. */
	put("a.cfg", "name = 'a'\nthis is = [ not xl's\n");
	put("b.cfg", "name = 'b'\npvgpu = ['speed=3']\n");
	put("c.cfg", "name = 'pvgpu-c'\npvgpu = []\n");
	put("bad.conf", "hello\n");
	faults = 0;
	ck_assert_int_eq(vms_read(&v, dir, count, NULL), 1);
	ck_assert_int_eq(xl_configs_add(&v, dir, take_fault, NULL), 1);
	ck_assert(strstr(err, "/b.cfg:2: speed: no such setting; there are "));
	ck_assert_uint_eq(v.n, 1);
	ck_assert_str_eq(v.v[0].name, "web1");
	vms_free(&v);
	ck_assert_int_eq(xl_configs_add(&v, "/nonexistent", take_fault, NULL), 0);
}
END_TEST

START_TEST(xl_configuration_complains)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"pvgpu = 'x'\n", ":2: pvgpu: must be [\"KEY=VALUE,...\", ...]"},
		{"pvgpu = [\n'x']\n", ":3: pvgpu: a vGPU is KEY=VALUE"},
		{"pvgpu = ['id=x']\n", ":2: pvgpu: id: must be a number"},
		{"pvgpu = ['id=1', 'id=1']\n", "two vGPUs have the same id"},
		{"pvgpu = ['id=1' 'id=2']\n", "',' or ']' expected"},
		{"pvgpu = ['memory=1G\n", "the text has no end"},
		{"pvgpu = [", "a text in quotes expected"},
		{"pvgpu = [x]", "a text in quotes expected"},
		{"pvgpu = ['memory=lots']", ":2: memory 'lots': must be "},
	};
	struct vm_conf c;
	char text[128];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "name = 'a'\n%s", wrong[i].text);
		ck_assert_int_eq(xl_config_read(&c, put("a.cfg", text), err), -EINVAL);
		ck_assert_msg(strstr(err, wrong[i].says), "'%s' not in '%s'", wrong[i].says, err);
	}
	ck_assert_int_eq(xl_config_read(&c, put("a.cfg", "pvgpu = ['id=1']"), err), -EINVAL);
	ck_assert(strstr(err, "has no name"));
	ck_assert_int_eq(xl_config_read(&c, put("a.cfg", "name = 'pvgpu\nx = ["), err), -EINVAL);
	ck_assert_int_eq(xl_config_read(&c, "/nonexistent", err), -ENOENT);
}
END_TEST

START_TEST(uuids)
{
	struct pvgpu_uuid a, b;

	ck_assert_int_eq(uuid_random(&a), 0);
	ck_assert_int_eq(uuid_random(&b), 0);
	ck_assert_mem_ne(&a, &b, sizeof(a));
	ck_assert_uint_eq(a.b[6] >> 4, 4);
	ck_assert_uint_eq(a.b[8] >> 6, 2);
	uuid_derived(&a, "web1/0");
	uuid_derived(&b, "web1/0");
	ck_assert_mem_eq(&a, &b, sizeof(a));
	uuid_derived(&b, "web1/1");
	ck_assert_mem_ne(&a, &b, sizeof(a));
	ck_assert_uint_eq(a.b[6] >> 4, 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_vms");
	TCase *t = tcase_create("vms");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads);
	tcase_add_test(t, complains);
	tcase_add_test(t, finds);
	tcase_add_test(t, a_pardon_can_be_one_more);
	tcase_add_test(t, keeps_and_forgets);
	tcase_add_test(t, odd_names);
	tcase_add_test(t, policy_text);
	tcase_add_test(t, xl_configuration);
	tcase_add_test(t, xl_configuration_complains);
	tcase_add_test(t, uuids);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
