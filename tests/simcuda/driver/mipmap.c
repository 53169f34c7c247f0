/* SPDX-License-Identifier: MIT */
/* Mipmapped arrays: each level is an array, and all lie in one piece of memory. */
#include "tests/simcuda/driver/sim.h"

static struct pool mipmap_pool = POOL(struct sim_mipmap);

CUresult mipmap_get(CUmipmappedArray handle, struct sim_mipmap **out)
{
	*out = (struct sim_mipmap *)handle;
	if (!*out || !pool_live(&mipmap_pool, *out))
		return CUDA_ERROR_INVALID_HANDLE;
	return ctx_status((*out)->ctx);
}

static size_t limit(int attribute)
{
	int value = 0;

	device_attribute(attribute, &value);
	return (size_t)value;
}

/* Of one and of two dimensions the limits are below those of other arrays. */
static CUresult check(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	const bool flat = !d->Depth && !(d->Flags & CUDA_ARRAY3D_LAYERED);

	TRY(array_check(d));
	if (!flat)
		return CUDA_SUCCESS;
	if (!d->Height)
		return d->Width > limit(77) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	return d->Width > limit(73) || d->Height > limit(74) ? CUDA_ERROR_INVALID_VALUE
							     : CUDA_SUCCESS;
}

static size_t halved(size_t n, uint32_t times)
{
	return n >> times || !n ? n >> times : 1;
}

static CUDA_ARRAY3D_DESCRIPTOR level_of(const CUDA_ARRAY3D_DESCRIPTOR *d, uint32_t n)
{
	CUDA_ARRAY3D_DESCRIPTOR level = *d;

	level.Width = halved(d->Width, n);
	level.Height = halved(d->Height, n);
	if (!(d->Flags & CUDA_ARRAY3D_LAYERED))
		level.Depth = halved(d->Depth, n);
	return level;
}

/* Down to a level of one element. */
static uint32_t levels_most(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	uint32_t n = 1;

	while (d->Width >> n || d->Height >> n ||
	       (!(d->Flags & CUDA_ARRAY3D_LAYERED) && d->Depth >> n))
		n++;
	return n;
}

static void give(struct sim_mipmap *m)
{
	for (uint32_t i = 0; i < m->levels; i++)
		if (m->level[i])
			array_free(m->level[i]);
	pool_free(&mipmap_pool, m);
}

static CUresult fill(struct sim_mipmap *m, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	uint64_t at;

	for (uint32_t i = 0; i < m->levels; i++) {
		const CUDA_ARRAY3D_DESCRIPTOR level = level_of(d, i);

		m->level[i] = array_new(m->ctx, &level);
		if (!m->level[i])
			return CUDA_ERROR_OUT_OF_MEMORY;
		m->level[i]->is_level = true;
		m->size += m->level[i]->size;
	}
	if (d->Flags & CUDA_ARRAY3D_DEFERRED_MAPPING)
		return CUDA_SUCCESS;
	TRY(memory_alloc_waiting(m->ctx, m->size, &m->addr));
	at = m->addr;
	for (uint32_t i = 0; i < m->levels; i++) {
		m->level[i]->addr = at;
		at += m->level[i]->size;
	}
	return CUDA_SUCCESS;
}

API(cuMipmappedArrayCreate, CUmipmappedArray *mipmap, const CUDA_ARRAY3D_DESCRIPTOR *desc,
    unsigned int levels)
{
	struct sim_mipmap *m;
	uint32_t most;
	CUresult r;

	ENTER();
	CURRENT(ctx);
	if (!mipmap || !desc)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check(desc));
	m = pool_new(&mipmap_pool);
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	most = levels_most(desc);
	m->ctx = ctx;
	m->levels = !levels ? 1 : levels < most ? levels : most;
	r = fill(m, desc);
	if (r != CUDA_SUCCESS) {
		give(m);
		return r;
	}
	*mipmap = (CUmipmappedArray)m;
	return CUDA_SUCCESS;
}

API(cuMipmappedArrayGetLevel, CUarray *level, CUmipmappedArray mipmap, unsigned int n)
{
	struct sim_mipmap *m;

	ENTER();
	CURRENT(ctx);
	TRY(mipmap_get(mipmap, &m));
	if (!level || n >= m->levels)
		return CUDA_ERROR_INVALID_VALUE;
	*level = (CUarray)m->level[n];
	return CUDA_SUCCESS;
}

API(cuMipmappedArrayGetMemoryRequirements, CUDA_ARRAY_MEMORY_REQUIREMENTS *needs,
    CUmipmappedArray mipmap, CUdevice dev)
{
	struct sim_mipmap *m;

	ENTER();
	CURRENT(ctx);
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	TRY(mipmap_get(mipmap, &m));
	if (!needs || m->addr)
		return CUDA_ERROR_INVALID_VALUE;
	*needs = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = memory_mapped(m->size), .alignment = 512};
	return CUDA_SUCCESS;
}

/* None is sparse. */
API(cuMipmappedArrayGetSparseProperties, CUDA_ARRAY_SPARSE_PROPERTIES *properties,
    CUmipmappedArray mipmap)
{
	struct sim_mipmap *m;

	ENTER_ANY();
	TRY(mipmap_get(mipmap, &m));
	return CUDA_ERROR_INVALID_VALUE;
}

API(cuMipmappedArrayDestroy, CUmipmappedArray mipmap)
{
	struct sim_mipmap *m;

	ENTER_ANY();
	TRY(mipmap_get(mipmap, &m));
	exec_ctx_wait(m->ctx);
	if (m->addr)
		memory_free_now(m->addr);
	give(m);
	return CUDA_SUCCESS;
}

static void drop(void *obj, void *arg)
{
	struct sim_mipmap *m = obj;

	if (m->ctx == arg)
		pool_free(&mipmap_pool, m);
}

/* Its levels and its memory go with the context's. */
void mipmap_drop_ctx(struct sim_ctx *ctx)
{
	pool_each(&mipmap_pool, drop, ctx);
}
