/* SPDX-License-Identifier: MIT */
/* The last lines of pvgpud's log, for pvgpuctl events and for snapshots. Lines of level debug are
 * left out. */
#ifndef PVGPU_ADMIN_EVENTS_H
#define PVGPU_ADMIN_EVENTS_H

#include <jansson.h>

#include "xen-pvgpu-back/contract/snapshot.h"

#define EVENTS_KEPT 512u

/* To be called once, before the first line. */
void events_start(void);
/* The newest ones, oldest first, into out; returns their number, at most n. */
unsigned int events_last(struct pvgpu_event_record *out, unsigned int n);
/* {"next": N, "lost": N, "events": [{"number", "time", "level", "text"}]}: those from that number
 * on. */
json_t *events_json(uint64_t from);

#endif
