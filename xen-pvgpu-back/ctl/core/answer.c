/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/core/answer.h"

#include <stdio.h>

void answer_print(json_t *o, bool line)
{
	json_t *all = json_pack("{s:i}", "format", ANSWER_FORMAT);

	json_object_update(all, o);
	json_dumpf(all, stdout, (line ? JSON_COMPACT : JSON_INDENT(1)) | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(all);
	json_decref(o);
}

void answer_print_list(const char *name, json_t *all, bool line)
{
	answer_print(json_pack("{s:o}", name, all), line);
}
