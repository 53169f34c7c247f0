/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/scrub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "xen-pvgpu-back/contract/log.h"

#define KEY "RMDisableScrubOnFree"

/* Finds KEY=VALUE in a line such as RegistryDwords: "A=1;B=0x2" or, for one GPU,
 * RegistryDwordsPerDevice: "pci=0000:01:00.0;A=1". */
static bool is_set(const char *line)
{
	const char *s = line;

	while ((s = strcasestr(s, KEY))) {
		bool whole = s == line || strchr("\"; ", s[-1]);

		s += strlen(KEY);
		s += strspn(s, " ");
		if (whole && *s == '=' && strtoull(s + 1, NULL, 0))
			return true;
	}
	return false;
}

bool scrub_disabled(FILE *params)
{
	char *line = NULL;
	bool found = false;
	size_t cap = 0;

	while (!found && getline(&line, &cap, params) >= 0)
		found = !strncmp(line, "RegistryDwords", 14) && is_set(line);
	free(line);
	return found;
}

int scrub_check(const char *path, bool allowed)
{
	FILE *f = fopen(path, "re");
	bool bad;

	if (!f)
		return 0;
	bad = scrub_disabled(f);
	fclose(f);
	if (!bad)
		return 0;
	if (allowed) {
		log_warning("%s: " KEY " is set: tenants find each other's memory; allowed by "
			    "allow_no_scrub",
			    path);
		return 0;
	}
	log_error(
		"%s: " KEY " is set: tenants would find each other's memory; take it out of "
		"NVreg_RegistryDwords and load the nvidia module again, or set allow_no_scrub = 1 "
		"where all of them may",
		path);
	return -1;
}
