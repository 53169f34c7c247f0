/* SPDX-License-Identifier: MIT */
/*
 * Linking: two texts that need each other become an image, which is loaded as any other; a program
 * that was compiled to be linked, whose linked code is not for this device; errors with reasons.
 */
#include <unistd.h>

#include "tests/kernels/fatbin.h"
#include "tests/programs/common.h"

#define HEAD ".version 6.4\n.target sm_50\n.address_size 64\n"

/* Each text has a function of its own that is called `own`. */
static const char caller[] = HEAD
	".extern .func (.param .u32 r) helper(.param .u32 v);\n"
	".extern .global .align 4 .u32 base;\n"
	".func (.param .u32 r) own(.param .u32 v)\n"
	"{\n.reg .u32 %r<3>;\nld.param.u32 %r1, [v];\nadd.u32 %r2, %r1, 1;\n"
	"st.param.u32 [r], %r2;\nret;\n}\n"
	".visible .entry work(.param .u64 out, .param .u32 v)\n"
	"{\n.reg .u32 %r<6>;\n.reg .u64 %d<4>;\n"
	"ld.param.u64 %d1, [out];\nld.param.u32 %r1, [v];\nmov.u32 %r2, %tid.x;\n"
	"add.u32 %r1, %r1, %r2;\n"
	"{\n.param .u32 a;\n.param .u32 b;\nst.param.u32 [a], %r1;\n"
	"call (b), own, (a);\nld.param.u32 %r3, [b];\n}\n"
	"{\n.param .u32 a;\n.param .u32 b;\nst.param.u32 [a], %r3;\n"
	"call (b), helper, (a);\nld.param.u32 %r3, [b];\n}\n"
	"ld.global.u32 %r4, [base];\nadd.u32 %r3, %r3, %r4;\n"
	"mul.wide.u32 %d2, %r2, 4;\nadd.u64 %d3, %d1, %d2;\nst.global.u32 [%d3], %r3;\nret;\n}\n";
static const char callee[] =
	HEAD ".visible .global .align 4 .u32 base = 1000;\n"
	     ".func (.param .u32 r) own(.param .u32 v)\n"
	     "{\n.reg .u32 %r<3>;\nld.param.u32 %r1, [v];\nmul.lo.u32 %r2, %r1, 3;\n"
	     "st.param.u32 [r], %r2;\nret;\n}\n"
	     ".visible .func (.param .u32 r) helper(.param .u32 v)\n"
	     "{\n.reg .u32 %r<3>;\nld.param.u32 %r1, [v];\n"
	     "{\n.param .u32 a;\n.param .u32 b;\nst.param.u32 [a], %r1;\n"
	     "call (b), own, (a);\nld.param.u32 %r2, [b];\n}\n"
	     "st.param.u32 [r], %r2;\nret;\n}\n";
static const char broken[] = HEAD ".visible .entry none()\n{\nnothing.u32 %r1;\nret;\n}\n";

struct log {
	char info[2048], error[2048];
	CUjit_option option[4];
	void *value[4];
};

static void log_open(struct log *l)
{
	*l = (struct log){
		.option = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
			   CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES},
		.value = {l->info, (void *)sizeof(l->info), l->error, (void *)sizeof(l->error)},
	};
}

static void run(CUmodule module, const char *what)
{
	uint32_t words[32], v = 7, base;
	CUdeviceptr p = device_alloc(sizeof(words)), global;
	size_t size;

	LAUNCH(function(module, "work"), 1, 32, 0, NULL, &p, &v);
	download(words, p, sizeof(words));
	for (uint32_t i = 0; i < 32; i++)
		CHECK(words[i] == 3 * (7 + i + 1) + 1000, "%s: word %u is %u", what, i, words[i]);
	CU(cuModuleGetGlobal(&global, &size, module, "base"));
	download(&base, global, sizeof(base));
	CHECK(size == 4 && base == 1000, "%s: base has %zu bytes, value %u", what, size, base);
	CU(cuMemFree(p));
	CU(cuModuleUnload(module));
	printf("%s: right\n", what);
}

static void two_texts(void)
{
	CUlinkState state;
	CUmodule module;
	struct log log;
	void *image, *copy;
	size_t size;

	log_open(&log);
	CU(cuLinkCreate(4, log.option, log.value, &state));
	CU(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)caller, sizeof(caller), "caller", 0, NULL,
			 NULL));
	/* without the NUL at its end, and without a name */
	CU(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)callee, sizeof(callee) - 1, NULL, 0, NULL,
			 NULL));
	CU(cuLinkComplete(state, &image, &size));
	CHECK(size > 64, "an image of %zu bytes", size);
	CU(cuModuleLoadData(&module, image));
	copy = host_alloc(size);
	memcpy(copy, image, size);
	CU(cuLinkDestroy(state));
	run(module, "two texts");
	/* The image is the program's. It is linked for good. */
	CU(cuLinkCreate(0, NULL, NULL, &state));
	WANT(CUDA_ERROR_NO_BINARY_FOR_GPU,
	     cuLinkAddData(state, CU_JIT_INPUT_CUBIN, copy, size, "linked", 0, NULL, NULL));
	WANT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuLinkComplete(state, &image, NULL));
	CU(cuLinkDestroy(state));
	CU(cuModuleLoadDataEx(&module, copy, 0, NULL, NULL));
	run(module, "an image once more");
	free(copy);
}

static void from_files(void)
{
	const char *const texts[] = {caller, callee};
	CUlinkState state;
	CUmodule module;
	char path[64];
	void *image;

	CU(cuLinkCreate(0, NULL, NULL, &state));
	for (int i = 0; i < 2; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/tmp/pvgpu-link-%d-%d.ptx", (int)getpid(), i);
		f = fopen(path, "w");
		CHECK(f && fputs(texts[i], f) >= 0 && !fclose(f), "cannot write %s", path);
		CU(cuLinkAddFile(state, CU_JIT_INPUT_PTX, path, 0, NULL, NULL));
		unlink(path);
	}
	WANT(CUDA_ERROR_FILE_NOT_FOUND,
	     cuLinkAddFile(state, CU_JIT_INPUT_PTX, path, 0, NULL, NULL));
	CU(cuLinkComplete(state, &image, NULL));
	CU(cuModuleLoadData(&module, image));
	CU(cuLinkDestroy(state));
	run(module, "two files");
}

static void wrong_arguments(void)
{
	CUlinkState state;
	size_t size;
	void *image;

	if (!handles_are_checked()) {
		printf("wrong arguments: refused\n");
		return;
	}
	WANT(CUDA_ERROR_INVALID_VALUE, cuLinkCreate(0, NULL, NULL, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLinkCreate(1, NULL, NULL, &state));
	CU(cuLinkCreate(0, NULL, NULL, &state));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuLinkAddData(state, (CUjitInputType)99, (void *)caller, 8, "x", 0, NULL, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuLinkAddData(state, CU_JIT_INPUT_PTX, NULL, 8, "x", 0, NULL, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLinkComplete(state, NULL, &size));
	CU(cuLinkDestroy(state));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuLinkDestroy(state));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuLinkComplete(state, &image, &size));
	WANT(CUDA_ERROR_INVALID_HANDLE, cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)caller,
						      sizeof(caller), "x", 0, NULL, NULL));
	printf("wrong arguments: refused\n");
}

static void missing(void)
{
	CUlinkState state;
	CUmodule module;
	struct log log;
	size_t size;
	void *image;

	log_open(&log);
	CU(cuLinkCreate(4, log.option, log.value, &state));
	CU(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)caller, sizeof(caller), "caller", 0, NULL,
			 NULL));
	CHECK(cuLinkComplete(state, &image, &size) != CUDA_SUCCESS, "helper came from nowhere");
	CHECK(strstr(log.error, "helper"), "the log says '%s'", log.error);
	CU(cuLinkDestroy(state));

	log_open(&log);
	CU(cuLinkCreate(4, log.option, log.value, &state));
	WANT(CUDA_ERROR_INVALID_PTX, cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)broken,
						   sizeof(broken), "broken", 0, NULL, NULL));
	CHECK(strstr(log.error, "nothing"), "the log says '%s'", log.error);
	CU(cuLinkDestroy(state));

	log_open(&log);
	CHECK(cuModuleLoadDataEx(&module, caller, 4, log.option, log.value) != CUDA_SUCCESS,
	      "a module with nothing behind its names");
	CHECK(strstr(log.error, "helper"), "the log says '%s'", log.error);
	printf("what is missing: named\n");
}

/* A fatbin with one text, as compilers write it. */
static void *fatbin(enum fat_kind kind, const char *text, size_t len)
{
	const struct fat_entry e = fat_entry(kind, 50, FAT_PLAIN, len, len);
	const struct fat_header h = fat_header(sizeof(e) + e.payload);
	uint8_t *p = host_alloc(sizeof(h) + h.size);

	memset(p, 0, sizeof(h) + h.size);
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), &e, sizeof(e));
	memcpy(p + sizeof(h) + sizeof(e), text, len);
	return p;
}

/* What nvcc -rdc=true embeds: linked code for another device, and a list of the parts. */
static void prelinked(void)
{
	static const char machine_code[64];
	void *parts[] = {fatbin(FAT_PTX, caller, sizeof(caller)),
			 fatbin(FAT_PTX, callee, sizeof(callee)), NULL};
	struct fat_wrapper wrapper = {FAT_WRAPPER_MAGIC, 2,
				      fatbin(FAT_ELF, machine_code, sizeof(machine_code)), parts};
	CUlibrary library;
	CUmodule module;

	CU(cuModuleLoadData(&module, &wrapper));
	run(module, "parts of a program");
	wrapper.data = NULL;
	CU(cuModuleLoadFatBinary(&module, &wrapper));
	run(module, "parts without a whole");
	CU(cuLibraryLoadData(&library, &wrapper, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetModule(&module, library));
	CU(cuLibraryUnload(library));
	parts[1] = NULL;
	CHECK(cuModuleLoadData(&module, &wrapper) != CUDA_SUCCESS, "a part is missing");
	printf("one part alone: refused\n");
}

int main(void)
{
	start();
	two_texts();
	from_files();
	wrong_arguments();
	missing();
	prelinked();
	finish();
	return 0;
}
