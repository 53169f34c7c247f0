/* SPDX-License-Identifier: MIT */
/* The kernel's view of this process. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/probe/probe.h"

bool proc_read(const char *path, char *text, size_t cap)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r = -1;

	while (fd >= 0 && n < cap - 1 && (r = read(fd, text + n, cap - 1 - n)) > 0)
		n += (size_t)r;
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	return fd >= 0 && (n || !r);
}

int64_t proc_status(const char *field)
{
	const size_t n = strlen(field);
	char text[4096];

	proc_read("/proc/self/status", text, sizeof(text));
	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, field, n) && p[n] == ':')
			return strtoll(p + n + 1, NULL, 10);
	}
	return -1;
}

static unsigned int count_fds(int *highest)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned int n = 0;

	*highest = -1;
	while (d && (e = readdir(d))) {
		const int fd = e->d_name[0] == '.' ? -1 : atoi(e->d_name);

		if (fd < 0 || fd == dirfd(d))
			continue;
		*highest = fd > *highest ? fd : *highest;
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

unsigned int proc_fds(void)
{
	int highest;

	return count_fds(&highest);
}

int proc_highest_fd(void)
{
	int highest;

	count_fds(&highest);
	return highest;
}

bool proc_mapped(uint64_t from, uint64_t bytes)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t begin, end;
	char line[512];
	bool is = false;

	while (f && !is && fgets(line, sizeof(line), f))
		is = sscanf(line, "%" SCNx64 "-%" SCNx64, &begin, &end) == 2 &&
		     begin < from + bytes && end > from;
	if (f)
		fclose(f);
	return is;
}

/* ---- lists of names, each once ---- */
struct names {
	char text[2048];
	size_t n;
};

static void add_name(struct names *l, const char *name)
{
	char with[300];

	snprintf(with, sizeof(with), "%s ", name);
	if (!strstr(l->text, with) && l->n + strlen(with) < sizeof(l->text))
		l->n += (size_t)sprintf(l->text + l->n, "%s", with);
}

static void add_mapping(const char *line, struct names *libraries, struct names *files,
			struct names *large)
{
	uint64_t begin = 0, end = 0;
	char modes[8] = "", path[256] = "", text[320];

	sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %255[^\n]", &begin, &end, modes,
	       path);
	if (end - begin >= 1ull << 30) {
		snprintf(text, sizeof(text), "%" PRIx64 "+%" PRIu64 "G:%s", begin,
			 (end - begin) >> 30, modes);
		add_name(large, text);
	}
	if (path[0] == '/')
		add_name(strstr(path, ".so") ? libraries : files, path);
}

static void add_fds(struct names *l)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[256];
		const ssize_t n = readlinkat(dirfd(d), e->d_name, path, sizeof(path) - 1);

		if (n <= 0 || atoi(e->d_name) == dirfd(d))
			continue;
		path[n] = '\0';
		/* Pipes and sockets have numbers for names. */
		path[strcspn(path, "[ ")] = '\0';
		add_name(l, path);
	}
	if (d)
		closedir(d);
}

static void say_names(const char *when, const char *what, const struct names *l)
{
	char key[96];

	snprintf(key, sizeof(key), "%s_%s", when, what);
	say_text(key, "%s", l->text);
}

void say_files(const char *when)
{
	static struct names libraries, files, large, fds;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	libraries = files = large = fds = (struct names){0};
	while (f && fgets(line, sizeof(line), f))
		add_mapping(line, &libraries, &files, &large);
	if (f)
		fclose(f);
	add_fds(&fds);
	say_names(when, "libraries", &libraries);
	say_names(when, "mapped_files", &files);
	say_names(when, "large_mappings", &large);
	say_names(when, "open_files", &fds);
}

static void say_of(const char *when, const char *what, int64_t value)
{
	char key[96];

	snprintf(key, sizeof(key), "%s_%s", when, what);
	say_int(key, value);
}

void say_process(const char *when)
{
	say_of(when, "vm_bytes", proc_status("VmSize") * 1024);
	say_of(when, "rss_bytes", proc_status("VmRSS") * 1024);
	say_of(when, "threads", proc_status("Threads"));
	say_of(when, "fds", proc_fds());
}
