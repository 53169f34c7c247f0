/* SPDX-License-Identifier: MIT */
/* The messages to the service manager: contract/alive.c. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/open_files.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/contract/alive.h"

static struct ev_loop *loop;
static char path[64];
static int manager;
static unsigned int files_before;

static int bound(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, path, n);
	if (*path == '@')
		a.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	return fd;
}

static bool heard(const char *what)
{
	char said[64] = "";
	ssize_t n = recv(manager, said, sizeof(said) - 1, 0);

	if (n < 0)
		return false;
	ck_assert_str_eq(said, what);
	return true;
}

static void setup(const char *place, const char *usec, const char *pid)
{
	log_set_level(LOG_LEVEL_ERROR);
	files_before = open_files();
	snprintf(path, sizeof(path), "%spvgpu-alive-%d", place, (int)getpid());
	manager = bound();
	loop = ev_loop_new(EVFLAG_AUTO);
	setenv("NOTIFY_SOCKET", path, 1);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	alive_start(loop);
	ck_assert(heard("READY=1"));
}

static void teardown(void)
{
	alive_stop(loop);
	ev_loop_destroy(loop);
	close(manager);
	if (*path == '/')
		unlink(path);
	ck_assert_uint_eq(open_files(), files_before);
}

/* The first ping comes at once, so that a short start limit holds; more follow only while the loop
 * turns. */
START_TEST(while_the_loop_turns)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setup(_i ? "@" : "/tmp/", "20000", _i ? pid : NULL);
	ck_assert(!heard("WATCHDOG=1"));
	for (unsigned int i = 0; i < 5; i++) {
		while (!heard("WATCHDOG=1"))
			ev_run(loop, EVRUN_ONCE);
	}
	usleep(50000);
	ck_assert(!heard("WATCHDOG=1"));
	teardown();
}
END_TEST

static const struct {
	const char *usec, *pid;
} unasked[] = {{NULL, NULL},     {"", NULL}, {"0", NULL},  {"-5", NULL},
	       {"20000x", NULL}, {"1", "1"}, {"1", "abc"}, {"99999999999999999999", NULL}};

START_TEST(nobody_wants_to_know)
{
	setup("/tmp/", unasked[_i].usec, unasked[_i].pid);
	/* No timer: nothing to wait for. */
	ck_assert_int_eq(ev_run(loop, 0), 0);
	ck_assert(!heard("WATCHDOG=1"));
	teardown();
}
END_TEST

/* A service manager that reads nothing, or has ended. */
START_TEST(never_waits)
{
	setup("/tmp/", "20", NULL);
	if (_i) {
		close(manager);
		manager = -1;
	}
	for (unsigned int i = 0; i < 2000; i++)
		ev_run(loop, EVRUN_ONCE);
	teardown();
}
END_TEST

START_TEST(no_such_socket)
{
	files_before = open_files();
	log_set_level(LOG_LEVEL_ERROR);
	loop = ev_loop_new(EVFLAG_AUTO);
	setenv("NOTIFY_SOCKET", _i ? "/nowhere/notify" : "notify", 1);
	setenv("WATCHDOG_USEC", "20000", 1);
	unsetenv("WATCHDOG_PID");
	alive_start(loop);
	ck_assert_int_eq(ev_run(loop, 0), 0);
	alive_stop(loop);
	ev_loop_destroy(loop);
	ck_assert_uint_eq(open_files(), files_before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alive");
	TCase *t = tcase_create("alive");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, while_the_loop_turns, 0, 2);
	tcase_add_loop_test(t, nobody_wants_to_know, 0, sizeof(unasked) / sizeof(unasked[0]));
	tcase_add_loop_test(t, never_waits, 0, 2);
	tcase_add_loop_test(t, no_such_socket, 0, 2);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
