/* SPDX-License-Identifier: MIT */
/*
 * The reset of a pool's GPU, which an operator has drained and asks for by the key
 * /pool/NAME/reset. Workers of the pool and pvgpu-health end, since the driver resets no GPU that a
 * process has open. Then the command of `gpu_reset` runs, in a process of its own that may hang;
 * workers and pvgpu-health start again, and a right answer of the canary takes the GPU back into
 * use. At each fault, and when its time is over, the GPU stays drained, with the reason in its
 * health.
 */
#ifndef PVGPU_RESET_H
#define PVGPU_RESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon;
struct pool;

/* 0, or -1 with the reason why not. */
int reset_start(struct pool *p, char *why, size_t cap);
/* From its start to its end. */
bool reset_runs(const struct pool *p);
/* The process of its command, and when that started (core/process.h); 0: none runs. */
pid_t reset_process(const struct pool *p, uint64_t *started);
/* A former pvgpud's, which is on record. As long as it runs the GPU has no worker, is not admitted
 * and not reset; then it stays drained, since how the reset ended is not known. */
void reset_resume(struct pool *p, pid_t pid, uint64_t started);
/* "", "running: ...", "done" or "failed: why". */
void reset_text(const struct pool *p, char *out, size_t cap);
/* pvgpud ends. A command that runs goes on, and is on record. */
void reset_stop(struct daemon *d);

#endif
