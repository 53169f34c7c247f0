/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory management for the guest: addresses of the device window, physical memory, and
 * mappings of the one to the other. Physical memory is leased before it is made and given back when
 * its handle and its last mapping are gone. Only the side lane maps, so a mapping that is checked
 * there stays.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/vmm.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct vmm_job {
	union {
		struct job job;
		struct mem_wait wait;
	};
	struct reservation *r; /* referenced, or NULL */
	struct physical *p;    /* referenced, or NULL */
	struct area *area;     /* to be mapped */
	uint32_t seq;
	uint32_t flags;
	uint64_t addr, size;
};

static struct vmm_job *job_new(struct reservation *r, struct physical *p, uint32_t seq)
{
	struct vmm_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->r = r ? obj_ref(r) : NULL;
	j->p = p ? obj_ref(p) : NULL;
	j->seq = seq;
	return j;
}

static void job_free(struct vmm_job *j)
{
	if (j->r)
		obj_unref(j->r);
	if (j->p)
		obj_unref(j->p);
	free(j);
}

int handle_mem_reserve(struct worker *w, const struct pvgpu_in_mem_reserve *in,
		       struct pvgpu_out_mem_reserve *out)
{
	struct gpu *g = worker_gpu(w);
	struct window *v = &g->mem.win;
	struct reservation *r;
	int err;

	if (v->page != PVGPU_ALLOC_PAGE)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (in->size % v->page || (in->alignment & (in->alignment - 1)))
		return CUDA_ERROR_INVALID_VALUE;
	if (in->size > v->size || in->alignment > v->size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = obj_new(g, PVGPU_H_RESERVATION, in->reservation_h, sizeof(*r), NULL, NULL, &err);
	if (!r)
		return err;
	r->size = in->size;
	pthread_mutex_lock(&g->mem.lock);
	if (window_take_at(v, in->wanted, r->size / v->page))
		r->addr = in->wanted;
	else
		r->addr = window_take_aligned(v, r->size / v->page, in->alignment);
	pthread_mutex_unlock(&g->mem.lock);
	err = r->addr ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
	obj_ready(r, err);
	out->address = r->addr;
	return err;
}

int handle_mem_unreserve(struct worker *w, const struct pvgpu_in_mem_unreserve *in,
			 struct pvgpu_out_mem_unreserve *out)
{
	struct gpu *g = worker_gpu(w);
	struct reservation *r = in->reservation;
	const int err = obj_error(r);
	bool busy;

	if (err)
		return err;
	pthread_mutex_lock(&g->mem.lock);
	busy = r->areas;
	if (!busy)
		window_put(&g->mem.win, r->addr, r->size / g->mem.win.page);
	pthread_mutex_unlock(&g->mem.lock);
	if (busy)
		return CUDA_ERROR_INVALID_VALUE;
	obj_remove(g, &r->o);
	obj_unref(r);
	return 0;
}

static int make(struct gpu *g, struct physical *p)
{
	CUmemGenericAllocationHandle far = 0;
	int r;

	if (!lease_get(g->w, p->size)) {
		if (!mem_free_bytes(g))
			return CUDA_ERROR_OUT_OF_MEMORY;
		mem_trim(g);
		if (!lease_get(g->w, p->size))
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = (int)g->far->cuMemCreate(&far, p->size, &g->mem.prop, 0);
	if (r) {
		lease_put(g->w, p->size);
		return r;
	}
	p->far = far;
	p->users = 1;
	return 0;
}

static bool create_attempt(struct gpu *g, struct mem_wait *w, bool last)
{
	struct vmm_job *j = (struct vmm_job *)w;
	const int r = make(g, j->p);

	if (r == CUDA_ERROR_OUT_OF_MEMORY && !last)
		return false;
	obj_ready(j->p, r);
	worker_reply_mem_create(g->w, j->seq, r, NULL);
	job_free(j);
	return true;
}

int handle_mem_create(struct worker *w, const struct pvgpu_in_mem_create *in,
		      struct pvgpu_out_mem_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct physical *p;
	struct vmm_job *j;
	int err;

	if (g->mem.win.page != PVGPU_ALLOC_PAGE)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (in->size % PVGPU_ALLOC_PAGE)
		return CUDA_ERROR_INVALID_VALUE;
	if (in->size > g->mem.win.size)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p = obj_new(g, PVGPU_H_PHYSICAL, in->physical_h, sizeof(*p), NULL, NULL, &err);
	if (!p)
		return err;
	p->size = in->size;
	j = job_new(NULL, p, in->hdr->seq);
	if (!j) {
		obj_ready(p, CUDA_ERROR_OUT_OF_MEMORY);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->wait.attempt = create_attempt;
	mem_wait_push(g, &j->wait);
	return PVGPU_PENDING;
}

/* Side lane, or at the end. */
static void physical_put(struct gpu *g, struct physical *p)
{
	if (--p->users)
		return;
	pthread_mutex_lock(&g->mem.lock);
	atomic_store(&p->gone, true);
	pthread_mutex_unlock(&g->mem.lock);
	share_given_wait(g, &p->giving);
	g->far->cuMemRelease(p->far);
	if (!(p->number && share_drop(g->w, p->number)) && !p->imported)
		lease_put(g->w, p->size);
}

static void run_release(struct gpu *g, struct job *job)
{
	struct vmm_job *j = (struct vmm_job *)job;

	physical_put(g, j->p);
	atomic_fetch_sub(&g->mem.pending, 1);
	worker_reply_mem_release(g->w, j->seq, 0, NULL);
	job_free(j);
}

int handle_mem_release(struct worker *w, const struct pvgpu_in_mem_release *in,
		       struct pvgpu_out_mem_release *out)
{
	struct gpu *g = worker_gpu(w);
	struct physical *p = in->physical;
	int err = obj_error(p);
	struct vmm_job *j;

	if (err)
		return err;
	j = job_new(NULL, p, in->hdr->seq);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	obj_remove(g, &p->o);
	obj_unref(p);
	atomic_fetch_add(&g->mem.pending, 1);
	j->job.run = run_release;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/* A part of a reservation, in whole pages. */
static int check_part(struct reservation *r, uint64_t offset, uint64_t size)
{
	const int err = obj_error(r);

	if (err)
		return err;
	return offset % PVGPU_ALLOC_PAGE || size % PVGPU_ALLOC_PAGE || offset > r->size ||
			       size > r->size - offset
		       ? CUDA_ERROR_INVALID_VALUE
		       : 0;
}

/* mem.lock held. */
static struct area *area_of(const struct window *v, uint64_t addr)
{
	return v->at[(addr - v->base) / v->page];
}

static bool is_free(const struct window *v, uint64_t addr, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += v->page)
		if (area_of(v, addr + at))
			return false;
	return true;
}

/* Areas that map [addr, addr+size) and nothing beside it; 0: it is not made of whole areas. */
static uint32_t whole_areas(const struct window *v, uint64_t addr, uint64_t size)
{
	uint32_t n = 0;

	while (size) {
		const struct area *a = area_of(v, addr);

		if (!a || a->addr != addr || a->size > size)
			return 0;
		addr += a->size;
		size -= a->size;
		n++;
	}
	return n;
}

static int map_area(struct gpu *g, struct area *a, struct physical *p)
{
	struct memory *m = &g->mem;
	bool ok;
	int r;

	if (!p->users) /* its handle went before this job came */
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&m->lock);
	ok = is_free(&m->win, a->addr, a->size);
	pthread_mutex_unlock(&m->lock);
	if (!ok)
		return CUDA_ERROR_INVALID_VALUE;
	r = (int)g->far->cuMemMap(a->addr, a->size, 0, p->far, 0);
	if (r)
		return r;
	p->users++;
	a->physical = obj_ref(p);
	pthread_mutex_lock(&m->lock);
	window_fill(&m->win, a->addr, a->size, a);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* A job that is for addresses of the reservation holds it as an area does, until it has run. */
static void area_held(struct gpu *g, struct reservation *r)
{
	pthread_mutex_lock(&g->mem.lock);
	r->areas++;
	pthread_mutex_unlock(&g->mem.lock);
}

static void areas_gone(struct gpu *g, struct reservation *r, uint32_t n)
{
	pthread_mutex_lock(&g->mem.lock);
	r->areas -= n;
	pthread_mutex_unlock(&g->mem.lock);
}

static void run_map(struct gpu *g, struct job *job)
{
	struct vmm_job *j = (struct vmm_job *)job;
	const int r = map_area(g, j->area, j->p);

	if (r) {
		free(j->area);
		areas_gone(g, j->r, 1);
	}
	worker_reply_mem_map(g->w, j->seq, r, NULL);
	job_free(j);
}

int handle_mem_map(struct worker *w, const struct pvgpu_in_mem_map *in,
		   struct pvgpu_out_mem_map *out)
{
	struct gpu *g = worker_gpu(w);
	struct reservation *r = in->reservation;
	struct physical *p = in->physical;
	int err = check_part(r, in->offset, in->size);
	struct vmm_job *j;
	struct area *a;

	if (!err)
		err = obj_error(p);
	if (err)
		return err;
	if (in->size > p->size)
		return CUDA_ERROR_INVALID_VALUE;
	a = calloc(1, sizeof(*a));
	j = a ? job_new(r, p, in->hdr->seq) : NULL;
	if (!j) {
		free(a);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	a->addr = r->addr + in->offset;
	a->size = in->size;
	j->area = a;
	j->job.run = run_map;
	area_held(g, r);
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/* Take whole areas out of the map: a list, and their number. */
static struct area *areas_take(struct gpu *g, uint64_t addr, uint64_t size, uint32_t *n)
{
	struct window *v = &g->mem.win;
	struct area *list = NULL;

	pthread_mutex_lock(&g->mem.lock);
	*n = whole_areas(v, addr, size);
	for (uint64_t at = addr; *n && at < addr + size;) {
		struct area *a = area_of(v, at);

		at += a->size;
		window_fill(v, a->addr, a->size, NULL);
		a->next = list;
		list = a;
	}
	pthread_mutex_unlock(&g->mem.lock);
	return list;
}

static void areas_unmap(struct gpu *g, struct area *list)
{
	while (list) {
		struct area *a = list;

		list = a->next;
		g->far->cuMemUnmap(a->addr, a->size);
		physical_put(g, a->physical);
		obj_unref(a->physical);
		free(a);
	}
}

static void run_unmap(struct gpu *g, struct job *job)
{
	struct vmm_job *j = (struct vmm_job *)job;
	uint32_t n;

	areas_unmap(g, areas_take(g, j->addr, j->size, &n));
	areas_gone(g, j->r, n + 1);
	atomic_fetch_sub(&g->mem.pending, 1);
	worker_reply_mem_unmap(g->w, j->seq, n ? 0 : CUDA_ERROR_INVALID_VALUE, NULL);
	job_free(j);
}

int handle_mem_unmap(struct worker *w, const struct pvgpu_in_mem_unmap *in,
		     struct pvgpu_out_mem_unmap *out)
{
	struct gpu *g = worker_gpu(w);
	struct reservation *r = in->reservation;
	const int err = check_part(r, in->offset, in->size);
	struct vmm_job *j;

	if (err)
		return err;
	j = job_new(r, NULL, in->hdr->seq);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->addr = r->addr + in->offset;
	j->size = in->size;
	j->job.run = run_unmap;
	area_held(g, r);
	atomic_fetch_add(&g->mem.pending, 1);
	side_after_work(g, NULL, &j->job);
	return PVGPU_PENDING;
}

/* Copies are checked against an area's access. */
static void access_note(struct gpu *g, const struct vmm_job *j)
{
	const struct window *v = &g->mem.win;

	pthread_mutex_lock(&g->mem.lock);
	for (uint64_t at = j->addr; at < j->addr + j->size;) {
		struct area *a = area_of(v, at);

		a->access = j->flags;
		at += a->size;
	}
	pthread_mutex_unlock(&g->mem.lock);
}

static void run_access(struct gpu *g, struct job *job)
{
	struct vmm_job *j = (struct vmm_job *)job;
	const CUmemAccessDesc access = {
		.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = g->far->dev},
		.flags = (CUmemAccess_flags)j->flags,
	};
	int r = CUDA_ERROR_INVALID_VALUE;
	uint32_t n;

	pthread_mutex_lock(&g->mem.lock);
	n = whole_areas(&g->mem.win, j->addr, j->size);
	pthread_mutex_unlock(&g->mem.lock);
	if (n)
		r = (int)g->far->cuMemSetAccess(j->addr, j->size, &access, 1);
	if (!r)
		access_note(g, j);
	areas_gone(g, j->r, 1);
	worker_reply_mem_access(g->w, j->seq, r, NULL);
	job_free(j);
}

int handle_mem_access(struct worker *w, const struct pvgpu_in_mem_access *in,
		      struct pvgpu_out_mem_access *out)
{
	struct gpu *g = worker_gpu(w);
	struct reservation *r = in->reservation;
	const int err = check_part(r, in->offset, in->size);
	struct vmm_job *j;

	if (err)
		return err;
	if (in->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
	    in->flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
	    in->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
		return CUDA_ERROR_INVALID_VALUE;
	j = job_new(r, NULL, in->hdr->seq);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->addr = r->addr + in->offset;
	j->size = in->size;
	j->flags = in->flags;
	j->job.run = run_access;
	area_held(g, r);
	if (in->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
		side_push(g, &j->job);
	else
		side_after_work(g, NULL, &j->job);
	return PVGPU_PENDING;
}

void vmm_end(struct gpu *g)
{
	const struct window *v = &g->mem.win;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct reservation *r = (struct reservation *)o;

		if (o->type != PVGPU_H_RESERVATION || obj_error(o))
			continue;
		for (uint64_t at = r->addr; r->areas && at < r->addr + r->size; at += v->page) {
			struct area *a = area_of(v, at);
			uint32_t n;

			if (!a)
				continue;
			areas_unmap(g, areas_take(g, a->addr, a->size, &n));
			r->areas -= n;
		}
	}
	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		if (o->type == PVGPU_H_PHYSICAL && !obj_error(o))
			physical_put(g, (struct physical *)o);
	}
}
