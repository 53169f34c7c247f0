/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl cdi: the vGPUs of the local link as devices of containers, in the form of the Container
 * Device Interface: Podman, Docker from 25 on, containerd and CRI-O read it.
 *
 * A container gets the folder of its vGPU's socket, if nothing else lies there: a pvgpud that is
 * started again makes the socket anew, which only a folder shows. Otherwise it gets the socket
 * alone, since the folder would give it the others.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"

#define CDI_VERSION    "0.5.0" /* the first whose names may begin with a digit */
#define CDI_KIND       "pvgpu/vgpu"
#define IN_RUN_DIR     "/run/pvgpu" /* places in the container */
#define IN_LIBRARIES   "/usr/lib/pvgpu"
#define LIBCUDA        "libcuda.so.1"
#define NEAR_LIBRARIES "../lib/pvgpu" /* where an installation has them, seen from pvgpuctl */

struct devices {
	json_t *all;
	unsigned int alone; /* sockets that are shown without their folder */
	const char *first_alone;
	unsigned int faults;
};

/* The folder of the guest's libraries, with its whole name; an exit status. */
static int find_libraries(char path[PATH_MAX])
{
	char dir[PATH_MAX] = "", file[PATH_MAX + 32];

	if (ctl.libraries)
		snprintf(dir, sizeof(dir), "%s", ctl.libraries);
	else if (readlink("/proc/self/exe", dir, sizeof(dir) - 32) > 0)
		strcpy(dirname(dir) + strlen(dir), "/" NEAR_LIBRARIES);
	snprintf(file, sizeof(file), "%s/" LIBCUDA, dir);
	if (access(file, R_OK) < 0 || !realpath(dir, path))
		return ctl_fail(EXIT_REFUSED,
				"%s: %s; --libraries DIR names the folder of the guest's "
				"libraries, which containers get",
				file, strerror(errno));
	return EXIT_DONE;
}

/* Nothing but the socket lies in its folder, which has a name. */
static bool has_own_folder(const char *socket)
{
	const char *base = strrchr(socket, '/') + 1;
	char path[PATH_MAX];
	struct dirent *e;
	bool own = true;
	DIR *dir;

	snprintf(path, sizeof(path), "%.*s", (int)(base - socket), socket);
	dir = opendir(path);
	if (!dir)
		return false;
	while (own && (e = readdir(dir)))
		own = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		      !strcmp(e->d_name, base);
	closedir(dir);
	return own;
}

static json_t *mount_of(const char *host, const char *container)
{
	return json_pack("{s:s, s:s, s:[s, s, s, s]}", "hostPath", host, "containerPath", container,
			 "options", "ro", "nosuid", "nodev", "bind");
}

static json_t *device_of(const char *name, const char *socket, bool own_folder)
{
	const char *base = strrchr(socket, '/') + 1;
	char host[PATH_MAX], inside[PATH_MAX], env[PATH_MAX + 256];

	snprintf(host, sizeof(host), "%.*s",
		 (int)(own_folder ? base - 1 - socket : (ptrdiff_t)strlen(socket)), socket);
	snprintf(inside, sizeof(inside), IN_RUN_DIR "/%s%s", name, own_folder ? "" : ".sock");
	snprintf(env, sizeof(env), "PVGPU_SOCKET=%s%s%s", inside, own_folder ? "/" : "",
		 own_folder ? base : "");
	return json_pack("{s:s, s:{s:[s], s:[o]}}", "name", name, "containerEdits", "env", env,
			 "mounts", mount_of(host, inside));
}

static bool is_device_name(const char *name)
{
	const size_t n = strlen(name);

	return n && isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[n - 1]);
}

static void add(struct devices *d, const char *name, const char *socket)
{
	bool own_folder;

	if (!is_device_name(name) || socket[0] != '/') {
		ctl_fail(EXIT_REFUSED, "%s is left out: %s%s", name,
			 is_device_name(name)
				 ? "its socket needs a whole path: "
				 : "a device's name begins and ends with a letter or digit",
			 is_device_name(name) ? socket : "");
		d->faults++;
		return;
	}
	own_folder = has_own_folder(socket);
	if (!own_folder && !d->alone++)
		d->first_alone = name;
	json_array_append_new(d->all, device_of(name, socket, own_folder));
}

/* On stderr: scripts read the output. */
static void warn_of_alone(const struct devices *d)
{
	char more[32] = "";

	if (!d->alone)
		return;
	if (d->alone > 1)
		snprintf(more, sizeof(more), " and %u more", d->alone - 1);
	fprintf(stderr,
		"pvgpuctl: warning: %s%s: other files lie beside the socket, so containers get the "
		"socket alone and do not find the next pvgpud's: give the vGPU a folder, such as "
		"socket = " IN_RUN_DIR "/%s/vgpu.sock, or start its containers anew after pvgpud\n",
		d->first_alone, more, d->first_alone);
}

/* In one step, since engines watch the folder. */
static int write_spec(json_t *spec)
{
	char temp[PATH_MAX];
	int err;

	if (snprintf(temp, sizeof(temp), "%s.new", ctl.output) >= (int)sizeof(temp))
		return ctl_fail(EXIT_REFUSED, "--output: the name is too long");
	if (json_dump_file(spec, temp, JSON_INDENT(1)) == 0 && chmod(temp, 0644) == 0 &&
	    rename(temp, ctl.output) == 0)
		return EXIT_DONE;
	err = errno;
	unlink(temp);
	return ctl_fail(EXIT_REFUSED, "%s: %s%s", ctl.output, strerror(err),
			err == ENOENT ? ": make its folder first" : "");
}

static void print_devices(const json_t *devices)
{
	json_t *d;
	size_t i;

	printf("%-40s %s\n", "device", "in the container");
	json_array_foreach(devices, i, d)
	{
		json_t *edits = json_object_get(d, "containerEdits");
		char name[80];

		snprintf(name, sizeof(name), CDI_KIND "=%s", local_text(d, "name"));
		printf("%-40s %s\n", name,
		       json_string_value(json_array_get(json_object_get(edits, "env"), 0)));
	}
}

static int put_spec(const struct devices *d, const char *libraries)
{
	json_t *spec = json_pack("{s:s, s:s, s:O, s:{s:[s], s:[o]}}", "cdiVersion", CDI_VERSION,
				 "kind", CDI_KIND, "devices", d->all, "containerEdits", "env",
				 "LD_LIBRARY_PATH=" IN_LIBRARIES, "mounts",
				 mount_of(libraries, IN_LIBRARIES));
	int status = ctl.output ? write_spec(spec) : EXIT_DONE;

	if (!status && ctl.json) {
		json_dumpf(spec, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (!status) {
		print_devices(d->all);
	}
	json_decref(spec);
	return status;
}

int local_cdi(int argc, char **argv)
{
	struct devices d = {.all = json_array()};
	char libraries[PATH_MAX];
	json_t *answer = NULL, *vgpus, *v;
	const char *name;
	int status;

	if (ctl.output && strcmp(ctl.output + strlen(ctl.output) - strnlen(ctl.output, 5), ".json"))
		status = ctl_fail(EXIT_USAGE, "--output %s: engines read files that end in .json",
				  ctl.output);
	else
		status = find_libraries(libraries);
	ctl.local = true; /* containers are on this machine */
	vgpus = status ? NULL : local_ask_tree("/vgpu", &answer, &status);
	json_object_foreach(vgpus, name, v)
	{
		if (local_text(v, "socket")[0] && (!argc || !strcmp(name, argv[0])))
			add(&d, name, local_text(v, "socket"));
	}
	if (!status && !json_array_size(d.all) && !d.faults)
		status = ctl_fail(EXIT_NOT_THERE,
				  argc ? "%s: no such vGPU of the local link; pvgpuctl list shows "
					 "them"
				       : "%spvgpud has no vGPU of the local link",
				  argc ? argv[0] : "");
	else if (!status && json_array_size(d.all))
		status = put_spec(&d, libraries);
	if (!status)
		warn_of_alone(&d);
	if (!status && d.faults)
		status = EXIT_REFUSED;
	json_decref(d.all);
	json_decref(answer);
	return status;
}
