/* SPDX-License-Identifier: MIT */
/* Where the time of loading goes, lazily and eagerly; libraries; and linking. */
#include "tests/gpu/probe/kernels/step_images.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE_MS 2000
#define WAITING_MS (opt.quick ? 150u : 300u)

static int64_t since(uint64_t *begin)
{
	const uint64_t now = now_ns();
	const int64_t ns = (int64_t)(now - *begin);

	*begin = now;
	return ns;
}

struct load {
	CUmodule module;
	CUfunction fn;
	CUdeviceptr at;
	CUstream stream;
};

static int do_get_function(void *arg)
{
	struct load *l = arg;

	return ASK(cuModuleGetFunction, &l->fn, l->module, "fill");
}

static int do_launch(void *arg)
{
	struct load *l = arg;
	uint32_t n = 64, seed = 1;

	return ASK(cuLaunchKernel, l->fn, 1, 1, 1, 64, 1, 1, 0, l->stream,
		   (void *[]){&l->at, &n, &seed}, NULL);
}

static int do_load(void *arg)
{
	struct load *l = arg;

	return ASK(cuModuleLoadDataEx, &l->module, ptx_vector, 0, NULL, NULL);
}

static int do_unload(void *arg)
{
	struct load *l = arg;

	return ASK(cuModuleUnload, l->module);
}

static void times(struct load *l)
{
	uint64_t t = now_ns();

	if (CU(cuModuleLoadDataEx, &l->module, ptx_vector, 0, NULL, NULL))
		return;
	say_int("load_ns", since(&t));
	do_get_function(l);
	say_int("get_function_ns", since(&t));
	do_launch(l);
	say_int("first_launch_ns", since(&t));
	CU(cuStreamSynchronize, l->stream);
	say_int("first_synchronize_ns", since(&t));
	do_launch(l);
	say_int("second_launch_ns", since(&t));
	CU(cuStreamSynchronize, l->stream);
	say_int("second_synchronize_ns", since(&t));
	CU(cuModuleUnload, l->module);
	say_int("unload_ns", since(&t));
}

void images_loading(void)
{
	const bool eager = !strcmp(opt.role, "eager");
	CUmoduleLoadingMode mode = 0;
	struct load l = {0};
	struct hold h;
	bool get, launch;
	int r;

	if (!part_context())
		return;
	r = ASK(cuModuleGetLoadingMode, &mode);
	say_int("mode_result", r);
	say_int("mode", (int)mode);
	if (eager && !r)
		verdict(ASSUME_eager_by_environment, mode == CU_MODULE_EAGER_LOADING, "mode %d",
			(int)mode);
	if (!hold_make(&h) || CU(cuStreamCreate, &l.stream, CU_STREAM_NON_BLOCKING) ||
	    CU(cuMemAlloc_v2, &l.at, 4096))
		return;
	times(&l);
	call_beside(&h, &(struct beside){"beside_load", do_load, &l, AT_ONCE_MS});
	if (!l.module)
		return;
	get = call_beside(&h,
			  &(struct beside){"beside_get_function", do_get_function, &l, AT_ONCE_MS});
	launch =
		call_beside(&h, &(struct beside){"beside_first_launch", do_launch, &l, AT_ONCE_MS});
	if (eager)
		verdict(ASSUME_eager_never_waits, get && launch,
			"beside a kernel: cuModuleGetFunction %s, the first launch %s",
			get ? "returns" : "waits", launch ? "returns" : "waits");
	CU(cuStreamSynchronize, l.stream);
	call_beside(&h, &(struct beside){"beside_unload", do_unload, &l, WAITING_MS});
}

/* ---- libraries ---- */
static void enumerate(CUlibrary library)
{
	CUkernel kernel[16];
	unsigned int n = 0;
	const char *name = NULL;
	int r = ASK(cuLibraryGetKernelCount, &n, library);

	say_int("kernel_count_result", r);
	if (r)
		return;
	say_int("kernel_count", n);
	r = ASK(cuLibraryEnumerateKernels, kernel, 1, library);
	say_int("enumerate_result", r);
	if (!r && !ASK(cuKernelGetName, &name, kernel[0]))
		say_text("first_name", "%s", name);
}

static int launch_in_context(CUfunction f)
{
	CUdeviceptr at = 0;
	uint32_t n = 64, seed = 3, words[64] = {0};
	int r = (int)CU(cuMemAlloc_v2, &at, sizeof(words));

	if (!r)
		r = ASK(cuLaunchKernel, f, 1, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&at, &n, &seed},
			NULL);
	if (!r)
		r = (int)CU(cuMemcpyDtoH_v2, words, at, sizeof(words));
	return r || words[1] == seed + 2654435761u ? r : CUDA_ERROR_UNKNOWN;
}

void images_library(void)
{
	CUlibrary library;
	CUkernel kernel;
	CUfunction fn = NULL;
	CUmodule module;
	CUcontext ctx;
	CUdevice dev;
	uint64_t t;
	int r, get;

	if (!cuda_device(&dev))
		return;
	t = now_ns();
	r = ASK(cuLibraryLoadData, &library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0);
	say_int("load_without_context_ns", since(&t));
	get = r ? r : ASK(cuLibraryGetKernel, &kernel, library, "fill");
	say_int("get_kernel_ns", since(&t));
	verdict(ASSUME_library_without_context, !r && !get, "load %d, get kernel %d", r, get);
	if (!r)
		CU(cuLibraryUnload, library);
	if (!cuda_context(&dev, &ctx) ||
	    CU(cuLibraryLoadData, &library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0))
		return;
	enumerate(library);
	if (CU(cuLibraryGetKernel, &kernel, library, "fill"))
		return;
	t = now_ns();
	r = ASK(cuKernelGetFunction, &fn, kernel);
	say_int("get_function_ns", since(&t));
	say_int("get_function_result", r);
	if (!r)
		say_int("launch_result", launch_in_context(fn));
	say_int("launch_ns", since(&t));
	say_int("get_module_result", ASK(cuLibraryGetModule, &module, library));
	t = now_ns();
	say_int("unload_result", ASK(cuLibraryUnload, library));
	say_int("unload_ns", since(&t));
}

/* ---- linking ---- */
static const char caller[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
			     ".extern .func (.param .b32 r) same(.param .b32 v);\n"
			     ".visible .entry store_word(.param .u64 p_at, .param .u32 p_value)\n"
			     "{\n"
			     "	.reg .b32 %r<3>;\n"
			     "	.reg .b64 %rd<3>;\n"
			     "	ld.param.u64 %rd1, [p_at];\n"
			     "	ld.param.u32 %r1, [p_value];\n"
			     "	cvta.to.global.u64 %rd2, %rd1;\n"
			     "	{\n"
			     "	.param .b32 v0;\n"
			     "	.param .b32 r0;\n"
			     "	st.param.b32 [v0], %r1;\n"
			     "	call.uni (r0), same, (v0);\n"
			     "	ld.param.b32 %r2, [r0];\n"
			     "	}\n"
			     "	st.global.u32 [%rd2], %r2;\n"
			     "	ret;\n"
			     "}\n";
static const char called[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
			     ".visible .func (.param .b32 r) same(.param .b32 v)\n"
			     "{\n"
			     "	.reg .b32 %r<3>;\n"
			     "	ld.param.b32 %r1, [v];\n"
			     "	mov.b32 %r2, %r1;\n"
			     "	st.param.b32 [r], %r2;\n"
			     "	ret;\n"
			     "}\n";

/* Not in our header: no program that pvgpu serves could use them. */
struct linker {
	CUresult (*create)(unsigned int n, CUjit_option *options, void **values, void **state);
	CUresult (*add)(void *state, int type, void *data, size_t size, const char *name,
			unsigned int n, CUjit_option *options, void **values);
	CUresult (*complete)(void *state, void **cubin, size_t *size);
	CUresult (*destroy)(void *state);
};

static int add_text(const struct linker *l, void *state, const char *text, const char *name)
{
	enum { INPUT_PTX = 1 };

	return (int)l->add(state, INPUT_PTX, (void *)(uintptr_t)text, strlen(text) + 1, name, 0,
			   NULL, NULL);
}

void images_link(void)
{
	struct linker l;
	void *state, *cubin;
	CUmodule module;
	size_t size = 0;
	uint64_t t;
	int r;

	if (!part_context())
		return;
	*(void **)&l.create = cuda_symbol("cuLinkCreate_v2");
	*(void **)&l.add = cuda_symbol("cuLinkAddData_v2");
	*(void **)&l.complete = cuda_symbol("cuLinkComplete");
	*(void **)&l.destroy = cuda_symbol("cuLinkDestroy");
	if (!l.create || !l.add || !l.complete || !l.destroy) {
		say_text("absent", "a symbol is missing");
		return;
	}
	t = now_ns();
	r = (int)l.create(0, NULL, NULL, &state);
	say_int("create_result", r);
	if (r)
		return;
	say_int("add_first_result", add_text(&l, state, caller, "caller"));
	say_int("add_second_result", add_text(&l, state, called, "called"));
	r = (int)l.complete(state, &cubin, &size);
	say_int("complete_result", r);
	say_int("link_ns", since(&t));
	say_int("cubin_bytes", (int64_t)size);
	if (!r && !CU(cuModuleLoadDataEx, &module, cubin, 0, NULL, NULL))
		say_int("run_result", store_run_in(module));
	l.destroy(state);
}
