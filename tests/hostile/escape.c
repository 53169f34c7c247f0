/* SPDX-License-Identifier: MIT */
/*
 * A worker that a guest has taken over and that wants out: the worker's own objects, with what
 * begins after the seal replaced (ld --wrap). It tries to get out once, and serves on: in the way
 * HOW when its vGPU's name is `try-HOW` or PVGPU_ESCAPE has HOW:VGPU among its words, divided by
 * commas. The result is in the log: "escape HOW: 0" or an errno. A name of lies.def is a lie to
 * pvgpud. `stays` never looks at guest or pvgpud again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/frame/frame.h"

void __real_loop_run(struct worker *w);
void __wrap_loop_run(struct worker *w);

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

/* pvgpud's admin socket, of which root may do all. */
static int connect_admin(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *dir = getenv("PVGPU_RUN_DIR");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	strncpy(a.sun_path, dir ? dir : "", 80);
	strcat(a.sun_path, "/admin.sock");
	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int run_shell(void)
{
	const char *const argv[] = {"sh", NULL};

	return execve("/bin/sh", (char *const *)(uintptr_t)argv, NULL);
}

static int make_child(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static int trace_pvgpud(void)
{
	return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static int signal_pvgpud(void)
{
	return kill(getppid(), SIGKILL);
}

static int signal_all(void)
{
	return kill(-1, SIGKILL);
}

/* Its control socket's other end is pvgpud's, but not its file: this harms only itself. */
static int clear_nonblock(void)
{
	return fcntl(PVGPU_SUP_CONTROL_FD, F_SETFL, 0);
}

static int listen_anew(void)
{
	return listen(PVGPU_SUP_ADOPT_FD, 1);
}

static int become_root(void)
{
	return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static int more_files(void)
{
	const struct rlimit r = {1 << 20, 1 << 20};

	return setrlimit(RLIMIT_NOFILE, &r);
}

static int new_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int bind_events(void)
{
	return (int)syscall(SYS_ioctl, PVGPU_SUP_CONTROL_FD, 0x4502ul | 4ul << 16, NULL);
}

/* No root is harder to leave than the one that another thread is not in. */
static void *in_thread(void *arg)
{
	int *err = arg;

	*err = open_file() < 0 ? errno : 0;
	return NULL;
}

/* More than any limit of a test, touched; 0 when there was no end of it. */
static int take_memory(void)
{
	const size_t piece = 16 << 20;

	for (int i = 0; i < 4096; i++) {
		void *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			return -1;
		memset(p, 1, piece);
	}
	return 0;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static int make_threads(void)
{
	pthread_attr_t attr;
	pthread_t t;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (int i = 0; i < 8192; i++) {
		err = pthread_create(&t, &attr, wait_for_ever, NULL);
		if (err) {
			errno = err;
			return -1;
		}
	}
	return 0;
}

/* Its other threads go on, and it answers nobody any more. */
static int hang(void)
{
	wait_for_ever(NULL);
	return 0;
}

static int open_in_thread(void)
{
	pthread_t t;
	int err;

	if (pthread_create(&t, NULL, in_thread, &err))
		return 0;
	pthread_join(t, NULL);
	errno = err;
	return err ? -1 : 0;
}

static const struct {
	const char *how;
	int (*go)(void);
} ways[] = {{"open", open_file},
	    {"open-in-thread", open_in_thread},
	    {"connect", connect_admin},
	    {"exec", run_shell},
	    {"fork", make_child},
	    {"ptrace", trace_pvgpud},
	    {"signal", signal_pvgpud},
	    {"signal-all", signal_all},
	    {"nonblock", clear_nonblock},
	    {"listen", listen_anew},
	    {"root", become_root},
	    {"limit", more_files},
	    {"code", new_code},
	    {"evtchn", bind_events},
	    {"memory", take_memory},
	    {"threads", make_threads},
	    {"hang", hang}};

/* "HOW:VGPU" or several of them with commas; what it tries for this vGPU, NULL: nothing. */
static const char *wanted(const char *text, const char *vgpu, size_t *n)
{
	for (; text && *text; text += strcspn(text, ","), text += *text == ',') {
		const size_t all = strcspn(text, ","), how = strcspn(text, ":");

		*n = how;
		if (how < all && strlen(vgpu) == all - how - 1 &&
		    !strncmp(text + how + 1, vgpu, all - how - 1))
			return text;
	}
	return NULL;
}

/* ---- lies ---- */

static const struct lie {
	const char *name;
	size_t bytes; /* 0: all */
	struct pvgpu_sup m;
} lies[] = {
#define LIE(name, kind_, bytes, reason, ...) {name, bytes, {.kind = kind_, __VA_ARGS__}},
#include "tests/hostile/lies.def"
#undef LIE
};

static void lie(struct worker *w)
{
	static unsigned char bytes[4096];
	const char *vgpu = worker_info(w)->vgpu;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		if (strcmp(lies[i].name, vgpu) != 0)
			continue;
		memcpy(bytes, &lies[i].m, sizeof(lies[i].m));
		worker_log(w, "lie %s", vgpu);
		/* Twice: what is said once more is a lie, too. */
		for (unsigned int n = 0; n < 2; n++)
			send(PVGPU_SUP_CONTROL_FD, bytes,
			     lies[i].bytes ? lies[i].bytes : sizeof(lies[i].m),
			     MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	while (!strcmp(vgpu, "stays"))
		usleep(10000);
}

static void try_out(struct worker *w)
{
	const char *vgpu = worker_info(w)->vgpu, *text = NULL;
	size_t n = 0;

	if (!strncmp(vgpu, "try-", 4)) {
		text = vgpu + 4;
		n = strlen(text);
	} else {
		text = wanted(getenv("PVGPU_ESCAPE"), vgpu, &n);
	}
	for (size_t i = 0; text && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strlen(ways[i].how) != n || strncmp(text, ways[i].how, n) != 0)
			continue;
		worker_log(w, "escape %s: begins", ways[i].how);
		errno = 0;
		worker_log(w, "escape %s: %d", ways[i].how, ways[i].go() < 0 ? errno : 0);
	}
}

void __wrap_loop_run(struct worker *w)
{
	lie(w);
	try_out(w);
	__real_loop_run(w);
}
