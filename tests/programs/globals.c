/* SPDX-License-Identifier: MIT */
/* Variables of modules: initial values, reading and writing them, two modules with their own. */
#include "tests/programs/common.h"

PTX(ptx_globals);

static CUdeviceptr global(CUmodule module, const char *name, size_t size)
{
	CUdeviceptr p;
	size_t bytes;

	CU(cuModuleGetGlobal(&p, &bytes, module, name));
	CHECK(bytes == size, "%s has %zu bytes, not %zu", name, bytes, size);
	return p;
}

static void run(CUmodule module, uint32_t *out)
{
	CUdeviceptr dout = device_alloc(6 * sizeof(*out));

	LAUNCH(function(module, "use_globals"), 1, 1, 0, NULL, &dout);
	download(out, dout, 6 * sizeof(*out));
	CU(cuMemFree(dout));
}

static void same(const uint32_t *got, const uint32_t *want)
{
	for (int i = 0; i < 6; i++)
		CHECK(got[i] == want[i], "result %d is %u, not %u", i, got[i], want[i]);
	printf("%u %u %u %u %u %u\n", got[0], got[1], got[2], got[3], got[4], got[5]);
}

int main(void)
{
	uint32_t out[6], table[8] = {2, 0, 0, 0, 0, 0, 0, 1}, counter;
	CUmodule first, second;
	double zeroed[16];
	float scale = 2.5f;
	CUdeviceptr p;
	char text[5];
	size_t bytes;

	start();
	first = load(ptx_globals);
	second = load(ptx_globals);
	run(first, out);
	same(out, (uint32_t[]){62951413, 42, 4 + 128, 50, 'h' | 'o' << 8, 3});
	run(first, out);
	same(out, (uint32_t[]){62951413, 43, 4 + 128, 50, 'h' | 'o' << 8, 6});
	CU(cuMemcpyHtoD(global(first, "table", sizeof(table)), table, sizeof(table)));
	CU(cuMemcpyHtoD(global(first, "scale", sizeof(scale)), &scale, sizeof(scale)));
	run(first, out);
	same(out, (uint32_t[]){10000002, 44, 128, 250, 'h' | 'o' << 8, 9});
	run(second, out);
	same(out, (uint32_t[]){62951413, 42, 4 + 128, 50, 'h' | 'o' << 8, 3});

	download(&counter, global(first, "counter", sizeof(counter)), sizeof(counter));
	CHECK(counter == 45, "counter is %u", counter);
	download(zeroed, global(first, "zeroed", sizeof(zeroed)), sizeof(zeroed));
	CHECK(zeroed[3] == 4.5 && zeroed[2] == 0 && zeroed[15] == 0, "zeroed[3] is %g", zeroed[3]);
	download(text, global(second, "odd_bytes", 5), 5);
	CHECK(!memcmp(text, "hello", 5), "odd_bytes are %.5s", text);
	CU(cuModuleGetGlobal(&p, NULL, first, "table"));
	CU(cuModuleGetGlobal(NULL, &bytes, first, "table"));
	CHECK(p == global(first, "table", sizeof(table)) && bytes == sizeof(table),
	      "asked for one thing only");
	WANT(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&p, &bytes, first, "tables"));
	WANT(CUDA_ERROR_INVALID_VALUE, cuModuleGetGlobal(&p, &bytes, first, "use_globals"));
	CU(cuModuleUnload(first));
	run(second, out);
	CHECK(out[1] == 43, "the second module's counter is %u after the first is gone", out[1]);
	CU(cuModuleUnload(second));
	finish();
	return 0;
}
