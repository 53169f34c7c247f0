/* SPDX-License-Identifier: MIT */
/* What an attack wants to be so, and its pseudo-random numbers: for the attackers of the local link
 * and of Xen. */
#ifndef PVGPU_HOSTILE_WANT_H
#define PVGPU_HOSTILE_WANT_H

#include <stdint.h>

#include "tests/hostile/guest.h"

/* A condition that must hold; otherwise a line on stderr, and the attack counts as failed. */
#define WANT(cond, ...)                                                                            \
	do {                                                                                       \
		attack_checks++;                                                                   \
		if (!(cond))                                                                       \
			attack_wrong(__FILE__, __LINE__, __VA_ARGS__);                             \
	} while (0)
extern unsigned int attack_checks, attack_wrongs;
void attack_wrong(const char *file, int line, const char *format, ...) PRINTF_ARG(3, 4);
/* Pseudo-random, from attack_seed, which is never 0. */
extern uint32_t attack_seed;
uint32_t attack_random(void);

#endif
