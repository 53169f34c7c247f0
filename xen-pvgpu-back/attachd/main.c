/* SPDX-License-Identifier: MIT */
/* pvgpu-attachd: keeps VMs' vGPUs across restarts of the VMs, and removes the keys of ended VMs. It
 * runs in dom0 and uses only xenstore, pvgpu-vms.conf(5) and what pvgpu-xapi keeps. */
#include <dlfcn.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/attachd/reconcile.h"
#include "xen-pvgpu-back/attachd/xapi.h"
#include "xen-pvgpu-back/confine/confine.h"
#include "xen-pvgpu-back/contract/alive.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define RETRY_S  5. /* between rounds while an attach waits for a change without a watch */
#define LEAVES_S .1 /* between the first rounds while a vGPU is taken away; then longer */
#define ECHO_S                                                                                     \
	2. /* a toolstack removes the keys of a domain after xenstored has told of its end         \
	    */
#define SWEEP_S  60. /* after news: then everything is looked at */
#define STANDS_S 1.  /* between two looks whether xenstored is there: its fd does not tell */
#define UNSEEN_STEPS                                                                               \
	4 /* after these a guest that has not taken up its vGPU is looked at each 80 s */

#define FILES 256 /* that may be open */

enum { DONE, FAILED, USAGE };

struct attachd {
	struct store store;
	struct reconciler reconciler;
	struct ev_loop *loop;
	ev_io io, files;
	ev_timer retry, stands, sweep;
	int notify;          /* inotify of xapi's folder; -1: none */
	bool echo;           /* the domains are to be listed once more */
	unsigned int leaves; /* rounds in a row while vGPUs are taken away */
	unsigned int unseen; /* rounds in a row that only looked at vGPUs not taken up */
	int status;
};

static void stop(struct attachd *a, int status)
{
	a->status = status;
	ev_break(a->loop, EVBREAK_ALL);
}

static double next_round(struct attachd *a, unsigned int waiting)
{
	const struct reconciler *k = &a->reconciler;
	double s = 0;

	a->leaves = !k->leaving ? 0 : a->leaves < UNSEEN_STEPS ? a->leaves + 1 : a->leaves;
	if (k->leaving)
		s = LEAVES_S * (1 << (a->leaves - 1));
	else if (waiting)
		s = RETRY_S;
	else if (k->unseen)
		s = RETRY_S * (1 << a->unseen);
	return a->echo && (!s || s > ECHO_S) ? ECHO_S : s;
}

static void make_round(struct attachd *a)
{
	unsigned int waiting;
	int err = reconcile_changes(&a->reconciler, &waiting);
	double s;

	if (err) {
		log_error("reading xenstore: %s", strerror(-err));
		stop(a, FAILED);
		return;
	}
	ev_timer_stop(a->loop, &a->retry);
	s = next_round(a, waiting);
	if (s > 0) {
		ev_timer_set(&a->retry, s, 0.);
		ev_timer_start(a->loop, &a->retry);
	}
}

static void take_events(struct attachd *a)
{
	char path[STORE_PATH];
	bool news = false;

	/* The start or end of a domain causes many events; one round serves them all. */
	errno = 0;
	while (store_event_path(&a->store, path)) {
		reconcile_event(&a->reconciler, path);
		news = true;
	}
	if (errno != EAGAIN) {
		log_error("xenstored has ended");
		stop(a, FAILED);
	} else if (news) {
		a->unseen = 0;
		a->echo = a->echo || a->reconciler.listing;
		/* It is not put off: there may be news without end. */
		if (!ev_is_active(&a->sweep)) {
			ev_timer_set(&a->sweep, SWEEP_S, 0.);
			ev_timer_start(a->loop, &a->sweep);
		}
		make_round(a);
	}
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
	take_events(io->data);
}

static void on_stands(struct ev_loop *loop, ev_timer *t, int events)
{
	take_events(t->data);
}

static void on_retry(struct ev_loop *loop, ev_timer *t, int events)
{
	struct attachd *a = t->data;

	if (a->echo)
		a->reconciler.listing = true;
	else if (a->unseen < UNSEEN_STEPS)
		a->unseen++;
	a->echo = false;
	make_round(a);
}

static void on_sweep(struct ev_loop *loop, ev_timer *t, int events)
{
	struct attachd *a = t->data;

	a->reconciler.known = false;
	make_round(a);
}

static void on_files(struct ev_loop *loop, ev_io *io, int events)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct attachd *a = io->data;
	ssize_t n = read(a->notify, buf, sizeof(buf));

	if (n <= 0)
		return;
	for (char *p = buf; p < buf + n;) {
		const struct inotify_event *e = (const struct inotify_event *)p;

		reconcile_file(&a->reconciler, e->len ? e->name : NULL);
		p += sizeof(*e) + e->len;
	}
	make_round(a);
}

static void on_hup(struct ev_loop *loop, ev_signal *s, int events)
{
	struct attachd *a = s->data;

	log_info("SIGHUP: reading %s again", a->reconciler.dir);
	reconcile_again(&a->reconciler);
	make_round(a);
}

static void on_term(struct ev_loop *loop, ev_signal *s, int events)
{
	stop(s->data, DONE);
}

static int serve(struct attachd *a)
{
	ev_signal term, intr, hup;
	int err;

	a->loop = ev_loop_new(EVFLAG_AUTO);
	if (!a->loop) {
		log_error("no event loop: %s", strerror(errno));
		return FAILED;
	}
	ev_timer_init(&a->retry, on_retry, RETRY_S, 0.);
	ev_io_init(&a->io, on_event, store_fd(&a->store), EV_READ);
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_init(&intr, on_term, SIGINT);
	ev_signal_init(&hup, on_hup, SIGHUP);
	ev_timer_init(&a->stands, on_stands, STANDS_S, STANDS_S);
	ev_timer_init(&a->sweep, on_sweep, SWEEP_S, 0.);
	ev_io_init(&a->files, on_files, a->notify, EV_READ);
	a->sweep.data = a->files.data = a;
	a->retry.data = a->stands.data = a->io.data = term.data = intr.data = hup.data = a;
	ev_io_start(a->loop, &a->io);
	if (a->notify >= 0)
		ev_io_start(a->loop, &a->files);
	ev_signal_start(a->loop, &term);
	ev_signal_start(a->loop, &intr);
	ev_signal_start(a->loop, &hup);
	err = reconcile_watch(&a->reconciler);
	if (err) {
		log_error("watching xenstore: %s", strerror(-err));
		a->status = FAILED;
	} else {
		log_info("watching over the VMs of %s%s%s", a->reconciler.dir,
			 a->notify >= 0 ? " and of xapi, by " : "",
			 a->notify >= 0 ? a->reconciler.xapi_dir : "");
		make_round(a);
		ev_timer_start(a->loop, &a->stands);
		alive_start(a->loop);
		if (a->status == DONE)
			ev_run(a->loop, 0);
		alive_stop(a->loop);
	}
	log_info("stopped");
	ev_loop_destroy(a->loop);
	return a->status;
}

static void print_usage(FILE *f)
{
	fputs("Usage: pvgpu-attachd [option]...\n"
	      "Give VMs their vGPUs whenever they start, and remove the keys that ended VMs "
	      "leave.\n\n"
	      "  --config-dir DIR   folder of the VMs' files (default " VMS_DIR ")\n"
	      "  --site-dir DIR     folder of profiles.conf and tenants.conf (default " SITE_DIR
	      ")\n"
	      "  --xl-dir DIR       folder of xl's *.cfg, for their line pvgpu (default " XL_DIR
	      ")\n"
	      "  --xapi-dir DIR     folder of pvgpu-xapi(8) (default " XAPI_DIR ")\n"
	      "  --log-level LEVEL  error, warning, info (default) or debug\n"
	      "  --once             do one round, then exit\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 after SIGTERM, 1 no xenstore, or with --once a vGPU that "
	      "could not\nbe attached, 2 wrong use.\n",
	      f);
}

struct options {
	const char *dir, *site_dir, *xl_dir, *xapi_dir;
	bool once;
};

/* -1: go on; otherwise the exit status. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"config-dir", required_argument, NULL, 'c'},
					      {"site-dir", required_argument, NULL, 's'},
					      {"xl-dir", required_argument, NULL, 'x'},
					      {"xapi-dir", required_argument, NULL, 'a'},
					      {"log-level", required_argument, NULL, 'l'},
					      {"once", no_argument, NULL, 'o'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'v'},
					      {NULL, 0, NULL, 0}};
	int c, level;

	*o = (struct options){
		.dir = VMS_DIR, .site_dir = SITE_DIR, .xl_dir = XL_DIR, .xapi_dir = XAPI_DIR};
	while ((c = options_next(argc, argv, "h", longs)) != -1) {
		switch (c) {
		case 'c':
			o->dir = optarg;
			break;
		case 'x':
			o->xl_dir = optarg;
			break;
		case 's':
			o->site_dir = optarg;
			break;
		case 'a':
			o->xapi_dir = optarg;
			break;
		case 'l':
			level = log_parse_level(optarg);
			if (level < 0) {
				log_error("--log-level %s: must be error, warning, info or debug",
					  optarg);
				return USAGE;
			}
			log_set_level((enum log_level)level);
			break;
		case 'o':
			o->once = true;
			break;
		case 'h':
			print_usage(stdout);
			return DONE;
		case 'v':
			puts("pvgpu-attachd " PVGPU_VERSION);
			return DONE;
		default:
			return USAGE;
		}
	}
	if (optind < argc) {
		log_error("%s: there are options only; try --help", argv[optind]);
		return USAGE;
	}
	return -1;
}

/* The process keeps its connection to xenstore and reads files of the folder above that of the VMs'
 * files, which may be made, or made anew, while it runs. */
static int close_sandbox(const char *dir, const struct options *o)
{
	static const char *const calls[] = {"open",       "openat",     "access",  "faccessat",
					    "faccessat2", "getdents64", "stat",    "lstat",
					    "statx",      "readlink",   "getdents"};
	char above[256], reason[160];
	const char *read[] = {above, NULL, NULL, NULL, NULL};
	size_t n = (size_t)snprintf(above, sizeof(above), "%s", dir), more = 1;

	if (n >= sizeof(above)) {
		log_error("--config-dir %s: too long", dir);
		return -1;
	}
	do {
		char *slash = strrchr(above, '/');

		if (!slash || slash == above)
			strcpy(above, slash ? "/" : ".");
		else
			*slash = '\0';
	} while (access(above, F_OK) < 0 && strcmp(above, "/") != 0 && strcmp(above, ".") != 0);
	if (access(o->site_dir, F_OK) == 0)
		read[more++] = o->site_dir;
	if (access(o->xl_dir, F_OK) == 0)
		read[more++] = o->xl_dir;
	if (access(o->xapi_dir, F_OK) == 0)
		read[more++] = o->xapi_dir;
	/* libc loads it, or aborts, when libxenstore ends its thread. */
	dlopen("libgcc_s.so.1", RTLD_NOW);
	confine_spaces();
	if (confine_close(&(struct confine){.read = read,
					    .calls = calls,
					    .call_n = sizeof(calls) / sizeof(calls[0]),
					    .files = FILES},
			  reason, sizeof(reason)) == 0)
		return 0;
	log_error("%s", reason);
	return -1;
}

/* The folder is there from pvgpu-xapi's first start on. Without it no xapi is followed. */
static int watch_files(const char *dir)
{
	int fd = access(dir, F_OK) == 0 ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;

	if (fd < 0)
		return -1;
	if (inotify_add_watch(fd, dir, IN_MOVED_TO | IN_DELETE) >= 0)
		return fd;
	log_warning("%s: %s", dir, strerror(errno));
	close(fd);
	return -1;
}

int main(int argc, char **argv)
{
	static struct attachd a;
	struct options o;
	unsigned int waiting;
	int status, err;

	log_set_program("pvgpu-attachd");
	status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	err = store_open(&a.store);
	if (err) {
		log_error("no xenstore to manage here (%s): run it as root in Xen's dom0",
			  strerror(-err));
		return FAILED;
	}
	a.notify = watch_files(o.xapi_dir);
	if (!o.once)
		alive_open();
	if (close_sandbox(o.dir, &o) < 0) {
		store_close(&a.store);
		return FAILED;
	}
	a.reconciler.store = &a.store;
	a.reconciler.dir = o.dir;
	a.reconciler.site_dir = o.site_dir;
	a.reconciler.xl_dir = o.xl_dir;
	a.reconciler.xapi_dir = access(o.xapi_dir, F_OK) == 0 ? o.xapi_dir : NULL;
	if (o.once) {
		err = reconcile_round(&a.reconciler, &waiting);
		if (err)
			log_error("reading xenstore: %s", strerror(-err));
		status = err || waiting ? FAILED : DONE;
	} else {
		status = serve(&a);
	}
	reconcile_free(&a.reconciler);
	store_close(&a.store);
	return status;
}
