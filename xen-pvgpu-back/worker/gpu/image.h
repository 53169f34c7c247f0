/* SPDX-License-Identifier: MIT */
/* image.c, for module.c, library.c and link.c */
#ifndef PVGPU_WORKER_IMAGE_H
#define PVGPU_WORKER_IMAGE_H

#include <stdint.h>

#include "side.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct function;
struct gpu;
struct library;

struct image_job {
	struct job job;
	void *obj; /* module or library, referenced */
	uint32_t seq;
	uint64_t addr, len; /* in the arena, pinned until image_fetch */
	char *bytes;
	uint64_t charge;   /* by image_charge */
	uint64_t declared; /* image_declared() */
	unsigned int options;
	int time_at; /* the option that asks for the time, or -1 */
	CUjit_option option[72];
	void *value[72];
	uint32_t info_size, error_size;
	char info[4096], error[4096];
};

/* Pins the image in the arena; NULL when it does not lie there wholly, or without memory. */
struct image_job *image_job_new(struct gpu *g, uint32_t seq, uint64_t addr, uint64_t len,
				uint32_t info, uint32_t error);
int image_options(struct image_job *j, const void *bytes, uint32_t len);
/* Lane for loads: lease, copy, check; CUresult. The pin is gone after it; j->charge is the caller's
 * to give back, also when it fails. */
int image_fetch(struct gpu *g, struct image_job *j);
/* Its parts: lease and copy; check; the options that ask for logs. */
int image_copy(struct gpu *g, struct image_job *j);
int image_check(const struct image_job *j);
void image_logs(struct image_job *j);
/* Side lanes. Images of a session and their variables are leased together, in whole pages: the far
 * end puts many small ones into a page. CUresult. */
int image_charge(struct gpu *g, uint64_t bytes);
void image_uncharge(struct gpu *g, uint64_t bytes);
/* A library is about to be loaded into a context: its variables count in each. CUresult. */
int image_use(struct gpu *g, const struct library *l, const struct ctx *c);
/* The library or the context is gone. Either side lane. */
void image_unuse(struct gpu *g, const void *gone);
float image_time(const struct image_job *j);
uint32_t image_log(const char *log, uint32_t size);
void image_job_free(struct image_job *j);

/* function.c: load its code; a CUresult. Lane for loads. */
int function_load(struct gpu *g, struct function *f);
/* function.c: learn everything about f and write func_info, its parameters and the name. */
int function_info(struct gpu *g, struct function *f, const char *name, void *buf, uint32_t cap,
		  uint32_t *len);

#define INFO_MAX (12u << 10)

#endif
