/* SPDX-License-Identifier: MIT */
/*
 * <run_dir>/held: what each session holds, as pvgpud has granted it: device memory, the grants of
 * its ring and its arena's chunks. Every change is written before it takes effect, so that the next
 * pvgpud knows without asking the workers. A write to the file survives the end of the process; the
 * file is of one boot of the machine, as the sessions are.
 */
#ifndef PVGPU_HELD_H
#define PVGPU_HELD_H

#include <stdbool.h>
#include <stdint.h>

#define HELD_CHUNKS 4096u /* of one session */
#define HELD_DEVICE 64u

struct held_file;
struct held; /* the record of one session; NULL in the functions below: not recorded */

struct held_session {
	uint32_t id;              /* the session's number; 0: a free place */
	uint32_t ring_pages;      /* grants of its ring; 0: local link */
	uint64_t guest;           /* the guest's pid; on the Xen link its number of the session */
	uint64_t started_ms;      /* CLOCK_BOOTTIME */
	uint64_t leased;          /* bytes of device memory */
	uint32_t user;            /* of the guest, as in rules/quarantine.h */
	uint32_t pid;             /* of its worker */
	uint64_t start;           /* process_started of that */
	uint64_t closed;          /* 1: the worker was told that its guest has closed the session */
	char device[HELD_DEVICE]; /* of its pool, as configured; "": not known */
};

enum held_state {
	HELD_UNSURE, /* a request about it was not answered yet */
	HELD_THERE,
	HELD_LOST, /* the worker says it could not map it: its grants count while the worker lives
		    */
	HELD_MAPPING, /* no worker has been given its file: nothing is left of it when pvgpud ends
		       */
};

struct held_chunk {
	uint64_t address;
	uint32_t pages; /* 0: a free place */
	uint32_t state; /* enum held_state */
};

/* NULL: it cannot be made; errno says why. */
struct held_file *held_open(const char *run_dir);
/* remove: no later pvgpud will need it. */
void held_close(struct held_file *f, const char *run_dir, bool remove);

/* NULL: it cannot be written. */
struct held *held_begin(struct held_file *f, const struct held_session *s);
/* The record that a former pvgpud wrote; NULL: none. Each is taken once. */
struct held *held_take(struct held_file *f, uint32_t id);
/* The device of a record that held_take has not returned; "": none, or not known. */
void held_device(const struct held_file *f, uint32_t id, char out[HELD_DEVICE]);
/* A record that held_take has not returned; it is forgotten. False: there is none. */
bool held_rest(struct held_file *f, struct held_session *out);
/* The session is over. */
void held_end(struct held *h);
/* This pvgpud ends, the record stays. */
void held_leave(struct held *h);
const struct held_session *held_session(const struct held *h);
/* 0, or -errno with nothing changed. */
int held_set_leased(struct held *h, uint64_t bytes);
void held_set_closed(struct held *h);
/* The chunk's place, or -errno. */
int held_add(struct held *h, uint64_t address, uint32_t pages);
void held_mark(struct held *h, int place, enum held_state state);
void held_remove(struct held *h, int place);
/* A number that no other chunk on record has, and that the next pvgpud gives it, too. */
uint64_t held_number(const struct held *h, int place);
/* The first place from `from` on that has a chunk; HELD_CHUNKS: none. */
unsigned int held_next(const struct held *h, unsigned int from);
/* The chunk at that place; false: none. */
bool held_chunk(const struct held *h, unsigned int place, struct held_chunk *out);

#endif
