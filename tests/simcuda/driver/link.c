/* SPDX-License-Identifier: MIT */
/*
 * Linking: texts are added one by one and checked, then they become one module, which is given out
 * as an image (linked.c). Each call continues the logs that cuLinkCreate was given.
 */
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/image/fatbin.h"
#include "tests/simcuda/driver/sim.h"

struct sim_link {
	struct handle h;
	struct jit_request jit;
	char error[JIT_LOG], info[JIT_LOG];
	struct unit_list units;
	void *image;
	size_t size;
};
static struct pool link_pool = POOL(struct sim_link);

static CUresult link_get(CUlinkState handle, struct sim_link **out)
{
	struct sim_link *l = (struct sim_link *)handle;

	if (!pool_live(&link_pool, l))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = l;
	return CUDA_SUCCESS;
}

static void append(char *log, const char *text)
{
	size_t have = strlen(log), n = strnlen(text, JIT_LOG - 1 - have);

	memcpy(log + have, text, n);
	log[have + n] = 0;
}

static void show_logs(struct sim_link *l)
{
	jit_log(l->jit.info_log, l->jit.info_size, l->jit.info_used, l->info);
	jit_log(l->jit.error_log, l->jit.error_size, l->jit.error_used, l->error);
}

API(cuLinkCreate_v2, unsigned int n, CUjit_option *options, void **values, CUlinkState *out)
{
	struct jit_request jit;
	struct sim_link *l;

	ENTER();
	CURRENT(ctx);
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(jit_options(n, options, values, &jit));
	l = pool_new(&link_pool);
	if (!l)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->jit = jit;
	show_logs(l);
	*out = (CUlinkState)l;
	return CUDA_SUCCESS;
}

API(cuLinkCreate, unsigned int n, CUjit_option *options, void **values, CUlinkState *out)
{
	return cuLinkCreate_v2(n, options, values, out);
}

/* Each text that the input has brought, on its own. */
static CUresult check_units(const struct sim_link *l, size_t from, char *log, size_t size)
{
	for (size_t i = from; i < l->units.count; i++)
		TRY(image_status(ptx_check(&l->units.unit[i], sim_config.cc, log, size)));
	return CUDA_SUCCESS;
}

/* The input must be of the kind that is said; machine code and intermediate code are refused. */
static CUresult add_input(struct sim_link *l, CUjitInputType type, const void *data, size_t size,
			  const char *name, char *log, size_t log_size)
{
	size_t before = l->units.count;

	switch (type) {
	case CU_JIT_INPUT_PTX:
		TRY(units_add(&l->units, name, data, strnlen(data, size)));
		break;
	case CU_JIT_INPUT_CUBIN:
	case CU_JIT_INPUT_OBJECT:
	case CU_JIT_INPUT_FATBINARY:
		if (image_kind(data, size) == IMAGE_ELF) {
			append(log, "a cubin that is linked for good cannot be linked again\n");
			return CUDA_ERROR_NO_BINARY_FOR_GPU;
		}
		TRY(image_units(data, size, name, &l->units, log, log_size));
		break;
	default:
		append(log, "the simulated GPU links PTX: archives and NVVM code are not known\n");
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	return check_units(l, before, log, log_size);
}

static CUresult add(struct sim_link *l, CUjitInputType type, const void *data, size_t size,
		    const char *name)
{
	char log[JIT_LOG] = "";
	size_t before = l->units.count;
	CUresult r = add_input(l, type, data, size, name, log, sizeof(log));

	if (r != CUDA_SUCCESS && !*log)
		append(log, r == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory\n" : "unusable input\n");
	while (r != CUDA_SUCCESS && l->units.count > before) {
		struct ptx_unit *u = &l->units.unit[--l->units.count];

		free((char *)u->name);
		free((char *)u->text);
	}
	append(l->error, log);
	show_logs(l);
	return r;
}

static CUresult add_check(CUlinkState state, unsigned int n, CUjit_option *options, void **values,
			  CUjitInputType type, struct sim_link **l)
{
	struct jit_request jit;

	TRY(link_get(state, l));
	TRY(jit_options(n, options, values, &jit));
	if ((unsigned int)type >= CU_JIT_NUM_INPUT_TYPES || (*l)->image)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

API(cuLinkAddData_v2, CUlinkState state, CUjitInputType type, void *data, size_t size,
    const char *name, unsigned int n, CUjit_option *options, void **values)
{
	struct sim_link *l;

	ENTER();
	TRY(add_check(state, n, options, values, type, &l));
	if (!data || !size)
		return CUDA_ERROR_INVALID_VALUE;
	return add(l, type, data, size, name);
}

API(cuLinkAddData, CUlinkState state, CUjitInputType type, void *data, size_t size,
    const char *name, unsigned int n, CUjit_option *options, void **values)
{
	return cuLinkAddData_v2(state, type, data, size, name, n, options, values);
}

API(cuLinkAddFile_v2, CUlinkState state, CUjitInputType type, const char *path, unsigned int n,
    CUjit_option *options, void **values)
{
	struct sim_link *l;
	size_t size;
	void *data;
	CUresult r;

	ENTER();
	TRY(add_check(state, n, options, values, type, &l));
	r = image_read_file(path, &data, &size);
	if (r != CUDA_SUCCESS) {
		append(l->error, path ? path : "no path");
		append(l->error, r == CUDA_ERROR_FILE_NOT_FOUND ? ": there is no such file\n"
								: ": no PTX, cubin or fatbin\n");
		show_logs(l);
		return r;
	}
	r = add(l, type, data, size, path);
	free(data);
	return r;
}

API(cuLinkAddFile, CUlinkState state, CUjitInputType type, const char *path, unsigned int n,
    CUjit_option *options, void **values)
{
	return cuLinkAddFile_v2(state, type, path, n, options, values);
}

static uint64_t variables(const struct ptx_module *m)
{
	uint64_t all = 0;

	for (size_t i = 0; i < ptx_global_count(m); i++)
		all += (ptx_global_at(m, i)->size + 255) & ~255ull;
	return all;
}

static CUresult complete(struct sim_link *l)
{
	char log[JIT_LOG] = "";
	struct ptx_module *m;
	enum ptx_result e;
	CUresult r;

	if (!l->units.count) {
		append(l->error, "there is nothing to link\n");
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	e = ptx_link(l->units.unit, l->units.count, sim_config.cc, &m, log, sizeof(log));
	if (e != PTX_OK) {
		append(l->error, *log ? log : "out of memory\n");
		return e == PTX_NO_MEMORY ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	r = linked_write(&l->units, variables(m), &l->image, &l->size);
	ptx_module_free(m);
	if (r == CUDA_SUCCESS)
		append(l->info, "simcuda: linked\n");
	else
		append(l->error, "out of memory\n");
	return r;
}

API(cuLinkComplete, CUlinkState state, void **image, size_t *size)
{
	CUresult r = CUDA_SUCCESS;
	struct sim_link *l;

	ENTER();
	TRY(link_get(state, &l));
	if (!image)
		return CUDA_ERROR_INVALID_VALUE;
	if (!l->image)
		r = complete(l);
	show_logs(l);
	if (r != CUDA_SUCCESS)
		return r;
	*image = l->image;
	if (size)
		*size = l->size;
	return CUDA_SUCCESS;
}

API(cuLinkDestroy, CUlinkState state)
{
	struct sim_link *l;

	ENTER();
	TRY(link_get(state, &l));
	units_free(&l->units);
	free(l->image);
	pool_free(&link_pool, l);
	return CUDA_SUCCESS;
}
