/* SPDX-License-Identifier: MIT */
/*
 * Every call of cuBLAS that the wire carries, with memory that is not the session's, sizes that no
 * memory has or that wrap round, and numbers that do not lie where the record says. What a record
 * holds is generated from the description (gen/c_attack.py). A refusal must be the worker's own,
 * CUDA_ERROR_INVALID_VALUE: the library would have found something else. And with one byte less it
 * must be accepted: it is this bound that was reached.
 */
#include "tests/hostile/attack.h"

#include "pvgpu_attack_cublas.h"

#define INVALID 1 /* CUDA_ERROR_INVALID_VALUE */
#define UNKNOWN 999
#define HANDLE  PVGPU_HANDLE(PVGPU_H_CUBLAS, 0, 0, 0)

enum { CALLS = sizeof(attack_cublas_calls) / sizeof(attack_cublas_calls[0]), ROOM = 512 };

struct record {
	const struct attack_call *call;
	union {
		struct pvgpu_cmd_hdr hdr;
		uint64_t words[ROOM / 8];
		char bytes[ROOM];
	} u;
	char packed[PVGPU_INLINE_MAX];
	uint32_t packed_len;
};

static void put(struct record *k, unsigned int offset, unsigned int size, int64_t value)
{
	memcpy(k->u.bytes + offset, &value, size);
}

static bool is_address(const struct attack_field *f)
{
	return f->role == ATTACK_MEMORY || f->role == ATTACK_TABLE;
}

/* Tables of addresses are in the second piece of memory. They name a page of the first one, in
 * which each parameter has another page: a matrix that lies on the pivots is no right call. */
#define PAGE     4096u
#define MATRICES (MEMORY_SIZE - 2 * PAGE)

static uint64_t piece(const struct guest *g, const struct attack_field *f)
{
	return g->memory[f->role == ATTACK_TABLE];
}

static uint64_t place(const struct guest *g, const struct attack_call *c, unsigned int field)
{
	const struct attack_field *f = &c->field[field];

	return piece(g, f) + (f->role == ATTACK_TABLE ? 0 : field * PAGE % MATRICES);
}

static void put_numbers(struct record *k)
{
	struct attack_reach r;

	k->call->reach(k->u.bytes, NULL, &r);
	if (r.packed > sizeof(k->packed))
		die("%s: %llu bytes of numbers", k->call->name, (unsigned long long)r.packed);
	for (unsigned int i = 0; i < k->call->fields; i++) {
		const struct attack_field *f = &k->call->field[i];

		for (uint64_t at = r.at[f->offset];
		     f->role == ATTACK_NUMBERS && at < r.end[f->offset]; at += f->size)
			memcpy(k->packed + at, &f->typical, f->size);
	}
	k->packed_len = (uint32_t)r.packed;
}

/* One that is right. Its numbers by pointer are in device memory, too; many are in the record. */
static struct record right(const struct guest *g, const struct attack_call *c)
{
	struct record k = {.call = c, .u.hdr = {.len = c->len, .op = (uint16_t)c->op}};

	if (c->len > ROOM)
		die("%s: a record of %u bytes", c->name, c->len);
	put(&k, c->ctx, 8, (int64_t)g->ctx);
	put(&k, c->handle, 8, (int64_t)HANDLE);
	if (c->mode)
		put(&k, c->mode, 4, !c->packed_len);
	for (unsigned int i = 0; i < c->fields; i++) {
		const struct attack_field *f = &c->field[i];

		if (f->role != ATTACK_NUMBERS)
			put(&k, f->offset, f->size,
			    is_address(f) ? (int64_t)place(g, c, i) : f->typical);
	}
	if (c->packed_len)
		put_numbers(&k);
	return k;
}

/* Its error comes with the next synchronising call. */
static int post(struct guest *g, struct record *k)
{
	k->u.hdr.len = k->call->len;
	if (k->call->packed_len)
		put(k, k->call->packed_len, 4, k->packed_len);
	return guest_post_parts(g, &k->u.hdr, k->packed, k->packed_len)
		       ? CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx)
		       : ENDED;
}

/* The second piece of memory becomes a table of this address. */
static void table_of(struct guest *g, uint64_t address)
{
	struct pvgpu_wire_copy c = {HDR(copy, COPY), .ctx = g->ctx, .dst = g->memory[1],
				    .src = g->arena_base, .size = MEMORY_SIZE};

	for (size_t i = 0; i < MEMORY_SIZE; i += sizeof(address))
		memcpy(g->chunk + i, &address, sizeof(address));
	c.hdr.flags = PVGPU_CMD_MARK;
	if (!guest_post(g, &c) || guest_wait(g, g->seq))
		die("no table of addresses");
}

static void begin(struct guest *g)
{
	table_of(g, g->memory[0] + MATRICES);
	WANT(!CALL(g, cublas_create, CUBLAS_CREATE, .ctx = g->ctx, .handle = HANDLE), "no handle");
}

/* ---- memory ---- */

/* Somewhere else: a few of these for each parameter, all of them for all parameters together. */
static uint64_t elsewhere(const struct guest *g, unsigned int i, uint64_t bytes)
{
	static const char own[8];
	const uint64_t all[] = {1,
				0x1000,
				UINT64_MAX - 3,
				UINT64_MAX,
				g->device_base - 4,
				g->device_base + g->device_size - 1,
				g->arena_base + CHUNK_SIZE - bytes + 1,
				g->arena_base - 1,
				(uintptr_t)own,
				g->memory[0] - 1,
				1ull << 63};

	return all[i % (sizeof(all) / sizeof(all[0]))];
}

static void places_of(struct guest *g, const struct attack_call *c, unsigned int *turn)
{
	struct record k = right(g, c);
	struct attack_reach r;
	unsigned int role = 0;

	c->reach(k.u.bytes, k.packed, &r);
	WANT(!r.refused && !post(g, &k), "%s: a right call is refused", c->name);
	for (unsigned int i = 0; i < c->fields; i++) {
		const struct attack_field *f = &c->field[i];
		const uint64_t end = piece(g, f) + MEMORY_SIZE;
		uint64_t bytes;
		int got;

		if (!is_address(f))
			continue;
		bytes = r.bytes[role++];
		WANT(bytes, "%s: nothing is needed at %s", c->name, f->name);
		put(&k, f->offset, 8, (int64_t)(end - bytes));
		got = post(g, &k);
		WANT(!got, "%s: %d for the last %llu bytes as %s", c->name, got,
		     (unsigned long long)bytes, f->name);
		for (unsigned int j = 0; j < 4; j++) {
			const uint64_t bad = j ? elsewhere(g, (*turn)++, bytes) : end - bytes + 1;

			put(&k, f->offset, 8, (int64_t)bad);
			got = post(g, &k);
			WANT(got == INVALID, "%s: %d with %s at %#llx", c->name, got, f->name,
			     (unsigned long long)bad);
		}
		put(&k, f->offset, 8, 0);
		WANT(post(g, &k) == (f->optional ? 0 : INVALID), "%s with %s at 0", c->name,
		     f->name);
		put(&k, f->offset, 8, (int64_t)place(g, c, i));
	}
}

static void places(struct guest *g)
{
	unsigned int turn = 0;

	begin(g);
	for (unsigned int i = 0; i < CALLS && !guest_over(g); i++)
		places_of(g, &attack_cublas_calls[i], &turn);
}

/* ---- sizes ---- */

static const int64_t large[] = {
	INT32_MAX,       INT32_MAX - 1,   INT32_MIN,     -1,        1ll << 31,     1ll << 32,
	1ll << 60,       (1ll << 60) + 1, 1ll << 61,     1ll << 62, INT64_MAX / 2, (1ll << 62) + 1,
	(1ll << 62) + 2, INT64_MAX,       INT64_MAX - 1, INT64_MIN, INT64_MIN + 1};
enum { LARGE = sizeof(large) / sizeof(large[0]) };

/* A value that the field cannot hold ends the session, which other attacks show. */
static bool fits(const struct attack_field *f, int64_t value)
{
	return f->role == ATTACK_NUMBER && value >= f->lo && value <= f->hi;
}

/* Does the call need more memory than there is? unseen: and the worker's functions do not say so.
 */
static bool too_much(const struct attack_call *c, const struct attack_reach *r, bool *unseen)
{
	bool seen = r->refused, much = false;
	unsigned int role = 0;

	for (unsigned int i = 0; i < c->fields; i++) {
		if (!is_address(&c->field[i]))
			continue;
		much |= r->truth[role] > MEMORY_SIZE;
		seen |= r->bytes[role++] > MEMORY_SIZE;
	}
	*unseen = much && !seen;
	return much;
}

/* Compare the worker's result of a record with the one that its reach asks for. */
static void judge(struct guest *g, struct record *k, const char *which, int64_t value)
{
	struct attack_reach r;
	bool unseen;
	int got, want;

	k->call->reach(k->u.bytes, k->packed, &r);
	if (!too_much(k->call, &r, &unseen) && !r.refused)
		return;
	want = r.refused && r.refused != CUBLAS_STATUS_INVALID_VALUE ? UNKNOWN : INVALID;
	got = post(g, k);
	WANT(got == want, "%s: %d, not %d, with %s %lld", k->call->name, got, want, which,
	     (long long)value);
}

/* Is there a pair of numbers with which the worker is wrong about the memory that is needed? */
static void pairs(struct guest *g, const struct attack_call *c)
{
	struct record k = right(g, c);
	struct attack_reach r;
	bool unseen;

	if (c->wide)
		put(&k, c->wide, 4, 1);
	for (unsigned int i = 0; i < c->fields; i++) {
		const struct attack_field *f = &c->field[i];

		for (unsigned int j = i + 1; j < c->fields; j++) {
			const struct attack_field *other = &c->field[j];

			for (unsigned int v = 0; v < LARGE * LARGE; v++) {
				if (!fits(f, large[v / LARGE]) || !fits(other, large[v % LARGE]))
					continue;
				put(&k, f->offset, f->size, large[v / LARGE]);
				put(&k, other->offset, other->size, large[v % LARGE]);
				c->reach(k.u.bytes, k.packed, &r);
				if (too_much(c, &r, &unseen) && unseen)
					judge(g, &k, other->name, large[v % LARGE]);
			}
			if (is_address(other) || other->role == ATTACK_NUMBERS)
				continue;
			put(&k, other->offset, other->size, other->typical);
		}
		if (!is_address(f) && f->role != ATTACK_NUMBERS)
			put(&k, f->offset, f->size, f->typical);
	}
}

/* Each number alone, all of them alike, and some of them at random. */
static void sizes_of(struct guest *g, const struct attack_call *c)
{
	for (unsigned int v = 0; v < LARGE; v++) {
		const bool wide = large[v] != (int32_t)large[v];
		struct record all = right(g, c);

		if (wide && c->wide)
			put(&all, c->wide, 4, 1);
		for (unsigned int i = 0; i < c->fields; i++) {
			const struct attack_field *f = &c->field[i];
			struct record k = right(g, c);

			if (!fits(f, large[v]))
				continue;
			if (wide && c->wide)
				put(&k, c->wide, 4, 1);
			put(&k, f->offset, f->size, large[v]);
			judge(g, &k, f->name, large[v]);
			put(&all, f->offset, f->size, large[v]);
		}
		judge(g, &all, "all", large[v]);
	}
	for (unsigned int n = 0; n < 8; n++) {
		struct record k = right(g, c);

		if (c->wide)
			put(&k, c->wide, 4, attack_random() % 2);
		for (unsigned int i = 0; i < c->fields; i++) {
			const int64_t value = large[attack_random() % LARGE];

			if (attack_random() % 2 && fits(&c->field[i], value))
				put(&k, c->field[i].offset, c->field[i].size, value);
		}
		judge(g, &k, "round", n);
	}
}

static void sizes(struct guest *g)
{
	begin(g);
	for (unsigned int i = 0; i < CALLS && !guest_over(g); i++) {
		const struct attack_call *c = &attack_cublas_calls[i];

		/* Those with numbers of many are many(). */
		if (c->packed_len)
			continue;
		pairs(g, c);
		sizes_of(g, c);
	}
}

/* ---- types and operations ---- */

/* Whatever a number stands for, memory outside is refused: for each value of each, all of it lies
 * outside, and each parameter's alone. */
static void types_of(struct guest *g, const struct attack_call *c)
{
	static const int64_t values[] = {0,  1,  2,  3,  4,  5,  6,  7,   8,         9,         10,
					 14, 20, 28, 29, 33, 64, 68, 255, INT32_MAX, UINT32_MAX};

	const uint64_t end =
		MEMORY_SIZE + (g->memory[0] > g->memory[1] ? g->memory[0] : g->memory[1]);

	for (unsigned int i = 0; i < c->fields; i++) {
		const struct attack_field *f = &c->field[i];

		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			struct record k = right(g, c);
			struct attack_reach r;

			if (f->role != ATTACK_ENUM || values[v] < f->lo || values[v] > f->hi)
				continue;
			put(&k, f->offset, f->size, values[v]);
			c->reach(k.u.bytes, k.packed, &r);
			for (unsigned int j = 0, role = 0; j < c->fields; j++) {
				const struct attack_field *at = &c->field[j];
				int got;

				if (!is_address(at))
					continue;
				put(&k, at->offset, 8, (int64_t)end);
				got = post(g, &k);
				WANT((r.refused || r.bytes[role++]) &&
					     (got == INVALID || got == UNKNOWN),
				     "%s: %d with %s outside and %s %lld", c->name, got, at->name,
				     f->name, (long long)values[v]);
				put(&k, at->offset, 8, (int64_t)place(g, c, j));
			}
		}
	}
}

static void types(struct guest *g)
{
	begin(g);
	for (unsigned int i = 0; i < CALLS && !guest_over(g); i++)
		types_of(g, &attack_cublas_calls[i]);
}

/* ---- numbers of many ---- */

/* Each number in turn; each has a bound of the validator's, so nothing ends the session. */
static void many_values(struct guest *g, const struct attack_call *c)
{
	struct attack_reach r;
	struct record k = right(g, c);

	c->reach(k.u.bytes, NULL, &r);
	for (unsigned int i = 0; i < c->fields; i++) {
		const struct attack_field *f = &c->field[i];

		for (unsigned int v = 0; v < LARGE && f->role == ATTACK_NUMBERS; v++) {
			struct record bad = k;

			if (f->lo == f->hi)
				continue;
			memcpy(bad.packed + r.at[f->offset], &large[v], f->size);
			judge(g, &bad, f->name, large[v]);
		}
	}
}

/* In the arena: at its end, and beyond; and lengths that are not what the counts say. */
static void many_places(struct guest *g, const struct attack_call *c)
{
	const struct record typical = right(g, c);
	const uint64_t end = g->arena_base + CHUNK_SIZE;
	const uint32_t len = typical.packed_len;
	const struct {
		uint64_t at, large;
		uint32_t packed;
		int want;
	} all[] = {
		{end - len, len, 0, 0},
		{end - len + 8, len, 0, INVALID},
		{end, len, 0, INVALID},
		{g->arena_base + g->arena_size - len, len, 0, INVALID},
		{end - len, len - 8, 0, INVALID},
		{end - len - 8, len + 8, 0, INVALID},
		{end - len, len, len, INVALID},
		{end - 8, 8, len - 8, INVALID},
		{0, 0, len - 8, INVALID},
		{0, 0, len + 8, INVALID},
		{0, 0, 0, INVALID},
	};

	memcpy(g->chunk + CHUNK_SIZE - len, typical.packed, len);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct record k = typical;
		int got;

		put(&k, c->large, 8, (int64_t)all[i].at);
		put(&k, c->large + 8, 8, (int64_t)all[i].large);
		k.packed_len = all[i].packed;
		got = post(g, &k);
		WANT(got == all[i].want, "%s: %d, not %d, for numbers %zu", c->name, got,
		     all[i].want, i);
	}
}

/* More groups than the numbers are for. */
static void many_groups(struct guest *g, const struct attack_call *c)
{
	for (unsigned int i = 0; i < c->fields; i++)
		for (unsigned int v = 0; v < LARGE; v++) {
			struct record k = right(g, c);
			int got;

			if (!fits(&c->field[i], large[v]))
				continue;
			put(&k, c->field[i].offset, c->field[i].size, large[v]);
			got = post(g, &k);
			WANT(got == INVALID, "%s: %d with %s %lld", c->name, got, c->field[i].name,
			     (long long)large[v]);
		}
}

static void many(struct guest *g)
{
	begin(g);
	for (unsigned int i = 0; i < CALLS && !guest_over(g); i++) {
		const struct attack_call *c = &attack_cublas_calls[i];

		if (!c->packed_len)
			continue;
		many_values(g, c);
		many_places(g, c);
		many_groups(g, c);
	}
}

/* ---- tables in device memory, which the library's kernels follow ---- */

/* A kernel that faults ends no other session, and reads nothing of the worker's. */
static void tables(struct guest *g)
{
	static const char own[64];
	const uint64_t bad = (uintptr_t)own;

	begin(g);
	for (unsigned int i = 0; i < CALLS; i++) {
		const struct attack_call *c = &attack_cublas_calls[i];
		struct record k = right(g, c);

		for (unsigned int j = 0; j < c->fields; j++) {
			if (c->field[j].role != ATTACK_TABLE)
				continue;
			table_of(g, bad);
			WANT(post(g, &k), "%s follows %#llx", c->name, (unsigned long long)bad);
			return;
		}
	}
}

const struct attack attacks_cublas[] = {
	{"cublas_places", MEMORY, LIVES, places, 0},  {"cublas_sizes", MEMORY, LIVES, sizes, 0},
	{"cublas_types", MEMORY, LIVES, types, 0},    {"cublas_numbers", MEMORY, LIVES, many, 0},
	{"cublas_tables", MEMORY, EITHER, tables, 0}, {0},
};
