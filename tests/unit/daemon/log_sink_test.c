/* SPDX-License-Identifier: MIT */
/* The log's lines as the journal and syslog get them. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/contract/log_sink.h"

static char dir[] = "/tmp/pvgpu-log-XXXXXX", path[64], line[4096];
static int far;

static void setup(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	strcpy(a.sun_path, path);
	far = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(far, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void teardown(void)
{
	log_close();
	close(far);
	unlink(path);
	rmdir(dir);
	strcpy(dir, "/tmp/pvgpu-log-XXXXXX");
}

static const char *get(void)
{
	const ssize_t n = recv(far, line, sizeof(line) - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static const struct {
	const char *text, *fields;
} lines[] = {
	{"vgpu web1: of domain 7, memory 4096 MiB", "PVGPU_VGPU=web1\nPVGPU_DOMAIN=7\n"},
	{"pool default: Xid 95 (uncontained memory error)", "PVGPU_POOL=default\n"},
	{"session 12 web1: ended", "PVGPU_VGPU=web1\nPVGPU_SESSION=12\n"},
	{"audit: uid 0 pid 3: /vgpu/a/weight: '1' -> '2'", "PVGPU_AUDIT=1\n"},
	{"carpool x and a vgpu", ""},
	{"no fields\nPRIORITY=0", ""},
};

START_TEST(journal)
{
	char wanted[4096], text[200];
	char *feed;

	ck_assert_int_eq(log_to_journal(path), 0);
	log_warning("%s", lines[_i].text);
	snprintf(text, sizeof(text), "%s", lines[_i].text);
	while ((feed = strchr(text, '\n')))
		*feed = ' ';
	snprintf(wanted, sizeof(wanted), "PRIORITY=4\nSYSLOG_IDENTIFIER=pvgpud\n%sMESSAGE=%s\n",
		 lines[_i].fields, text);
	ck_assert_str_eq(get(), wanted);
}
END_TEST

START_TEST(syslog)
{
	char end[64];

	ck_assert_int_eq(log_to_syslog(path), 0);
	log_error("pool default: gone");
	get();
	ck_assert_int_eq(strncmp(line, "<27>", 4), 0);
	snprintf(end, sizeof(end), " pvgpud[%d]: pool default: gone", (int)getpid());
	ck_assert_str_eq(line + 4 + 15, end);
}
END_TEST

/* A reader that does not read, or has gone: the line is on standard error. */
START_TEST(not_taken)
{
	char got[4096];
	int p[2], was = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(log_to_journal("/nonexistent/socket"), -ENOENT);
	ck_assert_int_eq(log_to_journal(path), 0);
	ck_assert_int_eq(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	close(far);
	log_info("vgpu a: line");
	dup2(was, STDERR_FILENO);
	close(p[1]);
	n = read(p[0], got, sizeof(got));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(strncmp(got, "pvgpud: vgpu a: line\n", (size_t)n), 0);
	close(p[0]);
	close(was);
}
END_TEST

/* Only where standard error is what systemd says. */
START_TEST(journal_stream)
{
	struct stat st;
	char text[64];

	unsetenv("JOURNAL_STREAM");
	ck_assert_int_eq(log_open(false), 0);
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", text, 1);
	ck_assert_int_eq(log_open(false), 0);
	log_error("on standard error");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_sink");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, journal, 0, (int)(sizeof(lines) / sizeof(lines[0])));
	tcase_add_test(t, syslog);
	tcase_add_test(t, not_taken);
	tcase_add_test(t, journal_stream);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
