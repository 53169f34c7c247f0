/* SPDX-License-Identifier: MIT */
/* Processors and memory near a GPU: what sysfs says of the device, here in a folder, and a child
 * that is put there. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"

static char dir[64];
static struct near near;

static void put(const char *device, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, device);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, device, name);
	f = fopen(path, "w");
	ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static void setup(void)
{
	strcpy(dir, "/tmp/near-test.XXXXXX");
	ck_assert(mkdtemp(dir));
}

static void teardown(void)
{
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(what_sysfs_says)
{
	put("0000:65:00.0", "local_cpulist", "0-3,8\n");
	put("0000:65:00.0", "numa_node", "1\n");
	ck_assert(near_read(dir, 0, 0x6500, &near));
	ck_assert_int_eq(near.node, 1);
	ck_assert_str_eq(near.cpus, "0-3,8");
	ck_assert_int_eq(CPU_COUNT(&near.set), 5);
	ck_assert(CPU_ISSET(8, &near.set) && !CPU_ISSET(4, &near.set));
	/* A domain and a device of their own; no nodes. */
	put("10000:01:1f.0", "local_cpulist", "7\n");
	put("10000:01:1f.0", "numa_node", "-1\n");
	ck_assert(near_read(dir, 0x10000, 0x1f8, &near));
	ck_assert_int_eq(near.node, -1);
	ck_assert_int_eq(CPU_COUNT(&near.set), 1);
}
END_TEST

START_TEST(what_cannot_be_read)
{
	static const char *const bad[] = {"", "x", "3-1", "0-", "0,x", "0-99999", "0 1"};

	ck_assert(!near_read(dir, 0, 0x6500, &near));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("0000:65:00.0", "local_cpulist", bad[i]);
		ck_assert_msg(!near_read(dir, 0, 0x6500, &near), "'%s'", bad[i]);
		ck_assert(!near.known);
	}
	/* A process stays where it is while the place of the GPU is not known. */
	ck_assert_int_eq(near_pin(&near, getpid()), 0);
}
END_TEST

static void *wait_on(void *arg)
{
	pause();
	return NULL;
}

/* Each thread of the child has the last processor that this one may have, and no other. */
START_TEST(all_threads_are_moved)
{
	cpu_set_t mine, its;
	const struct dirent *e;
	unsigned int n = 0;
	char path[40];
	DIR *tasks;
	int last = -1, ready[2];
	pthread_t t;
	char c = 0;
	pid_t pid;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(mine), &mine), 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		last = CPU_ISSET(i, &mine) ? i : last;
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		pthread_create(&t, NULL, wait_on, NULL);
		c = (char)write(ready[1], "", 1);
		pause();
		_exit(c);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	near = (struct near){.known = true, .node = -1};
	CPU_SET(last, &near.set);
	ck_assert_int_eq(near_pin(&near, pid), 0);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	ck_assert_ptr_nonnull(tasks);
	while ((e = readdir(tasks))) {
		if (e->d_name[0] == '.')
			continue;
		ck_assert_int_eq(sched_getaffinity(atoi(e->d_name), sizeof(its), &its), 0);
		ck_assert(CPU_EQUAL(&its, &near.set));
		n++;
	}
	closedir(tasks);
	ck_assert_uint_eq(n, 2);
	CPU_ZERO(&near.set);
	ck_assert_int_eq(near_pin(&near, pid), EINVAL);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(memory_of_the_node)
{
	int mode = -1;

	near = (struct near){.known = true, .node = 0};
	near_memory_begin(&near);
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul) < 0)
		return; /* a kernel without NUMA */
	ck_assert_int_eq(mode, MPOL_PREFERRED);
	near_memory_end(&near);
	ck_assert_int_eq(syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul), 0);
	ck_assert_int_eq(mode, MPOL_DEFAULT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("near");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_sysfs_says);
	tcase_add_test(t, what_cannot_be_read);
	tcase_add_test(t, all_threads_are_moved);
	tcase_add_test(t, memory_of_the_node);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
