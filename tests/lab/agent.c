/* SPDX-License-Identifier: MIT */
/*
 * Runs shell commands that arrive on a line (a virtio port in dom0, the console in a guest) and
 * sends back what they print and how they end. It is process 1 of its domain.
 *
 *   lab-agent LINE           serve LINE, a device
 *   lab-agent --bridge TTY   copy between standard input, output and TTY (a guest's console)
 *   lab-agent --uevents      load the drivers of Xen's devices as they come
 *
 * From the lab: "run N COMMAND", "pty N COMMAND" (in a terminal), "in N DATA", "eof N", "kill N
 * SIGNAL", "hello". To the lab: "hello", "out N DATA", "err N DATA", "exit N STATUS" (128 + signal,
 * as a shell says it).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/lab/uevents.h"
#include "tests/lab/wire.h"

#define MAX_JOBS 64

struct job {
	unsigned number;
	pid_t pid;        /* 0: the slot is free */
	int in, out, err; /* -1: closed; a terminal has one descriptor, out == in */
	bool pty, eof;
	uint8_t *pending; /* input not yet written */
	size_t size;
};

static struct job jobs[MAX_JOBS];
static int line_fd;

static void write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd f = {.fd = fd, .events = POLLOUT};

			poll(&f, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return;
		} else if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
}

static void send_message(const char *kind, unsigned number, const void *data, size_t size)
{
	char text[WIRE_LINE_MAX];

	write_all(line_fd, text, wire_format(text, kind, number, data, size));
}

static void send_text(const char *kind, unsigned number, const char *text)
{
	send_message(kind, number, text, strlen(text));
}

static struct job *find_job(unsigned number)
{
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
		if (j->pid && j->number == number)
			return j;
	}
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void run_child(const char *command)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int start_piped(struct job *j, const char *command)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	j->pid = fork();
	if (j->pid == 0) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		run_child(command);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	j->in = in[1];
	j->out = out[0];
	j->err = err[0];
	return j->pid < 0 ? -1 : 0;
}

static void start(unsigned number, const char *command, bool pty)
{
	struct job *j = jobs;

	while (j < jobs + MAX_JOBS && j->pid)
		j++;
	if (j == jobs + MAX_JOBS || find_job(number)) {
		send_text("err", number, "lab-agent: too many commands at once\n");
		send_text("exit", number, "126");
		return;
	}
	*j = (struct job){.number = number, .in = -1, .out = -1, .err = -1, .pty = pty};
	if (pty) {
		j->pid = forkpty(&j->out, NULL, NULL, NULL);
		if (j->pid == 0)
			run_child(command);
		j->in = j->out;
		fcntl(j->out, F_SETFD, FD_CLOEXEC);
	} else if (start_piped(j, command)) {
		j->pid = -1;
	}
	if (j->pid < 0) {
		send_text("err", number, "lab-agent: cannot start a process\n");
		send_text("exit", number, "126");
		j->pid = 0;
		return;
	}
	fcntl(j->in, F_SETFL, fcntl(j->in, F_GETFL) | O_NONBLOCK);
	fcntl(j->out, F_SETFL, fcntl(j->out, F_GETFL) | O_NONBLOCK);
	if (j->err >= 0)
		fcntl(j->err, F_SETFL, fcntl(j->err, F_GETFL) | O_NONBLOCK);
}

/* Write pending bytes to standard input; close it after the last one when "eof" has come. */
static void feed(struct job *j)
{
	while (j->in >= 0 && j->size) {
		ssize_t n = write(j->in, j->pending, j->size);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			j->size = 0;
			j->eof = true;
			break;
		}
		j->size -= (size_t)n;
		memmove(j->pending, j->pending + n, j->size);
	}
	if (!j->size) {
		free(j->pending);
		j->pending = NULL;
		if (j->eof && !j->pty)
			close_fd(&j->in);
	}
}

static void take_input(struct job *j, const uint8_t *data, size_t size)
{
	uint8_t *more = realloc(j->pending, j->size + size);

	if (!more)
		return;
	memcpy(more + j->size, data, size);
	j->pending = more;
	j->size += size;
	feed(j);
}

/* Forward the bytes that can be read now; at the end of the stream the descriptor is closed. */
static void drain(struct job *j, int *fd, const char *kind)
{
	char data[WIRE_DATA_MAX];
	ssize_t n;

	while (*fd >= 0 && (n = read(*fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break; /* EIO: the terminal's last user has gone */
		send_message(kind, j->number, data, (size_t)n);
	}
	if (fd == &j->out && j->pty)
		j->in = -1;
	close_fd(fd);
}

static void finish(struct job *j, int status)
{
	char text[16];

	drain(j, &j->out, "out");
	drain(j, &j->err, "err");
	if (j->pty)
		j->in = -1;
	close_fd(&j->in);
	close_fd(&j->out);
	close_fd(&j->err);
	free(j->pending);
	snprintf(text, sizeof(text), "%d",
		 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	j->pid = 0;
	send_text("exit", j->number, text);
}

/* Process 1 reaps orphans, too. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
			if (j->pid == pid)
				finish(j, status);
		}
	}
}

static void obey(struct wire_message *m)
{
	struct job *j = find_job(m->number);
	char text[WIRE_LINE_MAX + 1];

	memcpy(text, m->data, m->size);
	text[m->size] = 0;
	if (!strcmp(m->kind, "hello"))
		send_text("hello", 0, "");
	else if (!strcmp(m->kind, "run") || !strcmp(m->kind, "pty"))
		start(m->number, text, m->kind[0] == 'p');
	else if (j && !strcmp(m->kind, "kill"))
		kill(-j->pid, atoi(text));
	else if (j && !strcmp(m->kind, "in"))
		take_input(j, m->data, m->size);
	else if (j && !strcmp(m->kind, "eof")) {
		j->eof = true;
		feed(j);
	}
}

/* Lines may come in pieces. A line that is too long is dropped whole. */
static void hear(const char *data, size_t size)
{
	static char line[WIRE_LINE_MAX];
	static struct wire_message m;
	static size_t length;

	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n') {
			if (length < sizeof(line))
				line[length++] = data[i];
			continue;
		}
		if (length < sizeof(line) && !wire_parse(line, length, &m))
			obey(&m);
		length = 0;
	}
}

static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(fd, TCSANOW, &t);
}

static nfds_t list_fds(struct pollfd *f, int signals)
{
	nfds_t n = 0;

	f[n++] = (struct pollfd){.fd = line_fd, .events = POLLIN};
	f[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
	for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
		if (!j->pid)
			continue;
		f[n++] = (struct pollfd){.fd = j->out, .events = POLLIN};
		f[n++] = (struct pollfd){.fd = j->err, .events = POLLIN};
		if (j->size && j->in >= 0)
			f[n++] = (struct pollfd){.fd = j->in, .events = POLLOUT};
	}
	return n;
}

static int serve(const char *path)
{
	struct pollfd f[2 + 3 * MAX_JOBS];
	struct signalfd_siginfo info;
	char data[4096];
	sigset_t mask;
	int signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	line_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (line_fd < 0 || signals < 0) {
		perror(path);
		return 1;
	}
	make_raw(line_fd);
	send_text("hello", 0, "");
	for (;;) {
		ssize_t n;

		poll(f, list_fds(f, signals), -1);
		while (read(signals, &info, sizeof(info)) > 0)
			;
		n = read(line_fd, data, sizeof(data));
		if (n > 0)
			hear(data, (size_t)n);
		for (struct job *j = jobs; j < jobs + MAX_JOBS; j++) {
			if (!j->pid)
				continue;
			feed(j);
			drain(j, &j->out, "out");
			drain(j, &j->err, "err");
		}
		reap();
	}
}

static int bridge(const char *path)
{
	int tty = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	char data[4096];

	if (tty < 0) {
		perror(path);
		return 1;
	}
	make_raw(tty);
	for (;;) {
		struct pollfd f[] = {{.fd = 0, .events = POLLIN}, {.fd = tty, .events = POLLIN}};

		poll(f, 2, -1);
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (!f[i].revents)
				continue;
			n = read(f[i].fd, data, sizeof(data));
			if (n <= 0 && errno != EINTR)
				return 0;
			write_all(i ? 1 : tty, data, n > 0 ? (size_t)n : 0);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--bridge"))
		return bridge(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--uevents"))
		return serve_uevents();
	if (argc == 2)
		return serve(argv[1]);
	fprintf(stderr, "usage: lab-agent LINE | --bridge TTY | --uevents\n");
	return 2;
}
