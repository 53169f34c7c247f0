/* SPDX-License-Identifier: MIT */
/*
 * pvgpu's libraries first, however a program names them: a library for the auditing interface of
 * glibc's dynamic linker (rtld-audit(7)), which pvgpu-run names in LD_AUDIT. The linker asks it
 * once for each library that it is about to look for, whether the name comes from an object's
 * references (with a DT_RPATH or without), from dlopen, or is an absolute path. Where a library of
 * pvgpu's has that file name, it is the answer. It is asked nothing else: calls cost what they cost
 * without it.
 *
 * It uses no library, so that it brings no second libc into the process.
 */
#include <link.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "audit_names.h"

#define PUBLIC __attribute__((visibility("default")))

/* The linker's: where a program's argument count, arguments and environment begin. */
extern void *__libc_stack_end;

static char folder[PATH_MAX]; /* of this library, with its last slash; empty: unknown */
static char found[PATH_MAX + NAME_MAX];

static size_t length_of(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* The rest of a text that begins so; NULL: it begins otherwise. */
static const char *after(const char *text, const char *begin)
{
	while (*begin && *text == *begin) {
		text++;
		begin++;
	}
	return *begin ? NULL : text;
}

static char *copy(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
	to[n] = 0;
	return to + n;
}

static const char *file_of(const char *path)
{
	const char *file = path;

	for (; *path; path++)
		if (*path == '/')
			file = path + 1;
	return file;
}

/* The folder in LD_AUDIT's entry that is this library. $LIB is the linker's word for one folder for
 * each kind of programs; these lie in that of pvgpu's libraries. */
static void find_folder(const char *list)
{
	while (*list) {
		size_t n = 0, end = 0;

		for (; list[n] && list[n] != ':'; n++)
			if (list[n] == '/')
				end = n + 1;
		if (end && end < PATH_MAX && after(list + end, AUDIT_FILE) == list + n) {
			if (end > 5 && after(list + end - 5, "$LIB/") == list + end)
				end -= 5;
			copy(folder, list, end);
			return;
		}
		list += n + (list[n] == ':');
	}
}

PUBLIC unsigned int la_version(unsigned int version)
{
	const long *count = __libc_stack_end;
	const char *const *environment = (const char *const *)(count + 1) + *count + 1;
	const char *list;

	for (; *environment; environment++) {
		list = after(*environment, "LD_AUDIT=");
		if (list)
			find_folder(list);
	}
	if (!*folder)
		return 0; /* not audited */
	return version < LAV_CURRENT ? version : LAV_CURRENT;
}

/* Is the rest of a file name nothing, or a longer version: ".4.127" after libcudart.so.12? */
static bool is_version(const char *rest)
{
	if (*rest && *rest != '.')
		return false;
	for (; *rest; rest++)
		if (*rest != '.' && (*rest < '0' || *rest > '9'))
			return false;
	return true;
}

PUBLIC char *la_objsearch(const char *name, uintptr_t *cookie, unsigned int flag)
{
	const char *file = file_of(name), *rest;

	if (flag != LA_SER_ORIG)
		return (char *)(uintptr_t)name;
	for (size_t i = 0; audit_names[i]; i++) {
		rest = after(file, audit_names[i]);
		if (rest && is_version(rest)) {
			copy(copy(found, folder, length_of(folder)), audit_names[i],
			     length_of(audit_names[i]));
			return found;
		}
	}
	return (char *)(uintptr_t)name;
}
