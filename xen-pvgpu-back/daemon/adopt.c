/* SPDX-License-Identifier: MIT */
/*
 * Take back the workers of a pvgpud that is gone. Their adoption sockets' names, given by that
 * pvgpud, say which session and vGPU they serve; what they say of themselves must agree with it.
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/share.h"
#include "xen-pvgpu-back/daemon/watchdog.h"
#include "xen-pvgpu-back/daemon/xenctl.h"

#define LEASED_MAX (1ull << 50)

/* What a name of a socket says. */
struct named {
	unsigned int id;
	char pool[CONFIG_POOL]; /* empty: of a pvgpud that had but one */
	char vgpu[40];          /* empty: a spare's */
	uint32_t number;        /* the guest's of the session; 0: on the local link */
};

/* A number without leading zeros, and what is behind it; NULL when there is none. */
static const char *parse_number(const char *s, uint32_t *out)
{
	uint64_t n = 0;

	if (*s < '1' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (unsigned int)(*s - '0');
		if (n > UINT32_MAX)
			return NULL;
	}
	*out = (uint32_t)n;
	return s;
}

/* "@default" before the first dot, and what is behind it; NULL when it is no pool's name. */
static const char *parse_pool(const char *s, char pool[CONFIG_POOL])
{
	size_t n = strcspn(s + 1, ".");

	if (n >= CONFIG_POOL)
		return NULL;
	memcpy(pool, s + 1, n);
	pool[n] = '\0';
	return config_check_name(pool) < 0 ? NULL : s + 1 + n;
}

/*
 * "7@default.vgpu0.sock", a spare's "7@default.sock"; of a Xen guest's session 12,
 * "7@default.xen-3-0-9c1b7a52.12.sock". False: no socket of ours.
 */
static bool parse_name(const char *file, struct named *out)
{
	const char *s = parse_number(file, &out->id), *dot, *end;
	size_t len;

	out->pool[0] = out->vgpu[0] = '\0';
	out->number = 0;
	if (s && *s == '@')
		s = parse_pool(s, out->pool);
	if (!s || out->id > UINT32_MAX - 16)
		return false;
	if (!strcmp(s, ".sock"))
		return true;
	len = strlen(s);
	if (*s++ != '.' || len < 7 || strcmp(s + len - 6, ".sock") != 0)
		return false;
	end = s + len - 6;
	if (!strncmp(s, CONFIG_XEN_NAME, strlen(CONFIG_XEN_NAME))) {
		dot = memchr(s, '.', (size_t)(end - s));
		if (!dot || parse_number(dot + 1, &out->number) != end)
			return false;
		end = dot;
	}
	if (end - s > 39)
		return false;
	memcpy(out->vgpu, s, (size_t)(end - s));
	out->vgpu[end - s] = '\0';
	return check_vgpu_name(out->vgpu) == 0;
}

/* A connected socket, -1 when nobody listens there any more. */
static int reach(const struct daemon *d, const char *file)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.82s", d->workers_dir, file);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (errno != ECONNREFUSED)
		log_warning("workers/%s: %s", file, strerror(errno));
	close(fd);
	return -1;
}

/* A vGPU that the configuration does not have any more: its sessions may finish, no new ones come.
 */
static struct vgpu *former_vgpu(struct daemon *d, const char *name, struct pool *pool)
{
	struct config_vgpu cfg = {.max_sessions = 1, .memory = 1, .share = CONFIG_SHARE};
	struct vgpu *v;

	strcpy(cfg.name, name);
	v = daemon_add_vgpu(d, &cfg, pool);
	if (v) {
		v->drain = true;
		log_warning("vgpu %s: not configured any more, but sessions of it run", name);
	}
	return v;
}

/* It was a Xen guest's, and the guest or its vGPU is not there any more; or its GPU is not. */
static void end_orphan(const char *file, const struct msg_peer *peer, const char *what)
{
	log_warning("workers/%s: its %s is not there any more: ended", file, what);
	pidfd_send_signal(peer->pidfd, SIGKILL, NULL, 0);
}

/* Whose worker it will be; NULL: nobody's. */
static struct vgpu *owner(struct daemon *d, const char *file, const struct named *n,
			  const struct msg_peer *peer)
{
	struct vgpu *v = daemon_vgpu(d, n->vgpu);
	struct pool *p = n->pool[0] ? pool_find(d, n->pool) : v ? v->pool : d->pools[0];

	if (n->number && (!v || !v->xen)) {
		end_orphan(file, peer, "vGPU");
		return NULL;
	}
	/* All sessions of a vGPU are on one GPU, and this one cannot be moved. */
	if (!p || (v && v->pool != p && v->sessions)) {
		end_orphan(file, peer, "pool");
		return NULL;
	}
	if (v && v->pool != p && vgpu_move(v, p) < 0) {
		end_orphan(file, peer, "pool");
		return NULL;
	}
	return v ? v : former_vgpu(d, n->vgpu, p);
}

static void adopt(struct daemon *d, const char *file, const struct named *n)
{
	struct vgpu *v = NULL;
	struct msg_peer peer = {.pidfd = -1};
	struct worker *w = NULL;
	int fd = reach(d, file);

	if (fd >= 0 && msg_peer(fd, &peer) == 0 && peer.pidfd >= 0 && peer.uid == geteuid()) {
		v = owner(d, file, n, &peer);
		w = v ? sup_new(v->pool, n->id) : NULL;
	} else if (peer.pidfd >= 0) {
		log_warning("workers/%s: uid %u listens there, not pvgpud's", file, peer.uid);
	} else if (n->number) {
		v = daemon_vgpu(d, n->vgpu);
		if (v)
			xenctl_lost(v, n->number);
	}
	if (!w) {
		if (fd >= 0)
			close(fd);
		if (peer.pidfd >= 0)
			close(peer.pidfd);
		unlinkat(d->workers_dir, file, 0);
		return;
	}
	w->state = CHECK_ADOPTING;
	w->adopted = true;
	w->pid = peer.pid;
	w->pidfd = peer.pidfd;
	w->control = fd;
	w->vgpu = v;
	w->number = n->number;
	v->sessions++;
	v->total++;
	d->session_n++;
	share_await(w);
	snprintf(w->sock, sizeof(w->sock), "%.95s", file);
	sup_watch(w);
	sup_deadline(w, d->cfg.adopt_ms, "did not answer its new pvgpud");
}

void adopt_scan(struct daemon *d)
{
	int fd = openat(d->workers_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct named name;
	unsigned int n = 0;

	if (!dir) {
		log_error("%s/workers: %s", d->cfg.run_dir, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (!parse_name(e->d_name, &name))
			continue;
		if (name.id >= d->next_id)
			d->next_id = name.id + 1;
		if (!name.vgpu[0]) {
			/* A spare exits with its pvgpud. */
			unlinkat(d->workers_dir, e->d_name, 0);
			continue;
		}
		adopt(d, e->d_name, &name);
		n++;
	}
	closedir(dir);
	if (n)
		log_info("found %u sessions of a former pvgpud", d->session_n);
}

static void give_log(struct worker *w)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_LOG, .session = w->id};
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	if (msg_send(w->control, &m, sizeof(m), &p[1], 1) == 0)
		wlog_open(w, p[0]);
	else
		close(p[0]);
	close(p[1]);
}

static void find_guest(struct worker *w)
{
	int fd = w->guest_pid > 0 ? pidfd_open(w->guest_pid, 0) : -1;

	if (fd >= 0)
		sup_watch_guest(w, fd);
	else if (w->guest_pid > 0 && errno == ESRCH)
		sup_deadline(w, w->d->cfg.worker_ms + 2000, "did not end after its guest");
}

void adopt_state(struct worker *w, const struct pvgpu_sup *m)
{
	struct daemon *d = w->d;
	struct vgpu *v = w->vgpu;
	uint64_t limit = w->pool->device_memory ? w->pool->device_memory : LEASED_MAX;

	if (m->session != w->id || strcmp(m->vgpu, v->cfg.name) != 0 ||
	    (w->number && m->b != w->number)) {
		faults_kill(w, FAULT_PROTOCOL, "says that it is session %" PRIu32 " of %s",
			    m->session, m->vgpu);
		return;
	}
	if (ledger_adopt(&v->ledger, &w->leased, m->a, limit) < 0) {
		faults_kill(w, FAULT_PROTOCOL, "says that it leases %" PRIu64 " bytes", m->a);
		return;
	}
	w->state = CHECK_SERVING;
	w->ready = w->sealed = true;
	if (!w->number)
		w->guest_pid = m->b && m->b <= INT32_MAX ? (pid_t)m->b : 0;
	w->started_ms = m->c <= now_ms() ? m->c : now_ms();
	sup_deadline(w, 0, NULL);
	watchdog_wake(d);
	find_guest(w);
	give_log(w);
	if (v->ledger.quota)
		sup_meminfo(w);
	vgpu_changed(v);
	if (v->drain)
		sup_say(w, PVGPU_SUP_DRAIN, 0, d->cfg.shutdown_ms);
	log_info("%s: adopted worker %d of %s %" PRIu64 " with %" PRIu64 " bytes", sup_name(w),
		 (int)w->pid, w->number ? "session" : "pid", m->b, w->leased);
	share_worker(w, true);
	if (w->number)
		xenctl_adopted(w, m);
}
