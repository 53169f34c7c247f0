/* SPDX-License-Identifier: MIT */
/* Tools that change the same vGPUs at the same time, over xenstore in memory. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/ctl/ctl_run.h"
#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#define FE    "/local/domain/3/device/pvgpu/0"
#define BE    "/local/domain/0/backend/pvgpu/3/0"
#define UUID3 "9c1b7a52-3f60-4f8e-8d55-0a2f6c1e7b90"
#define VGPU  "0a8d5e0c-3a51-4f4e-b1d4-6f3a9f6f7a11"
#define KEEP  "--persistent", "--config-dir", dir
#define PAIRS 50

static char dir[64];

static void setup(void)
{
	unsetenv("PVGPU_RUN_DIR");
	strcpy(dir, "/tmp/ctl-meeting.XXXXXX");
	ck_assert(mkdtemp(dir));
	fake_reset();
	fake_domain(0, "Domain-0", "00000000-0000-0000-0000-000000000000");
	fake_domain(3, "web1", UUID3);
	fake_set("/local/domain/0/data/pvgpu/version", "0.1.0");
	fake_set("/local/domain/0/data/pvgpu/gpu-memory-free", "8589934592");
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
	fake_reset();
}

/* ---- what the other tool does ---- */

static void rest(void)
{
	fake_at_start(NULL);
	fake_at_end(NULL);
}

static void attaches(void)
{
	rest();
	fake_set(BE "/frontend", FE);
	fake_set(BE "/online", "1");
	fake_set(BE "/uuid", VGPU);
	fake_set(BE "/memory", "1073741824");
	fake_set(BE "/state", "4");
	fake_set(FE "/backend", BE);
	fake_set(FE "/state", "4");
}

static void detaches(void)
{
	rest();
	fake_remove(BE);
	fake_remove(FE);
}

static void attaches_anew(void)
{
	detaches();
	attaches();
}

static void no_keys_are_left(void)
{
	ck_assert_ptr_null(fake_get(BE));
	ck_assert_ptr_null(fake_get(FE));
}

/* The VM gets the same vGPU at its next start. */
static void the_file_has_its_memory(void)
{
	struct vm_conf c;
	char path[96], err[VMS_ERROR];

	snprintf(path, sizeof(path), "%s/web1.conf", dir);
	ck_assert_msg(vm_conf_read(&c, path, err) == 0, "%s", err);
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(c.vgpus[0].memory, 1ull << 30);
	vm_conf_free(&c);
}

/* ---- attach ---- */

START_TEST(ensure_beside_an_attach)
{
	fake_at_start(attaches);
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--ensure"), EXIT_DONE);
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
	ck_assert_ptr_null(fake_get("/local/domain/0/backend/pvgpu/3/1"));
	/* The vGPU that the other tool has made differs from the one that is wanted. */
	detaches();
	fake_at_start(attaches);
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "2G", "--ensure"), EXIT_REFUSED);
	HAS(errors, "its memory is another one");
}
END_TEST

START_TEST(ensure_beside_a_detach)
{
	attaches();
	fake_set(BE "/online", "0");
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--ensure"), EXIT_REFUSED);
	HAS(errors, "web1: vGPU 0 of web1 is being detached");
	detaches();
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--ensure", "--no-wait"),
			 EXIT_DONE);
}
END_TEST

/* ---- set and drain-host ---- */

START_TEST(set_beside_a_detach)
{
	void (*const when[])(void (*)(void)) = {fake_at_start, fake_at_end};

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--no-wait", KEEP),
				 EXIT_DONE);
		the_file_has_its_memory();
		when[i](detaches);
		ck_assert_int_eq(RUN("set", "web1", "weight=7", KEEP), EXIT_NOT_THERE);
		HAS(errors, "vGPU 0 of web1: it has been detached meanwhile");
		no_keys_are_left();
		the_file_has_its_memory();
	}
}
END_TEST

START_TEST(set_beside_a_new_vgpu)
{
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--no-wait"), EXIT_DONE);
	fake_at_start(attaches_anew);
	ck_assert_int_eq(RUN("set", "web1", "weight=7"), EXIT_NOT_THERE);
	ck_assert_ptr_null(fake_get(BE "/policy"));
}
END_TEST

START_TEST(drain_beside_a_detach)
{
	ck_assert_int_eq(RUN("attach", "web1", "--memory", "1G", "--no-wait"), EXIT_DONE);
	fake_at_start(detaches);
	ck_assert_int_eq(
		RUN("drain-host", "--config-dir", dir, "--xapi-dir", dir, "--timeout", "0"),
		EXIT_DONE);
	no_keys_are_left();
}
END_TEST

/* ---- detach ---- */

static void new_one_stays(void)
{
	ck_assert_str_eq(fake_get(BE "/uuid"), VGPU);
	ck_assert_str_eq(fake_get(BE "/online"), "1");
	ck_assert_str_eq(fake_get(FE "/state"), "4");
	detaches();
}

/* Two detach it, and one of them has attached another since. */
START_TEST(detach_beside_a_new_vgpu)
{
	void (*const when[])(void (*)(void)) = {fake_at_start, fake_at_end};

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
		fake_set(BE "/state", "6");
		fake_set(FE "/state", "6");
		when[i](attaches_anew);
		ck_assert_int_eq(RUN("detach", "web1"), EXIT_DONE);
		new_one_stays();
	}
	/* It is in use when this one begins. */
	ck_assert_int_eq(RUN("attach", "web1", "--no-wait"), EXIT_DONE);
	fake_set(BE "/state", "4");
	fake_set(FE "/state", "4");
	fake_at_start(attaches_anew);
	ck_assert_int_eq(RUN("detach", "web1"), EXIT_DONE);
	new_one_stays();
}
END_TEST

/* ---- the VMs' files ---- */

static pid_t start(const int go[2], bool keeps, uint32_t id)
{
	struct domain d = {.domid = 3, .name = "web1", .uuid = UUID3};
	struct vgpu_spec w = {.id = id, .memory = 1ull << 30};
	char err[VMS_ERROR], byte;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	/* Both go on when the test closes the pipe's other end. */
	close(go[1]);
	if (read(go[0], &byte, 1) < 0)
		_exit(2);
	_exit(keeps ? vms_keep(dir, &d, &w, err) != 0
		    : vms_forget(dir, &d, "web1", false, id, err) != 0);
}

static void both(bool first_keeps, uint32_t first, bool second_keeps, uint32_t second)
{
	int go[2], status;
	pid_t pids[2];

	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	pids[0] = start(go, first_keeps, first);
	pids[1] = start(go, second_keeps, second);
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
}

START_TEST(files_that_two_write)
{
	struct vm_conf c;
	char path[96], err[VMS_ERROR];

	snprintf(path, sizeof(path), "%s/web1.conf", dir);
	for (int i = 0; i < PAIRS; i++) {
		both(true, 0, true, 1);
		ck_assert_int_eq(vm_conf_read(&c, path, err), 0);
		ck_assert_uint_eq(c.n, 2);
		vm_conf_free(&c);
		both(true, 2, false, 1);
		ck_assert_int_eq(vm_conf_read(&c, path, err), 0);
		ck_assert_uint_eq(c.n, 2);
		ck_assert_uint_eq(c.vgpus[0].id + c.vgpus[1].id, 2);
		vm_conf_free(&c);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_meeting");
	TCase *t = tcase_create("meeting");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, ensure_beside_an_attach);
	tcase_add_test(t, ensure_beside_a_detach);
	tcase_add_test(t, set_beside_a_detach);
	tcase_add_test(t, set_beside_a_new_vgpu);
	tcase_add_test(t, drain_beside_a_detach);
	tcase_add_test(t, detach_beside_a_new_vgpu);
	tcase_add_test(t, files_that_two_write);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
