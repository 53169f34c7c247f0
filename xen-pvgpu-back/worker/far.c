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
static const struct symbol symbols[] = {FAR_NEEDED(NEEDED) FAR_OPTIONAL(OPTIONAL)};

int far_load(struct far *far, const char *path, char *reason, size_t cap)
{
	memset(far, 0, sizeof(*far));
	far->dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!far->dl) {
		snprintf(reason, cap, "cannot load libcuda: %s", dlerror());
		return -1;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *fn = dlsym(far->dl, symbols[i].name);

		if (!fn && symbols[i].needed) {
			snprintf(reason, cap, "%s lacks %s: too old a driver, or not a libcuda",
				 path, symbols[i].name);
			return -1;
		}
		memcpy((char *)far + symbols[i].offset, &fn, sizeof(fn));
	}
	return 0;
}
