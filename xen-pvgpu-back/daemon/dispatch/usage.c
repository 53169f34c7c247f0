/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/dispatch/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"

#define NAME   "usage"
#define MAGIC  0x3145474153555650ull /* "PVUSAGE1" */
#define PLACES 4096u                 /* the file is sparse: it is reserved in steps */
#define STEP   64u                   /* records that are reserved at once */

/* Above all that is ever counted: 18 years of GPU time; copies of 16 bytes in each nanosecond. */
#define COUNT_MAX (1ull << 59)
#define BYTES_MAX (COUNT_MAX * 16)

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
	int fd;
	unsigned int n;        /* as in the file, which others could write */
	unsigned int reserved; /* records that have room in the file system */
	bool lost_said, full_said;
	char path[CONFIG_PATH + 16];
};

/* The mapped file, for the signal handler on_bus. */
static struct file *volatile guarded;
static volatile sig_atomic_t lost;

/* ---- the file ---- */

/*
 * The file has been truncated, or its file system has failed: a page of ordinary memory takes the
 * place of the one that was lost, and pvgpud goes on.
 */
static void on_bus(int sig, siginfo_t *si, void *context)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t at = (uintptr_t)si->si_addr, from = (uintptr_t)guarded;
	const int saved = errno;

	if (si->si_code == BUS_ADRERR && from && at >= from && at - from < sizeof(struct file) &&
	    mmap((void *)(at & ~(page - 1)), page, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
		lost = 1;
	} else {
		signal(SIGBUS, SIG_DFL);
		raise(SIGBUS);
	}
	errno = saved;
}

static void guard(struct file *f)
{
	struct sigaction a = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};

	guarded = f;
	lost = 0;
	sigemptyset(&a.sa_mask);
	sigaction(SIGBUS, &a, NULL);
}

static void unguard(void)
{
	signal(SIGBUS, SIG_DFL);
	guarded = NULL;
}

void usage_look(struct usage *u)
{
	if (!u || !lost || u->lost_said)
		return;
	u->lost_said = true;
	log_error("%s: the file was truncated, or its file system failed, while pvgpud ran: the "
		  "statistics of vGPUs start again at 0 and are lost when pvgpud ends; restart "
		  "pvgpud, which makes the file again",
		  u->path);
}

/* Makes sure that the first n records have room in the file system: to write to a page that has
 * none is a SIGBUS. False: logged, once until there is room again. */
static bool reserve(struct usage *u, unsigned int n)
{
	const unsigned int want = n > PLACES - STEP ? PLACES : (n + STEP - 1) / STEP * STEP;
	const size_t bytes = offsetof(struct file, record) + want * sizeof(struct record);
	int err;

	if (n <= u->reserved)
		return true;
	err = posix_fallocate(u->fd, 0, (off_t)bytes);
	if (err && !u->full_said)
		log_error("%s: cannot reserve %zu KiB for the statistics of vGPUs: %s: those of "
			  "%s vGPUs are lost when pvgpud ends; make room in the file system of "
			  "run_dir and restart pvgpud",
			  u->path, bytes >> 10, strerror(err), u->reserved ? "new" : "all");
	u->full_said = err != 0;
	if (err)
		return false;
	u->reserved = want;
	return true;
}

static bool sane_times(const struct pvgpu_latency *l)
{
	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++)
		if (l->n[i] > COUNT_MAX)
			return false;
	return true;
}

/* False: the record is damaged. */
static bool sane(const struct record *r)
{
	const struct tenant_stats *s = &r->stats;
	const uint64_t counts[] = {s->gpu_ns,       s->due_ns,          s->wait_ns,
				   s->throttled_ns, s->launches,        s->commands,
				   s->slices,       s->longest_wait_ns, s->rate_ns};

	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i] > COUNT_MAX)
			return false;
	/* The others are not kept on file. */
	return s->copy_bytes <= BYTES_MAX && !s->inflight_ns && !s->promise_ppm && !s->parked &&
	       sane_times(&s->grant_wait) && sane_times(&s->command_wait) &&
	       sane_times(&s->kernels);
}

static void check_records(struct usage *u)
{
	for (unsigned int i = 0; i < u->n; i++) {
		struct record *r = &u->f->record[i];

		r->name[sizeof(r->name) - 1] = '\0';
		if (!r->name[0] || (!check_vgpu_name(r->name) && sane(r)))
			continue;
		if (!check_vgpu_name(r->name))
			log_warning("%s: the record of vgpu %s is damaged: its statistics start "
				    "at 0",
				    u->path, r->name);
		else
			log_warning("%s: record %u is damaged and left out", u->path, i);
		memset(r, 0, sizeof(*r));
	}
}

/* A new file, and one of another layout, begins with no record. 0 or -errno. */
static int begin(struct usage *u)
{
	struct {
		uint64_t magic, record_size, n;
	} head;
	struct stat st;

	if (fstat(u->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size == sizeof(struct file) &&
	    pread(u->fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) && head.magic == MAGIC &&
	    head.record_size == sizeof(struct record) && head.n <= PLACES) {
		u->n = (unsigned int)head.n;
		return 0;
	}
	return ftruncate(u->fd, 0) < 0 || ftruncate(u->fd, sizeof(struct file)) < 0 ? -errno : 0;
}

/* 0, -errno, or 1: failed and logged. */
static int map(struct usage *u)
{
	int err = begin(u);
	void *p;

	if (err)
		return err;
	if (!reserve(u, u->n ? u->n : 1))
		return 1;
	p = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	u->f = p;
	guard(u->f);
	u->f->record_size = sizeof(struct record);
	u->f->n = u->n;
	u->f->magic = MAGIC;
	check_records(u);
	return 0;
}

struct usage *usage_open(const char *run_dir)
{
	struct usage *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return NULL;
	snprintf(u->path, sizeof(u->path), "%.250s/" NAME, run_dir);
	u->fd = open(u->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = u->fd < 0 ? -errno : map(u);
	if (!err)
		return u;
	if (err < 0)
		log_warning("%s: %s: statistics of vGPUs are lost when pvgpud ends", u->path,
			    strerror(-err));
	if (u->fd >= 0)
		close(u->fd);
	free(u);
	return NULL;
}

void usage_close(struct usage *u, bool remove)
{
	if (!u)
		return;
	unguard();
	munmap(u->f, sizeof(*u->f));
	close(u->fd);
	if (remove)
		unlink(u->path);
	free(u);
}

/* ---- records ---- */

static struct record *find(struct usage *u, const char *name)
{
	for (unsigned int i = 0; i < u->n; i++) {
		struct record *r = &u->f->record[i];

		if (!strncmp(r->name, name, sizeof(r->name)))
			return r;
	}
	return NULL;
}

struct tenant_stats *usage_of(struct usage *u, const char *name, bool *fresh)
{
	struct record *r;

	usage_look(u);
	*fresh = true;
	/* A page that replaces a lost one names no vGPU. */
	if (!u || lost)
		return NULL;
	r = find(u, name);
	if (r) {
		*fresh = false;
		return &r->stats;
	}
	r = find(u, "");
	if (!r && u->n < PLACES && reserve(u, u->n + 1)) {
		r = &u->f->record[u->n];
		u->f->n = ++u->n;
	}
	if (!r)
		return NULL;
	memset(&r->stats, 0, sizeof(r->stats));
	snprintf(r->name, sizeof(r->name), "%s", name);
	return &r->stats;
}

void usage_forget(struct usage *u, const char *name)
{
	struct record *r = u && !lost ? find(u, name) : NULL;

	if (r)
		r->name[0] = '\0';
}
