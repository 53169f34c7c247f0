/* SPDX-License-Identifier: MIT */
/* The limits of the cgroup (v2) that this process was started in, which are pvgpud's to set: here
 * they are only looked at. */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <stdio.h>
#include <string.h>

/* A line that begins or goes on with `part`; false: there is none. */
static bool find_line(const char *path, const char *part, char *line, size_t cap)
{
	FILE *f = fopen(path, "re");
	bool found = false;

	while (f && !found && fgets(line, (int)cap, f))
		found = strstr(line, part);
	if (f)
		fclose(f);
	return found;
}

static bool is_limited(const char *folder, const char *file)
{
	char path[640], text[32];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	return find_line(path, "", text, sizeof(text)) && strncmp(text, "max", 3) != 0;
}

void sandbox_say_cgroup(void)
{
	static const struct {
		const char *file, *part;
	} limits[] = {{"memory.max", "limit of memory"},
		      {"pids.max", "limit of processes"},
		      {"cpu.weight", "weight of processors"}};
	char own[256] = "", mount[512] = "", place[256] = "", folder[600] = "";

	if (find_line("/proc/self/cgroup", "0::/", own, sizeof(own)) &&
	    find_line("/proc/self/mountinfo", " - cgroup2 ", mount, sizeof(mount)) &&
	    sscanf(mount, "%*s %*s %*s %*s %255s", place) == 1)
		snprintf(folder, sizeof(folder), "%s%.*s", place, (int)strcspn(own + 3, "\n"),
			 own + 3);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (!folder[0] || !is_limited(folder, limits[i].file))
			printf("part %s: absent\n", limits[i].part);
}
