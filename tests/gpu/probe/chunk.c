/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/chunk.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_BYTES (8ull << 30)
#define NOTHING      (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static char *window;

char *window_get(void)
{
	void *p;

	if (window)
		return window;
	p = mmap(WINDOW_AT, WINDOW_BYTES, PROT_NONE, NOTHING, -1, 0);
	if (p == MAP_FAILED) {
		say_text("window_error", "%s", strerror(errno));
		return NULL;
	}
	window = p;
	return window;
}

void *chunk_map(size_t at, size_t bytes, int *fd)
{
	int mem = memfd_create("gpu-probe", MFD_CLOEXEC);
	void *p = MAP_FAILED;

	if (window_get() && mem >= 0 && !ftruncate(mem, (off_t)bytes))
		p = mmap(window + at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, mem,
			 0);
	if (p == MAP_FAILED)
		say_text("chunk_error", "%zu bytes: %s", bytes, strerror(errno));
	if (fd)
		*fd = mem;
	else if (mem >= 0)
		close(mem);
	return p == MAP_FAILED ? NULL : p;
}

void chunk_unmap(void *chunk, size_t bytes)
{
	if (mmap(chunk, bytes, PROT_NONE, NOTHING | MAP_FIXED, -1, 0) == MAP_FAILED)
		say_text("chunk_error", "unmapping: %s", strerror(errno));
}

void *chunk_new(size_t at, size_t bytes)
{
	void *p = chunk_map(at, bytes, NULL);

	if (!p || !CU(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS))
		return p;
	chunk_unmap(p, bytes);
	return NULL;
}

void chunk_free(void *chunk, size_t bytes)
{
	CU(cuMemHostUnregister, chunk);
	chunk_unmap(chunk, bytes);
}

bool words_make(struct words *w)
{
	w->fill = cuda_kernel(ptx_vector, "fill");
	w->increment = cuda_kernel(ptx_vector, "increment");
	w->verify = cuda_kernel(ptx_vector, "verify");
	return w->fill && w->increment && w->verify && !CU(cuMemAlloc_v2, &w->wrong, 4);
}

static CUresult run(CUfunction f, void **params)
{
	CUresult r = CU(cuLaunchKernel, f, 64, 1, 1, 256, 1, 1, 0, NULL, params, NULL);

	return r ? r : CU(cuCtxSynchronize);
}

CUresult words_fill(const struct words *w, CUdeviceptr at, size_t bytes, uint32_t seed)
{
	uint32_t n = (uint32_t)(bytes / 4);

	return run(w->fill, (void *[]){&at, &n, &seed});
}

CUresult words_increment(const struct words *w, CUdeviceptr at, size_t bytes)
{
	uint32_t n = (uint32_t)(bytes / 4);

	return run(w->increment, (void *[]){&at, &n});
}

int64_t words_verify(const struct words *w, CUdeviceptr at, size_t bytes, uint32_t seed)
{
	uint32_t n = (uint32_t)(bytes / 4), wrong = 0;
	CUdeviceptr to = w->wrong;

	if (CU(cuMemsetD32_v2, to, 0, 1) || run(w->verify, (void *[]){&at, &n, &seed, &to}) ||
	    CU(cuMemcpyDtoH_v2, &wrong, to, 4))
		return -1;
	return wrong;
}

static uint32_t word(uint32_t seed, size_t i)
{
	return seed + (uint32_t)i * 2654435761u;
}

void host_fill(void *p, size_t bytes, uint32_t seed)
{
	uint32_t *w = p;

	for (size_t i = 0; i < bytes / 4; i++)
		w[i] = word(seed, i);
}

int64_t host_verify(const void *p, size_t bytes, uint32_t seed, uint32_t more)
{
	const volatile uint32_t *w = p;
	int64_t wrong = 0;

	for (size_t i = 0; i < bytes / 4; i++)
		wrong += w[i] != word(seed, i) + more;
	return wrong;
}
