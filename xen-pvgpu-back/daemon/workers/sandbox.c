/* SPDX-License-Identifier: MIT */
/*
 * A worker's user is the owner of its adoption socket's name: so a later pvgpud knows it, of those
 * that serve as of those that are about to die.
 */
#include "xen-pvgpu-back/daemon/workers/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define CHECK_BYTES 8192

unsigned int sandbox_args(const struct config *c, uint32_t uid, char text[16],
			  const char *args[SANDBOX_ARGS])
{
	unsigned int n = 0;

	args[n++] = "--sandbox";
	args[n++] = config_sandbox_name(c->sandbox);
	if (uid) {
		snprintf(text, 16, "%" PRIu32, uid);
		args[n++] = "--uid";
		args[n++] = text;
	}
	if (c->sandbox_files[0]) {
		args[n++] = "--sandbox-files";
		args[n++] = c->sandbox_files;
	}
	if (c->sandbox_preload[0]) {
		args[n++] = "--sandbox-preload";
		args[n++] = c->sandbox_preload;
	}
	return n;
}

int sandbox_start(struct daemon *d)
{
	const struct config *c = &d->cfg;

	if (c->sandbox == CONFIG_SANDBOX_OFF) {
		log_warning("sandbox = off: a guest that takes its worker over is %s here",
			    geteuid() ? "pvgpud's user" : "root");
		return 0;
	}
	if (geteuid() != 0) {
		log_warning("not root: workers have no user, root or network of their own");
		return 0;
	}
	/* The last is that of the check: workers of a predecessor may have any other. */
	if (uids_init(&d->uids, c->worker_uids[0], c->worker_uids[1] - 1, now_ms()) == 0)
		return 0;
	log_error("out of memory");
	return -1;
}

void sandbox_stop(struct daemon *d)
{
	uids_free(&d->uids);
}

int sandbox_record(const struct worker *w)
{
	if (w->uid && fchownat(w->d->workers_dir, w->sock, w->uid, w->uid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* Its output, up to its end; a pid or -1. */
static pid_t spawn_check(const struct daemon *d, uint32_t uid, int out, int cgroup)
{
	const struct config *c = &d->cfg;
	char number[16], run_dir[CONFIG_PATH + 16];
	const char *argv[SANDBOX_ARGS + 3] = {"pvgpu-worker", "--sandbox-check"};
	const char *const env[] = {run_dir, NULL};
	const int own[] = {-1, out, out};
	struct process p = {.path = c->worker,
			    .argv = argv,
			    .env = env,
			    .fds = own,
			    .fd_n = 3,
			    .cgroup = cgroup};
	unsigned int n = 2;
	pid_t pid;

	snprintf(run_dir, sizeof(run_dir), "PVGPU_RUN_DIR=%s", c->run_dir);
	n += sandbox_args(c, uid, number, argv + n);
	argv[n] = NULL;
	errno = process_spawn(&p, &pid);
	return errno ? -1 : pid;
}

static void read_all(int fd, pid_t pid, uint64_t ms, char text[CHECK_BYTES])
{
	const uint64_t end = now_ms() + ms;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r = 1;

	while (r > 0 && n < CHECK_BYTES - 1) {
		const uint64_t now = now_ms();

		if (now >= end || poll(&p, 1, (int)(end - now)) <= 0)
			break;
		r = read(fd, text + n, CHECK_BYTES - 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	text[n] = '\0';
	if (r)
		kill(pid, SIGKILL);
}

/* NAME is in a list with commas. */
static bool in_list(const char *list, const char *name, size_t len)
{
	for (size_t n; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == len && !strncmp(list, name, n))
			return true;
	}
	return false;
}

/* "NAME: OPEN" and the like; how many doors are open that must not be. */
static unsigned int judge(const struct config *c, char *text)
{
	char absent[512] = "";
	unsigned int open = 0;
	size_t n = 0;

	for (char *s = text, *next; *s; s = next) {
		const char *colon;

		next = s + strcspn(s, "\n");
		if (*next)
			*next++ = '\0';
		colon = strchr(s, ':');
		if (!colon)
			continue;
		if (!strncmp(colon, ": absent", 8) && n < sizeof(absent)) {
			n += (size_t)snprintf(absent + n, sizeof(absent) - n, "%s%.*s",
					      n ? ", " : "", (int)(colon - s), s);
		} else if (!strcmp(colon, ": OPEN")) {
			const bool allowed = in_list(c->sandbox_allow_open, s, (size_t)(colon - s));

			open += !allowed;
			log_line(allowed ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
				 "sandbox: door %.*s is open%s", (int)(colon - s), s,
				 allowed ? ", as sandbox_allow_open says" : "");
		} else if (!strncmp(s, "pvgpu-worker: ", 14)) {
			log_error("sandbox: %s", s + 14);
		}
	}
	if (n)
		log_info("sandbox: absent here: %s", absent);
	return open;
}

int sandbox_check(struct daemon *d)
{
	const uint32_t uid = d->uids.used ? d->cfg.worker_uids[1] : 0;
	char text[CHECK_BYTES];
	int out[2], up, cgroup, status;
	unsigned int open;
	pid_t pid;

	if (d->cfg.sandbox == CONFIG_SANDBOX_OFF)
		return 0;
	if (pipe2(out, O_CLOEXEC) < 0) {
		log_error("sandbox: %s", strerror(errno));
		return -1;
	}
	up = process_file(out[1]);
	cgroup = cgroup_for_check(d);
	pid = spawn_check(d, uid, up, cgroup);
	close(up);
	if (pid < 0) {
		cgroup_check_over(d, cgroup);
		log_error("sandbox: cannot start %s: %s", d->cfg.worker, strerror(errno));
		close(out[0]);
		return -1;
	}
	read_all(out[0], pid, d->cfg.start_ms, text);
	close(out[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	cgroup_check_over(d, cgroup);
	open = judge(&d->cfg, text);
	if (open) {
		log_error("sandbox: %u open doors: not serving; sandbox_allow_open in [daemon] "
			  "names those that are to be borne with",
			  open);
		return -1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1)
		return 0;
	log_error("sandbox: %s --sandbox-check did not end well (status %#x): not serving; "
		  "sandbox = off in [daemon] serves without one",
		  d->cfg.worker, status);
	return -1;
}
