/* SPDX-License-Identifier: MIT */
/*
 * A context's limits and cache configuration. The worker's answers are remembered, and a setting
 * that is set already is not sent again.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"

#include <pthread.h>
#include <string.h>

#include "pvgpu_stubs.h"

void ctx_settings_forget(struct ctx *c)
{
	pthread_mutex_lock(&c->lock);
	memset(&c->settings, 0, sizeof(c->settings));
	pthread_mutex_unlock(&c->lock);
}

/* May it be set again to what it is without a question? Of the others some can no longer be set
 * once a kernel has run. */
static bool limit_stays_free(CUlimit limit)
{
	return limit == CU_LIMIT_STACK_SIZE || limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY ||
	       limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE;
}

PUBLIC CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
	struct ctx *c;
	bool same = false;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (limit_stays_free(limit)) {
		pthread_mutex_lock(&c->lock);
		same = c->settings.limit[limit].set && c->settings.limit[limit].asked == value;
		pthread_mutex_unlock(&c->lock);
	}
	if (same)
		return CUDA_SUCCESS;
	r = ctx_result(c, pvgpu_do_ctx_set_limit(session(), c->o.wire, limit, value));
	if ((unsigned int)limit >= CTX_LIMITS)
		return r;
	pthread_mutex_lock(&c->lock);
	c->settings.limit[limit].known = false;
	c->settings.limit[limit].set = !r;
	c->settings.limit[limit].asked = value;
	pthread_mutex_unlock(&c->lock);
	return r;
}

PUBLIC CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
	const bool kept = (unsigned int)limit < CTX_LIMITS;
	bool known = false;
	uint64_t v = 0;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (kept) {
		pthread_mutex_lock(&c->lock);
		known = c->settings.limit[limit].known;
		v = c->settings.limit[limit].value;
		pthread_mutex_unlock(&c->lock);
	}
	if (!known)
		r = ctx_result(c, pvgpu_do_ctx_get_limit(session(), c->o.wire, limit, &v));
	if (r)
		return r;
	*value = v;
	if (!kept || known)
		return CUDA_SUCCESS;
	pthread_mutex_lock(&c->lock);
	c->settings.limit[limit].known = true;
	c->settings.limit[limit].value = v;
	pthread_mutex_unlock(&c->lock);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
	uint32_t v = 0;
	struct ctx *c;
	bool known;
	int r = ctx_enter(&c);

	if (r)
		return r;
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&c->lock);
	known = c->settings.cache.known;
	*config = c->settings.cache.value;
	pthread_mutex_unlock(&c->lock);
	if (known)
		return CUDA_SUCCESS;
	r = ctx_result(c, pvgpu_do_ctx_get_cache_config(session(), c->o.wire, &v));
	if (r)
		return r;
	*config = v;
	pthread_mutex_lock(&c->lock);
	c->settings.cache.known = true;
	c->settings.cache.value = v;
	pthread_mutex_unlock(&c->lock);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
	struct ctx *c;
	bool same;
	int r = ctx_enter(&c);

	if (r)
		return r;
	pthread_mutex_lock(&c->lock);
	same = c->settings.cache.set && c->settings.cache.asked == config;
	pthread_mutex_unlock(&c->lock);
	if (same)
		return CUDA_SUCCESS;
	r = ctx_result(c, pvgpu_do_ctx_set_cache_config(session(), c->o.wire, config));
	if (r)
		return r;
	occupancy_forget_all();
	pthread_mutex_lock(&c->lock);
	c->settings.cache.known = false;
	c->settings.cache.set = true;
	c->settings.cache.asked = config;
	pthread_mutex_unlock(&c->lock);
	return CUDA_SUCCESS;
}

/* Since compute capability 5 bank sizes are fixed: settings are accepted and change nothing. */
PUBLIC CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	*config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
	struct ctx *c;
	const int r = ctx_current(&c);

	if (r)
		return r;
	return (unsigned int)config <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE
		       ? CUDA_SUCCESS
		       : CUDA_ERROR_INVALID_VALUE;
}
