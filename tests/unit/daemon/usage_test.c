/* SPDX-License-Identifier: MIT */
/* Usage of vGPUs outlives pvgpud, however pvgpud ends. */
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"
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
	usage_close(u, true);
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
	usage_close(u, false);
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
	usage_close(NULL, true);
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
	usage_close(u, true);
}
END_TEST

/* ---- a full file system ---- */

static char said[4096];

static void tap(enum log_level level, const char *text)
{
	const size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

/* A file system of so many bytes in place of the folder. False: this machine does not allow it. */
static bool make_small(unsigned int bytes)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%u", bytes);
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, options), 0);
	return true;
}

static void fill(unsigned int leave)
{
	char page[4096] = {1}, path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	ck_assert_int_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - (off_t)leave), 0);
	close(fd);
}

/* Counts for `want` vGPUs; returns how many of them are on file. */
static unsigned int count_for(struct usage *u, unsigned int want)
{
	unsigned int n = 0;
	char name[40];
	bool fresh;

	for (unsigned int i = 0; i < want; i++) {
		struct tenant_stats *s;

		snprintf(name, sizeof(name), "vgpu-%u", i);
		s = usage_of(u, name, &fresh);
		if (s)
			memset(s, 0, sizeof(*s));
		n += s != NULL;
	}
	return n;
}

START_TEST(no_room_at_first)
{
	if (!make_small(1 << 20))
		return;
	fill(0);
	ck_assert_ptr_null(usage_open(dir));
	ck_assert_ptr_nonnull(strstr(said, "/usage: cannot reserve "));
	ck_assert_ptr_nonnull(strstr(said, "No space left on device"));
	ck_assert_ptr_nonnull(strstr(said, "make room in the file system of run_dir"));
	ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
}
END_TEST

START_TEST(no_room_later)
{
	struct usage *u;
	unsigned int n;
	char path[64];
	bool fresh;

	if (!make_small(1 << 20))
		return;
	fill(80 << 10);
	u = usage_open(dir);
	ck_assert_ptr_nonnull(u);
	n = count_for(u, 200);
	ck_assert_uint_ge(n, 40);
	ck_assert_uint_lt(n, 200);
	ck_assert_ptr_nonnull(strstr(said, "those of new vGPUs"));
	usage_of(u, "vgpu-1", &fresh)->gpu_ns = 5;
	usage_close(u, false);
	/* Records that are on file have their room. */
	fill(0);
	u = usage_open(dir);
	ck_assert_ptr_nonnull(u);
	ck_assert_uint_eq(usage_of(u, "vgpu-1", &fresh)->gpu_ns, 5);
	usage_close(u, false);
	snprintf(path, sizeof(path), "%s/filler", dir);
	ck_assert_int_eq(unlink(path), 0);
	u = usage_open(dir);
	ck_assert_uint_eq(count_for(u, 200), 200);
	usage_close(u, true);
	ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
}
END_TEST

START_TEST(truncated)
{
	struct usage *u = usage_open(dir);
	struct tenant_stats *n;
	char path[64];
	bool fresh;

	path_of(path);
	n = usage_of(u, "a", &fresh);
	n->gpu_ns = 3;
	usage_look(u);
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(truncate(path, 0), 0);
	n->gpu_ns += 4;
	ck_assert_uint_eq(n->gpu_ns, 4);
	usage_look(u);
	ck_assert_ptr_nonnull(strstr(said, "/usage: the file was truncated"));
	/* No two vGPUs count in one place. */
	ck_assert_ptr_null(usage_of(u, "b", &fresh));
	usage_forget(u, "a");
	ck_assert_uint_eq(n->gpu_ns, 4);
	usage_close(u, false);
	u = usage_open(dir);
	ck_assert_ptr_nonnull(usage_of(u, "a", &fresh));
	ck_assert(fresh);
	usage_close(u, true);
}
END_TEST

/* Another SIGBUS ends the process as before. */
START_TEST(another_bus)
{
	struct usage *u = usage_open(dir);
	pid_t pid = fork();
	int status;

	if (!pid) {
		raise(SIGBUS);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	usage_close(u, true);
}
END_TEST

/* ---- junk ---- */

/* Overwrites n bytes that lie so far behind the start of the record of the vGPU. */
static void spoil(const char *vgpu, size_t at, size_t n)
{
	char path[64], text[8192], junk[512];
	ssize_t got;
	int fd;

	path_of(path);
	fd = open(path, O_RDWR);
	got = read(fd, text, sizeof(text));
	ck_assert_int_gt(got, 0);
	memset(junk, 0x9b, sizeof(junk));
	at += (size_t)((char *)memmem(text, (size_t)got, vgpu, strlen(vgpu) + 1) - text);
	ck_assert_int_eq(pwrite(fd, junk, n, (off_t)at), (ssize_t)n);
	close(fd);
}

START_TEST(junk)
{
	struct usage *u = usage_open(dir);
	bool fresh;

	usage_of(u, "sound", &fresh)->gpu_ns = 7;
	usage_of(u, "spoilt", &fresh)->gpu_ns = 8;
	usage_of(u, "spoilt-times", &fresh)->gpu_ns = 9;
	usage_of(u, "nameless", &fresh)->gpu_ns = 10;
	usage_close(u, false);
	spoil("spoilt", 40, sizeof(uint64_t));
	spoil("spoilt-times", 40 + offsetof(struct tenant_stats, kernels), 64);
	spoil("nameless", 0, 40);
	u = usage_open(dir);
	ck_assert_uint_eq(usage_of(u, "sound", &fresh)->gpu_ns, 7);
	ck_assert(!fresh);
	ck_assert_uint_eq(usage_of(u, "spoilt", &fresh)->gpu_ns, 0);
	ck_assert(fresh);
	ck_assert_uint_eq(usage_of(u, "spoilt-times", &fresh)->gpu_ns, 0);
	ck_assert(fresh);
	ck_assert_ptr_nonnull(strstr(said, "the record of vgpu spoilt is damaged"));
	ck_assert_ptr_nonnull(strstr(said, "the record of vgpu spoilt-times is damaged"));
	ck_assert_ptr_nonnull(strstr(said, "record 3 is damaged"));
	usage_close(u, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("usage");
	TCase *t = tcase_create("usage");
	SRunner *r = srunner_create(suite);
	int failed;

	log_set_tap(tap);
	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, killed);
	tcase_add_test(t, another_layout);
	tcase_add_test(t, no_file);
	tcase_add_test(t, full);
	tcase_add_test(t, no_room_at_first);
	tcase_add_test(t, no_room_later);
	tcase_add_test(t, truncated);
	tcase_add_test(t, another_bus);
	tcase_add_test(t, junk);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
