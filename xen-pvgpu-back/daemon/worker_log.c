/* SPDX-License-Identifier: MIT */
/*
 * What workers write to their log pipe, a line at a time, named and bounded: a worker may be a
 * guest's.
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void put_line(struct worker *w)
{
	w->line[w->line_n] = '\0';
	w->line_n = 0;
	if (!w->line[0])
		return;
	if (log_room(&w->lines, now_ms(), sup_name(w)))
		log_info("%s: says: %s", sup_name(w), w->line);
}

void wlog_read(struct worker *w)
{
	char buf[4096];
	ssize_t n = read(w->log, buf, sizeof(buf));

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
	wlog_read(io->data);
}

void wlog_open(struct worker *w, int fd)
{
	w->log = fd;
	ev_io_init(&w->log_io, on_readable, fd, EV_READ);
	w->log_io.data = w;
	ev_io_start(w->d->loop, &w->log_io);
}
