/* SPDX-License-Identifier: MIT */
/*
 * <run_dir>/admin.sock: keys for pvgpuctl, one request and one answer at a time on each connection,
 * for root and pvgpud's own user.
 */
#include "xen-pvgpu-back/daemon/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/admin/admin_json.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"

#define CLIENTS_MAX 16u
#define IDLE_S      60.

struct admin {
	struct daemon *d;
	int fd;
	ev_io io;
	TAILQ_HEAD(, client) clients;
	unsigned int n;
	char path[CONFIG_PATH];
	struct socket_file file;
};

struct client {
	TAILQ_ENTRY(client) link;
	struct admin *a;
	int fd;
	uid_t uid;
	pid_t pid;
	ev_io io;
	ev_timer idle;
	char in[ADMIN_LINE_MAX];
	size_t in_n;
	char *out; /* an answer that is not sent completely */
	size_t out_n, out_at;
};

static void drop(struct client *c)
{
	struct admin *a = c->a;

	ev_io_stop(a->d->loop, &c->io);
	ev_timer_stop(a->d->loop, &c->idle);
	close(c->fd);
	free(c->out);
	TAILQ_REMOVE(&a->clients, c, link);
	a->n--;
	free(c);
}

static void on_idle(struct ev_loop *loop, ev_timer *t, int events)
{
	drop(t->data);
}

static void watch(struct client *c, int events)
{
	ev_io_stop(c->a->d->loop, &c->io);
	ev_io_set(&c->io, c->fd, events);
	ev_io_start(c->a->d->loop, &c->io);
}

/* False: the client is dropped. */
static bool send_answer(struct client *c)
{
	while (c->out_at < c->out_n) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch(c, EV_WRITE);
			return true;
		}
		if (n < 0) {
			drop(c);
			return false;
		}
		c->out_at += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	watch(c, EV_READ);
	return true;
}

/* Serves one line, if a complete one has arrived. False: the client was dropped, or has to wait. */
static bool take_line(struct client *c)
{
	char *end = memchr(c->in, '\n', c->in_n);
	size_t len;

	if (!end) {
		if (c->in_n == sizeof(c->in))
			drop(c); /* longer than any request */
		return false;
	}
	len = (size_t)(end - c->in);
	c->a->d->asks = (struct asks){.uid = c->uid, .pid = c->pid};
	c->out = admin_answer(c->a->d, c->in, len);
	memmove(c->in, end + 1, c->in_n - len - 1);
	c->in_n -= len + 1;
	if (!c->out) {
		drop(c);
		return false;
	}
	c->out_n = strlen(c->out);
	c->out_at = 0;
	return send_answer(c) && !c->out;
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct client *c = io->data;
	ssize_t n;

	ev_timer_again(loop, &c->idle);
	if (c->out) {
		if (!send_answer(c) || c->out)
			return;
	} else {
		n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			drop(c);
			return;
		}
		c->in_n += (size_t)n;
	}
	while (take_line(c))
		;
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
	struct admin *a = io->data;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct client *c;
	int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    (peer.uid != 0 && peer.uid != geteuid()) || a->n >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->a = a;
	c->fd = fd;
	c->uid = peer.uid;
	c->pid = peer.pid;
	ev_io_init(&c->io, on_ready, fd, EV_READ);
	c->io.data = c;
	ev_io_start(loop, &c->io);
	ev_timer_init(&c->idle, on_idle, 0., IDLE_S);
	c->idle.data = c;
	ev_timer_again(loop, &c->idle);
	TAILQ_INSERT_TAIL(&a->clients, c, link);
	a->n++;
}

int admin_open(struct daemon *d)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct admin *a = calloc(1, sizeof(*a));
	mode_t mask;
	int r;

	if (!a)
		return -1;
	a->d = d;
	d->admin = a;
	TAILQ_INIT(&a->clients);
	snprintf(a->path, sizeof(a->path), "%.200s/admin.sock", d->cfg.run_dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", a->path);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	msg_refuse_fds(a->fd);
	unlink(a->path);
	mask = umask(0177);
	r = bind(a->fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r < 0 || listen(a->fd, 16) < 0) {
		log_error("cannot listen on %s: %s", a->path, strerror(errno));
		return -1;
	}
	socket_file_note(&a->file, a->path);
	ev_io_init(&a->io, on_connect, a->fd, EV_READ);
	a->io.data = a;
	ev_io_start(d->loop, &a->io);
	return 0;
}

void admin_close(struct daemon *d)
{
	struct admin *a = d->admin;

	if (!a)
		return;
	while (!TAILQ_EMPTY(&a->clients))
		drop(TAILQ_FIRST(&a->clients));
	ev_io_stop(d->loop, &a->io);
	if (a->fd >= 0)
		close(a->fd);
	if (socket_file_is_there(&a->file, a->path))
		unlink(a->path);
	free(a);
	d->admin = NULL;
}

void admin_listen_again(struct daemon *d)
{
	struct admin *a = d->admin;

	if (!a || socket_file_is_there(&a->file, a->path))
		return;
	log_warning("%s was deleted: it is made again", a->path);
	admin_close(d);
	admin_open(d);
}
