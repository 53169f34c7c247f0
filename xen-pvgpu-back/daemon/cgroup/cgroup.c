/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup_files.h"
#include "xen-pvgpu-back/daemon/cgroup/host_memory.h"

#define PREFIX       "worker-"
#define CHECK        "check"
#define OURS         "pvgpud" /* where pvgpud goes: only leaves may have processes */
#define OUR_WEIGHT   10000u   /* the most: it has little to do, and others wait for it */
#define MEMORY_MOST  ((uint64_t)16 << 30)
#define LOOK_S       0.25
#define LOOKS        8u /* in so many each worker is looked at once */
#define SWEEP_S      0.1
#define SWEEP_MOST_S 5.
#define STOP_NS      10000000 /* between two looks at what is ended when pvgpud stops, */
#define STOP_LOOKS   500u     /* and so many looks */

enum { MEMORY, PIDS, CPU, CONTROLLERS };
static const char *const controllers[CONTROLLERS] = {"memory", "pids", "cpu"};

struct cgroups {
	struct daemon *d;
	int dir;
	bool have[CONTROLLERS];
	uint64_t machine, memory; /* bytes: the machine's, and the limit of a worker */
	ev_timer look, sweep;
	double sweep_s;
	unsigned int last; /* worker that was looked at */
	bool running;      /* timers have begun */
};

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void name_of(unsigned int id, char name[32])
{
	snprintf(name, 32, PREFIX "%u", id);
}

static uint64_t machine_memory(void)
{
	struct sysinfo s;

	return sysinfo(&s) < 0 ? 2 * MEMORY_MOST : (uint64_t)s.totalram * s.mem_unit;
}

static uint64_t memory_limit(const struct config *c, uint64_t machine)
{
	if (c->worker_memory)
		return c->worker_memory;
	return machine / 2 < MEMORY_MOST ? machine / 2 : MEMORY_MOST;
}

/* ---- where ---- */

static int __attribute__((format(printf, 2, 3))) absent(struct daemon *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->cgroup_why, sizeof(d->cgroup_why), fmt, ap);
	va_end(ap);
	return -1;
}

/* pvgpud must be alone in it to have cgroups below it that limit something; the first cgroup of
 * all is the exception. */
static int leave(struct daemon *d, int dir)
{
	pid_t other;
	int ours, err;

	if (!cgroup_has(dir, getpid()) || faccessat(dir, "cgroup.type", F_OK, 0) < 0)
		return 0;
	if (cgroup_others(dir, getpid(), &other))
		return absent(d, "process %d is in pvgpud's cgroup, too", (int)other);
	if (mkdirat(dir, OURS, 0755) < 0 && errno != EEXIST)
		return absent(d, "cannot make cgroups: %s", strerror(errno));
	ours = open_dir(dir, OURS);
	err = ours < 0 ? -errno : cgroup_write_number(ours, "cgroup.procs", (uint64_t)getpid());
	if (ours >= 0)
		close(ours);
	return err ? absent(d, "cannot move to a cgroup: %s", strerror(-err)) : 0;
}

/* Where systemd has not given pvgpud a cgroup, it is in the first one: below that, by its run
 * directory. */
static int find(struct daemon *d, char *path, size_t cap)
{
	char why[sizeof(d->cgroup_why)];
	const size_t end = strlen(OURS) + 1;
	size_t n;
	int dir;

	if (d->cfg.cgroup[0] == '/') {
		snprintf(path, cap, "%s", d->cfg.cgroup);
		return 0;
	}
	if (cgroup_own("/proc/self", path, cap, why, sizeof(why)) < 0)
		return absent(d, "%s", why);
	n = strlen(path);
	/* A pvgpud that this one was started from has moved. */
	if (n > end && !strcmp(path + n - end, "/" OURS))
		path[n - end] = '\0';
	dir = open_dir(AT_FDCWD, path);
	if (dir < 0 || faccessat(dir, "cgroup.type", F_OK, 0) == 0) {
		if (dir >= 0)
			close(dir);
		return 0;
	}
	close(dir);
	n = strlen(path);
	snprintf(path + n, cap - n, "/pvgpu%s", d->cfg.run_dir);
	for (char *s = path + n + 1; *s; s++)
		*s = *s == '/' ? '-' : *s;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return absent(d, "%s: %s", path, strerror(errno));
	d->cgroup_made = true;
	return 0;
}

/* Of the directory above, too, where we have made this one. */
static void enable(struct cgroups *g)
{
	const int above = g->d->cgroup_made ? open_dir(g->dir, "..") : -1;
	char on[16];

	for (int i = 0; i < CONTROLLERS; i++) {
		snprintf(on, sizeof(on), "+%s", controllers[i]);
		if (above >= 0)
			cgroup_write(above, "cgroup.subtree_control", on);
		cgroup_write(g->dir, "cgroup.subtree_control", on);
		g->have[i] = cgroup_lists(g->dir, "cgroup.subtree_control", controllers[i]);
	}
	if (above >= 0)
		close(above);
}

/* ---- what is left ---- */

/* 0, or -1: not yet. */
static int take_away(struct cgroups *g, const char *name)
{
	int dir;

	if (unlinkat(g->dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	dir = open_dir(g->dir, name);
	if (dir >= 0) {
		cgroup_kill_all(dir);
		close(dir);
	}
	return unlinkat(g->dir, name, AT_REMOVEDIR);
}

static bool is_used(const struct daemon *d, unsigned int id)
{
	const struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->id == id && w->cgroup >= 0)
			return true;
	}
	return false;
}

/* How many of dead workers are still there. first: they are a former pvgpud's. */
static unsigned int sweep(struct cgroups *g, bool first)
{
	const int fd = open_dir(g->dir, ".");
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned int id, left = 0;
	struct dirent *e;
	char name[32];

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (e = readdir(dir))) {
		if (sscanf(e->d_name, PREFIX "%u", &id) != 1)
			continue;
		name_of(id, name);
		if (strcmp(name, e->d_name) != 0 || is_used(g->d, id))
			continue;
		if (first)
			log_info("cgroup %s is left of a former pvgpud: it is ended", name);
		if (id >= g->d->next_id)
			g->d->next_id = id + 1;
		left += take_away(g, name) < 0;
	}
	if (dir)
		closedir(dir);
	return left;
}

static void sweep_later(struct cgroups *g)
{
	if (!g->running || ev_is_active(&g->sweep))
		return;
	ev_timer_set(&g->sweep, g->sweep_s, 0.);
	ev_timer_start(g->d->loop, &g->sweep);
	if (g->sweep_s < SWEEP_MOST_S)
		g->sweep_s *= 2;
}

static void on_sweep(struct ev_loop *loop, ev_timer *t, int events)
{
	struct cgroups *g = t->data;

	if (sweep(g, false))
		sweep_later(g);
	else
		g->sweep_s = SWEEP_S;
}

/* ---- a look at workers that serve ---- */

void cgroup_weigh(struct worker *w)
{
	const struct cgroups *g = w->d->cgroups;
	unsigned int weight;

	if (!g || w->cgroup < 0 || !w->vgpu || !g->have[CPU])
		return;
	weight = w->vgpu->cfg.policy.weight / (w->vgpu->sessions ? w->vgpu->sessions : 1);
	weight = weight ? weight : 1;
	if (weight != w->cpu_weight && cgroup_write_number(w->cgroup, "cpu.weight", weight) == 0)
		w->cpu_weight = weight;
}

/* Before the seal a driver's library may start programs. */
static void look(struct worker *w)
{
	pid_t other = 0;
	unsigned int n;

	cgroup_weigh(w);
	host_memory_look(w, w->d->cgroups->machine);
	if (w->cgroup < 0 || !w->sealed || w->killed)
		return;
	n = cgroup_others(w->cgroup, w->pid, &other);
	if (n)
		faults_kill(w, FAULT_ESCAPE, "has %u process%s beside its own, such as %d", n,
			    n == 1 ? "" : "es", (int)other);
}

static struct worker *after(const struct daemon *d, unsigned int id)
{
	struct worker *w, *best = NULL;

	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->id > id && (!best || w->id < best->id))
			best = w;
	}
	return best;
}

static void look_at_all(struct vgpu *v, uint64_t machine)
{
	struct worker *w;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && !w->killed)
			host_memory_look(w, machine);
	}
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
	struct cgroups *g = t->data;
	struct daemon *d = g->d;

	for (unsigned int i = 0; i <= d->worker_n / LOOKS; i++) {
		struct worker *w = after(d, g->last);

		g->last = w ? w->id : 0;
		if (w)
			look(w);
	}
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		if (d->vgpus[i]->sessions && host_memory_is_tight(d->vgpus[i], g->machine))
			look_at_all(d->vgpus[i], g->machine);
	}
}

/* ---- a worker's ---- */

/* Zero swap only where there is a file for it. */
static int set_limits(const struct cgroups *g, int dir)
{
	int err = 0;

	if (g->have[MEMORY]) {
		err = cgroup_write_number(dir, "memory.max", g->memory);
		if (!err)
			err = cgroup_write(dir, "memory.oom.group", "1");
		if (!err)
			err = cgroup_write(dir, "memory.swap.max", "0");
		if (err == -ENOENT)
			err = 0;
	}
	if (!err && g->have[PIDS])
		err = cgroup_write_number(dir, "pids.max", g->d->cfg.worker_pids);
	return err;
}

static int make(struct cgroups *g, const char *name)
{
	int dir, err;

	if (mkdirat(g->dir, name, 0755) < 0)
		return -errno;
	dir = open_dir(g->dir, name);
	err = dir < 0 ? -errno : set_limits(g, dir);
	if (!err)
		return dir;
	if (dir >= 0)
		close(dir);
	unlinkat(g->dir, name, AT_REMOVEDIR);
	return err;
}

int cgroup_make(struct worker *w)
{
	struct cgroups *g = w->d->cgroups;
	char name[32];
	int dir;

	if (!g)
		return 0;
	name_of(w->id, name);
	dir = make(g, name);
	if (dir == -EEXIST && take_away(g, name) == 0)
		dir = make(g, name);
	if (dir < 0)
		return dir;
	w->cgroup = dir;
	return 0;
}

void cgroup_adopt(struct worker *w)
{
	const struct cgroups *g = w->d->cgroups;
	char name[32];

	if (!g)
		return;
	name_of(w->id, name);
	w->cgroup = open_dir(g->dir, name);
	if (w->cgroup >= 0 && cgroup_has(w->cgroup, w->pid)) {
		/* systemd may have taken the limits away meanwhile. Those that are there stay: a
		 * lower one would have this process look for memory to take back. */
		if (g->have[MEMORY] && cgroup_read_number(w->cgroup, "memory.max") == UINT64_MAX)
			set_limits(g, w->cgroup);
		return;
	}
	if (w->cgroup >= 0)
		close(w->cgroup);
	w->cgroup = -1;
	log_warning("%s: adopted worker %d is in no cgroup of its own", worker_name(w),
		    (int)w->pid);
}

bool cgroup_was_full(struct worker *w, char *reason, size_t cap)
{
	const uint64_t most = w->cgroup < 0 ? 0 : cgroup_read_number(w->cgroup, "memory.max");

	if (w->cgroup < 0 || !cgroup_read_event(w->cgroup, "memory.events", "oom_kill"))
		return false;
	if (most != UINT64_MAX && cgroup_read_event(w->cgroup, "memory.events", "oom")) {
		snprintf(reason, cap,
			 "the worker was ended: its cgroup's memory limit of %" PRIu64 " MiB",
			 most >> 20);
		if (w->fault == FAULT_NONE)
			w->fault = FAULT_MEMORY;
		return true;
	}
	snprintf(reason, cap, "the worker was ended: the backend domain is short of memory");
	return true;
}

void cgroup_kill(struct worker *w)
{
	if (w->cgroup >= 0)
		cgroup_kill_all(w->cgroup);
}

void cgroup_gone(struct worker *w)
{
	struct cgroups *g = w->d->cgroups;
	pid_t other = 0;
	unsigned int n;
	char name[32];

	if (w->cgroup < 0 || !g)
		return;
	n = cgroup_others(w->cgroup, w->pid, &other);
	if (n && w->sealed) {
		log_warning("%s: left processes behind: %u, such as %d: they are ended",
			    worker_name(w), n, (int)other);
		if (w->fault == FAULT_NONE)
			w->fault = FAULT_ESCAPE;
	}
	close(w->cgroup);
	w->cgroup = -1;
	name_of(w->id, name);
	if (take_away(g, name) < 0)
		sweep_later(g);
}

/* ---- start and stop ---- */

static int try(struct daemon *d, struct cgroups *g)
{
	int dir, err;

	take_away(g, CHECK);
	dir = make(g, CHECK);
	if (dir < 0)
		return absent(d, "cannot make a cgroup: %s", strerror(-dir));
	err = process_try(dir);
	close(dir);
	take_away(g, CHECK);
	return err ? absent(d, "no process is born in one here: %s", strerror(err)) : 0;
}

static int open_it(struct daemon *d, struct cgroups *g)
{
	char path[CONFIG_PATH + 300];
	int ours;

	if (d->cfg.cgroup[0] == 'o')
		return absent(d, "cgroup = off");
	if (find(d, path, sizeof(path)) < 0)
		return -1;
	g->dir = open_dir(AT_FDCWD, path);
	if (g->dir < 0)
		return absent(d, "%s: %s", path, strerror(errno));
	if (faccessat(g->dir, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return absent(d, "%s: %s", path, strerror(errno));
	if (process_lock(g->dir) < 0)
		return absent(d, "%s: another pvgpud is using it", path);
	if (leave(d, g->dir) < 0)
		return -1;
	enable(g);
	ours = g->have[CPU] ? open_dir(g->dir, OURS) : -1;
	if (ours >= 0) {
		cgroup_write_number(ours, "cpu.weight", OUR_WEIGHT);
		close(ours);
	}
	snprintf(d->cgroup_path, sizeof(d->cgroup_path), "%.500s", path);
	return try(d, g);
}

static void say(struct daemon *d, const struct cgroups *g)
{
	size_t n = 0;

	d->cgroup_why[0] = '\0';
	for (int i = 0; i < CONTROLLERS; i++)
		if (!g->have[i])
			n += (size_t)snprintf(d->cgroup_why + n, sizeof(d->cgroup_why) - n, "%s%s",
					      n ? ", " : "on, without ", controllers[i]);
	if (!n)
		snprintf(d->cgroup_why, sizeof(d->cgroup_why), "on");
	log_line(n ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "cgroups of workers: %s: below %s%s",
		 d->cgroup_why, d->cgroup_path, n ? ": its cgroup has no such controller" : "");
}

int cgroup_start(struct daemon *d)
{
	struct cgroups *g = calloc(1, sizeof(*g));
	char why[sizeof(d->cgroup_why)];

	if (!g) {
		log_error("out of memory");
		return -1;
	}
	*g = (struct cgroups){.d = d, .dir = -1, .machine = machine_memory(), .sweep_s = SWEEP_S};
	g->memory = memory_limit(&d->cfg, g->machine);
	if (open_it(d, g) == 0) {
		d->cgroups = g;
		say(d, g);
		return 0;
	}
	if (g->dir >= 0)
		close(g->dir);
	free(g);
	memcpy(why, d->cgroup_why, sizeof(why));
	if (d->cfg.cgroup[0] == '/') {
		log_error("cgroup = %s: %s", d->cfg.cgroup, why);
		return -1;
	}
	snprintf(d->cgroup_why, sizeof(d->cgroup_why), "absent: %.*s",
		 (int)sizeof(d->cgroup_why) - 10, why);
	log_warning("cgroups of workers: %s: neither their memory nor their use of processors is "
		    "limited",
		    d->cgroup_why);
	return 0;
}

void cgroup_run(struct daemon *d)
{
	struct cgroups *g = d->cgroups;

	if (!g)
		return;
	g->running = true;
	ev_init(&g->sweep, on_sweep);
	ev_timer_init(&g->look, on_look, LOOK_S, LOOK_S);
	g->sweep.data = g->look.data = g;
	ev_timer_start(d->loop, &g->look);
	if (sweep(g, true))
		sweep_later(g);
}

/* A killed process needs a processor to die, and no later pvgpud may come that would look again. */
static void sweep_all(struct cgroups *g)
{
	const struct timespec pause = {.tv_nsec = STOP_NS};
	unsigned int left = sweep(g, false);

	for (unsigned int i = 0; left && i < STOP_LOOKS; i++) {
		nanosleep(&pause, NULL);
		left = sweep(g, false);
	}
	if (left)
		log_warning("%u cgroups of dead workers stay below %s: their processes do not end",
			    left, g->d->cgroup_path);
}

void cgroup_stop(struct daemon *d)
{
	struct cgroups *g = d->cgroups;

	if (!g)
		return;
	if (g->running) {
		ev_timer_stop(d->loop, &g->look);
		ev_timer_stop(d->loop, &g->sweep);
	}
	if (!d->worker_n)
		sweep_all(g);
	/* Not while there are workers in it. */
	if (d->cgroup_made)
		rmdir(d->cgroup_path);
	close(g->dir);
	free(g);
	d->cgroups = NULL;
}

const char *cgroup_state(const struct daemon *d)
{
	return d->cgroup_why;
}

int cgroup_for_check(struct daemon *d)
{
	int dir;

	if (!d->cgroups)
		return -1;
	take_away(d->cgroups, CHECK);
	dir = make(d->cgroups, CHECK);
	return dir < 0 ? -1 : dir;
}

void cgroup_check_over(struct daemon *d, int dir)
{
	if (dir < 0)
		return;
	close(dir);
	take_away(d->cgroups, CHECK);
}
