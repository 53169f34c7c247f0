/* SPDX-License-Identifier: MIT */
/*
 * A worker that a guest has taken over: the worker's own objects, with the calls that ask for
 * permission replaced (ld --wrap). PVGPU_CHEAT, of the form HOW:VGPU, names the kind of cheating
 * and the vGPU; other vGPUs are served honestly. HOW is
 *   silent    never looks at its gate and reports nothing
 *   open      treats its gate as always open, and reports its work
 *   drained   likewise, but always reports that it has no work on the GPU
 *   draining  likewise, but always reports that it drains, without unfinished or issued work
 *   stuck     likewise, always with one kernel that began shortly before pvgpud looks
 *   modest    obeys its gate, and reports that its work takes no time
 *   lease     takes device memory without a lease
 *   fill      makes each of its files block, and fills it
 *   drain     likewise, and reads everything that arrives, before its addressee can
 *   flood     asks for the state of its memory without end
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/frame/frame.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

struct stream;

int __real_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason,
			 size_t cap);
int __wrap_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason,
			 size_t cap);
void __real_gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes,
			uint64_t commands, bool unsure);
void __wrap_gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes,
			uint64_t commands, bool unsure);
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

/* A gate page of the worker's own, always open. */
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

/* Repeats the lie in the page that pvgpud reads, which the gate's own code writes, too. */
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
		/* pvgpud reads the page only after a ring; one that is starved has rings enough. */
		if (!y->drained && i % 64 == 0 && write(y->bell, &one, sizeof(one)) < 0 &&
		    errno != EAGAIN)
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

/* ---- files ---- */

#define FILES  64    /* more than it has */
#define WRITES 16384 /* more than a pipe holds; somebody may be reading it */

static void may_block(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* A count to its maximum, a socket or a pipe until there is no more room. */
static void fill_file(int fd)
{
	const uint64_t most = UINT64_MAX - 1;

	may_block(fd, false);
	for (unsigned int i = 0; i < WRITES && write(fd, &most, sizeof(most)) > 0; i++)
		;
	may_block(fd, true);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode);
}

static void *drain(void *arg)
{
	struct pollfd p = {.fd = (int)(intptr_t)arg, .events = POLLIN};
	char some[4096];

	may_block(p.fd, true);
	while (poll(&p, 1, -1) >= 0 && read(p.fd, some, sizeof(some)) > 0)
		;
	return NULL;
}

/* Its own messages of the memory that is left would fill the socket that it does not read. */
static void *flood(void *arg)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_MEMINFO};

	for (;;)
		if (send(PVGPU_SUP_CONTROL_FD, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			return NULL;
	return NULL;
}

static void begin(void *(*what)(void *), int fd)
{
	pthread_t t;

	if (pthread_create(&t, NULL, what, (void *)(intptr_t)fd))
		abort();
}

/*
 * It wants the GPU, sleeps and rings, and never looks at its guest again. What it says on the
 * control socket is another attack.
 */
static void misuse_files(struct worker *w, int report, int bell)
{
	struct pvgpu_gate_report *r = map(report);
	const bool fills = cheats(w, "fill");
	const uint64_t one = 1;

	__atomic_store_n(&r->drained, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&r->sleeps, 1, __ATOMIC_SEQ_CST);
	for (int fd = 0; !fills && fd < FILES; fd++)
		if (fd != PVGPU_SUP_CONTROL_FD && is_file(fd))
			begin(drain, fd);
	for (unsigned int i = 0;; i++) {
		__atomic_store_n(&r->wants, i / 8 % 2, __ATOMIC_SEQ_CST);
		for (int fd = 0; fills && fd < FILES; fd++)
			if (fd != PVGPU_SUP_CONTROL_FD && is_file(fd))
				fill_file(fd);
		if (!fills && write(bell, &one, sizeof(one)) < 0)
			return;
		/* The next ring would set free who waits for one. */
		usleep(fills || i % 16 ? 200 : 2000000);
	}
}

/* ---- the gate ---- */

/* Pages of the worker's own: a gate that is always open, a report that pvgpud does not read. */
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

	if (cheats(w, "fill") || cheats(w, "drain"))
		misuse_files(w, report, bell);
	if (cheats(w, "flood"))
		begin(flood, -1);
	modest = cheats(w, "modest");
	if (cheats(w, "silent"))
		return take_own(w, report, bell, false, reason, cap);
	if (lies || cheats(w, "drained"))
		begin_story(w, report, bell);
	else if (!cheats(w, "open"))
		return __real_gpu_gate_take(w, gate, report, bell, reason, cap);
	return take_own(w, report, bell, !lies, reason, cap);
}

void __wrap_gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes,
			uint64_t commands, bool unsure)
{
	__real_gate_commit(s, kernel, modest ? 1 : cost, bytes, commands, unsure);
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
