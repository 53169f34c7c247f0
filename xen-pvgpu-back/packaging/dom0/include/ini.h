/* SPDX-License-Identifier: MIT */
/* The part of inih's interface that pvgpu's tools use, built in where inih is missing (XCP-ng). It
 * reads what inih reads with its defaults. */
#ifndef PVGPU_DOM0_INI_H
#define PVGPU_DOM0_INI_H

/* Non-zero: go on. */
typedef int (*ini_handler)(void *user, const char *section, const char *name, const char *value);
/* As fgets. */
typedef char *(*ini_reader)(char *str, int num, void *stream);

/* 0, or the number of the first line that is none or that the handler refused. */
int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);

#endif
