/* SPDX-License-Identifier: MIT */
/* process_spawn: what a program is started with. In a cgroup: tests/integration/cgroup_test.py. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/process.h"

static char dir[64];
static int cgroup;

static int exit_of(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A cgroup of its own, where there is cgroup v2 to write to; else -1. */
static void setup(void)
{
	static const char *const tops[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	cgroup = -1;
	for (size_t i = 0; i < 2 && cgroup < 0; i++) {
		char type[80];

		snprintf(dir, sizeof(dir), "%s/pvgpu-test-%d", tops[i], (int)getpid());
		snprintf(type, sizeof(type), "%s/cgroup.type", dir);
		if (mkdir(dir, 0755) < 0)
			continue;
		if (access(type, F_OK) == 0)
			cgroup = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (cgroup >= 0 && process_try(cgroup) == 0)
			return;
		rmdir(dir);
	}
}

static void teardown(void)
{
	if (cgroup < 0)
		return;
	close(cgroup);
	for (int i = 0; rmdir(dir) < 0 && errno == EBUSY && i < 1000; i++)
		usleep(1000);
}

static int run(const char *script, const char *path, int in)
{
	int null = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, PROCESS_FDS_ABOVE), err;
	const char *const argv[] = {"sh", "-c", script, NULL}, *const env[] = {"A=b", NULL};
	const int fds[] = {-1, null, null, null};
	struct process p = {
		.path = path, .argv = argv, .env = env, .fds = fds, .fd_n = 4, .cgroup = in};
	pid_t pid;

	err = process_spawn(&p, &pid);
	close(null);
	return err ? -err : exit_of(pid);
}

/* Both ways to start one give the same. */
#define BOTH(in) for (int in = -1, n_ = 0; n_ < 1 + (cgroup >= 0); n_++, in = cgroup)

START_TEST(files_and_environment)
{
	signal(SIGPIPE, SIG_IGN);
	BOTH(in)
	{
		ck_assert_int_eq(run("test \"$A\" = b && test -e /proc/self/fd/3 && "
				     "test ! -e /proc/self/fd/4 && test ! -e /proc/self/fd/10",
				     "/bin/sh", in),
				 0);
		ck_assert_int_eq(run("read x; test -z \"$x\"", "/bin/sh", in), 0);
		/* A session of its own; no signal is ignored or blocked, but for two of
		 * libc's own. */
		ck_assert_int_eq(run("set -- $(cat /proc/$$/stat); test $6 = $$", "/bin/sh", in),
				 0);
		ck_assert_int_eq(run("grep -q '^SigIgn:.0000000[01][08]0*$' /proc/self/status && "
				     "grep -q '^SigBlk:.0*$' /proc/self/status",
				     "/bin/sh", in),
				 0);
	}
}
END_TEST

/* A tenant's worker does not have the priority that pvgpud has. */
START_TEST(usual_priority)
{
	if (setpriority(PRIO_PROCESS, 0, -5) < 0)
		return; /* no right to */
	BOTH(in)
	ck_assert_int_eq(run("while :; do set -- $(cat /proc/$$/stat); test ${19} = 0 && exit 0; "
			     "done",
			     "/bin/sh", in),
			 0);
	setpriority(PRIO_PROCESS, 0, 0);
}
END_TEST

START_TEST(no_program)
{
	BOTH(in)
	{
		ck_assert_int_eq(run("", "/nowhere/sh", in), -ENOENT);
		ck_assert_int_eq(run("", "/etc/passwd", in), -EACCES);
	}
}
END_TEST

START_TEST(born_in_it)
{
	char script[200];

	if (cgroup < 0) {
		puts("no cgroup v2 that can be written here: skipped");
		return;
	}
	snprintf(script, sizeof(script), "grep -q '^0::.*/pvgpu-test-%d$' /proc/self/cgroup",
		 (int)getpid());
	ck_assert_int_eq(run(script, "/bin/sh", cgroup), 0);
	ck_assert_int_ne(run(script, "/bin/sh", -1), 0);
}
END_TEST

/* As under RestrictNamespaces=. */
static void forbid_clone3(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	const struct sock_fprog prog = {.len = 4, .filter = f};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(without_clone3)
{
	char script[200];

	if (cgroup < 0)
		return;
	forbid_clone3();
	ck_assert_int_eq(process_try(cgroup), 0);
	snprintf(script, sizeof(script),
		 "grep -q '^0::.*/pvgpu-test-%d$' /proc/self/cgroup && test \"$A\" = b && "
		 "test -e /proc/self/fd/3 && test ! -e /proc/self/fd/4",
		 (int)getpid());
	ck_assert_int_eq(run(script, "/bin/sh", cgroup), 0);
	ck_assert_int_eq(run("", "/nowhere/sh", cgroup), 127);
}
END_TEST

START_TEST(no_cgroup)
{
	int other = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ne(process_try(other), 0);
	ck_assert_int_lt(run("exit 0", "/bin/sh", other), 0);
	close(other);
}
END_TEST

/* A killed pvgpud's child has its locks a moment longer. */
START_TEST(a_lock_of_one_that_ends)
{
	char path[] = "/tmp/pvgpu-process-XXXXXX";
	int theirs = mkstemp(path), ours = open(path, O_RDWR | O_CLOEXEC);
	pid_t child;

	ck_assert_int_eq(flock(theirs, LOCK_EX | LOCK_NB), 0);
	child = fork();
	if (child == 0) {
		poll(NULL, 0, 50);
		_exit(0);
	}
	close(theirs);
	ck_assert_int_eq(process_lock(ours), 0);
	ck_assert_int_eq(exit_of(child), 0);
	unlink(path);
	close(ours);
}
END_TEST

START_TEST(a_lock_of_one_that_lives)
{
	char path[] = "/tmp/pvgpu-process-XXXXXX";
	int theirs = mkstemp(path), ours = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(process_lock(theirs), 0);
	ck_assert_int_eq(process_lock(ours), -1);
	ck_assert_int_eq(errno, EWOULDBLOCK);
	unlink(path);
	close(ours);
	close(theirs);
}
END_TEST

/* However short its life was: the kernel counts, and no look in time is needed. */
START_TEST(peak_of_one_that_ended)
{
	const size_t bytes = 48u << 20;
	const pid_t pid = fork();
	uint64_t peak = 1;
	siginfo_t si;

	if (!pid) {
		char *p = malloc(bytes);

		for (size_t i = 0; p && i < bytes; i += 4096)
			((volatile char *)p)[i] = 1;
		_exit(p ? 7 : 1);
	}
	for (si.si_pid = 0; !si.si_pid; usleep(1000))
		ck_assert_int_eq(process_reap(pid, &si, &peak), 0);
	ck_assert_int_eq(si.si_code, CLD_EXITED);
	ck_assert_int_eq(si.si_status, 7);
	ck_assert_uint_ge(peak, bytes >> 10);
	ck_assert_int_lt(process_reap(pid, &si, &peak), 0);
	ck_assert_uint_eq(peak, 0);
}
END_TEST

START_TEST(start_times)
{
	const uint64_t ours = process_started(getpid());
	const pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	ck_assert_uint_gt(ours, 0);
	ck_assert_uint_eq(process_started(getpid()), ours);
	ck_assert_uint_ge(process_started(pid), ours);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_uint_eq(process_started(pid), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("process");
	TCase *t = tcase_create("process");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, files_and_environment);
	tcase_add_test(t, usual_priority);
	tcase_add_test(t, no_program);
	tcase_add_test(t, born_in_it);
	tcase_add_test(t, without_clone3);
	tcase_add_test(t, no_cgroup);
	tcase_add_test(t, a_lock_of_one_that_ends);
	tcase_add_test(t, a_lock_of_one_that_lives);
	tcase_add_test(t, peak_of_one_that_ended);
	tcase_add_test(t, start_times);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
