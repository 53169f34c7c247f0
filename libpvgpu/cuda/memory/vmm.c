/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory management: physical memory, reserved addresses of the device window, and mappings
 * of the one to the other. None of them belongs to a context. The worker has them, too; what is
 * known here is answered here.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/vmm.h"

#include <pthread.h>

#include "pvgpu_stubs.h"

/* Of all counts. No call to the worker is made under it. */
static pthread_mutex_t vmm_lock = PTHREAD_MUTEX_INITIALIZER;

static bool aligned(uint64_t v)
{
	return v && !(v % PVGPU_ALLOC_PAGE);
}

/* Does the device have all this? The attribute says no where the worker's pages are others. */
static int offered(int device)
{
	return device_value(device, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)
		       ? 0
		       : CUDA_ERROR_NOT_SUPPORTED;
}

static int check_prop(const CUmemAllocationProp *p)
{
	if (!p || p->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
	    p->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	return device_at(p->location.id) ? offered(p->location.id) : CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *prop,
					      CUmemAllocationGranularity_flags option)
{
	int r = guest_enter();

	if (r)
		return r;
	if (!granularity || (unsigned int)option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED || !prop ||
	    prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	/* The kind of memory and the device are looked at when memory is made, as by the driver. */
	r = device_at(prop->location.id) ? offered(prop->location.id) : 0;
	if (!r)
		*granularity = PVGPU_ALLOC_PAGE;
	return r;
}

PUBLIC CUresult cuMemAddressReserve(CUdeviceptr *addr, size_t bytes, size_t alignment,
				    CUdeviceptr wanted, unsigned long long flags)
{
	struct range range = {.size = bytes, .kind = RANGE_RESERVED};
	struct reservation *v;
	int r = guest_enter();

	if (r)
		return r;
	if (!addr || !aligned(bytes) || flags || (alignment & (alignment - 1)) ||
	    wanted % PVGPU_ALLOC_PAGE)
		return CUDA_ERROR_INVALID_VALUE;
	v = object_new(PVGPU_H_RESERVATION);
	if (!v)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_mem_reserve(session(), bytes, alignment, wanted, v->o.wire, &range.base);
	if (r) {
		object_free(&v->o);
		return r;
	}
	v->base = range.base;
	v->size = bytes;
	range.owner = &v->o;
	object_publish(&v->o);
	r = range_add(&range);
	if (!r) {
		*addr = range.base;
		return r;
	}
	object_retire(&v->o);
	pvgpu_do_mem_unreserve(session(), v->o.wire);
	object_free(&v->o);
	return r;
}

/* Under vmm_lock: the reservation that holds all of it; NULL: none. */
static struct reservation *reservation_of(uint64_t addr, uint64_t size)
{
	struct range range;

	if (!range_find_reserved(addr, &range) || size > range.size - (addr - range.base))
		return NULL;
	return (struct reservation *)(uintptr_t)range.owner;
}

PUBLIC CUresult cuMemAddressFree(CUdeviceptr addr, size_t bytes)
{
	struct reservation *v;
	struct range range;
	int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&vmm_lock);
	v = reservation_of(addr, bytes);
	if (!v || v->base != addr || v->size != bytes || v->maps ||
	    !range_remove(addr, RANGE_RESERVED, &range) || !object_retire(&v->o))
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&vmm_lock);
	if (r)
		return r;
	r = pvgpu_do_mem_unreserve(session(), v->o.wire);
	object_free(&v->o);
	return r;
}

PUBLIC CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
			    const CUmemAllocationProp *prop, unsigned long long flags)
{
	unsigned int tries = 0;
	struct physical *p;
	int r = guest_enter();

	if (r)
		return r;
	if (!handle || !aligned(bytes) || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_prop(prop);
	if (r)
		return r;
	/* Programs ask for file descriptors in case they are wanted later; handles of the other
	 * kinds they try, and fall back when they are refused. */
	if ((unsigned int)prop->requestedHandleTypes &
	    ~(unsigned int)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	p = object_new(PVGPU_H_PHYSICAL);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p->prop = *prop;
	p->size = bytes;
	p->refs = 1;
	do {
		r = pvgpu_do_mem_create(session(), bytes, p->o.wire);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	if (r) {
		object_free(&p->o);
		return r;
	}
	object_publish(&p->o);
	*handle = (uintptr_t)object_handle(&p->o);
	return 0;
}

/* Under vmm_lock: memory whose handle is in use; NULL: none. */
static struct physical *physical_find(CUmemGenericAllocationHandle handle)
{
	struct physical *p = object_find(PVGPU_H_PHYSICAL, (const void *)(uintptr_t)handle);

	return p && p->refs ? p : NULL;
}

uint64_t physical_to_share(CUmemGenericAllocationHandle handle)
{
	struct physical *p;
	uint64_t wire = 0;

	pthread_mutex_lock(&vmm_lock);
	p = physical_find(handle);
	if (p && !p->imported && p->prop.requestedHandleTypes)
		wire = p->o.wire;
	pthread_mutex_unlock(&vmm_lock);
	return wire;
}

int physical_import(const void *token, CUmemGenericAllocationHandle *handle)
{
	struct physical *p = object_new(PVGPU_H_PHYSICAL);
	int r;

	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_share_import(session(), token, PVGPU_SHARE_TOKEN, p->o.wire, &p->size);
	if (r) {
		object_free(&p->o);
		return r;
	}
	p->prop = (CUmemAllocationProp){
		.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	};
	p->imported = true;
	p->refs = 1;
	object_publish(&p->o);
	*handle = (uintptr_t)object_handle(&p->o);
	return 0;
}

/* Under vmm_lock, after a count has gone down. True: it is the caller's to end. */
static bool physical_unused(struct physical *p)
{
	return !p->refs && !p->maps && object_retire(&p->o);
}

static int physical_end(struct physical *p)
{
	const int r = pvgpu_do_mem_release(session(), p->o.wire);

	object_free(&p->o);
	return r;
}

PUBLIC CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
	struct physical *p;
	bool unused = false;
	const int r = guest_enter();

	if (r)
		return r;
	pthread_mutex_lock(&vmm_lock);
	p = physical_find(handle);
	if (p) {
		p->refs--;
		unused = physical_unused(p);
	}
	pthread_mutex_unlock(&vmm_lock);
	if (unused)
		return physical_end(p);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* The mapping at an address of the reservation is gone. Returns its size; 0: there is none. */
static uint64_t unmapped(struct reservation *v, uint64_t addr)
{
	struct physical *p = NULL;
	bool unused = false;
	struct range range;

	pthread_mutex_lock(&vmm_lock);
	if (range_remove(addr, RANGE_MAPPED, &range)) {
		p = (struct physical *)(uintptr_t)range.owner;
		v->maps--;
		p->maps--;
		unused = physical_unused(p);
	}
	pthread_mutex_unlock(&vmm_lock);
	if (unused)
		physical_end(p);
	return p ? range.size : 0;
}

PUBLIC CUresult cuMemMap(CUdeviceptr addr, size_t bytes, size_t offset,
			 CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct range range = {.base = addr, .size = bytes, .kind = RANGE_MAPPED};
	struct reservation *v;
	struct physical *p;
	int r = guest_enter();

	if (r)
		return r;
	if (!aligned(addr) || !aligned(bytes) || flags)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&vmm_lock);
	p = physical_find(handle);
	v = reservation_of(addr, bytes);
	if (!p || !v || !range_is_free(addr, bytes))
		r = CUDA_ERROR_INVALID_VALUE;
	else if (offset || bytes > p->size)
		r = CUDA_ERROR_NOT_SUPPORTED;
	range.owner = p ? &p->o : NULL;
	if (!r)
		r = range_add(&range);
	if (!r) {
		p->maps++;
		v->maps++;
	}
	pthread_mutex_unlock(&vmm_lock);
	if (r)
		return r;
	r = pvgpu_do_mem_map(session(), v->o.wire, p->o.wire, addr - v->base, bytes);
	if (r)
		unmapped(v, addr);
	return r;
}

/* The reservation in which whole mappings make up [addr, addr+bytes), or in which nothing is mapped
 * there; NULL: neither. */
static struct reservation *mappings_in(uint64_t addr, uint64_t bytes, bool *none)
{
	struct reservation *v;

	pthread_mutex_lock(&vmm_lock);
	v = aligned(addr) && aligned(bytes) ? reservation_of(addr, bytes) : NULL;
	*none = v && range_is_free(addr, bytes);
	if (v && !*none && !range_is_mapped(addr, bytes))
		v = NULL;
	pthread_mutex_unlock(&vmm_lock);
	return v;
}

PUBLIC CUresult cuMemUnmap(CUdeviceptr addr, size_t bytes)
{
	struct reservation *v;
	uint64_t at = addr, step;
	int r = guest_enter();
	bool none;

	if (r)
		return r;
	v = mappings_in(addr, bytes, &none);
	if (!v || none)
		return v ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_mem_unmap(session(), v->o.wire, addr - v->base, bytes);
	if (r)
		return r;
	while (at < addr + bytes && (step = unmapped(v, at)))
		at += step;
	return 0;
}

PUBLIC CUresult cuMemSetAccess(CUdeviceptr addr, size_t bytes, const CUmemAccessDesc *desc,
			       size_t count)
{
	struct reservation *v;
	unsigned int flags;
	int r = guest_enter();
	bool none;

	if (r)
		return r;
	if (!desc || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		if ((desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
		     desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
		     desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE) ||
		    desc[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
		    !device_at(desc[i].location.id))
			return CUDA_ERROR_INVALID_VALUE;
	}
	flags = (unsigned int)desc[count - 1].flags;
	v = mappings_in(addr, bytes, &none);
	if (!v || none)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_mem_access(session(), v->o.wire, addr - v->base, bytes, flags);
	if (!r)
		range_set_access(addr, bytes, flags);
	return r;
}

PUBLIC CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
			       CUdeviceptr addr)
{
	struct range range;
	const int r = guest_enter();

	if (r)
		return r;
	if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !range_find_device(addr, &range) || range.kind != RANGE_MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_at(location->id))
		return CUDA_ERROR_INVALID_DEVICE;
	*flags = range.flags;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *addr)
{
	struct physical *p = NULL;
	struct range range;
	const int r = guest_enter();

	if (r)
		return r;
	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&vmm_lock);
	if (range_find_device((uintptr_t)addr, &range) && range.kind == RANGE_MAPPED) {
		p = (struct physical *)(uintptr_t)range.owner;
		p->refs++;
		*handle = (uintptr_t)object_handle(&p->o);
	}
	pthread_mutex_unlock(&vmm_lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
						       CUmemGenericAllocationHandle handle)
{
	struct physical *p;
	const int r = guest_enter();

	if (r)
		return r;
	if (!prop)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&vmm_lock);
	p = physical_find(handle);
	if (p)
		*prop = p->prop;
	pthread_mutex_unlock(&vmm_lock);
	return p ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
