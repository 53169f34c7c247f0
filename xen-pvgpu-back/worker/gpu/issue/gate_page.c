/* SPDX-License-Identifier: MIT */
/* The gate's pages, which pvgpud makes, and what holds while there are none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The rules before the first page has come; */
const struct pvgpu_gate gate_page_own = {
	.open = 1,
	.inflight_ns = PVGPU_GATE_NO_LIMIT,
	.commands = PVGPU_GATE_NO_LIMIT,
	.bytes = PVGPU_GATE_NO_LIMIT,
};
/* while there is no pvgpud; */
static const struct pvgpu_gate page_open = {
	.open = 1,
	.inflight_ns = PVGPU_GATE_ALONE_NS,
	.commands = PVGPU_GATE_NO_LIMIT,
	.bytes = PVGPU_GATE_NO_LIMIT,
};
/* and in an exclusive pool without pvgpud, or while its page is on its way. */
static const struct pvgpu_gate page_shut = {
	.exclusive = 1,
	.inflight_ns = PVGPU_GATE_NO_LIMIT,
	.commands = PVGPU_GATE_NO_LIMIT,
	.bytes = PVGPU_GATE_NO_LIMIT,
};

static void unmap(struct gate *t)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (t->page_map)
		munmap(t->page_map, page);
	if (t->report_map)
		munmap(t->report_map, page);
	t->page_map = NULL;
	t->report_map = NULL;
	if (t->bell >= 0)
		close(t->bell);
	t->bell = -1;
}

void gate_page_drop(struct gpu *g)
{
	struct gate *t = &g->gate;

	t->page = &gate_page_own;
	gate_set_report(g, &t->unread);
	unmap(t);
}

/* A page of a file that cannot get smaller under us. */
static void *map_page(int fd, int prot, const char *what, char *reason, size_t cap)
{
	const long page = sysconf(_SC_PAGESIZE);
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
		snprintf(reason, cap, "the %s page is not a memfd with F_SEAL_SHRINK", what);
		return NULL;
	}
	if (fstat(fd, &st) < 0 || st.st_size != page) {
		snprintf(reason, cap, "the %s page's file is of %lld bytes: must be %ld", what,
			 (long long)st.st_size, page);
		return NULL;
	}
	p = mmap(NULL, (size_t)page, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		snprintf(reason, cap, "cannot map the %s page: %s", what, strerror(errno));
		return NULL;
	}
	return p;
}

int gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason, size_t cap)
{
	struct gpu *g = worker_gpu(w);
	struct gate *t = &g->gate;
	struct pvgpu_gate *p = map_page(gate, PROT_READ, "gate's", reason, cap);
	struct pvgpu_gate_report *r = NULL;
	int own = -1;

	if (!p)
		return -1;
	r = map_page(report, PROT_READ | PROT_WRITE, "gate report's", reason, cap);
	if (!r)
		goto out_page;
	own = fcntl(bell, F_DUPFD_CLOEXEC, 0);
	if (own < 0) {
		snprintf(reason, cap, "cannot keep the gate's bell: %s", strerror(errno));
		goto out_report;
	}
	gate_set_report(g, r);
	unmap(t);
	t->page = t->page_map = p;
	t->report_map = r;
	t->bell = own;
	gate_tell_all(g);
	gpu_gate_look(w, true);
	return 0;

out_report:
	munmap(r, (size_t)sysconf(_SC_PAGESIZE));
out_page:
	munmap(p, (size_t)sysconf(_SC_PAGESIZE));
	return -1;
}

void gpu_gate_await(struct worker *w)
{
	worker_gpu(w)->gate.page = &page_shut;
}

void gpu_gate_lost(struct worker *w)
{
	struct gate *t = &worker_gpu(w)->gate;

	/* The report stays where it is until there is a new one. */
	t->page = gate_word(&t->page->exclusive) ? &page_shut : &page_open;
	if (t->bell >= 0)
		close(t->bell);
	t->bell = -1;
	gpu_gate_look(w, false);
}
