/* SPDX-License-Identifier: MIT */
/* A worker's gate: two pages, two eventfds. The worker's report is copied once and clamped. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define PAGE 4096u

_Static_assert(TURN_ALONE_NS == PVGPU_GATE_ALONE_NS, "the window of a vGPU alone");

/* More than any GPU can do: higher counts of a worker are clamped. */
#define BYTES_A_NS    16u /* of copies */
#define COMMANDS_A_US 64u
#define COUNT_SLACK   4096u

#define BELLS         48u /* of a vGPU in a window; after these it is muted until the window ends */
#define WINDOW_NS     5000000u

#define LOAD(p)       __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v)   __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

uint64_t schedule_now(void)
{
	return pvgpu_poll_now();
}

/* A page shared with the worker, which can resize neither and write only the one without `ours`. */
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
	struct tenant *t = g->tenant;
	uint64_t now = schedule_now();
	char rings[64];
	ssize_t n = recv(g->bell, rings, sizeof(rings), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* It has closed its end, and is dead soon or is not heard any more. */
		g->hung_up = true;
		ev_io_stop(loop, io);
		return;
	}
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

/*
 * Sockets, since nothing of a socket's end is shared with the other: no flag of its description,
 * and no lock that is held while memory of the worker's is waited for, as a pipe's is.
 */
static int make_bells(struct gate *g, int fds[PVGPU_GATE_FDS])
{
	const int few = 1; /* rounded up: a few rings are as good as many */
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	g->bell = pair[0];
	msg_refuse_fds(g->bell);
	fds[PVGPU_GATE_FD_TO_WORKER] = pair[1];
	fds[PVGPU_GATE_FD_TO_PVGPUD] = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
	return fds[PVGPU_GATE_FD_TO_PVGPUD] < 0 ? -1 : 0;
}

static int make_files(struct gate *g, int fds[PVGPU_GATE_FDS])
{
	g->word = make_page("pvgpu-gate", true, &fds[PVGPU_GATE_FD_GATE]);
	g->far = make_page("pvgpu-gate-report", false, &fds[PVGPU_GATE_FD_REPORT]);
	if (make_bells(g, fds) < 0)
		return -1;
	return g->word && g->far ? 0 : -1;
}

static void free_files(struct gate *g)
{
	if (g->word)
		munmap(g->word, PAGE);
	if (g->far)
		munmap(g->far, PAGE);
	if (g->bell >= 0)
		close(g->bell);
}

struct gate *gate_new(struct tenant *t, bool adopted, int fds[PVGPU_GATE_FDS])
{
	struct gate *g = calloc(1, sizeof(*g));
	uint64_t now = schedule_now();

	for (int i = 0; i < PVGPU_GATE_FDS; i++)
		fds[i] = -1;
	if (!g)
		return NULL;
	g->bell = -1;
	if (make_files(g, fds) < 0) {
		for (int i = 0; i < PVGPU_GATE_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		free_files(g);
		free(g);
		return NULL;
	}
	g->tenant = t;
	g->taken_at = now;
	entitle_init(&g->entitle, adopted, now);
	/* While no pvgpud ran its gate counted as open. */
	g->closed_at = adopted ? now : 0;
	gate_set_exclusive(g, t->s->turns.params.exclusive);
	STORE(&g->word->inflight_ns, TURN_ALONE_NS);
	STORE(&g->word->depth, t->policy.depth);
	TAILQ_INSERT_TAIL(&t->gates, g, link);
	t->gate_n++;
	turns_join(&t->vgpu, &g->session, adopted);
	rate_limits_join(g, now);
	ev_io_init(&g->io, on_bell, g->bell, EV_READ);
	g->io.data = g;
	ev_io_start(t->s->loop, &g->io);
	turns_admit(&g->session, now);
	schedule_look(t);
	return g;
}

void gate_free(struct gate *g)
{
	struct tenant *t = g->tenant;

	gate_take(g, schedule_now());
	latency_take(g, schedule_now());
	ev_io_stop(t->s->loop, &g->io);
	TAILQ_REMOVE(&t->gates, g, link);
	t->gate_n--;
	turns_leave(&g->session);
	rate_limits_leave(t);
	free_files(g);
	free(g);
	schedule_look(t);
}

/* `drained` is read last: when it is 1, the numbers read before it are not too high. */
void gate_report(const struct gate *g, struct pvgpu_gate_report *out)
{
	const struct pvgpu_gate_report *r = g->far;

	*out = (struct pvgpu_gate_report){0};
	out->wants = LOAD(&r->wants) != 0;
	out->sleeps = LOAD(&r->sleeps) != 0;
	out->words = LOAD(&r->words);
	out->inflight_ns = LOAD(&r->inflight_ns);
	out->busy_ns = LOAD(&r->busy_ns);
	out->copy_ns = LOAD(&r->copy_ns);
	out->copy_bytes = LOAD(&r->copy_bytes);
	out->launches = LOAD(&r->launches);
	out->nodes = LOAD(&r->nodes);
	out->counts_full = LOAD(&r->counts_full);
	out->full = LOAD(&r->full);
	out->commands = LOAD(&r->commands);
	out->oldest_ns = LOAD(&r->oldest_ns);
	out->drain_ns = LOAD(&r->drain_ns);
	out->awaited = LOAD(&r->awaited);
	out->parked = LOAD(&r->parked);
	out->issued = LOAD(&r->issued) != 0;
	out->drained = LOAD(&r->drained) != 0;
}

/* The growth of a counter, at most the amount that fits the time. */
static uint64_t grown(uint64_t then, uint64_t now, uint64_t most)
{
	uint64_t n = now > then ? now - then : 0;

	return n < most ? n : most;
}

static void count(struct gate *g, const struct pvgpu_gate_report *r, uint64_t passed)
{
	const struct pvgpu_gate_report *was = &g->last;
	struct tenant_stats *n = g->tenant->count;
	uint64_t most = passed / 1000 * COMMANDS_A_US + COUNT_SLACK;

	n->launches += grown(was->launches, r->launches, most);
	n->commands += grown(was->commands, r->commands, most);
	n->copy_bytes += grown(was->copy_bytes, r->copy_bytes,
			       passed * BYTES_A_NS + (uint64_t)COUNT_SLACK * COUNT_SLACK);
}

static struct turn_report for_turns(const struct pvgpu_gate_report *r)
{
	return (struct turn_report){
		.wants = r->wants,
		.sleeps = r->sleeps,
		.drained = r->drained,
		.issued = r->issued,
		.counts_full = r->counts_full,
		.full = r->full,
		.parked = r->parked,
		.commands = r->commands,
		.awaited = r->awaited,
		.inflight_ns = r->inflight_ns,
		.drain_ns = r->drain_ns,
		.busy_ns = r->busy_ns,
		.oldest_ns = r->oldest_ns,
	};
}

uint64_t gate_issued_ns(const struct pvgpu_gate_report *r)
{
	const struct turn_report report = for_turns(r);

	return turn_issued_ns(&report);
}

void gate_take(struct gate *g, uint64_t now)
{
	struct pvgpu_gate_report r;
	struct turn_report report;

	gate_report(g, &r);
	if (!g->session.adopted) {
		count(g, &r, now - g->taken_at);
	} else if (r.commands || r.drained || r.wants) {
		/* The first report of an adopted worker: a former pvgpud has counted it. */
		latency_take(g, now);
		rate_limits_based(g, &r);
	}
	g->last = r;
	g->taken_at = now;
	/* The report may be much newer than `now`, so the time is read again. */
	entitle_gate(&g->entitle, g->session.open, &r, schedule_now());
	report = for_turns(&r);
	turns_report(&g->session, &report);
}

bool gate_sleeps(const struct gate *g)
{
	return LOAD(&g->far->sleeps) != 0;
}

void gate_ring(struct gate *g)
{
	const char ring = 1;

	/* Full: the worker has rings to take. Closed: it has given up its end. */
	if (send(g->bell, &ring, sizeof(ring), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

bool gate_is_behind(const struct gate *g)
{
	int unread = 0;

	return ioctl(g->bell, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* When the current drain began. A gate that was opened for a moment of help before it had drained,
 * and issued nothing, is still in the drain from before. */
static uint64_t closing_from(const struct gate *g, const struct pvgpu_gate_report *r, uint64_t now)
{
	return g->former_closed_at && r->commands <= g->opened_commands ? g->former_closed_at : now;
}

/* The word is stored before the report is read when the gate closes, and after it when it opens,
 * so that commands in between count as entitled. */
bool gate_close(struct turn_session *s, uint64_t now)
{
	struct gate *g = gate_of(s);
	struct pvgpu_gate_report r;
	bool busy;

	STORE(&g->word->open, 0);
	gate_report(g, &r);
	entitle_gate(&g->entitle, false, &r, schedule_now());
	busy = !LOAD(&g->far->drained);
	g->closed_at = closing_from(g, &r, now);
	/* A worker that only waits for its work might not look at the gate until that ends. */
	if (busy)
		gate_ring(g);
	return busy;
}

void gate_open(struct turn_session *s, uint64_t now)
{
	const bool granted = s->vgpu == s->vgpu->turns->holder;
	struct gate *g = gate_of(s);
	struct pvgpu_gate_report r;

	gate_report(g, &r);
	entitle_gate(&g->entitle, true, &r, schedule_now());
	STORE(&g->word->open, 1);
	g->opened_commands = r.commands;
	g->former_closed_at = s->closing && !granted ? g->closed_at : 0;
	if (gate_sleeps(g))
		gate_ring(g);
}

void gate_set_exclusive(struct gate *g, bool exclusive)
{
	STORE(&g->word->exclusive, exclusive);
}

void gate_tell(struct turn_session *s, const struct turn_window *window)
{
	struct gate *g = gate_of(s);
	struct pvgpu_gate *w = g->word;
	bool raised = window->contended && !w->contended;

	if (w->tell != window->tell_issued)
		STORE(&w->tell, window->tell_issued);
	if (w->inflight_ns != window->inflight_ns) {
		bool more = window->inflight_ns > w->inflight_ns;

		STORE(&w->inflight_ns, window->inflight_ns);
		raised |= more && gate_sleeps(g);
	}
	if (w->contended != window->contended)
		STORE(&w->contended, window->contended);
	if (!window->learn && w->learn) {
		STORE(&w->learn_end_ns, schedule_now());
		STORE(&w->learn, 0);
	} else if (window->learn && !w->learn) {
		STORE(&w->learn_ns, schedule_now());
		STORE(&w->learn, ++g->learns ? g->learns : ++g->learns);
	}
	if (raised)
		gate_ring(g);
}

void gate_keep_closed(struct gate *g, bool on)
{
	turns_keep_closed(&g->session, on, schedule_now());
	schedule_look(g->tenant);
}

uint64_t gate_closing_since(const struct gate *g)
{
	uint64_t since = g->session.closing ? g->closed_at : 0;

	/* Also during a moment of help: otherwise the watchdog would forget the time that others
	 * had. */
	if (g->session.open && LOAD(&g->far->commands) <= g->opened_commands)
		since = g->former_closed_at;
	return since && !LOAD(&g->far->drained) ? since : 0;
}

uint64_t gate_others_ns(const struct gate *g)
{
	return g->tenant->s->turns.charged_ns - g->tenant->vgpu.charged_ns;
}

uint64_t gate_granted_time(struct gate *g, uint64_t *now)
{
	struct pvgpu_gate_report r;

	/* The last look may be long ago. */
	gate_report(g, &r);
	*now = schedule_now();
	entitle_gate(&g->entitle, g->session.open, &r, *now);
	return entitle_ns(&g->entitle, *now);
}

uint64_t gate_late_commands(const struct gate *g)
{
	return g->entitle.late_commands;
}
