/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/dispatch/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"

#define NAME   "usage"
#define MAGIC  0x3145474153555650ull /* "PVUSAGE1" */
#define PLACES 4096u                 /* the file is sparse: unused places take no memory */

struct record {
	char name[40]; /* empty: free */
	struct tenant_stats stats;
};

struct file {
	uint64_t magic, record_size;
	uint64_t n; /* records that were ever used */
	struct record record[PLACES];
};

struct usage {
	struct file *f;
};

static struct file *map(int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	if ((size_t)st.st_size != sizeof(struct file) &&
	    (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(struct file)) < 0))
		return NULL;
	p = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct usage *usage_open(const char *run_dir)
{
	struct usage *u = calloc(1, sizeof(*u));
	char path[CONFIG_PATH + 16];
	int fd;

	if (!u)
		return NULL;
	snprintf(path, sizeof(path), "%.250s/" NAME, run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		u->f = map(fd);
		close(fd);
	}
	if (!u->f) {
		log_warning("%s: %s: statistics of vGPUs are lost when pvgpud ends", path,
			    strerror(errno));
		free(u);
		return NULL;
	}
	/* A new file, or one of another layout. */
	if (u->f->magic != MAGIC || u->f->record_size != sizeof(struct record)) {
		u->f->n = 0;
		u->f->record_size = sizeof(struct record);
		u->f->magic = MAGIC;
	}
	return u;
}

void usage_close(struct usage *u, const char *run_dir, bool remove)
{
	char path[CONFIG_PATH + 16];

	if (!u)
		return;
	munmap(u->f, sizeof(*u->f));
	free(u);
	snprintf(path, sizeof(path), "%.250s/" NAME, run_dir);
	if (remove)
		unlink(path);
}

static struct record *find(struct usage *u, const char *name)
{
	for (unsigned int i = 0; i < u->f->n && i < PLACES; i++) {
		struct record *r = &u->f->record[i];

		if (!strncmp(r->name, name, sizeof(r->name)))
			return r;
	}
	return NULL;
}

struct tenant_stats *usage_of(struct usage *u, const char *name, bool *fresh)
{
	struct record *r = u ? find(u, name) : NULL;

	*fresh = !r;
	if (!u || r)
		return r ? &r->stats : NULL;
	r = find(u, "");
	if (!r && u->f->n < PLACES)
		r = &u->f->record[u->f->n++];
	if (!r)
		return NULL;
	memset(&r->stats, 0, sizeof(r->stats));
	snprintf(r->name, sizeof(r->name), "%s", name);
	return &r->stats;
}

void usage_forget(struct usage *u, const char *name)
{
	struct record *r = u ? find(u, name) : NULL;

	if (r)
		r->name[0] = '\0';
}
