/* SPDX-License-Identifier: MIT */
/* pvgpu-vgpu: the program `vgpu` that xenopsd starts for a VM with an NVIDIA vGPU. It attaches the
 * VM's vGPUs of pvgpu, tells xenopsd, and detaches them when it is told to end. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "xen-pvgpu-back/confine/confine.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/vms.h"
#include "xen-pvgpu-back/xenopsd/helper.h"
#include "xen-pvgpu-back/xenopsd/install.h"
#include "xen-pvgpu-back/xenopsd/starter.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define PROGRAM  "/usr/lib64/xen/bin/vgpu" /* where xenopsd of XCP-ng looks */
#define LIMIT_S  55.0                      /* xenopsd waits 60 s */
#define FULL_S   5.0
#define LEAVE_S  5.0 /* for the guest to let go; after 10 s xenopsd kills */
#define STANDS_S 5.0 /* between two looks whether xenstored is there */
#define FILES    64  /* that may be open */

enum { DONE, FAILED, USAGE };

struct options {
	struct request ask;
	const char *site_dir, *xapi_dir, *program;
	bool starter, install, uninstall, force;
};

static void print_usage(FILE *f)
{
	fputs("Usage: pvgpu-vgpu --domain=N --device=DEVICE,PROFILE,VIRTUAL-DEVICE,UUID...\n"
	      "       pvgpu-vgpu --starter [--xapi-dir=DIR] [--program=PATH]\n"
	      "       pvgpu-vgpu --install [--force] | --uninstall [--program=PATH]\n\n"
	      "xenopsd starts it as its program vgpu for a VM with vGPUs: it attaches them, "
	      "writes the\nstate below /local/domain/N/vgpu, and detaches them at SIGTERM.\n\n"
	      "  --domain=N         the VM's domain\n"
	      "  --device=...       a vGPU: PROFILE is the type's id, UUID that of the VGPU "
	      "object\n"
	      "  --site-dir=DIR     folder of profiles.conf and tenants.conf (default " SITE_DIR
	      ")\n"
	      "  --starter          start PATH for domains before xenopsd does, where the GPU "
	      "is in\n"
	      "                     a driver domain\n"
	      "  --xapi-dir=DIR     folder of pvgpu-xapi(8) (default " XAPI_DIR ")\n"
	      "  --program=PATH     xenopsd's vgpu (default " PROGRAM ")\n"
	      "  --install          make PATH a link to this program; --force: also where it is "
	      "another's,\n"
	      "                     which is kept\n"
	      "  --uninstall        put back what was there\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 the domain has ended or another instance serves it, 1 the vGPUs "
	      "could\nnot be attached, or no xenstore, 2 wrong use.\n",
	      f);
}

/* -1: go on; otherwise the exit status. xenopsd's options are taken by request.c. */
static int parse_word(struct options *o, const char *word)
{
	const struct {
		const char *name, **value;
	} own[] = {{"--site-dir", &o->site_dir},
		   {"--xapi-dir", &o->xapi_dir},
		   {"--program", &o->program}};
	const struct {
		const char *name;
		bool *flag;
	} modes[] = {{"--starter", &o->starter},
		     {"--install", &o->install},
		     {"--uninstall", &o->uninstall},
		     {"--force", &o->force}};
	char err[REQUEST_ERROR];

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		const char *value = request_value(word, own[i].name);

		if (value) {
			*own[i].value = value;
			return -1;
		}
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
		print_usage(stdout);
		return DONE;
	}
	if (!strcmp(word, "--version")) {
		puts("pvgpu-vgpu " PVGPU_VERSION);
		return DONE;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(word, modes[i].name)) {
			*modes[i].flag = true;
			return -1;
		}
	if (!request_word(&o->ask, word, err))
		return -1;
	log_error("%s", err);
	return USAGE;
}

static int parse(struct options *o, int argc, char **argv)
{
	char err[REQUEST_ERROR];

	*o = (struct options){.site_dir = SITE_DIR, .xapi_dir = XAPI_DIR, .program = PROGRAM};
	for (int i = 1; i < argc; i++) {
		int status = parse_word(o, argv[i]);

		if (status >= 0)
			return status;
	}
	if (o->starter || o->install || o->uninstall || !request_whole(&o->ask, err))
		return -1;
	log_error("%s", err);
	return USAGE;
}

/* ---- events ---- */

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits until xenstore has news or the time is over: true; false: xenstored has ended. *told: a
 * signal asks for the end; signals is -1 where that is known. */
static bool next_event(struct store *s, int signals, double wait_s, bool *told)
{
	struct pollfd p[] = {{.fd = store_fd(s), .events = POLLIN},
			     {.fd = signals, .events = POLLIN}};
	double most = wait_s < 0 || wait_s > STANDS_S ? STANDS_S : wait_s;
	int wait_ms = (int)(most * 1e3) + 1;

	errno = 0;
	if (store_event(s))
		wait_ms = 0;
	else if (errno != EAGAIN)
		return false;
	if (poll(p, 2, wait_ms) < 0 && errno != EINTR)
		return false;
	do
		errno = 0;
	while (store_event(s));
	*told = p[1].revents & POLLIN;
	return errno == EAGAIN;
}

/* ---- one domain ---- */

static int close_sandbox(const char *site_dir)
{
	static const char *const calls[] = {"open",       "openat", "access",   "faccessat",
					    "faccessat2", "stat",   "fstat",    "newfstatat",
					    "poll",       "ppoll",  "signalfd4"};
	const char *read[] = {"/proc", access(site_dir, F_OK) == 0 ? site_dir : NULL, NULL};
	char reason[160];

	/* libc loads it, or aborts, when libxenstore ends its thread. */
	dlopen("libgcc_s.so.1", RTLD_NOW);
	if (confine_close(&(struct confine){.read = read,
					    .calls = calls,
					    .call_n = sizeof(calls) / sizeof(calls[0]),
					    .files = FILES},
			  reason, sizeof(reason)) == 0)
		return 0;
	log_error("%s", reason);
	return -1;
}

/* Until the guest has closed its vGPUs, for a moment. */
static void leave(struct helper *h)
{
	double end = store_now() + LEAVE_S;
	bool told;

	helper_leave(h);
	while (!helper_has_left(h) && store_now() < end)
		if (!next_event(h->store, -1, end - store_now(), &told))
			return;
}

static int serve(struct helper *h, int signals)
{
	bool told = false;

	while (h->is <= HELPER_RUNS && !told) {
		helper_look(h, store_now());
		if (h->is <= HELPER_RUNS &&
		    !next_event(h->store, signals, helper_wait(h, store_now()), &told)) {
			log_error("xenstored has ended");
			return FAILED;
		}
	}
	if (h->is != HELPER_GONE)
		leave(h);
	helper_end(h);
	log_info("domain %u: %s", h->ask->domid,
		 h->is == HELPER_GONE     ? "has ended"
		 : h->is == HELPER_FAILED ? "nothing is attached"
					  : "its vGPUs are detached");
	return h->is == HELPER_FAILED ? FAILED : DONE;
}

static int help(const struct options *o, struct store *s, int signals)
{
	static struct helper h;
	int err;

	h = (struct helper){.store = s,
			    .ask = &o->ask,
			    .site_dir = o->site_dir,
			    .limit_s = LIMIT_S,
			    .full_s = FULL_S};
	if (close_sandbox(o->site_dir) < 0)
		return FAILED;
	err = helper_begin(&h, store_now());
	if (err == -EALREADY) {
		log_info("domain %u: another instance serves it", o->ask.domid);
		return DONE;
	}
	if (err) {
		log_error("domain %u: %s", o->ask.domid,
			  err == -ENOENT ? "there is no such domain" : strerror(-err));
		return FAILED;
	}
	return serve(&h, signals);
}

/* ---- all domains ---- */

/* Its own process group: it outlives the starter. */
static void start(void *arg, char *const argv[])
{
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0)
		log_error("%s cannot be started: %s", argv[0], strerror(errno));
	if (pid)
		return;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	execv(argv[0], argv);
	log_error("%s cannot be started: %s", argv[0], strerror(errno));
	_exit(FAILED);
}

static int start_all(const struct options *o, struct store *s, int signals)
{
	static struct starter t;
	bool told = false;
	int err;

	t = (struct starter){
		.store = s, .xapi_dir = o->xapi_dir, .program = o->program, .start = start};
	signal(SIGCHLD, SIG_IGN);
	err = starter_watch(&t);
	while (!err && !told) {
		err = starter_look(&t);
		if (!err && !next_event(s, signals, -1, &told))
			err = -EPIPE;
	}
	if (err)
		log_error("xenstore: %s", strerror(-err));
	domains_free(&t.domains);
	return err ? FAILED : DONE;
}

/* ---- xenopsd's program ---- */

static int link_program(const struct options *o)
{
	char self[PATH_MAX], err[INSTALL_ERROR];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r;

	if (n < 0) {
		log_error("/proc/self/exe: %s", strerror(errno));
		return FAILED;
	}
	self[n] = '\0';
	r = o->install ? install_vgpu(o->program, self, o->force, err)
		       : uninstall_vgpu(o->program, self, err);
	if (r)
		log_error("%s", err);
	return r ? FAILED : DONE;
}

int main(int argc, char **argv)
{
	static struct options o;
	struct store s = {0};
	int status, signals, err;

	log_set_program("pvgpu-vgpu");
	status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (o.install || o.uninstall)
		return link_program(&o);
	signals = take_signals();
	err = signals < 0 ? -errno : store_open(&s);
	if (err) {
		log_error("no xenstore to manage here (%s): run it as root in Xen's dom0",
			  strerror(-err));
		return FAILED;
	}
	status = o.starter ? start_all(&o, &s, signals) : help(&o, &s, signals);
	store_close(&s);
	return status;
}
