/* SPDX-License-Identifier: MIT */
/*
 * A hostile or buggy user of /dev/pvgpu0, in a guest whose vGPU is served; with the word "users",
 * several users, as root; with "grow", a process that asks for a chunk and waits. A failed check
 * prints one line; the last line is "device N checks", and the status 0 if all passed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux-pvgpu-front/uapi/pvgpu.h"
#include "ring/control.h"

#define DEVICE "/dev/pvgpu0"
#define WINDOW 0x7e0000000000ull
#define MIB    (1ull << 20)

static unsigned int checks, failures;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		checks++;                                                                          \
		if (!(cond)) {                                                                     \
			failures++;                                                                \
			printf("line %d: %s (errno %d)\n", __LINE__, #cond, errno);                \
		}                                                                                  \
	} while (0)

/* 0, or the errno. */
static int ask(int fd, unsigned long what, void *arg)
{
	while (ioctl(fd, what, arg))
		if (errno != EINTR)
			return errno;
	return 0;
}

static int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror(DEVICE);
		exit(1);
	}
	return fd;
}

static struct pvgpu_ioc_open open_session(int fd)
{
	struct pvgpu_ioc_open o = {.version = PVGPU_UAPI_VERSION};
	int err = ask(fd, PVGPU_IOC_OPEN, &o);

	if (err) {
		printf("no session: %s: %s\n", strerror(err), o.reason);
		exit(1);
	}
	return o;
}

static size_t ring_bytes(const struct pvgpu_ioc_open *o)
{
	return pvgpu_ring_bytes(o->cmd_size, o->rep_size);
}

static void *map(int fd, uint64_t offset, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
}

static int finish(int fd)
{
	struct pvgpu_ioc_finish m = {.timeout_ms = 60000};

	return ask(fd, PVGPU_IOC_FINISH, &m);
}

/* ---- before and around a session ---- */

static void no_session(void)
{
	struct pvgpu_ioc_chunk c = {.address = WINDOW, .size = MIB};
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_RUNG, .timeout_ms = -1};
	struct pvgpu_ioc_info info;
	struct pollfd p;
	int fd = open_device();

	CHECK(!ask(fd, PVGPU_IOC_INFO, &info));
	CHECK(info.version == PVGPU_UAPI_VERSION && info.index == 0 && info.state == 4);
	CHECK(strlen(info.uuid) == 36 && info.memory > 0);
	CHECK(ask(fd, PVGPU_IOC_DOORBELL, NULL) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_WAIT, &w) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_GROW, &c) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_SHRINK, &c) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_HANGUP, NULL) == EINVAL);
	CHECK(finish(fd) == EINVAL);
	CHECK(ask(fd, _IO('x', 1), NULL) == ENOTTY);
	CHECK(ask(fd, _IO(PVGPU_IOC_MAGIC, 0x7f), NULL) == ENOTTY);
	CHECK(ask(fd, _IO(PVGPU_IOC_MAGIC, 0x89), NULL) == ENOTTY);
	CHECK(ask(fd, _IOWR(PVGPU_IOC_MAGIC, 0x85, uint32_t), &info) == ENOTTY);
	CHECK(ask(fd, PVGPU_IOC_INFO, (void *)1) == EFAULT);
	CHECK(map(fd, 0, 4096) == MAP_FAILED);
	p = (struct pollfd){.fd = fd, .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLERR));
	close(fd);
}

static void bad_opens(void)
{
	static const uint32_t sizes[] = {1, 4096, 3u << 16, 1u << 15, 1u << 25, 1u << 31};
	struct pvgpu_ioc_open o = {.version = 99};
	int fd = open_device();

	CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EINVAL && strstr(o.reason, "99"));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		o = (struct pvgpu_ioc_open){.version = 1, .cmd_size = sizes[i]};
		CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EINVAL && o.reason[0]);
		o = (struct pvgpu_ioc_open){.version = 1, .rep_size = sizes[i]};
		CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EINVAL && o.reason[0]);
	}
	CHECK(ask(fd, PVGPU_IOC_OPEN, (void *)1) == EFAULT);
	o = (struct pvgpu_ioc_open){.version = 1, .flags = 1};
	CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EINVAL && o.reason[0]);
	o = (struct pvgpu_ioc_open){.version = 1, .pad = 1};
	CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EINVAL && o.reason[0]);
	/* After these errors a valid request succeeds. */
	o = open_session(fd);
	CHECK(o.cmd_size == PVGPU_RING_CMD_DEFAULT && o.rep_size == PVGPU_RING_REP_DEFAULT);
	CHECK(o.chunk_max == PVGPU_CTL_CHUNK_MAX && o.arena_limit > 0 && o.session);
	CHECK(ask(fd, PVGPU_IOC_OPEN, &o) == EBUSY && o.reason[0]);
	CHECK(!finish(fd));
	close(fd);
}

static void mappings(void)
{
	int fd = open_device(), ro = open(DEVICE, O_RDONLY | O_CLOEXEC);
	struct pvgpu_ioc_open o = open_session(fd);
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_KICKED, .timeout_ms = 0};
	const size_t n = ring_bytes(&o);
	struct pvgpu_ring_page *page;
	unsigned char *bytes;
	bool zero = true;

	CHECK(map(fd, 0, n - 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(map(fd, 0, n + 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(map(fd, 4096, n - 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(map(fd, 4ull << 30, MIB) == MAP_FAILED && errno == EINVAL);
	CHECK(map(fd, (1ull << 62), MIB) == MAP_FAILED);
	CHECK(mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, n, PROT_READ, MAP_SHARED, ro, 0) == MAP_FAILED);
	close(ro);
	page = map(fd, 0, n);
	CHECK(page != MAP_FAILED);
	CHECK(page->magic == PVGPU_RING_MAGIC && page->cmd_size == o.cmd_size && !page->status);
	bytes = (unsigned char *)page + 4096;
	for (size_t i = 0; i < n - 4096; i++)
		zero = zero && !bytes[i];
	CHECK(zero);
	CHECK(mremap(page, n, n + 4096, MREMAP_MAYMOVE) == MAP_FAILED);
	/* Unmapped in pieces: the session ends with the last one. */
	CHECK(!munmap(bytes, 4096));
	CHECK(!ask(fd, PVGPU_IOC_WAIT, &w) && !w.got);
	CHECK(!munmap(page, n));
	w.timeout_ms = -1;
	CHECK(!ask(fd, PVGPU_IOC_WAIT, &w) && w.got == PVGPU_GOT_HANGUP);
	CHECK(ask(fd, PVGPU_IOC_DOORBELL, NULL) == EPIPE);
	CHECK(map(fd, 0, n) == MAP_FAILED && errno == EPIPE);
	CHECK(!finish(fd));
	close(fd);
}

/* A child inherits the file but no mapping; its end does not end the session. */
static void forked(void)
{
	int fd = open_device(), status;
	struct pvgpu_ioc_open o = open_session(fd);
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_KICKED, .timeout_ms = 0};
	volatile struct pvgpu_ring_page *page = map(fd, 0, ring_bytes(&o));
	pid_t pid = fork();

	if (!pid)
		_exit(page->magic != 0); /* SIGSEGV */
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	CHECK(WTERMSIG(status) == SIGSEGV);
	CHECK(!ask(fd, PVGPU_IOC_WAIT, &w) && !w.got);
	munmap((void *)page, ring_bytes(&o));
	CHECK(!finish(fd));
	close(fd);
}

/* ---- waiting ---- */

static void nothing(int sig)
{
	(void)sig;
}

static void *waiter(void *arg)
{
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_RUNG, .timeout_ms = -1};
	int err = ask(*(int *)arg, PVGPU_IOC_WAIT, &w);

	return (void *)(uintptr_t)(err ? 0x100u + (unsigned int)err : w.got);
}

static void waits(void)
{
	int fd = open_device();
	struct pvgpu_ioc_open o = open_session(fd);
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_KICKED, .timeout_ms = 1};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = nothing};
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLPRI};
	pthread_t t;
	void *got;

	(void)o;
	CHECK(!ask(fd, PVGPU_IOC_WAIT, &w) && !w.got);
	CHECK(!ask(fd, PVGPU_IOC_KICK, NULL));
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLPRI));
	w.timeout_ms = -1;
	CHECK(!ask(fd, PVGPU_IOC_WAIT, &w) && w.got == PVGPU_GOT_KICKED);
	CHECK(poll(&p, 1, 0) == 0 || !(p.revents & POLLPRI));
	w = (struct pvgpu_ioc_wait){.what = 0x80, .timeout_ms = 0};
	CHECK(ask(fd, PVGPU_IOC_WAIT, &w) == EINVAL);
	w = (struct pvgpu_ioc_wait){.what = 1, .timeout_ms = 0, .flags = 1};
	CHECK(ask(fd, PVGPU_IOC_WAIT, &w) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_DOORBELL, &w) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_KICK, &w) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_HANGUP, &w) == EINVAL);
	CHECK(ask(fd, PVGPU_IOC_FINISH, &(struct pvgpu_ioc_finish){.flags = 1}) == EINVAL);
	CHECK(ask(fd, _IO(PVGPU_IOC_MAGIC, 0x89), NULL) == ENOTTY);
	/* Signals without SA_RESTART: a wait ends; a repeated OPEN or GROW continues. */
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	w = (struct pvgpu_ioc_wait){.what = PVGPU_GOT_KICKED, .timeout_ms = -1};
	CHECK(ioctl(fd, PVGPU_IOC_WAIT, &w) == -1 && errno == EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	/* A hang-up wakes a waiting thread. */
	CHECK(!pthread_create(&t, NULL, waiter, &fd));
	CHECK(!ask(fd, PVGPU_IOC_HANGUP, NULL));
	CHECK(!pthread_join(t, &got) && ((uintptr_t)got & PVGPU_GOT_HANGUP) && (uintptr_t)got < 8);
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
	CHECK(!finish(fd));
	close(fd);
}

/* ---- arena ---- */

/* The session's windows are not settled, so any address that is free in this process will do. */
static int grow(int fd, uint64_t address, uint64_t size, uint64_t *offset)
{
	struct pvgpu_ioc_chunk c = {.address = address, .size = size};
	int err = ask(fd, PVGPU_IOC_GROW, &c);

	*offset = c.offset;
	return err;
}

static int shrink(int fd, uint64_t address, uint64_t size)
{
	struct pvgpu_ioc_chunk c = {.address = address, .size = size};

	return ask(fd, PVGPU_IOC_SHRINK, &c);
}

static void bad_chunks(void)
{
	int fd = open_device();
	struct pvgpu_ioc_open o = open_session(fd);
	struct pvgpu_ioc_chunk c = {.address = WINDOW, .size = MIB, .flags = 1};
	uint64_t at;

	(void)o;
	CHECK(ask(fd, PVGPU_IOC_GROW, &c) == EINVAL && c.reason[0]);
	CHECK(ask(fd, PVGPU_IOC_SHRINK, &c) == EINVAL && c.reason[0]);
	c = (struct pvgpu_ioc_chunk){.address = WINDOW, .size = MIB, .pad = 1};
	CHECK(ask(fd, PVGPU_IOC_GROW, &c) == EINVAL && c.reason[0]);
	CHECK(grow(fd, WINDOW, 0, &at) == EINVAL);
	CHECK(grow(fd, WINDOW, 4095, &at) == EINVAL);
	CHECK(grow(fd, WINDOW + 1, 4096, &at) == EINVAL);
	CHECK(grow(fd, 0, 4096, &at) == EINVAL);
	CHECK(grow(fd, WINDOW, PVGPU_CTL_CHUNK_MAX + 4096, &at) == EINVAL);
	CHECK(grow(fd, ~0ull << 12, 8192, &at) == EINVAL);
	CHECK(shrink(fd, WINDOW, 0) == EINVAL);
	CHECK(shrink(fd, WINDOW, MIB) == 0); /* removing a missing chunk is no error */
	/* No window has been settled: the worker refuses, and no memory is left behind. */
	for (int i = 0; i < 8; i++)
		CHECK(grow(fd, WINDOW, MIB, &at) != 0);
	CHECK(!finish(fd));
	CHECK(grow(fd, WINDOW, MIB, &at) == EPIPE);
	CHECK(shrink(fd, WINDOW, MIB) == EPIPE);
	close(fd);
}

/* ---- many, and killed ---- */

static void many(void)
{
	int fd[12];

	for (unsigned int i = 0; i < 12; i++) {
		fd[i] = open_device();
		open_session(fd[i]);
	}
	for (unsigned int i = 0; i < 12; i += 2)
		close(fd[i]);
	for (unsigned int i = 1; i < 12; i += 2) {
		CHECK(!finish(fd[i]));
		close(fd[i]);
	}
}

/* A process that is killed at random moments of a session's life. */
static void killed(void)
{
	for (unsigned int round = 0; round < 24; round++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			int fd = open_device();
			struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_RUNG, .timeout_ms = -1};
			struct itimerval it = {{0, 0}, {0, 1000 * (round * round + 1)}};
			struct pvgpu_ioc_open o = {.version = PVGPU_UAPI_VERSION};
			struct sigaction act = {.sa_handler = SIG_DFL};

			sigaction(SIGALRM, &act, NULL);
			setitimer(ITIMER_REAL, &it, NULL);
			if (!ask(fd, PVGPU_IOC_OPEN, &o))
				map(fd, 0, ring_bytes(&o));
			ask(fd, PVGPU_IOC_WAIT, &w);
			_exit(1);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	}
}

/* ---- users ---- */

#define PARAMETERS "/sys/module/pvgpu/parameters/"

static unsigned int parameter(const char *name)
{
	char path[96];
	unsigned int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%u", &n) == 1);
	if (f)
		fclose(f);
	return n;
}

static void set_parameter(const char *name, unsigned int n)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	f = fopen(path, "w");
	CHECK(f && fprintf(f, "%u\n", n) > 0);
	if (f)
		CHECK(!fclose(f));
}

/* Run it as this user, in a child; `between` is run while the child waits in pause_here(). */
static int here[2], go_on[2];

static void pause_here(void)
{
	char c = 0;

	CHECK(write(here[1], &c, 1) == 1);
	CHECK(read(go_on[0], &c, 1) == 1);
}

static void as_user(uid_t uid, void (*run)(void), void (*between)(void))
{
	int mine[2][2], status;
	char c = 0;
	pid_t pid;

	CHECK(!pipe(here) && !pipe(go_on));
	memcpy(mine[0], here, sizeof(here));
	memcpy(mine[1], go_on, sizeof(go_on));
	pid = fork();
	if (!pid) {
		failures = 0;
		CHECK(!setresuid(uid, uid, uid));
		run();
		_exit(failures != 0);
	}
	close(mine[0][1]);
	if (between && read(mine[0][0], &c, 1) == 1) {
		between();
		CHECK(write(mine[1][1], &c, 1) == 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(mine[0][0]);
	close(mine[1][0]);
	close(mine[1][1]);
}

static int open_error(int fd, char *reason)
{
	struct pvgpu_ioc_open o = {.version = PVGPU_UAPI_VERSION};
	int err = ask(fd, PVGPU_IOC_OPEN, &o);

	memcpy(reason, o.reason, sizeof(o.reason));
	return err;
}

static void one_session(void)
{
	int fd = open_device();

	open_session(fd);
	CHECK(!finish(fd));
	close(fd);
}

/* Root, and another user, while one has all sessions that it may have. */
static void others(void)
{
	one_session();
	as_user(1001, one_session, NULL);
}

static void too_many(void)
{
	int fd[3], last = open_device();
	char reason[PVGPU_REASON];

	for (unsigned int i = 0; i < 3; i++) {
		fd[i] = open_device();
		open_session(fd[i]);
	}
	CHECK(open_error(last, reason) == EUSERS && strstr(reason, "user_sessions"));
	pause_here();
	CHECK(!finish(fd[0]));
	CHECK(open_error(last, reason) == 0);
	CHECK(!finish(last));
	for (unsigned int i = 1; i < 3; i++)
		CHECK(!finish(fd[i]));
}

static void too_much(void)
{
	int fd = open_device(), more = open_device();
	char reason[PVGPU_REASON];

	open_session(fd);
	CHECK(open_error(more, reason) == ENOSPC && strstr(reason, "user_grants"));
	pause_here();
	CHECK(!finish(fd));
	CHECK(open_error(more, reason) == 0);
	CHECK(!finish(more));
}

/* Break the protocol in a session; returns when the backend has ended it. */
static void breach(void)
{
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_RUNG, .timeout_ms = -1};
	int fd = open_device();
	struct pvgpu_ioc_open o = open_session(fd);
	struct pvgpu_ring_page *page = map(fd, 0, ring_bytes(&o));

	CHECK(page != MAP_FAILED);
	pvgpu_store_release(&page->cmd_prod.v, 0xfffffff0u);
	do {
		CHECK(!ask(fd, PVGPU_IOC_DOORBELL, NULL) || errno == EPIPE);
		CHECK(!ask(fd, PVGPU_IOC_WAIT, &w));
	} while (!(w.got & PVGPU_GOT_HANGUP));
	CHECK(pvgpu_load_acquire(&page->status) == PVGPU_RING_ENDED);
	CHECK(page->reason == PVGPU_END_PROTOCOL);
	close(fd);
}

static void breaches(void)
{
	struct pvgpu_ioc_wait w = {.what = PVGPU_GOT_RUNG, .timeout_ms = -1};
	int honest = open_device(), more = open_device();
	char reason[PVGPU_REASON];

	open_session(honest);
	breach();
	breach();
	/* Its other session has ended, and it gets no new one. */
	CHECK(!ask(honest, PVGPU_IOC_WAIT, &w) && (w.got & PVGPU_GOT_HANGUP));
	CHECK(!finish(honest));
	CHECK(open_error(more, reason) == EPERM && strstr(reason, "protocol"));
}

/* Where pvgpu.ko lets it: pvgpud counts, too. */
static void one_more(void)
{
	char reason[PVGPU_REASON];
	int more = open_device();

	breach();
	CHECK(open_error(more, reason) == EPERM && strstr(reason, "this user is quarantined"));
}

static void users(void)
{
	const unsigned int used = parameter("grants_used");

	set_parameter("user_sessions", 3);
	as_user(1000, too_many, others);
	set_parameter("user_sessions", 128);
	set_parameter("user_grants", 400); /* a ring and a bit */
	as_user(1000, too_much, others);
	set_parameter("user_grants", 0);
	as_user(1000, breaches, NULL);
	others();
	set_parameter("user_breach_seconds", 0);
	as_user(1000, one_session, NULL);
	set_parameter("user_breaches", 0);
	as_user(1000, one_more, NULL);
	others();
	set_parameter("user_breaches", 2);
	set_parameter("user_breach_seconds", 600);
	/* Closed sessions end by and by. */
	for (unsigned int i = 0; i < 1200 && parameter("grants_used") != used; i++)
		usleep(100000);
	CHECK(parameter("grants_used") == used && !parameter("grants_held"));
}

/* For a scenario that plays the backend. */
static int grow_and_wait(void)
{
	struct pvgpu_ioc_chunk c = {.address = WINDOW, .size = MIB};
	int fd = open_device(), err;

	open_session(fd);
	puts("open");
	err = ask(fd, PVGPU_IOC_GROW, &c);
	printf("grow %d %s\n", err, c.reason);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "users")) {
		users();
		printf("device %u checks\n", checks);
		return failures != 0;
	}
	if (argc > 1 && !strcmp(argv[1], "grow"))
		return grow_and_wait();
	no_session();
	bad_opens();
	mappings();
	forked();
	waits();
	bad_chunks();
	many();
	killed();
	printf("device %u checks\n", checks);
	return failures != 0;
}
