/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: tests/simcuda/ptx/address.c tests/simcuda/ptx/barrier.c tests/simcuda/ptx/body.c
 * tests/simcuda/ptx/builtin.c tests/simcuda/ptx/call.c tests/simcuda/ptx/cta.c
 * tests/simcuda/ptx/decode.c tests/simcuda/ptx/decode_compare.c
 * tests/simcuda/ptx/decode_control.c tests/simcuda/ptx/decode_cvt.c
 * tests/simcuda/ptx/decode_tex.c tests/simcuda/ptx/exec_tex.c
 * tests/simcuda/ptx/decode_float.c tests/simcuda/ptx/decode_int.c tests/simcuda/ptx/decode_mem.c
 * tests/simcuda/ptx/decode_warp.c tests/simcuda/ptx/exec_atom.c tests/simcuda/ptx/exec_bits.c
 * tests/simcuda/ptx/exec_compare.c tests/simcuda/ptx/exec_cvt.c tests/simcuda/ptx/exec_float.c
 * tests/simcuda/ptx/exec_half.c tests/simcuda/ptx/exec_int.c tests/simcuda/ptx/exec_mem.c
 * tests/simcuda/ptx/exec_special.c tests/simcuda/ptx/exec_warp.c tests/simcuda/ptx/format.c
 * tests/simcuda/ptx/image.c tests/simcuda/ptx/isa.c tests/simcuda/ptx/lex.c
 * tests/simcuda/ptx/link.c tests/simcuda/ptx/module.c
 * tests/simcuda/ptx/operand.c tests/simcuda/ptx/parse.c tests/simcuda/ptx/symbols.c
 * tests/simcuda/ptx/cluster.c tests/simcuda/ptx/exec_coalesced.c
 * tests/simcuda/ptx/decode_tensor.c tests/simcuda/ptx/exec_tensor.c
 * tests/simcuda/ptx/decode_async.c tests/simcuda/ptx/decode_matrix.c
 * tests/simcuda/ptx/exec_async.c tests/simcuda/ptx/exec_matrix.c
 * tests/simcuda/ptx/variable.c tests/simcuda/ptx/video.c tests/simcuda/ptx/warp.c */
/* FUZZ_LIBS: -lm */
/*
 * The bytes are a PTX text, or several that are linked, with a NUL between them. What parses is
 * bound to a small buffer, and the first kernels run for a while with the buffer's address in every
 * parameter; nothing else may be touched.
 */
#include "tests/simcuda/ptx/ptx.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER  65536u
#define KERNELS 4
#define UNITS   3u
#define STEPS   40

static _Alignas(256) uint8_t buffer[BUFFER];
static uint64_t now;

/* One of each kind, by the handle's lowest bits; some reach beyond the buffer. */
static const struct ptx_texture *texture(void *arg, uint64_t handle, bool is_surface)
{
	static struct ptx_texture t;
	const bool is_layered = handle >> 2 & 1;

	t = (struct ptx_texture){.base = (uintptr_t)buffer,
				 .pitch = 256,
				 .slice = 4096,
				 .size = {60, 15, handle & 128 ? 20 : 7},
				 .dims = (uint32_t)(1 + handle % 3),
				 .layered = is_layered && handle % 3 < 2,
				 .is_buffer = !is_surface && !is_layered && handle & 64,
				 .texel = (enum ptx_texel)(handle >> 3 & 7),
				 .channels = handle & 256 ? 4 : 1,
				 .wrap = {(enum ptx_wrap)(handle >> 6 & 3), PTX_CLAMP, PTX_BORDER},
				 .is_linear = handle & 512,
				 .is_normalized = handle & 1024,
				 .as_integer = handle & 2048};
	return &t;
}

static bool check(void *arg, uint64_t addr, uint64_t len, bool write, uint64_t *lo, uint64_t *hi)
{
	uint64_t base = (uintptr_t)buffer;

	*lo = base;
	*hi = base + BUFFER;
	return addr >= base && addr - base <= BUFFER && BUFFER - (addr - base) >= len;
}

static void print(void *arg, const char *text, size_t len)
{
	volatile char last;

	if (len)
		last = text[len - 1];
	(void)last;
}

static uint64_t timer(void *arg)
{
	return now += 100;
}

static void write_bytes(void *arg, uint64_t addr, const void *bytes, size_t len)
{
	memcpy((void *)(uintptr_t)addr, bytes, len);
}

static void run(const struct ptx_image *img, const struct ptx_kernel *k)
{
	static const struct ptx_env env = {.mem_check = check,
					   .print = print,
					   .globaltimer_ns = timer,
					   .texture = texture,
					   .clock_khz = 1000000,
					   .sm_count = 2};
	struct ptx_launch l = {.image = img,
			       .kernel = k,
			       .grid = {1, 1, 1},
			       .block = {20, 2, 1},
			       .dynamic_shared = 64,
			       .env = &env};
	uint64_t address = (uintptr_t)buffer, ns = 0;
	uint8_t *params = malloc(k->param_bytes + 1);
	struct ptx_cta *c;

	if (!params)
		return;
	memset(params, 1, k->param_bytes + 1);
	for (uint32_t i = 0; i < k->param_count; i++) {
		if (k->params[i].size == 8)
			memcpy(params + k->params[i].offset, &address, 8);
	}
	l.params = params;
	for (int i = 0; i < 3 && k->reqcluster[0]; i++)
		l.grid[i] = l.cluster[i] = k->reqcluster[i];
	c = ptx_cta_new(&l, 0, 0, 0, 0);
	for (int i = 0; c && i < STEPS; i++) {
		enum ptx_step s = ptx_cta_step(c, (uint64_t)i * 13 + 1, &ns);

		now += s == PTX_SLEEPING ? ns : 0;
		if (s == PTX_DONE || s == PTX_FAULTED)
			break;
	}
	ptx_cta_free(c);
	free(params);
}

static size_t split(const char *text, size_t size, struct ptx_unit unit[UNITS])
{
	size_t n = 0;

	while (n < UNITS) {
		const char *end = n + 1 < UNITS ? memchr(text, 0, size) : NULL;
		size_t len = end ? (size_t)(end - text) : size;

		unit[n++] = (struct ptx_unit){.name = "unit", .text = text, .len = len};
		if (!end)
			break;
		text += len + 1;
		size -= len + 1;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ptx_unit unit[UNITS];
	struct ptx_module *m;
	struct ptx_image *img;
	uint64_t addr[64], used = 4096;
	char log[512];
	bool fits = true;

	if (ptx_link(unit, split((const char *)data, size, unit), 90, &m, log, sizeof(log)) !=
	    PTX_OK)
		return 0;
	for (size_t i = 0; i < ptx_global_count(m) && fits; i++) {
		const struct ptx_global *g = ptx_global_at(m, i);

		fits = i < 64 && g->size <= BUFFER - used && g->align <= 256;
		if (fits) {
			addr[i] = (uintptr_t)buffer + used;
			used = (used + g->size + 255) & ~255ull;
			fits = used <= BUFFER;
		}
	}
	if (fits && ptx_image_create(m, addr, write_bytes, NULL, &img) == PTX_OK) {
		for (size_t i = 0; i < ptx_kernel_count(m) && i < KERNELS; i++)
			run(img, ptx_kernel_at(m, i));
		ptx_image_free(img);
	}
	ptx_module_free(m);
	return 0;
}
