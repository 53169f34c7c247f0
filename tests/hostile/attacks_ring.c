/* SPDX-License-Identifier: MIT */
/* Indices and records: a record that breaks the protocol ends the session. */
#include "tests/hostile/attack.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- indices ---- */

static void bell(struct guest *g)
{
	pvgpu_exchange(&g->page->cmd_sleeping.v, 0u);
	guest_ring_bell(g);
}

static void command_index(struct guest *g)
{
	static const int64_t steps[] = {1 << 30, -8, (256 << 10) + 8, 4, INT32_MIN, -1, 12};

	/* Let the worker's index move before the step back. */
	guest_answers(g);
	pvgpu_store_release(&g->page->cmd_prod.v, g->prod + (uint32_t)steps[attack_arg]);
	bell(g);
}

static void reply_index(struct guest *g)
{
	static const int64_t steps[] = {1 << 30, 8, -(65 << 10), -1};

	guest_answers(g);
	g->deaf = true;
	g->patience_ms = 300;
	pvgpu_store_release(&g->page->rep_cons.v, g->cons + (uint32_t)steps[attack_arg]);
	/* The worker reads the index when the stream seems full. */
	for (int i = 0; i < 100 && !guest_over(g); i++)
		POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
}

/* Random values in every shared word, while the worker works. */
static void words_at_random(struct guest *g)
{
	struct pvgpu_ring_word *word = &g->page->cmd_prod;
	const uint64_t until = now_ms() + 400;

	while (now_ms() < until && !guest_over(g)) {
		for (int i = 0; i < 64; i++)
			pvgpu_store(&word[1 + attack_random() % 7].v, attack_random());
		POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
		guest_ring_bell(g);
	}
}

/* The backend's own words in the page are informative: it must not read them back. */
static void backends_words(struct guest *g)
{
	memset((void *)g->page, 0xff, 64);
	pvgpu_store(&g->page->cmd_cons.v, 0x12345678u);
	pvgpu_store(&g->page->rep_prod.v, 0x9abcdef0u);
	pvgpu_store(&g->page->cmd_sleeping.v, 0u);
	pvgpu_store(&g->page->rep_waiting.v, 77u);
	memset(g->page->rest, 0xff, sizeof(g->page->rest));
	/* The worker's next write makes its words right again. */
	g->deaf = true;
	g->patience_ms = 300;
	pvgpu_store(&g->page->cmd_cons.v, g->prod);
	POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
	bell(g);
	nap_ms(100);
	g->cons = pvgpu_load_acquire(&g->page->rep_prod.v);
	pvgpu_store(&g->page->rep_cons.v, g->cons);
}

/* ---- records ---- */

static void put(struct guest *g, const void *rec, uint32_t len)
{
	guest_put(g, 0, rec, len);
	guest_publish(g, len);
}

/* A header alone, with one thing wrong about it. */
static void header(struct guest *g)
{
	static const struct pvgpu_cmd_hdr bad[] = {
		{.len = 0, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 8, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 15, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 20, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 4096, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = PVGPU_CMD_MAX + 8, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 0x80000000u, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 0xfffffff8u, .op = PVGPU_OP_OUTPUT_PULL},
		{.len = 16, .op = 0},
		{.len = 16, .op = 0xffff},
		{.len = 16, .op = 116},
		{.len = 16, .op = PVGPU_OP_OUTPUT_PULL, .zero = 1},
		{.len = 16, .op = PVGPU_OP_OUTPUT_PULL, .flags = 0x8000},
		{.len = 16, .op = PVGPU_OP_OUTPUT_PULL, .flags = PVGPU_CMD_MARK},
		{.len = 16, .op = PVGPU_OP_LAUNCH},
		{.len = 24, .op = PVGPU_OP_OUTPUT_PULL},
	};
	unsigned char rec[4096] = {0};

	memcpy(rec, &bad[attack_arg], sizeof(bad[0]));
	put(g, rec, 24);
}

/* The last record's length reaches beyond what is published. */
static void cut(struct guest *g)
{
	struct pvgpu_wire_device_snapshot c = {HDR(device_snapshot, DEVICE_SNAPSHOT)};

	put(g, &c, 16);
}

static void padding(struct guest *g)
{
	struct pvgpu_wire_device_snapshot c = {HDR(device_snapshot, DEVICE_SNAPSHOT), .zero0 = 1};

	if (attack_arg) { /* behind a variable part */
		struct {
			struct pvgpu_wire_module_get_global c;
			char name[8];
		} r = {.c = {HDR(module_get_global, MODULE_GET_GLOBAL),
			     .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 0), .name_len = 2},
		       .name = "ab\0\0\0\0\1"};

		r.c.hdr.len = sizeof(r);
		put(g, &r, sizeof(r));
		return;
	}
	put(g, &c, sizeof(c));
}

/* Lengths inside a record that do not fit it. */
static void part_length(struct guest *g)
{
	static const uint32_t len[] = {0xffffffff, 0xfffffff9, 4097, 4104, 8, 0, 7, 0x80000000};
	struct {
		struct pvgpu_wire_module_get_global c;
		char name[8];
	} r = {.c = {HDR(module_get_global, MODULE_GET_GLOBAL),
		     .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 0), .name_len = len[attack_arg]},
	       .name = "a\0b"};

	r.c.hdr.len = sizeof(r);
	put(g, &r, sizeof(r));
}

static void launch_parts(struct guest *g)
{
	struct pvgpu_wire_launch_ex c = {HDR(launch_ex, LAUNCH_EX),
					 .ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 0),
					 .function = PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 0, 0),
					 .grid_x = 1,
					 .grid_y = 1,
					 .grid_z = 1,
					 .block_x = 1,
					 .block_y = 1,
					 .block_z = 1};

	switch (attack_arg) {
	case 0: /* the two lengths overlap */
		c.attrs_len = 2048;
		c.params_len = 32764;
		break;
	case 1:
		c.attrs_len = 0xfffffff8;
		c.params_len = 16;
		break;
	case 2:
		c.params_len = 0xffffffff;
		break;
	default:
		c.block_x = 1025;
		break;
	}
	put(g, &c, sizeof(c));
}

static void junk_stream(struct guest *g)
{
	unsigned char rec[512];

	for (int i = 0; i < 200 && !guest_over(g); i++) {
		for (size_t j = 0; j < sizeof(rec); j++)
			rec[j] = (unsigned char)attack_random();
		put(g, rec, sizeof(rec));
	}
}

/* Right headers with random bodies; every command in turn until the session ends. */
static void junk_bodies(struct guest *g)
{
	uint64_t rec[64];

	for (int i = 0; i < 4000 && !guest_over(g); i++) {
		struct pvgpu_cmd_hdr h = {.len = 16 + 8 * (attack_random() % 12),
					  .op = (uint16_t)(attack_random() % 120)};

		for (size_t j = 0; j < 64; j++)
			rec[j] = attack_random() % 3
					 ? attack_random() % 4
					 : (uint64_t)attack_random() << 32 | attack_random();
		memcpy(rec, &h, sizeof(h));
		guest_post(g, rec);
	}
}

/* ---- commands at the wrong time ---- */

static void before_hello(struct guest *g)
{
	switch (attack_arg) {
	case 0:
		POST(g, session_windows, SESSION_WINDOWS, .attempt = 0);
		break;
	case 1:
		POST(g, ctx_primary_retain, CTX_PRIMARY_RETAIN,
		     .ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 0));
		break;
	case 2:
		POST(g, mem_free, MEM_FREE, .ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 0),
		     .address = 4096);
		break;
	default:
		POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
		break;
	}
}

static void hello(struct guest *g)
{
	static const uint32_t range[][2] = {{0, 1}, {1, 0}, {2, 1}, {99, 100}, {1, ~0u}};
	int r = CALL(g, session_hello, SESSION_HELLO, .version_min = range[attack_arg][0],
		     .version_max = range[attack_arg][1], .features = ~0ull);

	if (range[attack_arg][0] > 1)
		WANT(r, "no common version, and hello succeeded");
}

static void hello_again(struct guest *g)
{
	CALL(g, session_hello, SESSION_HELLO, .version_min = 1, .version_max = 1);
}

static void windows_again(struct guest *g)
{
	for (uint32_t i = 0; i <= 300 && !guest_over(g); i++)
		CALL(g, session_windows, SESSION_WINDOWS, .attempt = i % 65);
}

static void windows_late(struct guest *g)
{
	int r = CALL(g, session_windows, SESSION_WINDOWS, .attempt = 1);

	WANT(r, "the windows moved under memory in use");
}

static void attempt_65(struct guest *g)
{
	POST(g, session_windows, SESSION_WINDOWS, .attempt = 65);
}

/* ---- doorbells ---- */

/* Both counts at their maximum, and the guest's eventfd made blocking: the file description with
 * its flags is shared with the worker. */
static void bells(struct guest *g)
{
	const uint64_t most = ~0ull - 1, until = now_ms() + STEP_LIMIT_S * 1000;
	uint64_t count;

	WANT(write(g->to_guest, &most, sizeof(most)) > 0, "cannot fill the eventfd");
	if (attack_arg) {
		fcntl(g->to_guest, F_SETFL, fcntl(g->to_guest, F_GETFL) & ~O_NONBLOCK);
		fcntl(g->to_worker, F_SETFL, fcntl(g->to_worker, F_GETFL) & ~O_NONBLOCK);
		pvgpu_store(&g->page->rep_sleeping.v, 1u);
		POST(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0);
		/* The answer is there: the worker rings for it, and waits. */
		while (pvgpu_load_acquire(&g->page->rep_prod.v) == g->cons && now_ms() < until)
			nap_ms(1);
		WANT(pvgpu_load_acquire(&g->page->rep_prod.v) != g->cons, "no answer");
		nap_ms(100);
		attack_leave();
	}
	pvgpu_store(&g->page->rep_sleeping.v, 1u);
	WANT(guest_answers(g), "no answer with a full eventfd");
	/* A full eventfd cannot be rung, so it is emptied again: otherwise the worker might sleep
	 * for ever. */
	if (write(g->to_worker, &most, sizeof(most)) > 0)
		WANT(read(g->to_worker, &count, sizeof(count)) > 0, "cannot empty the eventfd");
	WANT(guest_answers(g), "no answer with a full eventfd");
}

static void bell_storm(struct guest *g)
{
	for (int i = 0; i < 200000; i++)
		guest_ring_bell(g);
}

#define ROW(name, stage, outcome, fn, arg)                                                         \
	{                                                                                          \
		name, stage, outcome, fn, arg                                                      \
	}
const struct attack attacks_ring[] = {
	ROW("prod_far_ahead", SAID_HELLO, ENDS, command_index, 0),
	ROW("prod_back_8", SAID_HELLO, ENDS, command_index, 1),
	ROW("prod_beyond_size", SAID_HELLO, ENDS, command_index, 2),
	ROW("prod_half_header", SAID_HELLO, ENDS, command_index, 3),
	ROW("prod_sign", SAID_HELLO, ENDS, command_index, 4),
	ROW("prod_back_1", SAID_HELLO, ENDS, command_index, 5),
	ROW("prod_odd", SAID_HELLO, ENDS, command_index, 6),
	ROW("cons_far_ahead", SAID_HELLO, ENDS, reply_index, 0),
	ROW("cons_ahead_8", SAID_HELLO, EITHER, reply_index, 1),
	ROW("cons_behind", SAID_HELLO, ENDS, reply_index, 2),
	ROW("cons_odd", SAID_HELLO, EITHER, reply_index, 3),
	ROW("words_at_random", SAID_HELLO, EITHER, words_at_random, 0),
	ROW("backends_words", SAID_HELLO, LIVES, backends_words, 0),
	ROW("len_0", SAID_HELLO, ENDS, header, 0),
	ROW("len_8", SAID_HELLO, ENDS, header, 1),
	ROW("len_15", SAID_HELLO, ENDS, header, 2),
	ROW("len_20", SAID_HELLO, ENDS, header, 3),
	ROW("len_more_than_there_is", SAID_HELLO, ENDS, header, 4),
	ROW("len_more_than_the_most", SAID_HELLO, ENDS, header, 5),
	ROW("len_sign", SAID_HELLO, ENDS, header, 6),
	ROW("len_wraps", SAID_HELLO, ENDS, header, 7),
	ROW("op_0", SAID_HELLO, ENDS, header, 8),
	ROW("op_65535", SAID_HELLO, ENDS, header, 9),
	ROW("op_unknown", SAID_HELLO, ENDS, header, 10),
	ROW("header_not_zero", SAID_HELLO, ENDS, header, 11),
	ROW("flag_unknown", SAID_HELLO, ENDS, header, 12),
	ROW("flag_mark_where_none", SAID_HELLO, ENDS, header, 13),
	ROW("len_too_short_for_op", SAID_HELLO, ENDS, header, 14),
	ROW("len_too_long_for_op", SAID_HELLO, ENDS, header, 15),
	ROW("cut_record", SAID_HELLO, ENDS, cut, 0),
	ROW("padding", SAID_HELLO, ENDS, padding, 0),
	ROW("padding_behind_part", CONTEXT, ENDS, padding, 1),
	ROW("part_len_max", CONTEXT, ENDS, part_length, 0),
	ROW("part_len_wraps", CONTEXT, ENDS, part_length, 1),
	ROW("part_len_above_max", CONTEXT, ENDS, part_length, 2),
	ROW("part_len_above_record", CONTEXT, ENDS, part_length, 3),
	ROW("string_without_room_for_end", CONTEXT, ENDS, part_length, 4),
	ROW("string_empty_with_bytes", CONTEXT, ENDS, part_length, 5),
	ROW("string_with_nul", CONTEXT, ENDS, part_length, 6),
	ROW("part_len_sign", CONTEXT, ENDS, part_length, 7),
	ROW("launch_parts_too_long", CONTEXT, ENDS, launch_parts, 0),
	ROW("launch_parts_wrap", CONTEXT, ENDS, launch_parts, 1),
	ROW("launch_params_max", CONTEXT, ENDS, launch_parts, 2),
	ROW("launch_block_above_max", CONTEXT, ENDS, launch_parts, 3),
	ROW("junk_stream", SAID_HELLO, ENDS, junk_stream, 0),
	ROW("junk_bodies", KERNELS, EITHER, junk_bodies, 0),
	ROW("windows_before_hello", OPENED, ENDS, before_hello, 0),
	ROW("ctx_before_hello", OPENED, ENDS, before_hello, 1),
	ROW("free_before_hello", OPENED, ENDS, before_hello, 2),
	ROW("snapshot_before_hello", OPENED, ENDS, before_hello, 3),
	ROW("ctx_before_windows", SAID_HELLO, EITHER, before_hello, 1),
	ROW("free_before_windows", SAID_HELLO, EITHER, before_hello, 2),
	ROW("hello_version_0", OPENED, ENDS, hello, 0),
	ROW("hello_version_max_0", OPENED, ENDS, hello, 1),
	ROW("hello_range_backwards", OPENED, LIVES, hello, 2),
	ROW("hello_too_new", OPENED, LIVES, hello, 3),
	ROW("hello_all_versions", OPENED, LIVES, hello, 4),
	ROW("hello_again", SETTLED, ENDS, hello_again, 0),
	ROW("hello_again_late", KERNELS, ENDS, hello_again, 0),
	ROW("windows_again", SETTLED, EITHER, windows_again, 0),
	ROW("windows_late", MEMORY, EITHER, windows_late, 0),
	ROW("windows_attempt_65", SAID_HELLO, ENDS, attempt_65, 0),
	ROW("bells_full", SAID_HELLO, LIVES, bells, 0),
	ROW("bells_block", SAID_HELLO, LEAVES, bells, 1),
	ROW("bell_storm", SAID_HELLO, LIVES, bell_storm, 0),
	{0},
};
