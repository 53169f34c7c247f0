/* SPDX-License-Identifier: MIT */
/* Runs pvgpuctl's command line in the test's process and keeps what it prints. */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include <check.h>
#include <string.h>

extern char out[65536], errors[16384];

/* The words of a command, up to NULL: the exit status. */
int ctl_run(const char *first, ...);
#define RUN(...) ctl_run(__VA_ARGS__, NULL)
#define HAS(text, part)                                                                            \
	ck_assert_msg(strstr(text, part), "'%s' is not in '%s' (errors '%s')", part, text, errors)

#endif
