/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config.h"

unsigned int quarantine_count(const struct quarantine *q, const struct quarantine_rule *r,
			      uint64_t now)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->n; i++)
		n += q->at[i] > now || now - q->at[i] < r->window_ms;
	return n;
}

bool quarantine_fault(struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      const char *why)
{
	q->faults++;
	snprintf(q->why, sizeof(q->why), "%s", why);
	if (q->n == QUARANTINE_FAULTS_MAX)
		memmove(q->at, q->at + 1, --q->n * sizeof(q->at[0]));
	q->at[q->n++] = now;
	if (!r->faults || !r->time_ms || quarantine_count(q, r, now) < r->faults)
		return false;
	q->until_ms = now + r->time_ms;
	return true;
}

bool quarantine_holds(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now)
{
	return r->faults && now < q->until_ms;
}

bool quarantine_pardon(struct quarantine *q, uint64_t number)
{
	bool forgives = number > q->pardon && (q->n || q->until_ms);

	if (number > q->pardon) {
		q->n = 0;
		q->until_ms = 0;
	}
	q->pardon = number;
	return forgives;
}

bool quarantine_matters(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now)
{
	return r->faults && (quarantine_holds(q, r, now) || quarantine_count(q, r, now));
}

void quarantine_say(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		    const char *name, char *out, size_t cap)
{
	uint64_t left = q->until_ms > now ? q->until_ms - now : 0;

	snprintf(out, cap,
		 "quarantined for %" PRIu64 " s more, %u faults; pvgpuctl pardon %s; last: %s",
		 (left + 999) / 1000, quarantine_count(q, r, now), name, q->why);
}

void quarantine_identity(const char *name, char out[40])
{
	const char *dash = strrchr(name, '-');

	if (!strncmp(name, CONFIG_XEN_NAME, strlen(CONFIG_XEN_NAME)) && dash)
		snprintf(out, 40, CONFIG_XEN_NAME "%s", dash + 1);
	else
		snprintf(out, 40, "%s", name);
}
