/* SPDX-License-Identifier: MIT */
/* Parameters of NVIDIA's driver, with and without memory that is cleared. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/guard/scrub.h"

#define BEFORE "ResmanDebugLevel: 4294967295\nRmLogonRC: 1\n"
#define AFTER  "RmMsg: \"\"\n"

static const struct {
	const char *text;
	bool off;
} cases[] = {
	{"", false},
	{BEFORE AFTER, false},
	{BEFORE "RegistryDwords: \"\"\n" AFTER, false},
	{BEFORE "RegistryDwords: \"RMDisableScrubOnFree=1\"\n" AFTER, true},
	{BEFORE "RegistryDwords: \"RMDisableScrubOnFree=0\"\n" AFTER, false},
	{"RegistryDwords: \"RMDisableScrubOnFree=0x0;RMDisableScrubOnFree=0x1\"\n", true},
	{"RegistryDwords: \"A=1;rmdisablescrubonfree = 1;B=2\"\n", true},
	{"RegistryDwords: \"A=1;NotRMDisableScrubOnFree=1\"\n", false},
	{"RegistryDwords: \"RMDisableScrubOnFreeLater=1\"\n", false},
	{"RegistryDwords: \"RMDisableScrubOnFree\"\n", false},
	{"RegistryDwordsPerDevice: \"pci=0000:01:00.0;RMDisableScrubOnFree=2\"\n", true},
	{"RmMsg: \"RMDisableScrubOnFree=1\"\n", false},
};

START_TEST(finds_the_setting)
{
	const char *text = cases[_i].text;
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	rewind(f);
	ck_assert_int_eq(scrub_disabled(f), cases[_i].off);
	fclose(f);
}
END_TEST

START_TEST(checks_a_file)
{
	char path[] = "/tmp/scrub-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(scrub_check(path, false), 0);
	ck_assert_int_gt(write(fd, cases[3].text, strlen(cases[3].text)), 0);
	close(fd);
	log_set_level(LOG_LEVEL_ERROR);
	ck_assert_int_eq(scrub_check(path, false), -1);
	ck_assert_int_eq(scrub_check(path, true), 0);
	unlink(path);
	ck_assert_int_eq(scrub_check(path, false), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scrub");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, finds_the_setting, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, checks_a_file);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
