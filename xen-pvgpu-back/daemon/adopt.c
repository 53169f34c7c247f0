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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "xen-pvgpu-back/link/msg.h"

#define LEASED_MAX (1ull << 50)

/* "7.vgpu0.sock" -> 7, "vgpu0"; a spare's "7.sock" -> 7, "". False: no socket of ours. */
static bool parse_name(const char *file, unsigned int *id, char name[40])
{
	unsigned int n = 0;
	size_t len;
	const char *s = file;

	if (*s < '1' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > (UINT32_MAX - 16) / 10)
			return false;
		n = n * 10 + (unsigned int)(*s - '0');
	}
	*id = n;
	name[0] = '\0';
	if (!strcmp(s, ".sock"))
		return true;
	len = strlen(s);
	if (*s != '.' || len < 7 || len - 6 > 39 || strcmp(s + len - 5, ".sock") != 0)
		return false;
	memcpy(name, s + 1, len - 6);
	name[len - 6] = '\0';
	return check_vgpu_name(name) == 0;
}

/* A connected socket, -1 when nobody listens there any more. */
static int reach(const struct daemon *d, const char *file)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.64s", d->workers_dir, file);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (errno != ECONNREFUSED)
		log_warning("workers/%s: %s", file, strerror(errno));
	close(fd);
	return -1;
}

/* A vGPU that the configuration does not have any more: its sessions may finish, no new ones come.
 */
static struct vgpu *former_vgpu(struct daemon *d, const char *name)
{
	struct config_vgpu cfg = {.max_sessions = 1, .memory = 1};
	struct vgpu *v;

	strcpy(cfg.name, name);
	v = daemon_add_vgpu(d, &cfg);
	if (v) {
		v->drain = true;
		log_warning("vgpu %s: not configured any more, but sessions of it run", name);
	}
	return v;
}

static void adopt(struct daemon *d, const char *file, unsigned int id, const char *name)
{
	struct vgpu *v = daemon_vgpu(d, name);
	struct msg_peer peer = {.pidfd = -1};
	struct worker *w = NULL;
	int fd = reach(d, file);

	if (fd >= 0 && msg_peer(fd, &peer) == 0 && peer.pidfd >= 0 && peer.uid == geteuid()) {
		if (!v)
			v = former_vgpu(d, name);
		w = v ? sup_new(d, id) : NULL;
	} else if (peer.pidfd >= 0) {
		log_warning("workers/%s: uid %u listens there, not pvgpud's", file, peer.uid);
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
	v->sessions++;
	v->total++;
	d->session_n++;
	snprintf(w->sock, sizeof(w->sock), "%.63s", file);
	sup_watch(w);
	sup_deadline(w, d->cfg.adopt_ms, "did not answer its new pvgpud");
}

void adopt_scan(struct daemon *d)
{
	int fd = openat(d->workers_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	char name[40];
	unsigned int id, n = 0;

	if (!dir) {
		log_error("%s/workers: %s", d->cfg.run_dir, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (!parse_name(e->d_name, &id, name))
			continue;
		if (id >= d->next_id)
			d->next_id = id + 1;
		if (!name[0]) {
			/* A spare exits with its pvgpud. */
			unlinkat(d->workers_dir, e->d_name, 0);
			continue;
		}
		adopt(d, e->d_name, id, name);
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
	uint64_t limit = d->device_memory ? d->device_memory : LEASED_MAX;

	if (m->session != w->id || strcmp(m->vgpu, v->cfg.name) != 0) {
		sup_kill(w, "says that it is session %" PRIu32 " of %s", m->session, m->vgpu);
		return;
	}
	if (ledger_adopt(&v->ledger, &w->leased, m->a, limit) < 0) {
		sup_kill(w, "says that it leases %" PRIu64 " bytes", m->a);
		return;
	}
	w->state = CHECK_SERVING;
	w->ready = w->sealed = true;
	w->guest_pid = m->b && m->b <= INT32_MAX ? (pid_t)m->b : 0;
	w->started_ms = m->c <= now_ms() ? m->c : now_ms();
	sup_deadline(w, 0, NULL);
	find_guest(w);
	give_log(w);
	if (v->ledger.quota)
		sup_meminfo(w);
	vgpu_changed(v);
	if (v->drain)
		sup_say(w, PVGPU_SUP_DRAIN, 0, d->cfg.shutdown_ms);
	log_info("%s: adopted worker %d of pid %d with %" PRIu64 " bytes", sup_name(w), (int)w->pid,
		 (int)w->guest_pid, w->leased);
}
