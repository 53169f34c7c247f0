/* SPDX-License-Identifier: MIT */
/*
 * pvgpud: options, run directory, signals, start and stop.
 *
 *   SIGTERM, SIGINT   drain: no new session, running ones may finish for shutdown_grace_ms; again:
 * at once SIGUSR1           hand over: exit and leave sessions running for the next pvgpud SIGHUP
 * read log_level again
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/scrub.h"
#include "xen-pvgpu-back/daemon/share.h"
#include "xen-pvgpu-back/daemon/watchdog.h"
#include "xen-pvgpu-back/daemon/xenbus.h"
#include "xen-pvgpu-back/link/xen_ops.h"

#define DEFAULT_CONFIG "/etc/pvgpu/pvgpud.conf"

static const char usage[] =
	"Usage: pvgpud [option]...\n"
	"Serves vGPUs to guest processes, one worker process for each.\n"
	"\n"
	"  --config FILE              configuration (default " DEFAULT_CONFIG
	", which need not exist)\n"
	"  --run-dir DIR              sockets and state, as run_dir in the configuration\n"
	"  --vgpu NAME[:KEY=VALUE,...] add a vGPU, with the keys of a [vgpu NAME] section\n"
	"  --set KEY=VALUE            set a key of the [daemon] section\n"
	"  --check                    read the configuration, say what is wrong with it, exit\n"
	"  --foreground               stay in the foreground: pvgpud always does\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM drains and stops, SIGUSR1 exits and leaves sessions to the next pvgpud, SIGHUP "
	"reads log_level again.\n";

struct options {
	const char *config;
	bool config_given, check;
};

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

struct vgpu *daemon_vgpu(struct daemon *d, const char *name)
{
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (!strcmp(d->vgpus[i]->cfg.name, name))
			return d->vgpus[i];
	return NULL;
}

struct vgpu *daemon_add_vgpu(struct daemon *d, const struct config_vgpu *cfg, struct pool *pool)
{
	struct vgpu **all = realloc(d->vgpus, (d->vgpu_n + 1) * sizeof(struct vgpu *));
	struct vgpu *v = calloc(1, sizeof(*v));

	if (all)
		d->vgpus = all;
	if (!all || !v) {
		free(v);
		return NULL;
	}
	vgpu_init(v, d, cfg, pool);
	if (share_vgpu(v) < 0) {
		group_put(d, v->group);
		free(v);
		return NULL;
	}
	d->vgpus[d->vgpu_n++] = v;
	faults_known(v);
	pool_changed(pool);
	return v;
}

void daemon_remove_vgpu(struct vgpu *v)
{
	struct daemon *d = v->d;
	unsigned int i = 0;

	vgpu_close(v);
	share_vgpu_gone(v);
	faults_gone(v);
	group_put(d, v->group);
	while (d->vgpus[i] != v)
		i++;
	d->vgpu_n--;
	memmove(&d->vgpus[i], &d->vgpus[i + 1], (d->vgpu_n - i) * sizeof(struct vgpu *));
	pool_changed(v->pool);
	free(v);
}

static int bad(const char *error)
{
	fprintf(stderr, "pvgpud: %s\n", error);
	return -1;
}

/* The file first, so that the command line has the last word. 0, -1, or 1: done. */
static int parse(struct options *o, struct config *c, int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"run-dir", required_argument, NULL, 'r'},
					      {"vgpu", required_argument, NULL, 'g'},
					      {"set", required_argument, NULL, 's'},
					      {"check", no_argument, NULL, 'k'},
					      {"foreground", no_argument, NULL, 'f'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'v'},
					      {NULL, 0, NULL, 0}};
	char error[CONFIG_ERROR], set[CONFIG_PATH + 16];
	int ch, r = 0;

	*o = (struct options){.config = DEFAULT_CONFIG};
	while ((ch = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (ch == 'h' || ch == 'v') {
			fputs(ch == 'h' ? usage : "pvgpud " PVGPU_VERSION "\n", stdout);
			return 1;
		}
		if (ch == '?') {
			fputs("Try pvgpud --help.\n", stderr);
			return -1;
		}
		if (ch == 'c') {
			o->config = optarg;
			o->config_given = true;
		}
		o->check |= ch == 'k';
	}
	if (optind < argc)
		return bad("takes options only; try pvgpud --help");
	if ((o->config_given || access(o->config, F_OK) == 0) &&
	    config_file(c, o->config, error) < 0)
		return bad(error);
	optind = 1;
	while (r == 0 && (ch = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (ch == 'g')
			r = config_vgpu(c, optarg, error);
		else if (ch == 's')
			r = config_set(c, optarg, error);
		if (ch == 'r') {
			snprintf(set, sizeof(set), "run_dir=%.250s", optarg);
			r = config_set(c, set, error);
		}
	}
	if (r < 0 || config_finish(c, error) < 0)
		return bad(error);
	return 0;
}

/* Where nothing is said, programs lie beside pvgpud (in a build) or where they are installed. */
static int find_program(char path[CONFIG_PATH], const char *name)
{
	static const char *const places[] = {"", "../libexec/pvgpu/"};
	char exe[CONFIG_PATH] = "";
	char *dir;

	if (!path[0]) {
		if (readlink("/proc/self/exe", exe, sizeof(exe) - 40) < 0)
			return bad("worker, health: not set, and /proc/self/exe cannot be read");
		dir = dirname(exe);
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(path, CONFIG_PATH, "%.200s/%s%.20s", dir, places[i], name);
			if (access(path, X_OK) == 0)
				return 0;
		}
	}
	return access(path, X_OK);
}

static int find_programs(struct config *c)
{
	/* Without that one there is just nobody who looks; health_start says so. */
	find_program(c->health, "pvgpu-health");
	if (find_program(c->worker, "pvgpu-worker") == 0)
		return 0;
	fprintf(stderr, "pvgpud: worker = %s: %s; set worker in [daemon]\n", c->worker,
		strerror(errno));
	return -1;
}

/* One pvgpud per run directory. The file goes with us, so make sure that the lock is on the one
 * that stays. */
static int take_lock(struct daemon *d)
{
	char path[CONFIG_PATH + 16];
	struct stat ours, there;

	snprintf(path, sizeof(path), "%s/lock", d->cfg.run_dir);
	for (;;) {
		d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (d->lock < 0 || flock(d->lock, LOCK_EX | LOCK_NB) < 0) {
			fprintf(stderr, "pvgpud: %s: %s\n", path,
				errno == EWOULDBLOCK ? "another pvgpud runs in this run_dir"
						     : strerror(errno));
			return -1;
		}
		if (fstat(d->lock, &ours) == 0 && stat(path, &there) == 0 &&
		    ours.st_ino == there.st_ino)
			return 0;
		close(d->lock);
	}
}

/* Sockets of a predecessor that was killed, perhaps of vGPUs that are not configured any more. */
static void remove_sockets(struct daemon *d)
{
	DIR *dir = opendir(d->cfg.run_dir);
	struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (n > 5 && !strcmp(e->d_name + n - 5, ".sock") &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISSOCK(st.st_mode))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static int make_run_dir(struct daemon *d)
{
	char path[CONFIG_PATH + 16];

	if (mkdir(d->cfg.run_dir, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "pvgpud: run_dir = %s: %s\n", d->cfg.run_dir, strerror(errno));
		return -1;
	}
	if (take_lock(d) < 0)
		return -1;
	remove_sockets(d);
	snprintf(path, sizeof(path), "%s/workers", d->cfg.run_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "pvgpud: %s: %s\n", path, strerror(errno));
		return -1;
	}
	d->workers_dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->workers_dir < 0) {
		fprintf(stderr, "pvgpud: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

static void remove_run_dir(struct daemon *d)
{
	char path[CONFIG_PATH + 16];

	snprintf(path, sizeof(path), "%s/workers", d->cfg.run_dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/lock", d->cfg.run_dir);
	unlink(path);
}

void daemon_check_stopped(struct daemon *d)
{
	if (d->stopping && !d->worker_n)
		ev_break(d->loop, EVBREAK_ALL);
}

static void kill_all(struct daemon *d, const char *why)
{
	struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	sup_kill(w, "%s", why);
}

static void on_stop_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	struct daemon *d = t->data;

	kill_all(d, "pvgpud stops");
}

static void stop(struct daemon *d)
{
	struct worker *w;

	if (d->stopping) {
		kill_all(d, "pvgpud stops at once");
		return;
	}
	d->stopping = true;
	log_info("stopping: %u sessions may finish for %u ms", d->session_n, d->cfg.shutdown_ms);
	open_refuse_all(d, NULL, ESHUTDOWN, "pvgpud is stopping");
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		vgpu_close(d->vgpus[i]);
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->state == CHECK_SERVING)
			sup_say(w, PVGPU_SUP_DRAIN, 0, d->cfg.shutdown_ms);
		else if (!w->vgpu)
			sup_kill(w, "spare, and pvgpud stops");
	}
	ev_timer_set(&d->stop_limit, (d->cfg.shutdown_ms + d->cfg.worker_ms) / 1e3 + 2, 0.);
	ev_timer_start(d->loop, &d->stop_limit);
	daemon_check_stopped(d);
}

static void on_term(struct ev_loop *loop, ev_signal *s, int events)
{
	stop(s->data);
}

static void on_hand_over(struct ev_loop *loop, ev_signal *s, int events)
{
	struct daemon *d = s->data;

	log_info("handing over: %u sessions go on", d->session_n);
	ev_break(d->loop, EVBREAK_ALL);
}

static const char *config_path;

static void on_hup(struct ev_loop *loop, ev_signal *s, int events)
{
	char error[CONFIG_ERROR];
	struct config c;

	config_init(&c);
	if (access(config_path, F_OK) == 0 && config_file(&c, config_path, error) < 0) {
		log_error("SIGHUP: nothing changed: %s", error);
	} else {
		log_set_level(c.log_level);
		log_info("SIGHUP: log_level is %s", log_level_name(log_get_level()));
	}
	config_free(&c);
}

static int add_vgpus(struct daemon *d)
{
	char reason[POOL_REASON];

	for (unsigned int i = 0; i < d->cfg.vgpu_n; i++) {
		const struct config_vgpu *cfg = &d->cfg.vgpus[i];
		struct pool *p = pool_place(d, cfg, NULL, reason);

		if (!p || !daemon_add_vgpu(d, cfg, p)) {
			fprintf(stderr, "pvgpud: vgpu %s: %s\n", cfg->name,
				p ? strerror(ENOMEM) : reason);
			return -1;
		}
	}
	return 0;
}

static int start(struct daemon *d)
{
	if (pool_start(d) < 0 || share_start(d) < 0)
		return -1;
	watchdog_init(d);
	faults_load(d);
	if (add_vgpus(d) < 0 || xenbus_start(d) < 0)
		return -1;
	/* What was placed on a GPU while that was well stays there. */
	faults_load_pools(d);
	if (!d->cfg.vgpu_n && !d->xen) {
		bad("no vGPU, and no Xen here: add a [vgpu NAME] section or --vgpu NAME");
		return -1;
	}
	/* Before anybody connects, so that numbers and memory are known. */
	adopt_scan(d);
	xenbus_run(d);
	if (admin_open(d) < 0)
		return -1;
	for (unsigned int i = 0; i < d->cfg.vgpu_n; i++)
		if (vgpu_listen(d->vgpus[i]) < 0)
			return -1;
	sup_keep_spares(d);
	health_start(d);
	return 0;
}

/* What this process holds goes; workers notice only that their control socket hangs up. */
static void finish(struct daemon *d)
{
	struct worker *w;

	health_stop(d);
	admin_close(d);
	/* First: Xen guests whose sessions go on are told nothing, not even a refusal. */
	xenbus_stop(d, !d->stopping || d->worker_n);
	open_refuse_all(d, NULL, ESHUTDOWN, "pvgpud is stopping");
	share_stop(d, d->worker_n);
	watchdog_stop(d);
	faults_save(d);
	faults_free(d);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		vgpu_close(d->vgpus[i]);
		free(d->vgpus[i]);
	}
	free(d->vgpus);
	pool_stop(d);
	if (!d->worker_n)
		remove_run_dir(d);
	while ((w = TAILQ_FIRST(&d->workers))) {
		const int fds[] = {w->pidfd, w->control, w->log, w->guest_pidfd};

		for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (!w->vgpu)
			unlinkat(d->workers_dir, w->sock, 0);
		TAILQ_REMOVE(&d->workers, w, link);
		free(w);
	}
	close(d->workers_dir);
	ev_loop_destroy(d->loop);
	config_free(&d->cfg);
}

static void raise_files_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int main(int argc, char **argv)
{
	static struct daemon d;
	static ev_signal term, intr, usr1, hup;
	struct options o;
	int r;

	config_init(&d.cfg);
	r = parse(&o, &d.cfg, argc, argv);
	if (r || o.check)
		return r > 0 ? 0 : r ? 2 : 0;
	if (scrub_check(SCRUB_PARAMS) < 0 || find_programs(&d.cfg) < 0 || make_run_dir(&d) < 0)
		return 1;
	config_path = o.config;
	log_set_level(d.cfg.log_level);
	raise_files_limit();
	signal(SIGPIPE, SIG_IGN);
	d.next_id = 1;
	d.started_ms = now_ms();
	d.xen_ops = &xen_ops_real;
	TAILQ_INIT(&d.workers);
	TAILQ_INIT(&d.openings);
	/* Not the default loop: that one reaps every child by itself. */
	d.loop = ev_loop_new(EVFLAG_AUTO);
	if (!d.loop)
		return 1;
	ev_timer_init(&d.stop_limit, on_stop_limit, 0., 0.);
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_init(&intr, on_term, SIGINT);
	ev_signal_init(&usr1, on_hand_over, SIGUSR1);
	ev_signal_init(&hup, on_hup, SIGHUP);
	d.stop_limit.data = term.data = intr.data = usr1.data = hup.data = &d;
	ev_signal_start(d.loop, &term);
	ev_signal_start(d.loop, &intr);
	ev_signal_start(d.loop, &usr1);
	ev_signal_start(d.loop, &hup);
	r = start(&d);
	if (r == 0)
		ev_run(d.loop, 0);
	log_info("stopped");
	finish(&d);
	return r || d.failed ? 1 : 0;
}
