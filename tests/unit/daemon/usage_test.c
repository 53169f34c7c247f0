/* SPDX-License-Identifier: MIT */
/* Usage of vGPUs outlives pvgpud, however pvgpud ends. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/dispatch/usage.h"

static char dir[] = "/tmp/usage-test-XXXXXX";

static void path_of(char path[64])
{
	snprintf(path, 64, "%s/usage", dir);
}

static void make_dir(void)
{
	strcpy(dir, "/tmp/usage-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char path[64];

	path_of(path);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(killed)
{
	struct tenant_stats *n;
	struct usage *u;
	bool fresh;
	pid_t pid = fork();

	if (!pid) {
		u = usage_open(dir);
		usage_of(u, "gone", &fresh)->gpu_ns = 1;
		usage_forget(u, "gone");
		usage_of(u, "a", &fresh)->gpu_ns = 123;
		usage_of(u, "b", &fresh)->launches = 7;
		_exit(fresh ? 0 : 1); /* nothing is closed */
	}
	ck_assert_int_eq(waitpid(pid, &(int){0}, 0), pid);
	u = usage_open(dir);
	n = usage_of(u, "a", &fresh);
	ck_assert(!fresh);
	ck_assert_uint_eq(n->gpu_ns, 123);
	ck_assert_uint_eq(usage_of(u, "b", &fresh)->launches, 7);
	n = usage_of(u, "gone", &fresh);
	ck_assert(fresh);
	ck_assert_uint_eq(n->gpu_ns, 0);
	usage_close(u, dir, true);
}
END_TEST

START_TEST(another_layout)
{
	char path[64];
	struct usage *u;
	bool fresh;
	int fd;

	path_of(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, "not a record of anything", 24), 24);
	close(fd);
	u = usage_open(dir);
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(usage_of(u, "a", &fresh)->gpu_ns, 0);
	ck_assert(fresh);
	usage_close(u, dir, false);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(no_file)
{
	bool fresh = false;

	ck_assert_ptr_null(usage_open("/nonexistent"));
	ck_assert_ptr_null(usage_of(NULL, "a", &fresh));
	ck_assert(fresh);
	usage_forget(NULL, "a");
	usage_close(NULL, dir, true);
}
END_TEST

START_TEST(full)
{
	struct usage *u = usage_open(dir);
	unsigned int n = 0;
	char name[40];
	bool fresh;

	for (;; n++) {
		snprintf(name, sizeof(name), "vgpu-%u", n);
		if (!usage_of(u, name, &fresh))
			break;
		ck_assert_uint_lt(n, 100000);
	}
	ck_assert_uint_ge(n, 1024);
	usage_forget(u, "vgpu-3");
	ck_assert_ptr_nonnull(usage_of(u, name, &fresh));
	ck_assert(fresh);
	usage_close(u, dir, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("usage");
	TCase *t = tcase_create("usage");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, killed);
	tcase_add_test(t, another_layout);
	tcase_add_test(t, no_file);
	tcase_add_test(t, full);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
