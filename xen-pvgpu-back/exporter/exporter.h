/* SPDX-License-Identifier: MIT */
/* pvgpu-exporter: pvgpud's statistics over HTTP. It asks for a snapshot at most once a second,
 * however many ask it, and holds nothing of pvgpud's. */
#ifndef PVGPU_EXPORTER_H
#define PVGPU_EXPORTER_H

#include <stdbool.h>

#include "xen-pvgpu-back/statistics/statistics.h"

#define HISTORY_SAMPLES 60u /* of the status page's curves */
#define HISTORY_STEP_MS 5000

/* source.c: the last snapshot. */
struct source {
	const char *run_dir;
	const char *file;  /* its metrics in place of pvgpud's; NULL: none */
	const char *token; /* that clients must have; NULL: none */
	bool anyone;       /* all clients may have all figures */
	struct statistics now;
	bool local; /* there are vGPUs of the local link, whose users are on this machine */
	long long read_ms, tried_ms;
	char why[STATISTICS_WHY]; /* "": it could be read */
	uint64_t errors;
	/* GPU time of each vGPU at the last samples, the newest last. */
	struct history {
		char name[40];
		uint64_t gpu_us[HISTORY_SAMPLES];
	} * history;
	unsigned int vgpus;
	long long sample_ms[HISTORY_SAMPLES];
	unsigned int samples;
};

long long clock_ms(void);
/* 0, or -1: pvgpud does not answer, and `why` says why. What is of confidential pools is left out.
 */
int source_look(struct source *s);
void source_free(struct source *s);

/* file.c: adds the metrics of s->file. 0, or -1: there are none, or old ones, and `why` says why.
 */
int source_file(struct source *s, struct text *t);

/* page.c: the status page, for people. */
void page_make(struct text *t, const struct source *s);
extern const char page_style[];

/* http.c: -1: the reason is on stderr. */
struct server;
struct server *server_start(const char *listen, struct source *s);
void server_stop(struct server *s);
/* To be called each second: clients whose time is over are dropped. */
void server_look(void);
/* The answer to a GET of this path; its type; the HTTP status. */
unsigned int server_answer(struct source *s, const char *path, struct text *t, const char **type);

#endif
