/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config.h"
#include "xen-pvgpu-back/daemon/log.h"

static struct config c;
static char error[CONFIG_ERROR];

static int parse(const char *text)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int r;

	ck_assert_ptr_nonnull(f);
	error[0] = '\0';
	r = config_stream(&c, f, "x.conf", error);
	fclose(f);
	return r;
}

static void setup(void)
{
	config_init(&c);
}

static void teardown(void)
{
	config_free(&c);
}

START_TEST(reads_everything)
{
	int r = parse("# a comment\n"
		      "[daemon]\n"
		      "run_dir = /tmp/x\n"
		      "libcuda = /usr/lib/libcuda.so.1 ; a comment\n"
		      "spare_workers = 3\n"
		      "log_level = debug\n"
		      "env = SIMCUDA_MEMORY=1G\n"
		      "env = B=c=d\n"
		      "\n"
		      "[vgpu first]\n"
		      "memory = 4G\n"
		      "  mode = 0660\n"
		      "owner = nobody:users\n"
		      "[vgpu second]\n"
		      "[vgpu third]\n"
		      "memory = 0\n"
		      "socket = /tmp/s\n");

	ck_assert_msg(r == 0, "%s", error);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_str_eq(c.run_dir, "/tmp/x");
	ck_assert_str_eq(c.libcuda, "/usr/lib/libcuda.so.1");
	ck_assert_uint_eq(c.spares, 3);
	ck_assert_uint_eq(c.log_level, LOG_LEVEL_DEBUG);
	ck_assert_uint_eq(c.env_n, 2);
	ck_assert_str_eq(c.env[1], "B=c=d");
	ck_assert_uint_eq(c.vgpu_n, 3);
	ck_assert_uint_eq(c.vgpus[0].memory, 4ull << 30);
	ck_assert_uint_eq(c.vgpus[0].mode, 0660);
	ck_assert_str_eq(c.vgpus[0].owner, "nobody:users");
	ck_assert_str_eq(c.vgpus[1].name, "second");
	ck_assert_str_eq(c.vgpus[1].socket, "/tmp/x/second.sock");
	ck_assert_uint_eq(c.vgpus[1].memory, 0);
	ck_assert_str_eq(c.vgpus[2].socket, "/tmp/s");
}
END_TEST

static const struct {
	const char *text, *error;
} bad[] = {
	{"[daemon]\nspare_workers = many\n",
	 "x.conf:2: spare_workers = many: must be a number from 0 to 64"},
	{"[daemon]\nspare_workers = 65\n", "x.conf:2: spare_workers = 65: must be"},
	{"[daemon]\nspare_workers = 3x\n", "x.conf:2: spare_workers = 3x: must be"},
	{"[daemon]\nspare_workers = -1\n", "x.conf:2: spare_workers = -1: must be"},
	{"[daemon]\n\n\nrun_dir = here\n", "x.conf:4: run_dir = here: must be an absolute path"},
	{"[daemon]\nrundir = /x\n", "x.conf:2: rundir: no such key in [daemon]"},
	{"[daemon]\nlog_level = loud\n",
	 "x.conf:2: log_level = loud: must be error, warning, info or debug"},
	{"[daemon]\nenv = PATH\n", "x.conf:2: env = PATH: must be NAME=VALUE"},
	{"[vgpu a]\nmemory = 4X\n", "x.conf:2: memory = 4X: must be a size"},
	{"[vgpu a]\nmemory = 4GB\n", "x.conf:2: memory = 4GB: must be a size"},
	{"[vgpu a]\nmemory = 99999999999999999999\n",
	 "x.conf:2: memory = 99999999999999999999: must be a size"},
	{"[vgpu a]\nmemory = 99999999999999T\n", "must be a size"},
	{"[vgpu a]\nmemory = -4G\n", "must be a size"},
	{"[vgpu a]\nmode = 0888\n", "x.conf:2: mode = 0888: must be file permissions"},
	{"[vgpu a]\nmode = 1777\n", "must be file permissions"},
	{"[vgpu a/b]\n", "x.conf:1: vgpu a/b: a name is"},
	{"[vgpu ..]\n", "a name is"},
	{"[vgpu ]\n", "a name is"},
	{"[gpu a]\nmemory = 1G\n", "x.conf:1: [gpu a]: no such section"},
	{"memory = 1G\n", "no such section"},
	{"[daemon]\nnonsense\n", "x.conf:2: neither [section] nor key = value"},
	{"[daemon]\nspare_workers = 99\nspare_workers = 1\n", "x.conf:2: "},
};

START_TEST(names_what_is_wrong)
{
	ck_assert_int_eq(parse(bad[_i].text), -1);
	ck_assert_msg(strstr(error, bad[_i].error) != NULL, "'%s' is not in '%s'", bad[_i].error,
		      error);
}
END_TEST

START_TEST(refuses_long_lines)
{
	char text[1000];

	memset(text, 'x', sizeof(text));
	memcpy(text, "[daemon]\nlibcuda = ", 19);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(parse(text), -1);
	ck_assert_msg(strstr(error, "x.conf:2: line longer than") != NULL, "%s", error);
}
END_TEST

START_TEST(takes_vgpus_from_the_command_line)
{
	ck_assert_int_eq(config_vgpu(&c, "a:memory=512M,max_sessions=2", error), 0);
	ck_assert_int_eq(config_vgpu(&c, "b", error), 0);
	ck_assert_int_eq(config_vgpu(&c, "a:arena_limit=1G", error), 0);
	ck_assert_uint_eq(c.vgpu_n, 2);
	ck_assert_uint_eq(c.vgpus[0].memory, 512ull << 20);
	ck_assert_uint_eq(c.vgpus[0].max_sessions, 2);
	ck_assert_uint_eq(c.vgpus[0].arena_limit, 1ull << 30);
	ck_assert_int_eq(config_vgpu(&c, "a:memory", error), -1);
	ck_assert_int_eq(config_vgpu(&c, "a:memory=much", error), -1);
	ck_assert_int_eq(config_vgpu(&c, ":memory=1G", error), -1);
	ck_assert_int_eq(config_set(&c, "spare_workers=2", error), 0);
	ck_assert_uint_eq(c.spares, 2);
	ck_assert_int_eq(config_set(&c, "spare_workers", error), -1);
	ck_assert_int_eq(config_set(&c, "worker_env=2", error), -1);
}
END_TEST

START_TEST(wants_a_vgpu_and_sockets_of_their_own)
{
	ck_assert_int_eq(config_set(&c, "xen=off", error), 0);
	ck_assert_int_eq(config_finish(&c, error), -1);
	ck_assert_msg(strstr(error, "no vGPU") != NULL, "%s", error);
	ck_assert_int_eq(parse("[vgpu a]\nsocket = /x\n[vgpu b]\nsocket = /x\n"), 0);
	ck_assert_int_eq(config_finish(&c, error), -1);
	ck_assert_msg(strstr(error, "is also vgpu a's") != NULL, "%s", error);
}
END_TEST

START_TEST(leaves_vgpus_to_xen)
{
	ck_assert_uint_eq(c.xen, CONFIG_XEN_AUTO);
	ck_assert_int_eq(config_finish(&c, error), 0);
	ck_assert_int_eq(config_set(&c, "xen=on", error), 0);
	ck_assert_uint_eq(c.xen, CONFIG_XEN_ON);
	ck_assert_int_eq(config_set(&c, "xen=perhaps", error), -1);
	ck_assert_msg(strstr(error, "auto, on or off") != NULL, "%s", error);
	ck_assert_int_eq(config_vgpu(&c, "xen-3-0-9c1b7a52", error), -1);
	ck_assert_msg(strstr(error, "give it another") != NULL, "%s", error);
	ck_assert_int_eq(config_vgpu(&c, "xenia", error), 0);
}
END_TEST

START_TEST(says_that_there_is_no_file)
{
	ck_assert_int_eq(config_file(&c, "/nowhere/pvgpud.conf", error), -1);
	ck_assert_msg(strstr(error, "/nowhere/pvgpud.conf: No such file") != NULL, "%s", error);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads_everything);
	tcase_add_loop_test(t, names_what_is_wrong, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(t, refuses_long_lines);
	tcase_add_test(t, takes_vgpus_from_the_command_line);
	tcase_add_test(t, wants_a_vgpu_and_sockets_of_their_own);
	tcase_add_test(t, leaves_vgpus_to_xen);
	tcase_add_test(t, says_that_there_is_no_file);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
