/* SPDX-License-Identifier: MIT */
/*
 * Well formed commands in random order: objects are made, used, destroyed and used again, from a
 * few handles and addresses, so that commands often name the same object.
 */
#include "tests/hostile/attack.h"

#include <string.h>
#include <unistd.h>

extern const char ptx_fault[];
extern const uint64_t ptx_fault_size;

#define FEW 4u

static uint32_t below(uint32_t n)
{
	return attack_random() % n;
}

static uint64_t any(enum pvgpu_handle_type type)
{
	return PVGPU_HANDLE(type, 0, below(3), below(FEW));
}

static uint64_t any_ctx(const struct guest *g)
{
	return below(4) ? g->ctx : PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, below(3));
}

static uint64_t any_stream(void)
{
	return below(3) ? any(PVGPU_H_STREAM) : 0;
}

static uint64_t any_function(void)
{
	return any(below(2) ? PVGPU_H_FUNCTION : PVGPU_H_KERNEL);
}

static uint64_t address(const struct guest *g)
{
	switch (below(5)) {
	case 0:
		return g->arena_base + below(CHUNK_SIZE);
	case 1:
		return g->device_base + below(8u << 20);
	default:
		return g->memory[below(2)] + below(MEMORY_SIZE);
	}
}

static uint32_t size(void)
{
	return 1 + below(below(4) ? 256 : 70000);
}

static void post_copies(struct guest *g, uint32_t which)
{
	static const unsigned char bytes[4096];

	if (which == 0) {
		struct pvgpu_wire_copy c = {HDR(copy, COPY),        .ctx = any_ctx(g),
					    .stream = any_stream(), .dst = address(g),
					    .src = address(g),      .size = size()};

		c.hdr.flags = below(2) ? PVGPU_CMD_MARK : 0;
		guest_post(g, &c);
	} else if (which == 1) {
		struct pvgpu_wire_copy_inline c = {HDR(copy_inline, COPY_INLINE), .ctx = any_ctx(g),
						   .stream = any_stream(), .dst = address(g),
						   .data_len = 1 + below(4096)};

		guest_post_parts(g, &c, bytes, c.data_len);
	} else if (which == 2) {
		POST(g, copy_fetch, COPY_FETCH, .ctx = any_ctx(g), .stream = any_stream(),
		     .src = address(g), .size = 1 + below(4096));
	} else if (which == 3) {
		struct pvgpu_wire_copy_3d c = {
			HDR(copy_3d, COPY_3D), .ctx = any_ctx(g),       .stream = any_stream(),
			.dst = address(g),     .dst_pitch = below(300), .dst_height = below(9),
			.src = address(g),     .src_pitch = below(300), .src_height = below(9),
			.width = size(),       .height = 1 + below(8),  .depth = 1 + below(8)};

		c.hdr.flags = below(2) ? PVGPU_CMD_MARK : 0;
		guest_post(g, &c);
	} else {
		POST(g, memset, MEMSET, .ctx = any_ctx(g), .stream = any_stream(),
		     .dst = address(g), .pitch = below(300), .element = 1u << below(3),
		     .width = size(), .height = 1 + below(4));
	}
}

static void post_streams(struct guest *g, uint32_t which)
{
	switch (which) {
	case 0:
		POST(g, stream_create, STREAM_CREATE, .ctx = any_ctx(g), .flags = below(2),
		     .stream = any(PVGPU_H_STREAM));
		break;
	case 1:
		POST(g, stream_destroy, STREAM_DESTROY, .stream = any(PVGPU_H_STREAM));
		break;
	case 2:
		POST(g, event_create, EVENT_CREATE, .ctx = any_ctx(g), .flags = below(4),
		     .event = any(PVGPU_H_EVENT));
		break;
	case 3:
		POST(g, event_destroy, EVENT_DESTROY, .event = any(PVGPU_H_EVENT));
		break;
	case 4:
		POST(g, event_record, EVENT_RECORD, .ctx = any_ctx(g), .stream = any_stream(),
		     .event = any(PVGPU_H_EVENT));
		break;
	case 5:
		POST(g, stream_wait_event, STREAM_WAIT_EVENT, .ctx = any_ctx(g),
		     .stream = any_stream(), .event = any(PVGPU_H_EVENT));
		break;
	case 6:
		POST(g, event_synchronize, EVENT_SYNCHRONIZE, .event = any(PVGPU_H_EVENT));
		break;
	case 7:
		POST(g, event_query, EVENT_QUERY, .event = any(PVGPU_H_EVENT));
		break;
	case 8:
		POST(g, stream_synchronize, STREAM_SYNCHRONIZE, .ctx = any_ctx(g),
		     .stream = any_stream());
		break;
	case 9:
		POST(g, stream_query, STREAM_QUERY, .ctx = any_ctx(g), .stream = any_stream());
		break;
	default:
		POST(g, event_elapsed, EVENT_ELAPSED, .start = any(PVGPU_H_EVENT),
		     .end = any(PVGPU_H_EVENT));
		break;
	}
}

static void post_load(struct guest *g, bool library)
{
	if (library)
		POST(g, library_load, LIBRARY_LOAD, .image = g->arena_base,
		     .image_len = ptx_fault_size + 1, .error_log_size = below(100),
		     .library = any(PVGPU_H_LIBRARY));
	else
		POST(g, module_load, MODULE_LOAD, .ctx = any_ctx(g), .image = g->arena_base,
		     .image_len = ptx_fault_size + 1, .info_log_size = below(100),
		     .module = any(PVGPU_H_MODULE));
}

static void post_find(struct guest *g)
{
	/* Not `endless` and no faulting kernel: later commands would have no effect. */
	static const char *const names[] = {"nothing", "hello", "say", "none", "_$_str"};
	const char *name = names[below(5)];
	const uint32_t len = (uint32_t)strlen(name);
	struct pvgpu_wire_module_get_function f = {HDR(module_get_function, MODULE_GET_FUNCTION),
						   .module = any(PVGPU_H_MODULE), .name_len = len,
						   .function = any(PVGPU_H_FUNCTION)};
	struct pvgpu_wire_library_get_kernel k = {HDR(library_get_kernel, LIBRARY_GET_KERNEL),
						  .library = any(PVGPU_H_LIBRARY), .name_len = len,
						  .kernel = any(PVGPU_H_KERNEL)};
	struct pvgpu_wire_library_get_global l = {HDR(library_get_global, LIBRARY_GET_GLOBAL),
						  .library = any(PVGPU_H_LIBRARY),
						  .ctx = any_ctx(g), .name_len = len};

	guest_post_parts(g, &f, name, len + 1);
	guest_post_parts(g, &k, name, len + 1);
	if (!below(3))
		guest_post_parts(g, &l, name, len + 1);
}

static void post_modules(struct guest *g, uint32_t which)
{
	switch (which) {
	case 0:
		POST(g, module_unload, MODULE_UNLOAD, .module = any(PVGPU_H_MODULE));
		break;
	case 1:
		POST(g, library_unload, LIBRARY_UNLOAD, .library = any(PVGPU_H_LIBRARY));
		break;
	case 2:
		POST(g, library_get_module, LIBRARY_GET_MODULE, .library = any(PVGPU_H_LIBRARY),
		     .ctx = any_ctx(g), .module = any(PVGPU_H_MODULE));
		break;
	case 3:
		POST(g, kernel_get_function, KERNEL_GET_FUNCTION, .kernel = any(PVGPU_H_KERNEL),
		     .ctx = any_ctx(g), .function = any(PVGPU_H_FUNCTION));
		break;
	case 4:
		POST(g, module_function_at, MODULE_FUNCTION_AT, .module = any(PVGPU_H_MODULE),
		     .index = below(12), .function = any(PVGPU_H_FUNCTION));
		break;
	case 5:
		POST(g, library_kernel_at, LIBRARY_KERNEL_AT, .library = any(PVGPU_H_LIBRARY),
		     .index = below(12), .kernel = any(PVGPU_H_KERNEL));
		break;
	case 6:
		POST(g, func_get_attribute, FUNC_GET_ATTRIBUTE, .function = any_function(),
		     .attr = (int32_t)below(16));
		break;
	case 7:
		post_load(g, below(2));
		break;
	default:
		post_find(g);
		break;
	}
}

static void post_launch(struct guest *g)
{
	const uint32_t n = below(3);
	struct pvgpu_wire_launch c = {HDR(launch, LAUNCH),
				      .ctx = any_ctx(g),
				      .stream = any_stream(),
				      .function = any_function(),
				      .grid_x = 1 + below(4),
				      .grid_y = 1,
				      .grid_z = 1,
				      .block_x = 1 + below(64),
				      .block_y = 1,
				      .block_z = 1,
				      .flags = !below(8),
				      .params_len = below(2) ? 4 : 0};

	guest_post_parts(g, &c, &n, c.params_len);
}

static void post_contexts(struct guest *g, uint32_t which)
{
	const uint64_t c = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 1 + below(2));

	switch (which) {
	case 0:
	case 1:
		POST(g, ctx_create, CTX_CREATE, .ctx = c);
		break;
	case 2:
		POST(g, ctx_destroy, CTX_DESTROY, .ctx = below(40) ? c : g->ctx);
		break;
	case 3:
		POST(g, ctx_primary_retain, CTX_PRIMARY_RETAIN, .ctx = below(2) ? g->ctx : c);
		break;
	case 4:
		if (!below(40))
			POST(g, ctx_primary_reset, CTX_PRIMARY_RESET, .device = 0);
		break;
	default:
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = any_ctx(g));
		break;
	}
}

static void post_memory(struct guest *g, uint32_t which)
{
	if (which == 0)
		POST(g, mem_alloc, MEM_ALLOC, .ctx = any_ctx(g), .size = size());
	else if (which == 1)
		POST(g, mem_free, MEM_FREE, .ctx = any_ctx(g),
		     .address = g->device_base + below(1u << 16) * 256ull);
	else
		POST(g, mem_free, MEM_FREE, .ctx = any_ctx(g), .address = g->memory[below(2)]);
}

static void soup(struct guest *g)
{
	const uint64_t until = now_ms() + 1200;

	memcpy(g->chunk, ptx_fault, ptx_fault_size + 1);
	while (now_ms() < until && !guest_over(g)) {
		const uint32_t dish = below(100);

		if (dish < 30)
			post_copies(g, below(5));
		else if (dish < 65)
			post_streams(g, below(11));
		else if (dish < 80)
			post_modules(g, below(9));
		else if (dish < 90)
			post_launch(g);
		else if (dish < 96)
			post_memory(g, below(8) ? below(2) : 2);
		else
			post_contexts(g, below(8));
		guest_drain(g);
	}
	/* Leave with work in flight. */
	if (attack_arg)
		attack_leave();
}

const struct attack attacks_soup[] = {
	{"soup", MEMORY, LIVES, soup, 0},
	{"soup_again", MEMORY, LIVES, soup, 0},
	{"soup_left", MEMORY, LEAVES, soup, 1},
	{"soup_left_again", KERNELS, LEAVES, soup, 1},
	{0},
};
