/* SPDX-License-Identifier: MIT */
/* pvgpu-vgpu, the program that xenopsd starts, over xenstore in memory; times are the test's. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/xenopsd/helper.h"
#include "xen-pvgpu-back/xenopsd/install.h"
#include "xen-pvgpu-back/xenopsd/starter.h"

#define DOM   "/local/domain/3"
#define FE    DOM "/device/pvgpu/0"
#define BE    "/local/domain/0/backend/pvgpu/3/0"
#define UUID0 "00000000-0000-0000-0000-000000000000"
#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define UUID7 "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"
#define VGPU  "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a12"
#define LIMIT 55.
#define FULL  5.

static struct store s;
static struct request ask;
static struct helper h;
static char dir[64], err[REQUEST_ERROR];

static void put(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert(f && fputs(text, f) >= 0 && !fclose(f));
}

static void setup(void)
{
	log_set_program("pvgpu-vgpu");
	strcpy(dir, "/tmp/xenopsd-test.XXXXXX");
	ck_assert(mkdtemp(dir));
	fake_reset();
	fake_domain(0, "Domain-0", UUID0);
	fake_domain(3, "web1", UUID3);
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "1073741824");
	fake_set("/vm", "");
	ck_assert_int_eq(store_open(&s), 0);
	put("profiles.conf", "[profile half]\nmemory = 512M\nweight = 200\n"
			     "[profile away]\nmemory = 512M\nbackend = gpu\n");
	ask = (struct request){0};
	h = (struct helper){
		.store = &s, .ask = &ask, .site_dir = dir, .limit_s = LIMIT, .full_s = FULL};
}

static void teardown(void)
{
	char cmd[128];

	store_close(&s);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

static void word(const char *text)
{
	ck_assert_msg(request_word(&ask, text, err) == 0, "%s: %s", text, err);
}

static void refused(const char *text, const char *why)
{
	ck_assert_int_eq(request_word(&ask, text, err), -EINVAL);
	ck_assert_msg(strstr(err, why) != NULL, "'%s' has no '%s'", err, why);
}

static void begin(const char *profile)
{
	char device[128];

	snprintf(device, sizeof(device), "--device=0000:41:00.0,%s,0000:00:0b.0," VGPU, profile);
	word("--domain=3");
	word(device);
	ck_assert_int_eq(request_whole(&ask, err), 0);
	ck_assert_int_eq(helper_begin(&h, 100), 0);
	ck_assert_str_eq(fake_get(DOM "/vgpu/state"), "initialising");
}

static void state_is(const char *state)
{
	ck_assert_str_eq(fake_get(DOM "/vgpu/state"), state);
}

START_TEST(words_of_xenopsd)
{
	word("--domain=3");
	word("--vcpus=2");
	word("--suspend=/var/lib/xen/demu-save.3");
	word("--device=0000:41:00.0,half,0000:00:0b.0," VGPU);
	word("--noconsole");
	word("--resume");
	ck_assert_uint_eq(ask.domid, 3);
	ck_assert_uint_eq(ask.n, 1);
	ck_assert_str_eq(ask.v[0].profile, "half");
	ck_assert_int_eq(request_whole(&ask, err), 0);
	refused("--domain=0", "--domain=0");
	refused("--domain=-1", "--domain=-1");
	refused("--domain=3x", "--domain=3x");
	refused("--domain=99999", "--domain=99999");
	refused("start", "start");
	refused("--device=0000:41:00.0,half,0000:00:0b.0", "must be");
	refused("--device=0000:41:00.0,,0000:00:0b.0," VGPU, "pvgpuctl xapi types");
	refused("--device=0000:41:00.0,/usr/share/x,0000:00:0b.0," VGPU, "pvgpuctl xapi types");
	refused("--device=0000:41:00.0,half,0000:00:0b.0,no-uuid", "no-uuid");
	refused("--device=0000:41:00.0,half,0000:00:0b.0," VGPU ",frl=0,x", "extra");
	/* A field that is empty is none. */
	word("--device=0000:41:00.0,half,0000:00:0b.0," VGPU ",");
	for (unsigned int i = 2; i < REQUEST_DEVICES; i++)
		word("--device=0000:41:00.0,half,0000:00:0b.0," VGPU);
	refused("--device=0000:41:00.0,half,0000:00:0b.0," VGPU, "more than 8");
	ask.n = 0;
	ck_assert_int_eq(request_whole(&ask, err), -EINVAL);
	ck_assert(strstr(err, "--device"));
}
END_TEST

START_TEST(starts_and_ends)
{
	char pid[32];

	begin("half");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ck_assert_str_eq(fake_get(DOM "/vgpu-pid"), pid);
	ck_assert_str_eq(fake_perms(DOM "/vgpu/state"), "n0");
	helper_look(&h, 100);
	state_is("running");
	ck_assert_int_eq(h.is, HELPER_RUNS);
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
	ck_assert_str_eq(fake_get(BE "/profile"), "half");
	ck_assert_str_eq(fake_get(BE "/memory"), "536870912");
	ck_assert_str_eq(fake_get(FE "/state"), "1");
	ck_assert(helper_wait(&h, 100) < 0);
	/* SIGTERM: the guest's programs may end first. */
	fake_set(BE "/state", "4");
	fake_set(FE "/state", "4");
	helper_leave(&h);
	ck_assert_str_eq(fake_get(BE "/online"), "0");
	ck_assert(!helper_has_left(&h));
	fake_set(BE "/state", "6");
	ck_assert(helper_has_left(&h));
	helper_end(&h);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(FE));
	ck_assert_ptr_null(fake_get(DOM "/vgpu"));
	ck_assert_ptr_null(fake_get(DOM "/vgpu-pid"));
}
END_TEST

START_TEST(the_domain_ends)
{
	begin("half");
	helper_look(&h, 100);
	fake_domain_gone(3);
	ck_assert(store_event(&s));
	helper_look(&h, 101);
	ck_assert_int_eq(h.is, HELPER_GONE);
	helper_end(&h);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(DOM));
}
END_TEST

START_TEST(waits_for_pvgpud_and_answers)
{
	fake_remove("/local/domain/0/data/pvgpu");
	begin("half");
	helper_look(&h, 100);
	state_is("initialising");
	ck_assert(helper_wait(&h, 100) > 0);
	while (store_event(&s))
		;
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	ck_assert(store_event(&s));
	helper_look(&h, 130);
	state_is("running");
}
END_TEST

/* A look that changes nothing leads to no event: the next look is the one that time brings. */
START_TEST(waits_without_events_of_its_own)
{
	fake_remove("/local/domain/0/data/pvgpu");
	begin("half");
	for (int i = 0; i < 3; i++) {
		helper_look(&h, 100 + i);
		while (i == 0 && store_event(&s))
			;
		ck_assert_msg(!store_event(&s), "look %d has led to an event", i);
	}
	state_is("initialising");
}
END_TEST

static void be_slow(void)
{
	usleep(100000);
}

/* Another who writes there, and does not stop for seconds. */
START_TEST(conflicts_are_waited_for)
{
	begin("half");
	fake_writer("/local/domain/0/backend");
	helper_look(&h, 100);
	state_is("initialising");
	/* The time for one try is over before all tries are. */
	fake_at_start(be_slow);
	helper_look(&h, 101);
	state_is("initialising");
	ck_assert(strstr(h.v[0].why, strerror(ETIMEDOUT)));
	fake_at_start(NULL);
	fake_writer(NULL);
	helper_look(&h, 102);
	state_is("running");
}
END_TEST

/* Long after the attach, whose time for conflicts is over. */
START_TEST(a_conflict_at_the_end)
{
	begin("half");
	helper_look(&h, 100);
	fake_set(BE "/state", "4");
	s.until = 1;
	fake_conflicts(1);
	helper_leave(&h);
	ck_assert_str_eq(fake_get(BE "/online"), "0");
	s.until = 1;
	fake_conflicts(1);
	helper_end(&h);
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(FE));
}
END_TEST

START_TEST(no_pvgpud_is_an_error_in_time)
{
	fake_remove("/local/domain/0/data/pvgpu");
	begin("half");
	helper_look(&h, 100 + LIMIT - .1);
	state_is("initialising");
	helper_look(&h, 100 + LIMIT);
	state_is("error");
	ck_assert_int_eq(h.is, HELPER_FAILED);
	ck_assert(strstr(fake_get(DOM "/vgpu/error-code"), "no pvgpud runs in domain 0"));
	helper_end(&h);
	/* xenopsd may look at the reason later. */
	state_is("error");
	ck_assert_ptr_null(fake_get(DOM "/vgpu-pid"));
}
END_TEST

START_TEST(errors_that_waiting_does_not_mend)
{
	begin("nosuch");
	helper_look(&h, 100);
	state_is("error");
	ck_assert(strstr(fake_get(DOM "/vgpu/error-code"), "profile 'nosuch'"));
	ck_assert_ptr_null(fake_get(BE));
}
END_TEST

/* One that was just stopped may still have the room. */
START_TEST(a_full_gpu_is_an_error_soon)
{
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "1048576");
	begin("half");
	helper_look(&h, 100);
	helper_look(&h, 100 + FULL - .1);
	state_is("initialising");
	helper_look(&h, 100 + FULL);
	state_is("error");
	ck_assert(strstr(fake_get(DOM "/vgpu/error-code"), "512 MiB wanted"));
}
END_TEST

START_TEST(the_backend_domain_comes_back)
{
	begin("away");
	helper_look(&h, 100);
	state_is("initialising");
	ck_assert(strstr(h.v[0].why, "gpu"));
	fake_domain(7, "gpu", UUID7);
	fake_set("/local/domain/7/data/pvgpu/version", "0.1.0");
	helper_look(&h, 101);
	state_is("running");
	ck_assert_str_eq(fake_get(FE "/backend"), "/local/domain/7/backend/pvgpu/3/0");
	fake_domain_gone(7);
	helper_look(&h, 200);
	/* Time plays no part any more. */
	state_is("running");
	ck_assert(helper_wait(&h, 200) > 0);
	fake_domain(8, "gpu", UUID7);
	fake_set("/local/domain/8/data/pvgpu/version", "0.1.0");
	helper_look(&h, 201);
	ck_assert_str_eq(fake_get(FE "/backend"), "/local/domain/8/backend/pvgpu/3/0");
	ck_assert(helper_wait(&h, 201) < 0);
}
END_TEST

START_TEST(an_operators_detach_counts)
{
	begin("half");
	helper_look(&h, 100);
	ck_assert_int_eq(attach_remove(&s, &h.v[0].ids, VGPU), 0);
	helper_look(&h, 101);
	helper_look(&h, 102);
	ck_assert_ptr_null(fake_get(BE));
	state_is("running");
	helper_end(&h);
}
END_TEST

/* ---- the starter ---- */

static char started[8][256];
static size_t n_started;

static void note(void *arg, char *const argv[])
{
	char *to = started[n_started++];

	to[0] = '\0';
	for (size_t i = 0; argv[i]; i++)
		snprintf(to + strlen(to), 256 - strlen(to), "%s%s", i ? " " : "", argv[i]);
}

START_TEST(starts_once_for_each_domain)
{
	static struct starter t;

	t = (struct starter){
		.store = &s, .xapi_dir = dir, .program = "/usr/lib64/xen/bin/vgpu", .start = note};
	n_started = 0;
	ck_assert_int_eq(starter_watch(&t), 0);
	ck_assert_int_eq(starter_look(&t), 0);
	ck_assert_uint_eq(n_started, 0);
	put(UUID3 ".vgpu",
	    "--device=0000:41:00.0,half,0000:00:0b.0," VGPU "\n# a remark\n--noconsole\n");
	ck_assert_int_eq(starter_look(&t), 0);
	ck_assert_int_eq(starter_look(&t), 0);
	ck_assert_uint_eq(n_started, 1);
	ck_assert_str_eq(started[0],
			 "/usr/lib64/xen/bin/vgpu --domain=3 --device=0000:41:00.0,half,"
			 "0000:00:0b.0," VGPU " --noconsole");
	/* The VM's next start is another domain, also of the same number. */
	fake_domain_gone(3);
	ck_assert_int_eq(starter_look(&t), 0);
	fake_domain(3, "web1", UUID3);
	ck_assert_int_eq(starter_look(&t), 0);
	ck_assert_uint_eq(n_started, 2);
	/* One that xenopsd has served, or that an earlier starter has. */
	fake_domain(4, "web1", UUID3);
	fake_set("/local/domain/4/vgpu/state", "running");
	ck_assert_int_eq(starter_look(&t), 0);
	ck_assert_uint_eq(n_started, 2);
}
END_TEST

/* A process is an instance by what xenopsd compares, not by its number. */
START_TEST(knows_its_like)
{
	char pid[32];
	int ends[2];
	pid_t child;

	/* It lives until its input ends. */
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		dup2(ends[0], STDIN_FILENO);
		execlp("sh", "/usr/lib64/xen/bin/vgpu", "-c", "read x", "sh", "--domain=3", NULL);
		_exit(1);
	}
	snprintf(pid, sizeof(pid), "%d", (int)child);
	fake_set(DOM "/vgpu-pid", pid);
	while (!request_is_served_by((uint32_t)child, "/usr/lib64/xen/bin/vgpu", 3))
		usleep(1000);
	ck_assert(helper_is_served(&s, 3));
	ck_assert(!helper_is_served(&s, 4));
	ck_assert(!request_is_served_by((uint32_t)child, "/usr/bin/other", 3));
	ck_assert(!request_is_served_by((uint32_t)child, NULL, 33));
	word("--domain=3");
	ck_assert_int_eq(helper_begin(&h, 100), -EALREADY);
	ck_assert_ptr_null(fake_get(DOM "/vgpu/state"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert(!helper_is_served(&s, 3));
	fake_set(DOM "/vgpu-pid", "1x");
	ck_assert(!helper_is_served(&s, 3));
}
END_TEST

/* ---- xenopsd's program ---- */

static const char self[] = "/usr/libexec/pvgpu/xapi/pvgpu-vgpu";
static char program[96], why[INSTALL_ERROR];

/* "" where there is no link. */
static const char *target(const char *path)
{
	static char buf[128];
	ssize_t n = readlink(path, buf, sizeof(buf) - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

START_TEST(becomes_xenopsds_program)
{
	snprintf(program, sizeof(program), "%s/vgpu", dir);
	ck_assert_int_eq(uninstall_vgpu(program, self, why), 0);
	ck_assert_int_eq(install_vgpu(program, "/old/pvgpu-vgpu", false, why), 0);
	ck_assert_int_eq(install_vgpu(program, self, false, why), 0);
	ck_assert_str_eq(target(program), self);
	ck_assert_int_eq(uninstall_vgpu(program, self, why), 0);
	ck_assert_int_eq(access(program, F_OK), -1);
	snprintf(program, sizeof(program), "%s/none/vgpu", dir);
	ck_assert_int_eq(install_vgpu(program, self, false, why), -ENOENT);
	ck_assert(strstr(why, program));
}
END_TEST

START_TEST(keeps_anothers_program)
{
	char saved[128];

	put("vgpu", "NVIDIA's");
	snprintf(program, sizeof(program), "%s/vgpu", dir);
	snprintf(saved, sizeof(saved), "%s" INSTALL_SAVED, program);
	ck_assert_int_eq(install_vgpu(program, self, false, why), -EEXIST);
	ck_assert(strstr(why, "--force"));
	ck_assert_int_eq(uninstall_vgpu(program, self, why), 0);
	ck_assert_int_eq(access(program, F_OK), 0);
	ck_assert_int_eq(install_vgpu(program, self, true, why), 0);
	ck_assert_int_eq(install_vgpu(program, self, true, why), 0);
	ck_assert_str_eq(target(program), self);
	ck_assert_int_eq(access(saved, F_OK), 0);
	ck_assert_int_eq(uninstall_vgpu(program, self, why), 0);
	ck_assert_str_eq(target(program), "");
	ck_assert_int_eq(access(program, F_OK), 0);
	ck_assert_int_eq(access(saved, F_OK), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xenopsd");
	TCase *t = tcase_create("vgpu");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, words_of_xenopsd);
	tcase_add_test(t, starts_and_ends);
	tcase_add_test(t, the_domain_ends);
	tcase_add_test(t, waits_for_pvgpud_and_answers);
	tcase_add_test(t, waits_without_events_of_its_own);
	tcase_add_test(t, conflicts_are_waited_for);
	tcase_add_test(t, a_conflict_at_the_end);
	tcase_add_test(t, no_pvgpud_is_an_error_in_time);
	tcase_add_test(t, errors_that_waiting_does_not_mend);
	tcase_add_test(t, a_full_gpu_is_an_error_soon);
	tcase_add_test(t, the_backend_domain_comes_back);
	tcase_add_test(t, an_operators_detach_counts);
	tcase_add_test(t, starts_once_for_each_domain);
	tcase_add_test(t, knows_its_like);
	tcase_add_test(t, becomes_xenopsds_program);
	tcase_add_test(t, keeps_anothers_program);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
