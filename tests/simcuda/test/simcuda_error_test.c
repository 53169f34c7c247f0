/* SPDX-License-Identifier: MIT */
/* The simulated driver: output and faults of kernels. */
#include "tests/simcuda/test/simcuda_kernels.h"
#include "tests/simcuda/test/simcuda_test.h"

static CUmodule load(void)
{
	CUmodule m;

	OK(cuModuleLoadData(&m, PTX_ALL));
	return m;
}

static CUfunction get(CUmodule m, const char *name)
{
	CUfunction f;

	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

static CUresult run1(CUfunction f, unsigned int grid, unsigned int block, CUstream s, void **args)
{
	return cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, s, args, NULL);
}

/* The process's output to fd while fn runs. */
static char *capture(int fd, void (*fn)(void))
{
	char path[] = "/tmp/simcuda-test-XXXXXX";
	int file = mkstemp(path), saved;
	static char text[65536];
	ssize_t n;

	unlink(path);
	fflush(stdout);
	fflush(stderr);
	saved = dup(fd);
	dup2(file, fd);
	fn();
	fflush(stdout);
	fflush(stderr);
	dup2(saved, fd);
	close(saved);
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void print_some(void)
{
	CUfunction f = get(load(), "hello");

	for (int i = 0; i < 3; i++) {
		void *args[] = {&i};

		OK(run1(f, 1, 1, NULL, args));
	}
	printf("before\n");
	OK(cuStreamSynchronize(NULL));
	printf("after\n");
}

START_TEST(device_printf)
{
	start();
	ck_assert_str_eq(capture(1, print_some), "before\nhello 0!\nhello 1!\nhello 2!\nafter\n");
}
END_TEST

static void print_much(void)
{
	CUfunction f = get(load(), "hello");

	OK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 4096));
	for (int i = 0; i < 1000; i++) {
		void *args[] = {&i};

		OK(run1(f, 1, 1, NULL, args));
	}
	OK(cuCtxSynchronize());
}

START_TEST(device_printf_is_bounded)
{
	char *text;

	start();
	text = capture(1, print_much);
	ck_assert_uint_le(strlen(text), 4096);
	ck_assert_ptr_nonnull(strstr(text, "hello 999!\n"));
	ck_assert_ptr_null(strstr(text, "hello 1!\n"));
}
END_TEST

static void sticky(CUresult code)
{
	CUdeviceptr p;
	CUevent e;

	FAILS(code, cuCtxSynchronize());
	FAILS(code, cuMemAlloc(&p, 4));
	FAILS(code, cuStreamSynchronize(NULL));
	FAILS(code, cuEventCreate(&e, 0));
}

START_TEST(wild_pointer)
{
	CUdeviceptr at = 0x10, good;
	uint32_t v = 1;
	void *args[] = {&at, &v};
	CUcontext ctx;
	CUfunction f;
	int n;

	OK(cuInit(0));
	OK(cuCtxCreate(&ctx, NULL, 0, 0));
	f = get(load(), "store");
	OK(cuMemAlloc(&good, 1 << 20));
	OK(run1(f, 1, 32, NULL, args));
	sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
	FAILS(CUDA_ERROR_ILLEGAL_ADDRESS, run1(f, 1, 1, NULL, args));
	OK(cuDeviceGetCount(&n));
	OK(cuCtxDestroy(ctx));
	OK(cuCtxCreate(&ctx, NULL, 0, 0)); /* a new one works */
	f = get(load(), "store");
	OK(cuMemAlloc(&at, 4));
	OK(run1(f, 1, 1, NULL, args));
	OK(cuCtxSynchronize());
	at += 4; /* just behind the allocation */
	OK(run1(f, 1, 1, NULL, args));
	sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

/* An atomic of the last byte is compiled to one of its word. */
START_TEST(a_word_around_the_last_byte)
{
	static const size_t sizes[] = {1, 3, 6, 513};
	CUdeviceptr base, at;
	uint32_t v = 0x01020304;
	void *args[] = {&at, &v};
	uint8_t last;
	CUfunction f;

	start();
	f = get(load(), "store");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		OK(cuMemAlloc(&base, sizes[i]));
		at = (base + sizes[i] - 1) & ~3ull;
		OK(run1(f, 1, 1, NULL, args));
		OK(cuCtxSynchronize());
		OK(cuMemcpyDtoH(&last, base + sizes[i] - 1, 1));
		ck_assert_uint_eq(last, (v >> 8 * ((sizes[i] - 1) & 3)) & 0xff);
	}
	at += 4; /* the next word */
	OK(run1(f, 1, 1, NULL, args));
	sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
}
END_TEST

START_TEST(host_pointer_is_wild)
{
	static uint32_t word;
	CUdeviceptr at = (uintptr_t)&word;
	uint32_t v = 1;
	void *args[] = {&at, &v};

	start();
	OK(run1(get(load(), "store"), 1, 1, NULL, args));
	sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_uint_eq(word, 0);
	OK(cuDevicePrimaryCtxReset(0));
	start();
	OK(cuCtxSynchronize());
}
END_TEST

START_TEST(misaligned_address)
{
	CUdeviceptr at;
	uint32_t v = 1;
	void *args[] = {&at, &v};

	start();
	OK(cuMemAlloc(&at, 64));
	at += 2;
	OK(run1(get(load(), "store"), 1, 1, NULL, args));
	sticky(CUDA_ERROR_MISALIGNED_ADDRESS);
}
END_TEST

START_TEST(trap)
{
	CUevent e;
	CUstream s;

	start();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, 0));
	OK(run1(get(load(), "die"), 100, 64, s, NULL));
	if (cuEventRecord(e, s) == CUDA_SUCCESS) /* else it has died already */
		FAILS(CUDA_ERROR_LAUNCH_FAILED, cuEventSynchronize(e));
	sticky(CUDA_ERROR_LAUNCH_FAILED);
}
END_TEST

static void fail_assertion(void)
{
	OK(run1(get(load(), "check"), 1, 1, NULL, NULL));
	FAILS(CUDA_ERROR_ASSERT, cuCtxSynchronize());
}

START_TEST(device_assert)
{
	char *text;

	start();
	text = capture(2, fail_assertion);
	ck_assert_msg(strstr(text, "x>1") && strstr(text, "42"), "stderr: %s", text);
	sticky(CUDA_ERROR_ASSERT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_error");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, device_printf);
	tcase_add_test(t, device_printf_is_bounded);
	tcase_add_test(t, wild_pointer);
	tcase_add_test(t, a_word_around_the_last_byte);
	tcase_add_test(t, host_pointer_is_wild);
	tcase_add_test(t, misaligned_address);
	tcase_add_test(t, trap);
	tcase_add_test(t, device_assert);
	suite_add_tcase(s, t);
	return run_suite(s, "error");
}
