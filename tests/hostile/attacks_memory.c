/* SPDX-License-Identifier: MIT */
/* Addresses outside of the session's own memory: all are refused, and no memory is touched. */
#include "tests/hostile/attack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECRET 0x5ec4e75ec4e75ec4ull

static int settle(struct guest *g)
{
	return CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
}

static int copy(struct guest *g, uint64_t dst, uint64_t src, uint64_t size)
{
	struct pvgpu_wire_copy c = {HDR(copy, COPY), .ctx = g->ctx, .dst = dst, .src = src,
				    .size = size};

	c.hdr.flags = PVGPU_CMD_MARK;
	return guest_post(g, &c) ? guest_wait(g, g->seq) : ENDED;
}

static int fetch(struct guest *g, uint64_t src, uint32_t size)
{
	return CALL(g, copy_fetch, COPY_FETCH, .ctx = g->ctx, .src = src, .size = size);
}

/* A small copy or a memset; its error comes with the next synchronising call. */
static int put(struct guest *g, uint64_t dst, uint32_t size)
{
	static const unsigned char bytes[4096];
	struct pvgpu_wire_copy_inline c = {HDR(copy_inline, COPY_INLINE), .ctx = g->ctx, .dst = dst,
					   .data_len = size};

	return guest_post_parts(g, &c, bytes, size) ? settle(g) : ENDED;
}

static int set(struct guest *g, uint64_t dst, uint64_t pitch, uint32_t element, uint64_t width,
	       uint64_t height)
{
	return POST(g, memset, MEMSET, .ctx = g->ctx, .dst = dst, .pitch = pitch, .value = 0xa5,
		    .element = element, .width = width, .height = height)
		       ? settle(g)
		       : ENDED;
}

/* A texture over a line (kind 2) or over two rows (kind 3) of bytes. */
static int texture(struct guest *g, uint32_t kind, uint64_t at, uint64_t size)
{
	return CALL(g, tex_create, TEX_CREATE, .ctx = g->ctx, .kind = kind, .address = at,
		    .format = 1, .channels = 1, .width = kind == 2 ? size : 1, .height = 2,
		    .pitch = size, .texture = PVGPU_HANDLE(PVGPU_H_TEXTURE, 0, 0, 0));
}

/* Every way to read and to write `size` bytes there must fail. */
static void all_ways(struct guest *g, uint64_t at, uint64_t size, const char *what)
{
	const uint32_t small = size < 4096 ? (uint32_t)size : 4096;

	WANT(copy(g, at, g->memory[0], size > MEMORY_SIZE ? MEMORY_SIZE : size),
	     "%s: copy to %#" PRIx64, what, at);
	WANT(copy(g, at, g->arena_base, size), "%s: upload to %#" PRIx64, what, at);
	WANT(copy(g, g->memory[0], at, size > MEMORY_SIZE ? MEMORY_SIZE : size),
	     "%s: copy from %#" PRIx64, what, at);
	WANT(copy(g, g->arena_base, at, size), "%s: download from %#" PRIx64, what, at);
	WANT(put(g, at, small), "%s: copy_inline to %#" PRIx64, what, at);
	WANT(fetch(g, at, small), "%s: copy_fetch from %#" PRIx64, what, at);
	WANT(set(g, at, 0, 1, size, 1), "%s: memset at %#" PRIx64, what, at);
	WANT(set(g, at, size, 1, 1, 2), "%s: 2-D memset at %#" PRIx64, what, at);
	WANT(texture(g, 2, at, size), "%s: texture at %#" PRIx64, what, at);
	WANT(texture(g, 3, at, size), "%s: texture of rows at %#" PRIx64, what, at);
}

static void edges(struct guest *g)
{
	const uint64_t low = g->memory[0] < g->memory[1] ? g->memory[0] : g->memory[1];
	const uint64_t high = g->memory[0] < g->memory[1] ? g->memory[1] : g->memory[0];

	all_ways(g, 8, 8, "page 0");
	all_ways(g, g->device_base - 8, 16, "before the window");
	all_ways(g, g->device_base + g->device_size - 8, 16, "over the window's end");
	all_ways(g, g->device_base + g->device_size, 8, "behind the window");
	all_ways(g, g->device_base + g->device_size / 2, 8, "in a hole of the window");
	all_ways(g, low + MEMORY_SIZE - 8, high - low > MEMORY_SIZE ? 4096 : 2 * MEMORY_SIZE,
		 "over the end of memory");
	all_ways(g, ~0ull - 7, 16, "over the end of everything");
	all_ways(g, ~0ull - 4095, 4096, "the highest page");
	all_ways(g, 1ull << 63, 4096, "no address");
	all_ways(g, g->arena_base + CHUNK_SIZE, 4096, "behind the chunk");
	all_ways(g, g->arena_base - 8, 16, "before the arena");
	all_ways(g, g->arena_base + g->arena_size - 8, 16, "over the arena's end");
	all_ways(g, (uintptr_t)g->page, 4096, "the guest's own ring");
	WANT(copy(g, g->memory[0], g->memory[1], 1ull << 62), "a copy of 4 EiB");
	WANT(copy(g, g->memory[0], g->memory[1], ~0ull), "a copy of everything");
	WANT(copy(g, g->memory[0] + 8, g->memory[1], ~0ull - 4), "a copy that wraps");
	WANT(copy(g, g->arena_base, g->memory[0], CHUNK_SIZE + 1), "a copy over the chunk");
	WANT(!copy(g, g->memory[0], g->memory[1], MEMORY_SIZE), "what is right must go on working");
	WANT(!copy(g, g->arena_base + CHUNK_SIZE - 8, g->memory[0], 8), "the chunk's last bytes");
	WANT(!settle(g), "an error was left over");
}

/* ---- the worker's own memory ---- */

static bool is_worker(const char *pid, uint32_t session)
{
	char path[300], text[512], want[32];
	size_t n, len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	len = (size_t)snprintf(want, sizeof(want), "--id%c%u", 0, session) + 1;
	return memmem(text, n, "pvgpu-worker", 12) && memmem(text, n, want, len);
}

/* The mappings of the session's worker. A real attacker would have to guess them. */
static FILE *worker_maps(struct guest *g)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[64], pid[32];
	FILE *children, *maps = NULL;

	if (getsockopt(g->sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		die("no credentials");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)peer.pid, (int)peer.pid);
	children = fopen(path, "re");
	while (children && !maps && fscanf(children, "%31s", pid) == 1) {
		if (!is_worker(pid, g->session))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/maps", pid);
		maps = fopen(path, "re");
	}
	if (children)
		fclose(children);
	return maps;
}

static bool in_windows(const struct guest *g, uint64_t at)
{
	return (at >= g->device_base && at - g->device_base < g->device_size) ||
	       (at >= g->arena_base && at - g->arena_base < g->arena_size);
}

static void workers_own(struct guest *g)
{
	FILE *maps = worker_maps(g);
	uint64_t from, to;
	char line[512];
	int n = 0;

	if (!maps) {
		fprintf(stderr, "the worker's mappings cannot be read: guessing\n");
		all_ways(g, 0x400000, 4096, "a program's usual place");
		all_ways(g, 0x7ffff7dd0000, 4096, "libraries' usual place");
		all_ways(g, 0x7ffffffde000, 4096, "the stack's usual place");
		return;
	}
	while (fgets(line, sizeof(line), maps) && n < 400) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) != 2 || in_windows(g, from))
			continue;
		all_ways(g, from, 16, line);
		WANT(fetch(g, to - 16, 16), "the end of %s", line);
		n++;
	}
	fclose(maps);
	WANT(n > 10, "only %d mappings", n);
}

/* ---- arrays ---- */

struct array_copy {
	uint64_t x, y, z, pitch, rows, width, height, depth;
};

#define ARRAY(i) PVGPU_HANDLE(PVGPU_H_ARRAY, 0, 0, i)

/* From memory to an array, or back. */
static int copy_array(struct guest *g, uint64_t a, bool to, uint64_t memory,
		      const struct array_copy *b)
{
	struct pvgpu_wire_copy_array c = {HDR(copy_array, COPY_ARRAY),
					  .ctx = g->ctx,
					  .dst_array = to ? a : 0,
					  .dst = to ? 0 : memory,
					  .dst_x = to ? b->x : 0,
					  .dst_y = to ? b->y : 0,
					  .dst_z = to ? b->z : 0,
					  .dst_pitch = to ? 0 : b->pitch,
					  .dst_height = to ? 0 : b->rows,
					  .src_array = to ? 0 : a,
					  .src = to ? memory : 0,
					  .src_x = to ? 0 : b->x,
					  .src_y = to ? 0 : b->y,
					  .src_z = to ? 0 : b->z,
					  .src_pitch = to ? b->pitch : 0,
					  .src_height = to ? b->rows : 0,
					  .width = b->width,
					  .height = b->height,
					  .depth = b->depth};

	c.hdr.flags = PVGPU_CMD_MARK;
	return guest_post(g, &c) ? guest_wait(g, g->seq) : ENDED;
}

/* Beyond the array, and from and to memory that is not the session's. */
static void arrays(struct guest *g)
{
	static const struct array_copy good = {0, 0, 0, 16, 16, 16, 16, 4};
	static const struct array_copy bad[] = {
		{1, 0, 0, 16, 16, 16, 16, 4},
		{0, 1, 0, 16, 16, 16, 16, 4},
		{0, 0, 1, 16, 16, 16, 16, 4},
		{0, 0, 0, 32, 16, 17, 16, 4},
		{1u << 30, 0, 0, 16, 16, 1, 1, 1},
		{0, 1u << 30, 1u << 30, 16, 16, 1, 1, 1},
		{0, 0, 0, 16, 1u << 30, 1, 1, 1u << 30},
		{0, 0, 0, 1ull << 61, 16, 16, 16, 4},
		{0, 0, 0, 15, 16, 16, 16, 4},
	};
	const uint64_t foreign[] = {8,
				    g->device_base - 8,
				    g->device_base + g->device_size / 2,
				    g->arena_base - 8,
				    (uintptr_t)bad,
				    ~0ull - 7};

	WANT(!CALL(g, array_create, ARRAY_CREATE, .ctx = g->ctx, .width = 16, .height = 16,
		   .depth = 4, .format = 1, .channels = 1, .array = ARRAY(0)),
	     "no array");
	for (int to = 0; to < 2; to++) {
		for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			WANT(copy_array(g, ARRAY(0), to, g->memory[0], &bad[i]), "copy %u, %d", i,
			     to);
		for (unsigned int i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
			WANT(copy_array(g, ARRAY(0), to, foreign[i], &good), "memory %u, %d", i,
			     to);
		WANT(!copy_array(g, ARRAY(0), to, g->memory[0], &good), "a good copy, %d", to);
	}
}

#define MIPMAP(i) PVGPU_HANDLE(PVGPU_H_MIPMAP, 0, 0, i)

static int create_mipmap(struct guest *g, uint64_t width, uint32_t levels, uint64_t mipmap)
{
	return CALL(g, mipmap_create, MIPMAP_CREATE, .ctx = g->ctx, .width = width, .height = 16,
		    .depth = 4, .format = 1, .channels = 1, .levels = levels, .mipmap = mipmap);
}

/* More levels than there are, more than the quota, copies beyond a level, levels that are freed by
 * themselves, twice named, and used when what they are of is gone. */
static void mipmaps(struct guest *g)
{
	static const struct array_copy first = {0, 0, 0, 16, 16, 16, 16, 4};
	static const struct array_copy second = {0, 0, 0, 8, 8, 8, 8, 2};

	WANT(create_mipmap(g, 16, 6, MIPMAP(0)), "six levels of five");
	WANT(create_mipmap(g, 1 << 30, 31, MIPMAP(1)), "a mipmapped array of 64 GiB");
	WANT(!create_mipmap(g, 16, 5, MIPMAP(2)), "no mipmapped array");
	WANT(create_mipmap(g, 16, 5, MIPMAP(2)), "the same handle twice");
	for (uint32_t i = 0; i < 2; i++)
		POST(g, mipmap_level, MIPMAP_LEVEL, .mipmap = MIPMAP(2), .level = 1,
		     .array = ARRAY(i));
	POST(g, mipmap_level, MIPMAP_LEVEL, .mipmap = MIPMAP(2), .level = 5, .array = ARRAY(2));
	POST(g, mipmap_level, MIPMAP_LEVEL, .mipmap = MIPMAP(9), .level = 0, .array = ARRAY(3));
	POST(g, mipmap_level, MIPMAP_LEVEL, .mipmap = MIPMAP(2), .level = 0, .array = ARRAY(0));
	for (int to = 0; to < 2; to++) {
		WANT(!copy_array(g, ARRAY(0), to, g->memory[0], &second), "a level, %d", to);
		WANT(copy_array(g, ARRAY(0), to, g->memory[0], &first), "beyond it, %d", to);
		WANT(copy_array(g, ARRAY(2), to, g->memory[0], &second), "no level, %d", to);
		WANT(copy_array(g, ARRAY(3), to, g->memory[0], &second), "of nothing, %d", to);
	}
	POST(g, array_destroy, ARRAY_DESTROY, .array = ARRAY(0));
	WANT(!copy_array(g, ARRAY(0), true, g->memory[0], &second), "a level freed by itself");
	POST(g, mipmap_destroy, MIPMAP_DESTROY, .mipmap = MIPMAP(2));
	POST(g, mipmap_destroy, MIPMAP_DESTROY, .mipmap = MIPMAP(2));
	for (uint32_t i = 0; i < 2; i++)
		WANT(copy_array(g, ARRAY(i), true, g->memory[0], &second),
		     "level %u of what is gone", i);
	WANT(CALL(g, tex_create, TEX_CREATE, .ctx = g->ctx, .kind = 1, .array = MIPMAP(2),
		  .texture = PVGPU_HANDLE(PVGPU_H_TEXTURE, 0, 0, 0)),
	     "a texture of what is gone");
	settle(g);
}

/* ---- memory that the guest maps itself ---- */

#define PAGE     (2u << 20)
#define PHYSICAL PVGPU_HANDLE(PVGPU_H_PHYSICAL, 0, 0, 0)
#define RESERVED PVGPU_HANDLE(PVGPU_H_RESERVATION, 0, 0, 0)

static int map(struct guest *g, uint64_t offset, uint64_t size)
{
	return CALL(g, mem_map, MEM_MAP, .reservation = RESERVED, .physical = PHYSICAL,
		    .offset = offset, .size = size);
}

static int unmap(struct guest *g, uint64_t offset, uint64_t size)
{
	return CALL(g, mem_unmap, MEM_UNMAP, .reservation = RESERVED, .offset = offset,
		    .size = size);
}

static int set_access(struct guest *g, uint64_t offset, uint64_t size, uint32_t flags)
{
	return CALL(g, mem_access, MEM_ACCESS, .reservation = RESERVED, .offset = offset,
		    .size = size, .flags = flags);
}

/* Mappings beyond the reservation, over others' memory, used without access and when they are gone;
 * more memory than the quota. */
static void mappings(struct guest *g)
{
	const struct pvgpu_wire_mem_reserve_reply *m = (const void *)&g->reply;
	const uint64_t bad[][2] = {{2 * PAGE, PAGE},
				   {PAGE, 2 * PAGE},
				   {512, PAGE},
				   {0, 512},
				   {g->memory[0], PAGE},
				   {0 - (uint64_t)PAGE, PAGE},
				   {PAGE, 0 - (uint64_t)PAGE}};
	uint64_t at;

	WANT(CALL(g, mem_create, MEM_CREATE, .size = 1ull << 46, .physical = PHYSICAL) == 2,
	     "more memory than there is");
	WANT(CALL(g, mem_create, MEM_CREATE, .size = 0 - (uint64_t)PAGE,
		  .physical = PHYSICAL + (1ull << 32)) == 2,
	     "all memory");
	WANT(!CALL(g, mem_reserve, MEM_RESERVE, .size = 2 * PAGE, .wanted = g->memory[0],
		   .reservation = RESERVED),
	     "no addresses");
	at = m->address;
	WANT(at >= g->memory[0] + MEMORY_SIZE || at + 2 * PAGE <= g->memory[0],
	     "addresses of other memory");
	all_ways(g, at, 4096, "reserved addresses");
	WANT(map(g, 0, PAGE), "no memory was mapped");
	WANT(!CALL(g, mem_create, MEM_CREATE, .size = 2 * PAGE,
		   .physical = PHYSICAL + (2ull << 32)),
	     "no memory");
	WANT(CALL(g, mem_map, MEM_MAP, .reservation = RESERVED, .physical = PHYSICAL + (1ull << 32),
		  .size = PAGE),
	     "memory that was refused is mapped");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		WANT(CALL(g, mem_map, MEM_MAP, .reservation = RESERVED,
			  .physical = PHYSICAL + (2ull << 32), .offset = bad[i][0],
			  .size = bad[i][1]),
		     "mapping %u", i);
	WANT(!CALL(g, mem_map, MEM_MAP, .reservation = RESERVED,
		   .physical = PHYSICAL + (2ull << 32), .size = PAGE),
	     "a good mapping");
	all_ways(g, at, 4096, "a mapping without access");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		WANT(set_access(g, bad[i][0], bad[i][1], 3), "access %u", i);
		WANT(unmap(g, bad[i][0], bad[i][1]), "unmapping %u", i);
	}
	WANT(set_access(g, 0, PAGE, 2), "access of no kind");
	WANT(!set_access(g, 0, PAGE, 3), "good access");
	WANT(!copy(g, at, g->memory[0], MEMORY_SIZE < PAGE ? MEMORY_SIZE : PAGE), "a good copy");
	all_ways(g, at + PAGE - 8, 16, "over the end of a mapping");
	POST(g, mem_free, MEM_FREE, .ctx = g->ctx, .address = at);
	WANT(settle(g), "a mapping was freed");
	POST(g, mem_unreserve, MEM_UNRESERVE, .reservation = RESERVED);
	WANT(settle(g), "addresses in use were given back");
	WANT(!CALL(g, mem_release, MEM_RELEASE, .physical = PHYSICAL + (2ull << 32)), "a release");
	WANT(!fetch(g, at, 8), "the mapping holds the memory");
	WANT(!unmap(g, 0, PAGE), "a good unmapping");
	all_ways(g, at, 4096, "what was unmapped");
}

/* ---- pitches ---- */

struct box {
	uint64_t dst_pitch, dst_height, src_pitch, src_height, width, height, depth;
};

static int copy_box(struct guest *g, uint64_t dst, uint64_t src, const struct box *b)
{
	struct pvgpu_wire_copy_3d c = {HDR(copy_3d, COPY_3D),
				       .ctx = g->ctx,
				       .dst = dst,
				       .dst_pitch = b->dst_pitch,
				       .dst_height = b->dst_height,
				       .src = src,
				       .src_pitch = b->src_pitch,
				       .src_height = b->src_height,
				       .width = b->width,
				       .height = b->height,
				       .depth = b->depth};

	c.hdr.flags = PVGPU_CMD_MARK;
	return guest_post(g, &c) ? guest_wait(g, g->seq) : ENDED;
}

static void pitches(struct guest *g)
{
	static const struct box bad[] = {
		{1ull << 63, 2, 64, 2, 64, 2, 2},
		{1ull << 32, 1ull << 32, 64, 2, 64, 2, 2},
		{64, 1ull << 60, 64, 2, 64, 2, 3},
		{~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull},
		{~0ull, 2, ~0ull, 2, 8, 2, 2},
		{1ull << 61, 8, 1ull << 61, 8, 8, 8, 8},
		{0, 0, 0, 0, 64, 2, 2},
		{32, 2, 64, 2, 64, 2, 2},
		{64, 1, 64, 2, 64, 2, 2},
		{64, 2, 64, 1, 64, 2, 2},
		{64, 1024, 64, 1024, 64, 1024, 2},
		{1 << 24, 2, 64, 2, 64, 2, 1},
		{64, 2, 1 << 24, 2, 64, 2, 1},
		{64, 1, 64, 1, 64, 1, 1ull << 58},
		{64, 1ull << 58, 64, 1ull << 58, 64, 1ull << 58, 1},
		{(1ull << 63) + 64, 2, (1ull << 63) + 64, 2, 64, 3, 2},
	};
	static const uint64_t sets[][4] = {
		/* pitch, element, width, height */
		{1ull << 63, 1, 8, 3},
		{~0ull, 4, 8, 2},
		{0, 4, 1ull << 62, 1},
		{8, 4, 8, 2},
		{0, 1, 8, 2},
		{64, 1, 64, 1ull << 58},
		{1ull << 32, 1, 8, 1ull << 32},
		{0, 2, ~0ull, 1},
		{0, 3, 8, 1},
		{16, 4, 1ull << 62, 1ull << 62},
	};
	static const struct box good = {128, 4, 256, 8, 64, 4, 8};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		WANT(copy_box(g, g->memory[0], g->memory[1], &bad[i]), "box %zu on the device", i);
		WANT(copy_box(g, g->memory[0], g->arena_base, &bad[i]), "box %zu up", i);
		WANT(copy_box(g, g->arena_base, g->memory[0], &bad[i]), "box %zu down", i);
	}
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		WANT(set(g, g->memory[0], sets[i][0], (uint32_t)sets[i][1], sets[i][2], sets[i][3]),
		     "memset %zu", i);
	WANT(set(g, g->memory[0] + 1, 0, 4, 8, 1), "a misaligned memset");
	WANT(!copy_box(g, g->memory[0], g->memory[1], &good), "what is right must go on working");
	WANT(!settle(g), "an error was left over");
}

/* ---- allocations ---- */

static int alloc(struct guest *g, uint64_t size, uint64_t *address)
{
	const struct pvgpu_wire_mem_alloc_reply *m = (const void *)&g->reply;
	int r = CALL(g, mem_alloc, MEM_ALLOC, .ctx = g->ctx, .size = size);

	*address = r ? 0 : m->address;
	return r;
}

static void sizes(struct guest *g)
{
	static const uint64_t sizes[] = {~0ull, ~0ull - 4095, 1ull << 63, 1ull << 47, 1ull << 40};
	uint64_t at;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		WANT(alloc(g, sizes[i], &at) == 2, "an allocation of %#" PRIx64, sizes[i]);
}

/* All of the quota in small pieces, without a wait between them. */
static void pieces(struct guest *g)
{
	for (int i = 0; i < 30000 && !guest_over(g); i++)
		POST(g, mem_alloc, MEM_ALLOC, .ctx = g->ctx, .size = attack_arg);
	settle(g);
}

/* Leases taken and returned quickly; pvgpud tells the vGPU's other sessions of each. */
static void storm(struct guest *g)
{
	const uint64_t until = now_ms() + 1500;
	uint64_t at;

	while (now_ms() < until && !guest_over(g)) {
		if (!alloc(g, 8u << 20, &at))
			POST(g, mem_free, MEM_FREE, .ctx = g->ctx, .address = at);
		settle(g);
	}
}

static void frees(struct guest *g)
{
	const uint64_t at[] = {g->memory[0],   g->memory[0], g->memory[1] + 8, g->arena_base, 8,
			       g->device_base, ~0ull,        (uintptr_t)g};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		POST(g, mem_free, MEM_FREE, .ctx = g->ctx, .address = at[i]);
	WANT(settle(g), "all frees were right");
	WANT(fetch(g, g->memory[0], 8), "freed memory can be read");
	WANT(put(g, g->memory[0], 8), "freed memory can be written");
	WANT(!fetch(g, g->memory[1], 8), "what is right must go on working");
}

/* A session's memory holds no data of an earlier session. */
static void leftovers(struct guest *g)
{
	const size_t words = CHUNK_SIZE / sizeof(uint64_t);
	uint64_t at[8], *seen = (uint64_t *)(void *)g->chunk;
	unsigned int n = 0;

	for (; n < 8 && !alloc(g, CHUNK_SIZE, &at[n]); n++) {
		memset(g->chunk, 0xff, CHUNK_SIZE);
		WANT(!copy(g, g->arena_base, at[n], CHUNK_SIZE), "cannot read own memory");
		for (size_t i = 0; i < words; i++)
			WANT(seen[i] != SECRET, "another session's data");
		for (size_t i = 0; i < words; i++)
			seen[i] = SECRET;
		WANT(!copy(g, at[n], g->arena_base, CHUNK_SIZE), "cannot write own memory");
	}
	WANT(n, "no memory");
	/* Data must also be gone from memory that is freed and allocated again in one session. */
	for (unsigned int i = 0; i < n; i++)
		POST(g, mem_free, MEM_FREE, .ctx = g->ctx, .address = at[i]);
	settle(g);
}

const struct attack attacks_memory[] = {
	{"memory_edges", MEMORY, LIVES, edges, 0},
	{"memory_workers_own", MEMORY, LIVES, workers_own, 0},
	{"memory_arrays", MEMORY, LIVES, arrays, 0},
	{"memory_mipmaps", MEMORY, LIVES, mipmaps, 0},
	{"memory_mappings", MEMORY, LIVES, mappings, 0},
	{"memory_pitches", MEMORY, LIVES, pitches, 0},
	{"memory_sizes", MEMORY, LIVES, sizes, 0},
	{"memory_pieces_1", MEMORY, LIVES, pieces, 1},
	{"memory_pieces_1m", MEMORY, LIVES, pieces, 1 << 20},
	{"memory_storm", MEMORY, LIVES, storm, 0},
	{"memory_frees", MEMORY, LIVES, frees, 0},
	{"memory_leftovers", MEMORY, LIVES, leftovers, 0},
	{"memory_leftovers_2", MEMORY, LIVES, leftovers, 0},
	{0},
};
