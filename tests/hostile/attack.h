/* SPDX-License-Identifier: MIT */
/* The table of attacks, in sections named after the file that holds them. */
#ifndef PVGPU_HOSTILE_ATTACK_H
#define PVGPU_HOSTILE_ATTACK_H

#include "tests/hostile/guest.h"
#include "tests/hostile/want.h"

/* The state of the set-up in which an attack begins. */
enum stage { NOTHING, OPENED, SAID_HELLO, SETTLED, CONTEXT, MEMORY, KERNELS };

enum outcome {
	ENDS,   /* the backend must end the session, for a breach of the protocol */
	LIVES,  /* errors at most: the session must still answer */
	EITHER, /* ended with a reason, or still answering */
	LEAVES, /* the attacker ends the session itself */
	NONE,   /* no session is opened */
};

struct attack {
	const char *name;
	enum stage stage;
	enum outcome outcome;
	void (*run)(struct guest *g);
	int arg; /* for `run` through attack_arg */
};

extern int attack_arg;
/* For an attacker that leaves before the end: the outcome of its WANTs, and exit. */
NORETURN void attack_leave(void);

/* Every table ends with a row without a name. */
extern const struct attack attacks_open[], attacks_ring[], attacks_race[], attacks_handle[],
	attacks_memory[], attacks_chunk[], attacks_image[], attacks_flood[], attacks_kernel[],
	attacks_soup[], attacks_cublas[], attacks_cublaslt[];

#endif
