/* SPDX-License-Identifier: MIT */
/* Chunks of a session's arena that overlap, lie about their size, are removed twice or never were,
 * before and after a restart of pvgpud. */
#include "tests/hostile/xen/attack.h"

#include <errno.h>
#include <string.h>

#define SIZE      (CHUNK_PAGES * (uint64_t)PAGE)
#define NEVER_REF 0x7ffffff0u
#define ANY_ERROR (-2)

static int send_chunk(struct front *f, uint32_t op, uint64_t address, uint64_t size, uint32_t dir)
{
	struct pvgpu_ctl_msg m = seat_chunk_msg(attack_seat, op, address, size, dir);
	const int r = front_call(f, &m);

	attack_said(f);
	return r;
}

static void add(struct front *f, uint64_t address, uint64_t size, int wanted)
{
	const int r =
		send_chunk(f, PVGPU_CTL_CHUNK_ADD, address, size, attack_seat->chunk_dir.ref[0]);

	if (wanted == ANY_ERROR)
		WANT(r, "a chunk of %#llx bytes at %#llx was added", (unsigned long long)size,
		     (unsigned long long)address);
	else
		WANT(r == wanted, "a chunk of %#llx bytes at %#llx: error %d",
		     (unsigned long long)size, (unsigned long long)address, r);
}

static void drop(struct front *f, uint64_t address, uint64_t size, int wanted)
{
	const int r = send_chunk(f, PVGPU_CTL_CHUNK_REMOVE, address, size, 0);

	WANT(r == wanted, "removing %#llx bytes at %#llx: error %d", (unsigned long long)size,
	     (unsigned long long)address, r);
}

static uint64_t base(void)
{
	return attack_seat->g.arena_base;
}

/* Another chunk that shares pages with the one that is there. */
static void overlap(struct front *f)
{
	add(f, base() + PAGE, SIZE, EEXIST);
	add(f, base() + SIZE - PAGE, SIZE, EEXIST);
	add(f, base(), SIZE / 2, EEXIST);
	add(f, base(), SIZE * 2, EEXIST);
	add(f, base() + PAGE, PAGE, EEXIST);
	add(f, base(), SIZE, 0); /* the same: it is there */
	WANT(seat_answers(attack_seat), "the session was ended");
}

/* A shape that no chunk has. Each is a breach, and the session goes on. */
static void shapes(struct front *f)
{
	add(f, base() + SIZE, 0, EPROTO);
	add(f, base() + SIZE, PAGE - 1, EPROTO);
	add(f, base() + SIZE + 1, PAGE, EPROTO);
	add(f, base() + SIZE, PVGPU_CTL_CHUNK_MAX + (uint64_t)PAGE, EPROTO);
	add(f, base() + SIZE, ~0ull << 12, EPROTO);
	add(f, ~0ull << 12, 2 * (uint64_t)PAGE, EPROTO);
	drop(f, base(), 0, EPROTO);
	WANT(send_chunk(f, PVGPU_CTL_CHUNK_REMOVE, base(), SIZE, 5) == EPROTO,
	     "a removal with a directory");
	WANT(seat_answers(attack_seat), "the session was ended");
}

/* An address outside the arena: the worker refuses it. */
static void elsewhere(struct front *f)
{
	const struct guest *g = &attack_seat->g;
	const uint64_t at[] = {0, PAGE, g->device_base, g->arena_base - SIZE,
			       g->arena_base + g->arena_size};

	add(f, at[attack->arg], SIZE, ANY_ERROR);
}

enum { NEVER, REVOKED, FOREIGN, UNWRITABLE, ZERO, DIR_NEVER, DIR_ZERO };

static void references(struct front *f)
{
	struct seat *s = attack_seat;
	struct pages p = {0}, set, dir;

	pages_grant(&set, f->back, CHUNK_PAGES, 0);
	dir_make(f, &dir, &set);
	if (attack->arg == REVOKED || attack->arg == FOREIGN || attack->arg == UNWRITABLE)
		pages_grant(&p, attack->arg == FOREIGN ? f->other : f->back, 1,
			    attack->arg == UNWRITABLE ? READ_ONLY : 0);
	dir_page(&dir)->ref[CHUNK_PAGES / 2] = attack->arg == ZERO ? 0 : p.n ? p.ref[0] : NEVER_REF;
	if (attack->arg == REVOKED)
		pages_end(&p);
	WANT(send_chunk(f, PVGPU_CTL_CHUNK_ADD, s->g.arena_base + SIZE, SIZE,
			attack->arg == DIR_NEVER  ? NEVER_REF
			: attack->arg == DIR_ZERO ? 0
						  : dir.ref[0]),
	     "the chunk was added");
	pages_end(&p);
	/* The worker may have mapped a part of it: it keeps that until its session ends. */
	WANT(seat_answers(s), "the session was ended: %s", f->said);
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	pages_end(&dir);
	pages_end(&set);
}

/* A directory that goes round in a circle: few pages for a large chunk. */
static void circle(struct front *f)
{
	struct seat *s = attack_seat;
	struct pages set, dir;
	int r;

	pages_grant(&set, f->back, SET_MAX, 0);
	dir_make(f, &dir, &set);
	dir_page(&dir)->next = dir.ref[0];
	r = send_chunk(f, PVGPU_CTL_CHUNK_ADD, s->g.arena_base + SIZE, (uint64_t)attack->arg << 20,
		       dir.ref[0]);
	guest_acts++;
	attack_scene("neighbour");
	WANT(!r || seat_answers(s), "the session was ended: %s", f->said);
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	pages_end(&dir);
	pages_end(&set);
}

/* The directory says that it ends before the chunk does. */
static void short_directory(struct front *f)
{
	struct pages set, dir;

	pages_grant(&set, f->back, PVGPU_DIR_REFS, 0);
	dir_make(f, &dir, &set);
	WANT(send_chunk(f, PVGPU_CTL_CHUNK_ADD, base() + SIZE, 8ull << 20, dir.ref[0]) == EPROTO,
	     "the chunk was not refused");
	WANT(seat_answers(attack_seat), "the session was ended");
	pages_end(&dir);
	pages_end(&set);
}

/* Removals of chunks that never were, that were removed, and of parts. */
static void removals(struct front *f)
{
	drop(f, base() + 16 * SIZE, SIZE, 0);
	drop(f, base(), SIZE / 2, EINVAL);
	drop(f, base() + PAGE, PAGE, EINVAL);
	drop(f, base(), SIZE, 0);
	drop(f, base(), SIZE, 0);
	drop(f, base(), SIZE, 0);
	add(f, base(), SIZE, 0);
	drop(f, base(), SIZE, 0);
	WANT(seat_answers(attack_seat), "the session was ended");
}

/* What is counted stays counted: beyond the limit nothing is mapped, whatever was "removed". */
static void uncount(struct front *f)
{
	const uint64_t limit = attack_seat->g.arena_limit;

	if (attack->text)
		attack_scene(attack->text);
	for (unsigned int i = 0; i < 64; i++)
		drop(f, base() + SIZE + i * SIZE, SIZE, 0);
	if (limit % PVGPU_CTL_CHUNK_MAX || limit > PVGPU_CTL_CHUNK_MAX)
		WANT(0, "this attack needs an arena-limit of %u bytes", PVGPU_CTL_CHUNK_MAX);
	/* With the chunk that is there this is one chunk too much. */
	add(f, base() + SIZE, limit - SIZE + PAGE, ENOMEM);
	drop(f, base() + PAGE, SIZE, EINVAL);
	add(f, base() + PAGE, SIZE, EEXIST);
	add(f, base(), SIZE, 0);
	WANT(seat_answers(attack_seat), "the session was ended");
	drop(f, base(), SIZE, 0);
	drop(f, base(), SIZE, 0);
}

/* A chunk whose session is none, is not open yet, or has been closed. */
static void no_session(struct front *f)
{
	struct seat *s = attack_seat;
	const uint32_t number = s->number;

	s->number = 0x7ffffff3u;
	add(f, base() + SIZE, SIZE, ENOENT);
	drop(f, base(), SIZE, 0);
	s->number = number;
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	add(f, base() + SIZE, SIZE, ENOENT);
	drop(f, base(), SIZE, 0);
}

/* Closed while a large chunk is being mapped. */
static void closed_growing(struct front *f)
{
	struct seat *s = attack_seat;
	struct pvgpu_ctl_msg m;
	struct ask *a;
	int r;

	pages_grant(&s->chunk, f->back, SET_MAX, 0);
	dir_make(f, &s->chunk_dir, &s->chunk);
	dir_page(&s->chunk_dir)->next = s->chunk_dir.ref[0];
	m = seat_chunk_msg(s, PVGPU_CTL_CHUNK_ADD, s->g.arena_base, 64ull << 20,
			   s->chunk_dir.ref[0]);
	a = front_send(f, &m);
	WANT(seat_close(s) == 0, "not closed: %s", f->said);
	r = front_wait(f, a);
	WANT(r, "a chunk was added to a session that was closed");
	attack_said(f);
}

#define OUTSIDE "log ended: chunk of 262144 bytes at [0-9a-fx]+ outside the arena window"
#define NO_MAP  "log its guest broke the protocol: grants of a chunk that cannot be mapped"

const struct attack attacks_chunk[] = {
	{"chunk_overlap", CHUNKED, LIVES, overlap, 0, NULL, "answer chunk at 0x[0-9a-f]+ is there"},
	{"chunk_shapes", CHUNKED, LIVES, shapes, 0, NULL,
	 "log its guest broke the protocol: chunk of"},
	{"chunk_at_0", CHUNKED, LIVES, elsewhere, 0, NULL, OUTSIDE},
	{"chunk_at_4096", CHUNKED, LIVES, elsewhere, 1, NULL, OUTSIDE},
	{"chunk_in_device", CHUNKED, LIVES, elsewhere, 2, NULL, OUTSIDE},
	{"chunk_before", CHUNKED, LIVES, elsewhere, 3, NULL, OUTSIDE},
	{"chunk_behind", CHUNKED, LIVES, elsewhere, 4, NULL, OUTSIDE},
	{"chunk_never", SETTLED, LIVES, references, NEVER, NULL, NO_MAP},
	{"chunk_revoked", SETTLED, LIVES, references, REVOKED, NULL, NO_MAP},
	{"chunk_foreign", SETTLED, LIVES, references, FOREIGN, NULL, NO_MAP},
	{"chunk_read_only", SETTLED, LIVES, references, UNWRITABLE, NULL, NO_MAP},
	{"chunk_zero", SETTLED, LIVES, references, ZERO, NULL, "answer grant 0 for page 32"},
	{"chunk_dir_never", SETTLED, LIVES, references, DIR_NEVER, NULL,
	 "answer grant [0-9]+: directory unreadable: "},
	{"chunk_dir_zero", SETTLED, LIVES, references, DIR_ZERO, NULL,
	 "answer directory ends after 0 of 64 grants"},
	{"chunk_circle_16", SETTLED, LIVES, circle, 16, NULL, NULL},
	{"chunk_circle_128", SETTLED, LIVES, circle, 128, NULL, NULL},
	{"chunk_short", CHUNKED, LIVES, short_directory, 0, NULL,
	 "answer directory ends after 1022 of"},
	{"chunk_removals", CHUNKED, LIVES, removals, 0, NULL, "answer chunk at 0x[0-9a-f]+ has"},
	{"chunk_uncount", CHUNKED, LIVES, uncount, 0, NULL, "answer arena_limit of [0-9]+ MiB"},
	{"chunk_uncount_kill", CHUNKED, LIVES, uncount, 0, "kill",
	 "answer arena_limit of [0-9]+ MiB"},
	{"chunk_uncount_restart", CHUNKED, LIVES, uncount, 0, "restart",
	 "answer arena_limit of [0-9]+ MiB"},
	{"chunk_no_session", CHUNKED, LIVES, no_session, 0, NULL,
	 "answer session [0-9]+ is not open"},
	{"chunk_closed_growing", SETTLED, LIVES, closed_growing, 0, NULL,
	 "answer the session (is ending|has ended)"},
	{0}};
