/* SPDX-License-Identifier: MIT */
/*
 * Text that kernels print appears on this program's standard output before a synchronising call
 * returns. The program reads its own output back and compares.
 */
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_fault);

static FILE *expected; /* the expected standard output, written in parallel */
static char *expected_text;
static size_t expected_len;

/* A line of the host's, to check its place among the kernels' lines. */
static void say_here(const char *text)
{
	puts(text);
	fflush(stdout);
	fprintf(expected, "%s\n", text);
}

static void expect_hello(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(expected, "thread %u of block 0: %d %s %.3f %llx\n", i, -(int)i,
			i & 1 ? "odd" : "even", i * 0.25, (unsigned long long)i << 36);
}

static void print_all(void)
{
	uint32_t n = 5, one = 1;
	CUfunction hello, say;
	CUmodule module;
	CUstream s;
	size_t fifo;

	CU(cuCtxGetLimit(&fifo, CU_LIMIT_PRINTF_FIFO_SIZE));
	CHECK(fifo >= 4096, "room for %zu bytes of output", fifo);
	module = load(ptx_fault);
	hello = function(module, "hello");
	say = function(module, "say");
	CU(cuStreamCreate(&s, 0));
	say_here("before");
	LAUNCH(hello, 1, 32, 0, NULL, &n);
	CU(cuCtxSynchronize());
	expect_hello(n);
	say_here("between");
	n = 12345;
	LAUNCH(say, 1, 1, 0, s, &n);
	CU(cuStreamSynchronize(s));
	fprintf(expected, "%%%5u|%-5d|%05d|%c|%x|%X|%o|%e|%g|%s|%ld|%+.1f|%#x\n", n, -7, 42, 'x',
		0xbeefu, 0xcafeu, 8u, 12345.678, 0.0001, "text", 1234567890123l, 2.25, 255u);
	say_here("many launches");
	for (int i = 0; i < 20; i++) {
		LAUNCH(hello, 1, 1, 0, s, &one);
		expect_hello(1);
	}
	CU(cuStreamSynchronize(s));
	say_here("the end");
	LAUNCH(hello, 1, 1, 0, NULL, &one);
	expect_hello(1);
	CU(cuStreamDestroy(s));
	finish();
}

int main(void)
{
	FILE *output = tmpfile();
	int terminal = dup(STDOUT_FILENO);
	char *got;
	ssize_t len;

	expected = open_memstream(&expected_text, &expected_len);
	CHECK(output && expected && terminal >= 0, "no temporary file");
	start();
	CHECK(dup2(fileno(output), STDOUT_FILENO) == STDOUT_FILENO, "standard output stays");
	print_all();
	fflush(stdout);
	CHECK(dup2(terminal, STDOUT_FILENO) == STDOUT_FILENO, "standard output is lost");
	fclose(expected);
	got = host_alloc(expected_len + 4096);
	len = pread(fileno(output), got, expected_len + 4095, 0);
	CHECK(len >= 0, "the output cannot be read back");
	got[len] = 0;
	fputs(got, stdout);
	CHECK(!strcmp(got, expected_text), "this was to be printed:\n%s", expected_text);
	fclose(output);
	close(terminal);
	free(got);
	free(expected_text);
	return 0;
}
