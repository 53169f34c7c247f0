/* SPDX-License-Identifier: MIT */
/* Copies, of which every byte is checked afterwards. */
#include "tests/gpu/meter/meter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PART ((size_t)4 << 20) /* what is checked at once */

/* Kept for the next command of the same kind and size: two meters that take turns would else mostly
 * allocate. */
static struct buffers {
	size_t bytes;
	bool pinned;
	void *host;
	CUdeviceptr device;
} kept;

static uint64_t pattern(uint64_t seed, uint64_t i)
{
	return (i + seed) * 0x9e3779b97f4a7c15u;
}

static void write_pattern(uint64_t *p, uint64_t from, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		p[i] = pattern(seed, from + i);
}

static size_t wrong_words(const uint64_t *p, uint64_t from, size_t bytes, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < bytes / 8; i++)
		wrong += p[i] != pattern(seed, from + i);
	return wrong;
}

static void *pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static CUresult release(void)
{
	const struct buffers b = kept;

	memset(&kept, 0, sizeof(kept));
	if (b.host && !b.pinned)
		munmap(b.host, b.bytes);
	else if (b.host)
		TRY(cuMemFreeHost(b.host));
	if (b.device)
		TRY(cuMemFree(b.device));
	return CUDA_SUCCESS;
}

CUresult do_release(const struct words *w)
{
	return release();
}

static CUresult take_buffers(size_t bytes, bool pinned)
{
	uint64_t t = now_ns();

	if (kept.bytes == bytes && kept.pinned == pinned && kept.device)
		return CUDA_SUCCESS;
	TRY(release());
	kept = (struct buffers){.bytes = bytes, .pinned = pinned};
	if (pinned)
		TRY(cuMemHostAlloc(&kept.host, bytes, 0));
	else
		kept.host = pages(bytes);
	if (!kept.host)
		return CUDA_ERROR_OUT_OF_MEMORY;
	say_int("host_alloc_ns", (int64_t)(now_ns() - t));
	/* Touched by now: Linux's work at the first touch must not count as copying. */
	memset(kept.host, 0, bytes);
	TRY(cuMemAlloc(&kept.device, bytes));
	return CUDA_SUCCESS;
}

/* Fill device memory with the pattern or count the words there that differ, a part at a time. */
static CUresult each_part(CUdeviceptr d, size_t bytes, uint64_t seed, size_t *wrong)
{
	uint64_t *part = malloc(PART);
	CUresult r = part ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

	for (size_t at = 0; at < bytes && r == CUDA_SUCCESS; at += PART) {
		const size_t n = bytes - at < PART ? bytes - at : PART;

		if (wrong) {
			r = cuMemcpyDtoH(part, d + at, n);
			*wrong += wrong_words(part, at / 8, n, seed);
		} else {
			write_pattern(part, at / 8, n, seed);
			r = cuMemcpyHtoD(d + at, part, n);
		}
	}
	if (r == CUDA_SUCCESS)
		r = cuStreamSynchronize(NULL);
	free(part);
	return r;
}

/* With its end: a synchronous copy from pageable memory may return before the bytes are there. */
static CUresult copy(bool to_device, bool async, CUstream s)
{
	if (async && to_device)
		TRY(cuMemcpyHtoDAsync(kept.device, kept.host, kept.bytes, s));
	else if (async)
		TRY(cuMemcpyDtoHAsync(kept.host, kept.device, kept.bytes, s));
	else if (to_device)
		TRY(cuMemcpyHtoD(kept.device, kept.host, kept.bytes));
	else
		TRY(cuMemcpyDtoH(kept.host, kept.device, kept.bytes));
	return CUDA_SUCCESS;
}

static void say_rate(const char *key, size_t bytes, uint64_t ns)
{
	say_num(key, ns ? (double)bytes / (double)ns : 0);
}

static CUresult copy_times(bool to_device, CUstream s, uint64_t *t, uint64_t n)
{
	CUstream in = kept.pinned ? s : NULL;
	uint64_t begun;

	for (uint64_t i = 0; i < n; i++) {
		begun = now_ns();
		TRY(copy(to_device, kept.pinned, in));
		TRY(cuStreamSynchronize(in));
		t[i] = now_ns() - begun;
	}
	say_times("copy", t, n);
	say_rate("copy_gbps", kept.bytes, t[(n - 1) / 2]);
	if (!kept.pinned)
		return CUDA_SUCCESS;
	begun = now_ns();
	for (uint64_t i = 0; i < n; i++)
		TRY(copy(to_device, true, in));
	TRY(cuStreamSynchronize(in));
	say_rate("row_gbps", kept.bytes * n, now_ns() - begun);
	return CUDA_SUCCESS;
}

static CUresult copy_checked(bool to_device, uint64_t *t, uint64_t n)
{
	static uint64_t seed;
	size_t wrong = 0;
	CUstream s;

	seed++;
	TRY(own_stream(&s));
	if (to_device)
		write_pattern(kept.host, 0, kept.bytes, seed);
	else
		TRY(each_part(kept.device, kept.bytes, seed, NULL));
	if (!to_device)
		memset(kept.host, 0, kept.bytes);
	TRY(copy_times(to_device, s, t, n));
	if (to_device)
		TRY(each_part(kept.device, kept.bytes, seed, &wrong));
	else
		wrong = wrong_words(kept.host, 0, kept.bytes, seed);
	say_int("wrong_words", (int64_t)wrong);
	return CUDA_SUCCESS;
}

CUresult do_copy(const struct words *w)
{
	const uint64_t bytes = number(w, 2, 0) & ~(uint64_t)7, n = number(w, 3, 0);
	uint64_t *t;
	CUresult r;

	if (!bytes || !n)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(take_buffers(bytes, !strcmp(w->word[1], "pinned")));
	t = calloc(n, sizeof(*t));
	r = t ? copy_checked(!strcmp(w->word[0], "h2d"), t, n) : CUDA_ERROR_OUT_OF_MEMORY;
	free(t);
	return r;
}

static CUresult d2d_times(CUdeviceptr from, CUdeviceptr to, size_t bytes, uint64_t n)
{
	size_t wrong = 0;
	uint64_t begun;
	CUstream s;

	TRY(own_stream(&s));
	TRY(each_part(from, bytes, n, NULL));
	begun = now_ns();
	for (uint64_t i = 0; i < n; i++)
		TRY(cuMemcpyDtoDAsync(to, from, bytes, s));
	TRY(cuStreamSynchronize(s));
	say_rate("row_gbps", bytes * n, now_ns() - begun);
	TRY(each_part(to, bytes, n, &wrong));
	say_int("wrong_words", (int64_t)wrong);
	return CUDA_SUCCESS;
}

CUresult do_d2d(const struct words *w)
{
	const uint64_t bytes = number(w, 0, 0) & ~(uint64_t)7, n = number(w, 1, 0);
	CUdeviceptr from = 0, to = 0;
	CUresult r;

	if (!bytes || !n)
		return CUDA_ERROR_INVALID_VALUE;
	r = cuMemAlloc(&from, bytes);
	if (r == CUDA_SUCCESS)
		r = cuMemAlloc(&to, bytes);
	if (r == CUDA_SUCCESS)
		r = d2d_times(from, to, bytes, n);
	cuMemFree(from);
	cuMemFree(to);
	return r;
}

static CUresult register_once(void *p, size_t bytes, CUdeviceptr d, uint64_t t[3])
{
	uint64_t begun = now_ns();

	TRY(cuMemHostRegister(p, bytes, 0));
	t[0] = now_ns() - begun;
	begun = now_ns();
	TRY(cuMemcpyHtoDAsync(d, p, bytes, NULL));
	TRY(cuStreamSynchronize(NULL));
	t[1] = now_ns() - begun;
	begun = now_ns();
	TRY(cuMemHostUnregister(p));
	t[2] = now_ns() - begun;
	return CUDA_SUCCESS;
}

static CUresult register_times(void *p, size_t bytes, CUdeviceptr d, uint64_t n)
{
	static const char *const what[3] = {"register", "registered_copy", "unregister"};
	uint64_t *t = calloc(3 * n, sizeof(*t)), one[3];
	CUresult r = t ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	size_t wrong = 0;

	write_pattern(p, 0, bytes, n);
	for (uint64_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
		r = register_once(p, bytes, d, one);
		for (int k = 0; k < 3; k++)
			t[(uint64_t)k * n + i] = one[k];
	}
	if (r == CUDA_SUCCESS)
		r = each_part(d, bytes, n, &wrong);
	if (r == CUDA_SUCCESS) {
		for (int k = 0; k < 3; k++)
			say_times(what[k], t + (uint64_t)k * n, n);
		say_rate("registered_gbps", bytes, t[n + (n - 1) / 2]);
		say_int("wrong_words", (int64_t)wrong);
	}
	free(t);
	return r;
}

CUresult do_hostreg(const struct words *w)
{
	const uint64_t bytes = number(w, 0, 0) & ~(uint64_t)7, n = number(w, 1, 0);
	void *p = bytes && n ? pages(bytes) : NULL;
	CUdeviceptr d = 0;
	CUresult r;

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	memset(p, 0, bytes);
	r = cuMemAlloc(&d, bytes);
	if (r == CUDA_SUCCESS)
		r = register_times(p, bytes, d, n);
	cuMemFree(d);
	munmap(p, bytes);
	return r;
}
