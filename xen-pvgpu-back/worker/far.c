/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/worker/far.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct symbol {
	const char *name;
	size_t offset; /* in struct far */
	bool needed;
};

#define NEEDED(f)   {#f, offsetof(struct far, f), true},
#define OPTIONAL(f) {#f, offsetof(struct far, f), false},
static const struct symbol symbols[] = {FAR_NEEDED(NEEDED) FAR_CALLS_NEEDED(NEEDED)
					FAR_OPTIONAL(OPTIONAL) FAR_CALLS_OPTIONAL(OPTIONAL)};

/* The dynamic linker's text begins with the path, which can be long: cut there, since the reason is
 * at the end. */
static void cannot_load(const char *error, char *reason, size_t cap)
{
	static const char begin[] = "cannot load libcuda: ";
	const size_t room = cap - sizeof(begin), len = strlen(error);

	if (len <= room)
		snprintf(reason, cap, "%s%s", begin, error);
	else
		snprintf(reason, cap, "%s...%s", begin, error + len - (room - 3));
}

int far_load(struct far *far, const char *path, char *reason, size_t cap)
{
	memset(far, 0, sizeof(*far));
	far->dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!far->dl) {
		cannot_load(dlerror(), reason, cap);
		return -1;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *fn = dlsym(far->dl, symbols[i].name);

		if (!fn && symbols[i].needed) {
			snprintf(reason, cap,
				 "no symbol %s: the driver is too old, or this is no libcuda: %s",
				 symbols[i].name, path);
			return -1;
		}
		memcpy((char *)far + symbols[i].offset, &fn, sizeof(fn));
	}
	return 0;
}
