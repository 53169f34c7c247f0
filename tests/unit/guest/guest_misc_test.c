/* SPDX-License-Identifier: MIT */
/* cuGetProcAddress, images and JIT options, host functions, events, error texts, export tables. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_fake.h"

static CUcontext ctx;

static void setup(void)
{
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
}

static const struct {
	const char *name;
	int version;
	cuuint64_t flags;
	void (*want)(void);
} lookups[] = {
#define ROW(n, v, f, w)                                                                            \
	{                                                                                          \
		n, v, f, (void (*)(void))w                                                         \
	}
	ROW("cuInit", 2000, 0, cuInit),
	ROW("cuCtxGetDevice", 2000, 0, cuCtxGetDevice),
	ROW("cuCtxGetDevice", 12090, 0, cuCtxGetDevice),
	ROW("cuCtxGetDevice", 13000, 0, cuCtxGetDevice_v2),
	ROW("cuDevicePrimaryCtxRelease", 7000, 0, cuDevicePrimaryCtxRelease),
	ROW("cuDevicePrimaryCtxRelease", 11000, 0, cuDevicePrimaryCtxRelease_v2),
	ROW("cuDeviceGetUuid", 9020, 0, cuDeviceGetUuid),
	ROW("cuDeviceGetUuid", 11040, 0, cuDeviceGetUuid_v2),
	ROW("cuMemAlloc", 3020, 0, cuMemAlloc_v2),
	ROW("cuMemcpyHtoD", 13000, 0, cuMemcpyHtoD_v2),
	ROW("cuMemcpyHtoD", 13000, 2, cuMemcpyHtoD_v2_ptds),
	ROW("cuLaunchKernel", 7000, 1, cuLaunchKernel),
	ROW("cuLaunchKernel", 7000, 2, cuLaunchKernel_ptsz),
	ROW("cuGetProcAddress", 11030, 0, cuGetProcAddress),
	ROW("cuGetProcAddress", 12000, 0, cuGetProcAddress_v2),
	ROW("cuInit", 99000, 0, cuInit),
#undef ROW
};

START_TEST(proc_address_honours_the_version)
{
	CUdriverProcAddressQueryResult status = 77;
	void *fn, *want;

	memcpy(&want, &lookups[_i].want, sizeof(want));
	ck_assert_int_eq(cuGetProcAddress_v2(lookups[_i].name, &fn, lookups[_i].version,
					     lookups[_i].flags, &status),
			 0);
	ck_assert_ptr_eq(fn, want);
	ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SUCCESS);
	ck_assert_int_eq(cuGetProcAddress_v2(lookups[_i].name, &fn, lookups[_i].version,
					     lookups[_i].flags, NULL),
			 0);
	fn = NULL;
	ck_assert_int_eq(
		cuGetProcAddress(lookups[_i].name, &fn, lookups[_i].version, lookups[_i].flags), 0);
	ck_assert_ptr_eq(fn, want);
}
END_TEST

/* Graphics and sharing between processes: the calls are found, and refuse. */
START_TEST(refused_calls_are_found)
{
	static const struct {
		const char *name;
		int version;
	} rows[] = {{"cuGLInit", 2000},
		    {"cuGLCtxCreate", 2000},
		    {"cuGLCtxCreate", 13000},
		    {"cuGLGetDevices", 13000},
		    {"cuGLMapBufferObject", 13000},
		    {"cuGraphicsGLRegisterBuffer", 3000},
		    {"cuGraphicsEGLRegisterImage", 7000},
		    {"cuEGLStreamConsumerConnect", 7000},
		    {"cuEventCreateFromEGLSync", 9000},
		    {"cuVDPAUGetDevice", 3010},
		    {"cuImportExternalMemory", 10000}};
	CUdriverProcAddressQueryResult status;
	int (*call)(void);
	void *fn, *seen[2 * sizeof(rows) / sizeof(rows[0])];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (cuuint64_t flags = 0; flags <= 2; flags += 2) {
			ck_assert_int_eq(cuGetProcAddress_v2(rows[i].name, &fn, rows[i].version,
							     flags, &status),
					 0);
			ck_assert_ptr_nonnull(fn);
			ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SUCCESS);
			memcpy(&call, &fn, sizeof(call));
			ck_assert_int_eq(call(), CUDA_ERROR_NOT_SUPPORTED);
			seen[2 * i + (flags != 0)] = fn;
		}
	}
	ck_assert_ptr_ne(seen[2], seen[4]); /* two revisions */
	ck_assert_ptr_ne(seen[8], seen[9]); /* the per-thread form */
	ck_assert_int_eq(cuGetProcAddress_v2("cuGraphicsEGLRegisterImage", &fn, 6050, 0, &status),
			 0);
	ck_assert_ptr_null(fn);
	ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}
END_TEST

START_TEST(proc_address_says_what_is_missing)
{
	CUdriverProcAddressQueryResult status;
	void *fn = &status;

	ck_assert_int_eq(cuGetProcAddress_v2("cuNothing", &fn, 13000, 0, &status), 0);
	ck_assert_ptr_null(fn);
	ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	ck_assert_int_eq(cuGetProcAddress_v2("cuLaunchKernelEx", &fn, 11000, 0, &status), 0);
	ck_assert_ptr_null(fn);
	ck_assert_int_eq(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	ck_assert_int_eq(cuGetProcAddress("cuNothing", &fn, 13000, 0), CUDA_ERROR_NOT_FOUND);
	ck_assert_int_eq(cuGetProcAddress_v2(NULL, &fn, 13000, 0, &status),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuGetProcAddress_v2("cuInit", NULL, 13000, 0, &status),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuGetProcAddress("cuInit", NULL, 13000, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuGetProcAddress_v2("cuInit", &fn, 13000, 3, &status), 0);
	ck_assert_ptr_nonnull(fn);
	ck_assert_int_eq(cuGetProcAddress_v2("cuInit", &fn, 13000, 4, &status),
			 CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(text_image)
{
	static const char ptx[] = "//\n.version 7.0\n.target sm_70\n.address_size 64\n";
	CUmodule m;

	ck_assert_int_eq(cuModuleLoadData(&m, ptx), 0);
	ck_assert_uint_ge(fake.image_len, sizeof(ptx) - 1);
	ck_assert_uint_le(fake.image_len, sizeof(ptx));
	ck_assert_mem_eq(fake.image, ptx, sizeof(ptx) - 1);
	ck_assert_uint_eq(fake.arena_allocs, fake.arena_frees);
	ck_assert_int_eq(cuModuleLoadData(&m, NULL), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuModuleLoadData(&m, "\1\2\3\4\5\6\7"), CUDA_ERROR_INVALID_IMAGE);
}
END_TEST

struct fatbin {
	uint32_t magic;
	uint16_t version, header;
	uint64_t size;
	char entries[80];
};

START_TEST(fatbin_image)
{
	struct fatbin f = {0xBA55ED50, 1, 16, 80, {0}};
	struct {
		uint32_t magic, version;
		const void *data;
		const void *more;
	} wrapper = {0x466243B1, 1, &f, NULL};
	CUmodule m;

	ck_assert_int_eq(cuModuleLoadFatBinary(&m, &f), 0);
	ck_assert_uint_eq(fake.image_len, 96);
	ck_assert_int_eq(cuModuleLoadData(&m, &wrapper), 0);
	ck_assert_uint_eq(fake.image_len, 96);
	ck_assert_mem_eq(fake.image, &f, sizeof(fake.image));
	wrapper.data = NULL;
	ck_assert_int_eq(cuModuleLoadData(&m, &wrapper), CUDA_ERROR_INVALID_IMAGE);
	f.size = UINT64_MAX;
	ck_assert_int_eq(cuModuleLoadData(&m, &f), CUDA_ERROR_INVALID_IMAGE);
}
END_TEST

/* Code for other devices stays here: the vGPU is charged for what is sent. */
START_TEST(fatbin_for_many)
{
	struct {
		uint32_t magic;
		uint16_t version, header;
		uint64_t size;
		struct {
			uint16_t kind, version;
			uint32_t head;
			uint64_t payload;
			uint32_t packed, options, ptx, sm;
			uint64_t more[4];
			char bytes[16];
		} entry[3];
	} f = {.magic = 0xBA55ED50, .version = 1, .header = 16, .size = sizeof(f.entry)};
	static const uint32_t sm[] = {80, 90, 100};
	CUjit_option target = CU_JIT_TARGET;
	void *value = (void *)(uintptr_t)80;
	CUlibrary l;
	CUmodule m;

	for (unsigned int i = 0; i < 3; i++) {
		f.entry[i].kind = 2;
		f.entry[i].head = 64;
		f.entry[i].payload = 16;
		f.entry[i].sm = sm[i];
	}
	ck_assert_int_eq(cuModuleLoadData(&m, &f), 0);
	ck_assert_uint_eq(fake.image_len, 16 + 80);
	ck_assert_mem_eq(fake.image + 16, &f.entry[1], sizeof(fake.image) - 16);
	ck_assert_int_eq(cuLibraryLoadData(&l, &f, NULL, NULL, 0, NULL, NULL, 0), 0);
	/* For another target, and with nothing for this device, the driver is to judge. */
	ck_assert_int_eq(cuModuleLoadDataEx(&m, &f, 1, &target, &value), 0);
	ck_assert_uint_eq(fake.image_len, sizeof(f));
	f.entry[1].sm = 75;
	ck_assert_int_eq(cuModuleLoadData(&m, &f), 0);
	ck_assert_uint_eq(fake.image_len, sizeof(f));
}
END_TEST

START_TEST(image_file)
{
	static const char ptx[] = ".version 7.0\n";
	char path[] = "/tmp/guest_misc_XXXXXX";
	const int fd = mkstemp(path);
	CUmodule m;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, ptx, sizeof(ptx) - 1), sizeof(ptx) - 1);
	close(fd);
	ck_assert_int_eq(cuModuleLoad(&m, path), 0);
	ck_assert_uint_eq(fake.image_len, sizeof(ptx) - 1);
	unlink(path);
	ck_assert_int_eq(cuModuleLoad(&m, path), CUDA_ERROR_FILE_NOT_FOUND);
	ck_assert_int_eq(cuModuleLoad(&m, "/"), CUDA_ERROR_INVALID_IMAGE);
	ck_assert_int_eq(cuModuleLoad(&m, NULL), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(fake.arena_allocs, fake.arena_frees);
}
END_TEST

START_TEST(jit_options_travel_as_numbers)
{
	const struct pvgpu_wire_module_load *l = (const void *)fake.last;
	const struct pvgpu_jit_option *o = (const void *)(l + 1);
	char log[100] = "untouched";
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
				  CU_JIT_OPTIMIZATION_LEVEL, CU_JIT_WALL_TIME};
	void *values[] = {log, (void *)100, (void *)3, NULL};
	CUmodule m;

	ck_assert_int_eq(cuModuleLoadDataEx(&m, ".version 7.0\n", 4, options, values), 0);
	ck_assert_uint_eq(l->options_len, sizeof(*o));
	ck_assert_uint_eq(o->id, CU_JIT_OPTIMIZATION_LEVEL);
	ck_assert_uint_eq(o->value, 3);
	ck_assert_uint_eq(l->error_log_size, 99);
	ck_assert_uint_eq(l->info_log_size, 0);
	ck_assert_str_eq(log, "");
	ck_assert_ptr_null(values[1]);
	options[2] = CU_JIT_GLOBAL_SYMBOL_ADDRESSES;
	ck_assert_int_eq(cuModuleLoadDataEx(&m, ".version 7.0\n", 4, options, values),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuModuleLoadDataEx(&m, ".version 7.0\n", 4, NULL, values),
			 CUDA_ERROR_INVALID_VALUE);
}
END_TEST

static int ran;
static CUresult seen, inside;
static CUstream stream_seen;

static void host_fn(void *user_data)
{
	CUdeviceptr p;

	ran += *(int *)user_data;
	inside = cuMemAlloc_v2(&p, 1);
}

static void stream_callback(CUstream stream, CUresult status, void *user_data)
{
	stream_seen = stream;
	seen = status;
	ran += *(int *)user_data;
}

START_TEST(host_functions)
{
	int one = 1;
	CUstream s;

	ck_assert_int_eq(cuStreamCreate(&s, 0), 0);
	ck_assert_int_eq(cuLaunchHostFunc(s, host_fn, &one), 0);
	fake_callback(0);
	ck_assert_int_eq(ran, 1);
	ck_assert_int_eq(inside, CUDA_ERROR_NOT_PERMITTED);
	fake_callback(0); /* an id is good for one run */
	ck_assert_int_eq(ran, 1);
	ck_assert_int_eq(cuStreamAddCallback(s, stream_callback, &one, 0), 0);
	fake_callback(CUDA_ERROR_LAUNCH_FAILED);
	ck_assert_int_eq(ran, 2);
	ck_assert_int_eq(seen, CUDA_ERROR_LAUNCH_FAILED);
	ck_assert_ptr_eq(stream_seen, s);
	ck_assert_int_eq(cuLaunchHostFunc(s, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuStreamAddCallback(s, stream_callback, &one, 1),
			 CUDA_ERROR_INVALID_VALUE);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(cuLaunchHostFunc(NULL, host_fn, &one), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(ctx), 0);
	fake_callback(0);
	ck_assert_int_eq(ran, 2);
}
END_TEST

START_TEST(events)
{
	CUevent a, b;
	float ms;

	fake.old_worker = true; /* guest_calls_test.c has others */
	ck_assert_int_eq(cuEventCreate(&a, 0), 0);
	ck_assert_int_eq(cuEventCreate(&b, CU_EVENT_DISABLE_TIMING), 0);
	ck_assert_int_eq(cuEventCreate(&b, 0x80), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuEventQuery(a), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_QUERY], 0);
	ck_assert_int_eq(cuEventElapsedTime_v2(&ms, a, a), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuEventRecord(a, NULL), 0);
	ck_assert_int_eq(cuEventRecord(b, NULL), 0);
	ck_assert_int_eq(cuEventElapsedTime_v2(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);
	fake.fail_op = PVGPU_OP_EVENT_QUERY;
	fake.fail_result = CUDA_ERROR_NOT_READY;
	ck_assert_int_eq(cuEventQuery(a), CUDA_ERROR_NOT_READY);
	fake.fail_result = 0;
	ck_assert_int_eq(cuEventQuery(a), 0);
	ck_assert_int_eq(cuEventQuery(a), 0); /* known to be done: not asked again */
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_QUERY], 2);
	ck_assert_int_eq(cuEventRecord(a, NULL), 0);
	ck_assert_int_eq(cuEventQuery(a), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_QUERY], 3);
	ck_assert_int_eq(cuEventElapsedTime_v2(&ms, a, a), 0);
	ck_assert_int_eq(cuEventDestroy_v2(a), 0);
	ck_assert_int_eq(cuEventQuery(a), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(nothing_captures)
{
	CUstreamCaptureStatus status = 77;
	const CUgraphNode *nodes;
	const CUgraphEdgeData *edges;
	CUstream s;
	CUgraph graph;
	cuuint64_t id;
	size_t n;

	ck_assert_int_eq(cuStreamCreate(&s, 0), 0);
	ck_assert_int_eq(cuStreamGetCaptureInfo(s, &status, &id), 0);
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
	status = 77;
	ck_assert_int_eq(cuStreamGetCaptureInfo_v2(NULL, &status, NULL, &graph, &nodes, &n), 0);
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
	status = 77;
	ck_assert_int_eq(
		cuStreamGetCaptureInfo_v3_ptsz(NULL, &status, &id, &graph, &nodes, &edges, &n), 0);
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
	ck_assert_int_eq(cuStreamGetCaptureInfo_v3(s, NULL, NULL, NULL, NULL, NULL, NULL),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuStreamDestroy_v2(s), 0);
	ck_assert_int_eq(cuStreamGetCaptureInfo_v2(s, &status, NULL, NULL, NULL, NULL),
			 CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(every_result_has_a_name_and_a_text)
{
	const char *text;

	ck_assert_int_eq(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text), 0);
	ck_assert_str_eq(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
	ck_assert_int_eq(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text), 0);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(cuGetErrorName(12345, &text), CUDA_ERROR_INVALID_VALUE);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(cuGetErrorString(0, NULL), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(export_tables_are_refused)
{
	const void *table = &ctx;
	const int before = dup(2);
	FILE *const said = tmpfile();
	char text[512] = "";
	CUuuid id = {{0}};

	ck_assert_ptr_nonnull(said);
	dup2(fileno(said), 2);
	ck_assert_int_eq(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_SUPPORTED);
	dup2(before, 2);
	ck_assert_ptr_null(table);
	/* The hint names the object that calls. */
	rewind(said);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), said));
	ck_assert_msg(strstr(text, "/guest_misc_test is, or has in it, NVIDIA's"), "%s", text);
	fclose(said);
	close(before);
}
END_TEST

START_TEST(best_block_size)
{
	CUmodule m;
	CUfunction f;
	int grid, block;

	for (int i = 0; i < 16; i++)
		fake.info.attr[i] = -1;
	fake.info.attr[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 640;
	ck_assert_int_eq(cuModuleLoadData(&m, ".version 7.0\n"), 0);
	ck_assert_int_eq(cuModuleGetFunction(&f, m, "f"), 0);
	/* The fake fits 1024 / block blocks: 512 is the largest allowed size that fills 1024
	 * threads.
	 */
	ck_assert_int_eq(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0), 0);
	ck_assert_int_eq(block, 512);
	ck_assert_int_eq(grid, 16);
	ck_assert_int_eq(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 100), 0);
	ck_assert_int_eq(block, 64);
	ck_assert_int_eq(grid, 128);
}
END_TEST

START_TEST(kernels)
{
	CUlibrary l, of;
	CUkernel k, again;
	CUfunction f, f2;
	CUmodule m, m2;

	for (int i = 0; i < 16; i++)
		fake.info.attr[i] = -1;
	fake.info.params_known = 1;
	ck_assert_int_eq(cuLibraryLoadData(&l, ".version 7.0\n", NULL, NULL, 0, NULL, NULL, 0), 0);
	ck_assert_int_eq(cuLibraryGetKernel(&k, l, "k"), 0);
	ck_assert_int_eq(cuLibraryGetKernel(&again, l, "k"), 0);
	ck_assert_ptr_eq(k, again);
	ck_assert_int_eq(cuKernelGetLibrary(&of, k), 0);
	ck_assert_ptr_eq(of, l);
	ck_assert_int_eq(cuKernelGetFunction(&f, k), 0);
	ck_assert_int_eq(cuKernelGetFunction(&f2, k), 0);
	ck_assert_ptr_eq(f, f2);
	ck_assert_int_eq(cuLibraryGetModule(&m, l), 0);
	ck_assert_int_eq(cuFuncGetModule(&m2, f), 0);
	ck_assert_ptr_eq(m, m2);
	ck_assert_int_eq(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuLaunchKernel((CUfunction)k, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), 0);
	ck_assert_int_eq(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(ctx), 0);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), 0);
	ck_assert_int_eq(cuFuncLoad(f), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuKernelGetFunction(&f2, k), 0);
	ck_assert_ptr_ne(f, f2);
	ck_assert_int_eq(cuLibraryUnload(l), 0);
	ck_assert_int_eq(cuKernelGetFunction(&f2, k), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuLibraryUnload(l), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_misc");
	TCase *t = tcase_create("misc");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, proc_address_honours_the_version, 0,
			    sizeof(lookups) / sizeof(lookups[0]));
	tcase_add_test(t, proc_address_says_what_is_missing);
	tcase_add_test(t, refused_calls_are_found);
	tcase_add_test(t, text_image);
	tcase_add_test(t, fatbin_image);
	tcase_add_test(t, fatbin_for_many);
	tcase_add_test(t, image_file);
	tcase_add_test(t, jit_options_travel_as_numbers);
	tcase_add_test(t, host_functions);
	tcase_add_test(t, events);
	tcase_add_test(t, nothing_captures);
	tcase_add_test(t, every_result_has_a_name_and_a_text);
	tcase_add_test(t, export_tables_are_refused);
	tcase_add_test(t, best_block_size);
	tcase_add_test(t, kernels);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
