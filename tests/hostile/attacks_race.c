/* SPDX-License-Identifier: MIT */
/*
 * Shared memory that changes while it is read: one thread posts valid records, another changes them
 * all the time. A worker that copies once and then checks accepts the old record or refuses the
 * new.
 */
#include "tests/hostile/attack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

extern const char ptx_fault[];
extern const uint64_t ptx_fault_size;

#define RACE_MS  500
#define ROUND_MS 50
#define LANDS_MS 20000 /* until a change has come between the worker's looks */

struct field {
	uint32_t at, bytes;
	uint64_t good, bad;
};

static atomic_bool stop;
static struct guest *target;
static struct field field;
static uint32_t first; /* where the records begin */

/*
 * The posted record has UNIT bytes, and the stream's size is a multiple of that: the changed place
 * is always the same field of some record, however late the change comes.
 */
#define UNIT 128u

static void *flip_records(void *arg)
{
	struct guest *g = target;

	for (uint64_t turn = 0; !atomic_load(&stop); turn++) {
		const uint32_t prod = pvgpu_load_acquire(&g->page->cmd_prod.v);
		const uint32_t cons = pvgpu_load_acquire(&g->page->cmd_cons.v);
		const uint64_t *v = turn % 2 ? &field.good : &field.bad;
		uint32_t at = (int32_t)(cons - first) > 0 ? cons - (cons - first) % UNIT : first;

		for (; (int32_t)(prod - at) > 0; at += UNIT) {
			uint32_t i = (at + field.at) & (g->cmd_size - 1);

			/* Fields are aligned, and never wrap. */
			if (field.bytes == 2)
				*(volatile uint16_t *)(void *)(g->cmd + i) = (uint16_t)*v;
			else if (field.bytes == 4)
				*(volatile uint32_t *)(void *)(g->cmd + i) = (uint32_t)*v;
			else
				*(volatile uint64_t *)(void *)(g->cmd + i) = *v;
		}
	}
	return NULL;
}

static void race_once(struct guest *g, const void *recs)
{
	const uint64_t until = now_ms() + ROUND_MS;
	pthread_t t;

	target = g;
	first = g->prod;
	atomic_store(&stop, false);
	if (pthread_create(&t, NULL, flip_records, NULL))
		die("no thread");
	while (!guest_over(g) && now_ms() < until) {
		uint64_t copy[UNIT / 8];
		struct pvgpu_cmd_hdr h;

		memcpy(copy, recs, UNIT);
		for (uint32_t at = 0; at < UNIT; at += h.len) {
			memcpy(&h, &copy[at / 8], sizeof(h));
			if (!guest_post(g, &copy[at / 8]))
				break;
		}
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}

/*
 * For some time, and until a change has landed: the worker has taken a record for what it was not
 * posted as. Then the session has ended, or the next synchronising call tells of the error.
 */
static void race(struct guest *g, const void *recs)
{
	const uint64_t begin = now_ms();
	unsigned int landed = 0;

	do {
		race_once(g, recs);
		landed += guest_over(g) ||
			  CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx) != 0;
	} while (!guest_over(g) &&
		 now_ms() - begin < (landed ? (uint64_t)RACE_MS : (uint64_t)LANDS_MS));
	WANT(landed, "no change has landed");
}

static void race_copy(struct guest *g)
{
	const struct {
		struct pvgpu_wire_copy c;
		struct pvgpu_wire_memset m;
	} r = {.c = {HDR(copy, COPY), .ctx = g->ctx, .dst = g->memory[0], .src = g->arena_base,
		     .size = 64},
	       .m = {HDR(memset, MEMSET), .ctx = g->ctx, .dst = g->memory[1], .element = 1,
		     .width = 64, .height = 1}};
	const struct field fields[] = {
		{0, 4, sizeof(r.c), PVGPU_CMD_MAX},
		{0, 4, sizeof(r.c), 16},
		{4, 2, PVGPU_OP_COPY, PVGPU_OP_LAUNCH},
		{4, 2, PVGPU_OP_COPY, PVGPU_OP_MEMSET},
		{offsetof(struct pvgpu_wire_copy, ctx), 8, g->ctx,
		 PVGPU_HANDLE(PVGPU_H_STREAM, 0, 0, 0)},
		{offsetof(struct pvgpu_wire_copy, ctx), 8, g->ctx,
		 PVGPU_HANDLE(PVGPU_H_CTX, 0, 9, 9)},
		{offsetof(struct pvgpu_wire_copy, dst), 8, r.c.dst, (uintptr_t)&r},
		{offsetof(struct pvgpu_wire_copy, dst), 8, r.c.dst, g->arena_base + CHUNK_SIZE - 8},
		{offsetof(struct pvgpu_wire_copy, src), 8, r.c.src, g->arena_base + CHUNK_SIZE},
		{offsetof(struct pvgpu_wire_copy, size), 8, 64, ~0ull},
		{offsetof(struct pvgpu_wire_copy, size), 8, 64, CHUNK_SIZE},
	};

	_Static_assert(sizeof(r) == UNIT, "what is posted");
	field = fields[attack_arg];
	race(g, &r);
}

/* A length inside the record, which the worker must read once only. */
static void race_part(struct guest *g)
{
	struct {
		struct pvgpu_wire_copy_inline c;
		unsigned char data[80];
	} r = {.c = {HDR(copy_inline, COPY_INLINE), .ctx = g->ctx, .dst = g->memory[0],
		     .data_len = 80}};

	_Static_assert(sizeof(r) == UNIT, "what is posted");
	r.c.hdr.len = sizeof(r);
	field = (struct field){offsetof(struct pvgpu_wire_copy_inline, data_len), 4, 80,
			       attack_arg ? 4096 : 65};
	race(g, &r);
}

/* An image that changes while it is loaded. */
static void *flip_image(void *arg)
{
	uint32_t x = 2463534242u;

	while (!atomic_load(&stop)) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		if (x % 8)
			target->chunk[x % ptx_fault_size] ^= (unsigned char)(x >> 24);
		else
			memcpy(target->chunk, ptx_fault, ptx_fault_size + 1);
	}
	return NULL;
}

static void race_image(struct guest *g)
{
	const uint64_t begin = now_ms();
	uint32_t index = 1, bad = 0;
	pthread_t t;

	target = g;
	if (pthread_create(&t, NULL, flip_image, NULL))
		die("no thread");
	while (!guest_over(g) &&
	       now_ms() - begin < (bad ? (uint64_t)RACE_MS : (uint64_t)LANDS_MS)) {
		if (!guest_load(g, index, ptx_fault_size + 1))
			POST(g, module_unload, MODULE_UNLOAD,
			     .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, index));
		else
			bad++;
		index++;
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	WANT(bad, "no change has landed");
}

const struct attack attacks_race[] = {
	{"race_len_up", MEMORY, EITHER, race_copy, 0},
	{"race_len_down", MEMORY, EITHER, race_copy, 1},
	{"race_op_longer", MEMORY, EITHER, race_copy, 2},
	{"race_op_other", MEMORY, EITHER, race_copy, 3},
	{"race_handle_type", MEMORY, EITHER, race_copy, 4},
	{"race_handle_stale", MEMORY, LIVES, race_copy, 5},
	{"race_dst_host", MEMORY, LIVES, race_copy, 6},
	{"race_dst_edge", MEMORY, LIVES, race_copy, 7},
	{"race_src_edge", MEMORY, LIVES, race_copy, 8},
	{"race_size_wraps", MEMORY, LIVES, race_copy, 9},
	{"race_size_large", MEMORY, LIVES, race_copy, 10},
	{"race_part_shorter", MEMORY, EITHER, race_part, 0},
	{"race_part_longer", MEMORY, EITHER, race_part, 1},
	{"race_image", MEMORY, LIVES, race_image, 0},
	{0},
};
