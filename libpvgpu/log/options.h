/* SPDX-License-Identifier: MIT */
/*
 * getopt_long() without abbreviations. A program that runs another one with options of its caller's
 * compares whole names, and a new option must not change what a short name means.
 */
#ifndef PVGPU_LOG_OPTIONS_H
#define PVGPU_LOG_OPTIONS_H

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* As getopt_long(); an abbreviation is '?', and said. */
static inline int options_next(int argc, char *const argv[], const char *shorts,
			       const struct option *longs)
{
	int at = -1, c = getopt_long(argc, argv, shorts, longs, &at);
	const char *word;
	size_t n;

	if (at < 0 || c == '?')
		return c;
	word = argv[optind - 1];
	if (longs[at].has_arg == required_argument && optarg == word)
		word = argv[optind - 2];
	word += 2; /* "--" */
	n = strcspn(word, "=");
	if (n == strlen(longs[at].name))
		return c;
	fprintf(stderr, "%s: unrecognized option '--%.*s'; there is --%s\n", argv[0], (int)n, word,
		longs[at].name);
	return '?';
}

#endif
