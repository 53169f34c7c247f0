/* SPDX-License-Identifier: MIT */
/* A worker's log: workers/worker_log.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/workers/workers.h"

#define PAGE 4096u

const char *worker_name(const struct worker *w)
{
	return "worker";
}

uint64_t now_ms(void)
{
	return 1;
}

static struct daemon d;
static struct worker w;
static int its; /* the worker's end */

static void setup(void)
{
	int fds[2];

	log_set_level(LOG_LEVEL_ERROR);
	d.loop = ev_loop_new(EVFLAG_AUTO);
	w.d = &d;
	ck_assert_int_eq(worker_log_make(fds), 0);
	its = fds[1];
	worker_log_open(&w, fds[0]);
}

static void teardown(void)
{
	ev_io_stop(d.loop, &w.log_io);
	ev_loop_destroy(d.loop);
	close(w.log);
	close(its);
}

START_TEST(lines)
{
	ck_assert_int_eq(write(its, "one\nt\001o", 7), 7);
	ev_run(d.loop, EVRUN_NOWAIT);
	ck_assert_uint_eq(w.lines.lines, 1);
	ck_assert_uint_eq(w.line_n, 3);
	ck_assert(!memcmp(w.line, "t?o", 3));
	/* A log at its end does not wake the loop again and again. */
	ck_assert_int_eq(fcntl(its, F_SETFL, 0), 0);
	close(its);
	its = -1;
	ev_run(d.loop, 0);
	ck_assert(!ev_is_active(&w.log_io));
}
END_TEST

static void *write_page(void *page)
{
	ssize_t n = write(its, page, PAGE);

	return (void *)(n < 0 ? (intptr_t)errno : 0);
}

/* The worker writes from memory that is never paged in: pvgpud, which reads the log, does not
 * block. */
START_TEST(memory_that_does_not_come)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffd_msg fault;
	pthread_t t;

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0)
		return; /* userfaultfd is not allowed here, or not in this kernel */
	r.range.start = (uint64_t)(uintptr_t)page;
	r.range.len = PAGE;
	ck_assert_int_eq(ioctl(uffd, UFFDIO_REGISTER, &r), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, write_page, page), 0);
	while (read(uffd, &fault, sizeof(fault)) != (ssize_t)sizeof(fault))
		usleep(1000);
	worker_log_read(&w);
	ck_assert(ev_is_active(&w.log_io));
	/* Closed: the page is an ordinary one again. */
	close(uffd);
	pthread_join(t, NULL);
	munmap(page, PAGE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker_log");
	TCase *t = tcase_create("worker_log");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lines);
	tcase_add_test(t, memory_that_does_not_come);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
