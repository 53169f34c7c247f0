/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/xenctl_fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define NAME "xen-7-0-9c1b7a52"

struct fake fake;

/* ---- what pvgpud's other files would do ---- */

static uint64_t clock_ms = 3600000;

uint64_t now_ms(void)
{
	clock_ms += !fake.clock_stands;
	return clock_ms;
}

void fake_pass(uint64_t ms)
{
	clock_ms += ms;
}

void fake_pause(void)
{
	ev_timer *t = &fake.x.ctl->pause;

	if (!ev_is_active(t))
		return;
	fake_pass(20);
	ev_timer_stop(fake.d.loop, t);
	ev_feed_event(fake.d.loop, t, EV_TIMER);
}

void daemon_check_stopped(struct daemon *d)
{
}

struct vgpu *daemon_vgpu(struct daemon *d, const char *name)
{
	return fake.v && !strcmp(name, fake.v->cfg.name) ? fake.v : NULL;
}

struct vgpu *daemon_add_vgpu(struct daemon *d, const struct config_vgpu *cfg, struct pool *pool)
{
	return NULL;
}

void open_accept(struct vgpu *v, int fd)
{
	fake.accepted++;
	close(fd);
}

void share_worker(struct worker *w, bool adopted)
{
}

void share_await(struct worker *w)
{
}

void share_worker_gone(struct worker *w)
{
}

void share_gate_ask(struct worker *w)
{
	fake.asked++;
}

bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	return false;
}

bool share_gate_unheard(const struct worker *w)
{
	return fake.unheard;
}

int share_moved(struct vgpu *v)
{
	return 0;
}

void share_stats(const struct vgpu *v, struct tenant_stats *out)
{
	*out = (struct tenant_stats){0};
}

void xenbus_idle(struct xen_vgpu *x)
{
	fake.idle++;
}

void xenbus_fatal(struct xen_vgpu *x, const char *reason)
{
	snprintf(fake.fatal, sizeof(fake.fatal), "%.103s", reason);
}

void xenbus_changed(struct xen_vgpu *x)
{
	fake.changed++;
}

void xenbus_host_changed(struct daemon *d)
{
}

void faults_save(struct daemon *d)
{
}

const char *health_state(const struct daemon *d)
{
	return "off";
}

void watchdog_wake(struct daemon *d)
{
}

unsigned int watchdog_long(const struct pool *p)
{
	return 0;
}

void xenbus_predicted(struct daemon *d)
{
}

void xenbus_memory_changed(struct daemon *d)
{
}

static struct fake_worker *unused(void)
{
	for (unsigned int i = 0; i < fake.worker_n; i++)
		if (!fake.workers[i].w && fake.workers[i].control < 0)
			return &fake.workers[i];
	return fake.worker_n < FAKE_WORKERS ? &fake.workers[fake.worker_n++] : NULL;
}

void cgroup_kill(struct worker *w)
{
}

void cgroup_adopt(struct worker *w)
{
}

bool cgroup_was_full(struct worker *w, char *reason, size_t cap)
{
	return false;
}

void cgroup_gone(struct worker *w)
{
}

void cgroup_weigh(struct worker *w)
{
}

int spawn_worker(struct worker *w)
{
	const struct pvgpu_sup ready = {.kind = PVGPU_SUP_READY,
					.b = fake.gpu_memory ? fake.gpu_memory : 1 << 30};
	struct fake_worker *k = unused();
	int pair[2], fd;

	if (!k)
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	snprintf(w->sock, sizeof(w->sock), "%u@%s.sock", w->id, w->pool->cfg.name);
	fd = openat(w->d->workers_dir, w->sock, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	close(fd);
	w->control = pair[0];
	w->pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->pid = 1;
	w->adopted = true; /* not a child of this process: it is not reaped */
	k->control = pair[1];
	k->death = fcntl(w->pidfd, F_DUPFD_CLOEXEC, 3);
	k->w = w;
	if (!fake.slow)
		msg_send(k->control, &ready, sizeof(ready), NULL, 0);
	return 0;
}

/* ---- Xen ---- */

static bool is_ref(uint32_t domid, uint32_t ref)
{
	return domid == FAKE_DOMID && ref && ref < FAKE_REFS;
}

static int page_map(uint32_t domid, uint32_t ref, void **page)
{
	if (!is_ref(domid, ref))
		return -EINVAL;
	*page = fake.pages[ref];
	return 0;
}

static void page_unmap(void *page)
{
}

static int page_copy(uint32_t domid, uint32_t ref, void *to)
{
	fake.copies++;
	if (!is_ref(domid, ref))
		return -EFAULT;
	memcpy(to, fake.pages[ref], 4096);
	return 0;
}

static int port_open(uint32_t domid, uint32_t remote, struct xen_port **port)
{
	if (domid != FAKE_DOMID || remote != FAKE_PORT)
		return -EINVAL;
	fake.port_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*port = (struct xen_port *)&fake;
	fake.connected = true;
	fake.masked = false;
	return 0;
}

static int port_fd(const struct xen_port *port)
{
	return fake.port_fd;
}

static bool port_take(struct xen_port *port)
{
	uint64_t n;

	fake.masked = read(fake.port_fd, &n, sizeof(n)) == sizeof(n);
	return fake.masked;
}

static void port_unmask(struct xen_port *port)
{
	fake.masked = false;
}

static void port_ring(struct xen_port *port)
{
	fake.g.rung++;
}

static void port_close(struct xen_port *port)
{
	close(fake.port_fd);
	fake.connected = false;
}

static int some_file(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int grants(uint32_t domid, const uint32_t *refs, uint32_t count, int *fd, uint64_t *offset)
{
	/* The sanitizer sees whether there are so many. */
	for (uint32_t i = 0; i < count; i++)
		if (!refs[i])
			abort();
	if (domid != FAKE_DOMID || !count || count > XEN_MAP_MAX)
		abort();
	if (fake.fail_map)
		return -fake.fail_map;
	fake.maps++;
	fake.map_count = count;
	if (*fd < 0) {
		*fd = some_file();
		fake.of_file[*fd % FAKE_FILES] = 0;
	}
	*offset = fake.of_file[*fd % FAKE_FILES] * 4096ull;
	fake.held = fake.of_file[*fd % FAKE_FILES] += count;
	return 0;
}

static void ungrant(int fd, uint64_t offset, uint32_t count)
{
	fake.held = fake.of_file[fd % FAKE_FILES] -= count;
	if (offset != fake.held * 4096ull || fcntl(fd, F_GETFD) < 0)
		abort();
	fake.unmaps++;
}

/* A session's files have the marks of its place on record. */
static unsigned char marks[64 * 4096];

static int mark(int fd, uint64_t number)
{
	if (number >= sizeof(marks))
		abort();
	marks[number] = 1;
	return 0;
}

static bool marked(uint64_t number)
{
	if (number >= sizeof(marks))
		abort();
	if (fake.drops && !fake.keeps)
		marks[number] = 0;
	return marks[number];
}

static int channel(uint32_t domid, uint32_t remote, uint32_t *port)
{
	fake.channels++;
	*port = 100 + remote;
	return fake.fail_channel ? -fake.fail_channel : some_file();
}

static bool is_device(int fd)
{
	struct stat file, device;

	return fstat(fd, &file) == 0 && stat("/dev/null", &device) == 0 &&
	       file.st_rdev == device.st_rdev;
}

static const struct xen_ops ops = {
	.page_map = page_map,
	.page_unmap = page_unmap,
	.page_copy = page_copy,
	.port_open = port_open,
	.port_fd = port_fd,
	.port_take = port_take,
	.port_unmask = port_unmask,
	.port_ring = port_ring,
	.port_close = port_close,
	.grants = grants,
	.ungrant = ungrant,
	.mark = mark,
	.marked = marked,
	.channel = channel,
	.is_device = is_device,
};

/* ---- up and down ---- */

static unsigned int invoked; /* watchers, in a turn of the loop */

static void invoke(struct ev_loop *loop)
{
	invoked += ev_pending_count(loop);
	ev_invoke_pending(loop);
}

static void daemon_up(void)
{
	const struct config_vgpu cfg = {.name = NAME,
					.memory = 1 << 30,
					.policy = {.arena_limit = 64 << 20, .max_sessions = 8}};
	static struct config_pool pool = {.name = "default", .device = "0", .overcommit = 1000};
	struct daemon *d = &fake.d;

	*d = (struct daemon){.next_id = 1, .xen_ops = &ops};
	d->cfg = (struct config){.spares = 1,
				 .max_sessions = 64,
				 .max_opening = 8,
				 .open_ms = 600000,
				 .start_ms = 600000,
				 .adopt_ms = 600000,
				 .canary_limit_ms = 600000,
				 .canary_tries = 3,
				 .xen_max_grants = 1 << 20};
	TAILQ_INIT(&d->workers);
	TAILQ_INIT(&d->openings);
	d->loop = ev_loop_new(EVFLAG_AUTO);
	ev_set_invoke_pending_cb(d->loop, invoke);
	d->workers_dir = open(fake.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d->held = held_open(fake.dir);
	if (!d->held)
		abort();
	d->cfg.pools = &pool;
	d->cfg.pool_n = 1;
	if (pool_start(d) < 0)
		abort();
	d->pools[0]->device_memory = 1 << 30;
	fake.v = calloc(1, sizeof(*fake.v));
	vgpu_init(fake.v, d, &cfg, d->pools[0]);
	fake.vgpus[0] = fake.v;
	d->vgpus = fake.vgpus;
	d->vgpu_n = 1;
	fake.x = (struct xen_vgpu){.d = d, .v = fake.v, .domid = FAKE_DOMID};
	fake.v->xen = &fake.x;
}

static void daemon_down(void)
{
	struct daemon *d = &fake.d;
	struct worker *w;
	struct claim *c;

	xenctl_leave(&fake.x);
	xenctl_maps_stop(d);
	while ((c = TAILQ_FIRST(&fake.v->pool->claims))) {
		TAILQ_REMOVE(&fake.v->pool->claims, c, link);
		if (!c->parked)
			free(c);
	}
	while ((w = TAILQ_FIRST(&d->workers))) {
		ev_timer_stop(d->loop, &w->deadline);
		ev_timer_stop(d->loop, &w->pause);
		pulse_stop(w);
		close(w->pidfd);
		if (w->control >= 0)
			close(w->control);
		if (w->log >= 0)
			close(w->log);
		TAILQ_REMOVE(&d->workers, w, link);
		held_leave(w->held);
		free(w);
	}
	held_close(d->held, fake.dir, false);
	vgpu_close(fake.v, false);
	free(fake.v);
	fake.v = NULL;
	pool_stop(d);
	ev_loop_destroy(d->loop);
	close(d->workers_dir);
}

int fake_connect(bool adopting)
{
	char reason[CHECK_REASON];

	return xenctl_connect(&fake.x, FAKE_RING_REF, FAKE_PORT, adopting, reason);
}

void fake_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	memset(&fake, 0, sizeof(fake));
	/* In memory: a fuzzer makes thousands in a second. */
	snprintf(fake.dir, sizeof(fake.dir), "%s/xenctl-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(fake.dir))
		abort();
	fake.pages = calloc(FAKE_REFS, 4096);
	fake.g.page = (struct pvgpu_ctl_page *)fake.pages[FAKE_RING_REF];
	pvgpu_ctl_init_front(&fake.g.ctl, fake.g.page);
	daemon_up();
	if (fake_connect(false) < 0)
		abort();
	spares_keep(&fake.d);
	fake_settle();
}

static void workers_gone(void)
{
	for (unsigned int i = 0; i < fake.worker_n; i++) {
		if (!fake.workers[i].w)
			continue;
		close(fake.workers[i].control);
		close(fake.workers[i].death);
	}
	fake.worker_n = 0;
}

static void empty_dir(void)
{
	DIR *dir = opendir(fake.dir);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	if (!dir || closedir(dir) < 0 || rmdir(fake.dir) < 0)
		abort();
}

void fake_down(void)
{
	daemon_down();
	workers_gone();
	empty_dir();
	free(fake.pages);
}

void fake_restart(void)
{
	uint32_t numbers[FAKE_WORKERS], ids[FAKE_WORKERS], next = fake.d.next_id;
	unsigned int n = 0;
	const unsigned int old = fake.worker_n;
	struct fake_worker kept[FAKE_WORKERS];

	for (unsigned int i = 0; i < old; i++) {
		struct fake_worker *k = &fake.workers[i];

		if (k->w && k->w->number) {
			numbers[n] = k->w->number;
			ids[n] = k->w->id;
			kept[n++] = *k;
		} else if (k->w) {
			close(k->control);
			close(k->death);
		}
		*k = (struct fake_worker){.control = -1, .death = -1};
	}
	daemon_down();
	daemon_up();
	fake.d.next_id = next;
	fake.worker_n = 0;
	/* As adopt.c does. */
	for (unsigned int i = 0; i < n; i++) {
		struct worker *w = adopt_recorded(fake.v, ids[i], numbers[i]);
		struct fake_worker *k;
		int pair[2];

		close(kept[i].control);
		if (!w) {
			/* Its record is gone: it is ended. */
			close(kept[i].death);
			continue;
		}
		k = &fake.workers[fake.worker_n++];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			abort();
		w->pid = 1;
		w->pidfd = fcntl(kept[i].death, F_DUPFD_CLOEXEC, 3);
		w->control = pair[0];
		*k = (struct fake_worker){.w = w, .control = pair[1], .death = kept[i].death};
		supervise_watch(w);
	}
	spares_keep(&fake.d);
}

/* Spare workers are started a moment after they were taken. */
static bool refilled(void)
{
	ev_timer *t = &fake.d.pools[0]->refill;

	if (!ev_is_active(t))
		return false;
	ev_timer_stop(fake.d.loop, t);
	ev_feed_event(fake.d.loop, t, EV_TIMER);
	return true;
}

#define SETTLE_TURNS 100000u

void fake_settle(void)
{
	for (unsigned int quiet = 0; quiet < 3;) {
		quiet = refilled() ? 0 : quiet + 1;
		for (unsigned int i = 0; i < fake.worker_n; i++) {
			struct fake_worker *k = &fake.workers[i];

			if (k->w && k->w->killed) {
				fake_die(k);
				quiet = 0;
			}
		}
		/* Timers of now, too. */
		ev_now_update(fake.d.loop);
		invoked = 1;
		/* A mapping of many pages goes on over many turns of the loop. */
		for (unsigned int i = 0; i < SETTLE_TURNS && invoked; i++) {
			invoked = 0;
			ev_run(fake.d.loop, EVRUN_NOWAIT);
		}
	}
}

/* ---- the guest ---- */

void fake_ring(void)
{
	const uint64_t one = 1;

	if (fake.connected && write(fake.port_fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

int fake_put(const struct pvgpu_ctl_msg *m)
{
	int r = pvgpu_ctl_put(&fake.g.ctl, m);

	if (r)
		return r;
	fake.g.sent[(fake.g.ctl.prod - 1) % FAKE_SENT] = *m;
	fake_ring();
	return 0;
}

void fake_again(void)
{
	const uint32_t prod = fake.g.ctl.prod;
	struct pvgpu_ctl_msg m;

	if (pvgpu_ctl_peek(&fake.g.ctl, 0, &m) != 1 || m.op != PVGPU_CTL_AGAIN)
		abort();
	pvgpu_ctl_release(&fake.g.ctl, 1);
	for (uint32_t i = 0; i < FAKE_SENT; i++) {
		const uint32_t at = m.u.again.before - FAKE_SENT + i;

		/* Not one that took its place in the list since. */
		if (fake.g.sent[at % FAKE_SENT].id && (int32_t)(at + FAKE_SENT - prod) >= 0)
			fake_put(&fake.g.sent[at % FAKE_SENT]);
	}
	fake_settle();
}

static void answered(uint32_t id)
{
	for (uint32_t i = 0; id && i < FAKE_SENT; i++)
		if (fake.g.sent[i].id == id)
			fake.g.sent[i].id = 0;
}

uint32_t fake_request(uint32_t op, uint32_t session, const void *u, size_t len)
{
	struct pvgpu_ctl_msg m = {.op = op, .id = ++fake.g.next_id, .session = session};

	if (len)
		memcpy(&m.u, u, len);
	if (fake_put(&m))
		abort();
	return m.id;
}

bool fake_answer(struct pvgpu_ctl_msg *m)
{
	if (pvgpu_ctl_peek(&fake.g.ctl, 0, m) != 1)
		return false;
	answered(m->id);
	if (pvgpu_ctl_release(&fake.g.ctl, 1))
		fake_ring();
	return true;
}

uint32_t fake_directory(uint32_t dir, uint32_t first, uint32_t n)
{
	uint32_t used = 0;

	while (n) {
		struct pvgpu_dir_page *d = (struct pvgpu_dir_page *)fake.pages[dir + used];
		uint32_t some = n < PVGPU_DIR_REFS ? n : PVGPU_DIR_REFS;

		memset(d, 0, sizeof(*d));
		for (uint32_t i = 0; i < some; i++)
			d->ref[i] = first++;
		n -= some;
		used++;
		d->next = n ? dir + used : 0;
	}
	return used;
}

/* ---- workers ---- */

struct fake_worker *fake_serving(uint32_t number)
{
	for (unsigned int i = 0; i < fake.worker_n; i++) {
		struct fake_worker *k = &fake.workers[i];

		if (k->w && k->w->number == number)
			return k;
	}
	return NULL;
}

void fake_say(struct fake_worker *k, const struct pvgpu_sup *m)
{
	msg_send(k->control, m, sizeof(*m), NULL, 0);
	fake_settle();
}

bool fake_hear(struct fake_worker *k, uint32_t kind, struct pvgpu_sup_assign *m, unsigned int *fds)
{
	struct msg_in in;

	while (msg_recv(k->control, m, sizeof(*m), MSG_FDS_MAX, &in) > 0) {
		*fds = in.n;
		msg_close_fds(&in);
		if (m->head.kind == kind)
			return true;
	}
	return false;
}

void fake_die(struct fake_worker *k)
{
	const uint64_t one = 1;

	close(k->control);
	if (write(k->death, &one, sizeof(one)) != sizeof(one))
		abort();
	close(k->death);
	k->control = k->death = -1;
	k->w = NULL;
}

void fake_seal(struct fake_worker *k)
{
	fake_say(k, &(struct pvgpu_sup){.kind = PVGPU_SUP_SEALED, .session = k->w->id});
}
