/* SPDX-License-Identifier: MIT */
/* How many files this process has open: the same before and after what is to leave none behind. */
#ifndef PVGPU_TEST_OPEN_FILES_H
#define PVGPU_TEST_OPEN_FILES_H

#include <check.h>
#include <dirent.h>

static inline unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
