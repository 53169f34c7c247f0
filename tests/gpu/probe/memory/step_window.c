/* SPDX-License-Identifier: MIT */
/*
 * 3: virtual memory management as the worker uses it: first without any context, as when a session
 * opens.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/gpu/probe/memory/window.h"

#define WINDOW_BYTES ((size_t)256 << 30)
#define WINDOW_MIN   ((size_t)1 << 30)
#define RESERVED     (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static CUmemAllocationProp prop_of(CUdevice dev)
{
	return (CUmemAllocationProp){
		.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = dev},
	};
}

CUresult piece_map(struct piece *p, CUdevice dev)
{
	const CUmemAllocationProp prop = prop_of(dev);
	const CUmemAccessDesc access = {
		.location = prop.location,
		.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
	};
	CUresult r = CU(cuMemCreate, &p->handle, p->bytes, &prop, 0);

	if (r != CUDA_SUCCESS)
		return r;
	r = CU(cuMemMap, p->at, p->bytes, 0, p->handle, 0);
	if (r == CUDA_SUCCESS) {
		r = CU(cuMemSetAccess, p->at, p->bytes, &access, 1);
		if (r != CUDA_SUCCESS)
			CU(cuMemUnmap, p->at, p->bytes);
	}
	if (r != CUDA_SUCCESS)
		CU(cuMemRelease, p->handle);
	return r;
}

void piece_unmap(const struct piece *p)
{
	CU(cuMemUnmap, p->at, p->bytes);
	CU(cuMemRelease, p->handle);
}

static void say_granularity(CUdevice dev)
{
	const CUmemAllocationProp prop = prop_of(dev);
	size_t least = 0, best = 0;
	CUresult r =
		CU(cuMemGetAllocationGranularity, &least, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM);

	CU(cuMemGetAllocationGranularity, &best, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
	say_int("granularity_bytes", (int64_t)least);
	say_int("granularity_recommended_bytes", (int64_t)best);
	verdict(ASSUME_granularity_no_context, r == CUDA_SUCCESS, "result %d", (int)r);
	verdict(ASSUME_granularity_divides, least && PAGE % least == 0, "%zu", least);
}

/* ---- reservations ---- */
static bool hint_is_taken(CUdeviceptr at)
{
	void *p = mmap((void *)at, PAGE, PROT_NONE, RESERVED, -1, 0);
	const bool taken = p != (void *)at;

	if (p != MAP_FAILED)
		munmap(p, PAGE);
	return taken;
}

static const char *fixed_result(CUdeviceptr at)
{
	void *p = mmap((void *)at, PAGE, PROT_NONE, RESERVED | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED)
		return strerror(errno);
	munmap(p, PAGE);
	return p == (void *)at ? "granted" : "elsewhere";
}

/* Would the arena be put where device memory is? */
static void say_seen(CUdeviceptr base, size_t bytes)
{
	const bool in_maps = proc_mapped(base, bytes);
	const bool taken = hint_is_taken(base) && hint_is_taken(base + bytes / 2);

	say_int("window_in_maps", in_maps);
	say_text("window_fixed_noreplace", "%s", fixed_result(base));
	verdict(ASSUME_window_in_maps, taken,
		"%sin /proc/self/maps; mmap with its address as a hint is %s",
		in_maps ? "" : "not ", taken ? "put elsewhere" : "granted");
}

/* As in the worker's window_reserve: 256 GiB, or half of it, and so on. */
static CUresult reserve(CUdeviceptr *base, size_t *bytes)
{
	CUresult r = CUDA_ERROR_UNKNOWN;

	for (*bytes = WINDOW_BYTES; *bytes >= WINDOW_MIN; *bytes /= 2) {
		const uint64_t began = now_ns();

		r = CU(cuMemAddressReserve, base, *bytes, PAGE, WINDOW, 0);
		if (r != CUDA_SUCCESS)
			continue;
		say_int("reserve_ns", (int64_t)(now_ns() - began));
		break;
	}
	return r;
}

/* Without a context; where that does not work, with one, to see the rest. */
static bool reserve_window(CUdevice dev, CUdeviceptr *base, size_t *bytes)
{
	CUresult r = reserve(base, bytes);
	CUcontext ctx;

	verdict(ASSUME_reserve_no_context, r == CUDA_SUCCESS, "result %d", (int)r);
	if (r != CUDA_SUCCESS && cuda_context(&dev, &ctx))
		r = reserve(base, bytes);
	if (r != CUDA_SUCCESS)
		return false;
	say_int("window_bytes", (int64_t)*bytes);
	say_text("window_address", "0x%llx", *base);
	verdict(ASSUME_window_size, *bytes == WINDOW_BYTES, "%zu GiB", *bytes >> 30);
	verdict(ASSUME_window_address, *base == WINDOW, "0x%llx", *base);
	return true;
}

/* The other places that are asked for when the guest cannot have the first. */
static void say_other_places(void)
{
	static const CUdeviceptr places[] = {0x300000000000, 0x1000000000, 0x400000000000,
					     0x4000000000};
	char text[160] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		CUdeviceptr at = 0;

		if (CU(cuMemAddressReserve, &at, WINDOW_MIN, PAGE, places[i], 0) != CUDA_SUCCESS)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "0x%llx:%s ", places[i],
				      at == places[i] ? "honoured" : "elsewhere");
		CU(cuMemAddressFree, at, WINDOW_MIN);
	}
	say_text("other_places", "%s", text);
}

/* Does the driver look at what the process has mapped, and at its own reservations? */
static void say_conflicts(CUdeviceptr window)
{
	void *mine = mmap((void *)0x500000000000ull, WINDOW_MIN, PROT_NONE, RESERVED, -1, 0);
	CUdeviceptr at = 0;

	if (mine != MAP_FAILED &&
	    CU(cuMemAddressReserve, &at, WINDOW_MIN, PAGE, (CUdeviceptr)mine, 0) == CUDA_SUCCESS) {
		verdict(ASSUME_reserve_avoids_maps, at != (CUdeviceptr)mine,
			"mapped 0x%llx, reserved 0x%llx", (CUdeviceptr)mine, at);
		CU(cuMemAddressFree, at, WINDOW_MIN);
	}
	if (mine != MAP_FAILED)
		munmap(mine, WINDOW_MIN);
	if (CU(cuMemAddressReserve, &at, WINDOW_MIN, PAGE, window, 0) == CUDA_SUCCESS) {
		say_text("second_reservation", "%s", at == window ? "the same place" : "elsewhere");
		CU(cuMemAddressFree, at, WINDOW_MIN);
	}
}

/* ---- memory ---- */
/* The parts of piece_map and piece_unmap, each with its time. */
static bool time_one(CUdevice dev, CUdeviceptr at, size_t bytes, const char *size)
{
	const CUmemAllocationProp prop = prop_of(dev);
	const CUmemAccessDesc access = {
		.location = prop.location,
		.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
	};
	static const char *const names[] = {"create", "map", "access", "unmap", "release"};
	CUmemGenericAllocationHandle h;
	uint64_t t[6];
	char key[64];

	t[0] = now_ns();
	if (CU(cuMemCreate, &h, bytes, &prop, 0) != CUDA_SUCCESS)
		return false;
	t[1] = now_ns();
	if (CU(cuMemMap, at, bytes, 0, h, 0) != CUDA_SUCCESS) {
		CU(cuMemRelease, h);
		return false;
	}
	t[2] = now_ns();
	CU(cuMemSetAccess, at, bytes, &access, 1);
	t[3] = now_ns();
	CU(cuMemUnmap, at, bytes);
	t[4] = now_ns();
	CU(cuMemRelease, h);
	t[5] = now_ns();
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%s_%s_ns", names[i], size);
		say_int(key, (int64_t)(t[i + 1] - t[i]));
	}
	return true;
}

static bool say_times_of_sizes(CUdevice dev, CUdeviceptr base, size_t window)
{
	static const struct {
		size_t bytes;
		const char *name;
	} sizes[] = {{PAGE, "first_2m"},        {PAGE, "2m"},
		     {(size_t)64 << 20, "64m"}, {(size_t)1 << 30, "1g"},
		     {(size_t)16 << 30, "16g"}, {(size_t)64 << 30, "64g"}};
	size_t total = 0;
	bool works = true;

	CU(cuDeviceTotalMem_v2, &total, dev);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && works; i++) {
		if (sizes[i].bytes > (opt.quick ? (size_t)64 << 20 : total / 4 * 3) ||
		    sizes[i].bytes + PAGE > window)
			break;
		works = time_one(dev, base + PAGE, sizes[i].bytes, sizes[i].name);
		if (!works && i == 0)
			return false;
	}
	return true;
}

/* A part of what was mapped by one call. */
static void say_partial(CUdevice dev, CUdeviceptr base)
{
	struct piece p = {.at = base + PAGE, .bytes = 2 * PAGE};
	CUresult r;

	if (piece_map(&p, dev) != CUDA_SUCCESS)
		return;
	r = CU(cuMemUnmap, p.at, PAGE);
	say_int("partial_unmap_result", (int64_t)r);
	if (r == CUDA_SUCCESS)
		CU(cuMemUnmap, p.at + PAGE, PAGE);
	else
		CU(cuMemUnmap, p.at, p.bytes);
	CU(cuMemRelease, p.handle);
}

static void say_too_much(CUdevice dev)
{
	const CUmemAllocationProp prop = prop_of(dev);
	CUmemGenericAllocationHandle h;
	size_t total = 0;
	uint64_t began;
	CUresult r;

	if (CU(cuDeviceTotalMem_v2, &total, dev) != CUDA_SUCCESS)
		return;
	began = now_ns();
	r = CU(cuMemCreate, &h, (total / PAGE + 512) * PAGE, &prop, 0);
	say_int("create_too_much_ns", (int64_t)(now_ns() - began));
	verdict(ASSUME_create_out_of_memory, r == CUDA_ERROR_OUT_OF_MEMORY, "result %d", (int)r);
	if (r == CUDA_SUCCESS)
		CU(cuMemRelease, h);
}

void step_window(void)
{
	CUdeviceptr base;
	CUcontext ctx;
	CUdevice dev;
	size_t bytes;
	bool works;

	if (opt.role) {
		window_leaver();
		return;
	}
	if (!cuda_device(&dev))
		return;
	say_granularity(dev);
	if (!reserve_window(dev, &base, &bytes))
		return;
	say_seen(base, bytes);
	say_other_places();
	say_conflicts(base);
	works = say_times_of_sizes(dev, base, bytes);
	verdict(ASSUME_memory_no_context, works, works ? "all calls" : "see failed_calls");
	if (!works && cuda_context(&dev, &ctx))
		say_times_of_sizes(dev, base, bytes);
	say_partial(dev, base);
	say_too_much(dev);
	window_with_context(dev, base, bytes);
	CU(cuMemAddressFree, base, bytes);
	say_int("window_in_maps_after_free", proc_mapped(base, bytes));
}
