/* SPDX-License-Identifier: MIT */
/* Sizes and rounding of allocations, fresh memory, and host addresses where device addresses go. */
#include "tests/gpu/probe/semantics/step_semantics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void past_the_size(void)
{
	static const size_t sizes[] = {101, 256, 512, 513, 4096, 65536, 1 << 20, 2 << 20};
	char *bytes = calloc(1, 4 << 20);
	CUdeviceptr p, base;
	size_t size = 0;
	int past = 0, filled = 0;

	if (!bytes || CU(cuMemAlloc_v2, &p, 100))
		return;
	say_int("address_range_result", ASK(cuMemGetAddressRange_v2, &base, &size, p));
	say_int("range_of_100_bytes", (int64_t)size);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const int r = ASK(cuMemcpyHtoD_v2, p, bytes, sizes[i]);
		const int fill = ASK(cuMemsetD8_v2, p, 0, sizes[i]);

		say_intf(r, "copy_%zu_into_100_result", sizes[i]);
		say_intf(fill, "memset_%zu_into_100_result", sizes[i]);
		past += r != CUDA_ERROR_INVALID_VALUE;
		filled += fill != CUDA_ERROR_INVALID_VALUE;
	}
	verdict(ASSUME_past_size_taken, !past && !filled,
		"more than 100 bytes into 100: %d copies and %d fills taken", past, filled);
	CU(cuMemFree_v2, p);
}

/* The lowest bit that any of some addresses has. */
static void alignment(void)
{
	CUdeviceptr p[32], all = 0, near = UINT64_MAX;

	for (size_t i = 0; i < 32; i++) {
		if (CU(cuMemAlloc_v2, &p[i], 1 + i))
			return;
		all |= p[i];
		if (i && p[i] - p[i - 1] < near)
			near = p[i] - p[i - 1];
	}
	say_int("alignment_bytes", (int64_t)(all & -all));
	say_int("distance_bytes", (int64_t)near);
	verdict(ASSUME_alloc_alignment, (all & -all) >= 256, "%lld bytes", (long long)(all & -all));
}

static void fresh(void)
{
	const size_t bytes = opt.quick ? 1 << 20 : 64 << 20;
	uint64_t *words = malloc(bytes), set = 0;
	CUdeviceptr p;

	if (!words || CU(cuMemAlloc_v2, &p, bytes) || CU(cuMemcpyDtoH_v2, words, p, bytes))
		return;
	for (size_t i = 0; i < bytes / 8; i++)
		set += words[i] != 0;
	say_int("fresh_words_not_zero", (int64_t)set);
	/* And what this process has freed itself. */
	CU(cuMemsetD8_v2, p, 0x5a, bytes);
	CU(cuMemFree_v2, p);
	if (CU(cuMemAlloc_v2, &p, bytes) || CU(cuMemcpyDtoH_v2, words, p, bytes))
		return;
	set = 0;
	for (size_t i = 0; i < bytes / 8; i++)
		set += words[i] == 0x5a5a5a5a5a5a5a5a;
	say_int("own_freed_words_seen", (int64_t)set);
	free(words);
}

void semantics_memory(void)
{
	CUdeviceptr p = 0, q;
	size_t pitch = 0, some, all;

	if (!part_context())
		return;
	alignment();
	fresh();
	same_code(ASSUME_alloc_codes, "alloc_0", ASK(cuMemAlloc_v2, &p, 0),
		  CUDA_ERROR_INVALID_VALUE);
	same_code(ASSUME_alloc_codes, "free_0", ASK(cuMemFree_v2, 0), 0);
	if (!CU(cuMemGetInfo_v2, &some, &all))
		same_code(ASSUME_alloc_codes, "alloc_too_much", ASK(cuMemAlloc_v2, &p, 2 * all),
			  CUDA_ERROR_OUT_OF_MEMORY);
	if (!CU(cuMemAllocPitch_v2, &q, &pitch, 100, 10, 4)) {
		say_int("pitch_of_100_bytes", (int64_t)pitch);
		verdict(ASSUME_pitch, pitch == 512, "a width of 100: %zu", pitch);
		same_code(ASSUME_alloc_codes, "free_inside", ASK(cuMemFree_v2, q + 256),
			  CUDA_ERROR_INVALID_VALUE);
		CU(cuMemFree_v2, q);
		same_code(ASSUME_alloc_codes, "free_twice", ASK(cuMemFree_v2, q),
			  CUDA_ERROR_INVALID_VALUE);
	}
	/* Last: what it writes over may be the driver's own. */
	past_the_size();
}

/* ---- unified addresses ---- */
static void attributes_of(const char *what, CUdeviceptr p)
{
	static const struct {
		const char *name;
		CUpointer_attribute id;
	} list[] = {
		{"type", CU_POINTER_ATTRIBUTE_MEMORY_TYPE},
		{"ordinal", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL},
		{"mapped", CU_POINTER_ATTRIBUTE_MAPPED},
		{"range_size", CU_POINTER_ATTRIBUTE_RANGE_SIZE},
		{"managed", CU_POINTER_ATTRIBUTE_IS_MANAGED},
		{"access", CU_POINTER_ATTRIBUTE_ACCESS_FLAGS},
	};
	uint64_t value;
	int r;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		value = 0;
		r = ASK(cuPointerGetAttribute, &value, list[i].id, p);
		if (r)
			say_intf(r, "%s_%s_result", what, list[i].name);
		else
			say_intf((int64_t)value, "%s_%s", what, list[i].name);
	}
	value = 0;
	r = ASK(cuPointerGetAttribute, &value, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p);
	say_intf(r, "%s_device_pointer_result", what);
	if (!r)
		say_intf(value == p, "%s_device_pointer_same", what);
}

static void several(CUdeviceptr heap)
{
	CUpointer_attribute id[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
				    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
	unsigned int type = 77;
	int ordinal = 77;
	void *data[] = {&type, &ordinal};
	const int r = ASK(cuPointerGetAttributes, 2, id, data, heap);

	say_int("heap_several_result", r);
	say_int("heap_several_type", type);
	say_int("heap_several_ordinal", ordinal);
	verdict(ASSUME_unknown_pointers, !r && !type && ordinal == -2,
		"result %d, type %u, ordinal %d", r, type, ordinal);
}

void semantics_pointers(void)
{
	const size_t bytes = 65536;
	char *heap = malloc(bytes), *registered = aligned_alloc(4096, bytes),
	     *back = calloc(1, bytes);
	CUdeviceptr device, at;
	void *pinned;
	int to, from, r;

	if (!part_context() || !heap || !registered || !back || CU(cuMemAlloc_v2, &device, bytes) ||
	    CU(cuMemHostAlloc, &pinned, bytes, 0))
		return;
	memset(heap, 7, bytes);
	memset(registered, 8, bytes);
	at = (uintptr_t)heap;
	to = ASK(cuMemcpy, device, at, bytes);
	from = ASK(cuMemcpy, (uintptr_t)back, device, bytes);
	verdict(ASSUME_unified_copy, !to && !from && !memcmp(heap, back, bytes),
		"of heap memory: to the device %d, from it %d", to, from);
	attributes_of("device", device);
	attributes_of("pinned", (uintptr_t)pinned);
	if (!CU(cuMemHostRegister_v2, registered, bytes, 0)) {
		attributes_of("registered", (uintptr_t)registered);
		CU(cuMemHostUnregister, registered);
	}
	attributes_of("heap", at);
	r = ASK(cuPointerGetAttribute, &at, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)heap);
	same_code(ASSUME_unknown_pointers, "heap_type", r, CUDA_ERROR_INVALID_VALUE);
	several((uintptr_t)heap);
	/* Last: a driver may crash on them. */
	say_int("htod_with_device_source_result",
		ASK(cuMemcpyHtoD_v2, device, (void *)(uintptr_t)device, 64));
	say_int("dtod_with_heap_source_result", ASK(cuMemcpyDtoD_v2, device, (uintptr_t)heap, 64));
	say_int("memset_of_pinned_result", ASK(cuMemsetD8_v2, (uintptr_t)pinned, 1, 64));
	say_int("memset_of_heap_result", ASK(cuMemsetD8_v2, (uintptr_t)heap, 1, 64));
}
