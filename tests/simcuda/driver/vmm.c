/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory management: reservations of addresses, physical memory, and mappings of the one
 * to the other. Physical memory is a piece of one sparse memory file that cuInit makes; offsets in
 * it are never used twice, so a new piece is zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simcuda/driver/share.h"

struct physical {
	struct handle h;
	uint64_t offset, size;
	uint32_t refs, maps;
	bool mapped;             /* it was, ever */
	uint32_t place;          /* share.c: exported; 0: not */
	struct share_other from; /* share.c: imported; page NULL: not */
	CUmemAllocationProp prop;
};
struct reservation {
	uint64_t base, size;
	struct reservation *next;
};
struct mapping {
	uint64_t base, size;
	struct physical *physical;
	struct mapping *next;
};

static struct pool physical_pool = POOL(struct physical);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct reservation *reservations;
static struct mapping *mappings;
static uint64_t next_offset;
static int file = -1;

int vmm_open(void)
{
	file = memfd_create("simcuda-memory", MFD_CLOEXEC);
	if (file < 0)
		return -errno;
	if (ftruncate(file, (off_t)(VMM_FILE_BYTES + SHARE_BYTES)))
		return -errno;
	return share_open(file);
}

int vmm_file(void)
{
	return file;
}

bool vmm_take(uint64_t size, uint64_t *offset)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = size <= VMM_FILE_BYTES - next_offset;
	*offset = next_offset;
	next_offset += ok ? size : 0;
	pthread_mutex_unlock(&lock);
	return ok;
}

/*
 * Memory that has been given back returns to the host. A GPU has it at once; the host takes 0.2 s
 * for a gigabyte of pages, so a thread does it, for one large piece at a time.
 */
#define LARGE_HOLE (16ull << 20)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	uint64_t offset, size; /* size 0: none */
	bool runs;             /* there is a thread */
} hole = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void punch(uint64_t offset, uint64_t size)
{
	fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
}

static void *puncher(void *arg)
{
	pthread_mutex_lock(&hole.lock);
	for (;;) {
		while (!hole.size)
			pthread_cond_wait(&hole.more, &hole.lock);
		pthread_mutex_unlock(&hole.lock);
		punch(hole.offset, hole.size);
		pthread_mutex_lock(&hole.lock);
		hole.size = 0;
	}
	return arg;
}

void vmm_punch(uint64_t offset, uint64_t size)
{
	bool later = false;

	if (size >= LARGE_HOLE) {
		pthread_mutex_lock(&hole.lock);
		if (!hole.runs)
			hole.runs = !sim_thread_start(puncher, NULL);
		later = hole.runs && !hole.size;
		if (later) {
			hole.offset = offset;
			hole.size = size;
			pthread_cond_signal(&hole.more);
		}
		pthread_mutex_unlock(&hole.lock);
	}
	if (!later)
		punch(offset, size);
}

static bool aligned(uint64_t v)
{
	return v && !(v % SIM_GRANULARITY);
}

static bool prop_is_valid(const CUmemAllocationProp *p)
{
	return p && p->type == CU_MEM_ALLOCATION_TYPE_PINNED &&
	       p->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
}

API(cuMemGetAllocationGranularity, size_t *granularity, const CUmemAllocationProp *prop,
    CUmemAllocationGranularity_flags option)
{
	ENTER();
	if (!granularity || !prop || prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    (unsigned int)option > 1)
		return CUDA_ERROR_INVALID_VALUE;
	*granularity = SIM_GRANULARITY;
	return CUDA_SUCCESS;
}

static void *reserve(uint64_t hint, size_t size, size_t align)
{
	char *p = MAP_FAILED, *start;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (hint && !(hint % align))
		p = mmap((void *)hint, size, PROT_NONE, flags, -1,
			 0); /* the kernel follows the hint where it is free */
	if (p != MAP_FAILED && (uintptr_t)p == hint)
		return p;
	if (p != MAP_FAILED)
		munmap(p, size);
	p = mmap(NULL, size + align, PROT_NONE, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1));
	if (start > p)
		munmap(p, (size_t)(start - p));
	munmap(start + size, (size_t)(p + size + align - (start + size)));
	return start;
}

API(cuMemAddressReserve, CUdeviceptr *out, size_t size, size_t alignment, CUdeviceptr addr,
    unsigned long long flags)
{
	struct reservation *r;
	void *p;

	ENTER();
	if (!out || !aligned(size) || flags || (alignment & (alignment - 1)) ||
	    addr % SIM_GRANULARITY || size > 1ull << 46)
		return CUDA_ERROR_INVALID_VALUE;
	if (alignment < SIM_GRANULARITY)
		alignment = SIM_GRANULARITY;
	r = calloc(1, sizeof(*r));
	p = r ? reserve(addr, size, alignment) : NULL;
	if (!p) {
		free(r);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_lock(&lock);
	r->base = (uintptr_t)p;
	r->size = size;
	r->next = reservations;
	reservations = r;
	pthread_mutex_unlock(&lock);
	*out = r->base;
	return CUDA_SUCCESS;
}

API(cuMemAddressFree, CUdeviceptr addr, size_t size)
{
	CUresult result = CUDA_ERROR_INVALID_VALUE;

	ENTER();
	pthread_mutex_lock(&lock);
	for (struct reservation **p = &reservations; *p; p = &(*p)->next) {
		struct reservation *r = *p;

		if (r->base != addr || r->size != size)
			continue;
		if (!range_any(addr, size)) {
			*p = r->next;
			munmap((void *)r->base, r->size);
			free(r);
			result = CUDA_SUCCESS;
		}
		break;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

API(cuMemCreate, CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop,
    unsigned long long flags)
{
	struct physical *p;
	uint64_t offset;
	CUresult r;

	ENTER();
	if (!handle || !aligned(size) || flags || !prop_is_valid(prop))
		return CUDA_ERROR_INVALID_VALUE;
	if (prop->location.id)
		return CUDA_ERROR_INVALID_DEVICE;
	if (prop->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = arbiter_take_memory(size);
	if (r == CUDA_ERROR_OUT_OF_MEMORY && mempool_wait())
		r = arbiter_take_memory(size);
	TRY(r);
	p = pool_new(&physical_pool);
	if (p && vmm_take(size, &offset)) {
		p->offset = offset;
		p->size = size;
		p->refs = 1;
		p->prop = *prop;
		*handle = (uintptr_t)p;
	} else if (p) {
		pool_free(&physical_pool, p);
		p = NULL;
	}
	if (!p)
		arbiter_give_memory(size);
	return p ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static struct physical *physical_of(CUmemGenericAllocationHandle handle)
{
	struct physical *p = (struct physical *)(uintptr_t)handle;

	return pool_live(&physical_pool, p) && p->refs ? p : NULL;
}

static void physical_free_if_unused(struct physical *p)
{
	if (p->refs || p->maps)
		return;
	if (p->from.page) {
		share_drop(&p->from);
	} else {
		if (!p->place || !share_forget(p->place))
			vmm_punch(p->offset, p->size);
		arbiter_give_memory(p->size);
	}
	pool_free(&physical_pool, p);
}

/* The descriptor stands for the memory but does not keep it: importing fails once it is freed. */
API(cuMemExportToShareableHandle, void *shareable, CUmemGenericAllocationHandle handle,
    CUmemAllocationHandleType type, unsigned long long flags)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	struct physical *p;
	int fd = -1;

	ENTER();
	if (!shareable || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	p = physical_of(handle);
	if (p && p->prop.requestedHandleTypes & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR &&
	    !p->from.page) {
		if (!p->place)
			p->place = share_new(&(struct share_place){.type = SHARE_PHYSICAL,
								   .offset = p->offset,
								   .size = p->size,
								   .len = p->size});
		fd = p->place ? share_fd(p->place) : -1;
		r = fd < 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	if (!r)
		*(int *)shareable = fd;
	return r;
}

API(cuMemImportFromShareableHandle, CUmemGenericAllocationHandle *handle, void *shareable,
    CUmemAllocationHandleType type)
{
	struct share_other from;
	struct physical *p;

	ENTER();
	if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(share_take_fd((int)(intptr_t)shareable, SHARE_PHYSICAL, &from));
	p = pool_new(&physical_pool);
	if (!p) {
		share_drop(&from);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	p->from = from;
	p->size = from.place->size;
	p->mapped = true;
	p->prop = (CUmemAllocationProp){
		.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	};
	p->refs = 1;
	*handle = (uintptr_t)p;
	return CUDA_SUCCESS;
}

API(cuMemRelease, CUmemGenericAllocationHandle handle)
{
	struct physical *p;

	ENTER();
	pthread_mutex_lock(&lock);
	p = physical_of(handle);
	if (p) {
		p->refs--;
		physical_free_if_unused(p);
	}
	pthread_mutex_unlock(&lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool reserved(uint64_t addr, uint64_t size)
{
	for (struct reservation *r = reservations; r; r = r->next)
		if (addr >= r->base && addr - r->base < r->size &&
		    size <= r->size - (addr - r->base))
			return true;
	return false;
}

static bool map_pages(uint64_t addr, uint64_t size, const struct physical *p)
{
	void *to = (void *)addr;

	/* Of a size of 0 it makes another mapping of the same pages. */
	if (p->from.page)
		return mremap(p->from.memory, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) !=
		       MAP_FAILED;
	return mmap(to, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
		    (off_t)p->offset) != MAP_FAILED;
}

static CUresult map_locked(uint64_t addr, uint64_t size, struct physical *p)
{
	struct range r = {.base = addr,
			  .size = size,
			  .kind = RANGE_MAPPED,
			  .owner_base = addr,
			  .owner_size = size};
	struct mapping *m = calloc(1, sizeof(*m));
	CUresult result = m ? range_add(&r) : CUDA_ERROR_OUT_OF_MEMORY;

	if (result != CUDA_SUCCESS) {
		free(m);
		return result == CUDA_ERROR_OUT_OF_MEMORY ? result : CUDA_ERROR_INVALID_VALUE;
	}
	if (!map_pages(addr, size, p)) {
		range_remove(addr, NULL);
		free(m);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (!p->mapped)
		dirt_give((void *)addr, size);
	p->mapped = true;
	m->base = addr;
	m->size = size;
	m->physical = p;
	m->next = mappings;
	mappings = m;
	p->maps++;
	return CUDA_SUCCESS;
}

/* Until access is set, neither kernels nor copies may use the mapping. */
API(cuMemMap, CUdeviceptr addr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
    unsigned long long flags)
{
	CUresult result = CUDA_ERROR_INVALID_VALUE;
	struct physical *p;

	ENTER();
	pthread_mutex_lock(&lock);
	p = physical_of(handle);
	if (p && aligned(addr) && aligned(size) && !flags && reserved(addr, size))
		result = offset || size > p->size ? CUDA_ERROR_NOT_SUPPORTED
						  : map_locked(addr, size, p);
	pthread_mutex_unlock(&lock);
	return result;
}

static struct mapping *mapping_at(uint64_t addr)
{
	for (struct mapping *m = mappings; m; m = m->next)
		if (addr >= m->base && addr - m->base < m->size)
			return m;
	return NULL;
}

/* Is [addr, addr+size) made of whole mappings? */
static bool whole_mappings(uint64_t addr, uint64_t size)
{
	uint64_t at = addr;

	while (at - addr < size) {
		struct mapping *m = mapping_at(at);

		if (!m || m->base != at || m->size > size - (at - addr))
			return false;
		at += m->size;
	}
	return size != 0;
}

static void unmap_one(struct mapping *m)
{
	struct mapping **p = &mappings;

	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	range_remove(m->base, NULL);
	dirt_keep((const void *)m->base, m->size);
	mmap((void *)m->base, m->size, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	m->physical->maps--;
	physical_free_if_unused(m->physical);
	free(m);
}

API(cuMemUnmap, CUdeviceptr addr, size_t size)
{
	bool ok, none;

	ENTER();
	exec_all_wait(); /* kernels in flight may use the memory */
	pthread_mutex_lock(&lock);
	none = aligned(addr) && aligned(size) && reserved(addr, size) && !range_any(addr, size);
	ok = none || whole_mappings(addr, size);
	for (uint64_t at = addr, end = addr + size; ok && !none && at < end;) {
		struct mapping *m = mapping_at(at);

		at += m->size;
		unmap_one(m);
	}
	pthread_mutex_unlock(&lock);
	return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuMemSetAccess, CUdeviceptr addr, size_t size, const CUmemAccessDesc *desc, size_t count)
{
	bool ok;

	ENTER();
	if (!desc || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		if (desc[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
		    (desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
		     desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
		     desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) ||
		    desc[i].location.id)
			return CUDA_ERROR_INVALID_VALUE;
	}
	pthread_mutex_lock(&lock);
	ok = whole_mappings(addr, size);
	for (uint64_t at = addr, end = addr + size; ok && at < end; at += mapping_at(at)->size)
		range_update(at, (uint32_t)desc[count - 1].flags, -1);
	pthread_mutex_unlock(&lock);
	return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuMemGetAccess, unsigned long long *flags, const CUmemLocation *location, CUdeviceptr addr)
{
	struct range r;

	ENTER();
	if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !range_find(addr, &r) || r.kind != RANGE_MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	if (location->id)
		return CUDA_ERROR_INVALID_DEVICE;
	*flags = r.access;
	return CUDA_SUCCESS;
}

API(cuMemRetainAllocationHandle, CUmemGenericAllocationHandle *handle, void *addr)
{
	struct mapping *m;

	ENTER();
	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	m = mapping_at((uintptr_t)addr);
	if (m) {
		m->physical->refs++;
		*handle = (uintptr_t)m->physical;
	}
	pthread_mutex_unlock(&lock);
	return m ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuMemGetAllocationPropertiesFromHandle, CUmemAllocationProp *prop,
    CUmemGenericAllocationHandle handle)
{
	struct physical *p;

	ENTER();
	if (!prop)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	p = physical_of(handle);
	if (p)
		*prop = p->prop;
	pthread_mutex_unlock(&lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
