/* SPDX-License-Identifier: MIT */
/* What readers of pvgpud's snapshots share: reading one, and its forms as JSON and as metrics. */
#ifndef PVGPU_STATISTICS_H
#define PVGPU_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "xen-pvgpu-back/contract/snapshot.h"

#define STATISTICS_WHY 200
/* Numbers of a histogram, us, by enum pvgpu_statistic_part. */
#define STATISTICS_PARTS (PVGPU_PART_P99 + 1)
/* Of the JSON; it grows when a reader must change. */
#define STATISTICS_FORMAT 1

struct statistics {
	struct pvgpu_snapshot_header *header; /* the memory of all; NULL: none */
	const struct pvgpu_daemon_record *own;
	const struct pvgpu_gpu_record *gpus;
	const struct pvgpu_vgpu_record *vgpus;
	const struct pvgpu_event_record *events; /* the oldest first */
};

/* read.c: from the socket in a run directory, within limit_ms. 0, or a negative errno with a text
 * for people. */
int statistics_read(struct statistics *s, const char *run_dir, int limit_ms,
		    char why[STATISTICS_WHY]);
/* From bytes that are s's then; freed on error, too. */
int statistics_take(struct statistics *s, void *bytes, size_t size, char why[STATISTICS_WHY]);
void statistics_free(struct statistics *s);
/* confidential.c: leaves out what tells of the use of confidential pools. */
void statistics_hide(struct statistics *s);

/* A growing text; bytes NULL: empty, or out of memory when failed. */
struct text {
	char *bytes;
	size_t n, cap;
	int failed;
};
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *t);

/* metrics.c: Prometheus's text format. Of several backends each line has the label backend, as it
 * says; NULL: none has it. */
struct statistics_of {
	const char *backend;
	struct statistics s;
};
void statistics_metrics(struct text *t, const struct statistics *s);
void statistics_metrics_of(struct text *t, const struct statistics_of *of, size_t n);
/* json.c: as docs/statistics.schema.json says; for the vGPU of that name alone, NULL: all. */
void statistics_json(struct text *t, const struct statistics *s, const char *vgpu);
void statistics_parts(const struct pvgpu_latency *l, uint64_t part[STATISTICS_PARTS]);
/* One vGPU of it. part: of its histograms only these are known; NULL: all is. */
void statistics_json_vgpu(struct text *t, const char *name, const struct pvgpu_vgpu_record *v,
			  const uint64_t (*part)[STATISTICS_PARTS]);

#endif
