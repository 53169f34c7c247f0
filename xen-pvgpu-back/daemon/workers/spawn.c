/* SPDX-License-Identifier: MIT */
/* Starts a worker process, in a session of its own, with fds 0 to 5 as in supervise.h and no
 * others. Nothing ties its life to pvgpud's: workers outlive pvgpud. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/sandbox.h"

#define MIB ((uint64_t)1 << 20)

enum { CONTROL, CONTROL_WORKER, ADOPT, LOG, LOG_WORKER, FILES };

/* Binds in the run directory's workers/ by its fd: the path itself may be too long for a socket. */
static int bind_adopt(const struct daemon *d, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = process_file(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	mode_t mask;
	int r;

	if (fd < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.82s", d->workers_dir, name);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

/* 0 or -errno. */
static int make_files(const struct daemon *d, const char *name, int fds[FILES])
{
	int pair[2] = {-1, -1}, logs[2] = {-1, -1}, err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    worker_log_make(logs) < 0)
		err = errno;
	fds[CONTROL] = process_file(pair[0]);
	fds[CONTROL_WORKER] = process_file(pair[1]);
	fds[LOG] = process_file(logs[0]);
	fds[LOG_WORKER] = process_file(logs[1]);
	errno = 0;
	fds[ADOPT] = bind_adopt(d, name);
	if (!err)
		err = errno ? errno : EMFILE;
	for (int i = 0; i < FILES; i++) {
		if (fds[i] >= 0)
			continue;
		for (int j = 0; j < FILES; j++)
			if (fds[j] >= 0)
				close(fds[j]);
		return -err;
	}
	return 0;
}

static const char *advice(int err)
{
	switch (err) {
	case ENOENT: /* its folder */
		return ": workers in run_dir was deleted: systemctl reload pvgpud";
	case EMFILE:
		return ": raise pvgpud's LimitNOFILE";
	case ENOSPC:
		return ": make room in the file system of run_dir";
	default:
		return "";
	}
}

/* CUDA_VISIBLE_DEVICES shows the worker only its pool's GPU. */
static const char **make_env(const struct config *c, const char *run_dir, const char *gpu)
{
	const char **env = calloc(c->env_n + 6, sizeof(*env));

	if (!env)
		return NULL;
	for (unsigned int i = 0; i < c->env_n; i++)
		env[i] = c->env[i];
	env[c->env_n] = run_dir;
	env[c->env_n + 1] = "MALLOC_ARENA_MAX=2";
	/* The cache of compiled kernels would need files after the seal, and would pass one guest's
	 * kernels to the next. */
	env[c->env_n + 2] = "CUDA_CACHE_DISABLE=1";
	env[c->env_n + 3] = gpu;
	/* Number GPUs as nvidia-smi does. The configuration's env comes first and wins. */
	env[c->env_n + 4] = "CUDA_DEVICE_ORDER=PCI_BUS_ID";
	return env;
}

static int run(const struct config *c, const struct worker *w, const int fds[FILES], pid_t *pid)
{
	char run_dir[CONFIG_PATH + 16], ids[16], grace[16], far[16], context[16];
	char gpu[CONFIG_GPU + 24], uid[16];
	const char *argv[SANDBOX_ARGS + 24] = {"pvgpu-worker", "--id",      ids, "--libcuda",
					       c->libcuda,     "--device",  "0", "--grace-ms",
					       grace,          "--far-fds", far, "--context-mib",
					       context,        NULL};
	const int own[] = {-1,         fds[LOG_WORKER], fds[LOG_WORKER], fds[CONTROL_WORKER],
			   fds[ADOPT], fds[LOG_WORKER]};
	struct process p = {.path = c->worker,
			    .argv = argv,
			    .fds = own,
			    .fd_n = PVGPU_SUP_LOG_FD + 1,
			    .cgroup = w->cgroup};
	unsigned int n = 0;
	const char **env;
	int err;

	snprintf(run_dir, sizeof(run_dir), "PVGPU_RUN_DIR=%s", c->run_dir);
	while (argv[n])
		n++;
	if (c->libcublas[0]) {
		argv[n++] = "--libcublas";
		argv[n++] = c->libcublas;
	}
	if (c->libcublaslt[0]) {
		argv[n++] = "--libcublaslt";
		argv[n++] = c->libcublaslt;
	}
	if (c->test_allow_hmm)
		argv[n++] = "--test-allow-hmm";
	if (c->allow_no_ecc)
		argv[n++] = "--allow-no-ecc";
	n += sandbox_args(c, w->uid, uid, argv + n);
	argv[n] = NULL;
	snprintf(ids, sizeof(ids), "%u", w->id);
	snprintf(gpu, sizeof(gpu), "CUDA_VISIBLE_DEVICES=%s", w->pool->cfg.device);
	snprintf(grace, sizeof(grace), "%u", c->worker_ms);
	snprintf(far, sizeof(far), "%u", c->far_fds);
	snprintf(context, sizeof(context), "%" PRIu64, (c->context_charge + MIB - 1) / MIB);
	env = make_env(c, run_dir, gpu);
	if (!env)
		return ENOMEM;
	p.env = env;
	near_memory_begin(&w->pool->near);
	err = process_spawn(&p, pid);
	near_memory_end(&w->pool->near);
	if (!err)
		(void)near_pin(&w->pool->near, *pid);
	free(env);
	return err;
}

int spawn_worker(struct worker *w)
{
	struct daemon *d = w->d;
	int fds[FILES], err;

	snprintf(w->sock, sizeof(w->sock), "%u@%s.sock", w->id, w->pool->cfg.name);
	err = make_files(d, w->sock, fds);
	if (err) {
		log_error("worker %u: cannot make its files: %s", w->id, strerror(-err));
		snprintf(w->pool->failure, sizeof(w->pool->failure),
			 "cannot make the files of a worker: %s%s", strerror(-err), advice(-err));
		return err;
	}
	w->uid = uids_take(&d->uids);
	if (d->uids.used && !w->uid)
		err = EUSERS; /* worker_uids is too small */
	else
		err = -sandbox_record(w);
	if (!err)
		err = -cgroup_make(w);
	if (!err)
		err = run(&d->cfg, w, fds, &w->pid);
	close(fds[CONTROL_WORKER]);
	close(fds[ADOPT]);
	close(fds[LOG_WORKER]);
	/* A child keeps its pid until it is reaped, so the pid is still the worker's. */
	if (!err)
		w->pidfd = pidfd_open(w->pid, 0);
	if (!err && w->pidfd < 0)
		err = errno; /* it exits when its control socket hangs up */
	if (!err) {
		w->control = fds[CONTROL];
		w->log = fds[LOG];
		return 0;
	}
	log_error("cannot start a worker: %s: %s", d->cfg.worker,
		  err == EUSERS ? "all users of worker_uids are in use: widen its range"
				: strerror(err));
	snprintf(w->pool->failure, sizeof(w->pool->failure), "cannot start a worker: %s",
		 strerror(err));
	cgroup_gone(w);
	uids_put(&d->uids, w->uid);
	close(fds[CONTROL]);
	close(fds[LOG]);
	unlinkat(d->workers_dir, w->sock, 0);
	return -err;
}
