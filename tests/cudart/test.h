/* SPDX-License-Identifier: MIT */
/*
 * Common code of the runtime's test programs. A program compares the device's results with a
 * computation on the CPU, prints only what is the same on every run and every device, and ends with
 * 0 when all was right, else with 1 and a line on standard error.
 */
#ifndef PVGPU_CUDART_TEST_H
#define PVGPU_CUDART_TEST_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime.h>

__attribute__((noreturn, format(printf, 3, 4))) static inline void
fail_at(const char *file, int line, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}
#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			FAIL(__VA_ARGS__);                                                         \
	} while (0)

/* The call must give this result; RT() wants success. */
#define WANT(want, call)                                                                           \
	do {                                                                                       \
		const cudaError_t got_ = (call);                                                   \
		if (got_ != (want))                                                                \
			FAIL("%s: %s (%d), not %s", #call, cudaGetErrorName(got_), (int)got_,      \
			     cudaGetErrorName(want));                                              \
	} while (0)
#define RT(call) WANT(cudaSuccess, call)
/* After <<<...>>>: the launch was accepted and has ended well. */
#define DONE()                                                                                     \
	do {                                                                                       \
		RT(cudaGetLastError());                                                            \
		RT(cudaDeviceSynchronize());                                                       \
	} while (0)

/* The same numbers on every run. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static inline float next_float(uint64_t *state)
{
	return (float)(next_random(state) % 1000) / 1000.0f;
}

/* Host memory with an array of n elements, and its copy on the device. */
template <class T> struct both {
	size_t n;
	T *host, *dev;

	explicit both(size_t count) : n(count), host((T *)calloc(count, sizeof(T))), dev(NULL)
	{
		CHECK(host, "no memory for %zu elements", count);
		RT(cudaMalloc(&dev, count * sizeof(T)));
	}
	~both()
	{
		cudaFree(dev);
		free(host);
	}
	both(const both &) = delete;
	void up()
	{
		RT(cudaMemcpy(dev, host, n * sizeof(T), cudaMemcpyHostToDevice));
	}
	void down()
	{
		RT(cudaMemcpy(host, dev, n * sizeof(T), cudaMemcpyDeviceToHost));
	}
	/* The device's elements are these, bit for bit. */
	void same(const T *want, const char *what)
	{
		down();
		for (size_t i = 0; i < n; i++)
			if (memcmp(&host[i], &want[i], sizeof(T)))
				FAIL("%s: element %zu of %zu differs", what, i, n);
	}
};

/* 64-bit FNV-1a: one number for much data, to print */
static inline uint64_t digest(const void *bytes, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
	return h;
}

#endif
