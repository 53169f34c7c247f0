/* SPDX-License-Identifier: MIT */
/*
 * The answers of subcommands with --json: one object each, which docs/pvgpuctl.schema.json
 * describes. It begins with its format, a number that grows when a program that reads it has to be
 * changed; new members do not count.
 */
#ifndef PVGPU_CTL_ANSWER_H
#define PVGPU_CTL_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define ANSWER_FORMAT STATISTICS_FORMAT

/* Both print an object and take it over; the second one that has just this member. line: on one
 * line, for those that print several. */
void answer_print(json_t *o, bool line);
void answer_print_list(const char *name, json_t *all, bool line);

/* local_json.c: in types, from the texts of pvgpud's keys. tree: of /, statistics: of the op of
 * that name. New objects. */
json_t *local_vgpu_json(const char *name, json_t *tree, json_t *statistics);
json_t *local_gpu_json(const char *name, json_t *keys);
json_t *local_sessions_json(const char *vgpu, json_t *sessions);

#endif
