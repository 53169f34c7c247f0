/* SPDX-License-Identifier: MIT */
/*
 * gpu-trace: the system calls, files and ioctls of a command, folded, before and after it seals
 * itself. Nothing here grows with the number of calls.
 */
#ifndef PVGPU_TRACE_H
#define PVGPU_TRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum phase { BEFORE, AFTER, PHASES };

/* What is told of a call beyond its name; a list for each. */
enum group { FILES, IOCTLS, MAPS, DETAILS, GROUPS };

struct errors {
	struct {
		uint32_t times;
		int number;
	} each[4];
	uint64_t other; /* of more errors than these */
};

/* What a row is about; a and b say how: flags, operation, request. */
struct key {
	enum group group;
	char call[24], name[160], a[192], b[112];
};

struct row {
	struct key key;
	uint64_t count, bytes;
	struct errors errors;
};

struct call {
	uint64_t count;
	struct errors errors;
};

/* ---- table.c ---- */
/* Rows and calls stay where they are. Where a table is full, all others share one row. */
struct row *table_row(enum phase p, const struct key *k);
struct call *table_call(enum phase p, uint64_t nr);
void table_error(struct errors *e, int number);
/* {"calls": [...], "files": [...], ...} of a phase. */
json_t *table_json(enum phase p);
/* The name of a system call; NULL where it has none. */
const char *call_name(uint64_t nr);

/* ---- mask.c ---- */
/* A path, or what readlink says of a file descriptor, without what names a machine or a person. */
void mask_path(const char *path, char *out, size_t cap);

/* ---- words.c ---- */
struct word {
	uint64_t value;
	const char *text;
};
extern const struct word words_open[], words_prot[], words_map[], words_clone[], words_fcntl[],
	words_prctl[], words_madvise[], words_futex[], words_family[], words_socket[],
	words_memfd[], words_rlimit[];
/* Appended to `out`: names of bits joined by |, or of one value; what has no name as a number. */
void words_bits(char *out, size_t cap, const struct word *w, uint64_t value);
void words_one(char *out, size_t cap, const struct word *w, uint64_t value);

/* ---- calls.c ---- */
struct entry {
	pid_t tid, pid;
	uint64_t nr, args[6];
};
/* What is to be told of a call that begins; false: no more than its name. */
bool calls_key(const struct entry *e, struct key *k);

/* ---- follow.c ---- */
struct follow {
	pid_t pid;       /* the command's */
	int folder;      /* where the output goes ... */
	const char *out; /* ... and its name there */
	const char *command, *seal;
	bool registers; /* PTRACE_GETREGS even where there is PTRACE_GET_SYSCALL_INFO */
};
/* Attach to the command's process, and let it go on; 0 or a negative errno. */
int follow_attach(const struct follow *f);
/* Until all are gone, or SIGTERM comes. */
void follow_run(void);

/* ---- summary.c ---- */
/* What a list of allowed calls needs, of such an output; an exit status. */
int summary_print(const char *path);

#endif
