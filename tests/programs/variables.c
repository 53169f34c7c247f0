/* SPDX-License-Identifier: MIT */
/*
 * Managed variables: of modules and of libraries, with initial values of all kinds, used by the CPU
 * and by kernels at one address.
 */
#include "tests/programs/common.h"

#define HEAD ".version 6.4\n.target sm_70\n.address_size 64\n"

/* Every way to name a variable: in brackets, as an address, in a table, behind a predicate, between
 * lines for debuggers, as a debugger's own data. `other` names one on the device alone. */
static const char text[] = HEAD
	".file 1 \"count.cu\"\n"
	".visible .global .attribute(.managed) .align 4 .u32 count = 40;\n"
	".global .attribute(.managed) .align 4 .b8 bytes[8] = {1, 2, 3};\n"
	".global .attribute(.managed) .align 8 .f64 real = 0d4004000000000000;\n"
	".visible .global .attribute(.managed) .align 4 .f32 reals[2] = {0f3FC00000, "
	"-0f40000000};\n"
	".global .attribute(.managed) .s32 rows[2][3] = {{1}, {4, -5, 6}};\n"
	".global .attribute(.managed) .align 8 .u64 chain[3] = {generic(count), bytes+2, "
	"18446744073709551615};\n"
	".weak .global .attribute(.managed) .u32 one;\n"
	".weak .global .attribute(.managed) .u32 two = (1 << 4) | 2;\n"
	".visible .global .attribute(.managed) .align 16 .v4 .u32 wide[2] = {{1, 2, 3, 4}, {5}};\n"
	".visible .global .align 8 .u64 table[2] = {generic(count), generic(rows)+8};\n"
	".global .u32 other = 7;\n"
	".visible .entry use(.param .u64 out)\n"
	"{\n"
	"	.reg .b64 %d<12>;\n"
	"	.reg .b32 %r<12>;\n"
	"	.reg .pred %p<3>;\n"
	"	.loc 1 5 3\n"
	"	ld.param.u64 %d1, [out]; // count is named here, too: count;\n"
	"	cvta.to.global.u64 %d1, %d1;\n"
	"	ld.global.u32 %r1, [count]; st.global.u32 [%d1], %r1;\n"
	"	add.u32 %r1, %r1, 1;\n"
	"	st.global.u32 [count], %r1;\n"
	"	setp.eq.u32 %p1, %r1, 41;\n"
	"	setp.ne.u32 %p2, %r1, 41;\n"
	"	@%p1 st.global.u32 [one], %r1;\n"
	"	@%p2 bra next;\n"
	"	mov.u32 %r2, 5;\n"
	"	st.global.u8 [bytes+7], %r2;\n"
	"next:	mov.u64 %d2, rows+16;\n"
	"	ld.global.s32 %r3, [%d2];\n"
	"	{\n"
	"		st.global.s32 [%d1+4], %r3;\n"
	"		atom.global.add.u32 %r4, [two], 3;\n"
	"	}\n"
	"	st.global.u32 [%d1+8], %r4;\n"
	"	ld.global.v4.u32 {%r5, %r6, %r7, %r8}, [wide+16];\n"
	"	st.global.v2.u32 [%d1+16], {%r5, %r6};\n"
	"	ld.global.u64 %d3, [chain+8];\n"
	"	ld.u8 %r9, [%d3];\n"
	"	st.global.u32 [%d1+12], %r9;\n"
	"	ld.global.u64 %d4, [table+8];\n"
	"	ld.u32 %r10, [%d4];\n"
	"	st.global.u32 [%d1+24], %r10;\n"
	"	ld.global.u32 %r11, [other];\n"
	"	st.global.u32 [%d1+28], %r11;\n"
	"	mov.u64 %d5, reals;\n"
	"	cvta.global.u64 %d5, %d5;\n"
	"	st.u64 [%d1+32], %d5;\n"
	"	ret;\n"
	"}\n"
	".section .debug_info\n"
	"{\n"
	".b32 8\n"
	".b64 count\n"
	"}\n";

struct results {
	uint32_t count, row, two, byte, wide[2], cell, other;
	float *reals;
};

/* The address that both use. */
static void *variable(CUlibrary library, CUmodule module, const char *name, size_t size)
{
	CUdeviceptr p = 0, q = 0;
	size_t bytes = 0, same = 0;

	CU(cuModuleGetGlobal(&p, &bytes, module, name));
	CHECK(bytes == size, "%s has %zu bytes", name, bytes);
	if (library) {
		CU(cuLibraryGetManaged(&q, &same, library, name));
		CHECK(p == q && same == bytes, "%s is at two places", name);
		CU(cuLibraryGetGlobal(&q, NULL, library, name));
		CHECK(p == q, "%s is at two places", name);
	}
	return (void *)(uintptr_t)p;
}

static void check_initial(CUlibrary library, CUmodule module)
{
	uint32_t *count = variable(library, module, "count", 4);
	uint8_t *bytes = variable(library, module, "bytes", 8);
	double *real = variable(library, module, "real", 8);
	float *reals = variable(library, module, "reals", 8);
	int(*rows)[3] = variable(library, module, "rows", 24);
	uint64_t *chain = variable(library, module, "chain", 24);
	uint32_t *wide = variable(library, module, "wide", 32);

	CHECK(*count == 40 && *real == 2.5 && reals[0] == 1.5f && reals[1] == -2,
	      "initial values %u, %g, %g, %g", *count, *real, reals[0], reals[1]);
	CHECK(bytes[0] == 1 && bytes[2] == 3 && !bytes[3] && !bytes[7], "initial bytes");
	CHECK(rows[0][0] == 1 && !rows[0][1] && !rows[0][2] && rows[1][0] == 4 &&
		      rows[1][1] == -5 && rows[1][2] == 6,
	      "initial rows");
	CHECK(chain[0] == (uintptr_t)count && chain[1] == (uintptr_t)(bytes + 2) && !~chain[2],
	      "initial addresses");
	CHECK(wide[0] == 1 && wide[3] == 4 && wide[4] == 5 && !wide[5], "initial vectors");
	CHECK(*(uint32_t *)variable(library, module, "two", 4) == 18, "an initial sum");
}

/* The kernel finds these values, and leaves some. */
static void run(CUmodule module, uint32_t count, int row, uint32_t byte, uint32_t cell,
		struct results *r)
{
	CUdeviceptr out = device_alloc(sizeof(*r));

	LAUNCH(function(module, "use"), 1, 1, 0, NULL, &out);
	download(r, out, sizeof(*r));
	CU(cuMemFree(out));
	CHECK(r->count == count && (int)r->row == row && r->byte == byte && r->cell == cell,
	      "the kernel saw %u, %d, %u, %u", r->count, (int)r->row, r->byte, r->cell);
	CHECK(r->wide[0] == 5 && !r->wide[1] && r->other == 7, "the kernel saw %u, %u, %u",
	      r->wide[0], r->wide[1], r->other);
}

static void check_use(CUlibrary library, CUmodule module)
{
	uint32_t *count = variable(library, module, "count", 4);
	uint8_t *bytes = variable(library, module, "bytes", 8);
	int(*rows)[3] = variable(library, module, "rows", 24);
	struct results r;

	run(module, 40, -5, 3, 0, &r);
	CHECK(r.two == 18, "the kernel saw %u", r.two);
	CHECK(r.reals == variable(library, module, "reals", 8), "another address on the GPU");
	CHECK(*count == 41 && bytes[7] == 5, "the CPU sees %u, %u", *count, bytes[7]);
	CHECK(*(uint32_t *)variable(library, module, "one", 4) == 41 &&
		      *(uint32_t *)variable(library, module, "two", 4) == 21,
	      "the CPU does not see what the GPU wrote");
	*count = 50;
	bytes[2] = 99;
	rows[1][1] = -77;
	rows[0][2] = 123;
	run(module, 50, -77, 99, 123, &r);
	CHECK(*count == 51, "the CPU sees %u", *count);
}

/* Calls of the driver know it as managed memory, which is nobody's to free. */
static void check_memory(CUmodule module)
{
	uint32_t *rows = variable(NULL, module, "rows", 24), got[6] = {0}, some[2] = {3, 4};
	const CUdeviceptr p = (uintptr_t)rows;
	unsigned int is = 0, type = 0;
	CUdeviceptr base = 0;
	size_t size = 0;

	CU(cuPointerGetAttribute(&is, CU_POINTER_ATTRIBUTE_IS_MANAGED, p));
	CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
	CHECK(is == 1 && type == CU_MEMORYTYPE_DEVICE, "attributes %u, %u", is, type);
	CU(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p + 4));
	CHECK(base == p + 4, "another device pointer");
	CU(cuMemGetAddressRange(&base, &size, p + 8));
	CHECK(base == p && size == 24, "range of %zu bytes", size);
	CU(cuMemcpyHtoD(p, some, sizeof(some)));
	CHECK(rows[0] == 3 && rows[1] == 4, "the CPU sees no copy");
	CU(cuMemcpyDtoH(got, p, sizeof(got)));
	CHECK(!memcmp(got, rows, sizeof(got)), "a copy differs");
	CU(cuMemsetD32(p + 8, 17, 1));
	CU(cuCtxSynchronize());
	CHECK(rows[2] == 17, "the CPU sees no fill");
	CU(cuStreamAttachMemAsync(NULL, p, 0, CU_MEM_ATTACH_GLOBAL));
	CU(cuMemAdvise(p, 24, CU_MEM_ADVISE_SET_READ_MOSTLY,
		       (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(p));
	CHECK(rows[2] == 17, "it was freed");
}

/* One address for all contexts of a process. */
static void check_contexts(CUlibrary library)
{
	CUdeviceptr p, q, of;
	CUcontext c;
	CUmodule m;

	CU(cuLibraryGetManaged(&p, NULL, library, "count"));
	*(uint32_t *)(uintptr_t)p = 9;
	CU(cuCtxCreate(&c, NULL, 0, 0));
	CU(cuLibraryGetManaged(&q, NULL, library, "count"));
	CU(cuLibraryGetModule(&m, library));
	CU(cuModuleGetGlobal(&of, NULL, m, "count"));
	CHECK(p == q && q == of && *(uint32_t *)(uintptr_t)p == 9, "another context's");
	CU(cuCtxDestroy(c));
	CHECK(*(uint32_t *)(uintptr_t)p == 9, "it went with a context");
}

static void check_library(void)
{
	struct results r;
	CUlibrary library;
	CUmodule module;
	CUdeviceptr p;
	size_t bytes;

	CU(cuLibraryLoadData(&library, text, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetModule(&module, library));
	check_initial(library, module);
	check_use(library, module);
	CU(cuLibraryGetManaged(NULL, &bytes, library, "rows"));
	CU(cuLibraryGetManaged(&p, NULL, library, "rows"));
	WANT(CUDA_ERROR_NOT_FOUND, cuLibraryGetManaged(&p, &bytes, library, "other"));
	WANT(CUDA_ERROR_NOT_FOUND, cuLibraryGetManaged(&p, &bytes, library, "nothing"));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLibraryGetManaged(&p, &bytes, library, NULL));
	check_contexts(library);
	run(module, 9, -77, 99, 123, &r);
	CU(cuLibraryUnload(library));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuPointerGetAttribute(&bytes, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p));
}

static void check_modules(void)
{
	CUmodule first = load(text), second = load(text);

	check_initial(NULL, first);
	check_use(NULL, first);
	check_initial(NULL, second);
	check_memory(second);
	CU(cuModuleUnload(first));
	check_memory(second);
	CU(cuModuleUnload(second));
}

/* Without managed memory the variable is one of the device's. */
static void check_absent(void)
{
	CUmodule module = load(text);
	struct results r;
	uint32_t count;
	CUdeviceptr p;

	CU(cuModuleGetGlobal(&p, NULL, module, "count"));
	LAUNCH(function(module, "use"), 1, 1, 0, NULL, &(CUdeviceptr){device_alloc(sizeof(r))});
	download(&count, p, sizeof(count));
	CHECK(count == 41, "count is %u", count);
	CU(cuModuleUnload(module));
}

int main(void)
{
	int has;

	start();
	CU(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
	if (has) {
		check_modules();
		check_library();
	} else {
		check_absent();
	}
	printf("managed variables are right\n");
	finish();
	return 0;
}
