/* SPDX-License-Identifier: MIT */
/* Modules: parsed code bound to a context, with its global variables in device memory. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/simcuda/driver/sim.h"

struct pool module_pool = POOL(struct sim_module);
struct pool func_pool = POOL(struct sim_func);

static uint64_t align_up(uint64_t v, uint64_t a)
{
	return (v + a - 1) & ~(a - 1);
}

/* Every variable gets its own piece of one block of device memory, but for managed ones. */
static CUresult place_globals(struct sim_module *m, const uint64_t *managed)
{
	size_t n = ptx_global_count(m->ptx);
	uint64_t total = 0;

	m->addr = calloc(n + 1, sizeof(*m->addr));
	if (!m->addr)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < n; i++) {
		const struct ptx_global *g = ptx_global_at(m->ptx, i);

		if (g->is_managed)
			continue;
		if (g->size > sim_config.memory || total > sim_config.memory)
			return CUDA_ERROR_OUT_OF_MEMORY;
		total = align_up(total, g->align > 256 ? g->align : 256);
		m->addr[i] = total;
		total += g->size;
	}
	if (total)
		TRY(memory_alloc(m->ctx, total, &m->memory));
	for (size_t i = 0; i < n; i++)
		m->addr[i] = managed && managed[i] ? managed[i] : m->addr[i] + m->memory;
	return CUDA_SUCCESS;
}

/* arg: a library, whose managed variables are set once; or NULL. */
static void write_initial(void *arg, uint64_t addr, const void *bytes, size_t len)
{
	const struct sim_library *l = arg;
	const char *p = bytes;
	struct range r;

	if (l && l->has_initial && range_find(addr, &r) && r.kind == RANGE_MANAGED)
		return;
	if (sim_fault.global_init)
		memset((void *)addr, 0, len);
	else if (sim_fault.scrub && len && !*p && !memcmp(p, p + 1, len - 1))
		return; /* as if memory had been cleared before */
	else
		memcpy((void *)addr, bytes, len);
}

static CUresult make_functions(struct sim_module *m)
{
	size_t n = ptx_kernel_count(m->ptx);

	m->func = calloc(n + 1, sizeof(struct sim_func *));
	if (!m->func)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (; m->func_count < n; m->func_count++) {
		struct sim_func *f = pool_new(&func_pool);

		if (!f)
			return CUDA_ERROR_OUT_OF_MEMORY;
		m->func[m->func_count] = f;
		f->module = m;
		f->k = ptx_kernel_at(m->ptx, m->func_count);
		f->set.max_dynamic = f->k->shared_bytes < 49152 ? 49152 - f->k->shared_bytes : 0;
		f->set.carveout = -1;
	}
	return CUDA_SUCCESS;
}

/* library: NULL for a module of its own, which then frees ptx, also when this fails. */
CUresult module_create(struct sim_ctx *ctx, struct ptx_module *ptx, struct sim_library *library,
		       struct sim_module **out)
{
	struct sim_module *m = pool_new(&module_pool);
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (!m) {
		if (!library)
			ptx_module_free(ptx);
		return r;
	}
	m->ctx = ctx;
	m->ptx = ptx;
	m->owns_ptx = !library;
	r = library ? CUDA_SUCCESS : managed_place(ptx, &m->managed);
	if (r == CUDA_SUCCESS)
		r = place_globals(m, library ? library->managed : m->managed);
	if (r == CUDA_SUCCESS)
		r = make_functions(m);
	if (r == CUDA_SUCCESS) {
		enum ptx_result e =
			ptx_image_create(ptx, m->addr, write_initial, library, &m->image);

		if (e != PTX_OK)
			r = e == PTX_NO_MEMORY ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_PTX;
	}
	if (r == CUDA_SUCCESS)
		*out = m;
	else
		module_delete(m);
	return r;
}

/* No kernel of it may be running. */
void module_delete(struct sim_module *m)
{
	for (size_t i = 0; i < m->func_count; i++)
		pool_free(&func_pool, m->func[i]);
	free(m->func);
	if (m->image)
		ptx_image_free(m->image);
	if (m->memory)
		memory_free(m->memory);
	free(m->addr);
	managed_unplace(m->ptx, m->managed);
	if (m->owns_ptx)
		ptx_module_free(m->ptx);
	if (m->library) {
		struct sim_module **p = &m->library->modules;

		while (*p && *p != m)
			p = &(*p)->next_in_library;
		if (*p)
			*p = m->next_in_library;
	}
	pool_free(&module_pool, m);
}

static void drop(void *obj, void *arg)
{
	struct sim_module *m = obj;

	if (m->ctx == arg)
		module_delete(m);
}

void module_drop_ctx(struct sim_ctx *ctx)
{
	pool_each(&module_pool, drop, ctx);
}

static CUresult load(struct sim_ctx *ctx, const void *image, struct jit_request *jit, CUmodule *out)
{
	struct ptx_module *ptx;
	struct sim_module *m;

	TRY(jit_parse(image, jit, &ptx));
	TRY(module_create(ctx, ptx, NULL, &m));
	*out = (CUmodule)m;
	return CUDA_SUCCESS;
}

API(cuModuleLoadDataEx, CUmodule *out, const void *image, unsigned int n, CUjit_option *options,
    void **values)
{
	struct jit_request jit;

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(jit_options(n, options, values, &jit));
	return load(ctx, image, &jit, out);
}

API(cuModuleLoadData, CUmodule *out, const void *image)
{
	struct jit_request jit = {0};

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	return load(ctx, image, &jit, out);
}

API(cuModuleLoadFatBinary, CUmodule *out, const void *image)
{
	struct jit_request jit = {0};

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	return load(ctx, image, &jit, out);
}

API(cuModuleLoad, CUmodule *out, const char *path)
{
	struct jit_request jit = {0};
	void *image;
	CUresult r;

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(image_read_file(path, &image, NULL));
	r = load(ctx, image, &jit, out);
	free(image);
	return r;
}

static CUresult module_get(CUmodule handle, struct sim_module **out)
{
	struct sim_module *m = (struct sim_module *)handle;

	if (!pool_live(&module_pool, m))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = m;
	return ctx_status(m->ctx);
}

API(cuModuleUnload, CUmodule handle)
{
	struct sim_module *m;

	ENTER_ANY();
	TRY(module_get(handle, &m));
	TRY(ctx_status(m->ctx));
	if (m->library)
		return CUDA_ERROR_NOT_PERMITTED; /* goes with its library */
	exec_ctx_wait(m->ctx);
	print_flush(m->ctx);
	module_delete(m);
	return CUDA_SUCCESS;
}

/* What the environment asks for; the simulated GPU loads the same either way. */
API(cuModuleGetLoadingMode, CUmoduleLoadingMode *mode)
{
	const char *wish = getenv("CUDA_MODULE_LOADING");

	ENTER();
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = wish && !strcasecmp(wish, "EAGER") ? CU_MODULE_EAGER_LOADING
						   : CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}

API(cuModuleGetFunction, CUfunction *out, CUmodule handle, const char *name)
{
	struct sim_module *m;

	ENTER_ANY();
	TRY(module_get(handle, &m));
	if (!out || !name || !*name)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < m->func_count; i++)
		if (!strcmp(m->func[i]->k->name, name)) {
			*out = (CUfunction)m->func[i];
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_NOT_FOUND;
}

API(cuModuleGetFunctionCount, unsigned int *count, CUmodule handle)
{
	struct sim_module *m;

	ENTER();
	TRY(module_get(handle, &m));
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = (unsigned int)m->func_count;
	return CUDA_SUCCESS;
}

API(cuModuleEnumerateFunctions, CUfunction *out, unsigned int n, CUmodule handle)
{
	struct sim_module *m;

	ENTER();
	TRY(module_get(handle, &m));
	if (!out || !n)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < n && i < m->func_count; i++)
		out[i] = (CUfunction)m->func[i];
	return CUDA_SUCCESS;
}

CUresult module_find_global(struct sim_module *m, const char *name, CUdeviceptr *addr, size_t *size)
{
	const struct ptx_global *found = NULL;

	/* of those of one name, the one that all texts of the module see */
	for (size_t i = 0; i < ptx_global_count(m->ptx); i++) {
		const struct ptx_global *g = ptx_global_at(m->ptx, i);

		if (strcmp(g->name, name) || (found && g->is_local))
			continue;
		found = g;
		if (addr)
			*addr = m->addr[i];
		if (size)
			*size = g->size;
	}
	return found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

API(cuModuleGetGlobal_v2, CUdeviceptr *addr, size_t *size, CUmodule handle, const char *name)
{
	struct sim_module *m;

	ENTER();
	CURRENT(ctx);
	TRY(module_get(handle, &m));
	if (!name || (!addr && !size) || ptx_kernel_find(m->ptx, name))
		return CUDA_ERROR_INVALID_VALUE;
	return module_find_global(m, name, addr, size);
}
