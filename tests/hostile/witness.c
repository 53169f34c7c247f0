/* SPDX-License-Identifier: MIT */
/*
 * An honest program beside a hostile one: it computes and checks the results repeatedly until its
 * standard input ends. Prints "ready" after the first round, and the number of right rounds at the
 * end.
 */
#include <poll.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

#define WORDS 16384u

static bool told_to_stop(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&p, 1, 2) > 0;
}

static void one_round(CUfunction fill, CUfunction verify, CUstream s, CUdeviceptr p,
		      CUdeviceptr wrong, uint32_t seed)
{
	static uint32_t words[WORDS], back[WORDS];
	uint32_t n = WORDS, count;

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = seed ^ i * 40503u;
	CU(cuMemcpyHtoD(p, words, sizeof(words)));
	CU(cuMemcpyDtoH(back, p, sizeof(back)));
	CHECK(!memcmp(words, back, sizeof(words)), "round %u: data changed on the way", seed);
	CU(cuMemsetD32Async(wrong, 0, 1, s));
	LAUNCH(fill, 16, 256, 0, s, &p, &n, &seed);
	LAUNCH(verify, 16, 256, 0, s, &p, &n, &seed, &wrong);
	CU(cuMemcpyDtoHAsync(&count, wrong, sizeof(count), s));
	CU(cuStreamSynchronize(s));
	CHECK(count == 0, "round %u: %u words are not what the kernel wrote", seed, count);
	download(back, p, sizeof(back));
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK(back[i] == fill_value(seed, i), "round %u: word %u is %u", seed, i, back[i]);
}

int main(void)
{
	CUdeviceptr p, wrong;
	CUmodule module;
	uint32_t rounds;
	CUstream s;

	start();
	module = load(ptx_vector);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	p = device_alloc(WORDS * sizeof(uint32_t));
	wrong = device_alloc(sizeof(uint32_t));
	for (rounds = 0; !rounds || !told_to_stop(); rounds++) {
		one_round(function(module, "fill"), function(module, "verify"), s, p, wrong,
			  rounds);
		if (!rounds)
			puts("ready");
	}
	CU(cuMemFree(p));
	CU(cuMemFree(wrong));
	CU(cuStreamDestroy(s));
	CU(cuModuleUnload(module));
	finish();
	printf("%u rounds\n", rounds);
	return 0;
}
