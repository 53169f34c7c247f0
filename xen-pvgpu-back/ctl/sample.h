/* SPDX-License-Identifier: MIT */
/* The statistics of vGPUs at one moment, from pvgpud's snapshot or from xenstore. */
#ifndef PVGPU_CTL_SAMPLE_H
#define PVGPU_CTL_SAMPLE_H

#include "xen-pvgpu-back/statistics/statistics.h"

#define SAMPLE_PARTS (PVGPU_PART_P99 + 1)

struct sample_row {
	char name[64];
	uint64_t value[PVGPU_VGPU_N];                   /* 0 where xenstore has none */
	uint64_t part[PVGPU_VGPU_HIST_N][SAMPLE_PARTS]; /* us, by enum pvgpu_statistic_part */
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

#endif
