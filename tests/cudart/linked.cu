// SPDX-License-Identifier: MIT
/* The fat binary of a program of several parts (nvcc -rdc): the parts are listed, the driver links them. */
#include "test.h"

static const char caller[] = R"(
.version 6.4
.target sm_70
.address_size 64
.extern .func (.param .b32 result) triple(.param .b32 value);
.visible .entry run(.param .u64 p)
{
	.reg .b32 %r<3>;
	.reg .b64 %d<4>;
	ld.param.u64 %d1, [p];
	cvta.to.global.u64 %d1, %d1;
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %d2, %r1, 4;
	add.u64 %d3, %d1, %d2;
	{
		.param .b32 in;
		.param .b32 out;
		st.param.b32 [in], %r1;
		call.uni (out), triple, (in);
		ld.param.b32 %r2, [out];
	}
	st.global.u32 [%d3], %r2;
	ret;
}
)";

static const char callee[] = R"(
.version 6.4
.target sm_70
.address_size 64
.visible .func (.param .b32 result) triple(.param .b32 value)
{
	.reg .b32 %r<3>;
	ld.param.b32 %r1, [value];
	mul.lo.u32 %r2, %r1, 3;
	st.param.b32 [result], %r2;
	ret;
}
)";

/* One PTX text as a fat binary, with an empty text of options. */
static void *fatbin(const char *ptx)
{
	const size_t len = (strlen(ptx) + 8) / 8 * 8;
	struct header {
		uint32_t magic;
		uint16_t version, bytes;
		uint64_t size;
		uint16_t kind, one;
		uint32_t head;
		uint64_t payload;
		uint32_t packed, options;
		uint16_t minor, major;
		uint32_t sm, name, name_len;
		uint64_t flags, zero, unpacked;
		uint32_t options_text, options_len;
		uint64_t text;
	} h = {0xba55ed50, 1,  16, 80 + len, 1,    0x101, 80, len, 0, 64, 4,
	       6,          70, 0,  0,        0x11, 0,     0,  72,  0, 0};
	char *f = (char *)calloc(1, sizeof(h) + len);

	CHECK(sizeof(h) == 96 && f, "no fat binary");
	memcpy(f, &h, sizeof(h));
	strcpy(f + sizeof(h), ptx);
	return f;
}

extern "C" void __cudaRegisterFunction(void **handle, const char *host, char *device_fn,
				       const char *device, int threads, void *tid, void *bid,
				       void *block, void *grid, int *warp);

int main()
{
	static char run;
	void *parts[] = {fatbin(caller), fatbin(callee), NULL};
	struct {
		uint32_t magic, version;
		void *data, **parts;
	} wrapper = {0x466243b1, 2, NULL, parts};
	void **handle = __cudaRegisterFatBinary(&wrapper);
	both<int> out(32);
	void *args[] = {&out.dev};
	int want[32];

	for (int i = 0; i < 32; i++)
		want[i] = 3 * i;
	__cudaRegisterFunction(handle, &run, &run, "run", -1, NULL, NULL, NULL, NULL, NULL);
	__cudaRegisterFatBinaryEnd(handle);
	RT(cudaLaunchKernel(&run, 1, 32, args, 0, 0));
	DONE();
	out.same(want, "a function of another part");
	__cudaUnregisterFatBinary(handle);
	WANT(cudaErrorInvalidDeviceFunction, cudaLaunchKernel(&run, 1, 32, args, 0, 0));
	free(parts[0]);
	free(parts[1]);
	printf("parts are linked\n");
	return 0;
}
