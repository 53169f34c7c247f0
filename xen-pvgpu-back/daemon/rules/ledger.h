/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's account of device memory: the bytes leased by a vGPU's sessions together and by each
 * session. Numbers come from workers, which may be hostile: no count can become negative, wrap, or
 * exceed the quota.
 */
#ifndef PVGPU_LEDGER_H
#define PVGPU_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger {
	uint64_t quota,
		used; /* bytes; used may exceed a quota that was lowered while sessions ran */
};

uint64_t ledger_free(const struct ledger *l);
/* Takes all of it or nothing. *leased is the session's part. */
bool ledger_take(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* 0, or -EPROTO with nothing changed when the session has not leased that much. */
int ledger_give(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* The session has ended: returns all that it leased. */
void ledger_end(struct ledger *l, uint64_t *leased);
/* Takes over the lease of an adopted session, as a former pvgpud recorded it. */
void ledger_adopt(struct ledger *l, uint64_t *leased, uint64_t bytes);

#endif
