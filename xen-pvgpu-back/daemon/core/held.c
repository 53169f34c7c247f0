/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/core/held.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/config/config.h"

#define NAME   "held"
#define MAGIC  0x31444c4548475650ull /* "PVGHELD1" */
#define PLACES 8192u                 /* the file is sparse: unused places take no memory */
#define WORD   64u
#define READ   256u /* chunks read at once: a page */

/* Above all that is ever granted: a record with more is damaged. */
#define PAGES_MAX  (1u << 16)
#define LEASED_MAX (1ull << 50)

/* On file, one after the other: the magic number, then a place for each session. */
#define PLACE_BYTES (4096u + HELD_CHUNKS * (unsigned int)sizeof(struct held_chunk))
#define FIRST       4096u

static_assert(sizeof(struct held_session) == 120 && sizeof(struct held_chunk) == 16, "on file");
static_assert(HELD_DEVICE == CONFIG_GPU, "a pool's device");

struct held_file {
	int fd;
	uint32_t id[PLACES]; /* as on file */
	bool taken[PLACES];
	unsigned int n; /* places that were ever used */
};

struct held {
	struct held_file *f;
	unsigned int place;
	struct held_session s;
	uint64_t used[HELD_CHUNKS / WORD];
};

static off_t place_at(unsigned int place)
{
	return FIRST + (off_t)place * PLACE_BYTES;
}

static off_t chunk_at(const struct held *h, unsigned int i)
{
	return place_at(h->place) + 4096 + (off_t)i * (off_t)sizeof(struct held_chunk);
}

static int put(int fd, const void *from, size_t n, off_t at)
{
	const ssize_t r = pwrite(fd, from, n, at);

	if (r == (ssize_t)n)
		return 0;
	return r < 0 ? -errno : -ENOSPC;
}

static bool get(int fd, void *to, size_t n, off_t at)
{
	return pread(fd, to, n, at) == (ssize_t)n;
}

/* A record of an earlier build has no user, no worker, no device, or does not say that it was
 * closed. */
static bool get_session(const struct held_file *f, struct held_session *s, unsigned int place)
{
	memset(s, 0, sizeof(*s));
	return pread(f->fd, s, sizeof(*s), place_at(place)) >=
	       (ssize_t)offsetof(struct held_session, user);
}

/* A place's chunks are gone from the file, too. */
static void clear(struct held_file *f, unsigned int place)
{
	const struct held_session none = {0};

	f->id[place] = 0;
	f->taken[place] = false;
	put(f->fd, &none, sizeof(none), place_at(place));
	fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place_at(place), PLACE_BYTES);
}

static void read_all(struct held_file *f, off_t size)
{
	struct held_session s;

	for (unsigned int i = 0; i < PLACES && place_at(i) < size; i++) {
		if (!get_session(f, &s, i))
			break;
		f->id[i] = s.id;
		f->n = i + 1;
	}
}

/* 0 or -errno. A file of another layout begins anew. */
static int begin(struct held_file *f)
{
	const uint64_t magic = MAGIC;
	struct stat st;
	uint64_t there;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (get(f->fd, &there, sizeof(there), 0) && there == MAGIC) {
		read_all(f, st.st_size);
		return 0;
	}
	if (ftruncate(f->fd, 0) < 0)
		return -errno;
	return put(f->fd, &magic, sizeof(magic), 0);
}

static void path_of(const char *run_dir, char out[CONFIG_PATH + 16])
{
	snprintf(out, CONFIG_PATH + 16, "%.250s/" NAME, run_dir);
}

struct held_file *held_open(const char *run_dir)
{
	struct held_file *f = calloc(1, sizeof(*f));
	char path[CONFIG_PATH + 16];
	int err;

	if (!f)
		return NULL;
	path_of(run_dir, path);
	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = f->fd < 0 ? -errno : begin(f);
	if (!err)
		return f;
	if (f->fd >= 0)
		close(f->fd);
	free(f);
	errno = -err;
	return NULL;
}

void held_close(struct held_file *f, const char *run_dir, bool remove)
{
	char path[CONFIG_PATH + 16];

	if (!f)
		return;
	close(f->fd);
	free(f);
	path_of(run_dir, path);
	if (remove)
		unlink(path);
}

/* ---- sessions ---- */

static struct held *make(struct held_file *f, unsigned int place)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->f = f;
	h->place = place;
	f->taken[place] = true;
	return h;
}

struct held *held_begin(struct held_file *f, const struct held_session *s)
{
	unsigned int i = 0;
	struct held *h;

	while (i < f->n && f->id[i])
		i++;
	if (i == PLACES)
		return NULL;
	h = make(f, i);
	if (!h)
		return NULL;
	h->s = *s;
	if (put(f->fd, s, sizeof(*s), place_at(i))) {
		clear(f, i);
		free(h);
		return NULL;
	}
	f->id[i] = s->id;
	if (i == f->n)
		f->n++;
	return h;
}

/* The first chunk from `i` on that is on file; HELD_CHUNKS: none. Most places have few, and the
 * file has holes for the others. */
static unsigned int on_file(const struct held *h, unsigned int i)
{
	const off_t at = lseek(h->f->fd, chunk_at(h, i), SEEK_DATA);

	/* A file system that knows no holes: all is read. ENXIO: behind the end of the file. */
	if (at < 0)
		return errno == ENXIO ? HELD_CHUNKS : i;
	if (at >= chunk_at(h, HELD_CHUNKS))
		return HELD_CHUNKS;
	return (unsigned int)((at - chunk_at(h, 0)) / (off_t)sizeof(struct held_chunk)) / READ *
	       READ;
}

/* False: it is damaged. */
static bool read_place(struct held *h)
{
	struct held_chunk c[READ];
	int fd = h->f->fd;

	if (!get_session(h->f, &h->s, h->place) || h->s.ring_pages > PAGES_MAX ||
	    h->s.leased > LEASED_MAX)
		return false;
	for (unsigned int i = on_file(h, 0); i < HELD_CHUNKS; i = on_file(h, i + READ)) {
		/* Behind the end of the file there are none. */
		memset(c, 0, sizeof(c));
		if (pread(fd, c, sizeof(c), chunk_at(h, i)) <= 0)
			break;
		for (unsigned int k = 0; k < READ; k++) {
			if (c[k].pages > PAGES_MAX || c[k].state > HELD_MAPPING)
				return false;
			if (c[k].pages)
				h->used[(i + k) / WORD] |= 1ull << k % WORD;
		}
	}
	return true;
}

/* f->n: there is none. */
static unsigned int find(const struct held_file *f, uint32_t id)
{
	unsigned int i = 0;

	while (i < f->n && (f->id[i] != id || f->taken[i]))
		i++;
	return i;
}

void held_device(const struct held_file *f, uint32_t id, char out[HELD_DEVICE])
{
	const unsigned int i = id ? find(f, id) : f->n;
	struct held_session s;

	memset(out, 0, HELD_DEVICE);
	if (i < f->n && get_session(f, &s, i))
		memcpy(out, s.device, HELD_DEVICE - 1);
}

struct held *held_take(struct held_file *f, uint32_t id)
{
	const unsigned int i = find(f, id);
	struct held *h;

	h = id && i < f->n ? make(f, i) : NULL;
	if (!h)
		return NULL;
	if (read_place(h))
		return h;
	clear(f, i);
	free(h);
	return NULL;
}

bool held_rest(struct held_file *f, struct held_session *out)
{
	for (unsigned int i = 0; f && i < f->n; i++) {
		if (!f->id[i] || f->taken[i])
			continue;
		if (!get_session(f, out, i))
			memset(out, 0, sizeof(*out));
		clear(f, i);
		return true;
	}
	return false;
}

void held_end(struct held *h)
{
	if (!h)
		return;
	clear(h->f, h->place);
	free(h);
}

void held_leave(struct held *h)
{
	free(h);
}

const struct held_session *held_session(const struct held *h)
{
	return &h->s;
}

int held_set_leased(struct held *h, uint64_t bytes)
{
	int err;

	if (!h)
		return 0;
	err = put(h->f->fd, &bytes, sizeof(bytes),
		  place_at(h->place) + (off_t)offsetof(struct held_session, leased));
	if (!err)
		h->s.leased = bytes;
	return err;
}

void held_set_closed(struct held *h)
{
	const uint64_t closed = 1;

	if (h && !put(h->f->fd, &closed, sizeof(closed),
		      place_at(h->place) + (off_t)offsetof(struct held_session, closed)))
		h->s.closed = closed;
}

/* ---- chunks ---- */

int held_add(struct held *h, uint64_t address, uint32_t pages)
{
	const struct held_chunk c = {.address = address, .pages = pages, .state = HELD_MAPPING};
	unsigned int i = 0;
	int err;

	if (!h)
		return 0;
	while (i < HELD_CHUNKS / WORD && !~h->used[i])
		i++;
	if (i == HELD_CHUNKS / WORD)
		return -ENOSPC;
	i = i * WORD + (unsigned int)__builtin_ctzll(~h->used[i]);
	err = put(h->f->fd, &c, sizeof(c), chunk_at(h, i));
	if (err)
		return err;
	h->used[i / WORD] |= 1ull << i % WORD;
	return (int)i;
}

void held_mark(struct held *h, int place, enum held_state state)
{
	const uint32_t v = state;

	if (h)
		put(h->f->fd, &v, sizeof(v),
		    chunk_at(h, (unsigned int)place) + (off_t)offsetof(struct held_chunk, state));
}

void held_remove(struct held *h, int place)
{
	const struct held_chunk none = {0};

	if (!h)
		return;
	put(h->f->fd, &none, sizeof(none), chunk_at(h, (unsigned int)place));
	h->used[place / (int)WORD] &= ~(1ull << place % (int)WORD);
}

uint64_t held_number(const struct held *h, int place)
{
	return h ? (uint64_t)h->place * HELD_CHUNKS + (unsigned int)place : UINT32_MAX;
}

unsigned int held_next(const struct held *h, unsigned int from)
{
	while (h && from < HELD_CHUNKS) {
		const uint64_t rest = h->used[from / WORD] >> from % WORD;

		if (rest)
			return from + (unsigned int)__builtin_ctzll(rest);
		from = (from / WORD + 1) * WORD;
	}
	return HELD_CHUNKS;
}

bool held_chunk(const struct held *h, unsigned int place, struct held_chunk *out)
{
	return h && place < HELD_CHUNKS && h->used[place / WORD] >> place % WORD & 1 &&
	       get(h->f->fd, out, sizeof(*out), chunk_at(h, place)) && out->pages;
}
