/* SPDX-License-Identifier: MIT */
/* One vGPU: its socket with owner and permissions, its quota, its pool. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"

#define TELL_AFTER_S    0.002
#define AT_ONCE         16
#define NO_DESCRIPTOR_S 0.2
/* Connections that wait to be accepted. A job's processes, which start at once, fit; dead ones that
 * a program of the vGPU leaves there are gone within 8 s, by the budget below. */
#define QUEUE 1024

/* Connections of local guests. Beyond that they wait in the socket's line. */
static const struct budget_rule budget_connections = {
	.burst = 512, .a_second = 128, .pause_ns = 20000000, .over_ns = UINT64_MAX};

uint64_t vgpu_quota(const struct vgpu *v)
{
	if (v->former)
		return 0;
	return v->cfg.memory ? v->cfg.memory : v->pool->device_memory;
}

static void on_tell(struct ev_loop *loop, ev_timer *t, int events)
{
	struct vgpu *v = t->data;
	const uint64_t free = lease_free(v);
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		/* A worker knows its own leases: it is told only when those of others have changed.
		 */
		if (w->vgpu == v && w->state == CHECK_SERVING &&
		    w->told != free + w->leased + w->parking.bytes)
			supervise_meminfo(w, free);
	}
}

static void on_pause_over(struct ev_loop *loop, ev_timer *t, int events)
{
	struct vgpu *v = t->data;

	ev_io_start(loop, &v->io);
}

void vgpu_init(struct vgpu *v, struct daemon *d, const struct config_vgpu *cfg, struct pool *pool)
{
	v->d = d;
	v->pool = pool;
	v->cfg = *cfg;
	v->group = group_get(d, cfg->group);
	v->fd = -1;
	SLIST_INIT(&v->lost);
	v->ledger.quota = vgpu_quota(v);
	ev_timer_init(&v->tell, on_tell, 0., 0.);
	ev_timer_init(&v->pause, on_pause_over, 0., 0.);
	v->tell.data = v->pause.data = v;
	parking_init(v);
}

void vgpu_tell(struct vgpu *v)
{
	if (!v->sessions || ev_is_active(&v->tell))
		return;
	ev_timer_set(&v->tell, TELL_AFTER_S, 0.);
	ev_timer_start(v->d->loop, &v->tell);
}

void vgpu_changed(struct vgpu *v)
{
	if (v->xen)
		xenbus_changed(v->xen);
	if (v->sessions > 1)
		vgpu_tell(v);
	/* Its memory cannot be promised to others. */
	if (!v->cfg.memory)
		pool_used(v->pool);
}

static bool is_busy(const struct vgpu *v)
{
	return v->sessions || v->openings;
}

/* The pool for a changed memory or pool setting; NULL with a reason. */
static struct pool *place_anew(struct vgpu *v, const struct config_vgpu *cfg,
			       char reason[POOL_REASON])
{
	struct config_vgpu want = *cfg;

	/* Memory of sessions cannot be moved: vgpu_settle changes the pool when they have ended. */
	if (is_busy(v))
		memcpy(want.pool, v->pool->cfg.name, sizeof(want.pool));
	return pool_place(v->d, &want, v, reason);
}

static void name_group(struct vgpu *v, struct pool_group *g, const char *name)
{
	v->group = g;
	memset(v->cfg.group, 0, sizeof(v->cfg.group));
	strcpy(v->cfg.group, name);
}

/* 0, or -1: it stays in its former group. */
static int change_group(struct vgpu *v, const char *name)
{
	struct pool_group *old = v->group, *g;
	const char *was = old ? old->cfg.name : "";

	if (!strcmp(was, name))
		return 0;
	g = group_get(v->d, name);
	name_group(v, g, name);
	if (share_moved(v) == 0) {
		group_put(v->d, old);
		return 0;
	}
	name_group(v, old, was);
	group_put(v->d, g);
	return -1;
}

int vgpu_change(struct vgpu *v, const struct config_vgpu *cfg, char reason[POOL_REASON])
{
	const uint64_t had = v->cfg.memory, reserve = v->cfg.policy.memory_reserve;
	const bool memory = had != cfg->memory || reserve != cfg->policy.memory_reserve;
	struct pool *p = v->pool;

	goals_changed(p);
	if (change_group(v, cfg->group) < 0) {
		snprintf(reason, POOL_REASON, "out of memory: it stays in its group");
		return -1;
	}
	if (!memory && !strcmp(v->cfg.pool, cfg->pool))
		return 0;
	if (memory || !is_busy(v))
		p = place_anew(v, cfg, reason);
	else if (cfg->pool[0] && !pool_find(v->d, cfg->pool))
		p = place_anew(v, cfg, reason);
	if (!p)
		return -1;
	/* Set before the move, so that the new pool counts the new promise. */
	v->cfg.memory = cfg->memory;
	v->cfg.policy.memory_reserve = cfg->policy.memory_reserve;
	if (p != v->pool && vgpu_move(v, p) < 0) {
		v->cfg.memory = had;
		v->cfg.policy.memory_reserve = reserve;
		snprintf(reason, POOL_REASON, "out of memory: it stays in pool %s",
			 v->pool->cfg.name);
		return -1;
	}
	memcpy(v->cfg.pool, cfg->pool, sizeof(v->cfg.pool));
	v->unfit[0] = '\0';
	if (had != cfg->memory)
		log_info("vgpu %s: memory is %" PRIu64 " MiB now", v->cfg.name, cfg->memory >> 20);
	if (reserve != cfg->policy.memory_reserve)
		log_info("vgpu %s: memory-reserve is %" PRIu64 " MiB now", v->cfg.name,
			 config_reserve(&v->cfg) >> 20);
	if (memory)
		lease_quota_known(v);
	pool_changed(v->pool);
	return 0;
}

int vgpu_move(struct vgpu *v, struct pool *pool)
{
	struct pool *old = v->pool;

	v->pool = pool;
	if (share_moved(v) < 0) {
		v->pool = old;
		log_error("vgpu %s: out of memory: it stays in pool %s", v->cfg.name,
			  old->cfg.name);
		return -1;
	}
	log_info("vgpu %s: from pool %s to pool %s", v->cfg.name, old->cfg.name, pool->cfg.name);
	goals_changed(old);
	goals_changed(pool);
	pool_changed(old);
	lease_quota_known(v);
	pool_changed(pool);
	return 0;
}

void vgpu_settle(struct vgpu *v)
{
	char reason[POOL_REASON];
	struct pool *p;

	if (is_busy(v) || v->d->stopping)
		return;
	p = pool_place(v->d, &v->cfg, v, reason);
	v->unsettled = !p && !reason[0];
	if (v->unsettled)
		return;
	if (!p)
		log_warning("vgpu %s: stays in pool %s: %s", v->cfg.name, v->pool->cfg.name,
			    reason);
	else if (p != v->pool)
		vgpu_move(v, p);
}

/* Counted for each vGPU, so that the guests of one cannot shut out those of another. The next ones
 * wait in the socket's queue, in order. */
static bool is_crowded(struct vgpu *v)
{
	if (v->openings < v->d->cfg.max_opening)
		return false;
	v->crowded = true;
	ev_io_stop(v->d->loop, &v->io);
	if (log_room(&v->noise, now_ms(), v->cfg.name))
		log_info("vgpu %s: %u processes are opening sessions, as many as max_opening "
			 "allows: the next ones wait for these",
			 v->cfg.name, v->openings);
	return true;
}

void vgpu_less_crowded(struct vgpu *v)
{
	if (!v->crowded)
		return;
	v->crowded = false;
	if (v->fd >= 0 && !ev_is_active(&v->pause))
		ev_io_start(v->d->loop, &v->io);
}

static void make_pause(struct vgpu *v, double seconds)
{
	ev_io_stop(v->d->loop, &v->io);
	ev_timer_set(&v->pause, seconds, 0.);
	ev_timer_start(v->d->loop, &v->pause);
}

/* The connection waits: it cannot even be answered. */
static void no_descriptor(struct vgpu *v)
{
	static const char why[] = "pvgpud is out of file descriptors: raise its LimitNOFILE";

	if (log_room(&v->noise, now_ms(), v->cfg.name))
		log_warning("vgpu %s: %s; a connection waits", v->cfg.name, why);
	snprintf(v->refusing, sizeof(v->refusing), "%s", why);
	make_pause(v, NO_DESCRIPTOR_S);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
	struct vgpu *v = io->data;

	for (int i = 0; i < AT_ONCE && !is_crowded(v); i++) {
		int fd = accept4(v->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				no_descriptor(v);
			return;
		}
		open_accept(v, fd);
		if (budget_take(&v->connections, &budget_connections, 1, pvgpu_poll_now()))
			continue;
		make_pause(v, budget_connections.pause_ns / 1e9);
		return;
	}
}

/* "user", "user:group" or ":group"; numbers work too. 0 or -errno, logged. */
static int set_owner(const struct vgpu *v, int dir, const char *name)
{
	char buf[sizeof(v->cfg.owner)];
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	char *group, *end;
	int err = 0;

	if (!v->cfg.owner[0])
		return 0;
	strcpy(buf, v->cfg.owner);
	group = strchr(buf, ':');
	if (group)
		*group++ = '\0';
	if (buf[0]) {
		struct passwd *pw = getpwnam(buf);

		uid = pw ? pw->pw_uid : (uid_t)strtoul(buf, &end, 10);
		if (!pw && *end) {
			log_error("vgpu %s: owner = %s: no such user", v->cfg.name, v->cfg.owner);
			return -EINVAL;
		}
	}
	if (group && *group) {
		struct group *gr = getgrnam(group);

		gid = gr ? gr->gr_gid : (gid_t)strtoul(group, &end, 10);
		if (!gr && *end) {
			log_error("vgpu %s: owner = %s: no such group", v->cfg.name, v->cfg.owner);
			return -EINVAL;
		}
	}
	if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) {
		err = -errno;
		log_error("vgpu %s: cannot give %s to %s: %s", v->cfg.name, v->cfg.socket,
			  v->cfg.owner, strerror(-err));
	}
	return err;
}

/* Also makes it where it is missing, for all users to enter: the socket's permissions decide. */
static int open_or_make(const char *path)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int dir = open(path, flags), made;
	mode_t mask;

	if (dir >= 0 || errno != ENOENT)
		return dir;
	mask = umask(022);
	made = mkdir(path, 0755);
	umask(mask);
	return made < 0 ? -1 : open(path, flags);
}

/* The folder of the vGPU's socket, and the socket's name in it. A descriptor, or -1. */
static int open_folder(const struct vgpu *v, const char **name)
{
	char path[CONFIG_PATH];
	char *slash;

	strcpy(path, v->cfg.socket);
	slash = strrchr(path, '/');
	*name = v->cfg.socket + (slash ? slash + 1 - path : 0);
	if (slash)
		slash[slash == path] = '\0';
	return open_or_make(slash ? path : ".");
}

/*
 * Makes the socket under another name, with its permissions and listening, and then gives it its
 * own name in place of one that a former pvgpud left. A program that connects meanwhile finds the
 * old socket and waits for us; where it found none, it would believe that there is no pvgpud.
 */
static int make_socket(const struct vgpu *v, int dir, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char new[32];
	mode_t mask;
	int err;

	snprintf(new, sizeof(new), ".%d.sock", (int)getpid());
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, new);
	unlinkat(dir, new, 0);
	mask = umask(0777);
	err = bind(v->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	if (err)
		return err;
	err = listen(v->fd, QUEUE) < 0 ? -errno : set_owner(v, dir, new);
	if (!err && (fchmodat(dir, new, v->cfg.mode, 0) < 0 || renameat(dir, new, dir, name) < 0))
		err = -errno;
	if (err)
		unlinkat(dir, new, 0);
	return err;
}

int vgpu_listen(struct vgpu *v)
{
	const char *name;
	int dir, err;

	v->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->fd < 0) {
		log_error("vgpu %s: cannot make a socket: %s", v->cfg.name, strerror(errno));
		return -1;
	}
	msg_refuse_fds(v->fd);
	dir = open_folder(v, &name);
	err = dir < 0 ? -errno : make_socket(v, dir, name);
	if (dir >= 0)
		close(dir);
	if (err) {
		log_error("vgpu %s: cannot make %s: %s", v->cfg.name, v->cfg.socket,
			  strerror(-err));
		return -1;
	}
	ev_io_init(&v->io, on_connect, v->fd, EV_READ);
	v->io.data = v;
	ev_io_start(v->d->loop, &v->io);
	socket_file_note(&v->socket_file, v->cfg.socket);
	log_info("vgpu %s: %s, memory %" PRIu64 " MiB%s", v->cfg.name, v->cfg.socket,
		 v->cfg.memory >> 20, v->cfg.memory ? "" : " (all of the GPU's)");
	return 0;
}

void vgpu_listen_again(struct vgpu *v)
{
	const int old = v->fd;

	if (old < 0 || socket_file_is_there(&v->socket_file, v->cfg.socket))
		return;
	log_warning("vgpu %s: %s was deleted: it is made again", v->cfg.name, v->cfg.socket);
	ev_timer_stop(v->d->loop, &v->pause);
	ev_io_stop(v->d->loop, &v->io);
	if (vgpu_listen(v) == 0) {
		close(old);
		return;
	}
	if (v->fd >= 0)
		close(v->fd);
	v->fd = old;
	ev_io_set(&v->io, old, EV_READ);
	ev_io_start(v->d->loop, &v->io);
}

const char *vgpu_refusing(const struct vgpu *v)
{
	if (v->fd >= 0 && !socket_file_is_there(&v->socket_file, v->cfg.socket))
		return "its socket was deleted: systemctl reload pvgpud makes it again";
	return v->unfit[0] ? v->unfit : v->refusing;
}

void vgpu_close(struct vgpu *v, bool stays)
{
	ev_timer_stop(v->d->loop, &v->tell);
	ev_timer_stop(v->d->loop, &v->pause);
	parking_stop(v);
	if (v->fd < 0)
		return;
	ev_io_stop(v->d->loop, &v->io);
	close(v->fd);
	v->fd = -1;
	if (!stays && socket_file_is_there(&v->socket_file, v->cfg.socket))
		unlink(v->cfg.socket);
}

/* Tells running sessions that they are to end, or that they are not. */
static void announce(const struct vgpu *v, bool end)
{
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && w->state == CHECK_SERVING)
			supervise_say(w, PVGPU_SUP_DRAIN, 0,
				      end ? v->d->cfg.shutdown_ms : PVGPU_SUP_NO_END);
	}
}

void vgpu_drain(struct vgpu *v, enum pvgpu_drain to)
{
	static const char *const said[] = {
		[PVGPU_DRAIN_0] = "takes sessions again",
		[PVGPU_DRAIN_1] = "draining: running sessions go on",
		[PVGPU_DRAIN_NOW] = "draining: running sessions are ended",
	};
	const enum pvgpu_drain had = v->drain;

	if (to == had)
		return;
	log_info("vgpu %s: %s", v->cfg.name, said[to]);
	v->drain = to;
	if (to != PVGPU_DRAIN_0)
		open_refuse_all(v->d, v, ESHUTDOWN, "the vGPU is draining");
	/* A pvgpud that stops has announced an end of its own. */
	if ((to == PVGPU_DRAIN_NOW || had == PVGPU_DRAIN_NOW) && !v->d->stopping)
		announce(v, to == PVGPU_DRAIN_NOW);
}
