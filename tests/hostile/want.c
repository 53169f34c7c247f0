/* SPDX-License-Identifier: MIT */
#include "tests/hostile/want.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

unsigned int attack_checks, attack_wrongs;
uint32_t attack_seed = 1;

void attack_wrong(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	va_list args;

	if (attack_wrongs++ > 20)
		return;
	fprintf(stderr, "%s:%d: ", slash ? slash + 1 : file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint32_t attack_random(void)
{
	/* xorshift32 */
	attack_seed ^= attack_seed << 13;
	attack_seed ^= attack_seed >> 17;
	attack_seed ^= attack_seed << 5;
	return attack_seed;
}
