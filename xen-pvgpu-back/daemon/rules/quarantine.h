/* SPDX-License-Identifier: MIT */
/*
 * A vGPU whose sessions cause faults repeatedly gets no new ones for a while. Pure: times are
 * milliseconds of a clock that does not go back and outlives pvgpud (CLOCK_BOOTTIME).
 *
 * Faults are counted in a sliding window. At the limit new sessions are refused for a time that
 * starts again with each further fault; running sessions go on. An operator's pardon ends the
 * quarantine and clears the count.
 *
 * Users of a guest are told apart by what its kernel says, so that one of them cannot bring
 * quarantine on the others alone: of one user count at most as many faults as leave one more to
 * others, and at that number new sessions are refused to this user. A kernel that lies about its
 * users is held by the count of the vGPU.
 */
#ifndef PVGPU_QUARANTINE_H
#define PVGPU_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of faults. */
enum fault {
	FAULT_NONE,
	FAULT_WATCHDOG, /* work longer than the kernel limit */
	FAULT_PROTOCOL, /* its guest or worker broke a protocol */
	FAULT_CHEAT,    /* its worker used GPU time or memory without right */
	FAULT_ESCAPE,   /* its worker tried to leave its sandbox */
	FAULT_MEMORY,   /* its worker needed more of the backend's memory than it may have */
	FAULT_KERNEL,   /* one of its kernels failed: harms no other vGPU, counted if configured */
	FAULTS
};

#define QUARANTINE_FAULTS_MAX 64u
#define QUARANTINE_WHY        128

/* A user: its uid in the guest, and 1; QUARANTINE_NOBODY: none that is told apart. */
#define QUARANTINE_NOBODY    0u
#define QUARANTINE_USER(uid) ((uint32_t)(uid) + 1)

struct quarantine_rule {
	unsigned int faults; /* faults that lead to quarantine; 0: never */
	uint64_t window_ms;  /* the window */
	uint64_t time_ms;    /* length of the quarantine */
};

struct quarantine {
	uint64_t faults; /* ever */
	unsigned int n;
	uint64_t at[QUARANTINE_FAULTS_MAX];   /* times of the latest faults, oldest first */
	uint32_t user[QUARANTINE_FAULTS_MAX]; /* whose */
	uint64_t until_ms;                    /* 0: never quarantined, or pardoned */
	uint64_t pardon;                      /* the policy's `pardon` as last seen */
	char why[QUARANTINE_WHY];             /* the last fault */
};

/* Counts a fault. True: it starts or prolongs a quarantine. */
bool quarantine_fault(struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      uint32_t user, const char *why);
bool quarantine_holds(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now);
/* Milliseconds for which this user gets no new session; 0: it may have some. */
uint64_t quarantine_user_ms(const struct quarantine *q, const struct quarantine_rule *r,
			    uint64_t now, uint32_t user);
/* Takes the policy's `pardon`. True: it was raised and there were faults to forget. */
bool quarantine_pardon(struct quarantine *q, uint64_t number);
/* Number of faults in the window that count for the vGPU. */
unsigned int quarantine_count(const struct quarantine *q, const struct quarantine_rule *r,
			      uint64_t now);
/* Must a later pvgpud know of it? */
bool quarantine_matters(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now);
/* The reason of a refusal, the most important first: a Xen guest gets 47 bytes of it. */
void quarantine_say(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		    const char *name, char *out, size_t cap);
/* The same for a user. */
void quarantine_say_user(uint64_t left_ms, const char *name, char *out, size_t cap);
/* The name under which faults are kept while the vGPU is gone. The name of a Xen guest's vGPU has
 * the domain's number, which changes with each start, so only the digits of the UUID are used. */
void quarantine_identity(const char *name, char out[40]);

#endif
