/* SPDX-License-Identifier: MIT */
/*
 * Workers' cgroups in a folder of plain files: mkdir puts into a new folder what the kernel would,
 * and rmdir takes it away, where no process is left. With a kernel:
 * tests/integration/cgroup_test.py and the lab.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"
#include "xen-pvgpu-back/daemon/cgroup/host_memory.h"

static char base[64];
static struct daemon d;
static enum fault killed_for;
static char killed_why[128];
static int born; /* process_try's answer */

int __real_mkdirat(int at, const char *name, mode_t mode);
int __wrap_mkdirat(int at, const char *name, mode_t mode);
int __real_unlinkat(int at, const char *name, int flags);
int __wrap_unlinkat(int at, const char *name, int flags);

int __real_cgroup_write(int dir, const char *file, const char *text);
int __wrap_cgroup_write(int dir, const char *file, const char *text);

/* Each controller that can be switched on is on. */
int __wrap_cgroup_write(int dir, const char *file, const char *text)
{
	return !strcmp(file, "cgroup.subtree_control") ? 0 : __real_cgroup_write(dir, file, text);
}

int process_try(int cgroup)
{
	return born;
}

int process_lock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB);
}

const char *worker_name(const struct worker *w)
{
	return "worker";
}

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(killed_why, sizeof(killed_why), fmt, ap);
	va_end(ap);
	killed_for = kind;
	w->killed = true;
}

static void put(int dir, const char *file, const char *text)
{
	const int fd = openat(dir, file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *const files[] = {"cgroup.procs",    "cgroup.type",   "cgroup.kill",
				    "cgroup.freeze",   "memory.max",    "memory.current",
				    "memory.swap.max", "memory.events", "memory.oom.group",
				    "pids.max",        "cpu.weight"};

int __wrap_mkdirat(int at, const char *name, mode_t mode)
{
	const int r = __real_mkdirat(at, name, mode);
	int dir;

	if (r < 0)
		return r;
	dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put(dir, files[i], "");
	close(dir);
	return r;
}

int __wrap_unlinkat(int at, const char *name, int flags)
{
	int dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t other;

	if (dir >= 0 && flags & AT_REMOVEDIR) {
		if (cgroup_others(dir, 0, &other)) {
			close(dir);
			errno = EBUSY;
			return -1;
		}
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			__real_unlinkat(dir, files[i], 0);
	}
	if (dir >= 0)
		close(dir);
	return __real_unlinkat(at, name, flags);
}

static char *text_of(const char *cgroup, const char *file)
{
	static char text[128];
	char path[128];
	int dir;

	snprintf(path, sizeof(path), "%s/%s", base, cgroup);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
	cgroup_read(dir, file, text, sizeof(text));
	close(dir);
	return text;
}

static void put_in(const char *cgroup, const char *file, const char *text)
{
	char path[128];
	int dir;

	snprintf(path, sizeof(path), "%s/%s", base, cgroup);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
	put(dir, file, text);
	close(dir);
}

static void make_dir(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", base, cgroup);
	ck_assert_int_eq(mkdirat(AT_FDCWD, path, 0755), 0);
}

static bool is_there(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", base, cgroup);
	return access(path, F_OK) == 0;
}

static void setup(void)
{
	strcpy(base, "/tmp/pvgpu-cgroup-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	put_in("", "cgroup.procs", "");
	put_in("", "cgroup.type", "domain\n");
	put_in("", "cgroup.subtree_control", "cpu memory pids\n");
	d = (struct daemon){.next_id = 1};
	config_init(&d.cfg);
	snprintf(d.cfg.cgroup, sizeof(d.cfg.cgroup), "%s", base);
	d.cfg.worker_memory = 64 << 20;
	d.cfg.worker_pids = 100;
	TAILQ_INIT(&d.workers);
	d.loop = ev_loop_new(0);
	killed_for = FAULT_NONE;
	born = 0;
}

static void teardown(void)
{
	char command[96];

	cgroup_stop(&d);
	ev_loop_destroy(d.loop);
	config_free(&d.cfg);
	snprintf(command, sizeof(command), "rm -r %s", base);
	ck_assert_int_eq(system(command), 0);
}

static void turn_until(bool (*done)(void))
{
	while (!done())
		ev_run(d.loop, EVRUN_ONCE);
}

static struct vgpu vgpu;

static struct worker *worker(unsigned int id, pid_t pid)
{
	struct worker *w = calloc(1, sizeof(*w));

	vgpu.d = &d;
	w->d = &d;
	w->id = id;
	w->pid = pid;
	w->cgroup = -1;
	w->vgpu = &vgpu;
	w->sealed = true;
	TAILQ_INSERT_TAIL(&d.workers, w, link);
	d.worker_n++;
	return w;
}

static void forget(struct worker *w)
{
	TAILQ_REMOVE(&d.workers, w, link);
	d.worker_n--;
	free(w);
}

START_TEST(limits)
{
	struct worker *w;

	ck_assert_int_eq(cgroup_start(&d), 0);
	ck_assert_str_eq(cgroup_state(&d), "on");
	w = worker(7, 1234);
	ck_assert_int_eq(cgroup_make(w), 0);
	ck_assert_str_eq(text_of("worker-7", "memory.max"), "67108864");
	ck_assert_str_eq(text_of("worker-7", "memory.swap.max"), "0");
	ck_assert_str_eq(text_of("worker-7", "memory.oom.group"), "1");
	ck_assert_str_eq(text_of("worker-7", "pids.max"), "100");
	cgroup_gone(w);
	ck_assert(!is_there("worker-7"));
	forget(w);
}
END_TEST

START_TEST(absent)
{
	strcpy(d.cfg.cgroup, "off");
	ck_assert_int_eq(cgroup_start(&d), 0);
	ck_assert_str_eq(cgroup_state(&d), "absent: cgroup = off");
	ck_assert_ptr_null(d.cgroups);
	/* A kernel that gives birth nowhere else. */
	snprintf(d.cfg.cgroup, sizeof(d.cfg.cgroup), "%s", base);
	born = ENOSYS;
	ck_assert_int_eq(cgroup_start(&d), -1);
	/* A directory that was asked for must be there. */
	born = 0;
	strcpy(d.cfg.cgroup, "/nowhere");
	ck_assert_int_eq(cgroup_start(&d), -1);
	/* Nor two pvgpuds in one. */
	snprintf(d.cfg.cgroup, sizeof(d.cfg.cgroup), "%s", base);
	ck_assert_int_eq(cgroup_start(&d), 0);
	{
		struct daemon other = {.cfg = d.cfg};

		TAILQ_INIT(&other.workers);
		ck_assert_int_eq(cgroup_start(&other), -1);
		ck_assert_ptr_nonnull(strstr(cgroup_state(&other), "another pvgpud"));
	}
}
END_TEST

START_TEST(without_a_controller)
{
	struct worker *w;

	put_in("", "cgroup.subtree_control", "memory hugetlb\n");
	ck_assert_int_eq(cgroup_start(&d), 0);
	ck_assert_str_eq(cgroup_state(&d), "on, without pids, cpu");
	w = worker(1, 0);
	ck_assert_int_eq(cgroup_make(w), 0);
	ck_assert_str_eq(text_of("worker-1", "memory.max"), "67108864");
	ck_assert_str_eq(text_of("worker-1", "pids.max"), "");
	cgroup_gone(w);
	forget(w);
}
END_TEST

static bool all_weigh_150(void)
{
	for (unsigned int i = 1; i <= 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "worker-%u", i);
		if (strcmp(text_of(name, "cpu.weight"), "150") != 0)
			return false;
	}
	return true;
}

START_TEST(weights)
{
	struct worker *w[3];

	ck_assert_int_eq(cgroup_start(&d), 0);
	cgroup_run(&d);
	vgpu.cfg.policy.weight = 300;
	for (unsigned int i = 0; i < 3; i++) {
		w[i] = worker(i + 1, 0);
		ck_assert_int_eq(cgroup_make(w[i]), 0);
	}
	vgpu.sessions = 1;
	cgroup_weigh(w[0]);
	ck_assert_str_eq(text_of("worker-1", "cpu.weight"), "300");
	/* Of those that were there before, soon. */
	vgpu.sessions = 2;
	cgroup_weigh(w[1]);
	ck_assert_str_eq(text_of("worker-1", "cpu.weight"), "300");
	ck_assert_str_eq(text_of("worker-2", "cpu.weight"), "150");
	turn_until(all_weigh_150);
	/* The least that there is. */
	vgpu.sessions = 1000;
	cgroup_weigh(w[2]);
	ck_assert_str_eq(text_of("worker-3", "cpu.weight"), "1");
	for (unsigned int i = 0; i < 3; i++) {
		cgroup_gone(w[i]);
		forget(w[i]);
	}
}
END_TEST

START_TEST(full)
{
	char reason[128] = "";
	struct worker *w;

	ck_assert_int_eq(cgroup_start(&d), 0);
	w = worker(1, 0);
	ck_assert(!cgroup_was_full(w, reason, sizeof(reason)));
	ck_assert_int_eq(cgroup_make(w), 0);
	put_in("worker-1", "memory.events",
	       "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n");
	ck_assert(!cgroup_was_full(w, reason, sizeof(reason)));
	put_in("worker-1", "memory.events", "low 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 1\n");
	ck_assert(cgroup_was_full(w, reason, sizeof(reason)));
	ck_assert_str_eq(reason, "the worker was ended: its cgroup's memory limit of 64 MiB");
	ck_assert_int_eq(w->fault, FAULT_MEMORY);
	w->fault = FAULT_NONE;
	/* By a limit above. */
	put_in("worker-1", "memory.events", "low 0\nmax 0\noom 0\noom_kill 1\n");
	ck_assert(cgroup_was_full(w, reason, sizeof(reason)));
	ck_assert_str_eq(reason, "the worker was ended: the backend domain is short of memory");
	ck_assert_int_eq(w->fault, FAULT_NONE);
	cgroup_gone(w);
	forget(w);
}
END_TEST

static bool was_killed(void)
{
	return killed_for != FAULT_NONE;
}

static void holds(const char *cgroup, unsigned int mib)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)mib << 20);
	put_in(cgroup, "memory.current", text);
}

/* Each session stays below its own limit, and all of them together are too many. */
START_TEST(memory_of_a_vgpu)
{
	struct vgpu *all[] = {&vgpu};
	struct worker *w[3];

	d.cfg.vgpu_memory = 100 << 20;
	d.vgpus = all;
	d.vgpu_n = 1;
	vgpu.sessions = 3;
	ck_assert_int_eq(cgroup_start(&d), 0);
	cgroup_run(&d);
	for (unsigned int i = 0; i < 3; i++) {
		char name[16];

		w[i] = worker(i + 1, 0);
		ck_assert_int_eq(cgroup_make(w[i]), 0);
		snprintf(name, sizeof(name), "worker-%u", i + 1);
		holds(name, 33);
	}
	while (!w[0]->host_memory || !w[1]->host_memory || !w[2]->host_memory)
		ev_run(d.loop, EVRUN_ONCE);
	ck_assert_int_eq(killed_for, FAULT_NONE);
	holds("worker-2", 35);
	turn_until(was_killed);
	ck_assert_int_eq(killed_for, FAULT_MEMORY);
	ck_assert_str_eq(killed_why, "the sessions of its vGPU hold 101 MiB of the backend's "
				     "memory, this one most: vgpu_memory is 100 MiB");
	ck_assert(w[1]->killed && !w[0]->killed && !w[2]->killed);
	/* A session that is being ended counts no more. */
	killed_for = FAULT_NONE;
	for (int i = 0; i < 3; i++)
		ev_run(d.loop, EVRUN_ONCE);
	ck_assert_int_eq(killed_for, FAULT_NONE);
	d.vgpu_n = 0;
	for (unsigned int i = 0; i < 3; i++) {
		cgroup_gone(w[i]);
		forget(w[i]);
	}
}
END_TEST

START_TEST(memory_by_default)
{
	const uint64_t gib = 1ull << 30;
	struct pool pool = {.device_memory = 80 * gib};

	vgpu = (struct vgpu){.d = &d, .pool = &pool};
	ck_assert_uint_eq(host_memory_limit(&vgpu, 64 * gib), 48 * gib);
	vgpu.cfg.memory = 20 * gib;
	ck_assert_uint_eq(host_memory_limit(&vgpu, 64 * gib), 12 * gib);
	vgpu.cfg.memory = gib;
	ck_assert_uint_eq(host_memory_limit(&vgpu, 64 * gib), HOST_MEMORY_LEAST);
	d.cfg.vgpu_memory = 5 * gib;
	ck_assert_uint_eq(host_memory_limit(&vgpu, 64 * gib), 5 * gib);
}
END_TEST

START_TEST(a_child)
{
	struct worker *w, *other;

	ck_assert_int_eq(cgroup_start(&d), 0);
	cgroup_run(&d);
	other = worker(1, 41);
	w = worker(2, 4242);
	ck_assert_int_eq(cgroup_make(other), 0);
	ck_assert_int_eq(cgroup_make(w), 0);
	put_in("worker-1", "cgroup.procs", "41\n");
	put_in("worker-2", "cgroup.procs", "4242\n4243\n");
	turn_until(was_killed);
	ck_assert_int_eq(killed_for, FAULT_ESCAPE);
	ck_assert_str_eq(killed_why, "has 1 process beside its own, such as 4243");
	ck_assert(!other->killed);
	/* Left behind: they are ended, and it is a fault. */
	cgroup_gone(w);
	ck_assert_int_eq(w->fault, FAULT_ESCAPE);
	ck_assert_str_eq(text_of("worker-2", "cgroup.kill"), "1");
	put_in("worker-2", "cgroup.procs", "");
	forget(w);
	while (is_there("worker-2"))
		ev_run(d.loop, EVRUN_ONCE);
	put_in("worker-1", "cgroup.procs", "");
	cgroup_gone(other);
	forget(other);
}
END_TEST

/* Linux before 5.14. */
START_TEST(freeze_and_kill)
{
	const pid_t pids[] = {fork(), fork()};
	char text[64];
	int status, dir;

	if (!pids[0] || !pids[1])
		for (;;)
			pause();
	ck_assert_int_eq(mkdirat(AT_FDCWD, "/tmp/pvgpu-cgroup-freeze", 0755), 0);
	dir = open("/tmp/pvgpu-cgroup-freeze", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__real_unlinkat(dir, "cgroup.kill", 0);
	snprintf(text, sizeof(text), "%d\n%d\n", (int)pids[0], (int)pids[1]);
	put(dir, "cgroup.procs", text);
	ck_assert_int_eq(cgroup_kill_all(dir), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	cgroup_read(dir, "cgroup.freeze", text, sizeof(text));
	ck_assert_str_eq(text, "1");
	put(dir, "cgroup.procs", "");
	close(dir);
	ck_assert_int_eq(unlinkat(AT_FDCWD, "/tmp/pvgpu-cgroup-freeze", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(left_overs)
{
	struct worker *w;

	make_dir("worker-9");
	make_dir("worker-12");
	make_dir("worker-9x");
	put_in("worker-12", "cgroup.procs", "77\n");
	ck_assert_int_eq(cgroup_start(&d), 0);
	/* One is adopted; one claims to be, but is not in it. */
	w = worker(12, 77);
	cgroup_adopt(w);
	ck_assert_int_ge(w->cgroup, 0);
	cgroup_run(&d);
	ck_assert(is_there("worker-12"));
	ck_assert(!is_there("worker-9"));
	ck_assert(is_there("worker-9x"));
	ck_assert_uint_eq(d.next_id, 10);
	put_in("worker-12", "cgroup.procs", "");
	cgroup_gone(w);
	cgroup_adopt(w);
	ck_assert_int_eq(w->cgroup, -1);
	forget(w);
}
END_TEST

/* systemd takes limits of a service's cgroup away when it starts it again. */
START_TEST(limits_come_back)
{
	struct worker *w;

	ck_assert_int_eq(cgroup_start(&d), 0);
	w = worker(3, 77);
	ck_assert_int_eq(cgroup_make(w), 0);
	put_in("worker-3", "cgroup.procs", "77\n");
	put_in("worker-3", "memory.max", "12345678\n");
	cgroup_adopt(w);
	ck_assert_str_eq(text_of("worker-3", "memory.max"), "12345678\n");
	put_in("worker-3", "memory.max", "max\n");
	cgroup_adopt(w);
	ck_assert_str_eq(text_of("worker-3", "memory.max"), "67108864");
	put_in("worker-3", "cgroup.procs", "");
	cgroup_gone(w);
	forget(w);
}
END_TEST

START_TEST(own)
{
	char dir[] = "/tmp/pvgpu-cgroup-XXXXXX", path[256], why[128], command[64];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), -1);
	ck_assert_str_eq(why, "no cgroup v2 here");
	put(fd, "cgroup", "5:memory:/x\n0::/system.slice/pvgpud.service\n");
	put(fd, "mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n");
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), -1);
	ck_assert_str_eq(why, "cgroup v2 is not mounted");
	put(fd, "mountinfo",
	    "22 1 0:20 / /proc rw - proc proc rw\n"
	    "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), 0);
	ck_assert_str_eq(path, "/sys/fs/cgroup/system.slice/pvgpud.service");
	/* A part of the tree is mounted, as in a container. */
	put(fd, "mountinfo", "30 1 0:26 /system.slice /c rw - cgroup2 cgroup2 rw\n");
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), 0);
	ck_assert_str_eq(path, "/c/pvgpud.service");
	put(fd, "mountinfo", "30 1 0:26 /system /c rw - cgroup2 cgroup2 rw\n");
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), -1);
	put(fd, "cgroup", "0::/\n");
	put(fd, "mountinfo", "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	ck_assert_int_eq(cgroup_own(dir, path, sizeof(path), why, sizeof(why)), 0);
	ck_assert_str_eq(path, "/sys/fs/cgroup/unified");
	close(fd);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("cgroup");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, limits);
	tcase_add_test(t, absent);
	tcase_add_test(t, without_a_controller);
	tcase_add_test(t, weights);
	tcase_add_test(t, full);
	tcase_add_test(t, memory_of_a_vgpu);
	tcase_add_test(t, memory_by_default);
	tcase_add_test(t, a_child);
	tcase_add_test(t, freeze_and_kill);
	tcase_add_test(t, left_overs);
	tcase_add_test(t, limits_come_back);
	tcase_add_test(t, own);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
