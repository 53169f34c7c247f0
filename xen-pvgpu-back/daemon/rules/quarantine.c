/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config.h"

/* Faults of one user that count. */
static unsigned int most_of_user(const struct quarantine_rule *r)
{
	return r->faults > 1 ? r->faults - 1 : 1;
}

static bool in_window(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      unsigned int i)
{
	return q->at[i] > now || now - q->at[i] < r->window_ms;
}

/* Faults of this user in the window, from the i-th on. */
static unsigned int of_user(const struct quarantine *q, const struct quarantine_rule *r,
			    uint64_t now, uint32_t user, unsigned int i)
{
	unsigned int n = 0;

	for (; i < q->n; i++)
		n += q->user[i] == user && in_window(q, r, now, i);
	return n;
}

unsigned int quarantine_count(const struct quarantine *q, const struct quarantine_rule *r,
			      uint64_t now)
{
	const unsigned int most = most_of_user(r);
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->n; i++)
		if (in_window(q, r, now, i))
			n += q->user[i] == QUARANTINE_NOBODY ||
			     of_user(q, r, now, q->user[i], i) <= most;
	return n;
}

static void forget(struct quarantine *q, unsigned int i)
{
	q->n--;
	memmove(q->at + i, q->at + i + 1, (q->n - i) * sizeof(q->at[0]));
	memmove(q->user + i, q->user + i + 1, (q->n - i) * sizeof(q->user[0]));
}

/* A user's faults beyond those that count take the place of its own, not of others'. */
static bool make_room(struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      uint32_t user)
{
	bool beyond = user && of_user(q, r, now, user, 0) >= most_of_user(r);
	unsigned int i = 0;

	while (beyond && i < q->n && q->user[i] != user)
		i++;
	if (beyond || q->n == QUARANTINE_FAULTS_MAX)
		forget(q, i);
	return beyond && r->faults > 1;
}

bool quarantine_fault(struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		      uint32_t user, const char *why)
{
	bool own = make_room(q, r, now, user);

	q->faults++;
	snprintf(q->why, sizeof(q->why), "%s", why);
	q->user[q->n] = user;
	q->at[q->n++] = now;
	if (own || !r->faults || !r->time_ms || quarantine_count(q, r, now) < r->faults)
		return false;
	q->until_ms = now + r->time_ms;
	return true;
}

bool quarantine_holds(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now)
{
	return r->faults && now < q->until_ms;
}

uint64_t quarantine_user_ms(const struct quarantine *q, const struct quarantine_rule *r,
			    uint64_t now, uint32_t user)
{
	unsigned int n = 0;
	uint64_t last = 0;

	if (user == QUARANTINE_NOBODY || !r->faults)
		return 0;
	for (unsigned int i = q->n; i-- > 0 && n < most_of_user(r);) {
		if (q->user[i] != user)
			continue;
		if (!n++)
			last = q->at[i];
		if (last - q->at[i] >= r->window_ms)
			return 0;
	}
	if (n < most_of_user(r) || now >= last + r->time_ms)
		return 0;
	return last + r->time_ms - now;
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
	if (!r->faults)
		return false;
	for (unsigned int i = 0; i < q->n; i++)
		if (quarantine_user_ms(q, r, now, q->user[i]))
			return true;
	return quarantine_holds(q, r, now) || quarantine_count(q, r, now);
}

void quarantine_say(const struct quarantine *q, const struct quarantine_rule *r, uint64_t now,
		    const char *name, char *out, size_t cap)
{
	uint64_t left = q->until_ms > now ? q->until_ms - now : 0;
	const unsigned int n = quarantine_count(q, r, now);

	snprintf(out, cap,
		 "quarantined for %" PRIu64 " s more, %u fault%s; pvgpuctl pardon %s; last: %s",
		 (left + 999) / 1000, n, n == 1 ? "" : "s", name, q->why);
}

void quarantine_say_user(uint64_t left_ms, const char *name, char *out, size_t cap)
{
	snprintf(out, cap, "this user is quarantined for %" PRIu64 " s more; pvgpuctl pardon %s",
		 (left_ms + 999) / 1000, name);
}

void quarantine_identity(const char *name, char out[40])
{
	const char *dash = strrchr(name, '-');

	if (!strncmp(name, CONFIG_XEN_NAME, strlen(CONFIG_XEN_NAME)) && dash)
		snprintf(out, 40, CONFIG_XEN_NAME "%s", dash + 1);
	else
		snprintf(out, 40, "%s", name);
}
