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
	const char *since; /* the first driver that has it, where that is known */
};

#define LIBRARY_SYMBOL(library, name) {#name, offsetof(struct far, lib.library.name), false, NULL},
#define LIBRARY_SYMBOLS(library, calls)                                                            \
	static const struct symbol symbols_##library[] = {calls(LIBRARY_SYMBOL)};
FAR_LIBRARIES(LIBRARY_SYMBOLS)

#define LIBRARY(library, calls)                                                                    \
	{#library, symbols_##library, sizeof(symbols_##library) / sizeof(symbols_##library[0]),    \
	 offsetof(struct far, lib.library.dl)},
static const struct {
	const char *name;
	const struct symbol *symbols;
	size_t count, dl;
} libraries[] = {FAR_LIBRARIES(LIBRARY)};

#define NEEDED(f)   {#f, offsetof(struct far, f), true, NULL},
#define PARAMS(f)   {#f, offsetof(struct far, f), true, FAR_PARAMS_SINCE},
#define OPTIONAL(f) {#f, offsetof(struct far, f), false, NULL},
static const struct symbol symbols[] = {FAR_NEEDED(NEEDED) FAR_CALLS_NEEDED(NEEDED) FAR_PARAMS(
	PARAMS) FAR_OPTIONAL(OPTIONAL) FAR_CALLS_OPTIONAL(OPTIONAL)};

static void lacks(const struct symbol *s, const char *path, char *reason, size_t cap)
{
	if (s->since)
		snprintf(reason, cap, "no symbol %s: install driver %s or later: %s", s->name,
			 s->since, path);
	else
		snprintf(reason, cap,
			 "no symbol %s: the driver is too old, or this is no libcuda: %s", s->name,
			 path);
}

/* The dynamic linker's text begins with the path, which can be long: cut there, since the reason is
 * at the end. */
static void cannot_load(const char *library, const char *error, char *reason, size_t cap)
{
	char begin[64];
	size_t room, len = strlen(error);

	snprintf(begin, sizeof(begin), "cannot load lib%s: ", library);
	room = cap - strlen(begin) - 1;
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
		cannot_load("cuda", dlerror(), reason, cap);
		return -1;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *fn = dlsym(far->dl, symbols[i].name);

		if (!fn && symbols[i].needed) {
			lacks(&symbols[i], path, reason, cap);
			return -1;
		}
		memcpy((char *)far + symbols[i].offset, &fn, sizeof(fn));
	}
	return 0;
}

int far_library(struct far *far, const char *name, const char *path, char *reason, size_t cap)
{
	size_t i = 0;
	void *dl;

	while (i < sizeof(libraries) / sizeof(libraries[0]) && strcmp(libraries[i].name, name))
		i++;
	if (i == sizeof(libraries) / sizeof(libraries[0])) {
		snprintf(reason, cap, "no library %s is described", name);
		return -1;
	}
	dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!dl) {
		cannot_load(name, dlerror(), reason, cap);
		return -1;
	}
	memcpy((char *)far + libraries[i].dl, &dl, sizeof(dl));
	for (size_t s = 0; s < libraries[i].count; s++) {
		void *fn = dlsym(dl, libraries[i].symbols[s].name);

		memcpy((char *)far + libraries[i].symbols[s].offset, &fn, sizeof(fn));
	}
	return 0;
}
