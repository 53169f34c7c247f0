/* SPDX-License-Identifier: MIT */
/* The output of the guest's kernels (printf() and failed assertions): output.c. */
#ifndef PVGPU_WORKER_OUTPUT_H
#define PVGPU_WORKER_OUTPUT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gpu;

struct text {
	char *buf;
	size_t len, cap;
	uint64_t lost;
	int fd;
};

struct output {
	pthread_mutex_t lock;
	pthread_t thread;
	int wake[2];
	bool started;
	struct text text[2];
	atomic_bool waiting;
};

/* Before the reply of a synchronising call: take the device's output into the worker's buffers. */
void output_sync(struct gpu *g);
void output_stop(struct gpu *g);

#endif
