/* SPDX-License-Identifier: MIT */
/* Kernels and launches. */
#include "tests/hostile/attack.h"

#include <string.h>
#include <unistd.h>

#define NOT_READY 600

struct shape {
	uint32_t grid[3], block[3], shared;
};

static int settle(struct guest *g)
{
	return CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
}

static bool launch(struct guest *g, uint64_t f, const struct shape *s, uint32_t flags,
		   const void *params, uint32_t len)
{
	struct pvgpu_wire_launch c = {
		HDR(launch, LAUNCH),    .ctx = g->ctx,          .function = f,
		.grid_x = s->grid[0],   .grid_y = s->grid[1],   .grid_z = s->grid[2],
		.block_x = s->block[0], .block_y = s->block[1], .block_z = s->block[2],
		.shared = s->shared,    .flags = flags,         .params_len = len};

	return guest_post_parts(g, &c, params, len);
}

static const struct shape one = {{1, 1, 1}, {1, 1, 1}, 0};

static void params(struct guest *g)
{
	static const unsigned char bytes[32764];
	static const uint32_t lens[] = {0, 1, 3, 5, 8, 16, 4096, 32764};
	const uint64_t f = guest_function(g, 0, "say"); /* takes 4 bytes */

	WANT(f, "no kernel");
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		launch(g, f, &one, 0, bytes, lens[i]);
		WANT(settle(g), "%u bytes of parameters", lens[i]);
	}
}

static void shapes(struct guest *g)
{
	static const struct shape bad[] = {
		{{~0u, 1, 1}, {1, 1, 1}, 0},      {{~0u, ~0u, ~0u}, {1, 1, 1}, 0},
		{{1, 65536, 1}, {1, 1, 1}, 0},    {{1, 1, 65536}, {1, 1, 1}, 0},
		{{1, 1, 1}, {1024, 1024, 64}, 0}, {{1, 1, 1}, {1024, 2, 1}, 0},
		{{1, 1, 1}, {1, 1, 1}, ~0u},      {{1, 1, 1}, {1, 1, 1}, 1 << 20},
		{{1u << 31, 1, 1}, {1, 1, 1}, 0},
	};
	static const struct shape large = {{1 << 20, 1, 1}, {1, 1, 1}, 0};
	const uint64_t f = guest_function(g, 0, "nothing");

	WANT(f, "no kernel");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		launch(g, f, &bad[i], 0, NULL, 0);
		WANT(settle(g), "shape %zu", i);
		launch(g, f, &bad[i], 1, NULL, 0);
		WANT(settle(g), "cooperative shape %zu", i);
	}
	launch(g, f, &large, 1, NULL, 0);
	WANT(settle(g), "a cooperative grid larger than the device");
}

/* Attributes that name memory, events or handles of the host. */
static void attributes(struct guest *g)
{
	const uint64_t f = guest_function(g, 0, "nothing");
	struct pvgpu_launch_attr a[28];

	WANT(f, "no kernel");
	for (uint32_t id = 0; id < 40 && !guest_over(g); id++) {
		for (uint32_t n = 1; n <= 28; n += 27) {
			struct pvgpu_wire_launch_ex c = {HDR(launch_ex, LAUNCH_EX),
							 .ctx = g->ctx,
							 .function = f,
							 .grid_x = 1,
							 .grid_y = 1,
							 .grid_z = 1,
							 .block_x = 1,
							 .block_y = 1,
							 .block_z = 1,
							 .attrs_len = n * (uint32_t)sizeof(a[0])};

			for (uint32_t i = 0; i < n; i++) {
				a[i] = (struct pvgpu_launch_attr){.id = id};
				for (int j = 0; j < 64; j++)
					a[i].value[j] = (uint8_t)attack_random();
			}
			guest_post_parts(g, &c, a, c.attrs_len);
			c = (struct pvgpu_wire_launch_ex){HDR(launch_ex, LAUNCH_EX),
							  .ctx = g->ctx,
							  .function = f,
							  .grid_x = 1,
							  .grid_y = 1,
							  .grid_z = 1,
							  .block_x = 1,
							  .block_y = 1,
							  .block_z = 1,
							  .attrs_len = 8 * n};
			guest_post_parts(g, &c, a, c.attrs_len);
			settle(g);
		}
	}
}

/* Queries of the device's limits with extreme arguments. */
static void limits(struct guest *g)
{
	static const uint64_t wild[] = {0,          1,          1ull << 20, 1ull << 31,
					1ull << 40, 1ull << 63, ~0ull};
	const uint64_t f = guest_function(g, 0, "nothing");

	WANT(f, "no kernel");
	for (uint32_t i = 0; i <= 64 && !guest_over(g); i++) {
		for (size_t j = 0; j < sizeof(wild) / sizeof(wild[0]); j++) {
			CALL(g, ctx_set_limit, CTX_SET_LIMIT, .ctx = g->ctx, .limit = i,
			     .value = wild[j]);
			CALL(g, func_set_attribute, FUNC_SET_ATTRIBUTE, .function = f,
			     .attr = (int32_t)i, .value = (int32_t)wild[j]);
			CALL(g, func_occupancy, FUNC_OCCUPANCY, .ctx = g->ctx, .function = f,
			     .block_size = (int32_t)wild[j], .dynamic_shared = wild[(j + 3) % 7]);
			CALL(g, func_available_shared, FUNC_AVAILABLE_SHARED, .ctx = g->ctx,
			     .function = f, .blocks = (int32_t)wild[j],
			     .block_size = (int32_t)wild[(j + 2) % 7]);
			CALL(g, func_clusters, FUNC_CLUSTERS, .ctx = g->ctx, .function = f,
			     .what = i & 1, .grid_x = (uint32_t)wild[j],
			     .block_x = (uint32_t)wild[(j + 1) % 7]);
		}
		CALL(g, func_get_attribute, FUNC_GET_ATTRIBUTE, .function = f, .attr = (int32_t)i);
	}
	launch(g, f, &one, 0, NULL, 0);
	settle(g);
}

/* A kernel with pointers to host memory. The context is lost, the session goes on. */
static void host_pointers(struct guest *g)
{
	const uint64_t at[] = {(uintptr_t)&g, (uintptr_t)g->page, 8, g->arena_base + CHUNK_SIZE,
			       ~0ull - 3};
	const char *const name = attack_arg < 5 ? "write_word" : "read_word";
	const uint64_t f = guest_function(g, 0, name);
	const uint64_t args[2] = {at[attack_arg % 5], attack_arg < 5 ? 7 : g->memory[0]};

	WANT(f, "no kernel");
	launch(g, f, &one, 0, args, attack_arg < 5 ? 12 : 16);
	WANT(settle(g), "a kernel reached %#llx", (unsigned long long)args[0]);
}

static void fault(struct guest *g)
{
	static const char *const names[] = {"give_up", "check_even"};
	const uint64_t f = guest_function(g, 0, names[attack_arg]);
	const uint64_t args[2] = {attack_arg ? g->memory[0] : 0, 16};
	const struct shape block = {{1, 1, 1}, {32, 1, 1}, 0};
	const uint64_t c2 = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 9);

	POST(g, memset, MEMSET, .ctx = g->ctx, .dst = g->memory[0], .value = 1, .element = 4,
	     .width = 16, .height = 1);
	launch(g, f, &block, 0, args, attack_arg ? 12 : 4);
	WANT(settle(g), "no fault");
	/* Every kind of command in the lost context. */
	for (int i = 0; i < 100; i++) {
		POST(g, memset, MEMSET, .ctx = g->ctx, .dst = g->memory[0], .element = 4,
		     .width = 16, .height = 1);
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx,
		     .stream = PVGPU_HANDLE(PVGPU_H_STREAM, 0, i, 0));
		POST(g, stream_destroy, STREAM_DESTROY,
		     .stream = PVGPU_HANDLE(PVGPU_H_STREAM, 0, i, 0));
		CALL(g, mem_alloc, MEM_ALLOC, .ctx = g->ctx, .size = 4096);
	}
	POST(g, mem_free, MEM_FREE, .ctx = g->ctx, .address = g->memory[0]);
	POST(g, module_unload, MODULE_UNLOAD, .module = g->module);
	CALL(g, ctx_destroy, CTX_DESTROY, .ctx = g->ctx);
	CALL(g, ctx_create, CTX_CREATE, .ctx = c2);
}

/* Endless device output, which the guest reads or does not read. */
static void print(struct guest *g)
{
	const uint64_t f = guest_function(g, 0, "hello");
	const struct shape wide = {{100000, 1, 1}, {256, 1, 1}, 0};
	const uint64_t begin = now_ms();
	const uint32_t n = ~0u;
	unsigned int asked = 0, got = 0;

	WANT(f, "no kernel");
	launch(g, f, &wide, 0, &n, sizeof(n));
	/* For some time, and until the kernel is seen at work. */
	while (!guest_over(g) && now_ms() - begin < (got ? 1500u : 20000u)) {
		if (attack_arg)
			WANT(!CALL(g, output_pull, OUTPUT_PULL), "no answer");
		got += CALL(g, stream_query, STREAM_QUERY, .ctx = g->ctx) == NOT_READY;
		asked++;
	}
	WANT(!guest_over(g), "the session has ended");
	WANT(got, "%u times the kernel was not at work", asked);
	attack_leave();
}

static void print_often(struct guest *g)
{
	const uint64_t f = guest_function(g, 0, "hello"), until = now_ms() + 1000;
	const struct shape block = {{4, 1, 1}, {256, 1, 1}, 0};
	const uint32_t n = ~0u;

	while (now_ms() < until && !guest_over(g)) {
		launch(g, f, &block, 0, &n, sizeof(n));
		settle(g);
	}
}

/* An endless kernel of a guest that leaves, or stays. */
static void endless(struct guest *g)
{
	const uint64_t f = guest_function(g, 0, "endless");

	POST(g, memset, MEMSET, .ctx = g->ctx, .dst = g->memory[1], .element = 1, .width = 64,
	     .height = 1);
	launch(g, f, &one, 0, &g->memory[1], 8);
	if (attack_arg == 1)
		POST(g, ctx_destroy, CTX_DESTROY, .ctx = g->ctx);
	if (attack_arg == 2)
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
	if (attack_arg == 3)
		POST(g, module_unload, MODULE_UNLOAD, .module = g->module);
	WANT(guest_answers(g), "an endless kernel stops queries");
	/* It runs, and what was to wait for it waits: a later answer is not there before that. */
	WANT(CALL(g, stream_query, STREAM_QUERY, .ctx = g->ctx) == NOT_READY || attack_arg == 1,
	     "the kernel does not run");
	nap_ms(200);
	WANT(guest_answers(g), "an endless kernel stops queries after a while");
	WANT(!guest_over(g), "the session has ended");
	attack_leave();
}

const struct attack attacks_kernel[] = {
	{"launch_params", KERNELS, LIVES, params, 0},
	{"launch_shapes", KERNELS, LIVES, shapes, 0},
	{"launch_attributes", KERNELS, LIVES, attributes, 0},
	{"launch_limits", KERNELS, LIVES, limits, 0},
	{"kernel_writes_stack", KERNELS, LIVES, host_pointers, 0},
	{"kernel_writes_ring", KERNELS, LIVES, host_pointers, 1},
	{"kernel_writes_page_0", KERNELS, LIVES, host_pointers, 2},
	{"kernel_writes_behind_chunk", KERNELS, LIVES, host_pointers, 3},
	{"kernel_writes_end", KERNELS, LIVES, host_pointers, 4},
	{"kernel_reads_stack", KERNELS, LIVES, host_pointers, 5},
	{"kernel_reads_ring", KERNELS, LIVES, host_pointers, 6},
	{"kernel_traps", KERNELS, LIVES, fault, 0},
	{"kernel_asserts", KERNELS, LIVES, fault, 1},
	{"kernel_prints", KERNELS, LEAVES, print, 0},
	{"kernel_prints_pulled", KERNELS, LEAVES, print, 1},
	{"kernel_prints_often", KERNELS, LIVES, print_often, 0},
	{"kernel_endless", KERNELS, LEAVES, endless, 0},
	{"kernel_endless_destroy", KERNELS, LEAVES, endless, 1},
	{"kernel_endless_wait", KERNELS, LEAVES, endless, 2},
	{"kernel_endless_unload", KERNELS, LEAVES, endless, 3},
	{0},
};
