/* SPDX-License-Identifier: MIT */
/*
 * <run_dir>/statistics.sock: who connects gets a snapshot, and then the end of the file. Nothing is
 * read. pvgpu-exporter is not trusted: connections are few, each has little time, and all of a
 * moment get the same snapshot.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"

#define READERS_MAX 8u
#define READER_S    5.
#define REUSE_MS    100u /* a snapshot serves those who connect so soon after */

static const struct budget_rule budget_readers = {
	.burst = 32,
	.a_second = 100,
	.pause_ns = 20000000,
	.over_ns = UINT64_MAX,
};

struct shared { /* a snapshot, and who sends it */
	unsigned int users;
	uint64_t at_ms;
	size_t size;
	char *bytes;
};

struct snapshot_server {
	struct daemon *d;
	int fd;
	ev_io io;
	ev_timer pause; /* the budget is used up */
	struct budget budget;
	TAILQ_HEAD(, reader) readers;
	unsigned int n;
	struct shared *last; /* NULL: none */
	struct snapshots count;
	char path[CONFIG_PATH + 24];
	struct socket_file file;
};

struct reader {
	TAILQ_ENTRY(reader) link;
	struct snapshot_server *s;
	int fd;
	ev_io io;
	ev_timer limit;
	struct shared *what;
	size_t at;
};

static void leave(struct shared *what)
{
	if (!what || --what->users)
		return;
	free(what->bytes);
	free(what);
}

static void drop(struct reader *r)
{
	struct snapshot_server *s = r->s;

	ev_io_stop(s->d->loop, &r->io);
	ev_timer_stop(s->d->loop, &r->limit);
	close(r->fd);
	leave(r->what);
	TAILQ_REMOVE(&s->readers, r, link);
	free(r);
	if (s->n-- == READERS_MAX && !ev_is_active(&s->pause))
		ev_io_start(s->d->loop, &s->io);
}

static void on_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	drop(t->data);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct reader *r = io->data;
	ssize_t n = send(r->fd, r->what->bytes + r->at, r->what->size - r->at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		r->at += (size_t)n;
	if (n < 0 || r->at == r->what->size)
		drop(r);
}

/* A new snapshot, or the one of a moment ago; NULL: out of memory. */
static struct shared *take(struct snapshot_server *s)
{
	struct shared *what = s->last;

	if (!what || now_ms() - what->at_ms >= REUSE_MS) {
		leave(s->last);
		s->last = what = calloc(1, sizeof(*what));
		if (!what)
			return NULL;
		what->users = 1;
		what->at_ms = now_ms();
		what->bytes = snapshot_make(s->d, &s->count, &what->size);
		if (!what->bytes) {
			leave(what);
			s->last = NULL;
			return NULL;
		}
	}
	what->users++;
	return what;
}

void *snapshot_copy(struct daemon *d, size_t *size)
{
	struct snapshots own = {0};
	struct shared *what;
	void *bytes;

	if (!d->snapshots)
		return snapshot_make(d, &own, size);
	what = take(d->snapshots);
	bytes = what ? malloc(what->size) : NULL;
	if (bytes) {
		memcpy(bytes, what->bytes, what->size);
		*size = what->size;
	}
	leave(what);
	return bytes;
}

static void serve(struct snapshot_server *s, int fd)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (r)
		r->what = take(s);
	if (!r || !r->what) {
		close(fd);
		free(r);
		return;
	}
	r->s = s;
	r->fd = fd;
	ev_io_init(&r->io, on_writable, fd, EV_WRITE);
	ev_timer_init(&r->limit, on_limit, READER_S, 0.);
	r->io.data = r->limit.data = r;
	ev_io_start(s->d->loop, &r->io);
	ev_timer_start(s->d->loop, &r->limit);
	TAILQ_INSERT_TAIL(&s->readers, r, link);
	if (++s->n == READERS_MAX)
		ev_io_stop(s->d->loop, &s->io);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
	struct snapshot_server *s = io->data;
	int fd;

	if (!budget_take(&s->budget, &budget_readers, 1, now_ms() * 1000000)) {
		ev_io_stop(loop, io);
		ev_timer_start(loop, &s->pause);
		return;
	}
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		serve(s, fd);
}

static void on_pause(struct ev_loop *loop, ev_timer *t, int events)
{
	struct snapshot_server *s = t->data;

	ev_timer_stop(loop, t);
	if (s->n < READERS_MAX)
		ev_io_start(loop, &s->io);
}

/* The configured group may connect, besides root and pvgpud's own user. */
static void allow_group(struct snapshot_server *s)
{
	const char *name = s->d->cfg.statistics_group;
	const struct group *g = *name ? getgrnam(name) : NULL;

	if (!g) {
		if (*name)
			log_debug("%s: there is no group %s: only root may read it", s->path, name);
		return;
	}
	if (chown(s->path, (uid_t)-1, g->gr_gid) < 0 || chmod(s->path, 0660) < 0)
		log_warning("%s: cannot give it to group %s: %s", s->path, name, strerror(errno));
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;
	mode_t mask;

	if (fd < 0)
		return -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.107s", path);
	msg_refuse_fds(fd);
	unlink(path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (r == 0 && listen(fd, (int)READERS_MAX) == 0)
		return fd;
	close(fd);
	return -1;
}

void snapshot_open(struct daemon *d)
{
	struct snapshot_server *s = calloc(1, sizeof(*s));

	if (!s)
		return;
	s->d = d;
	TAILQ_INIT(&s->readers);
	snprintf(s->path, sizeof(s->path), "%.200s/" PVGPU_SNAPSHOT_SOCKET, d->cfg.run_dir);
	s->fd = listen_at(s->path);
	if (s->fd < 0) {
		log_warning("cannot listen on %s: %s: no statistics for pvgpu-exporter and "
			    "pvgpuctl top",
			    s->path, strerror(errno));
		free(s);
		return;
	}
	allow_group(s);
	socket_file_note(&s->file, s->path);
	d->snapshots = s;
	ev_io_init(&s->io, on_connect, s->fd, EV_READ);
	ev_timer_init(&s->pause, on_pause, budget_readers.pause_ns / 1e9, 0.);
	s->io.data = s->pause.data = s;
	ev_io_start(d->loop, &s->io);
}

void snapshot_close(struct daemon *d)
{
	struct snapshot_server *s = d->snapshots;

	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->readers))
		drop(TAILQ_FIRST(&s->readers));
	ev_io_stop(d->loop, &s->io);
	ev_timer_stop(d->loop, &s->pause);
	leave(s->last);
	close(s->fd);
	if (socket_file_is_there(&s->file, s->path))
		unlink(s->path);
	free(s);
	d->snapshots = NULL;
}

void snapshot_listen_again(struct daemon *d)
{
	const struct snapshot_server *s = d->snapshots;

	if (!s || socket_file_is_there(&s->file, s->path))
		return;
	log_warning("%s was deleted: it is made again", s->path);
	snapshot_close(d);
	snapshot_open(d);
}
