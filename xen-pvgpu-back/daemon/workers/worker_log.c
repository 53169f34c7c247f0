/* SPDX-License-Identifier: MIT */
/* Copies lines from workers' log sockets to the log, prefixed and bounded in number: a worker may
 * be hostile. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* No pipe: its lock is held while the writer's memory is waited for, however long that takes. */
int worker_log_make(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	msg_refuse_fds(fds[0]);
	return 0;
}

static void put_line(struct worker *w)
{
	w->line[w->line_n] = '\0';
	w->line_n = 0;
	if (!w->line[0])
		return;
	if (log_room(&w->lines, now_ms(), worker_name(w)))
		log_info("%s: says: %s", worker_name(w), w->line);
}

void worker_log_read(struct worker *w)
{
	char buf[4096];
	ssize_t n = recv(w->log, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		ev_io_stop(w->d->loop, &w->log_io);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (c == '\n' || w->line_n == sizeof(w->line) - 1)
			put_line(w);
		if (c != '\n')
			w->line[w->line_n++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	worker_log_read(io->data);
}

void worker_log_open(struct worker *w, int fd)
{
	w->log = fd;
	ev_io_init(&w->log_io, on_readable, fd, EV_READ);
	w->log_io.data = w;
	ev_io_start(w->d->loop, &w->log_io);
}
