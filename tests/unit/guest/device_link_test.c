/* SPDX-License-Identifier: MIT */
/* The guest's choice of a link, and the link over /dev/pvgpuN, against a device of the test's own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/open_files.h"
#include "link/device.h"
#include "link/local.h"
#include "linux-pvgpu-front/uapi/pvgpu.h"
#include "ring/ring.h"

enum { MIB = 1 << 20, CALLS = 64 };

/* A device whose file is a memfd: the ring at 0, chunks at the offset that GROW returns. */
static struct {
	char opened[128]; /* path of the last open */
	int open_error, file;
	unsigned int opens, interrupted; /* opens and calls that a signal still ends */
	unsigned long called[CALLS];
	unsigned int n;
	unsigned long fail_at; /* the call that fails with error and reason */
	int error;
	char reason[PVGPU_REASON];
	struct pvgpu_ioc_open open; /* answer */
	struct pvgpu_ioc_wait wait; /* as asked; got: answer */
	struct pvgpu_ioc_chunk chunk;
	uint32_t finish_ms;
	bool no_mmap;
} dev;

static bool interrupts(void)
{
	if (!dev.interrupted)
		return false;
	dev.interrupted--;
	errno = EINTR;
	return true;
}

static int fake_open(const char *path)
{
	snprintf(dev.opened, sizeof(dev.opened), "%s", path);
	dev.opens++;
	if (interrupts())
		return -1;
	errno = dev.open_error;
	if (dev.open_error)
		return -1;
	dev.file = memfd_create("device", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(dev.file, 64 * MIB), 0);
	return dev.file;
}

static void answer(unsigned long what, void *arg)
{
	switch (what) {
	case PVGPU_IOC_OPEN:
		ck_assert_uint_eq(((struct pvgpu_ioc_open *)arg)->version, PVGPU_UAPI_VERSION);
		*(struct pvgpu_ioc_open *)arg = dev.open;
		break;
	case PVGPU_IOC_WAIT:
		dev.wait.what = ((struct pvgpu_ioc_wait *)arg)->what;
		dev.wait.timeout_ms = ((struct pvgpu_ioc_wait *)arg)->timeout_ms;
		*(struct pvgpu_ioc_wait *)arg = dev.wait;
		break;
	case PVGPU_IOC_GROW:
		((struct pvgpu_ioc_chunk *)arg)->offset = 4 * MIB;
		dev.chunk = *(struct pvgpu_ioc_chunk *)arg;
		break;
	case PVGPU_IOC_SHRINK:
		dev.chunk = *(struct pvgpu_ioc_chunk *)arg;
		break;
	case PVGPU_IOC_FINISH:
		dev.finish_ms = *(uint32_t *)arg;
		break;
	default:
		break;
	}
}

static int fake_ioctl(int fd, unsigned long what, void *arg)
{
	ck_assert_int_eq(fd, dev.file);
	if (dev.n < CALLS)
		dev.called[dev.n++] = what;
	if (interrupts())
		return -1;
	if (what != dev.fail_at) {
		answer(what, arg);
		return 0;
	}
	if (what == PVGPU_IOC_OPEN)
		memcpy(((struct pvgpu_ioc_open *)arg)->reason, dev.reason, PVGPU_REASON);
	else if (what == PVGPU_IOC_GROW || what == PVGPU_IOC_SHRINK)
		memcpy(((struct pvgpu_ioc_chunk *)arg)->reason, dev.reason, PVGPU_REASON);
	errno = dev.error;
	return -1;
}

static void *fake_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (dev.no_mmap) {
		errno = EAGAIN;
		return MAP_FAILED;
	}
	return mmap(at, size, prot, flags, fd, offset);
}

static const struct device_calls fake_calls = {fake_open, fake_ioctl, fake_mmap};
static const struct device_calls *real_calls;
static char reason[PVGPU_LINK_REASON];
static struct pvgpu_link *l;

static void setup(void)
{
	memset(&dev, 0, sizeof(dev));
	dev.file = -1;
	dev.open = (struct pvgpu_ioc_open){.session = 9,
					   .cmd_size = PVGPU_RING_MIN,
					   .rep_size = PVGPU_RING_MIN,
					   .arena_limit = 96 * MIB,
					   .chunk_max = 16 * MIB};
	real_calls = device_calls;
	device_calls = &fake_calls;
	unsetenv("PVGPU_SOCKET");
	unsetenv("PVGPU_DEVICE");
	unsetenv("PVGPU_DEBUG");
	reason[0] = '\0';
	l = NULL;
}

static void teardown(void)
{
	device_calls = real_calls;
}

static void open_link(void)
{
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), 0);
}

/* Can the memory be neither read nor written? A system call tests it without a fault. */
static bool inaccessible(const char *p)
{
	int pipe_[2];
	bool no;

	ck_assert_int_eq(pipe(pipe_), 0);
	no = write(pipe_[1], p, 1) < 0 && errno == EFAULT;
	close(pipe_[0]);
	close(pipe_[1]);
	return no;
}

/* ---- the choice ---- */

static const struct {
	const char *socket, *device;
	int open_error;
	const char *opened; /* device that is tried, or "" */
	int result;
	const char *says;
} choices[] = {
	{NULL, NULL, 0, "/dev/pvgpu0", 0, ""},
	{NULL, "/dev/pvgpu7", 0, "/dev/pvgpu7", 0, ""},
	{"", "", 0, "/dev/pvgpu0", 0, ""},
	{"/nowhere/socket", NULL, 0, "", -ENOENT, "/nowhere/socket"},
	{"/nowhere/socket", "/dev/pvgpu7", 0, "", -ENOENT, "/nowhere/socket"},
	/* A device that was named, or exists and cannot be opened, is an error: no other is tried.
	 */
	{NULL, "/dev/pvgpu7", ENOENT, "/dev/pvgpu7", -ENOENT, "/dev/pvgpu7"},
	{NULL, NULL, EACCES, "/dev/pvgpu0", -EACCES, "/dev/pvgpu0"},
	/* EPERM from open() is changed: the backend's EPERM stands for a quarantine. */
	{NULL, NULL, EPERM, "/dev/pvgpu0", -EACCES, "/dev/pvgpu0: Operation not permitted"},
	{NULL, NULL, ENODEV, "/dev/pvgpu0", -ENODEV, "/dev/pvgpu0"},
};

START_TEST(choice)
{
	if (choices[_i].socket)
		setenv("PVGPU_SOCKET", choices[_i].socket, 1);
	if (choices[_i].device)
		setenv("PVGPU_DEVICE", choices[_i].device, 1);
	dev.open_error = choices[_i].open_error;
	ck_assert_int_eq(pvgpu_link_open(&l, reason), choices[_i].result);
	ck_assert_str_eq(dev.opened, choices[_i].opened);
	ck_assert(strstr(reason, choices[_i].says) != NULL);
	if (l)
		l->ops->close(l);
}
END_TEST

START_TEST(without_a_device_the_default_socket)
{
	dev.open_error = ENOENT;
	if (access(PVGPU_DEFAULT_SOCKET, F_OK) == 0)
		return; /* the machine runs a pvgpud, which the test must not use */
	ck_assert_int_eq(pvgpu_link_open(&l, reason), -ENOENT);
	ck_assert_str_eq(dev.opened, PVGPU_DEFAULT_DEVICE);
	ck_assert(strstr(reason, PVGPU_DEFAULT_SOCKET) != NULL);
}
END_TEST

/* ---- opening ---- */

START_TEST(opens)
{
	const unsigned int before = open_files();

	dev.interrupted = 3;
	open_link();
	ck_assert_uint_eq(dev.opens, 4);
	ck_assert_uint_eq(l->session, 9);
	ck_assert_uint_eq(l->arena_limit, 96 * MIB);
	ck_assert_uint_eq(l->chunk_max, 16 * MIB);
	ck_assert_uint_eq(l->cmd_size, PVGPU_RING_MIN);
	l->page->cmd_prod.v = 1234;
	ck_assert_int_eq(pread(dev.file, reason, 4, offsetof(struct pvgpu_ring_page, cmd_prod)), 4);
	ck_assert_int_eq(*(uint32_t *)(void *)reason, 1234);
	l->ops->close(l);
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

START_TEST(calls_are_made_again_after_a_signal)
{
	open_link();
	dev.n = 0;
	dev.interrupted = 2;
	l->ops->doorbell(l);
	ck_assert_uint_eq(dev.n, 3);
	ck_assert_uint_eq(dev.called[2], PVGPU_IOC_DOORBELL);
	l->ops->kick(l);
	l->ops->hangup(l);
	dev.interrupted = 1;
	l->ops->finish(l, 77);
	ck_assert_uint_eq(dev.called[3], PVGPU_IOC_KICK);
	ck_assert_uint_eq(dev.called[4], PVGPU_IOC_HANGUP);
	ck_assert_uint_eq(dev.called[6], PVGPU_IOC_FINISH);
	ck_assert_uint_eq(dev.finish_ms, 77);
	l->ops->close(l);
}
END_TEST

START_TEST(refusals_say_why)
{
	const unsigned int before = open_files();

	dev.fail_at = PVGPU_IOC_OPEN;
	dev.error = EUSERS;
	memset(dev.reason, 'x', sizeof(dev.reason)); /* no NUL */
	memcpy(dev.reason, "8 sessions", 10);
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), -EREMOTEIO);
	ck_assert(strstr(reason, "/dev/pvgpu3: 8 sessionsxxx") != NULL);
	dev.reason[0] = '\0';
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), -EUSERS);
	ck_assert(strstr(reason, strerror(EUSERS)) != NULL);
	dev.error = EPERM; /* quarantined */
	strcpy(dev.reason, "quarantined for 7 s");
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), -EPERM);
	ck_assert(strstr(reason, "quarantined for 7 s") != NULL);
	dev.reason[0] = '\0';
	dev.error = ENOTTY;
	ck_assert_int_eq(pvgpu_link_open_device("/dev/null", false, &l, reason), -ENOTTY);
	ck_assert(strstr(reason, "/dev/null is no vGPU") != NULL);
	dev.fail_at = 0;
	dev.open.rep_size = 5000;
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), -EPROTO);
	ck_assert(strstr(reason, "5000") != NULL);
	dev.open.rep_size = PVGPU_RING_MIN;
	dev.no_mmap = true;
	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", false, &l, reason), -EAGAIN);
	ck_assert(strstr(reason, "map the ring") != NULL);
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

/* ---- waiting ---- */

START_TEST(waits)
{
	open_link();
	dev.wait.got = PVGPU_GOT_RUNG | PVGPU_GOT_KICKED;
	ck_assert_uint_eq(l->ops->wait(l, PVGPU_LINK_RUNG | PVGPU_LINK_KICKED),
			  PVGPU_LINK_RUNG | PVGPU_LINK_KICKED);
	ck_assert_uint_eq(dev.wait.what, PVGPU_GOT_RUNG | PVGPU_GOT_KICKED);
	/* It looks at the file now and then; a thread that waits for no answer sleeps on. */
	ck_assert_int_gt(dev.wait.timeout_ms, 0);
	ck_assert_uint_eq(l->ops->wait(l, PVGPU_LINK_KICKED), PVGPU_LINK_RUNG | PVGPU_LINK_KICKED);
	ck_assert_int_lt(dev.wait.timeout_ms, 0);
	dev.wait.got = PVGPU_GOT_HANGUP;
	ck_assert_uint_eq(l->ops->wait(l, PVGPU_LINK_RUNG), PVGPU_LINK_HANGUP);
	/* After a signal the wait returns early. Any other error is a hang-up, or it would spin. */
	dev.interrupted = 1;
	ck_assert_uint_eq(l->ops->wait(l, PVGPU_LINK_RUNG), 0);
	dev.fail_at = PVGPU_IOC_WAIT;
	dev.error = EBADF;
	ck_assert_uint_eq(l->ops->wait(l, PVGPU_LINK_RUNG), PVGPU_LINK_HANGUP);
	l->ops->close(l);
}
END_TEST

/* ---- chunks ---- */

static char *window(void)
{
	char *p =
		mmap(NULL, 8 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

START_TEST(chunks_come_and_go)
{
	char *p = window(), byte;

	open_link();
	dev.interrupted = 1;
	ck_assert_int_eq(l->ops->grow(l, p + MIB, MIB), 0);
	ck_assert_uint_eq(dev.chunk.address, (uintptr_t)p + MIB);
	ck_assert_uint_eq(dev.chunk.size, MIB);
	p[MIB + 5] = 'a';
	ck_assert_int_eq(pread(dev.file, &byte, 1, 4 * MIB + 5), 1);
	ck_assert_int_eq(byte, 'a');
	ck_assert(inaccessible(p + MIB - 1) && inaccessible(p + 2 * MIB));
	ck_assert_int_eq(l->ops->shrink(l, p + MIB, MIB), 0);
	ck_assert_uint_eq(dev.called[dev.n - 1], PVGPU_IOC_SHRINK);
	ck_assert_uint_eq(dev.chunk.address, (uintptr_t)p + MIB);
	ck_assert(inaccessible(p + MIB));
	munmap(p, 8 * MIB);
	l->ops->close(l);
}
END_TEST

static const struct {
	int error, result;
} refusals[] = {
	{ENOSPC, -ENOSPC}, {ENOMEM, -ENOMEM}, {EPIPE, -EPIPE}, {EPROTO, -EINVAL}, {EINVAL, -EINVAL},
};

START_TEST(chunks_are_refused)
{
	char *p = window();

	open_link();
	dev.fail_at = PVGPU_IOC_GROW;
	dev.error = refusals[_i].error;
	ck_assert_int_eq(l->ops->grow(l, p, MIB), refusals[_i].result);
	ck_assert(inaccessible(p));
	dev.fail_at = PVGPU_IOC_SHRINK;
	ck_assert_int_eq(l->ops->shrink(l, p, MIB), refusals[_i].result);
	ck_assert(inaccessible(p));
	munmap(p, 8 * MIB);
	l->ops->close(l);
}
END_TEST

/* The worker has mapped the chunk and this side cannot: it is removed again. */
START_TEST(chunks_that_cannot_be_mapped)
{
	char *p = window();

	open_link();
	dev.no_mmap = true;
	ck_assert_int_eq(l->ops->grow(l, p, MIB), -EAGAIN);
	ck_assert_uint_eq(dev.called[dev.n - 1], PVGPU_IOC_SHRINK);
	ck_assert_uint_eq(dev.chunk.address, (uintptr_t)p);
	ck_assert_uint_eq(dev.chunk.size, MIB);
	ck_assert(inaccessible(p));
	munmap(p, 8 * MIB);
	l->ops->close(l);
}
END_TEST

/* Lines on stderr, with PVGPU_DEBUG. */
START_TEST(reasons_are_printed_once)
{
	char *p = window(), text[512] = "";
	int saved = dup(2), file = memfd_create("stderr", MFD_CLOEXEC);

	ck_assert_int_eq(pvgpu_link_open_device("/dev/pvgpu3", true, &l, reason), 0);
	dev.fail_at = PVGPU_IOC_GROW;
	dev.error = ENOSPC;
	strcpy(dev.reason, "gnttab_max_frames");
	dup2(file, 2);
	l->ops->grow(l, p, 2 * MIB);
	l->ops->grow(l, p, MIB);
	dup2(saved, 2);
	ck_assert_int_gt(pread(file, text, sizeof(text) - 1, 0), 0);
	ck_assert_ptr_ne(strstr(text, "gnttab_max_frames"), NULL);
	ck_assert_ptr_ne(strstr(text, "2048 KiB"), NULL);
	ck_assert_ptr_eq(strstr(strstr(text, "gnttab_max_frames") + 1, "gnttab_max_frames"), NULL);
	close(saved);
	close(file);
	munmap(p, 8 * MIB);
	l->ops->close(l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_link");
	TCase *t = tcase_create("device_link");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, choice, 0, (int)(sizeof(choices) / sizeof(choices[0])));
	tcase_add_test(t, without_a_device_the_default_socket);
	tcase_add_test(t, opens);
	tcase_add_test(t, calls_are_made_again_after_a_signal);
	tcase_add_test(t, refusals_say_why);
	tcase_add_test(t, waits);
	tcase_add_test(t, chunks_come_and_go);
	tcase_add_loop_test(t, chunks_are_refused, 0,
			    (int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_test(t, chunks_that_cannot_be_mapped);
	tcase_add_test(t, reasons_are_printed_once);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
