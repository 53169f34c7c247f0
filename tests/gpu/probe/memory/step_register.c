/* SPDX-License-Identifier: MIT */
/*
 * Registering shared memory, as the worker does it with the arena: what it costs, whether kernels
 * and copies can use it, and what the odd cases give. Calls beside running work are in
 * register_beside.c.
 */
#include "tests/gpu/probe/memory/step_register.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB (1ull << 10)
#define MIB (1ull << 20)

static void attributes(void)
{
	static const struct {
		const char *key;
		int id;
	} list[] = {
		{"can_map_host", 19},       {"unified_addressing", 41},  {"registered_pointer", 91},
		{"register_supported", 99}, {"register_read_only", 113},
	};
	CUdevice dev = 0;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int value = -1;

		if (!CU(cuDeviceGetAttribute, &value, (CUdevice_attribute)list[i].id, dev))
			say_intf(value, "attribute_%s", list[i].key);
	}
}

static bool one_size(size_t bytes, bool touched)
{
	const char *how = touched ? "touched" : "fresh";
	const size_t kib = bytes / KIB;
	CUdeviceptr at = 0;
	uint64_t begin, ns;
	void *p = chunk_map(0, bytes, NULL);
	int r;

	if (!p)
		return false;
	if (touched)
		memset(p, 1, bytes);
	begin = now_ns();
	r = CU(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS);
	ns = now_ns() - begin;
	if (!r) {
		say_intf((int64_t)ns, "register_%s_%zu_kib_ns", how, kib);
		if (bytes == 16 * MIB)
			say_intf(proc_status("VmPin"), "pinned_%s_kib", how);
		r = CU(cuMemHostGetDevicePointer_v2, &at, p, 0);
		verdict(ASSUME_registered_same_address, !r && at == (uintptr_t)p,
			"%zu KiB: result %d, device address %s", kib, r,
			at == (uintptr_t)p ? "the same" : "another");
		begin = now_ns();
		CU(cuMemHostUnregister, p);
		say_intf((int64_t)(now_ns() - begin), "unregister_%s_%zu_kib_ns", how, kib);
	}
	verdict(ASSUME_register_shared, !r, "%zu KiB, %s: result %d", kib, how, r);
	chunk_unmap(p, bytes);
	return !r;
}

/* A process's first registration may cost more than the others. */
static bool first(void)
{
	void *p = chunk_map(0, 4 * KIB, NULL);
	const uint64_t begin = now_ns();
	const int r = p ? (int)CU(cuMemHostRegister_v2, p, 4 * KIB, CHUNK_FLAGS) : -1;

	if (p && !r) {
		say_int("first_ns", (int64_t)(now_ns() - begin));
		chunk_free(p, 4 * KIB);
	}
	verdict(ASSUME_register_shared, !r, "a page: result %d", r);
	return !r;
}

static void sizes(void)
{
	static const size_t all[] = {4 * KIB,  64 * KIB, MIB,       2 * MIB,
				     16 * MIB, 64 * MIB, 256 * MIB, KIB * MIB};
	const size_t most = opt.quick ? 16 * MIB : KIB * MIB;

	if (!part_context())
		return;
	attributes();
	say_int("window_where_asked", window_get() == WINDOW_AT);
	if (!first())
		return;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && all[i] <= most; i++)
		if (!one_size(all[i], true) || !one_size(all[i], false))
			return;
}

/* A kernel writes, the processor sees it and adds; a kernel sees that. */
static void access_kernel(void)
{
	const size_t bytes = opt.quick ? 64 * KIB : 4 * MIB;
	int64_t seen = -1, wrong = -1;
	struct words w;
	CUdeviceptr at;
	uint32_t *p;

	if (!part_context() || !words_make(&w) || !(p = chunk_new(0, bytes)) ||
	    CU(cuMemHostGetDevicePointer_v2, &at, p, 0))
		return;
	memset(p, 0, bytes);
	if (!words_fill(&w, at, bytes, 5) && !words_increment(&w, at, bytes))
		seen = host_verify(p, bytes, 5, 1);
	host_fill(p, bytes, 77);
	wrong = words_verify(&w, at, bytes, 77);
	say_int("wrote_wrong_words", seen);
	say_int("read_wrong_words", wrong);
	verdict(ASSUME_registered_kernel_access, !seen && !wrong,
		"words wrong: %lld written, %lld read", (long long)seen, (long long)wrong);
	chunk_free(p, bytes);
}

/* ---- bandwidth ---- */
static double gbps(bool to_device, void *host, CUdeviceptr device, size_t bytes)
{
	const int rounds = opt.quick ? 2 : 8;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < rounds; i++) {
		const uint64_t begin = now_ns();
		const CUresult r = to_device ? CU(cuMemcpyHtoDAsync_v2, device, host, bytes, NULL)
					     : CU(cuMemcpyDtoHAsync_v2, host, device, bytes, NULL);

		if (r || CU(cuStreamSynchronize, NULL))
			return 0;
		if (now_ns() - begin < best)
			best = now_ns() - begin;
	}
	return (double)bytes / (double)best;
}

static void copies_of(size_t bytes, void *registered, void *pinned, CUdeviceptr device)
{
	char key[64];

	for (int to = 0; to < 2; to++) {
		const double ours = gbps(to, registered, device, bytes);
		const double best = gbps(to, pinned, device, bytes);
		const char *dir = to ? "htod" : "dtoh";

		snprintf(key, sizeof(key), "registered_%s_%zu_kib_gbps", dir, bytes / 1024);
		say_num(key, ours);
		snprintf(key, sizeof(key), "pinned_%s_%zu_kib_gbps", dir, bytes / 1024);
		say_num(key, best);
		/* Small copies measure the call; the simulated GPU's are too short to compare. */
		if (bytes >= 16 * MIB)
			verdict(ASSUME_registered_bandwidth, ours >= 0.9 * best,
				"%s of %zu KiB: %.2f of %.2f GB/s", dir, bytes / 1024, ours, best);
	}
}

static void copies(void)
{
	const size_t most = opt.quick ? MIB : 256 * MIB;
	CUdeviceptr device;
	void *p, *pinned;

	if (!part_context() || !(p = chunk_new(0, most)) ||
	    CU(cuMemHostAlloc, &pinned, most, CU_MEMHOSTALLOC_PORTABLE) ||
	    CU(cuMemAlloc_v2, &device, most))
		return;
	memset(p, 1, most);
	memset(pinned, 2, most);
	for (size_t bytes = 64 * KIB; bytes <= most; bytes *= 16)
		copies_of(bytes, p, pinned, device);
	chunk_free(p, most);
}

/* ---- copies over chunks that lie side by side ---- */
static int across(CUdeviceptr device, char *host, size_t bytes, bool to_device)
{
	int r = to_device ? ASK(cuMemcpyHtoDAsync_v2, device, host, bytes, NULL)
			  : ASK(cuMemcpyDtoHAsync_v2, host, device, bytes, NULL);

	return r ? r : (int)CU(cuStreamSynchronize, NULL);
}

static void neighbours(void)
{
	const size_t each = 2 * MIB, bytes = 3 * each;
	int64_t wrong = 0, read = -1;
	char *p = NULL, *first = NULL;
	int to = 0, from = 0;
	CUdeviceptr device;
	struct words w;

	if (!part_context() || !words_make(&w) || CU(cuMemAlloc_v2, &device, bytes))
		return;
	for (size_t i = 0; i < 3; i++) {
		p = chunk_new(i * each, each);
		if (!p)
			return;
		first = first ? first : p;
	}
	host_fill(first, bytes, 3);
	say_int("htod_result", across(device, first, bytes, true));
	say_int("dtoh_result", across(device, first, bytes, false));
	host_fill(first, bytes, 3);
	for (size_t at = 0; at < bytes && !to; at += each)
		to = across(device + at, first + at, each, true);
	wrong += words_verify(&w, device, bytes, 3);
	memset(first, 0, bytes);
	for (size_t at = 0; at < bytes && !from; at += each)
		from = across(device + at, first + at, each, false);
	wrong += host_verify(first, bytes, 3, 0);
	host_fill(first, bytes, 4);
	read = words_verify(&w, (uintptr_t)first, bytes, 4);
	say_int("kernel_wrong_words", read);
	verdict(ASSUME_registered_neighbours, !to && !from && !wrong && !read,
		"to the device %d, from it %d, words wrong %lld, of a kernel %lld", to, from,
		(long long)wrong, (long long)read);
}

/* ---- contexts ---- */
static void portable(void)
{
	const size_t bytes = MIB;
	CUcontext first, second;
	int64_t wrong = -1;
	CUdeviceptr device;
	struct words w;
	CUdevice dev;
	void *p;
	int r;

	if (!cuda_context(&dev, &first) || !(p = chunk_new(0, bytes)) ||
	    CU(cuCtxCreate_v2, &second, 0, dev) || !words_make(&w) ||
	    CU(cuMemAlloc_v2, &device, bytes))
		return;
	host_fill(p, bytes, 9);
	r = across(device, p, bytes, true);
	if (!r)
		wrong = words_verify(&w, device, bytes, 9) +
			words_verify(&w, (uintptr_t)p, bytes, 9);
	verdict(ASSUME_registered_portable, !r && !wrong,
		"in another context: copy %d, words wrong %lld", r, (long long)wrong);
	say_int("unregister_in_other_context_result", ASK(cuMemHostUnregister, p));
	ASK(cuMemHostUnregister, p);
	/* Registered in a context that goes. */
	say_int("register_in_second_result", ASK(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS));
	CU(cuCtxDestroy_v2, second);
	CU(cuCtxSetCurrent, first);
	say_int("register_after_its_context_result",
		ASK(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS));
}

/* ---- what else may be asked for ---- */
static void flags_of(void *p, size_t bytes, const char *what)
{
	for (unsigned int flags = 0; flags < 4; flags++) {
		CUdeviceptr at = 0;
		int r = ASK(cuMemHostRegister_v2, p, bytes, flags);

		say_intf(r, "%s_flags_%u_result", what, flags);
		if (r)
			continue;
		r = ASK(cuMemHostGetDevicePointer_v2, &at, p, 0);
		say_intf(r, "%s_flags_%u_pointer_result", what, flags);
		say_intf(at == (uintptr_t)p, "%s_flags_%u_pointer_same", what, flags);
		CU(cuMemHostUnregister, p);
	}
}

static void overlaps(char *p, size_t bytes)
{
	CU(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS);
	say_int("twice_result", ASK(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS));
	say_int("inside_result", ASK(cuMemHostRegister_v2, p + 4096, 4096, CHUNK_FLAGS));
	say_int("overlap_result", ASK(cuMemHostRegister_v2, p + bytes / 2, bytes, CHUNK_FLAGS));
	say_int("unregister_inside_result", ASK(cuMemHostUnregister, p + 4096));
	CU(cuMemHostUnregister, p);
	say_int("unregister_twice_result", ASK(cuMemHostUnregister, p));
}

static void odd(void)
{
	const size_t bytes = MIB;
	char *p, *heap;
	void *ro;
	int fd;

	if (!part_context() || !(p = chunk_map(0, 2 * bytes, &fd)))
		return;
	memset(p, 1, 2 * bytes);
	flags_of(p, bytes, "shared");
	overlaps(p, bytes);
	heap = malloc(bytes + 100);
	if (heap) {
		memset(heap, 1, bytes + 100);
		flags_of(heap, bytes, "heap");
		say_int("unaligned_result",
			ASK(cuMemHostRegister_v2, heap + 12, 5000, CHUNK_FLAGS));
		ASK(cuMemHostUnregister, heap + 12);
	}
	say_int("unmapped_result",
		ASK(cuMemHostRegister_v2, window_get() + KIB * MIB, bytes, CHUNK_FLAGS));
	ro = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	say_int("read_only_mapping_result", ASK(cuMemHostRegister_v2, ro, bytes, CHUNK_FLAGS));
	ASK(cuMemHostUnregister, ro);
	say_int("read_only_flag_result",
		ASK(cuMemHostRegister_v2, ro, bytes, CHUNK_FLAGS | CU_MEMHOSTREGISTER_READ_ONLY));
	ASK(cuMemHostUnregister, ro);
	say_int("free_host_of_registered_result", ASK(cuMemFreeHost, p));
}

static const struct part parts[] = {
	{"sizes", sizes, 40, NULL},
	{"kernel", access_kernel, 10, NULL},
	{"copies", copies, 20, NULL},
	{"neighbours", neighbours, 10, NULL},
	{"portable", portable, 10, NULL},
	{"odd", odd, 10, NULL},
	{"beside", register_beside, 20, NULL},
	{"owner", register_owner, 20, NULL},
	{NULL, NULL, 0, NULL},
};

void step_register(void)
{
	if (opt.role && !strcmp(opt.role, "shrunk")) {
		register_shrunk();
		return;
	}
	parts_run(parts);
	/* No part, since it may well end its process. */
	if (!opt.role && opt.risky)
		role_run("shrunk", "shrunk_", NULL, 10000);
}
