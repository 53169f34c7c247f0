/* SPDX-License-Identifier: MIT */
/* Libraries and kernels: code that belongs to no context; each context that uses it gets a module.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct pool library_pool = POOL(struct sim_library);
struct pool kernel_pool = POOL(struct sim_kernel);

static CUresult library_get(CUlibrary handle, struct sim_library **out)
{
	struct sim_library *l = (struct sim_library *)handle;

	if (!pool_live(&library_pool, l))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = l;
	return CUDA_SUCCESS;
}

static CUresult kernel_get(CUkernel handle, struct sim_kernel **out)
{
	struct sim_kernel *k = (struct sim_kernel *)handle;

	if (!pool_live(&kernel_pool, k))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = k;
	return CUDA_SUCCESS;
}

static void library_delete(struct sim_library *l)
{
	while (l->modules)
		module_delete(l->modules); /* takes itself out of the list */
	for (size_t i = 0; i < l->kernel_count; i++)
		pool_free(&kernel_pool, l->kernel[i]);
	free(l->kernel);
	managed_unplace(l->ptx, l->managed);
	ptx_module_free(l->ptx);
	pool_free(&library_pool, l);
}

static CUresult library_new(const void *image, struct jit_request *jit, CUlibrary *out)
{
	struct sim_library *l;
	struct ptx_module *ptx;
	size_t n;

	TRY(jit_parse(image, jit, &ptx));
	l = pool_new(&library_pool);
	if (!l) {
		ptx_module_free(ptx);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	l->ptx = ptx;
	n = ptx_kernel_count(ptx);
	l->kernel = calloc(n + 1, sizeof(struct sim_kernel *));
	for (; l->kernel && l->kernel_count < n; l->kernel_count++) {
		struct sim_kernel *k = pool_new(&kernel_pool);

		if (!k)
			break;
		l->kernel[l->kernel_count] = k;
		k->library = l;
		k->k = ptx_kernel_at(ptx, l->kernel_count);
		k->set.carveout = -1;
		k->set.max_dynamic = k->k->shared_bytes < 49152 ? 49152 - k->k->shared_bytes : 0;
	}
	if (!l->kernel || l->kernel_count < n || managed_place(ptx, &l->managed) != CUDA_SUCCESS) {
		library_delete(l);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = (CUlibrary)l;
	return CUDA_SUCCESS;
}

static CUresult check_options(CUlibraryOption *options, void **values, unsigned int n)
{
	if (n && !options)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < n; i++)
		if ((unsigned int)options[i] > CU_LIBRARY_BINARY_IS_PRESERVED ||
		    options[i] == CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

API(cuLibraryLoadData, CUlibrary *out, const void *image, CUjit_option *jit_opts, void **jit_values,
    unsigned int n_jit, CUlibraryOption *options, void **values, unsigned int n)
{
	struct jit_request jit;

	ENTER();
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(jit_options(n_jit, jit_opts, jit_values, &jit));
	TRY(check_options(options, values, n));
	return library_new(image, &jit, out);
}

API(cuLibraryLoadFromFile, CUlibrary *out, const char *path, CUjit_option *jit_opts,
    void **jit_values, unsigned int n_jit, CUlibraryOption *options, void **values, unsigned int n)
{
	struct jit_request jit;
	void *image;
	CUresult r;

	ENTER();
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(jit_options(n_jit, jit_opts, jit_values, &jit));
	TRY(check_options(options, values, n));
	TRY(image_read_file(path, &image, NULL));
	r = library_new(image, &jit, out);
	free(image);
	return r;
}

API(cuLibraryUnload, CUlibrary handle)
{
	struct sim_library *l;

	ENTER();
	TRY(library_get(handle, &l));
	exec_all_wait();
	pthread_mutex_lock(&sim_life);
	library_delete(l);
	pthread_mutex_unlock(&sim_life);
	return CUDA_SUCCESS;
}

static void note_context(void *ctx, void *any)
{
	*(bool *)any = true;
}

/* The driver (580) asks for a current context in a process that has one, although kernels belong to
 * none. */
static CUresult kernels_context(void)
{
	struct sim_ctx *ctx;
	bool any = false;

	pool_each(&ctx_pool, note_context, &any);
	return any ? ctx_current(&ctx) : CUDA_SUCCESS;
}

API(cuLibraryGetKernel, CUkernel *out, CUlibrary handle, const char *name)
{
	struct sim_library *l;

	ENTER();
	TRY(kernels_context());
	TRY(library_get(handle, &l));
	if (!out || !name || !*name)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < l->kernel_count; i++)
		if (!strcmp(l->kernel[i]->k->name, name)) {
			*out = (CUkernel)l->kernel[i];
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_NOT_FOUND;
}

API(cuLibraryGetKernelCount, unsigned int *count, CUlibrary handle)
{
	struct sim_library *l;

	ENTER();
	TRY(library_get(handle, &l));
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = (unsigned int)l->kernel_count;
	return CUDA_SUCCESS;
}

API(cuLibraryEnumerateKernels, CUkernel *out, unsigned int n, CUlibrary handle)
{
	struct sim_library *l;

	ENTER();
	TRY(kernels_context());
	TRY(library_get(handle, &l));
	if (!out || !n)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < n && i < l->kernel_count; i++)
		out[i] = (CUkernel)l->kernel[i];
	return CUDA_SUCCESS;
}

/* The library's code in one context, loaded there at its first use. */
CUresult library_module(struct sim_library *l, struct sim_ctx *ctx, struct sim_module **out)
{
	CUresult r = CUDA_SUCCESS;
	struct sim_module *m;

	pthread_mutex_lock(&sim_life);
	for (m = l->modules; m && m->ctx != ctx; m = m->next_in_library)
		;
	if (!m) {
		r = module_create(ctx, l->ptx, l, &m);
		if (r == CUDA_SUCCESS) {
			l->has_initial = true;
			m->library = l;
			m->next_in_library = l->modules;
			l->modules = m;
		}
	}
	pthread_mutex_unlock(&sim_life);
	*out = m;
	return r;
}

CUresult kernel_func(struct sim_kernel *k, struct sim_ctx *ctx, struct sim_func **out)
{
	struct sim_module *m;

	TRY(library_module(k->library, ctx, &m));
	for (size_t i = 0; i < m->func_count; i++)
		if (m->func[i]->k == k->k) {
			*out = m->func[i];
			if ((*out)->set.max_dynamic < k->set.max_dynamic)
				(*out)->set.max_dynamic = k->set.max_dynamic;
			if (k->set.any_cluster)
				(*out)->set.any_cluster = true;
			for (int n = 0; n < 3 && k->set.cluster[n]; n++)
				(*out)->set.cluster[n] = k->set.cluster[n];
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_NOT_FOUND;
}

API(cuLibraryGetModule, CUmodule *out, CUlibrary handle)
{
	struct sim_library *l;
	struct sim_module *m;

	ENTER();
	CURRENT(ctx);
	TRY(library_get(handle, &l));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(library_module(l, ctx, &m));
	*out = (CUmodule)m;
	return CUDA_SUCCESS;
}

API(cuLibraryGetGlobal, CUdeviceptr *addr, size_t *size, CUlibrary handle, const char *name)
{
	struct sim_library *l;
	struct sim_module *m;

	ENTER();
	CURRENT(ctx);
	TRY(library_get(handle, &l));
	if (!name || (!addr && !size))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(library_module(l, ctx, &m));
	return module_find_global(m, name, addr, size);
}

API(cuLibraryGetManaged, CUdeviceptr *addr, size_t *size, CUlibrary handle, const char *name)
{
	struct sim_library *l;
	struct sim_module *m;
	CUdeviceptr p;
	struct range r;

	ENTER();
	CURRENT(ctx);
	TRY(library_get(handle, &l));
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(library_module(l, ctx, &m));
	TRY(module_find_global(m, name, &p, size));
	if (!range_find(p, &r) || r.kind != RANGE_MANAGED)
		return CUDA_ERROR_NOT_FOUND;
	if (addr)
		*addr = p;
	return CUDA_SUCCESS;
}

API(cuLibraryGetUnifiedFunction, void **fn, CUlibrary handle, const char *name)
{
	struct sim_library *l;

	ENTER();
	TRY(library_get(handle, &l));
	return name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

API(cuKernelGetFunction, CUfunction *out, CUkernel handle)
{
	struct sim_kernel *k;
	struct sim_func *f;

	ENTER();
	CURRENT(ctx);
	TRY(kernel_get(handle, &k));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(kernel_func(k, ctx, &f));
	*out = (CUfunction)f;
	return CUDA_SUCCESS;
}

API(cuKernelGetLibrary, CUlibrary *out, CUkernel handle)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUlibrary)k->library;
	return CUDA_SUCCESS;
}

API(cuKernelGetName, const char **name, CUkernel handle)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = k->k->name;
	return CUDA_SUCCESS;
}

API(cuKernelGetParamInfo, CUkernel handle, size_t index, size_t *offset, size_t *size)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!offset || index >= k->k->param_count)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = k->k->params[index].offset;
	if (size)
		*size = k->k->params[index].size;
	return CUDA_SUCCESS;
}
