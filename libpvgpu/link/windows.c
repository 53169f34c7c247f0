/* SPDX-License-Identifier: MIT */
/*
 * The two address windows. The worker proposes addresses. Both windows are reserved here at the
 * same addresses, inaccessible; if they are taken, the worker is asked for another proposal.
 */
#include "link/runtime.h"

#include <sys/mman.h>

#include "pvgpu_stubs.h"

enum { ATTEMPTS = 64 };

#define PAGE      4096ull
#define USER_LOW  (1ull << 32)
#define USER_HIGH (1ull << 47)

static bool sane(uint64_t base, uint64_t size)
{
	return base % PAGE == 0 && size % PAGE == 0 && size && base >= USER_LOW &&
	       base < USER_HIGH && size <= USER_HIGH - base;
}

static bool apart(const struct pvgpu_session_info *i)
{
	return i->device_base + i->device_size <= i->arena_base ||
	       i->arena_base + i->arena_size <= i->device_base;
}

static bool reserve(uint64_t base, uint64_t size)
{
	void *want = (void *)(uintptr_t)base;
	/* The kernel follows a hint where the range is free. MAP_FIXED_NOREPLACE cannot be used:
	 * thread sanitizer turns an address that it cannot have into 0, and the process would end.
	 */
	void *got = mmap(want, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED)
		return false;
	if (got != want) {
		munmap(got, size);
		return false;
	}
	return true;
}

int pvgpu_windows_settle(struct pvgpu_session *s)
{
	for (uint32_t attempt = 0; attempt <= ATTEMPTS; attempt++) {
		struct pvgpu_session_info i = s->info;
		int err = pvgpu_do_session_windows(s, attempt, &i.device_base, &i.device_size,
						   &i.arena_base, &i.arena_size);
		if (err)
			return err;
		if (!sane(i.device_base, i.device_size) || !sane(i.arena_base, i.arena_size) ||
		    !apart(&i))
			return pvgpu_broken(s, "the worker's address windows are invalid");
		if (!reserve(i.device_base, i.device_size))
			continue;
		if (reserve(i.arena_base, i.arena_size)) {
			s->info = i;
			return 0;
		}
		munmap((void *)(uintptr_t)i.device_base, i.device_size);
	}
	return pvgpu_broken(s, "no address range for the windows is free here and in the worker");
}

void pvgpu_windows_release(struct pvgpu_session *s)
{
	if (s->info.device_size)
		munmap((void *)(uintptr_t)s->info.device_base, s->info.device_size);
	if (s->info.arena_size)
		munmap((void *)(uintptr_t)s->info.arena_base, s->info.arena_size);
}
