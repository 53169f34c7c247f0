/* SPDX-License-Identifier: MIT */
/*
 * The table of attacks by a frontend, in sections named after the file that holds them. A row is
 * all that an attack needs: the scenario vgpu_hostile_frontend.py reads the table with --list.
 */
#ifndef PVGPU_HOSTILE_XEN_ATTACK_H
#define PVGPU_HOSTILE_XEN_ATTACK_H

#include "tests/hostile/want.h"
#include "tests/hostile/xen/front.h"

/* The state of the set-up in which an attack begins. */
enum stage {
	NOTHING,   /* no key was written */
	BEGUN,     /* Initialising; the backend is InitWait */
	PREPARED,  /* the control ring's page and port are there */
	OFFERED,   /* Initialised, with all keys */
	CONNECTED, /* both ends are */
	OPENED,    /* a session */
	SETTLED,   /* that has said hello and knows its windows */
	CHUNKED,   /* and has a chunk of CHUNK_PAGES */
};
#define CHUNK_PAGES 64u

enum outcome {
	LIVES,  /* the connection stays: another session of it is served */
	CLOSES, /* pvgpud closes the vGPU; it can be connected anew */
	LEAVES, /* the attacker ends in the middle; the next run connects anew */
	HIDES,  /* LIVES with dom0, which reads every key; CLOSES with a driver domain */
};

struct attack {
	const char *name;
	enum stage stage;
	enum outcome outcome;
	void (*run)(struct front *f);
	int arg;          /* for `run`, through attack->arg */
	const char *text; /* likewise */
	/* The expected reason, an extended regular expression: "log " of pvgpud's log, "answer " of
	 * the text of an answer or of a session's end. NULL: pvgpud takes it without a reason. */
	const char *reason;
};

extern const struct attack *attack;
extern struct seat *attack_seat; /* from the stage OPENED on */

/* The text of an answer, for the comparison with the expected reason. */
void attack_said(struct front *f);
/* Have the scenario do something now: "neighbour" (a new session of the neighbour), "restart" and
 * "kill" (pvgpud), "pause" (this guest, while the neighbour opens a session), "save" (this guest,
 * which is restored with its vGPU attached anew), "destroy" (this guest). It returns when that is
 * done. */
void attack_scene(const char *what);
/* The same while `step` goes on, again and again. */
void attack_scene_during(const char *what, void (*step)(struct front *f), struct front *f);

/* Every table ends with a row without a name. */
extern const struct attack attacks_state[], attacks_key[], attacks_ring[], attacks_grant[],
	attacks_chunk[], attacks_session[];

#endif
