/* SPDX-License-Identifier: MIT */
/* pvgpuctl xapi types: the profiles as xapi's VGPU types. pvgpu-xapi-types, which is installed
 * beside the other programs for xapi, does it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/ctl.h"

#define PROGRAM "../libexec/pvgpu/xapi/pvgpu-xapi-types" /* from this program's folder */
#define OTHER   "PVGPU_XAPI_TYPES"                       /* the environment names another one */

struct words {
	char *v[32];
	size_t n;
	char memory[48];
};

static void add(struct words *w, const char *word)
{
	if (w->n < sizeof(w->v) / sizeof(w->v[0]) - 1)
		w->v[w->n++] = (char *)(uintptr_t)word;
}

static void add_flag(struct words *w, bool given, const char *name)
{
	if (given)
		add(w, name);
}

static void add_text(struct words *w, const char *name, const char *value)
{
	if (!value)
		return;
	add(w, name);
	add(w, value);
}

/* The program that runs is what the other one asks for profiles and room. */
static int find_programs(char self[PATH_MAX], char path[2 * PATH_MAX])
{
	const ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 1);
	const char *other = getenv(OTHER);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	if (other)
		snprintf(path, 2 * PATH_MAX, "%s", other);
	else
		snprintf(path, 2 * PATH_MAX, "%.*s/" PROGRAM, (int)(strrchr(self, '/') - self),
			 self);
	return setenv("PVGPUCTL", self, 0) < 0 ? -errno : 0;
}

int xapi_main(int argc, char **argv)
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	struct words w = {.n = 0};
	int err;

	if (strcmp(argv[0], "types") != 0)
		return ctl_fail(EXIT_USAGE, "xapi %s: must be types", argv[0]);
	err = find_programs(self, path);
	if (err < 0)
		return ctl_fail(EXIT_NOT_THERE, "/proc/self/exe: %s", strerror(-err));
	add(&w, path);
	add_flag(&w, ctl.write, "--write");
	add_flag(&w, ctl.check, "--check");
	add_flag(&w, ctl.remove, "--remove");
	add_flag(&w, ctl.force, "--force");
	add_flag(&w, ctl.json, "--json");
	add_text(&w, "--gpu", ctl.gpu);
	add_text(&w, "--config", ctl.config);
	add_text(&w, "--pci-ids", ctl.pci_ids);
	add_text(&w, "--pci-devices", ctl.pci_devices);
	add_text(&w, "--site-dir", ctl.site_dir);
	if (ctl.spec.memory) {
		snprintf(w.memory, sizeof(w.memory), "%llu", (unsigned long long)ctl.spec.memory);
		add_text(&w, "--memory", w.memory);
	}
	execv(path, w.v);
	return ctl_fail(EXIT_NOT_THERE,
			"%s: %s; it needs Python, and is installed with the programs for xapi",
			path, strerror(errno));
}
