/* SPDX-License-Identifier: MIT */
/*
 * The driver's answers about a kernel's parameters, the forms of launch it takes, and the mistakes
 * it reports at once: pvgpu packs parameters by the first, and reports the last itself.
 */
#include "tests/gpu/probe/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE_MS 2000

static const char ptx_mixed[] =
	".version 6.4\n.target sm_70\n.address_size 64\n"
	".visible .entry mixed(\n"
	"	.param .u64 p_out, .param .u8 p_c, .param .align 8 .b8 p_s[24],\n"
	"	.param .u16 p_h, .param .f32 p_f, .param .u64 p_l, .param .align 1 .b8 p_t[3])\n"
	"{\n"
	"	.reg .b16 %h<2>;\n"
	"	.reg .b64 %rd<5>;\n"
	"	ld.param.u64 %rd1, [p_out];\n"
	"	cvta.to.global.u64 %rd2, %rd1;\n"
	"	ld.param.u64 %rd3, [p_s+16];\n"
	"	st.global.u64 [%rd2], %rd3;\n"
	"	ld.param.u64 %rd4, [p_l];\n"
	"	st.global.u64 [%rd2+8], %rd4;\n"
	"	ld.param.u16 %h1, [p_h];\n"
	"	st.global.u16 [%rd2+16], %h1;\n"
	"	ret;\n"
	"}\n";

/* As the text above declares them, each at a multiple of its alignment. */
static const struct {
	size_t offset, size;
} mixed_layout[] = {{0, 8}, {8, 1}, {16, 24}, {40, 2}, {44, 4}, {48, 8}, {56, 3}};
#define MIXED (sizeof(mixed_layout) / sizeof(mixed_layout[0]))

static CUkernel kernel_of(const char *ptx, const char *name)
{
	CUlibrary library;
	CUkernel k;

	if (CU(cuLibraryLoadData, &library, ptx, NULL, NULL, 0, NULL, NULL, 0) ||
	    CU(cuLibraryGetKernel, &k, library, name))
		return NULL;
	return k;
}

/* ---- the layout ---- */
static int ask_param(bool kernel, void *f, size_t i, size_t *offset, size_t *size)
{
	return kernel ? ASK(cuKernelGetParamInfo, f, i, offset, size)
		      : ASK(cuFuncGetParamInfo, f, i, offset, size);
}

static void layout_of(const char *what, bool kernel, void *f)
{
	size_t offset, size, wrong = 0;
	int end, past, r = 0;

	for (size_t i = 0; i < MIXED && !r; i++) {
		r = ask_param(kernel, f, i, &offset, &size);
		wrong += !r && (offset != mixed_layout[i].offset || size != mixed_layout[i].size);
	}
	say_intf(r, "%s_result", what);
	verdict(ASSUME_params_known, !r, "%s: result %d", what, r);
	if (r)
		return;
	verdict(ASSUME_params_layout, !wrong, "%s: %zu of %zu elsewhere", what, wrong, MIXED);
	end = ask_param(kernel, f, MIXED, &offset, &size);
	past = ask_param(kernel, f, MIXED + 100, &offset, &size);
	say_intf(end, "%s_end_result", what);
	say_intf(past, "%s_past_end_result", what);
	verdict(ASSUME_params_end, end == CUDA_ERROR_INVALID_VALUE, "%s: result %d", what, end);
	say_intf(ask_param(kernel, f, 0, &offset, NULL), "%s_no_size_result", what);
	say_intf(ask_param(kernel, f, 0, NULL, &size), "%s_no_offset_result", what);
}

static int do_ask(void *arg)
{
	CUfunction f = arg;
	size_t offset, size;
	int value;

	for (int i = 0; i < 16; i++)
		ASK(cuFuncGetAttribute, &value, (CUfunction_attribute)i, f);
	return ASK(cuFuncGetParamInfo, f, 0, &offset, &size);
}

static void layout(void)
{
	CUfunction f, none;
	struct hold h;
	CUkernel k, none_k;
	size_t offset, size;
	uint64_t begin;

	if (!part_context())
		return;
	f = cuda_kernel(ptx_mixed, "mixed");
	k = kernel_of(ptx_mixed, "mixed");
	none = cuda_kernel(ptx_held, "nothing");
	none_k = kernel_of(ptx_held, "nothing");
	if (!f || !none)
		return;
	/* Before anything else is asked of the function: does it have to be loaded? */
	begin = now_ns();
	ASK(cuFuncGetParamInfo, f, 0, &offset, &size);
	say_int("first_ns", (int64_t)(now_ns() - begin));
	begin = now_ns();
	ASK(cuFuncGetParamInfo, f, 1, &offset, &size);
	say_int("second_ns", (int64_t)(now_ns() - begin));
	layout_of("function", false, f);
	if (k)
		layout_of("kernel", true, k);
	say_int("no_parameters_result", ask_param(false, none, 0, &offset, &size));
	if (none_k)
		say_int("no_parameters_kernel_result", ask_param(true, none_k, 0, &offset, &size));
	if (hold_make(&h)) {
		f = cuda_kernel(ptx_fault, "check_even");
		verdict(ASSUME_params_never_wait,
			call_beside(&h, &(struct beside){"asked", do_ask, f, AT_ONCE_MS}),
			"of a function that has not run");
	}
}

/* ---- many bytes ---- */
static char *large_ptx(const char *version, size_t bytes)
{
	static const char format[] =
		".version %s\n.target sm_70\n.address_size 64\n"
		".visible .entry large(.param .u64 p_out, .param .align 4 .b8 p_big[%zu])\n"
		"{\n"
		"	.reg .b32 %%r<2>;\n"
		"	.reg .b64 %%rd<3>;\n"
		"	ld.param.u64 %%rd1, [p_out];\n"
		"	cvta.to.global.u64 %%rd2, %%rd1;\n"
		"	ld.param.u32 %%r1, [p_big+%zu];\n"
		"	st.global.u32 [%%rd2], %%r1;\n"
		"	ret;\n"
		"}\n";
	char *text = NULL;

	return asprintf(&text, format, version, bytes, bytes - 4) < 0 ? NULL : text;
}

/* `total` bytes of parameters, the last of which tell; 0, or what failed. */
static int large_one(CUdeviceptr out, size_t total)
{
	const size_t bytes = total - 8;
	char *text = large_ptx(total > 4352 ? "8.1" : "6.4", bytes);
	uint32_t *big = calloc(1, bytes), seen = 0;
	size_t offset = 0, size = 0;
	CUmodule module = NULL;
	CUfunction f;
	int r = text && big ? ASK(cuModuleLoadDataEx, &module, text, 0, NULL, NULL) : -1;

	say_intf(r, "of_%zu_bytes_load_result", total);
	free(text);
	if (!r)
		r = ASK(cuModuleGetFunction, &f, module, "large");
	if (!r)
		r = ASK(cuFuncGetParamInfo, f, 1, &offset, &size);
	if (!r && (offset != 8 || size != bytes))
		say_intf((int64_t)size, "of_%zu_bytes_said_bytes", total);
	if (!r) {
		big[bytes / 4 - 1] = 0xabcd;
		r = ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&out, big}, NULL);
	}
	if (!r)
		r = ASK(cuMemcpyDtoH_v2, &seen, out, 4);
	free(big);
	if (module)
		CU(cuModuleUnload, module);
	say_intf(r, "of_%zu_bytes_result", total);
	return r || seen == 0xabcd ? r : CUDA_ERROR_UNKNOWN;
}

static void large(void)
{
	static const size_t total[] = {1024, 4096, 4352, 8192, 16384, 32764};
	CUdeviceptr out;

	if (!part_context() || CU(cuMemAlloc_v2, &out, 64))
		return;
	for (size_t i = 0; i < sizeof(total) / sizeof(total[0]); i++) {
		const int r = large_one(out, total[i]);

		if (total[i] <= 4096)
			verdict(ASSUME_params_4096, !r, "%zu bytes: result %d", total[i], r);
		else if (total[i] == 32764)
			verdict(ASSUME_params_32764, !r, "%zu bytes: result %d", total[i], r);
	}
}

/* ---- forms of launch ---- */
struct values {
	uint64_t out;
	char c;
	uint64_t s[3] __attribute__((aligned(8)));
	uint16_t h;
	float f;
	uint64_t l;
	char t[3];
};

static void fill_values(struct values *v, CUdeviceptr out)
{
	memset(v, 0, sizeof(*v));
	v->out = out;
	v->s[2] = 0x1122334455667788;
	v->h = 0x99aa;
	v->l = 0xbbccddeeff001122;
}

/* 0 when the kernel has seen what was given. */
static int seen_right(int r, const struct values *v)
{
	uint64_t words[3] = {0};

	if (!r)
		r = ASK(cuMemcpyDtoH_v2, words, v->out, sizeof(words));
	if (r)
		return r;
	CU(cuMemsetD8_v2, v->out, 0, sizeof(words));
	return words[0] == v->s[2] && words[1] == v->l && (uint16_t)words[2] == v->h
		       ? 0
		       : CUDA_ERROR_UNKNOWN;
}

static int launch_pointers(void *f, struct values *v)
{
	void *params[] = {&v->out, &v->c, v->s, &v->h, &v->f, &v->l, v->t};

	return seen_right(ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL), v);
}

static int launch_packed(void *f, struct values *v, size_t size)
{
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, v, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
			 CU_LAUNCH_PARAM_END};

	return seen_right(ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra), v);
}

static int launch_ex(void *f, struct values *v)
{
	CUlaunchConfig c = {.gridDimX = 1,
			    .gridDimY = 1,
			    .gridDimZ = 1,
			    .blockDimX = 1,
			    .blockDimY = 1,
			    .blockDimZ = 1};
	void *params[] = {&v->out, &v->c, v->s, &v->h, &v->f, &v->l, v->t};

	return seen_right(ASK(cuLaunchKernelEx, &c, f, params, NULL), v);
}

static void forms(void)
{
	struct values v;
	CUdeviceptr out;
	CUfunction f;
	CUkernel k;
	int r;

	_Static_assert(offsetof(struct values, t) == 56, "as mixed_layout has it");
	if (!part_context() || CU(cuMemAlloc_v2, &out, 64))
		return;
	fill_values(&v, out);
	f = cuda_kernel(ptx_mixed, "mixed");
	k = kernel_of(ptx_mixed, "mixed");
	if (!f)
		return;
	say_int("function_result", launch_pointers(f, &v));
	r = launch_packed(f, &v, 59);
	say_int("packed_result", r);
	say_int("packed_padded_result", launch_packed(f, &v, sizeof(v)));
	say_int("packed_short_result", launch_packed(f, &v, 48));
	say_int("ex_result", launch_ex(f, &v));
	if (k) {
		r = launch_pointers(k, &v);
		verdict(ASSUME_kernel_launchable, !r, "by cuLaunchKernel: result %d", r);
		say_int("kernel_packed_result", launch_packed(k, &v, 59));
		say_int("kernel_ex_result", launch_ex(k, &v));
	}
	f = cuda_kernel(ptx_held, "nothing");
	if (!f)
		return;
	say_int("nothing_null_result",
		ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	say_int("nothing_given_result",
		ASK(cuLaunchKernel, f, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&v}, NULL));
	CU(cuCtxSynchronize);
}

/* ---- mistakes ---- */
struct shape {
	const char *name;
	unsigned int grid, block, shared;
	int ours; /* what the guest's library answers */
};

static void mistakes(void)
{
	static const struct shape shapes[] = {
		{"grid_0", 0, 1, 0, CUDA_ERROR_INVALID_VALUE},
		{"grid_2_31", 1u << 31, 1, 0, CUDA_ERROR_INVALID_VALUE},
		{"block_0", 1, 0, 0, CUDA_ERROR_INVALID_VALUE},
		{"block_1025", 1, 1025, 0, CUDA_ERROR_INVALID_VALUE},
		{"shared_49153", 1, 1, 49153, CUDA_ERROR_INVALID_VALUE},
		{"shared_1_gib", 1, 1, 1u << 30, CUDA_ERROR_INVALID_VALUE},
	};
	CUdeviceptr out;
	CUfunction f, bounded;
	int r;

	if (!part_context() || CU(cuMemAlloc_v2, &out, 4096))
		return;
	f = cuda_kernel(ptx_held, "nothing");
	bounded = cuda_kernel(ptx_sync, "bounded");
	if (!f || !bounded)
		return;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		r = ASK(cuLaunchKernel, f, shapes[i].grid, 1, 1, shapes[i].block, 1, 1,
			shapes[i].shared, NULL, NULL, NULL);
		say_intf(r, "%s_result", shapes[i].name);
		verdict(ASSUME_launch_mistakes, r == shapes[i].ours, "%s: %d, ours %d",
			shapes[i].name, r, shapes[i].ours);
	}
	r = ASK(cuLaunchKernel, bounded, 1, 1, 1, 256, 1, 1, 0, NULL, (void *[]){&out}, NULL);
	verdict(ASSUME_launch_mistakes, r == CUDA_ERROR_INVALID_VALUE,
		"more threads than the kernel's bound: %d, ours %d", r, CUDA_ERROR_INVALID_VALUE);
	say_int("bounded_result", r);
	r = ASK(cuLaunchCooperativeKernel, f, 1u << 20, 1, 1, 1024, 1, 1, 0, NULL, NULL);
	say_int("cooperative_result", r);
	verdict(ASSUME_launch_mistakes, r == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
		"a cooperative grid that does not fit: %d, ours %d", r,
		CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	say_int("no_parameters_given_result",
		ASK(cuLaunchKernel, bounded, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	say_int("afterwards_result", ASK(cuCtxSynchronize));
}

/* ---- attributes ---- */
static void attributes(void)
{
	static const struct {
		const char *name;
		int attr, value;
	} sets[] = {
		{"shared_1024", 8, 1024}, {"shared_huge", 8, 1 << 30}, {"carveout_default", 9, -1},
		{"carveout_50", 9, 50},   {"carveout_101", 9, 101},    {"threads_64", 0, 64},
		{"cluster_width", 11, 2},
	};
	CUkernel k;
	CUfunction f;
	int refused = 0, value;
	uint64_t begin;

	if (!part_context())
		return;
	f = cuda_kernel(ptx_sync, "reverse");
	k = kernel_of(ptx_sync, "reverse");
	if (!f)
		return;
	for (int i = 0; i < 16; i++) {
		const int r = ASK(cuFuncGetAttribute, &value, (CUfunction_attribute)i, f);

		refused += r != 0;
		if (r)
			say_intf(r, "%d_result", i);
		else
			say_intf(value, "%d", i);
		if (k && ASK(cuKernelGetAttribute, &value, (CUfunction_attribute)i, k, 0) != r)
			say_intf(r, "%d_of_kernel_differs", i);
	}
	say_int("refused", refused);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		begin = now_ns();
		say_intf(ASK(cuFuncSetAttribute, f, (CUfunction_attribute)sets[i].attr,
			     sets[i].value),
			 "set_%s_result", sets[i].name);
		say_intf((int64_t)(now_ns() - begin), "set_%s_ns", sets[i].name);
	}
	if (!ASK(cuFuncGetAttribute, &value, (CUfunction_attribute)9, f))
		say_int("carveout_then", value);
	if (k)
		say_int("set_of_kernel_result",
			ASK(cuKernelSetAttribute, (CUfunction_attribute)8, 2048, k, 0));
}

static const struct part parts[] = {
	{"layout", layout, 15, NULL},         {"large", large, 15, NULL},
	{"forms", forms, 10, NULL},           {"mistakes", mistakes, 10, NULL},
	{"attributes", attributes, 10, NULL}, {NULL, NULL, 0, NULL},
};

void step_params(void)
{
	parts_run(parts);
}
