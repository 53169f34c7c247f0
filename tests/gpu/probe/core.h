/* SPDX-License-Identifier: MIT */
/* Shared by main.c, say.c and role.c; steps need none of it. */
#ifndef PVGPU_PROBE_CORE_H
#define PVGPU_PROBE_CORE_H

#include <jansson.h>

#include "tests/gpu/probe/probe.h"

/* Every process of a step has these. */
enum {
	FACTS_FD = 3, /* a pipe: one JSON object a line for each fact */
	NOTE_FD = 4,  /* a page that is shared with the parent: the call that is being made */
	ALIVE_FD = 5, /* of a role: a pipe that no other process holds open */
};
#define NOTE_BYTES 4096u

struct row {
	const char *id, *step, *text;
};
extern const struct row rows[]; /* of assumptions.def */

/* ---- say.c ---- */
void say_open(const char *prefix);
/* Print the counts that are still to be printed. The exit status: 1 where nothing was said, or
 * after say_lacking. */
int say_close(void);
/* The call that is being made, for the parent to name when it never returns. */
void say_note(const char *call);
/* The last one, of whichever process of the step. */
const char *said_note(void);

/* ---- main.c ---- */
/* When this process's step is to have ended, in ns of now_ns. */
uint64_t step_end(void);
/* The arguments of a process that runs a step, in `argv`; NULL at the end. */
#define CHILD_ARGS 24
void child_args(const char *argv[CHILD_ARGS], const char *step, const char *role,
		const char *prefix);

/* ---- fold.c: the parent's side of what is said ---- */
struct fold {
	json_t *values, *failed, *verdicts;
	char line[8192]; /* what has come of one */
	size_t n;
	bool any;
};
void fold_open(struct fold *f);
/* Read what there is, without waiting; false at the end of the pipe. */
bool fold_read(struct fold *f, int fd);
/* The step's assumptions that it said nothing about. */
void fold_unseen(struct fold *f, const char *step);

/* ---- mask.c ---- */
/* Names of this machine, ids of GPUs and paths outside system directories become "..." */
void mask_text(char *text);

#endif
