/* SPDX-License-Identifier: MIT */
/*
 * What other processes may open. A handle names the process, its memory file (which the opener
 * finds in /proc) and a place in it, with a secret. A file descriptor for a place is another
 * description of the same file whose position says which place it is: one of those that cuInit
 * opens, because a sandboxed program opens nothing later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/simcuda/driver/share.h"

#define FDS 64u

struct share_page {
	struct share_place place[SHARE_PLACES];
};
static_assert(sizeof(struct share_page) <= SHARE_BYTES, "room for the places");
static_assert(sizeof(struct share_handle) == 64, "as CUDA's");

static const char magic[8] = "simshare";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct share_page *own;
static int own_file = -1;
static struct {
	int fd;
	uint32_t place; /* 0: none */
} desc[FDS];

int share_open(int file)
{
	char path[64];

	own_file = file;
	own = mmap(NULL, SHARE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		   (off_t)VMM_FILE_BYTES);
	if (own == MAP_FAILED)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	for (uint32_t i = 0; i < FDS; i++)
		desc[i].fd = open(path, O_RDWR | O_CLOEXEC);
	return 0;
}

struct share_place *share_at(uint32_t place)
{
	return &own->place[place - 1];
}

uint32_t share_new(const struct share_place *what)
{
	uint32_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < SHARE_PLACES && atomic_load(&own->place[i].used))
		i++;
	if (i < SHARE_PLACES) {
		own->place[i] = *what;
		if (getrandom(own->place[i].secret, sizeof(own->place[i].secret), 0) !=
		    (ssize_t)sizeof(own->place[i].secret))
			i = SHARE_PLACES;
		else
			atomic_store(&own->place[i].used, 1);
	}
	pthread_mutex_unlock(&lock);
	return i < SHARE_PLACES ? i + 1 : 0;
}

bool share_forget(uint32_t place)
{
	struct share_place *p = share_at(place);
	bool others;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < FDS; i++) {
		if (desc[i].place != place)
			continue;
		desc[i].place = 0;
		lseek(desc[i].fd, 0, SEEK_SET);
	}
	atomic_store(&p->left, 1);
	others = atomic_load(&p->others) != 0;
	if (!others)
		atomic_store(&p->used, 0);
	pthread_mutex_unlock(&lock);
	return others;
}

void share_handle_of(uint32_t place, struct share_handle *out)
{
	const struct share_place *p = share_at(place);

	memset(out, 0, sizeof(*out));
	memcpy(out->magic, magic, sizeof(magic));
	out->pid = (uint32_t)getpid();
	out->fd = (uint32_t)own_file;
	out->place = place;
	out->type = p->type;
	memcpy(out->secret, p->secret, sizeof(out->secret));
}

int share_fd(uint32_t place)
{
	uint32_t use = FDS;
	int fd = -1;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < FDS; i++) {
		if (desc[i].place == place || (use == FDS && !desc[i].place && desc[i].fd >= 0))
			use = i;
		if (desc[i].place == place)
			break;
	}
	if (use < FDS && lseek(desc[use].fd, (off_t)(VMM_FILE_BYTES + place), SEEK_SET) >= 0) {
		desc[use].place = place;
		fd = fcntl(desc[use].fd, F_DUPFD_CLOEXEC, 3);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Takes a place of a memory file that is the caller's. */
static CUresult take(int fd, uint32_t place, const unsigned char *secret, enum share_type type,
		     struct share_other *out)
{
	struct share_page *page;
	struct share_place *p;
	struct stat st;
	void *m = NULL;

	if (fstat(fd, &st) || (uint64_t)st.st_size != VMM_FILE_BYTES + SHARE_BYTES || !place ||
	    place > SHARE_PLACES)
		return CUDA_ERROR_INVALID_VALUE;
	page = mmap(NULL, SHARE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)VMM_FILE_BYTES);
	if (page == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	p = &page->place[place - 1];
	if (!atomic_load(&p->used) || atomic_load(&p->left) || p->type != (uint32_t)type ||
	    (secret && memcmp(p->secret, secret, sizeof(p->secret)) != 0)) {
		munmap(page, SHARE_BYTES);
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (p->size)
		m = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)p->offset);
	if (m == MAP_FAILED) {
		munmap(page, SHARE_BYTES);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	atomic_fetch_add(&p->others, 1);
	*out = (struct share_other){page, p, m};
	return CUDA_SUCCESS;
}

CUresult share_take(const struct share_handle *h, enum share_type type, struct share_other *out)
{
	char path[64];
	CUresult r;
	int fd;

	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (h->pid == (uint32_t)getpid())
		return CUDA_ERROR_INVALID_CONTEXT;
	snprintf(path, sizeof(path), "/proc/%u/fd/%u", h->pid, h->fd);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = take(fd, h->place, h->secret, type, out);
	close(fd);
	return r;
}

CUresult share_take_fd(int fd, enum share_type type, struct share_other *out)
{
	const off_t at = lseek(fd, 0, SEEK_CUR);

	if (at < (off_t)VMM_FILE_BYTES)
		return CUDA_ERROR_INVALID_VALUE;
	return take(fd, (uint32_t)((uint64_t)at - VMM_FILE_BYTES), NULL, type, out);
}

void share_drop(struct share_other *o)
{
	struct share_place *p = o->place;

	if (atomic_fetch_sub(&p->others, 1) == 1 && atomic_load(&p->left)) {
		if (o->memory)
			madvise(o->memory, p->size, MADV_REMOVE);
		atomic_store(&p->used, 0);
	}
	if (o->memory)
		munmap(o->memory, p->size);
	munmap(o->page, SHARE_BYTES);
	o->page = NULL;
}
