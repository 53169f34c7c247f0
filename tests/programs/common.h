/* SPDX-License-Identifier: MIT */
/*
 * Common code of the test programs. A program uses the driver API, checks its results against a
 * computation on the CPU, prints only text that is the same on every run and every device, and ends
 * with 0 when all was right, else with 1 and a line on standard error.
 */
#ifndef PVGPU_TEST_PROGRAM_H
#define PVGPU_TEST_PROGRAM_H

#include <cuda.h>
#include <dlfcn.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NORETURN         __attribute__((noreturn))
#define PRINTF_ARG(f, a) __attribute__((format(printf, f, a)))

/* Print the error and end with 1. */
NORETURN void fail_at(const char *file, int line, const char *format, ...) PRINTF_ARG(3, 4);
#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
/* The same; with PVGPU_TEST_GO_ON in the environment go on, to see at once all that a driver does
 * otherwise. The program may crash then: it says in which call, and leaves the calls out that
 * PVGPU_TEST_SKIP names as "file.c:12 file.c:30", so that the next run gets further. */
void wrong_at(const char *file, int line, const char *format, ...) PRINTF_ARG(3, 4);
#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			wrong_at(__FILE__, __LINE__, __VA_ARGS__);                                 \
	} while (0)

/* The call must give this result; CU() wants success. */
void want_at(const char *file, int line, const char *call, CUresult want, CUresult got);
#define WANT(want, call)                                                                           \
	do {                                                                                       \
		if (asks_at(__FILE__, __LINE__, #call))                                            \
			want_at(__FILE__, __LINE__, #call, want, call);                            \
	} while (0)
/* A call is about to be made here; false: leave it out. */
bool asks_at(const char *file, int line, const char *call);
#define CU(call) WANT(CUDA_SUCCESS, call)
const char *result_name(CUresult r);

/*
 * Does the library look at a handle before it uses it, and at a pointer to write to? pvgpu's does,
 * and the simulated GPU. NVIDIA's driver follows what it is given: a handle that is none, or a
 * destroyed one, crashes it, so a program asks it only for what it can answer.
 */
bool handles_are_checked(void);

/* Kernels: texts in the program, see tests/kernels. */
#define PTX(name)                                                                                  \
	extern const char name[];                                                                  \
	extern const uint64_t name##_size

/* Line-buffered output, cuInit, device 0's primary context made current. */
CUdevice start(void);
/* Release the primary context, which must then be inactive. */
void finish(void);
CUmodule load(const char *image);
CUfunction function(CUmodule module, const char *name);

/* Launch with the addresses of the arguments. */
#define LAUNCH(fn, grid, block, shared, stream, ...)                                               \
	CU(cuLaunchKernel(fn, grid, 1, 1, block, 1, 1, shared, stream, (void *[]){__VA_ARGS__},    \
			  NULL))

/* The path of this program's file; under valgrind /proc/self/exe is valgrind's. */
const char *own_path(void);

/* By how much free memory of this total may shrink although nothing is allocated: on a real GPU
 * what a context takes is counted when the driver's account tells of it. */
size_t counted_late(size_t total);
/* device memory, filled with 0xa5 */
CUdeviceptr device_alloc(size_t bytes);
/* malloc that ends the program rather than fail */
void *host_alloc(size_t bytes);
CUdeviceptr upload(const void *data, size_t bytes);
void download(void *data, CUdeviceptr from, size_t bytes);

/* Blocks a stream until it is opened, by a host function that waits, so no test depends on time. */
struct gate {
	sem_t open;
};
void gate_close(struct gate *g, CUstream stream);
void gate_open(struct gate *g);

/* argv[index] as a number (K, M, G may follow), or the fallback. */
size_t argument(int argc, char **argv, int index, size_t fallback);

/* The same numbers on every run. */
struct random {
	uint64_t state;
};
uint32_t random_next(struct random *r);
void random_fill(void *bytes, size_t len, uint32_t seed);

/* 64-bit FNV-1a: one number for much data, to print */
uint64_t digest(const void *bytes, size_t len);

/* The value that the kernel fill() writes. */
static inline uint32_t fill_value(uint32_t seed, uint32_t i)
{
	return seed + i * 2654435761u;
}

/* Fails unless the words at p are those of fill(). */
void check_filled(CUdeviceptr p, uint32_t words, uint32_t seed, const char *what);

#endif
