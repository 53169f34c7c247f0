/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/reset.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"

#define STEP_S  0.05 /* between two looks at what must end before the command */
#define EMPTY_S 60u  /* for that: all of it is killed, and only the driver can hold it */

static void __attribute__((format(printf, 2, 3))) refuse(struct reset *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
}

static void wait_s(struct reset *r, double s)
{
	ev_timer_stop(r->p->d->loop, &r->timer);
	ev_timer_set(&r->timer, s, 0.);
	ev_timer_start(r->p->d->loop, &r->timer);
}

/* The GPU may be used again: by workers for the canary, or for what an operator does next. */
static void give_back(struct reset *r)
{
	ev_timer_stop(r->p->d->loop, &r->timer);
	r->p->no_workers = false;
	health_resume(r->p->d);
	open_serve(r->p->d);
}

static void __attribute__((format(printf, 2, 3))) fail(struct reset *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	r->state = RESET_FAILED;
	r->p->canary.answered = NULL;
	canary_keep_drained(r->p, r->why);
	/* A command that does not die may hold the GPU: no worker may hang there, too. */
	if (r->pidfd < 0)
		give_back(r);
}

/* ---- the test ---- */

static void test(struct reset *r)
{
	canary_want(r->p, "after a reset of its GPU");
}

/* Of the canary: why NULL: the right answer. */
static void answered(struct pool *p, const char *why)
{
	struct reset *r = &p->reset;

	if (r->state != RESET_TESTS)
		return;
	if (!why && canary_drained(p)) {
		r->state = RESET_DONE;
		p->canary.answered = NULL;
		canary_readmit(p);
	} else if (!why) {
		fail(r, "after the reset: %s", p->canary.reason);
	} else if (++r->tests >= p->d->cfg.canary_tries) {
		fail(r, "after the reset the test kernel fails: %s", why);
	} else {
		/* The driver may still be starting. */
		wait_s(r, p->d->cfg.canary_pause_ms / 1e3);
	}
}

/* ---- the command ---- */

/* Keeps the last line that has something, printable. */
static void hear(struct reset *r)
{
	char buf[512];
	ssize_t n;

	while ((n = read(r->out, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			const char c = buf[i];

			if (c == '\n' || r->line_n == sizeof(r->line) - 1) {
				r->line_ended = true;
				continue;
			}
			if (r->line_ended)
				r->line_n = 0;
			r->line_ended = false;
			r->line[r->line_n++] = c >= 0x20 && c < 0x7f ? c : '?';
			r->line[r->line_n] = '\0';
		}
	}
	if (n == 0)
		ev_io_stop(r->p->d->loop, &r->out_io);
}

static void on_out(struct ev_loop *loop, ev_io *io, int events)
{
	hear(io->data);
}

static void close_command(struct reset *r)
{
	ev_io_stop(r->p->d->loop, &r->exit_io);
	ev_io_stop(r->p->d->loop, &r->out_io);
	if (r->pidfd >= 0)
		close(r->pidfd);
	if (r->out >= 0)
		close(r->out);
	r->pidfd = r->out = -1;
}

static void on_exit_(struct ev_loop *loop, ev_io *io, int events)
{
	struct reset *r = io->data;
	struct pool *p = r->p;
	siginfo_t si = {0};

	hear(r);
	waitid(P_PID, (id_t)r->pid, &si, WEXITED | WNOHANG);
	close_command(r);
	r->pid = 0;
	if (r->state == RESET_FAILED) {
		log_info("pool %s: the reset's command has ended at last", p->cfg.name);
		give_back(r);
		return;
	}
	if (r->resumed) {
		fail(r, "pvgpud was started again while it ran");
		return;
	}
	if (si.si_code != CLD_EXITED || si.si_status) {
		fail(r, "%.60s ended %s %d%s%.100s", p->d->cfg.gpu_reset,
		     si.si_code == CLD_EXITED ? "with status" : "by signal", si.si_status,
		     r->line[0] ? ": " : "", r->line);
		return;
	}
	log_info("pool %s: the GPU was reset%s%s: its test follows", p->cfg.name,
		 r->line[0] ? ": " : "", r->line);
	r->state = RESET_TESTS;
	p->canary.answered = answered;
	give_back(r);
	test(r);
}

/* It waits for a line, which comes when it is on record: without a pvgpud it never begins. */
static int spawn(struct reset *r, int in, int out)
{
	static const char begin[] = "read -r line && exec \"$0\" \"$@\" </dev/null";
	const struct config *c = &r->p->d->cfg;
	char limit[40], gpu[CONFIG_GPU], dir[CONFIG_PATH + 16];
	const char *argv[] = {"sh", "-c", begin, c->gpu_reset, gpu, NULL};
	const char **env = calloc(c->env_n + 4, sizeof(*env));
	const int own[] = {in, out, out};
	const struct process p = {
		.path = "/bin/sh", .argv = argv, .env = env, .fds = own, .fd_n = 3, .cgroup = -1};
	int err;

	if (access(c->gpu_reset, X_OK) < 0 || !env) {
		free(env);
		return errno;
	}
	for (unsigned int i = 0; i < c->env_n; i++)
		env[i] = c->env[i];
	snprintf(limit, sizeof(limit), "PVGPU_RESET_LIMIT_S=%u", c->gpu_reset_s);
	env[c->env_n] = limit;
	snprintf(dir, sizeof(dir), "PVGPU_RUN_DIR=%s", c->run_dir);
	env[c->env_n + 1] = dir;
	env[c->env_n + 2] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	health_device_uuid(r->p->d, r->p->cfg.device, gpu, sizeof(gpu));
	log_warning("pool %s: resets the GPU: %s %s", r->p->cfg.name, c->gpu_reset, gpu);
	err = process_spawn(&p, &r->pid);
	free(env);
	return err;
}

/* The command runs: r->pidfd and r->out are set. */
static void watch(struct reset *r)
{
	struct ev_loop *loop = r->p->d->loop;

	r->state = RESET_RUNS;
	ev_io_init(&r->exit_io, on_exit_, r->pidfd, EV_READ);
	ev_io_init(&r->out_io, on_out, r->out, EV_READ);
	r->exit_io.data = r->out_io.data = r;
	ev_io_start(loop, &r->exit_io);
	if (r->out >= 0)
		ev_io_start(loop, &r->out_io);
	wait_s(r, r->p->d->cfg.gpu_reset_s);
}

static void close_file(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* With its ends of the pipes: 0 or an errno. */
static int start(struct reset *r, int in, int out)
{
	/* Its programs expect a pipe that waits. */
	int err = in < 0 || out < 0 || fcntl(out, F_SETFL, 0) < 0 ? errno : spawn(r, in, out);

	if (err)
		return err;
	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd < 0)
		return errno;
	r->started = process_started(r->pid);
	return 0;
}

static void run(struct reset *r)
{
	int out[2] = {-1, -1}, go[2] = {-1, -1}, err;

	err = pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(go, O_CLOEXEC) < 0 ? errno : 0;
	out[1] = process_file(out[1]);
	go[0] = process_file(go[0]);
	if (!err)
		err = start(r, go[0], out[1]);
	if (err) {
		r->pid = 0;
		fail(r, "gpu_reset = %.100s: %s", r->p->d->cfg.gpu_reset, strerror(err));
		close_file(out[0]);
	} else {
		r->out = out[0];
		watch(r);
		/* For the next pvgpud, which must not use the GPU meanwhile. */
		faults_save(r->p->d);
		if (r->p->d->unsaved[0] || write(go[1], "\n", 1) != 1)
			log_error("pool %s: the reset does not begin: it is not on record",
				  r->p->cfg.name);
	}
	close_file(go[0]);
	close_file(go[1]);
	close_file(out[1]);
}

/* ---- what must end before ---- */

static const struct worker *a_worker(const struct pool *p)
{
	const struct worker *w;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool == p)
			return w;
	}
	return NULL;
}

static void empty(struct reset *r)
{
	const struct worker *w = a_worker(r->p);
	const bool health = health_lives(r->p->d);

	if (!w && !health)
		run(r);
	else if (now_ms() < r->end_ms)
		wait_s(r, STEP_S);
	else if (w)
		fail(r, "worker process %d does not end within %u s", (int)w->pid, EMPTY_S);
	else
		fail(r, "pvgpu-health does not end within %u s: NVML hangs", EMPTY_S);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct reset *r = t->data;

	if (r->state == RESET_EMPTIES) {
		empty(r);
	} else if (r->state == RESET_TESTS) {
		test(r);
	} else if (r->state == RESET_RUNS) {
		/* Its own session: with its children. It is gone at on_exit_, or never. */
		kill(-r->pid, SIGKILL);
		fail(r, "%.100s did not end within %u s", r->p->d->cfg.gpu_reset,
		     r->p->d->cfg.gpu_reset_s);
	}
}

/* ---- the request ---- */

/* The vGPUs of the pool have sessions, or processes that pvgpud did not start are on the GPU. */
static bool is_used(struct pool *p, struct reset *said)
{
	const struct daemon *d = p->d;
	const struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->pool != p || !w->vgpu)
			continue;
		refuse(said,
		       "vGPU %s has a session there: pvgpuctl gpu drain waits for its end, "
		       "pvgpuctl "
		       "kill ends it",
		       w->vgpu->cfg.name);
		return true;
	}
	for (unsigned int i = 0; i < STRANGERS_MAX; i++) {
		if (!p->strangers[i].pid || !p->strangers[i].told)
			continue;
		refuse(said, "process %" PRIu32 ", which is no worker, is on the GPU: end it first",
		       p->strangers[i].pid);
		return true;
	}
	return false;
}

/* A reset is of a whole GPU. */
static bool is_shared(const struct pool *p, struct reset *said)
{
	const struct daemon *d = p->d;

	if (!strncmp(p->cfg.device, "MIG-", 4)) {
		refuse(said,
		       "device = %s is a part of a GPU: a reset concerns its other parts, too; "
		       "stop pvgpud for it",
		       p->cfg.device);
		return true;
	}
	for (unsigned int i = 0; i < d->pool_n; i++) {
		const struct pool *q = d->pools[i];

		if (q != p && health_same_device(d, p->cfg.device, q->cfg.device)) {
			refuse(said,
			       "device = %s of pool %s may be on the same GPU: stop pvgpud "
			       "for its reset",
			       q->cfg.device, q->cfg.name);
			return true;
		}
	}
	return false;
}

static bool is_refused(struct pool *p, struct reset *said)
{
	const struct daemon *d = p->d;

	for (unsigned int i = 0; i < d->pool_n; i++) {
		if (!reset_runs(d->pools[i]) && !d->pools[i]->no_workers)
			continue;
		refuse(said, "the GPU of pool %s is being reset: one at a time",
		       d->pools[i]->cfg.name);
		return true;
	}
	if (!canary_drained(p)) {
		refuse(said,
		       "it is not drained: pvgpuctl gpu drain %s, or gpu reset, which does it",
		       p->cfg.name);
		return true;
	}
	return is_used(p, said) || is_shared(p, said);
}

static void init(struct reset *r, struct pool *p)
{
	*r = (struct reset){.p = p, .state = RESET_EMPTIES, .pidfd = -1, .out = -1};
	ev_timer_init(&r->timer, on_timer, 0., 0.);
	r->timer.data = r;
	p->no_workers = true;
}

void reset_resume(struct pool *p, pid_t pid, uint64_t started)
{
	const int fd = process_open(pid, started);

	if (fd < 0)
		return;
	log_warning("pool %s: the reset that a former pvgpud began still runs, as process %d: its "
		    "GPU waits for that",
		    p->cfg.name, (int)pid);
	init(&p->reset, p);
	p->reset.pid = pid;
	p->reset.started = started;
	p->reset.pidfd = fd;
	p->reset.resumed = true;
	watch(&p->reset);
}

int reset_start(struct pool *p, char *why, size_t cap)
{
	struct reset *r = &p->reset;
	struct reset said;
	struct worker *w;

	if (is_refused(p, &said)) {
		snprintf(why, cap, "pool %s: no reset: %s", p->cfg.name, said.why);
		return -1;
	}
	faults_save(p->d);
	if (p->d->unsaved[0]) {
		snprintf(why, cap,
			 "pool %s: no reset: it could not be put on record for the next pvgpud: %s",
			 p->cfg.name, p->d->unsaved);
		return -1;
	}
	init(r, p);
	r->end_ms = now_ms() + EMPTY_S * UINT64_C(1000);
	canary_hold(p);
	canary_drain(p); /* the reason of an earlier reset that failed is none any more */
	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool == p)
			worker_kill(w, "its GPU is reset");
	}
	health_pause(p->d);
	wait_s(r, 0.);
	return 0;
}

bool reset_runs(const struct pool *p)
{
	return p->reset.state > RESET_NONE && p->reset.state < RESET_DONE;
}

pid_t reset_process(const struct pool *p, uint64_t *started)
{
	*started = p->reset.started;
	return p->reset.pid;
}

void reset_text(const struct pool *p, char *out, size_t cap)
{
	static const char *const states[] = {
		[RESET_NONE] = "",
		[RESET_EMPTIES] = "running: workers and pvgpu-health end",
		[RESET_RUNS] = "running: the command",
		[RESET_TESTS] = "running: the test kernel",
		[RESET_DONE] = "done",
		[RESET_FAILED] = "failed: ",
	};
	const struct reset *r = &p->reset;

	snprintf(out, cap, "%s%s", states[r->state], r->state == RESET_FAILED ? r->why : "");
}

void reset_stop(struct daemon *d)
{
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct reset *r = &d->pools[i]->reset;

		if (!r->p)
			continue;
		ev_timer_stop(d->loop, &r->timer);
		close_command(r);
	}
}
