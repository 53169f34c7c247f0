/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's account of device memory: the bytes leased by a vGPU's sessions together and by each
 * session, and those that the driver counts for their processes beyond that (contexts, what the
 * driver takes for itself). Both count against the quota. Leases are asked for by workers, which
 * may be hostile: no count of them can become negative, wrap, or exceed the quota.
 */
#ifndef PVGPU_LEDGER_H
#define PVGPU_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger {
	uint64_t quota, used; /* bytes leased or parked; may exceed a quota that was lowered while
				 sessions ran */
	uint64_t parked;      /* of these, bytes that lie in host memory */
	uint64_t beyond;      /* bytes that processes have beside their leases */
	uint64_t peak;        /* the most of both together */
};

uint64_t ledger_free(const struct ledger *l);
/* All bytes that count. */
static inline uint64_t ledger_used(const struct ledger *l)
{
	return l->beyond > UINT64_MAX - l->used ? UINT64_MAX : l->used + l->beyond;
}
/* The session's process has so much beside its lease; *beyond is what counted before. */
void ledger_measured(struct ledger *l, uint64_t *beyond, uint64_t bytes);
/* Takes all of it or nothing. *leased is the session's part. */
bool ledger_take(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* 0, or -EPROTO with nothing changed when the session has not leased that much. */
int ledger_give(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* The session parks bytes of its lease: 0, or -EPROTO with nothing changed when it has not leased
 * that much. *parked is the session's part. */
int ledger_park(struct ledger *l, uint64_t *leased, uint64_t *parked, uint64_t bytes);
/* All that it has parked is leased again. */
void ledger_resume(struct ledger *l, uint64_t *leased, uint64_t *parked);
/* The session has ended: returns all that it leased. */
void ledger_end(struct ledger *l, uint64_t *leased);
/* Takes over the lease of an adopted session, as a former pvgpud recorded it. */
void ledger_adopt(struct ledger *l, uint64_t *leased, uint64_t bytes);

#endif
