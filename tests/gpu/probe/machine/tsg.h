/* SPDX-License-Identifier: MIT */
/*
 * Channel groups: what the GPU's own scheduler takes turns between. NVIDIA's kernel driver lets the
 * process that has made one control it. So the probe's own ioctl, which libcuda finds before the C
 * library's, notes the groups that libcuda makes, and these functions speak of them on libcuda's
 * own file. Numbers and layouts are those of NVIDIA's open-gpu-kernel-modules (ctrla06c.h, nvos.h).
 */
#ifndef PVGPU_PROBE_TSG_H
#define PVGPU_PROBE_TSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tsg {
	uint32_t client, object;
	uint32_t engine; /* 1 to 8: graphics and compute */
	int fd;
};

/* libcuda's own requests to the driver so far. */
struct tsg_seen {
	uint64_t allocs, controls; /* objects made, controls of any kind */
	uint64_t slices;           /* time-slices that it set; the last of them in us */
	uint64_t slice_us;
};

/* Groups that exist now; at most `cap`. */
size_t tsg_list(struct tsg *out, size_t cap);
struct tsg_seen tsg_seen(void);

#define TSG_NOT_PERMITTED 0x1b
#define TSG_NOT_SUPPORTED 0x56

/* Each returns the driver's status, 0 for success, or a negative errno of the ioctl. */
int64_t tsg_get_slice(const struct tsg *g, uint64_t *us);
int64_t tsg_set_slice(const struct tsg *g, uint64_t us);
int64_t tsg_get_level(const struct tsg *g, uint64_t *level);
int64_t tsg_set_level(const struct tsg *g, uint64_t level); /* 0 to 2; is said to need privilege */
/* Off the GPU, and wait until it is; it may come back when its turn comes. */
int64_t tsg_preempt(const struct tsg *g, uint32_t timeout_us);
/* Off the list of those that take turns, or on it. */
int64_t tsg_schedule(const struct tsg *g, bool on);

#endif
