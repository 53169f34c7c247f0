/* SPDX-License-Identifier: MIT */
/* Handles: of a wrong type, unknown, stale, at the limits, reused, and too many. */
#include "tests/hostile/attack.h"

#include <string.h>

extern const char ptx_fault[];
extern const uint64_t ptx_fault_size;

#define INVALID_VALUE  1
#define INVALID_HANDLE 400

static uint64_t handle(enum pvgpu_handle_type type, uint32_t gen, uint32_t index)
{
	return PVGPU_HANDLE(type, 0, gen, index);
}

/* A handle with a wrong type or an index above the limit breaks the protocol. */
static void malformed(struct guest *g)
{
	switch (attack_arg) {
	case 0:
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = handle(PVGPU_H_STREAM, 0, 0));
		break;
	case 1:
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = 0);
		break;
	case 2:
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE,
		     .ctx = handle(PVGPU_H_CTX, 0, PVGPU_HANDLES_MAX));
		break;
	case 3:
		POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = handle(PVGPU_H_CTX, 0, ~0u));
		break;
	case 4:
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx,
		     .stream = handle(PVGPU_H_STREAM, 0, PVGPU_HANDLES_MAX));
		break;
	case 5:
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx,
		     .stream = handle(PVGPU_H_EVENT, 0, 1));
		break;
	case 6:
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx, .stream = 0);
		break;
	case 7:
		POST(g, event_record, EVENT_RECORD, .ctx = g->ctx,
		     .stream = handle(PVGPU_H_EVENT, 0, 0), .event = handle(PVGPU_H_EVENT, 0, 0));
		break;
	case 8:
		POST(g, launch, LAUNCH, .ctx = g->ctx, .function = handle(PVGPU_H_MODULE, 0, 0),
		     .grid_x = 1, .grid_y = 1, .grid_z = 1, .block_x = 1, .block_y = 1,
		     .block_z = 1);
		break;
	default:
		POST(g, event_query, EVENT_QUERY, .event = handle(255, 0xffff, 0));
		break;
	}
}

/* Well formed handles of no object, for every command that takes one. */
static void unknown(struct guest *g)
{
	const uint64_t s = handle(PVGPU_H_STREAM, 3, 65535), e = handle(PVGPU_H_EVENT, 9, 17);
	const uint64_t m = handle(PVGPU_H_MODULE, 1, 0), f = handle(PVGPU_H_FUNCTION, 7, 1);
	const uint64_t l = handle(PVGPU_H_LIBRARY, 0, 0), k = handle(PVGPU_H_KERNEL, 0, 65535);
	const uint64_t c = handle(PVGPU_H_CTX, 1, 0), other = PVGPU_HANDLE(PVGPU_H_CTX, 1, 0, 0);

	WANT(CALL(g, mem_info, MEM_INFO, .ctx = c) == INVALID_HANDLE, "mem_info");
	WANT(CALL(g, mem_info, MEM_INFO, .ctx = other) == INVALID_HANDLE, "another vGPU's");
	WANT(CALL(g, ctx_destroy, CTX_DESTROY, .ctx = c) == INVALID_HANDLE, "ctx_destroy");
	WANT(CALL(g, stream_synchronize, STREAM_SYNCHRONIZE, .ctx = g->ctx, .stream = s) ==
		     INVALID_HANDLE,
	     "stream_synchronize");
	WANT(CALL(g, event_synchronize, EVENT_SYNCHRONIZE, .event = e) == INVALID_HANDLE,
	     "event_synchronize");
	WANT(CALL(g, event_elapsed, EVENT_ELAPSED, .start = e, .end = e) == INVALID_HANDLE,
	     "event_elapsed");
	WANT(CALL(g, module_function_count, MODULE_FUNCTION_COUNT, .module = m) == INVALID_HANDLE,
	     "module_function_count");
	WANT(CALL(g, library_unload, LIBRARY_UNLOAD, .library = l) == INVALID_HANDLE,
	     "library_unload");
	WANT(CALL(g, kernel_get_function, KERNEL_GET_FUNCTION, .kernel = k, .ctx = g->ctx,
		  .function = handle(PVGPU_H_FUNCTION, 0, 1)) == INVALID_HANDLE,
	     "kernel_get_function");
	WANT(CALL(g, func_get_attribute, FUNC_GET_ATTRIBUTE, .function = f) == INVALID_HANDLE,
	     "func_get_attribute");
	/* One-way: the error comes with the next synchronising call. */
	POST(g, stream_destroy, STREAM_DESTROY, .stream = s);
	POST(g, event_destroy, EVENT_DESTROY, .event = e);
	POST(g, module_unload, MODULE_UNLOAD, .module = m);
	POST(g, event_record, EVENT_RECORD, .ctx = g->ctx, .event = e);
	POST(g, stream_wait_event, STREAM_WAIT_EVENT, .ctx = g->ctx, .event = e);
	POST(g, launch, LAUNCH, .ctx = g->ctx, .function = f, .grid_x = 1, .grid_y = 1, .grid_z = 1,
	     .block_x = 1, .block_y = 1, .block_z = 1);
	WANT(CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx) == INVALID_HANDLE,
	     "the one-way commands' error");
}

/* A slot's generations: live handles created again, stale ones used. */
static void generations(struct guest *g)
{
	for (uint32_t gen = 0; gen < 300; gen++) {
		const uint64_t e = handle(PVGPU_H_EVENT, gen, 5);

		POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .event = e);
		POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .event = e);
		POST(g, event_record, EVENT_RECORD, .ctx = g->ctx, .event = e);
		if (gen % 3)
			POST(g, event_destroy, EVENT_DESTROY, .event = e);
		POST(g, event_destroy, EVENT_DESTROY,
		     .event = handle(PVGPU_H_EVENT, (gen - 1) & 0xffff, 5));
		POST(g, event_record, EVENT_RECORD, .ctx = g->ctx,
		     .event = handle(PVGPU_H_EVENT, (gen - 1) & 0xffff, 5));
	}
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
	for (uint32_t gen = 299; gen > 200; gen--)
		CALL(g, event_query, EVENT_QUERY, .event = handle(PVGPU_H_EVENT, gen, 5));
}

/* Objects of a module, a library and a context that has been destroyed. */
static void orphans(struct guest *g)
{
	const uint64_t s = handle(PVGPU_H_STREAM, 0, 0), e = handle(PVGPU_H_EVENT, 0, 0);
	const uint64_t f = guest_function(g, 0, "nothing");
	const uint64_t c2 = handle(PVGPU_H_CTX, 0, 1);

	WANT(f, "no function");
	POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx, .stream = s);
	POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .event = e);
	for (int i = 0; i < 200; i++)
		POST(g, launch, LAUNCH, .ctx = g->ctx, .stream = s, .function = f, .grid_x = 1,
		     .grid_y = 1, .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1);
	POST(g, event_record, EVENT_RECORD, .ctx = g->ctx, .stream = s, .event = e);
	POST(g, module_unload, MODULE_UNLOAD, .module = g->module);
	POST(g, launch, LAUNCH, .ctx = g->ctx, .stream = s, .function = f, .grid_x = 1, .grid_y = 1,
	     .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1);
	/* A query overtakes parked commands, such as the unload; a synchronisation does not. */
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
	WANT(CALL(g, func_get_attribute, FUNC_GET_ATTRIBUTE, .function = f) == INVALID_HANDLE,
	     "a function outlives its module");
	CALL(g, ctx_create, CTX_CREATE, .ctx = c2);
	CALL(g, ctx_destroy, CTX_DESTROY, .ctx = g->ctx);
	WANT(CALL(g, stream_synchronize, STREAM_SYNCHRONIZE, .ctx = g->ctx, .stream = s) ==
		     INVALID_HANDLE,
	     "a stream outlives its context");
	WANT(CALL(g, stream_synchronize, STREAM_SYNCHRONIZE, .ctx = c2, .stream = s) ==
		     INVALID_HANDLE,
	     "a stream outlives its context");
	WANT(CALL(g, event_synchronize, EVENT_SYNCHRONIZE, .event = e) == INVALID_HANDLE,
	     "an event outlives its context");
	WANT(CALL(g, copy_fetch, COPY_FETCH, .ctx = c2, .src = g->memory[0], .size = 8),
	     "memory outlives its context");
	CALL(g, ctx_destroy, CTX_DESTROY, .ctx = c2);
	CALL(g, ctx_primary_reset, CTX_PRIMARY_RESET, .device = 0);
}

/* Objects of one context used with another. */
static void mixed_contexts(struct guest *g)
{
	const uint64_t c2 = handle(PVGPU_H_CTX, 0, 1), s = handle(PVGPU_H_STREAM, 0, 0);
	const uint64_t f = guest_function(g, 0, "nothing"), e = handle(PVGPU_H_EVENT, 0, 0);

	WANT(CALL(g, ctx_create, CTX_CREATE, .ctx = c2) == 0, "no second context");
	POST(g, stream_create, STREAM_CREATE, .ctx = c2, .stream = s);
	POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .event = e);
	POST(g, launch, LAUNCH, .ctx = c2, .stream = s, .function = f, .grid_x = 1, .grid_y = 1,
	     .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1);
	POST(g, launch, LAUNCH, .ctx = g->ctx, .stream = s, .function = f, .grid_x = 1, .grid_y = 1,
	     .grid_z = 1, .block_x = 1, .block_y = 1, .block_z = 1);
	POST(g, event_record, EVENT_RECORD, .ctx = c2, .stream = s, .event = e);
	WANT(CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = c2), "nothing was wrong");
	POST(g, mem_free, MEM_FREE, .ctx = c2, .address = g->memory[0]);
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = c2);
	CALL(g, ctx_destroy, CTX_DESTROY, .ctx = c2);
}

/* All handles of a type, and one more round. */
static void many(struct guest *g)
{
	for (uint32_t i = 0; i < PVGPU_HANDLES_MAX; i++) {
		bool ok;

		if (attack_arg == 0)
			ok = POST(g, event_create, EVENT_CREATE, .ctx = g->ctx,
				  .event = handle(PVGPU_H_EVENT, 0, i));
		else if (attack_arg == 1)
			ok = i >= 8192 || POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx,
					       .stream = handle(PVGPU_H_STREAM, 0, i));
		else /* one slot, all of its generations */
			ok = i >= 10000 || POST(g, event_create, EVENT_CREATE, .ctx = g->ctx,
						.event = handle(PVGPU_H_EVENT, i, 0));
		if (!ok)
			return;
	}
	POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .event = handle(PVGPU_H_EVENT, 1, 0));
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
}

/* Conditions that no graph was given, bodies that no node has, a kind of node that there is not. */
static void conditions(struct guest *g)
{
	static const uint64_t forged[] = {0, 1, 4096, 0x7f0000000000, ~0ull};
	const uint64_t one = handle(PVGPU_H_GRAPH, 0, 1), two = handle(PVGPU_H_GRAPH, 0, 2);

	POST(g, graph_create, GRAPH_CREATE, .graph = one);
	WANT(!CALL(g, graph_condition, GRAPH_CONDITION, .ctx = g->ctx, .graph = one),
	     "no condition");
	for (unsigned int i = 0; i < sizeof(forged) / sizeof(forged[0]); i++)
		WANT(CALL(g, graph_conditional, GRAPH_CONDITIONAL, .ctx = g->ctx, .graph = one,
			  .condition = forged[i], .bodies = 1) == INVALID_VALUE,
		     "a forged condition");
	WANT(CALL(g, graph_body, GRAPH_BODY, .ctx = g->ctx, .graph = one, .child = two) ==
		     INVALID_VALUE,
	     "a body of no node");
	if (attack_arg)
		CALL(g, graph_conditional, GRAPH_CONDITIONAL, .ctx = g->ctx, .graph = one,
		     .kind = 3, .bodies = 1);
}

static void many_contexts(struct guest *g)
{
	for (uint32_t i = 1; i < 300 && !guest_over(g); i++)
		CALL(g, ctx_create, CTX_CREATE, .ctx = handle(PVGPU_H_CTX, 0, i));
}

static void many_modules(struct guest *g)
{
	memcpy(g->chunk, ptx_fault, ptx_fault_size + 1);
	for (uint32_t i = 1; i < 1500 && !guest_over(g); i++)
		POST(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = g->arena_base,
		     .image_len = ptx_fault_size + 1, .module = handle(PVGPU_H_MODULE, 0, i));
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
}

static void many_functions(struct guest *g)
{
	static const char name[] = "hello";
	struct pvgpu_wire_module_get_function c;

	for (uint32_t i = 0; i < PVGPU_HANDLES_MAX + 10 && !guest_over(g); i++) {
		c = (struct pvgpu_wire_module_get_function){
			HDR(module_get_function, MODULE_GET_FUNCTION), .module = g->module,
			.name_len = sizeof(name) - 1,
			.function = handle(PVGPU_H_FUNCTION, i >> 16, i & 0xffff)};
		if (!guest_post_parts(g, &c, name, sizeof(name)))
			return;
		/* A worker that keeps up never fills the ring, where posting would read replies. */
		guest_drain(g);
	}
	CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
}

const struct attack attacks_handle[] = {
	{"handle_wrong_type", CONTEXT, ENDS, malformed, 0},
	{"handle_zero", CONTEXT, ENDS, malformed, 1},
	{"handle_index_limit", CONTEXT, ENDS, malformed, 2},
	{"handle_index_max", CONTEXT, ENDS, malformed, 3},
	{"handle_new_index_limit", CONTEXT, ENDS, malformed, 4},
	{"handle_new_wrong_type", CONTEXT, ENDS, malformed, 5},
	{"handle_new_zero", CONTEXT, ENDS, malformed, 6},
	{"handle_stream_is_event", CONTEXT, ENDS, malformed, 7},
	{"handle_function_is_module", CONTEXT, ENDS, malformed, 8},
	{"handle_type_255", CONTEXT, ENDS, malformed, 9},
	{"handle_unknown", CONTEXT, LIVES, unknown, 0},
	{"handle_generations", CONTEXT, LIVES, generations, 0},
	{"handle_orphans", KERNELS, LIVES, orphans, 0},
	{"handle_mixed_contexts", KERNELS, LIVES, mixed_contexts, 0},
	{"condition_forged", CONTEXT, LIVES, conditions, 0},
	{"condition_kind", CONTEXT, ENDS, conditions, 1},
	{"many_events", CONTEXT, LIVES, many, 0},
	{"many_streams", CONTEXT, LIVES, many, 1},
	{"many_generations", CONTEXT, LIVES, many, 2},
	{"many_contexts", CONTEXT, LIVES, many_contexts, 0},
	{"many_modules", MEMORY, LIVES, many_modules, 0},
	{"many_functions", KERNELS, LIVES, many_functions, 0},
	{0},
};
