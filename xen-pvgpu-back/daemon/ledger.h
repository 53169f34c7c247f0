/* SPDX-License-Identifier: MIT */
/*
 * Device memory, as pvgpud keeps count of it: per vGPU what its sessions have leased, per session
 * its part. Workers are not believed: nothing becomes negative, wraps, or exceeds the quota on
 * their word.
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
/* All of it or nothing. *leased is the session's part. */
bool ledger_take(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* 0, or -EPROTO when the session has not that much: then nothing changes. */
int ledger_give(struct ledger *l, uint64_t *leased, uint64_t bytes);
/* The session is gone. */
void ledger_end(struct ledger *l, uint64_t *leased);
/* A session that ran before this pvgpud did says what it has; no more than limit can be true. 0 or
 * -EPROTO. */
int ledger_adopt(struct ledger *l, uint64_t *leased, uint64_t bytes, uint64_t limit);

#endif
