/* SPDX-License-Identifier: MIT */
/*
 * differ PTX MODEL FIRST COUNT: runs the kernels kFIRST ... of a module by the driver API, and the
 * functions of the same names in the shared object MODEL, and compares what they store. A line for
 * each kernel that differs; exit status 1 if there is one, 2 if something does not work.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

/* As in common.h, which is for the kernels' compilers. */
#define THREADS_MAX 96
#define IN_WORDS    4
#define OUT_WORDS   12

#define CU(call)    check(call, #call)

static void check(CUresult r, const char *what)
{
	if (r == CUDA_SUCCESS)
		return;
	fprintf(stderr, "differ: %s gives %d\n", what, r);
	exit(2);
}

static uint32_t random_word(uint64_t *state)
{
	static const uint32_t special[] = {0,          1,          0xffffffff, 0x80000000,
					   0x7fffffff, 0x7f800000, 0xff800000, 0x7fc00000,
					   0x00000001, 0x3f800000};
	uint32_t v;

	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	v = (uint32_t)(*state >> 32);
	return v % 4 ? v : special[v / 4 % (sizeof(special) / sizeof(special[0]))];
}

static CUmodule load(const char *path)
{
	CUjit_option option[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	static char log[4096], *text;
	void *value[] = {log, (void *)(uintptr_t)sizeof(log)};
	FILE *f = fopen(path, "rb");
	CUmodule m;
	long n;

	if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 ||
	    !(text = calloc(1, (size_t)n + 1))) {
		fprintf(stderr, "differ: cannot read %s\n", path);
		exit(2);
	}
	rewind(f);
	if (fread(text, 1, (size_t)n, f) != (size_t)n)
		exit(2);
	fclose(f);
	if (cuModuleLoadDataEx(&m, text, 2, option, value)) {
		fprintf(stderr, "differ: %s: %s\n", path, log);
		exit(2);
	}
	free(text);
	return m;
}

/* The model says how many threads there are. */
static int run_kernel(CUmodule m, void *model, unsigned int number, CUdeviceptr d_in,
		      CUdeviceptr d_out)
{
	static uint32_t in[THREADS_MAX * IN_WORDS], gpu[THREADS_MAX * OUT_WORDS],
		cpu[THREADS_MAX * OUT_WORDS];
	void *args[] = {&d_out, &d_in};
	void (*reference)(uint32_t *, const uint32_t *);
	uint64_t state = number;
	const unsigned int *threads;
	CUfunction f;
	char name[32];

	snprintf(name, sizeof(name), "k%u", number);
	*(void **)&reference = dlsym(model, name);
	CU(cuModuleGetFunction(&f, m, name));
	snprintf(name, sizeof(name), "threads_%u", number);
	threads = dlsym(model, name);
	if (!reference || !threads) {
		fprintf(stderr, "differ: the model lacks k%u\n", number);
		exit(2);
	}
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		in[i] = random_word(&state);
	memset(cpu, 0, sizeof(cpu));
	reference(cpu, in);
	CU(cuMemcpyHtoD(d_in, in, sizeof(in)));
	CU(cuMemsetD8(d_out, 0, sizeof(gpu)));
	CU(cuLaunchKernel(f, 1, 1, 1, *threads, 1, 1, 0, NULL, args, NULL));
	CU(cuMemcpyDtoH(gpu, d_out, sizeof(gpu)));
	for (size_t i = 0; i < sizeof(gpu) / sizeof(gpu[0]); i++) {
		if (gpu[i] == cpu[i])
			continue;
		printf("k%u: thread %zu, word %zu: GPU %#x, model %#x\n", number, i / OUT_WORDS,
		       i % OUT_WORDS, gpu[i], cpu[i]);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int first, count;
	CUdeviceptr d_in, d_out;
	CUdevice device;
	CUcontext ctx;
	CUmodule m;
	void *model;
	int differ = 0;

	if (argc != 5)
		return 2;
	first = (unsigned int)atoi(argv[3]);
	count = (unsigned int)atoi(argv[4]);
	model = dlopen(argv[2], RTLD_NOW);
	if (!model) {
		fprintf(stderr, "differ: %s\n", dlerror());
		return 2;
	}
	CU(cuInit(0));
	CU(cuDeviceGet(&device, 0));
	CU(cuCtxCreate(&ctx, NULL, 0, device));
	m = load(argv[1]);
	CU(cuMemAlloc(&d_in, THREADS_MAX * IN_WORDS * sizeof(uint32_t)));
	CU(cuMemAlloc(&d_out, THREADS_MAX * OUT_WORDS * sizeof(uint32_t)));
	for (unsigned int i = first; i < first + count; i++)
		differ |= run_kernel(m, model, i, d_in, d_out);
	CU(cuCtxDestroy(ctx));
	return differ;
}
