/* SPDX-License-Identifier: MIT */
/*
 * pvgpud: options, run directory, signals, start and stop.
 *
 * - SIGTERM, SIGINT: drain. No new session; running ones may finish for shutdown_grace_ms. A second
 *   signal ends them at once.
 * - SIGUSR1: hand over. Exit and leave sessions running for the next pvgpud.
 * - SIGHUP: make sockets again that were deleted, and read the configuration again (reload.c).
 */

#include <errno.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/daemon/admin/admin.h"
#include "xen-pvgpu-back/daemon/admin/events.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/contract/alive.h"
#include "xen-pvgpu-back/contract/log_sink.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/overrides.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"
#include "xen-pvgpu-back/daemon/guard/scrub.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"
#include "xen-pvgpu-back/daemon/foresee.h"
#include "xen-pvgpu-back/daemon/reload.h"
#include "xen-pvgpu-back/daemon/run_dir.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/sandbox.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xen_ops.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

#define FIRST_NICE (-10)
/* Linux 6.12 takes the runtime of an ordinary thread as the slice that it asks for: with a short
 * one it is run soon after it wakes, for no greater part of the processor. Older kernels ignore it.
 */
#define SHORT_SLICE_NS 100000u
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
	"  --simulated                serve a simulated GPU, and no Xen guests\n"
	"  --check                    read the configuration, print its errors, exit\n"
	"  --foreground               stay in the foreground: pvgpud always does\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM drains and stops, SIGUSR1 exits and leaves sessions to the next pvgpud, SIGHUP "
	"reads the configuration again.\n";

struct options {
	const char *config;
	bool config_given, check, simulated;
};

static int bad(const char *error)
{
	fprintf(stderr, "pvgpud: %s\n", error);
	return -1;
}

static unsigned int faults_said; /* of --check */

static void say_fault(const char *error)
{
	faults_said++;
	bad(error);
}

/* Finds a file where a build or an installation has it, relative to pvgpud; 0, or -1 and errno. */
static int find_near(char path[CONFIG_PATH], const char *const places[2], const char *name,
		     int mode)
{
	char exe[CONFIG_PATH] = "";
	char *dir;

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 80) < 0)
		return -1;
	dir = dirname(exe);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, CONFIG_PATH, "%.170s/%s%.40s", dir, places[i], name);
		if (access(path, mode) == 0)
			return 0;
	}
	return -1;
}

/* --simulated is for local use without a GPU. Xen is off, so that no guest gets it by mistake. */
static int use_simulated(struct config *c, char error[CONFIG_ERROR])
{
	static const char *const places[] = {"../simcuda/", "../lib/pvgpu/simcuda/"};

	if (find_near(c->libcuda, places, "libcuda.so.1", R_OK) < 0 ||
	    find_near(c->libnvml, places, "libnvidia-ml.so.1", R_OK) < 0) {
		snprintf(error, CONFIG_ERROR,
			 "--simulated: no simcuda/libcuda.so.1 and libnvidia-ml.so.1 in .. "
			 "or ../lib/pvgpu; make and make install have them");
		return -1;
	}
	/* Without it a reset fails: never NVIDIA's tool on another GPU. */
	(void)find_near(c->gpu_reset, places, "simcuda-reset", X_OK);
	c->sandbox_files[0] = '\0'; /* it needs no device */
	c->health_user[0] = '\0';   /* the simulated GPU's files belong to pvgpud's user */
	c->exact_use = 1;
	c->xen = CONFIG_XEN_OFF;
	return 0;
}

/* Processes that have the same file share a simulated GPU: another pvgpud's workers would be
 * strangers on it. */
static int own_simulated(struct config *c, char error[CONFIG_ERROR])
{
	static const char name[] = "SIMCUDA_GPU=";
	char set[CONFIG_PATH + 40];

	for (unsigned int i = 0; i < c->env_n; i++)
		if (!strncmp(c->env[i], name, sizeof(name) - 1))
			return 0;
	snprintf(set, sizeof(set), "env=%s%.200s/simulated-gpu", name, c->run_dir);
	return config_set(c, set, error);
}

static const struct option longs[] = {
	{"config", required_argument, NULL, 'c'}, {"run-dir", required_argument, NULL, 'r'},
	{"vgpu", required_argument, NULL, 'g'},   {"set", required_argument, NULL, 's'},
	{"simulated", no_argument, NULL, 'S'},    {"check", no_argument, NULL, 'k'},
	{"foreground", no_argument, NULL, 'f'},   {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0}};

/* The file is read first, so that the command line overrides it. */
static int read_config(const struct options *o, struct config *c, int argc, char **argv,
		       char error[CONFIG_ERROR])
{
	char set[CONFIG_PATH + 16];
	int ch, r = 0;

	if ((o->config_given || access(o->config, F_OK) == 0) &&
	    config_file(c, o->config, error) < 0)
		return -1;
	if (o->simulated && use_simulated(c, error) < 0)
		return -1;
	optind = 1;
	while (r == 0 && (ch = options_next(argc, argv, "", longs)) != -1) {
		if (ch == 'g')
			r = config_vgpu(c, optarg, error);
		else if (ch == 's')
			r = config_set(c, optarg, error);
		if (ch == 'r') {
			snprintf(set, sizeof(set), "run_dir=%.250s", optarg);
			r = config_set(c, set, error);
		}
	}
	if (!r)
		r = config_finish(c, error);
	if (!r && o->simulated)
		r = own_simulated(c, error);
	if (!r && o->check)
		r = config_guarantees(c, error);
	return !r && o->check ? foresee(c, error) : r;
}

/* 0, -1, or 1: exit with success. */
static int parse(struct options *o, struct config *c, int argc, char **argv)
{
	char error[CONFIG_ERROR];
	int ch;

	*o = (struct options){.config = DEFAULT_CONFIG};
	while ((ch = options_next(argc, argv, "", longs)) != -1) {
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
		o->simulated |= ch == 'S';
	}
	if (optind < argc)
		return bad("takes options only; try pvgpud --help");
	if (o->check)
		c->each_fault = say_fault;
	if (read_config(o, c, argc, argv, error) < 0)
		return faults_said ? -1 : bad(error);
	return 0;
}

static int find_programs(struct config *c)
{
	static const char *const places[] = {"", "../libexec/pvgpu/"};

	/* pvgpu-health is optional: health_start logs its absence. */
	if (!c->health[0])
		find_near(c->health, places, "pvgpu-health", X_OK);
	/* So is this one, whose absence a reset tells. */
	if (!c->gpu_reset[0])
		find_near(c->gpu_reset, places, "pvgpu-gpu-reset", X_OK);
	if (c->worker[0] ? access(c->worker, X_OK) == 0
			 : find_near(c->worker, places, "pvgpu-worker", X_OK) == 0)
		return 0;
	fprintf(stderr, "pvgpud: worker = %s: %s; set worker in [daemon]\n", c->worker,
		strerror(errno));
	return -1;
}

static void kill_all(struct daemon *d, const char *why)
{
	struct worker *w;

	TAILQ_FOREACH(w, &d->workers, link)
	worker_kill(w, "%s", why);
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
	log_info("stopping: %u session%s may finish for %u ms", d->session_n,
		 d->session_n == 1 ? "" : "s", d->cfg.shutdown_ms);
	open_refuse_all(d, NULL, ESHUTDOWN, "pvgpud is stopping");
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		vgpu_close(d->vgpus[i], false);
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (w->state == CHECK_SERVING)
			supervise_say(w, PVGPU_SUP_DRAIN, 0, d->cfg.shutdown_ms);
		else if (!w->vgpu)
			worker_kill(w, "spare, and pvgpud stops");
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

	log_info("handing over: %u session%s", d->session_n,
		 d->session_n == 1 ? " continues" : "s continue");
	d->hand_over = true;
	ev_break(d->loop, EVBREAK_ALL);
}

/* A signal that comes before the loop does is handled in it: a start that is cut short leaves
 * folders behind, and SIGHUP is no reason to end. Children have none blocked. */
static void keep_signals(int how)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned int i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		sigaddset(&set, handled[i]);
	sigprocmask(how, &set, NULL);
}

/* They compete for the time then: the starvation bound keeps each alive. */
static void warn_of_guarantees(const struct config *c)
{
	char error[CONFIG_ERROR];

	if (config_guarantees(c, error) < 0)
		log_warning("%s", error);
}

static struct options options;
static int arguments_n;
static char **arguments;

static void on_hup(struct ev_loop *loop, ev_signal *s, int events)
{
	char error[CONFIG_ERROR];
	struct config c;

	reload_files(s->data);
	config_init(&c);
	if (read_config(&options, &c, arguments_n, arguments, error) < 0)
		log_error("reload: nothing has changed: %s", error);
	else if (find_programs(&c) == 0) {
		warn_of_guarantees(&c);
		reload(s->data, &c);
	}
	config_free(&c);
}

static int add_vgpus(struct daemon *d)
{
	char reason[POOL_REASON];

	for (unsigned int i = 0; i < d->cfg.vgpu_n; i++) {
		const struct config_vgpu *cfg = &d->cfg.vgpus[i];
		struct pool *p = pool_place(d, cfg, NULL, reason);

		struct vgpu *v;

		/* The others are served. */
		if (!p)
			log_warning("vgpu %s: %s; until then it takes no session", cfg->name,
				    reason);
		v = daemon_add_vgpu(d, cfg, p ? p : d->pools[0]);
		if (!v) {
			fprintf(stderr, "pvgpud: vgpu %s: %s\n", cfg->name, strerror(ENOMEM));
			return -1;
		}
		if (!p)
			snprintf(v->unfit, sizeof(v->unfit), "%.*s", (int)sizeof(v->unfit) - 1,
				 reason);
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
	/* After placement, so that a vGPU stays on the GPU that it was on before that became
	 * unhealthy. */
	faults_load_pools(d);
	if (!d->cfg.vgpu_n && !d->xen) {
		bad("no vGPU is configured, and this is no Xen domain: add a [vgpu NAME] section "
		    "or --vgpu NAME");
		return -1;
	}
	/* Before guests connect: session numbers and leased memory must be known. */
	adopt_scan(d);
	cgroup_run(d);
	xenbus_run(d);
	if (admin_open(d) < 0)
		return -1;
	snapshot_open(d);
	for (unsigned int i = 0; i < d->cfg.vgpu_n; i++)
		if (vgpu_listen(d->vgpus[i]) < 0)
			return -1;
	spares_keep(d);
	health_start(d);
	return 0;
}

/* Frees what this process holds. Running workers only see their control socket hang up. */
static void finish(struct daemon *d)
{
	const bool ours = run_dir_is_ours(d), last = !d->worker_n && ours;
	struct worker *w;

	reset_stop(d);
	health_stop(d);
	admin_close(d);
	snapshot_close(d);
	/* First, so that Xen guests whose sessions go on get no refusal. */
	xenbus_stop(d, !d->stopping || d->worker_n);
	open_drop_all(d);
	share_stop(d, !last);
	watchdog_stop(d);
	if (ours)
		faults_save(d);
	faults_free(d);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		vgpu_close(d->vgpus[i], d->hand_over);
		free(d->vgpus[i]);
	}
	free(d->vgpus);
	pool_stop(d);
	if (last)
		run_dir_remove(d);
	while ((w = TAILQ_FIRST(&d->workers))) {
		const int fds[] = {w->pidfd, w->control, w->log, w->guest_pidfd, w->cgroup};

		for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (!w->vgpu)
			unlinkat(d->workers_dir, w->sock, 0);
		TAILQ_REMOVE(&d->workers, w, link);
		held_leave(w->held);
		free(w);
	}
	held_close(d->held, d->cfg.run_dir, last);
	close(d->workers_dir);
	cgroup_stop(d);
	sandbox_stop(d);
	ev_loop_destroy(d->loop);
	config_free(&d->cfg);
}

static int prepare(struct daemon *d)
{
	if (scrub_check(SCRUB_PARAMS, d->cfg.allow_no_scrub) < 0 || find_programs(&d->cfg) < 0 ||
	    sandbox_start(d) < 0 || cgroup_start(d) < 0)
		return -1;
	if (sandbox_check(d) == 0)
		return 0;
	cgroup_stop(d);
	return -1;
}

static void raise_files_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* A hand-over waits for it, and it has little to do. The unit sets it, too: this is for a pvgpud
 * that an operator starts, and has no effect without the right to. */
static void come_first(void)
{
	/* struct sched_attr, which glibc 2.41 was the first to have. */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = {.size = sizeof(a), .policy = SCHED_OTHER, .runtime = SHORT_SLICE_NS};

	if (getpriority(PRIO_PROCESS, 0) > FIRST_NICE)
		setpriority(PRIO_PROCESS, 0, FIRST_NICE);
	a.nice = getpriority(PRIO_PROCESS, 0);
	if (sched_getscheduler(0) == SCHED_OTHER)
		syscall(SYS_sched_setattr, 0, &a, 0u);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	static ev_signal term, intr, usr1, hup;
	struct options *o = &options;
	int r;

	keep_signals(SIG_BLOCK);
	config_init(&d.cfg);
	r = parse(o, &d.cfg, argc, argv);
	if (r || o->check)
		return r > 0 ? 0 : r ? 2 : 0;
	arguments_n = argc;
	arguments = argv;
	log_set_level(d.cfg.log_level);
	events_start();
	r = log_open(d.cfg.log_syslog);
	if (r < 0)
		log_warning("the log stays on standard error: %s: %s",
			    d.cfg.log_syslog ? "/dev/log" : "the journal", strerror(-r));
	/* The run directory last: what fails before it leaves nothing there. */
	if (prepare(&d) < 0 || run_dir_make(&d) < 0)
		return 1;
	if (o->simulated)
		log_info("the GPU is a simulated one: %s", d.cfg.libcuda);
	warn_of_guarantees(&d.cfg);
	overrides_say(&d);
	raise_files_limit();
	come_first();
	signal(SIGPIPE, SIG_IGN);
	d.next_id = 1;
	d.started_ms = now_ms();
	d.xen_ops = &xen_ops_real;
	TAILQ_INIT(&d.workers);
	TAILQ_INIT(&d.openings);
	/* The default loop would reap every child. */
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
	keep_signals(SIG_UNBLOCK);
	r = start(&d);
	if (r == 0) {
		alive_start(d.loop);
		ev_run(d.loop, 0);
	}
	alive_stop(d.loop);
	log_info("stopped");
	finish(&d);
	return r || d.failed ? 1 : 0;
}
