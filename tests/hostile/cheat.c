/* SPDX-License-Identifier: MIT */
/*
 * A worker that a guest has taken over: the worker's own objects, with the calls that ask for
 * permission replaced (ld --wrap). PVGPU_CHEAT, of the form HOW:VGPU, says how, and for which vGPU;
 * all others are served honestly. HOW is
 *   silent    it never looks at its gate and reports nothing
 *   open      it takes its gate to be always open, and reports what it does
 *   drained   likewise, but keeps saying that nothing of it is on the GPU
 *   draining  likewise, but keeps saying that it drains, with nothing unfinished or issued
 *   stuck     likewise, with one kernel that began some time before it is looked at, each time
 *   modest    it keeps to its gate, and says that its work takes no time
 *   lease     it takes device memory without a lease
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/gate.h"
#include "xen-pvgpu-back/worker/frame.h"
#include "xen-pvgpu-back/worker/gpu.h"

struct stream;

int __real_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason,
			 size_t cap);
int __wrap_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason,
			 size_t cap);
void __real_gate_issued(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes);
void __wrap_gate_issued(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes);
bool __real_lease_get(struct worker *w, uint64_t bytes);
bool __wrap_lease_get(struct worker *w, uint64_t bytes);
void __real_lease_put(struct worker *w, uint64_t bytes);
void __wrap_lease_put(struct worker *w, uint64_t bytes);

static bool modest; /* this process does */

static bool cheats(struct worker *w, const char *how)
{
	const char *text = getenv("PVGPU_CHEAT");
	size_t n = strlen(how);

	return text && !strncmp(text, how, n) && text[n] == ':' &&
	       !strcmp(text + n + 1, worker_info(w)->vgpu);
}

static void *map(int fd)
{
	void *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

/* A page of its own, on which everything is allowed. */
static int own_gate(void)
{
	const struct pvgpu_gate all = {
		.open = 1,
		.inflight_ns = PVGPU_GATE_NO_LIMIT,
		.commands = PVGPU_GATE_NO_LIMIT,
		.bytes = PVGPU_GATE_NO_LIMIT,
	};
	int fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sysconf(_SC_PAGESIZE)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		abort();
	memcpy(map(fd), &all, sizeof(all));
	return fd;
}

struct story {
	struct pvgpu_gate_report *r;
	int bell;
	bool drained, unfinished;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The same of a page that pvgpud reads, and that the gate's own code may write as well. */
static void *tell(void *arg)
{
	struct story *y = arg;
	const uint64_t one = 1;

	for (unsigned int i = 0;; i++) {
		if (!y->drained) {
			__atomic_store_n(&y->r->commands, 7, __ATOMIC_SEQ_CST);
			__atomic_store_n(&y->r->inflight_ns, 100000, __ATOMIC_SEQ_CST);
			__atomic_store_n(&y->r->oldest_ns, y->unfinished ? now_ns() - 1000000 : 0,
					 __ATOMIC_SEQ_CST);
		}
		__atomic_store_n(&y->r->wants, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&y->r->drained, y->drained, __ATOMIC_SEQ_CST);
		/* Nobody looks at one that never rings. */
		if (!y->drained && i % 64 == 0 && write(y->bell, &one, sizeof(one)) < 0)
			abort();
		usleep(200);
	}
	return NULL;
}

static void begin_story(struct worker *w, int report, int bell)
{
	static struct story y;
	pthread_t t;

	y = (struct story){.r = map(report),
			   .bell = fcntl(bell, F_DUPFD_CLOEXEC, 0),
			   .drained = cheats(w, "drained"),
			   .unfinished = cheats(w, "stuck")};
	if (y.bell < 0 || pthread_create(&t, NULL, tell, &y))
		abort();
}

/* Pages of its own: one on which everything is allowed, one that nobody reads. */
static int take_own(struct worker *w, int report, int bell, bool tells, char *reason, size_t cap)
{
	int own = own_gate(), unread = own_gate(), r;

	r = __real_gpu_gate_take(w, own, tells ? report : unread, bell, reason, cap);
	close(own);
	close(unread);
	return r;
}

int __wrap_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason, size_t cap)
{
	const bool lies = cheats(w, "draining") || cheats(w, "stuck");

	modest = cheats(w, "modest");
	if (cheats(w, "silent"))
		return take_own(w, report, bell, false, reason, cap);
	if (lies || cheats(w, "drained"))
		begin_story(w, report, bell);
	else if (!cheats(w, "open"))
		return __real_gpu_gate_take(w, gate, report, bell, reason, cap);
	return take_own(w, report, bell, !lies, reason, cap);
}

void __wrap_gate_issued(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes)
{
	__real_gate_issued(s, kernel, modest ? 1 : cost, bytes);
}

bool __wrap_lease_get(struct worker *w, uint64_t bytes)
{
	return cheats(w, "lease") || __real_lease_get(w, bytes);
}

void __wrap_lease_put(struct worker *w, uint64_t bytes)
{
	if (!cheats(w, "lease"))
		__real_lease_put(w, bytes);
}
