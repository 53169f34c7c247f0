/* SPDX-License-Identifier: MIT */
/* Compiling PTX: times, options, logs and errors, and which versions and targets are accepted. */
#include "tests/gpu/probe/kernels/step_images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_BYTES 8192
#define UNWRITTEN 0x7e

extern const char ptx_globals[], ptx_histogram[], ptx_math[], ptx_matmul[], ptx_nbody[],
	ptx_occupy[], ptx_reduce[], ptx_scan[];

const char ptx_store[] = ".version 6.4\n"
			 ".target sm_70\n"
			 ".address_size 64\n"
			 ".visible .entry store_word(.param .u64 p_at, .param .u32 p_value)\n"
			 "{\n"
			 "	.reg .b32 %r<2>;\n"
			 "	.reg .b64 %rd<3>;\n"
			 "	ld.param.u64 %rd1, [p_at];\n"
			 "	ld.param.u32 %r1, [p_value];\n"
			 "	cvta.to.global.u64 %rd2, %rd1;\n"
			 "	st.global.u32 [%rd2], %r1;\n"
			 "	ret;\n"
			 "}\n";

int store_run_in(CUmodule module)
{
	uint32_t value = 4711, seen = 0;
	CUdeviceptr at = 0;
	CUfunction f;
	int r = (int)CU(cuModuleGetFunction, &f, module, "store_word");

	if (!r)
		r = (int)CU(cuMemAlloc_v2, &at, 4);
	if (!r)
		r = (int)CU(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&at, &value},
			    NULL);
	if (!r)
		r = (int)CU(cuMemcpyDtoH_v2, &seen, at, 4);
	if (at)
		CU(cuMemFree_v2, at);
	return r || seen == value ? r : CUDA_ERROR_UNKNOWN;
}

int store_run(uint64_t *ns)
{
	const uint64_t begin = now_ns();
	CUmodule module;
	int r = ASK(cuModuleLoadDataEx, &module, ptx_store, 0, NULL, NULL);

	*ns = now_ns() - begin;
	if (!r) {
		r = store_run_in(module);
		CU(cuModuleUnload, module);
	}
	return r;
}

/* ---- times ---- */
struct logged {
	char info[LOG_BYTES], error[LOG_BYTES];
	float ms;
	int64_t info_said, error_said; /* sizes as the call left them */
};

/* As the worker does it: numbers, and bounded buffers. */
static int load_logged(const char *ptx, struct logged *l, CUmodule *module)
{
	CUjit_option option[] = {CU_JIT_WALL_TIME,
				 CU_JIT_INFO_LOG_BUFFER,
				 CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
				 CU_JIT_ERROR_LOG_BUFFER,
				 CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
				 CU_JIT_LOG_VERBOSE};
	void *value[] = {NULL,
			 l->info,
			 (void *)(uintptr_t)sizeof(l->info),
			 l->error,
			 (void *)(uintptr_t)sizeof(l->error),
			 (void *)1};
	uint32_t bits;
	int r;

	/* Bytes that the driver does not write keep this pattern. */
	memset(l, UNWRITTEN, sizeof(*l));
	r = ASK(cuModuleLoadDataEx, module, ptx, sizeof(option) / sizeof(option[0]), option, value);
	bits = (uint32_t)(uintptr_t)value[0];
	memcpy(&l->ms, &bits, sizeof(bits));
	l->info_said = (int64_t)(uintptr_t)value[2];
	l->error_said = (int64_t)(uintptr_t)value[4];
	return r;
}

static void time_one(const char *name, const char *ptx)
{
	uint64_t begin = now_ns(), ns;
	struct logged l;
	CUmodule module;
	int r = ASK(cuModuleLoadDataEx, &module, ptx, 0, NULL, NULL);

	say_intf((int64_t)(now_ns() - begin), "%s_ns", name);
	if (r)
		say_intf(r, "%s_result", name);
	else
		CU(cuModuleUnload, module);
	begin = now_ns();
	r = load_logged(ptx, &l, &module);
	ns = now_ns() - begin;
	if (r)
		return;
	say_intf((int64_t)ns, "%s_logged_ns", name);
	CU(cuModuleUnload, module);
	verdict(ASSUME_jit_log_ends, l.info[0] == UNWRITTEN || memchr(l.info, 0, sizeof(l.info)),
		"%s: %lld bytes said", name, (long long)l.info_said);
	/* It must be a time, and no more than what passed. */
	verdict(ASSUME_jit_wall_time, l.ms >= 0 && l.ms <= (float)ns / 1e6f + 1, "%s: %g ms of %g",
		name, (double)l.ms, (double)ns / 1e6);
	if (!strcmp(name, "vector"))
		say_text("info_log", "%.600s", l.info[0] == UNWRITTEN ? "" : l.info);
}

static void times(void)
{
	static const struct {
		const char *name, *ptx;
	} list[] = {
		{"store", ptx_store},   {"occupy", ptx_occupy}, {"globals", ptx_globals},
		{"matmul", ptx_matmul}, {"nbody", ptx_nbody},   {"histogram", ptx_histogram},
		{"reduce", ptx_reduce}, {"scan", ptx_scan},     {"math", ptx_math},
		{"sync", ptx_sync},     {"fault", ptx_fault},   {"vector", ptx_vector},
	};

	if (!part_context())
		return;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		time_one(list[i].name, list[i].ptx);
}

/* ---- options, one by one ---- */
static void options(void)
{
	static const struct {
		CUjit_option id;
		uintptr_t value;
		const char *name;
	} list[] = {
		{CU_JIT_MAX_REGISTERS, 32, "max_registers"},
		{CU_JIT_THREADS_PER_BLOCK, 128, "threads_per_block"},
		{CU_JIT_WALL_TIME, 0, "wall_time"},
		{CU_JIT_OPTIMIZATION_LEVEL, 2, "optimization_level"},
		{CU_JIT_TARGET_FROM_CUCONTEXT, 0, "target_from_context"},
		{CU_JIT_TARGET, 0, "target"},
		{CU_JIT_FALLBACK_STRATEGY, 0, "fallback_strategy"},
		{CU_JIT_GENERATE_DEBUG_INFO, 0, "debug_info"},
		{CU_JIT_LOG_VERBOSE, 1, "log_verbose"},
		{CU_JIT_GENERATE_LINE_INFO, 1, "line_info"},
		{CU_JIT_CACHE_MODE, 0, "cache_mode"},
		{CU_JIT_FAST_COMPILE, 1, "fast_compile"},
		{CU_JIT_LTO, 0, "lto"},
		{CU_JIT_FTZ, 0, "ftz"},
		{CU_JIT_PREC_DIV, 1, "prec_div"},
		{CU_JIT_PREC_SQRT, 1, "prec_sqrt"},
		{CU_JIT_FMA, 1, "fma"},
		{CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES, 0, "unused_variables"},
		{CU_JIT_POSITION_INDEPENDENT_CODE, 0, "position_independent"},
		{CU_JIT_MIN_CTA_PER_SM, 1, "min_cta_per_sm"},
		{CU_JIT_MAX_THREADS_PER_BLOCK, 256, "max_threads_per_block"},
		{CU_JIT_OVERRIDE_DIRECTIVE_VALUES, 0, "override_directives"},
	};
	int major = 9, minor = 0;
	size_t refused = 0;

	if (!part_context())
		return;
	CU(cuDeviceGetAttribute, &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0);
	CU(cuDeviceGetAttribute, &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		CUjit_option id = list[i].id;
		void *value = (void *)list[i].value;
		CUmodule module;
		int r;

		if (id == CU_JIT_TARGET)
			value = (void *)(uintptr_t)(10 * major + minor);
		r = ASK(cuModuleLoadDataEx, &module, ptx_store, 1, &id, &value);
		if (!r) {
			CU(cuModuleUnload, module);
			continue;
		}
		say_intf(r, "%s_result", list[i].name);
		refused++;
	}
	say_int("refused", (int64_t)refused);
}

/* ---- errors ---- */
static void errors(void)
{
	static const struct {
		const char *name, *text;
	} list[] = {
		{"opcode", ".version 6.4\n.target sm_70\n.address_size 64\n"
			   ".visible .entry k()\n{\n\tno.such.opcode;\n\tret;\n}\n"},
		{"symbol", ".version 6.4\n.target sm_70\n.address_size 64\n.extern .func gone;\n"
			   ".visible .entry k()\n{\n\tcall gone;\n\tret;\n}\n"},
		{"text", "this is no PTX"},
		{"empty", ""},
	};

	if (!part_context())
		return;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct logged l;
		CUmodule module;
		const int r = load_logged(list[i].text, &l, &module);

		say_intf(r, "%s_result", list[i].name);
		say_intf(l.error_said, "%s_log_bytes", list[i].name);
		if (i)
			continue;
		l.error[sizeof(l.error) - 1] = '\0';
		say_text("opcode_log", "%.400s", l.error);
		verdict(ASSUME_jit_error_code, r == CUDA_ERROR_INVALID_PTX, "result %d", r);
		verdict(ASSUME_jit_log_ends, l.error_said < LOG_BYTES, "of an error: %lld bytes",
			(long long)l.error_said);
	}
}

/* ---- versions and targets ---- */
static int load_as(const char *version, const char *target)
{
	const char *body = strstr(ptx_store, ".address_size");
	char text[1024];
	CUmodule module;
	int r;

	snprintf(text, sizeof(text), ".version %s\n.target %s\n%s", version, target, body);
	r = ASK(cuModuleLoadDataEx, &module, text, 0, NULL, NULL);
	if (!r)
		CU(cuModuleUnload, module);
	return r;
}

static void accepted(char *list, size_t cap, const char *what, int r)
{
	const size_t n = strlen(list);

	snprintf(list + n, cap - n, "%s%s=%d", n ? " " : "", what, r);
}

static void versions(void)
{
	static const char *const version[] = {"5.0", "6.0", "6.3", "6.4", "6.5", "7.0", "7.1",
					      "7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "7.8",
					      "8.0", "8.1", "8.2", "8.3", "8.4", "8.5", "8.6",
					      "8.7", "8.8", "9.0", "9.1", "9.2", "9.3"};
	static const struct {
		const char *target, *version;
	} targets[] = {
		{"sm_50", "6.0"}, {"sm_60", "6.0"}, {"sm_70", "6.4"},  {"sm_75", "6.4"},
		{"sm_80", "7.0"}, {"sm_90", "7.8"}, {"sm_90a", "8.0"}, {"sm_100", "8.6"},
	};
	char list[512] = "";
	int old = 0, r;

	if (!part_context())
		return;
	for (size_t i = 0; i < sizeof(version) / sizeof(version[0]); i++)
		accepted(list, sizeof(list), version[i],
			 load_as(version[i], strcmp(version[i], "6.3") < 0 ? "sm_50" : "sm_70"));
	say_text("isa", "%s", list);
	list[0] = '\0';
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		r = load_as(targets[i].version, targets[i].target);
		accepted(list, sizeof(list), targets[i].target, r);
		if (i < 3 && r)
			old = r;
	}
	say_text("targets", "%s", list);
	/* The canary and the tests' kernels are such. */
	verdict(ASSUME_jit_old_targets, !old, "%s", list);
}

static const char *const lazy[] = {"CUDA_MODULE_LOADING=LAZY", NULL};
static const char *const eager[] = {"CUDA_MODULE_LOADING=EAGER", NULL};
static const char *const cached[] = {"CUDA_CACHE_DISABLE=0", NULL};

static const struct part parts[] = {
	{"times", times, 30, NULL},
	{"options", options, 20, NULL},
	{"errors", errors, 10, NULL},
	{"versions", versions, 20, NULL},
	{"fatbin", images_fatbins, 20, NULL},
	{"cubin", images_cubin, 30, NULL},
	{"opened", images_opened, 20, NULL},
	{"denied", NULL, 20, NULL},
	{"preloaded", NULL, 20, NULL},
	{"warm", NULL, 20, NULL},
	{"nofile", images_denied, 20, NULL},
	{"cache", images_cache, 20, cached},
	{"lazy", NULL, 20, lazy},
	{"eager", images_loading, 20, eager},
	{"library", images_library, 20, NULL},
	{"link", images_link, 20, NULL},
	{NULL, NULL, 0, NULL},
};

void step_images(void)
{
	parts_run(parts);
}
