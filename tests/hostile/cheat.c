/* SPDX-License-Identifier: MIT */
/*
 * A worker that a guest has taken over: the worker's own objects, with the calls that ask for
 * permission replaced (ld --wrap). PVGPU_CHEAT, of the form HOW:VGPU, says how, and for which vGPU;
 * all others are served honestly. HOW is
 *   silent    it never looks at its gate and reports nothing
 *   open      it takes its gate to be always open, and reports what it does
 *   drained   likewise, but keeps saying that nothing of it is on the GPU
 *   modest    it keeps to its gate, and says that its work takes no time
 *   lease     it takes device memory without a lease
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static void *say_drained(void *arg)
{
	struct pvgpu_gate_report *r = arg;

	for (;;) {
		__atomic_store_n(&r->wants, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&r->drained, 1, __ATOMIC_SEQ_CST);
		usleep(200);
	}
	return NULL;
}

int __wrap_gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason, size_t cap)
{
	pthread_t t;
	int own, r;

	modest = cheats(w, "modest");
	if (cheats(w, "silent"))
		return 0;
	if (!cheats(w, "open") && !cheats(w, "drained"))
		return __real_gpu_gate_take(w, gate, report, bell, reason, cap);
	if (cheats(w, "drained") && pthread_create(&t, NULL, say_drained, map(report)))
		abort();
	own = own_gate();
	r = __real_gpu_gate_take(w, own, report, bell, reason, cap);
	close(own);
	return r;
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
