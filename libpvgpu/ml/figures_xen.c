/* SPDX-License-Identifier: MIT */
/*
 * The Xen link: the module shows in sysfs what the backend tells of the vGPU. The processes are
 * those that have the device open and that the caller may look at: the backend knows none.
 */
#include "ml/ml.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *ml_sysfs = "/sys/class/misc", *ml_proc = "/proc";

enum { TEXT = ML_GPU_TEXT };

/* False: it is not there, or longer. */
static bool read_file(const char *folder, const char *name, char text[TEXT])
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, TEXT - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The value of a field of NAME=VALUE NAME=VALUE ... */
static bool field(const char *text, const char *name, uint64_t *value)
{
	const size_t n = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at += n) {
		if ((at != text && !isspace((unsigned char)at[-1])) || at[n] != '=')
			continue;
		*value = strtoull(at + n + 1, NULL, 10);
		return isdigit((unsigned char)at[n + 1]);
	}
	return false;
}

static bool has_open(const char *process, const char *device)
{
	char path[512], to[256];
	bool found = false;
	struct dirent *e;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s/fd", ml_proc, process);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = '\0';
		found = !strcmp(to, device);
	}
	if (d)
		closedir(d);
	return found;
}

static void find_processes(const char *device, struct ml_figures *out)
{
	DIR *d = opendir(ml_proc);
	struct dirent *e;

	out->processes_known = d;
	while (d && out->processes < ML_PROCESSES && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]) && has_open(e->d_name, device))
			out->process[out->processes++] =
				(struct ml_process){.pid = (unsigned int)atoi(e->d_name),
						    .memory = NVML_VALUE_NOT_AVAILABLE};
	if (d)
		closedir(d);
}

static void folder_of(const char *device, char folder[128])
{
	const char *name = strrchr(device, '/');

	snprintf(folder, 128, "%s/%.60s/device", ml_sysfs, name ? name + 1 : device);
}

nvmlReturn_t ml_gpu_xen(const char *device, char *text, size_t *len)
{
	char folder[128];

	folder_of(device, folder);
	/* A module of an earlier release has no such file. */
	if (!read_file(folder, "gpu", text))
		return NVML_ERROR_NOT_SUPPORTED;
	*len = strcspn(text, "\n");
	return NVML_SUCCESS;
}

nvmlReturn_t ml_figures_xen(const char *device, struct ml_figures *out)
{
	char folder[128], text[TEXT];

	folder_of(device, folder);
	if (read_file(folder, "memory", text))
		out->memory_limit = strtoull(text, NULL, 10);
	/* A module of an earlier release has no such file. */
	if (read_file(folder, "usage", text))
		out->used_known = field(text, "memory-used", &out->memory_used) &&
				  field(text, "gpu-time", &out->gpu_time);
	find_processes(device, out);
	return NVML_SUCCESS;
}
