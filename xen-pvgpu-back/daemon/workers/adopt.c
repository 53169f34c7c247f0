/* SPDX-License-Identifier: MIT */
/*
 * Adopts the workers of a former pvgpud. The names of their adoption sockets tell session and vGPU,
 * that pvgpud's records (core/held.h) tell what each session holds, and that counts from the start.
 * A worker's own STATE decides nothing: one that claims more than is on record has broken the
 * protocol. It may have less: memory that it gave back, or a lease that it never heard of, while
 * there was no pvgpud. It learns of the difference by MEMINFO and returns it.
 */
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"

/* The parts of a socket's name. */
struct named {
	unsigned int id;
	char pool[CONFIG_POOL]; /* empty: from a pvgpud without pools */
	char vgpu[40];          /* empty: a spare worker */
	uint32_t number;        /* the guest's number of the session; 0: local link */
};

/* Parses a number without leading zeros and returns the rest of the text; NULL: no number. */
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

/* Parses "@default" up to the first dot and returns the rest of the text; NULL: not a pool's name.
 */
static const char *parse_pool(const char *s, char pool[CONFIG_POOL])
{
	size_t n = strcspn(s + 1, ".");

	if (n >= CONFIG_POOL)
		return NULL;
	memcpy(pool, s + 1, n);
	pool[n] = '\0';
	return config_check_name(pool, CONFIG_POOL) < 0 ? NULL : s + 1 + n;
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

/*
 * It is surely pvgpud's: only a worker was ever given a socket with this name, and it listens there
 * before it becomes who it is in its sandbox, that is, as who started it. One that listens as
 * itself only can have been told to.
 */
static bool is_ours(const struct msg_peer *peer)
{
	return peer->pidfd >= 0 && peer->uid == geteuid();
}

/* The user that the worker becomes; 0: pvgpud's own. */
static uint32_t recorded_uid(const struct daemon *d, const char *file)
{
	struct stat st;

	if (fstatat(d->workers_dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == geteuid())
		return 0;
	return st.st_uid;
}

/* A connected socket; -1: the worker is gone. */
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

/* A vGPU that is not configured any more: its sessions are ended, and it is not known what they may
 * have. */
static struct vgpu *former_vgpu(struct daemon *d, const char *name, struct pool *pool)
{
	struct config_vgpu cfg = {.memory = 1};
	struct vgpu *v;

	pvgpu_backend_policy_parse("", 0, &cfg.policy, NULL);
	cfg.policy.kernel_limit = 0; /* its configured limit is not known */
	strcpy(cfg.name, name);
	v = daemon_add_vgpu(d, &cfg, pool);
	if (v) {
		v->drain = PVGPU_DRAIN_NOW;
		v->former = true;
		v->ledger.quota = vgpu_quota(v);
		log_warning("vgpu %s: not configured any more: its sessions may finish for %u ms, "
			    "new ones are refused",
			    name, d->cfg.shutdown_ms);
	}
	return v;
}

/* Ends a worker whose vGPU, pool or record does not exist any more. */
static void end_orphan(const char *file, const struct msg_peer *peer, const char *what)
{
	log_warning("workers/%s: its %s does not exist any more: the worker is ended", file, what);
	pidfd_send_signal(peer->pidfd, SIGKILL, NULL, 0);
}

/* How a device is named. */
static int form_of(const char *device)
{
	if (!device[strspn(device, "0123456789")])
		return 0;
	if (strncmp(device, "MIG-", 4) != 0)
		return 1;
	return strchr(device, '/') ? 2 : 3;
}

/* Surely: one of another form may name the same GPU, and so does the start of a UUID. */
static bool is_other_gpu(const char *had, const char *has)
{
	const size_t n = strlen(had), m = strlen(has);

	if (!n || !m || form_of(had) != form_of(has))
		return false;
	if (form_of(had) == 0)
		return strtoul(had, NULL, 10) != strtoul(has, NULL, 10);
	return strncasecmp(had, has, n < m ? n : m) != 0;
}

/* Ends a worker whose pool has another device since: it computes on the GPU of before, and would
 * count and take turns on this one. */
static bool end_elsewhere(struct daemon *d, const char *file, const struct named *n,
			  const struct msg_peer *peer, const struct pool *p)
{
	struct vgpu *v = daemon_vgpu(d, n->vgpu);
	char had[HELD_DEVICE];

	held_device(d->held, n->id, had);
	if (!is_other_gpu(had, p->cfg.device))
		return false;
	log_warning("workers/%s: pool %s has another GPU now: device = %s, was %s: the worker is "
		    "ended",
		    file, p->cfg.name, p->cfg.device, had);
	pidfd_send_signal(peer->pidfd, SIGKILL, NULL, 0);
	held_end(held_take(d->held, n->id));
	if (v && n->number)
		xenctl_lost(v, n->number);
	return true;
}

/* The vGPU that the worker belongs to; NULL: none. */
static struct vgpu *owner(struct daemon *d, const char *file, const struct named *n,
			  const struct msg_peer *peer)
{
	struct vgpu *v = daemon_vgpu(d, n->vgpu);
	struct pool *p = n->pool[0] ? pool_find(d, n->pool) : v ? v->pool : d->pools[0];

	if (n->number && (!v || !v->xen)) {
		end_orphan(file, peer, "vGPU");
		return NULL;
	}
	/* All sessions of a vGPU are on one GPU, and a running session cannot be moved. */
	if (!p || (v && v->pool != p && v->sessions)) {
		end_orphan(file, peer, "pool");
		return NULL;
	}
	if (end_elsewhere(d, file, n, peer, p))
		return NULL;
	if (v && v->pool != p && vgpu_move(v, p) < 0) {
		end_orphan(file, peer, "pool");
		return NULL;
	}
	return v ? v : former_vgpu(d, n->vgpu, p);
}

struct worker *adopt_recorded(struct vgpu *v, unsigned int id, uint32_t number)
{
	struct held *h = held_take(v->d->held, id);
	struct worker *w = h ? supervise_new(v->pool, id) : NULL;
	const struct held_session *s = h ? held_session(h) : NULL;

	if (!w) {
		held_end(h);
		return NULL;
	}
	w->state = CHECK_ADOPTING;
	w->adopted = true;
	w->held = h;
	w->vgpu = v;
	w->number = number;
	w->user = s->user;
	w->started_ms = s->started_ms;
	w->guest_pid = number || s->guest > INT32_MAX ? 0 : (pid_t)s->guest;
	exports_found(w);
	ledger_adopt(&v->ledger, &w->leased, s->leased);
	if (w->number)
		xenctl_found(w, s->ring_pages);
	v->sessions++; /* total is of those that began since pvgpud started */
	v->d->session_n++;
	return w;
}

/* The program that it runs is a worker, also where that was replaced. */
static bool runs_a_worker(const struct daemon *d, pid_t pid)
{
	static const char ours[] = "pvgpu-worker";
	char path[32], exe[CONFIG_PATH] = "";
	const char *name, *slash = strrchr(d->cfg.worker, '/');

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (readlink(path, exe, sizeof(exe) - 1) < 0)
		return false;
	name = strrchr(exe, '/');
	if (!name)
		return false;
	return !strncmp(name + 1, ours, sizeof(ours) - 1) || (slash && !strcmp(name, slash));
}

/* A session on record whose worker cannot be reached, since its socket was deleted, or is closed:
 * it would go on using the GPU without an account of its use. */
static void end_lost(const struct daemon *d, const struct held_session *s, const char *what)
{
	const pid_t pid = s->pid > INT32_MAX ? 0 : (pid_t)s->pid;
	const int fd = process_open(pid, s->start);

	if (fd < 0)
		return;
	if (runs_a_worker(d, pid)) {
		log_warning("session %" PRIu32 " of a former pvgpud: the socket of its worker, "
			    "process %d, %s: the worker is ended",
			    s->id, (int)pid, what);
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
	}
	close(fd);
}

/* Did the program run before the session, and does it run now? */
static bool program_lives(const struct held_session *s)
{
	const uint64_t ticks =
		s->guest && s->guest <= INT32_MAX ? process_started((pid_t)s->guest) : 0;

	return ticks && ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK) <= s->started_ms;
}

/* The worker of a session ended while there was no pvgpud, or has closed its socket to look so. It
 * is a failure where its program lives on: otherwise it ended with that. Of a Xen guest's program
 * it hears from pvgpud only. That guest is told. */
static void died(struct daemon *d, const struct named *n)
{
	struct vgpu *v = daemon_vgpu(d, n->vgpu);
	struct held *h = v ? held_take(d->held, n->id) : NULL;
	const struct held_session *s = h ? held_session(h) : NULL;

	if (v && n->number)
		xenctl_lost(v, n->number);
	if (s)
		end_lost(d, s, "is closed");
	if (s && (n->number ? !s->closed : program_lives(s))) {
		v->failed++;
		snprintf(v->last_reason, sizeof(v->last_reason),
			 "session %u: its worker died while there was no pvgpud", n->id);
		log_warning("vgpu %s: %s", v->cfg.name, v->last_reason);
	}
	held_end(h);
}

static void adopt(struct daemon *d, const char *file, const struct named *n)
{
	struct vgpu *v = NULL;
	struct msg_peer peer = {.pidfd = -1};
	struct worker *w = NULL;
	const uint32_t uid = recorded_uid(d, file);
	int fd = reach(d, file);

	/* A worker that is not adopted may live on for a while: its user stays taken. */
	if (uids_mark(&d->uids, uid) < 0)
		log_warning("workers/%s: uid %" PRIu32 " is another worker's, too", file, uid);
	if (fd >= 0 && msg_peer(fd, &peer) == 0 && is_ours(&peer)) {
		v = owner(d, file, n, &peer);
		w = v ? adopt_recorded(v, n->id, n->number) : NULL;
		if (v && !w)
			end_orphan(file, &peer, "record");
	} else if (peer.pidfd >= 0) {
		log_warning("workers/%s: not adopted: its uid is %u, pvgpud's is %u", file,
			    peer.uid, geteuid());
	} else {
		died(d, n);
	}
	if (!w) {
		if (fd >= 0)
			close(fd);
		if (peer.pidfd >= 0)
			close(peer.pidfd);
		unlinkat(d->workers_dir, file, 0);
		return;
	}
	w->uid = uid;
	w->pid = peer.pid;
	w->pidfd = peer.pidfd;
	w->control = fd;
	cgroup_adopt(w);
	share_await(w);
	snprintf(w->sock, sizeof(w->sock), "%.95s", file);
	supervise_watch(w);
	worker_deadline(w, d->cfg.adopt_ms, "did not answer its new pvgpud");
}

void adopt_scan(struct daemon *d)
{
	int fd = openat(d->workers_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct held_session rest;
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
			/* Spare workers exit with their pvgpud. */
			unlinkat(d->workers_dir, e->d_name, 0);
			continue;
		}
		adopt(d, e->d_name, &name);
		n++;
	}
	closedir(dir);
	while (held_rest(d->held, &rest))
		end_lost(d, &rest, "was deleted");
	if (n)
		log_info("found %u session%s of a former pvgpud", d->session_n,
			 d->session_n == 1 ? "" : "s");
}

static void give_log(struct worker *w)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_LOG, .session = w->id};
	int p[2];

	if (worker_log_make(p) < 0)
		return;
	if (msg_send(w->control, &m, sizeof(m), &p[1], 1) == 0)
		worker_log_open(w, p[0]);
	else
		close(p[0]);
	close(p[1]);
}

static void find_guest(struct worker *w)
{
	int fd = w->guest_pid > 0 ? pidfd_open(w->guest_pid, 0) : -1;

	if (fd >= 0)
		supervise_watch_guest(w, fd);
	else if (w->guest_pid > 0 && errno == ESRCH)
		worker_deadline(w, w->d->cfg.worker_ms + 2000, "did not end after its guest");
	else if (!w->number)
		pulse_start(w);
}

/* Ends a worker whose STATE differs from the record in what an honest one cannot; false: none. */
static bool claims_more(struct worker *w, const struct pvgpu_sup *m)
{
	const uint64_t guest = held_session(w->held)->guest;
	const uint32_t chunks = w->grants - held_session(w->held)->ring_pages;

	if (m->session != w->id || strcmp(m->vgpu, w->vgpu->cfg.name) != 0)
		faults_kill(w, FAULT_PROTOCOL, "claims to be session %" PRIu32 " of %s", m->session,
			    m->vgpu);
	else if (m->b != guest)
		faults_kill(w, FAULT_PROTOCOL, "claims the guest's %s %" PRIu64 ", not %" PRIu64,
			    w->number ? "session" : "process", m->b, guest);
	else if (m->a > w->leased)
		faults_kill(w, FAULT_PROTOCOL,
			    "claims a lease of %" PRIu64 " bytes, of which %" PRIu64
			    " are on record",
			    m->a, w->leased);
	else if (m->id > chunks)
		faults_kill(w, FAULT_PROTOCOL,
			    "claims %" PRIu32 " grants, of which %" PRIu32 " are on record", m->id,
			    chunks);
	else
		return false;
	return true;
}

void adopt_state(struct worker *w, const struct pvgpu_sup *m)
{
	struct daemon *d = w->d;
	struct vgpu *v = w->vgpu;

	if (claims_more(w, m))
		return;
	w->state = CHECK_SERVING;
	w->ready = w->sealed = true;
	w->shares = m->knows & PVGPU_SUP_KNOWS_SHARE;
	w->parking.knows = m->knows & PVGPU_SUP_KNOWS_PARK;
	w->parking.knows_busy = m->knows & PVGPU_SUP_KNOWS_BUSY;
	w->parking.knows_more = m->knows & PVGPU_SUP_KNOWS_MORE;
	parking_adopted(w);
	worker_deadline(w, 0, NULL);
	watchdog_wake(d);
	find_guest(w);
	give_log(w);
	/* At once, with what is on record: the worker compares it with its STATE. */
	supervise_meminfo(w, lease_free(v));
	vgpu_changed(v);
	if (v->drain == PVGPU_DRAIN_NOW || d->stopping)
		supervise_say(w, PVGPU_SUP_DRAIN, 0, d->cfg.shutdown_ms);
	log_info("%s: adopted worker %d of %s %" PRIu64 " with %" PRIu64 " bytes", worker_name(w),
		 (int)w->pid, w->number ? "session" : "pid", m->b, w->leased);
	share_worker(w, true);
	if (w->number)
		xenctl_adopted(w);
}
