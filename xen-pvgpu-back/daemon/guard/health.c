/* SPDX-License-Identifier: MIT */
/*
 * pvgpu-health as a child of pvgpud. It is started, killed when it falls silent, and restarted
 * after a time that grows with each failure. No call here waits for it: NVML can hang in the
 * kernel, so that the process cannot even be killed. It is not restarted before the old process is
 * gone.
 */
#include "xen-pvgpu-back/daemon/guard/account.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"
#include "xen-pvgpu-back/daemon/rules/account_check.h"

#define AGAIN_S     1. /* from its end to the restart; doubles */
#define AGAIN_MAX_S 60.
#define STEADY      100 /* rounds after which it counts as working again */
#define AT_ONCE     256u
#define UUID        41

struct health {
	struct daemon *d;
	pid_t pid;
	int pidfd, socket; /* -1: not running */
	ev_io exit_io, socket_io;
	ev_timer silent, again;
	unsigned int rounds; /* rounds of this process */
	double wait_s;       /* before the next restart */
	bool killed, told;   /* told: the log has a warning that it does not work */
	bool paused;         /* health_pause: not to be started */
	bool anew;           /* health_restart: started at once when it has ended */
	char why[512];       /* why it will end, or has */
	char state[sizeof("off: ") + 512];
	unsigned char buf[AT_ONCE * sizeof(struct health_msg)];
	size_t have;
	char uuid[HEALTH_DEVICES][UUID];
};

static const char being_reset[] = "a GPU is being reset", starting[] = "off: starting";

static void start(struct health *h);

static void __attribute__((format(printf, 2, 3))) end_it(struct health *h, const char *fmt, ...)
{
	va_list ap;

	if (h->killed || h->pidfd < 0)
		return;
	h->killed = true;
	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	pidfd_send_signal(h->pidfd, SIGKILL, NULL, 0);
}

static void set_off(struct health *h, const char *why)
{
	snprintf(h->state, sizeof(h->state), "off: %s", why);
	xenbus_host_changed(h->d);
	/* One warning, not one for each restart. */
	if (h->told || h->paused)
		log_debug("pvgpu-health: %s", why);
	else
		log_warning("pvgpu-health: %s: until it works, a worker that ignores its gate or "
			    "its lease is not found",
			    why);
	h->told |= !h->paused;
}

static void heard(struct health *h)
{
	ev_timer_again(h->d->loop, &h->silent);
	if (++h->rounds == 1) {
		strcpy(h->state, "on");
		xenbus_host_changed(h->d);
		if (h->told)
			log_info("pvgpu-health: works again");
	}
	if (h->rounds == STEADY) {
		h->told = false;
		h->wait_s = AGAIN_S;
	}
}

static void take(struct health *h)
{
	struct health_msg m[AT_ONCE];
	unsigned int n = (unsigned int)(h->have / sizeof(m[0]));
	char why[100], text[41];
	size_t have;

	memcpy(m, h->buf, n * sizeof(m[0]));
	h->have -= n * sizeof(m[0]);
	memmove(h->buf, h->buf + n * sizeof(m[0]), h->have);
	if (h->killed)
		return;
	if (account_take(h->d, m, n, why, sizeof(why)) < 0) {
		end_it(h, "sent an implausible record: %s", why);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (m[i].kind == HEALTH_ROUND) {
			heard(h);
		} else if (m[i].kind == HEALTH_TROUBLE) {
			account_text(m[i].text, text);
			have = strlen(h->why);
			snprintf(h->why + have, sizeof(h->why) - have, "%s", text);
		}
	}
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
	struct health *h = io->data;
	ssize_t n = recv(h->socket, h->buf + h->have, sizeof(h->buf) - h->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* It has exited, or on_silent will end it. */
		ev_io_stop(loop, io);
		return;
	}
	h->have += (size_t)n;
	take(h);
}

static void close_it(struct health *h)
{
	struct ev_loop *loop = h->d->loop;

	ev_io_stop(loop, &h->exit_io);
	ev_io_stop(loop, &h->socket_io);
	ev_timer_stop(loop, &h->silent);
	if (h->pidfd >= 0)
		close(h->pidfd);
	if (h->socket >= 0)
		close(h->socket);
	h->pidfd = h->socket = -1;
}

static void try_later(struct health *h)
{
	ev_timer_set(&h->again, h->wait_s, 0.);
	ev_timer_start(h->d->loop, &h->again);
	h->wait_s = h->wait_s * 2 < AGAIN_MAX_S ? h->wait_s * 2 : AGAIN_MAX_S;
}

static void on_exit_(struct ev_loop *loop, ev_io *io, int events)
{
	struct health *h = io->data;
	siginfo_t si = {0};

	/* Records that it wrote before its exit. */
	for (ssize_t n = 1; n > 0;) {
		n = recv(h->socket, h->buf + h->have, sizeof(h->buf) - h->have, MSG_DONTWAIT);
		if (n > 0) {
			h->have += (size_t)n;
			take(h);
		}
	}
	waitid(P_PID, (id_t)h->pid, &si, WEXITED | WNOHANG);
	if (!h->why[0])
		snprintf(h->why, sizeof(h->why),
			 si.si_code == CLD_EXITED ? "exited with status %d" : "ended by signal %d",
			 si.si_status);
	close_it(h);
	if (h->anew && !h->paused) {
		h->anew = false;
		start(h);
		return;
	}
	set_off(h, h->why);
	if (!h->paused)
		try_later(h);
}

static void on_silent(struct ev_loop *loop, ev_timer *t, int events)
{
	struct health *h = t->data;

	ev_timer_stop(loop, t);
	end_it(h, "sent nothing for %u ms: NVML hangs", h->d->cfg.health_silent_ms);
	/* Set here, too: the process may not die. */
	set_off(h, h->why);
}

static void on_again(struct ev_loop *loop, ev_timer *t, int events)
{
	start(t->data);
}

/* The environment of workers: NVML may need the same variables to be found as libcuda. */
static const char **make_env(const struct config *c)
{
	const char **env = calloc(c->env_n + 1, sizeof(*env));

	for (unsigned int i = 0; env && i < c->env_n; i++)
		env[i] = c->env[i];
	return env;
}

static int run(struct health *h, int out)
{
	const struct config *c = &h->d->cfg;
	char period[16];
	const char *argv[] = {"pvgpu-health",
			      "--nvml",
			      c->libnvml,
			      "--period-ms",
			      period,
			      "--sandbox",
			      config_sandbox_name(c->sandbox),
			      "--devices",
			      c->sandbox_files,
			      c->health_user[0] ? "--user" : NULL,
			      c->health_user,
			      NULL};
	const char **env = make_env(c);
	const int own[] = {-1, out, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, PROCESS_FDS_ABOVE)};
	const struct process p = {.path = c->health,
				  .argv = argv,
				  .env = env,
				  .fds = own,
				  .fd_n = 3,
				  .cgroup = -1,
				  .first = true};
	int err = env ? 0 : ENOMEM;

	snprintf(period, sizeof(period), "%u", c->health_period_ms);
	if (!err)
		err = process_spawn(&p, &h->pid);
	if (own[2] >= 0)
		close(own[2]);
	free(env);
	return err;
}

static void watch(struct health *h)
{
	struct ev_loop *loop = h->d->loop;

	ev_io_init(&h->exit_io, on_exit_, h->pidfd, EV_READ);
	ev_io_init(&h->socket_io, on_socket, h->socket, EV_READ);
	h->exit_io.data = h->socket_io.data = h;
	ev_io_start(loop, &h->exit_io);
	ev_io_start(loop, &h->socket_io);
	ev_timer_again(loop, &h->silent);
}

static void start(struct health *h)
{
	int p[2], err;

	h->killed = false;
	h->why[0] = '\0';
	h->rounds = 0;
	h->have = 0;
	/* Not a pipe: its lock is held while its writer's memory is waited for. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0) {
		set_off(h, strerror(errno));
		try_later(h);
		return;
	}
	msg_refuse_fds(p[0]);
	shutdown(p[0], SHUT_WR);
	p[1] = process_file(p[1]);
	err = p[1] < 0 ? errno : run(h, p[1]);
	if (p[1] >= 0)
		close(p[1]);
	if (!err) {
		h->pidfd = pidfd_open(h->pid, 0);
		err = h->pidfd < 0 ? errno : 0; /* the process ends when the socket hangs up */
	}
	if (err) {
		close(p[0]);
		snprintf(h->why, sizeof(h->why), "%s: %s", h->d->cfg.health, strerror(err));
		set_off(h, h->why);
		try_later(h);
		return;
	}
	h->socket = p[0];
	watch(h);
}

void health_start(struct daemon *d)
{
	struct health *h = calloc(1, sizeof(*h));

	if (!h)
		return;
	d->health = h;
	h->d = d;
	h->pidfd = h->socket = -1;
	h->wait_s = AGAIN_S;
	ev_init(&h->silent, on_silent);
	h->silent.repeat = d->cfg.health_silent_ms / 1e3;
	ev_init(&h->again, on_again);
	h->silent.data = h->again.data = h;
	if (!d->cfg.libnvml[0]) {
		set_off(h, "libnvml is empty");
		return;
	}
	for (unsigned int i = 0; i < d->pool_n; i++)
		h->paused |= reset_runs(d->pools[i]);
	if (h->paused) {
		set_off(h, being_reset);
		return;
	}
	strcpy(h->state, starting);
	start(h);
}

void health_stop(struct daemon *d)
{
	struct health *h = d->health;

	if (!h)
		return;
	end_it(h, "pvgpud stops");
	ev_timer_stop(d->loop, &h->again);
	close_it(h);
	free(h);
	d->health = NULL;
}

void health_pause(struct daemon *d)
{
	struct health *h = d->health;

	if (!h)
		return;
	h->paused = true;
	ev_timer_stop(d->loop, &h->again);
	end_it(h, "%s", being_reset);
}

void health_restart(struct daemon *d)
{
	struct health *h = d->health;

	if (!h)
		return;
	h->silent.repeat = d->cfg.health_silent_ms / 1e3;
	h->anew = h->pidfd >= 0 && !h->killed;
	end_it(h, "its settings have changed");
}

bool health_lives(const struct daemon *d)
{
	return d->health && d->health->pidfd >= 0;
}

void health_resume(struct daemon *d)
{
	struct health *h = d->health;

	if (!h || !h->paused)
		return;
	h->paused = false;
	/* One that has not died yet is followed by the next as ever. */
	if (d->cfg.libnvml[0] && h->pidfd < 0)
		start(h);
}

bool health_starts(const struct daemon *d)
{
	return d->health && !strcmp(d->health->state, starting);
}

const char *health_state(const struct daemon *d)
{
	return d->health ? d->health->state : "off: out of memory";
}

void health_uuid(struct daemon *d, unsigned int index, const char uuid[UUID])
{
	if (d->health && index < HEALTH_DEVICES)
		memcpy(d->health->uuid[index], uuid, UUID);
}

void health_device_uuid(const struct daemon *d, const char *device, char *out, size_t cap)
{
	snprintf(out, cap, "%s", device);
	for (unsigned int i = 0; d->health && i < HEALTH_DEVICES; i++)
		if (d->health->uuid[i][0] && health_is_device(d, i, device))
			snprintf(out, cap, "%s", d->health->uuid[i]);
}

bool health_same_device(const struct daemon *d, const char *a, const char *b)
{
	for (unsigned int i = 0; i < HEALTH_DEVICES; i++)
		if (health_is_device(d, i, a) && health_is_device(d, i, b))
			return true;
	return false;
}

bool health_is_device(const struct daemon *d, unsigned int index, const char *device)
{
	char *end;
	unsigned long n = strtoul(device, &end, 10);

	if (device[0] >= '0' && device[0] <= '9' && !*end)
		return n == index;
	/* The UUID of a MIG instance does not tell its GPU: any device may be meant. */
	if (!strncmp(device, "MIG-", 4))
		return true;
	return d->health && index < HEALTH_DEVICES && device[0] &&
	       !strncmp(d->health->uuid[index], device, strlen(device));
}
