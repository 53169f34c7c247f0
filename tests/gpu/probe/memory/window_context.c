/* SPDX-License-Identifier: MIT */
/* The window once there is a context: beside running kernels, and what memory holds. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/probe/memory/window.h"

#define MARK      0xa5
#define SAMPLE    4096u /* bytes that are looked at in every page */
#define LEAVER_MS 30000u

/* ---- beside a kernel ---- */
static bool runs(CUstream stream)
{
	__typeof__(cuStreamQuery) *query =
		(__typeof__(cuStreamQuery) *)cuda_symbol("cuStreamQuery");

	return query && query(stream) == CUDA_ERROR_NOT_READY;
}

/* Does `change` return while a kernel of another stream runs? Its time as <key>_ns. */
static bool waits(CUstream stream, void (*change)(struct piece *, CUdevice), struct piece *p,
		  CUdevice dev, const char *key)
{
	uint64_t began, ended;
	bool still;

	if (!cuda_occupy(stream, opt.quick ? 30 : 300))
		return true;
	began = now_ns();
	change(p, dev);
	ended = now_ns();
	still = runs(stream);
	CU(cuStreamSynchronize, stream);
	say_int(key, (int64_t)(ended - began));
	return !still;
}

static void take(struct piece *p, CUdevice dev)
{
	if (piece_map(p, dev) != CUDA_SUCCESS)
		p->bytes = 0;
}

static void give(struct piece *p, CUdevice dev)
{
	piece_unmap(p);
}

/* Memory comes and goes in the side lane while kernels run. */
static void beside_kernel(CUdevice dev, CUdeviceptr base)
{
	struct piece p = {.at = base + PAGE, .bytes = PAGE};
	CUstream stream;
	bool waited;

	/* The kernel is loaded before; loading may wait, too. */
	if (CU(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS ||
	    !cuda_occupy(stream, 1) || CU(cuStreamSynchronize, stream) != CUDA_SUCCESS)
		return;
	waited = waits(stream, take, &p, dev, "beside_kernel_map_ns");
	if (p.bytes) {
		verdict(ASSUME_map_does_not_wait, !waited, "the kernel %s",
			waited ? "had ended" : "still ran");
		waited = waits(stream, give, &p, dev, "beside_kernel_unmap_ns");
		verdict(ASSUME_unmap_does_not_wait, !waited, "the kernel %s",
			waited ? "had ended" : "still ran");
	}
	CU(cuStreamDestroy_v2, stream);
}

/* ---- what memory holds ---- */
static bool is_zero(const unsigned char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* Pages whose beginning is not zero; -1: they could not be read. */
static int64_t dirty_pages(const struct piece *p)
{
	static unsigned char sample[SAMPLE];
	int64_t dirty = 0;

	for (size_t at = 0; at < p->bytes; at += PAGE) {
		if (CU(cuMemcpyDtoH_v2, sample, p->at + at, sizeof(sample)) != CUDA_SUCCESS)
			return -1;
		dirty += !is_zero(sample, sizeof(sample));
	}
	return dirty;
}

static bool fill(const struct piece *p)
{
	return CU(cuMemsetD8_v2, p->at, MARK, p->bytes) == CUDA_SUCCESS &&
	       CU(cuCtxSynchronize) == CUDA_SUCCESS;
}

/* Given back and taken again by the same process. */
static void same_process(CUdevice dev, CUdeviceptr base)
{
	struct piece p = {.at = base + PAGE, .bytes = (size_t)64 << 20};

	if (piece_map(&p, dev) != CUDA_SUCCESS)
		return;
	say_int("fresh_dirty_pages", dirty_pages(&p));
	if (fill(&p)) {
		piece_unmap(&p);
		if (piece_map(&p, dev) != CUDA_SUCCESS)
			return;
		say_int("again_dirty_pages", dirty_pages(&p));
	}
	piece_unmap(&p);
}

static size_t leaver_bytes(CUdevice dev)
{
	const size_t want = (size_t)(opt.quick ? 64 : 4096) << 20;
	size_t total = 0;

	CU(cuDeviceTotalMem_v2, &total, dev);
	return want < total / 16 ? want : total / 16 / PAGE * PAGE;
}

void window_leaver(void)
{
	struct piece p;
	CUcontext ctx;
	CUdevice dev;
	char byte;

	if (!cuda_context(&dev, &ctx))
		return;
	p.bytes = leaver_bytes(dev);
	if (CU(cuMemAddressReserve, &p.at, p.bytes, PAGE, 0, 0) != CUDA_SUCCESS ||
	    piece_map(&p, dev) != CUDA_SUCCESS || !fill(&p))
		return;
	role_ready();
	/* It is killed here, with nothing given back. */
	if (read(STDIN_FILENO, &byte, 1) < 0)
		return;
}

/* Another process's, which was killed. Of the free memory so much is looked at that some of it is
 * likely to be what that one had. */
static void other_process(CUdevice dev, CUdeviceptr base, size_t window)
{
	const size_t most = leaver_bytes(dev);
	size_t left = 0, total, want = 8 * most;
	struct piece p = {.at = base + PAGE};
	struct role r;
	int64_t dirty;
	bool marked;

	if (!role_start(&r, "leaver", "leaver_", NULL))
		return;
	marked = role_await(&r, LEAVER_MS);
	role_kill(&r);
	if (!marked || CU(cuMemGetInfo_v2, &left, &total) != CUDA_SUCCESS)
		return;
	left = left / 4 * 3;
	want = want < left ? want : left;
	want = want < window - 2 * PAGE ? want : window - 2 * PAGE;
	p.bytes = want / PAGE * PAGE;
	if (!p.bytes || piece_map(&p, dev) != CUDA_SUCCESS)
		return;
	dirty = dirty_pages(&p);
	say_int("after_kill_looked_at_bytes", (int64_t)p.bytes);
	if (dirty >= 0)
		verdict(ASSUME_memory_zeroed, !dirty,
			"%lld of %zu pages are not zero, after a killed process had marked %zu",
			(long long)dirty, p.bytes / PAGE, most / PAGE);
	piece_unmap(&p);
}

void window_with_context(CUdevice dev, CUdeviceptr base, size_t bytes)
{
	CUdeviceptr plain = 0;
	CUcontext ctx;
	uint64_t began = now_ns();

	if (!cuda_context(&dev, &ctx))
		return;
	say_int("context_ns", (int64_t)(now_ns() - began));
	say_files("context");
	if (CU(cuMemAlloc_v2, &plain, PAGE) == CUDA_SUCCESS) {
		say_text("alloc_address", "0x%llx", plain);
		verdict(ASSUME_others_outside, plain < base || plain - base >= bytes, "0x%llx",
			plain);
		CU(cuMemFree_v2, plain);
	}
	beside_kernel(dev, base);
	same_process(dev, base);
	other_process(dev, base, bytes);
	CU(cuDevicePrimaryCtxRelease_v2, dev);
}
