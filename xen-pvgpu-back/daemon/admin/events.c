/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/admin/events.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/contract/log.h"

static struct pvgpu_event_record kept[EVENTS_KEPT];
static uint64_t made; /* the number of the next one */

static void take(enum log_level level, const char *text)
{
	struct pvgpu_event_record *e = &kept[made % EVENTS_KEPT];
	struct timespec t;

	if (level > LOG_LEVEL_INFO)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	e->number = made++;
	e->realtime_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	snprintf(e->level, sizeof(e->level), "%s", log_level_name(level));
	snprintf(e->text, sizeof(e->text), "%.*s", (int)sizeof(e->text) - 1, text);
	/* Parts of lines are a guest's or a library's words. */
	for (char *p = e->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

void events_start(void)
{
	log_set_tap(take);
}

unsigned int events_last(struct pvgpu_event_record *out, unsigned int n)
{
	if (n > made)
		n = (unsigned int)made;
	if (n > EVENTS_KEPT)
		n = EVENTS_KEPT;
	for (unsigned int i = 0; i < n; i++)
		out[i] = kept[(made - n + i) % EVENTS_KEPT];
	return n;
}

json_t *events_json(uint64_t from)
{
	const uint64_t oldest = made > EVENTS_KEPT ? made - EVENTS_KEPT : 0;
	uint64_t lost = 0;
	json_t *list = json_array();

	/* A number of a former pvgpud: from the beginning. */
	if (from > made)
		from = oldest;
	if (from < oldest) {
		lost = from ? oldest - from : 0;
		from = oldest;
	}
	for (uint64_t i = from; i < made; i++) {
		const struct pvgpu_event_record *e = &kept[i % EVENTS_KEPT];

		json_array_append_new(list, json_pack("{s:I, s:f, s:s, s:s}", "number",
						      (json_int_t)e->number, "time",
						      (double)e->realtime_ns * 1e-9, "level",
						      e->level, "text", e->text));
	}
	return json_pack("{s:I, s:I, s:o}", "next", (json_int_t)made, "lost", (json_int_t)lost,
			 "events", list);
}
