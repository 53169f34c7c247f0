/* SPDX-License-Identifier: MIT */
/*
 * A vGPU whose sessions keep doing harm gets no new ones for a while. Pure: times are milliseconds
 * of a clock that does not go back and outlives pvgpud (CLOCK_BOOTTIME).
 *
 * Faults are counted in a sliding window. When there are enough of them, new sessions are refused
 * for a time that begins anew with each further fault; those that run go on. An operator's pardon
 * ends it, and what was counted is forgotten.
 */
#ifndef PVGPU_QUARANTINE_H
#define PVGPU_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is counted. */
enum fault {
	FAULT_NONE,
	FAULT_WATCHDOG, /* work beyond the kernel limit */
	FAULT_PROTOCOL, /* its guest or its worker broke a protocol */
	FAULT_CHEAT,    /* its worker used what it was not given */
	FAULT_KERNEL,   /* a kernel of it went wrong: harms nobody else, counted if wanted */
	FAULTS
};

#define QUARANTINE_FAULTS_MAX 64u
#define QUARANTINE_WHY        96

struct quarantine_rule {
	unsigned int faults; /* that are too many; 0: never */
	uint64_t window_ms;  /* within this */
	uint64_t time_ms;    /* refused for so long */
};

struct quarantine {
	uint64_t faults; /* ever */
	unsigned int n;
	uint64_t at[QUARANTINE_FAULTS_MAX]; /* the latest, oldest first */
	uint64_t until_ms;                  /* 0: was never quarantined, or is pardoned */
	uint64_t pardon;                    /* the operator's number, as last seen */
	char why[QUARANTINE_WHY];           /* the last fault */
};

/* One more: true when the vGPU is quarantined by it (and was not, or would have been free sooner).
 */
bool quarantine_fault(struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      const char *why);
bool quarantine_holds(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now);
/* The operator's number is this: true when it was raised and something was forgiven. */
bool quarantine_pardon(struct quarantine *q, uint64_t number);
/* Faults that count now. */
unsigned int quarantine_count(const struct quarantine *q, const struct quarantine_rule *r,
			      uint64_t now);
/* Is there something that a later pvgpud must know? */
bool quarantine_matters(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now);
/* Why a session is refused, the most important first: a Xen guest gets 47 bytes of it. */
void quarantine_say(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		    const char *name, char *out, size_t cap);
/*
 * Who is remembered when the vGPU is gone and comes again: a Xen guest's name has its domain's
 * number, which is another after each start, so the digits of the UUID are what counts.
 */
void quarantine_identity(const char *name, char out[40]);

#endif
