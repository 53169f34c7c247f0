/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/strangers.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

#define ROUNDS 3u
#define DEPTH  8u /* of ancestors that are looked at */

void strangers_seen(struct pool *p, uint32_t pid)
{
	struct stranger *place = NULL;

	for (unsigned int i = 0; i < STRANGERS_MAX; i++) {
		struct stranger *s = &p->strangers[i];

		if (s->pid == pid) {
			s->here = true;
			return;
		}
		if (!s->pid && !place)
			place = s;
	}
	if (place && pid)
		*place = (struct stranger){.pid = pid, .here = true};
}

/* Its name, printable, and its parent; false: it is not there. */
static bool look(uint32_t pid, char name[16], uint32_t *parent)
{
	char path[32], text[128] = "", *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	/* "77 (name) S 1": the name may have brackets, what follows has none. */
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %" SCNu32, parent) != 1)
		return false;
	*end = '\0';
	snprintf(name, 16, "%s", strchr(text, '(') ? strchr(text, '(') + 1 : "");
	for (char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	return true;
}

static struct worker *worker_of(const struct daemon *d, uint32_t pid)
{
	struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->pid > 0 && (uint32_t)w->pid == pid)
			return w;
	}
	return NULL;
}

static void alarm_of(struct pool *p, struct stranger *s)
{
	char name[16] = "?", other[16];
	uint32_t parent = 0;
	struct worker *w = NULL;
	bool there = look(s->pid, name, &parent);

	s->told = true;
	/* A child of pvgpud is one of its own helpers, or a worker that has just ended. */
	if (there && parent == (uint32_t)getpid())
		return;
	for (unsigned int i = 0; there && !w && parent > 1 && i < DEPTH; i++) {
		w = worker_of(p->d, parent);
		there = look(parent, other, &parent);
	}
	if (w) {
		faults_kill(w, FAULT_CHEAT, "its child, process %" PRIu32 " (%s), is on the GPU",
			    s->pid, name);
		return;
	}
	log_warning("pool %s: process %" PRIu32 " (%s) is on its GPU and is no worker: what it "
		    "uses there is in no account",
		    p->cfg.name, s->pid, name);
}

void strangers_round(struct pool *p)
{
	for (unsigned int i = 0; i < STRANGERS_MAX; i++) {
		struct stranger *s = &p->strangers[i];

		if (!s->pid)
			continue;
		if (!s->here || (kill((pid_t)s->pid, 0) < 0 && errno == ESRCH)) {
			*s = (struct stranger){0};
			continue;
		}
		s->here = false;
		if (!s->told && ++s->rounds >= ROUNDS)
			alarm_of(p, s);
	}
}

unsigned int strangers_count(const struct pool *p)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < STRANGERS_MAX; i++)
		n += p->strangers[i].pid && p->strangers[i].told;
	return n;
}
