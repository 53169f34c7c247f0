/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/contract/alive.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"

#define MOST_US (24ull * 3600 * 1000000)

static int sock = -1;
static bool opened;
static ev_timer timer;

/* 0: no watchdog, or not for this process. */
static unsigned long long number(const char *name)
{
	const char *s = getenv(name);
	char *end;
	unsigned long long n;

	if (!s || *s < '0' || *s > '9')
		return 0;
	errno = 0;
	n = strtoull(s, &end, 10);
	return *end || errno ? 0 : n;
}

static int dial(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int fd;

	if (n < 2 || n >= sizeof(a.sun_path) || (*path != '/' && *path != '@'))
		return -1;
	memcpy(a.sun_path, path, n);
	if (*path == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void say(const char *what)
{
	/* Full: it has enough of them to read. */
	if (send(sock, what, strlen(what), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void on_time(struct ev_loop *loop, ev_timer *t, int events)
{
	say("WATCHDOG=1");
}

/* Microseconds; 0: this process is not watched. */
static unsigned long long watched(void)
{
	const unsigned long long us = number("WATCHDOG_USEC");

	if (getenv("WATCHDOG_PID") && number("WATCHDOG_PID") != (unsigned long long)getpid())
		return 0;
	return us > MOST_US ? 0 : us;
}

void alive_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (opened || !path)
		return;
	opened = true;
	sock = dial(path);
	if (sock < 0)
		log_warning("NOTIFY_SOCKET = %.100s: %s: systemd gets no signs of life", path,
			    strerror(errno));
}

void alive_start(struct ev_loop *loop)
{
	const unsigned long long us = watched();

	alive_open();
	if (sock < 0)
		return;
	say("READY=1");
	if (us) {
		ev_timer_init(&timer, on_time, 0., (double)us / 2e6);
		ev_timer_start(loop, &timer);
	}
}

void alive_stop(struct ev_loop *loop)
{
	ev_timer_stop(loop, &timer);
	if (sock >= 0)
		close(sock);
	sock = -1;
	opened = false;
}
