/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROCS_BYTES 4096 /* some hundred processes */

int cgroup_write(int dir, const char *file, const char *text)
{
	const int fd = openat(dir, file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	const size_t n = strlen(text);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, n) != (ssize_t)n)
		err = -errno;
	close(fd);
	return err;
}

int cgroup_write_number(int dir, const char *file, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	return cgroup_write(dir, file, text);
}

int cgroup_read(int dir, const char *file, char *text, size_t cap)
{
	const int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = 1;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (n < cap - 1 && (r = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	r = r < 0 ? -errno : (ssize_t)n;
	close(fd);
	return (int)r;
}

uint64_t cgroup_read_number(int dir, const char *file)
{
	char text[32];

	if (cgroup_read(dir, file, text, sizeof(text)) <= 0 || text[0] < '0' || text[0] > '9')
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

uint64_t cgroup_read_event(int dir, const char *file, const char *word)
{
	const size_t n = strlen(word);
	char text[1024];

	if (cgroup_read(dir, file, text, sizeof(text)) <= 0)
		return 0;
	for (const char *s = text; s && *s; s = strchr(s, '\n'), s = s ? s + 1 : NULL)
		if (!strncmp(s, word, n) && s[n] == ' ')
			return strtoull(s + n, NULL, 10);
	return 0;
}

bool cgroup_lists(int dir, const char *file, const char *word)
{
	const size_t len = strlen(word);
	char text[1024];

	if (cgroup_read(dir, file, text, sizeof(text)) <= 0)
		return false;
	for (const char *s = text; *s; s += strspn(s, " \n")) {
		const size_t n = strcspn(s, " \n");

		if (n == len && !strncmp(s, word, n))
			return true;
		s += n;
	}
	return false;
}

/* Calls `each` for every process; a worker with more of them than fit is found all the same. */
static void each_process(int dir, void (*each)(pid_t pid, void *arg), void *arg)
{
	char text[PROCS_BYTES], *end;

	if (cgroup_read(dir, "cgroup.procs", text, sizeof(text)) <= 0)
		return;
	for (char *s = text; *s; s = end + (*end != '\0')) {
		const long pid = strtol(s, &end, 10);

		if (end == s)
			return;
		each((pid_t)pid, arg);
	}
}

struct others {
	pid_t pid, other;
	unsigned int n;
	bool found;
};

static void count(pid_t pid, void *arg)
{
	struct others *o = arg;

	if (pid == o->pid) {
		o->found = true;
		return;
	}
	o->n++;
	o->other = pid;
}

unsigned int cgroup_others(int dir, pid_t pid, pid_t *other)
{
	struct others o = {.pid = pid};

	each_process(dir, count, &o);
	*other = o.other;
	return o.n;
}

bool cgroup_has(int dir, pid_t pid)
{
	struct others o = {.pid = pid};

	each_process(dir, count, &o);
	return o.found;
}

/* 0: one of another PID namespace. */
static void end(pid_t pid, void *arg)
{
	if (pid > 0 && pid != getpid())
		kill(pid, SIGKILL);
}

/* Frozen processes do not fork while we look which there are, and can be killed. Linux before 5.14
 * has no cgroup.kill. */
int cgroup_kill_all(int dir)
{
	int r = cgroup_write(dir, "cgroup.kill", "1");

	if (r != -ENOENT)
		return r;
	cgroup_write(dir, "cgroup.freeze", "1");
	each_process(dir, end, NULL);
	return 0;
}

/* The part of a cgroup's path below what is mounted; NULL: it is not there. */
static const char *below(const char *path, const char *root)
{
	const size_t n = strlen(root);

	if (!strcmp(root, "/"))
		return path;
	if (strncmp(path, root, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path[n] ? path + n : "/";
}

/* "36 35 0:32 ROOT PLACE OPTIONS... - cgroup2 ..." */
static int find_mount(const char *proc, const char *own, char *path, size_t cap)
{
	char file[128], line[1024], root[256], place[256];
	const char *rest;
	int r = -1;
	FILE *f;

	snprintf(file, sizeof(file), "%.100s/mountinfo", proc);
	f = fopen(file, "re");
	while (r < 0 && f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, " - cgroup2 ") ||
		    sscanf(line, "%*s %*s %*s %255s %255s", root, place) != 2)
			continue;
		rest = below(own, root);
		if (!rest)
			continue;
		snprintf(path, cap, "%s%s", place, strcmp(rest, "/") ? rest : "");
		r = 0;
	}
	if (f)
		fclose(f);
	return r;
}

int cgroup_own(const char *proc, char *path, size_t cap, char *why, size_t why_cap)
{
	char file[128], line[512], own[256] = "";
	FILE *f;

	snprintf(file, sizeof(file), "%.100s/cgroup", proc);
	f = fopen(file, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::/", 4))
			snprintf(own, sizeof(own), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	if (f)
		fclose(f);
	if (own[0] && find_mount(proc, own, path, cap) == 0)
		return 0;
	snprintf(why, why_cap, "%s", own[0] ? "cgroup v2 is not mounted" : "no cgroup v2 here");
	return -1;
}
