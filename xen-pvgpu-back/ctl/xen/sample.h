/* SPDX-License-Identifier: MIT */
/* The statistics of vGPUs at one moment, from pvgpud's snapshot or from xenstore. */
#ifndef PVGPU_CTL_SAMPLE_H
#define PVGPU_CTL_SAMPLE_H

#include "xen-pvgpu-back/statistics/statistics.h"

struct sample_row {
	char name[64];
	struct pvgpu_vgpu_record
		of; /* from xenstore: without histograms; what it lacks is unknown */
	uint64_t part[PVGPU_VGPU_HIST_N][STATISTICS_PARTS];
};

struct sample {
	double at; /* seconds */
	size_t n;
	struct sample_row *rows;
	struct statistics s; /* header NULL: from xenstore */
};

/* Each returns an exit status. word NULL: all vGPUs. */
int sample_local(struct sample *s, const char *word);
int sample_xen(struct sample *s, const char *word);
void sample_free(struct sample *s);

/* asked.c: all that the pvgpuds of other domains have. */
struct sample_asked {
	size_t n; /* of those that answered */
	struct statistics_of *of;
	struct asked_domain *domains; /* all that were asked; they hold the names */
};
/* Returns an exit status; where it is that of one that did not answer, the others' are there. */
int sample_asked(struct sample_asked *a);
void sample_asked_free(struct sample_asked *a);

#endif
