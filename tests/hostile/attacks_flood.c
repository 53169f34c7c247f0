/* SPDX-License-Identifier: MIT */
/* Floods: the backend's memory stays bounded, and other sessions are served. */
#include "tests/hostile/attack.h"

#include <string.h>
#include <unistd.h>

#define FLOOD_MS 700
#define PARKED   65536u     /* commands that a worker parks at most */
#define PARKED_B (8u << 20) /* bytes of them */

static uint64_t stream(uint32_t index)
{
	return PVGPU_HANDLE(PVGPU_H_STREAM, 0, 0, index);
}

/* Replies that the guest does not drain: large ones, small ones, marks. */
static void deaf(struct guest *g)
{
	const uint64_t until = now_ms() + 2 * FLOOD_MS;
	struct pvgpu_wire_copy c = {HDR(copy, COPY), .ctx = g->ctx, .size = 8};
	bool more = true;

	g->deaf = true;
	g->patience_ms = 300;
	c.hdr.flags = PVGPU_CMD_MARK;
	while (more && now_ms() < until) {
		if (attack_arg == 0)
			more = POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
		else if (attack_arg == 1)
			more = POST(g, stream_query, STREAM_QUERY, .ctx = g->ctx);
		else if (attack_arg == 2) {
			c.dst = g->memory[0];
			c.src = g->arena_base;
			c.hdr.len = sizeof(c);
			more = guest_post(g, &c);
		} else
			more = POST(g, stream_synchronize, STREAM_SYNCHRONIZE, .ctx = g->ctx);
	}
	g->deaf = false;
	g->patience_ms = 0;
}

static bool launch(struct guest *g, uint64_t s, uint64_t f, const void *params, uint32_t len,
		   uint32_t grid, uint32_t block)
{
	struct pvgpu_wire_launch c = {HDR(launch, LAUNCH), .ctx = g->ctx,    .stream = s,
				      .function = f,       .grid_x = grid,   .grid_y = 1,
				      .grid_z = 1,         .block_x = block, .block_y = 1,
				      .block_z = 1,        .params_len = len};

	return guest_post_parts(g, &c, params, len);
}

/* A kernel that never ends blocks all work behind it. */
static void hold_up(struct guest *g)
{
	const uint64_t f = guest_function(g, 0, "endless");

	WANT(f, "no kernel");
	POST(g, memset, MEMSET, .ctx = g->ctx, .dst = g->memory[1], .element = 1, .width = 64,
	     .height = 1);
	launch(g, 0, f, &g->memory[1], 8, 1, 1);
}

#define REFUSED 3 /* all but two of these frees */

/* What the worker has taken of a flood, and what is in the ring. */
struct flood {
	uint64_t until, commands, bytes;
	uint32_t first; /* where it begins */
};

static struct flood flood_begins(struct guest *g)
{
	g->deaf = true;
	g->patience_ms = 300;
	return (struct flood){.until = now_ms() + STEP_LIMIT_S * 1000, .first = g->prod};
}

/* One more was posted, or there was no room for it. False: no more are taken, and that is so
 * because so many wait, or so many bytes. */
static bool flood_goes_on(struct guest *g, struct flood *f, bool posted)
{
	const uint64_t room = g->cmd_size / 16;
	const bool full = f->commands >= PARKED || f->bytes >= PARKED_B;

	f->commands += posted;
	/* What is refused at once does not wait: no bound, and nothing to bound. */
	if (attack_arg == REFUSED && f->commands > 2 * PARKED)
		return false;
	f->bytes = f->commands ? (g->prod - f->first) : 0;
	if ((attack_arg != REFUSED && f->commands > PARKED + room) ||
	    f->bytes > 2 * PARKED_B + g->cmd_size) {
		WANT(false, "%llu commands were taken: no bound", (unsigned long long)f->commands);
		return false;
	}
	if (!posted && full)
		return false;
	WANT(!guest_over(g), "the session has ended");
	if (guest_over(g) || now_ms() < f->until)
		return !guest_over(g);
	WANT(false, "%llu commands, %llu bytes: the bound was not reached",
	     (unsigned long long)f->commands, (unsigned long long)f->bytes);
	return false;
}

/* Commands behind it, until no more are taken. */
static void parked(struct guest *g)
{
	static const unsigned char bytes[4096];
	const uint64_t f = guest_function(g, 1, "nothing");
	struct flood flood;
	bool more;
	uint32_t i = 0;

	hold_up(g);
	flood = flood_begins(g);
	do {
		struct pvgpu_wire_copy_inline c = {HDR(copy_inline, COPY_INLINE), .ctx = g->ctx,
						   .dst = g->memory[0], .data_len = 4096};

		if (attack_arg == 0)
			more = launch(g, 0, f, NULL, 0, 1, 1);
		else if (attack_arg == 1)
			more = guest_post_parts(g, &c, bytes, sizeof(bytes));
		else if (attack_arg == 2)
			more = POST(g, copy_fetch, COPY_FETCH, .ctx = g->ctx, .src = g->memory[0],
				    .size = 4096);
		else if (attack_arg == REFUSED)
			more = POST(g, mem_free, MEM_FREE, .ctx = g->ctx,
				    .address = g->memory[i % 2]);
		else
			more = POST(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
		i++;
	} while (flood_goes_on(g, &flood, more));
	/* The end of the process must free all of it in time. */
	attack_leave();
}

/* Parked commands on many streams, each behind a kernel of its own. */
static void parked_streams(struct guest *g)
{
	const uint64_t until = now_ms() + 2 * FLOOD_MS;
	const uint64_t f = guest_function(g, 0, "endless");

	POST(g, memset, MEMSET, .ctx = g->ctx, .dst = g->memory[1], .element = 1, .width = 64,
	     .height = 1);
	for (uint32_t i = 0; i < 64; i++)
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx, .flags = 1,
		     .stream = stream(i));
	g->deaf = true;
	g->patience_ms = 300;
	for (uint32_t i = 0; now_ms() < until; i++)
		if (!launch(g, stream(i % 64), f, &g->memory[1], 8, 1, 1))
			break;
	attack_leave();
}

/* Two streams that wait for each other, and the work behind that. */
static void deadlock(struct guest *g)
{
	const uint64_t e[2] = {PVGPU_HANDLE(PVGPU_H_EVENT, 0, 0, 0),
			       PVGPU_HANDLE(PVGPU_H_EVENT, 0, 0, 1)};

	for (uint32_t i = 0; i < 2; i++) {
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx, .flags = 1,
		     .stream = stream(i));
		POST(g, event_create, EVENT_CREATE, .ctx = g->ctx, .flags = 2, .event = e[i]);
	}
	for (int i = 0; i < 3000; i++) {
		POST(g, event_record, EVENT_RECORD, .ctx = g->ctx, .stream = stream(0),
		     .event = e[0]);
		POST(g, stream_wait_event, STREAM_WAIT_EVENT, .ctx = g->ctx, .stream = stream(1),
		     .event = e[0]);
		POST(g, event_record, EVENT_RECORD, .ctx = g->ctx, .stream = stream(1),
		     .event = e[1]);
		POST(g, stream_wait_event, STREAM_WAIT_EVENT, .ctx = g->ctx, .stream = stream(0),
		     .event = e[1]);
		if (i % 7 == 0)
			POST(g, event_synchronize, EVENT_SYNCHRONIZE, .event = e[i % 2]);
	}
	WANT(CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx) == 0, "no way through");
}

/* Host functions that the guest never says it has run. */
static void callbacks(struct guest *g)
{
	const uint64_t until = now_ms() + FLOOD_MS;

	for (uint32_t i = 0; i < 200; i++)
		POST(g, stream_create, STREAM_CREATE, .ctx = g->ctx, .flags = 1,
		     .stream = stream(i));
	g->deaf = attack_arg;
	g->patience_ms = 300;
	for (uint64_t id = 1; now_ms() < until; id++)
		if (!POST(g, host_func, HOST_FUNC, .ctx = g->ctx,
			  .stream = stream((uint32_t)id % 200), .id = id, .always = id & 1))
			break;
	attack_leave();
}

/* A count of host functions run that is wrong: none was called, too many, backwards. */
static void callback_count(struct guest *g)
{
	static const uint32_t counts[] = {1, 1000000, 0xffffffff, 3, 2};
	uint32_t *done = &g->page->cb_done.v;

	for (uint64_t id = 1; attack_arg && id < 4; id++)
		POST(g, host_func, HOST_FUNC, .ctx = g->ctx, .id = id);
	if (attack_arg)
		nap_ms(100);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		pvgpu_store_release(done, counts[attack_arg == 2 ? 3 + i % 2 : i]);
		pvgpu_exchange(&g->page->cmd_sleeping.v, 0u);
		guest_ring_bell(g);
		nap_ms(10);
	}
}

/* The side lane, full. */
static void side_lane(struct guest *g)
{
	const uint64_t until = now_ms() + 2 * FLOOD_MS;

	memset(g->chunk, 0, 64);
	g->deaf = true;
	g->patience_ms = 300;
	for (uint32_t i = 0; now_ms() < until; i++)
		if (!POST(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = g->arena_base,
			  .image_len = attack_arg ? CHUNK_SIZE : 64, .info_log_size = 4096,
			  .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, i >> 16, i & 0xffff)))
			break;
	attack_leave();
}

/* Sessions, one after the other and many at once. */
static void sessions(struct guest *g)
{
	struct guest all[24] = {{0}};

	for (unsigned int i = 0; i < 24; i++) {
		all[i].path = g->path;
		guest_open(&all[i]);
	}
	for (unsigned int i = 0; i < 24; i++)
		guest_hello(&all[i]);
	attack_leave();
}

const struct attack attacks_flood[] = {
	{"flood_deaf_large", MEMORY, EITHER, deaf, 0},
	{"flood_deaf_small", MEMORY, EITHER, deaf, 1},
	{"flood_deaf_marks", MEMORY, EITHER, deaf, 2},
	{"flood_deaf_waits", MEMORY, EITHER, deaf, 3},
	{"flood_parked_launches", KERNELS, LEAVES, parked, 0},
	{"flood_parked_bytes", KERNELS, LEAVES, parked, 1},
	{"flood_parked_fetches", KERNELS, LEAVES, parked, 2},
	{"flood_parked_frees", KERNELS, LEAVES, parked, REFUSED},
	{"flood_parked_waits", KERNELS, LEAVES, parked, 4},
	{"flood_parked_streams", KERNELS, LEAVES, parked_streams, 0},
	{"flood_deadlock", CONTEXT, LIVES, deadlock, 0},
	{"flood_callbacks", CONTEXT, LEAVES, callbacks, 0},
	{"flood_callbacks_deaf", CONTEXT, LEAVES, callbacks, 1},
	{"callback_count_for_none", CONTEXT, EITHER, callback_count, 0},
	{"callback_count_too_many", CONTEXT, EITHER, callback_count, 1},
	{"callback_count_backwards", CONTEXT, EITHER, callback_count, 2},
	{"flood_side_lane", MEMORY, LEAVES, side_lane, 0},
	{"flood_side_lane_large", MEMORY, LEAVES, side_lane, 1},
	{"flood_sessions", NOTHING, LEAVES, sessions, 0},
	{0},
};
