/* SPDX-License-Identifier: MIT */
/* What the commands of gpu-meter share. */
#ifndef PVGPU_METER_H
#define PVGPU_METER_H

#include <cuda.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A line's words behind the command; a missing one is "". */
#define WORDS 8
struct words {
	int n;
	const char *word[WORDS];
};
uint64_t number(const struct words *w, int i, uint64_t fallback);

/* A command says what it found and returns how it ended. */
typedef CUresult command_fn(const struct words *w);

/* ---- the answer (say.c) ---- */
void say_int(const char *key, int64_t value);
void say_num(const char *key, double value);
void say_text(const char *key, const char *text);
void say_json(const char *key, json_t *value);
/* Of n times in ns: <key>_p50_ns, <key>_p99_ns, <key>_min_ns, <key>_max_ns. Sorts them. */
void say_times(const char *key, uint64_t *ns, size_t n);
void answer_begin(const char *command);
void answer_end(CUresult r);
/* The call that failed: for the answer. */
void say_failed(const char *call);
#define TRY(call)                                                                                  \
	do {                                                                                       \
		CUresult try_ = (call);                                                            \
		if (try_ != CUDA_SUCCESS) {                                                        \
			say_failed(#call);                                                         \
			return try_;                                                               \
		}                                                                                  \
	} while (0)

uint64_t now_ns(void);
void sleep_until(uint64_t ns);

/* ---- kernels (session.c) ---- */
/* A stream of this program's own that does not wait for the legacy one. */
CUresult own_stream(CUstream *s);
CUresult launch_empty(CUstream s);
/* A kernel that takes `us` on an idle GPU: so many iterations of arithmetic, as `calibrate` said,
 * or for 0 naps, which take next to no CPU time where the GPU is a simulated one, but are of about
 * that length only on others. */
CUresult launch_work(CUstream s, uint64_t us, uint32_t iterations);
CUresult launch_iterations(CUstream s, uint32_t iterations);

/* ---- memory.c ---- */
/* Says how many of n bytes are not 0, and how many are `what`. */
CUresult scan(CUdeviceptr at, size_t n, unsigned char what);

/* ---- the commands; main.c says what they do ---- */
command_fn do_open, do_again, do_where, do_close;     /* session.c */
command_fn do_launch, do_awaited, do_sync, do_event;  /* rate.c */
command_fn do_copy, do_d2d, do_hostreg, do_release;   /* copy.c */
command_fn do_calibrate, do_busy, do_latency, do_nap; /* busy.c */
command_fn do_memory, do_alloc, do_pin, do_free, do_fill, do_scan, do_scanpin,
	do_limit;                                     /* memory.c */
command_fn do_variable, do_unload, do_stain, do_look; /* module.c */

#endif
