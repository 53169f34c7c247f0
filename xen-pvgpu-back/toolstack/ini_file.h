/* SPDX-License-Identifier: MIT */
/* The operator's INI files, read to the end: every fault is reported with its line, so that a file
 * is mended in one go. */
#ifndef PVGPU_INI_FILE_H
#define PVGPU_INI_FILE_H

#include <stddef.h>

#define INI_WHY   640
#define INI_FAULT 1024

struct ini_reader {
	void *arg;
	/* A section begins, also one without keys; 0, or -1 with a reason. */
	int (*section)(void *arg, const char *section, char why[INI_WHY]);
	/* Not called for sections that section() did not accept. */
	int (*value)(void *arg, const char *name, const char *value, char why[INI_WHY]);
	/* "FILE:LINE: why"; the section that it is in is not to be used. */
	void (*fault)(void *arg, const char *text);
};

/* The number of faults, or a negative errno when the file cannot be read. */
int ini_file_read(const char *path, const struct ini_reader *reader);

/* For a caller that does without what is faulty, and says nothing of it. */
void ini_fault_ignore(void *arg, const char *text);

#endif
