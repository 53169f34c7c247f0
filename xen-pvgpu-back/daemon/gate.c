/* SPDX-License-Identifier: MIT */
/* A worker's gate: two pages, two bells. What the worker says is copied once and clamped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/schedule_state.h"

#define PAGE 4096u

/* More than any GPU does in a nanosecond; what a worker counts beyond is not believed. */
#define BYTES_A_NS    16u /* of copies */
#define COMMANDS_A_US 64u
#define COUNT_SLACK   4096u

#define BELLS         48u /* of a vGPU in a window, before it is not listened to until its end */
#define WINDOW_NS     5000000u

#define LOAD(p)       __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v)   __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

uint64_t schedule_now(void)
{
	return pvgpu_poll_now();
}

/* A page that both have; the worker can shrink neither, and write only the one without `ours`. */
static void *make_page(const char *name, bool ours, int *fd)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | (ours ? F_SEAL_FUTURE_WRITE : 0) | F_SEAL_SEAL;
	void *p = MAP_FAILED;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return NULL;
	if (ftruncate(*fd, PAGE) == 0)
		p = mmap(NULL, PAGE, PROT_READ | (ours ? PROT_WRITE : 0), MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (fcntl(*fd, F_ADD_SEALS, seals) == 0)
		return p;
	munmap(p, PAGE);
	return NULL;
}

static void on_bell(struct ev_loop *loop, ev_io *io, int events)
{
	struct gate *g = io->data;
	struct seat *t = g->seat;
	uint64_t count, now = schedule_now();

	if (read(g->to_pvgpud, &count, sizeof(count)) < 0 && errno == EAGAIN)
		return;
	t->s->wakeups++;
	if (now >= t->window_end) {
		t->window_end = now + WINDOW_NS;
		t->bells = 0;
	}
	if (++t->bells > BELLS + 2 * t->gate_n && !t->muted) {
		t->muted = true;
		t->s->muted++;
	}
	schedule_look(t);
}

static int make_files(struct gate *g, int fds[PVGPU_GATE_FDS])
{
	g->word = make_page("pvgpu-gate", true, &fds[PVGPU_GATE_FD_GATE]);
	g->far = make_page("pvgpu-gate-report", false, &fds[PVGPU_GATE_FD_REPORT]);
	g->to_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->to_pvgpud = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds[PVGPU_GATE_FD_TO_WORKER] = fcntl(g->to_worker, F_DUPFD_CLOEXEC, 0);
	fds[PVGPU_GATE_FD_TO_PVGPUD] = fcntl(g->to_pvgpud, F_DUPFD_CLOEXEC, 0);
	return g->word && g->far && fds[PVGPU_GATE_FD_TO_WORKER] >= 0 &&
			       fds[PVGPU_GATE_FD_TO_PVGPUD] >= 0
		       ? 0
		       : -1;
}

static void free_files(struct gate *g)
{
	if (g->word)
		munmap(g->word, PAGE);
	if (g->far)
		munmap(g->far, PAGE);
	if (g->to_worker >= 0)
		close(g->to_worker);
	if (g->to_pvgpud >= 0)
		close(g->to_pvgpud);
}

struct gate *gate_new(struct seat *t, bool adopted, int fds[PVGPU_GATE_FDS])
{
	struct gate *g = calloc(1, sizeof(*g));
	uint64_t now = schedule_now();

	for (int i = 0; i < PVGPU_GATE_FDS; i++)
		fds[i] = -1;
	if (!g)
		return NULL;
	if (make_files(g, fds) < 0) {
		for (int i = 0; i < PVGPU_GATE_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		free_files(g);
		free(g);
		return NULL;
	}
	g->seat = t;
	g->taken_at = now;
	g->adopted = adopted;
	entitle_init(&g->entitle, adopted, now);
	/* While no pvgpud was there its gate counted as open. */
	g->closing = adopted;
	g->closed_at = adopted ? now : 0;
	gate_set_exclusive(g, t->s->params.exclusive);
	STORE(&g->word->inflight_ns, PVGPU_GATE_ALONE_NS);
	STORE(&g->word->depth, t->policy.depth);
	TAILQ_INSERT_TAIL(&t->gates, g, link);
	schedule_uncount(t);
	t->gate_n++;
	schedule_count(t);
	limits_join(g, now);
	ev_io_init(&g->io, on_bell, g->to_pvgpud, EV_READ);
	g->io.data = g;
	ev_io_start(t->s->loop, &g->io);
	hang_join(g, now);
	schedule_look(t);
	return g;
}

void gate_free(struct gate *g)
{
	struct seat *t = g->seat;

	gate_take(g, schedule_now());
	ev_io_stop(t->s->loop, &g->io);
	TAILQ_REMOVE(&t->gates, g, link);
	schedule_uncount(t);
	t->gate_n--;
	schedule_count(t);
	free_files(g);
	free(g);
	schedule_look(t);
}

/* `drained` last: what it says holds for the numbers, too, which were not less by then. */
void gate_report(const struct gate *g, struct pvgpu_gate_report *out)
{
	const struct pvgpu_gate_report *r = g->far;

	*out = (struct pvgpu_gate_report){0};
	out->wants = LOAD(&r->wants) != 0;
	out->sleeps = LOAD(&r->sleeps) != 0;
	out->inflight_ns = LOAD(&r->inflight_ns);
	out->busy_ns = LOAD(&r->busy_ns);
	out->copy_ns = LOAD(&r->copy_ns);
	out->copy_bytes = LOAD(&r->copy_bytes);
	out->launches = LOAD(&r->launches);
	out->commands = LOAD(&r->commands);
	out->oldest_ns = LOAD(&r->oldest_ns);
	out->drained = LOAD(&r->drained) != 0;
}

/* What has been counted since; no more than there was time for. */
static uint64_t grown(uint64_t then, uint64_t now, uint64_t most)
{
	uint64_t n = now > then ? now - then : 0;

	return n < most ? n : most;
}

static void count(struct gate *g, const struct pvgpu_gate_report *r, uint64_t passed)
{
	const struct pvgpu_gate_report *was = &g->last;
	struct seat *t = g->seat;
	uint64_t most = passed / 1000 * COMMANDS_A_US + COUNT_SLACK;

	t->count->launches += grown(was->launches, r->launches, most);
	t->count->commands += grown(was->commands, r->commands, most);
	t->count->copy_bytes += grown(was->copy_bytes, r->copy_bytes,
				      passed * BYTES_A_NS + (uint64_t)COUNT_SLACK * COUNT_SLACK);
	t->alone_ns += grown(was->busy_ns, r->busy_ns, UINT64_MAX / 4);
	if (t->alone_ns > UINT64_MAX / 4)
		t->alone_ns = UINT64_MAX / 4;
}

void gate_take(struct gate *g, uint64_t now)
{
	struct pvgpu_gate_report r;

	gate_report(g, &r);
	if (!g->adopted) {
		count(g, &r, now - g->taken_at);
	} else if (r.commands || r.drained || r.wants) {
		/* Its first: a former pvgpud has counted that. */
		g->adopted = false;
		limits_based(g, &r);
	}
	g->last = r;
	g->taken_at = now;
	/* It may have been at work up to this report, which `now` may be long before. */
	entitle_gate(&g->entitle, g->open, &r, schedule_now());
	if (g->closing && r.drained)
		g->closing = false;
}

bool gate_wants(const struct gate *g)
{
	if (g->kept || !g->last.wants)
		return false;
	return !limits_used_up(g) || !g->last.drained;
}

bool gate_sleeps(const struct gate *g)
{
	return LOAD(&g->far->sleeps) != 0;
}

void gate_ring(struct gate *g)
{
	const uint64_t one = 1;

	/* Full: it has not been read for 2^64 rings, and will be. */
	if (write(g->to_worker, &one, sizeof(one)) < 0)
		return;
}

/*
 * Since when its work is expected to drain. Where it was opened for a moment only, while it had not
 * drained, and has issued nothing then, that is what was to drain before: it had no turn (hang.c).
 */
static uint64_t closing_from(const struct gate *g, const struct pvgpu_gate_report *r, uint64_t now)
{
	return g->undrained && r->commands <= g->opened_commands ? g->undrained : now;
}

static void closed(struct gate *g, const struct pvgpu_gate_report *r, uint64_t now)
{
	g->open_ns += now - g->opened_at;
	g->closing = !LOAD(&g->far->drained);
	g->closed_at = closing_from(g, r, now);
	/* One that waits for its work only would look when that ends, at the latest. */
	if (g->closing)
		gate_ring(g);
}

void gate_set_open(struct gate *g, bool open, uint64_t now)
{
	struct pvgpu_gate_report r;

	if (open == g->open || (open && g->kept))
		return;
	if (!open)
		STORE(&g->word->open, 0);
	/* After a closing, before an opening: what it issues meanwhile is no cheating. */
	gate_report(g, &r);
	entitle_gate(&g->entitle, open, &r, schedule_now());
	g->open = open;
	if (!open) {
		closed(g, &r, now);
		return;
	}
	STORE(&g->word->open, 1);
	g->opened_at = now;
	g->opened_commands = r.commands;
	g->undrained = g->closing && g->seat != g->seat->s->holder ? g->closed_at : 0;
	g->closing = false;
	if (gate_sleeps(g))
		gate_ring(g);
}

void gate_set_exclusive(struct gate *g, bool exclusive)
{
	STORE(&g->word->exclusive, exclusive);
}

void gate_tell(struct gate *g, bool contended, bool learn, uint64_t inflight_ns)
{
	struct pvgpu_gate *w = g->word;
	bool raised = contended && !w->contended;

	if (w->inflight_ns != inflight_ns) {
		bool more = inflight_ns > w->inflight_ns;

		STORE(&w->inflight_ns, inflight_ns);
		raised |= more && gate_sleeps(g);
	}
	if (w->contended != contended)
		STORE(&w->contended, contended);
	if (w->learn != learn)
		STORE(&w->learn, learn);
	if (raised)
		gate_ring(g);
}

void gate_keep_closed(struct gate *g, bool on)
{
	uint64_t now = schedule_now();

	g->kept = on;
	if (on)
		gate_set_open(g, false, now);
	else
		hang_join(g, now);
	schedule_look(g->seat);
}

uint64_t gate_closing_since(const struct gate *g)
{
	uint64_t since = g->closing ? g->closed_at : 0;

	/* In such a moment, too: what others had meanwhile would be forgotten with it. */
	if (g->open && LOAD(&g->far->commands) <= g->opened_commands)
		since = g->undrained;
	return since && !LOAD(&g->far->drained) ? since : 0;
}

uint64_t gate_open_time(const struct gate *g)
{
	return g->open_ns + (g->open ? schedule_now() - g->opened_at : 0);
}

uint64_t gate_granted_time(struct gate *g, uint64_t *now)
{
	struct pvgpu_gate_report r;

	/* Nobody may have looked at it for long. */
	gate_report(g, &r);
	*now = schedule_now();
	entitle_gate(&g->entitle, g->open, &r, *now);
	return entitle_ns(&g->entitle, *now);
}

bool gate_is_open(const struct gate *g)
{
	return g->open;
}
