/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"

#define STEP_MS 250

static void print_event(json_t *e)
{
	const time_t at = (time_t)json_number_value(json_object_get(e, "time"));
	char text[40];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s %-7s %s\n", text, local_text(e, "level"), local_text(e, "text"));
}

/* The first answer has all that pvgpud remembers; later ones what is new. */
int local_events(int argc, char **argv)
{
	json_int_t from = 0;

	for (;;) {
		int status = EXIT_DONE;
		json_t *answer =
			local_ask(json_pack("{s:s, s:I}", "op", "events", "from", from), &status);
		json_t *log = json_object_get(answer, "log"), *e;
		size_t i;

		if (!answer)
			return status;
		if (json_integer_value(json_object_get(log, "lost")) > 0)
			fprintf(stderr, "pvgpuctl: some events were lost: they came too fast\n");
		json_array_foreach(json_object_get(log, "events"), i, e)
		{
			if (ctl.json)
				answer_print(json_incref(e), true);
			else
				print_event(e);
		}
		from = json_integer_value(json_object_get(log, "next"));
		json_decref(answer);
		fflush(stdout);
		if (!ctl.follow)
			return EXIT_DONE;
		local_pause(STEP_MS);
	}
}
