/* SPDX-License-Identifier: MIT */
/* Running PTX texts in unit tests of the engine. */
#ifndef PVGPU_TESTS_UNIT_PTX_CASE_H
#define PVGPU_TESTS_UNIT_PTX_CASE_H

#include "tests/simcuda/ptx/ptx.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PTX_HEAD ".version 8.0\n.target sm_90\n.address_size 64\n"

/* A module bound to addresses, with the data of a launch. */
struct ptx_world {
	struct ptx_module *m;
	struct ptx_image *img;
	struct ptx_env env;
	struct ptx_launch launch;
	uint8_t params[32768];
	uint8_t *mem; /* the memory that kernels may access; globals lie at its start */
	size_t mem_size, used;
	char printed[65536];
	size_t printed_len;
	uint64_t now_ns; /* the device's time, set by the test; 0: real */
	uint64_t budget;
	uint64_t checks; /* calls of mem_check */
};

void world_open(struct ptx_world *w, const char *text);
/* target replaces what follows "sm_" in the file, two digits. */
void world_open_file(struct ptx_world *w, const char *path, const char *target);
void world_close(struct ptx_world *w);
/* size bytes that kernels may use, aligned to 256. */
void *world_alloc(struct ptx_world *w, size_t size);
void world_kernel(struct ptx_world *w, const char *name);
void world_param(struct ptx_world *w, uint32_t i, const void *value);
void world_param_u64(struct ptx_world *w, uint32_t i, uint64_t value);
void world_param_u32(struct ptx_world *w, uint32_t i, uint32_t value);
void world_param_ptr(struct ptx_world *w, uint32_t i, const void *p);
/* Run the whole grid, sleeping when the engine returns PTX_SLEEPING; the last step's result. */
enum ptx_step world_run(struct ptx_world *w, struct ptx_fault *fault);
/* The same, for kernels that must end well. */
void world_run_ok(struct ptx_world *w);

/*
 * One instruction (or a few) on the registers 0 to 2 of each class, such as %w0 to %w2. The result
 * is in register 3 of the class `result`: h, w, d (16, 32, 64 bits) or p (a predicate, 0 or 1).
 */
struct insn_case {
	const char *text;
	uint64_t a, b, c, expect;
	char result;
};
/* With a full warp, and with every second lane, where the other lanes must keep their values. */
void run_insn_cases(const struct insn_case *cases, size_t n);

/*
 * Statements on registers 0 to 2 of each class (and %p0: is the third not 0), with the result in
 * register 3 of the class `result`, for one thread an input.
 */
void run_threads(const char *insn, char result, const uint64_t (*in)[3], uint64_t *out, uint32_t n);
void expect_value(const char *insn, const uint64_t in[3], uint64_t got, uint64_t want);

/* PTX_INVALID, and the log has this line. */
void expect_invalid(const char *text, const char *log_part);

#define CASE_COUNT(t) (sizeof(t) / sizeof((t)[0]))

int run_suite(Suite *s);

#endif
