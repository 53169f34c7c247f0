/* SPDX-License-Identifier: MIT */
/*
 * driver.json: what a driver exports, answers and says, to build a stand-in that does the same. It
 * holds nothing that tells one machine from another of the same kind.
 */
#include <dlfcn.h>
#include <glob.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_wire.h"
#include "tests/gpu/probe/core.h"
#include "tests/gpu/probe/machine/elf.h"
#include "tests/gpu/probe/machine/record.h"

#define ERRORS 1001

/* ---- error codes ---- */
typedef CUresult text_fn(CUresult, const char **);

static const char *ask(text_fn *f, int code)
{
	const char *text = NULL;

	return f && f((CUresult)code, &text) == CUDA_SUCCESS ? text : NULL;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Ours are those of the guest's library, whose object is linked with this program. */
static json_t *errors(void)
{
	text_fn *name_of = (text_fn *)cuda_symbol("cuGetErrorName");
	text_fn *text_of = (text_fn *)cuda_symbol("cuGetErrorString");
	int known = 0, names = 0, texts = 0, silent = 0;
	json_t *list = json_array();

	for (int i = 0; i < ERRORS; i++) {
		const char *name = ask(name_of, i), *text = ask(text_of, i);
		const char *our_name = ask(cuGetErrorName, i), *ours = ask(cuGetErrorString, i);

		if (!name && !text && !our_name)
			continue;
		known++;
		names += !same(name, our_name);
		texts += !same(text, ours);
		silent += our_name && !text;
		json_array_append_new(list, json_pack("{s:i, s:s?, s:s?, s:b, s:b}", "code", i,
						      "name", name, "text", text, "our_name",
						      same(name, our_name), "our_text",
						      same(text, ours)));
	}
	say_int("errors", known);
	verdict(ASSUME_error_names, !names, "%d of %d differ", names, known);
	verdict(ASSUME_error_texts, !silent, "%d of %d have none, %d are others than ours", silent,
		known, texts);
	return list;
}

/* ---- the device ---- */
static json_t *attributes(CUdevice dev)
{
	__typeof__(cuDeviceGetAttribute) *get =
		(__typeof__(cuDeviceGetAttribute) *)cuda_symbol("cuDeviceGetAttribute");
	json_t *all = json_object();

	for (int i = 1; get && i < PVGPU_ATTRS_MAX; i++) {
		/* Where in this machine the GPU is. */
		const bool place = i == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID ||
				   i == CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID ||
				   i == CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID;
		char key[16];
		int value;

		snprintf(key, sizeof(key), "%d", i);
		if (!place && get(&value, (CUdevice_attribute)i, dev) == CUDA_SUCCESS)
			json_object_set_new(all, key, json_integer(value));
	}
	return all;
}

static json_t *granularities(CUdevice dev)
{
	static const CUmemAllocationHandleType types[] = {CU_MEM_HANDLE_TYPE_NONE,
							  CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR};
	json_t *all = json_object();

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const CUmemAllocationProp prop = {
			.type = CU_MEM_ALLOCATION_TYPE_PINNED,
			.requestedHandleTypes = types[i],
			.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = dev},
		};
		size_t least = 0, best = 0;
		char key[32];

		CU(cuMemGetAllocationGranularity, &least, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
		CU(cuMemGetAllocationGranularity, &best, &prop,
		   CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
		snprintf(key, sizeof(key), "handle_type_%d", (int)types[i]);
		json_object_set_new(all, key,
				    json_pack("{s:I, s:I}", "minimum", (json_int_t)least,
					      "recommended", (json_int_t)best));
	}
	return all;
}

static void add_device(json_t *o)
{
	int version = 0;
	char name[128] = "";
	size_t bytes = 0;
	CUdevice dev;

	if (!cuda_device(&dev))
		return;
	CU(cuDriverGetVersion, &version);
	CU(cuDeviceGetName, name, sizeof(name) - 1, dev);
	CU(cuDeviceTotalMem_v2, &bytes, dev);
	json_object_set_new(o, "driver_version", json_integer(version));
	json_object_set_new(o, "device_name", json_string(name));
	json_object_set_new(o, "device_memory", json_integer((json_int_t)bytes));
	json_object_set_new(o, "attributes", attributes(dev));
	json_object_set_new(o, "granularity", granularities(dev));
}

/* ---- libraries ---- */
/* Files that have been looked at, by their real paths. */
static json_t *seen;

static void add_library(json_t *list, const char *path)
{
	char *real = realpath(path, NULL);
	json_t *symbols = NULL;

	if (!real || json_object_get(seen, real))
		goto out;
	json_object_set_new(seen, real, json_true());
	symbols = elf_exports(real);
	if (!symbols)
		goto out;
	mask_text(real);
	json_array_append_new(list,
			      json_pack("{s:s, s:I, s:O}", "file", real, "count",
					(json_int_t)json_array_size(symbols), "symbols", symbols));
out:
	json_decref(symbols);
	free(real);
}

static void add_matches(json_t *list, const char *pattern)
{
	glob_t g;

	if (!glob(pattern, 0, NULL, &g))
		for (size_t i = 0; i < g.gl_pathc; i++)
			add_library(list, g.gl_pathv[i]);
	globfree(&g);
}

/* Below a prefix such as /usr: the loader's folders, toolkits' and Python packages'. */
static void add_below(json_t *list, const char *prefix)
{
	static const char *const places[] = {
		"lib/libcudart.so.*",
		"lib64/libcudart.so.*",
		"lib/x86_64-linux-gnu/libcudart.so.*",
		"cuda*/lib/libcudart.so.*",
		"cuda*/lib64/libcudart.so.*",
		"lib/python3*/*-packages/nvidia/*/lib/libcudart.so.*",
		"lib/python3*/*-packages/torch/lib/libcudart*.so*",
	};
	char pattern[512];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", prefix, places[i]);
		add_matches(list, pattern);
	}
}

static json_t *runtimes(void)
{
	static const char *const own[] = {"GPU_PROBE_PREFIX", "VIRTUAL_ENV", "CONDA_PREFIX"};
	static const char *const common[] = {"/usr", "/usr/local", "/opt", "/opt/*"};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		add_below(list, common[i]);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (getenv(own[i]) && *getenv(own[i]) == '/')
			add_below(list, getenv(own[i]));
	say_int("runtimes", (int64_t)json_array_size(list));
	return list;
}

static json_t *driver_library(void)
{
	void *so = dlopen(opt.libcuda, RTLD_NOW | RTLD_LOCAL);
	json_t *list = json_array();
	struct link_map *map;

	if (so && !dlinfo(so, RTLD_DI_LINKMAP, &map))
		add_library(list, map->l_name);
	say_int("driver_symbols",
		(int64_t)json_array_size(json_object_get(json_array_get(list, 0), "symbols")));
	return list;
}

void step_record(void)
{
	json_t *o = json_pack("{s:i}", "format", 1), *drivers;

	if (!cuda_load()) {
		say_lacking();
		return;
	}
	seen = json_object();
	drivers = driver_library();
	json_object_set_new(o, "errors", errors());
	add_device(o);
	record_exports(o, json_object_get(json_array_get(drivers, 0), "symbols"));
	json_object_set_new(o, "libcuda", drivers);
	json_object_set_new(o, "libcudart", runtimes());
	if (json_dump_file(o, opt.record, JSON_INDENT(1)) < 0) {
		say_text("record_error", "%s cannot be written", opt.record);
		say_lacking();
	}
	json_decref(o);
}
