/* SPDX-License-Identifier: MIT */
/* pvgpuctl drain-host over xenstore in memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/ctl/ctl_run.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"

#define UUID(n) "00000000-0000-0000-0000-00000000000" #n
#define DRAIN(...)                                                                                 \
	RUN("drain-host", "--config-dir", dir, "--xapi-dir", dir, "--timeout", "0", __VA_ARGS__)

static char dir[64];

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
	unsetenv("PVGPU_RUN_DIR");
	strcpy(dir, "/tmp/ctl-drain.XXXXXX");
	ck_assert(mkdtemp(dir));
	fake_reset();
	fake_domain(0, "Domain-0", UUID(0));
	fake_domain(1, "web1", UUID(1));
	fake_domain(2, "web2", UUID(2));
	fake_domain(3, "web3", UUID(3));
	fake_domain(7, "gpu", UUID(7));
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

START_TEST(who_is_in_the_way)
{
	ck_assert_int_eq(DRAIN("--dry-run"), EXIT_DONE);
	HAS(out, "no VM here has a vGPU");
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	ck_assert_int_eq(RUN("attach", "web2", "--no-wait", "--backend", "gpu"), EXIT_DONE);
	ck_assert_int_eq(RUN("attach", "web3", "--no-wait"), EXIT_DONE);
	put("web1.conf", "[vgpu 0]\n");
	put(UUID(2) ".conf", "[vm]\nuuid = " UUID(2) "\n[vgpu 0]\n");
	fake_set("/local/domain/0/backend/pvgpu/1/0/statistics", "sessions=2");
	ck_assert_int_eq(DRAIN("--dry-run"), EXIT_REFUSED);
	HAS(out, "web1 (domain 1): 1 vGPU; 2 programs would fail when it moves");
	HAS(out, "web2 (domain 2): 1 vGPU; can be moved or stopped");
	HAS(out, "web3 (domain 3): 1 vGPU; 1 attached by hand and would not follow it");
	HAS(out, "gpu (domain 7): serves 1 vGPU: stop it after their VMs");
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/1/0/policy"), "");
	ck_assert_int_eq(DRAIN("--json"), EXIT_REFUSED);
	HAS(out, "\"clear\": false");
	HAS(out, "\"sessions\": 2");
	HAS(out, "\"by-hand\": 1");
	HAS(out, "\"may-move\": true");
	/* By a VGPU object of xapi. */
	fake_set("/local/domain/3/vgpu/state", "running");
	ck_assert_int_eq(DRAIN("--dry-run"), EXIT_REFUSED);
	HAS(out, "web3 (domain 3): 1 vGPU; it has a VGPU object of xapi and cannot be moved: shut "
		 "it down");
}
END_TEST

static void programs_end(void)
{
	if (strcmp(fake_get("/local/domain/0/backend/pvgpu/1/0/statistics"), "sessions=0") != 0)
		fake_set("/local/domain/0/backend/pvgpu/1/0/statistics", "sessions=0");
}

START_TEST(it_waits_for_programs)
{
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait", "--weight", "7"), EXIT_DONE);
	put("web1.conf", "[vgpu 0]\n");
	fake_set("/local/domain/0/backend/pvgpu/1/0/statistics", "sessions=2");
	fake_script(programs_end);
	ck_assert_int_eq(RUN("drain-host", "--config-dir", dir, "--timeout", "600"), EXIT_DONE);
	HAS(out, "web1 (domain 1): 1 vGPU; can be moved or stopped");
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/1/0/policy"), "weight=7 drain=1");
	ck_assert_int_eq(DRAIN("--undo"), EXIT_DONE);
	ck_assert_str_eq(fake_get("/local/domain/0/backend/pvgpu/1/0/policy"), "weight=7 drain=0");
	ck_assert_int_eq(DRAIN("--undo", "--dry-run"), EXIT_USAGE);
	ck_assert_int_eq(RUN("drain-host", "web1"), EXIT_USAGE);
	fake_absent(ENOENT);
	ck_assert_int_eq(DRAIN("--json"), EXIT_NOT_THERE);
}
END_TEST

#define POLICY "/local/domain/0/backend/pvgpu/1/0/policy"

static void ends_when_told(void)
{
	if (strstr(fake_get(POLICY), "drain=now"))
		programs_end();
}

/* Only --end-after ends what runs, and only what still runs then. */
START_TEST(it_ends_programs_on_request)
{
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	put("web1.conf", "[vgpu 0]\n");
	fake_set("/local/domain/0/backend/pvgpu/1/0/statistics", "sessions=2");
	ck_assert_int_eq(DRAIN("--json"), EXIT_REFUSED);
	ck_assert_str_eq(fake_get(POLICY), "drain=1");
	fake_script(ends_when_told);
	ck_assert_int_eq(RUN("drain-host", "--config-dir", dir, "--xapi-dir", dir, "--end-after",
			     "0", "--timeout", "600"),
			 EXIT_DONE);
	ck_assert_str_eq(fake_get(POLICY), "drain=now");
	/* It stays announced, until it is taken back. */
	fake_script(NULL);
	ck_assert_int_eq(DRAIN("--json"), EXIT_DONE);
	ck_assert_str_eq(fake_get(POLICY), "drain=now");
	ck_assert_int_eq(DRAIN("--undo"), EXIT_DONE);
	ck_assert_str_eq(fake_get(POLICY), "drain=0");
	/* No program is there that could be ended. */
	ck_assert_int_eq(DRAIN("--end-after", "600"), EXIT_DONE);
	ck_assert_str_eq(fake_get(POLICY), "drain=1");
	ck_assert_int_eq(DRAIN("--end-after", "1", "--undo"), EXIT_USAGE);
	ck_assert_int_eq(DRAIN("--end-after", "1", "--dry-run"), EXIT_USAGE);
	ck_assert_int_eq(DRAIN("--end-after", "soon"), EXIT_USAGE);
	HAS(errors, "--end-after soon: must be a number of seconds");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl drain");
	TCase *t = tcase_create("drain-host");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_is_in_the_way);
	tcase_add_test(t, it_waits_for_programs);
	tcase_add_test(t, it_ends_programs_on_request);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
