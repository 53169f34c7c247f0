/* SPDX-License-Identifier: MIT */
/*
 * pvgpu-worker: one guest process's session. Started by pvgpud, never by hand.
 *
 * Prepare: load and initialise libcuda, say READY, wait as a spare. ASSIGN: take the session's
 * ring, doorbells and sockets. Seal. Then read what the guest writes, until one side has had
 * enough. The process is the unit of fault isolation: it ends with its session, whatever happens.
 */
#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/canary.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

const struct far *worker_far(const struct worker *w)
{
	return &w->far;
}

const struct worker_info *worker_info(const struct worker *w)
{
	return &w->info;
}

struct gpu *worker_gpu(struct worker *w)
{
	return w->gpu;
}

static const char usage[] =
	"Usage: pvgpu-worker --libcuda PATH --id N [option]...\n"
	"       pvgpu-worker --sandbox-check [option]...\n"
	"Runs one guest process's GPU commands. pvgpud starts it, with its sockets as fds 3 to 5.\n"
	"\n"
	"  --libcuda PATH      the driver library to run them on\n"
	"  --libcublas PATH    offer the guest this libcublas.so.12 or .13 (default: none)\n"
	"  --libcublaslt PATH  offer the guest this libcublasLt.so.12 or .13 (default: none)\n"
	"  --id N              number of the worker and of its session\n"
	"  --device N          ordinal of the GPU (default 0)\n"
	"  --grace-ms N        time for libcuda to stop when the session has ended (default 3000)\n"
	"  --far-fds N         files that libcuda may still open once a session runs (default "
	"256)\n"
	"  --no-zero-copy      never page-lock the guest's memory: copy it\n"
	"  --sandbox MODE      full, no-seccomp or off (default full)\n"
	"  --uid N             user and group to become when a session begins\n"
	"  --sandbox-files P,..    patterns of the files that libcuda may open in a session\n"
	"  --sandbox-preload L,..  libraries to load before a session\n"
	"  --sandbox-check     try each door of the sandbox, from inside; ends with 1 when one is "
	"open\n"
	"  --test-allow-hmm    for tests: start although kernels reach all of this process\n"
	"  --help, --version\n";

static unsigned int number(const char *option, const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (!*s || *end || *s == '-' || n > 1u << 30) {
		fprintf(stderr, "pvgpu-worker: --%s %s: must be a number\n", option, s);
		exit(2);
	}
	return (unsigned int)n;
}

static uid_t user(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*s < '1' || *s > '9' || *end || n >= UINT32_MAX) {
		fprintf(stderr, "pvgpu-worker: --uid %s: must be a user's number, and not 0\n", s);
		exit(2);
	}
	return (uid_t)n;
}

/* An option of the sandbox; false: it is none. */
static bool take_sandbox(struct options *o, int c)
{
	switch (c) {
	case 's':
		if (sandbox_parse_mode(optarg, &o->sandbox.mode) == 0)
			return true;
		fprintf(stderr, "pvgpu-worker: --sandbox %s: must be full, no-seccomp or off\n",
			optarg);
		exit(2);
	case 'u':
		o->sandbox.uid = user(optarg);
		return true;
	case 'F':
		o->sandbox.files = optarg;
		return true;
	case 'P':
		o->sandbox.preload = optarg;
		return true;
	case 'C':
		o->check = true;
		return true;
	default:
		return false;
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {{"libcuda", required_argument, NULL, 'l'},
					      {"libcublas", required_argument, NULL, 'b'},
					      {"libcublaslt", required_argument, NULL, 'B'},
					      {"id", required_argument, NULL, 'i'},
					      {"device", required_argument, NULL, 'd'},
					      {"grace-ms", required_argument, NULL, 'g'},
					      {"lease-wait-ms", required_argument, NULL, 'w'},
					      {"far-fds", required_argument, NULL, 'f'},
					      {"context-mib", required_argument, NULL, 'c'},
					      {"sandbox", required_argument, NULL, 's'},
					      {"uid", required_argument, NULL, 'u'},
					      {"sandbox-files", required_argument, NULL, 'F'},
					      {"sandbox-preload", required_argument, NULL, 'P'},
					      {"sandbox-check", no_argument, NULL, 'C'},
					      {"no-zero-copy", no_argument, NULL, 'n'},
					      {"allow-no-ecc", no_argument, NULL, 'e'},
					      {"test-allow-hmm", no_argument, NULL, 'H'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'v'},
					      {NULL, 0, NULL, 0}};
	int c;

	*o = (struct options){.grace_ms = 3000, .far_fds = 256, .sandbox = {.mode = SANDBOX_FULL}};
	while ((c = options_next(argc, argv, "", longs)) != -1) {
		switch (c) {
		case 'l':
			o->libcuda = optarg;
			break;
		case 'b':
			o->libcublas = optarg;
			break;
		case 'B':
			o->libcublaslt = optarg;
			break;
		case 'i':
			o->id = number("id", optarg);
			break;
		case 'd':
			o->device = (int)number("device", optarg);
			break;
		case 'g':
			o->grace_ms = number("grace-ms", optarg);
			break;
		case 'w': /* from an older pvgpud: it has no effect */
			break;
		case 'f':
			o->far_fds = number("far-fds", optarg);
			break;
		case 'c':
			o->context_charge = (uint64_t)number("context-mib", optarg) << 20;
			break;
		case 'n':
			o->no_zero_copy = true;
			break;
		case 'e':
			o->allow_no_ecc = true;
			break;
		case 'H':
			o->allow_hmm = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'v':
			puts("pvgpu-worker " PVGPU_VERSION);
			exit(0);
		default:
			if (take_sandbox(o, c))
				break;
			fputs("Try pvgpu-worker --help.\n", stderr);
			exit(2);
		}
	}
	if (optind == argc && o->check)
		return;
	if (optind < argc || !o->libcuda || !o->id) {
		fputs("pvgpu-worker: --libcuda and --id must be given and nothing else; pvgpud "
		      "does that.\n",
		      stderr);
		exit(2);
	}
}

/* Check that exactly the files that pvgpud passes are open. 0 or -1. */
static int check_fds(struct worker *w)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(PVGPU_SUP_CONTROL_FD, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    listen(PVGPU_SUP_ADOPT_FD, 4) < 0 || fcntl(PVGPU_SUP_LOG_FD, F_GETFD) < 0) {
		fprintf(stderr,
			"pvgpu-worker: fds 3 to 5 are not pvgpud's: it must start this program\n");
		return -1;
	}
	w->daemon_uid = peer.uid;
	for (int fd = PVGPU_SUP_CONTROL_FD; fd <= PVGPU_SUP_LOG_FD; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	close_range(PVGPU_SUP_LOG_FD + 1, ~0u, 0);
	return 0;
}

static int fail_as(struct worker *w, int end, const char *reason)
{
	worker_log(w, "%s", reason);
	end_tell(w, end, reason);
	return 1;
}

static int fail(struct worker *w, const char *reason)
{
	return fail_as(w, PVGPU_END_FAILED, reason);
}

static uint64_t boottime_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void take_info(struct worker *w, const struct pvgpu_sup_assign *m)
{
	w->info = (struct worker_info){.session = m->head.session,
				       .quota = m->quota,
				       .arena_limit = m->arena_limit,
				       .window_size = m->window_size,
				       .guest_pid = m->guest_pid,
				       .context = (uint64_t)m->context_mib << 20,
				       .zero_copy = !(m->flags & PVGPU_SUP_NO_ZERO_COPY) &&
						    !w->opt.no_zero_copy,
				       .confidential = m->flags & PVGPU_SUP_CONFIDENTIAL};
	memcpy(w->info.vgpu, m->head.vgpu, sizeof(w->info.vgpu));
	w->started_ms = boottime_ms();
}

/* The GPU may be broken, and a call that hangs there hangs this process. pvgpud ends it then, or
 * the alarm where pvgpud is gone. */
static int check_gpu(struct worker *w, const struct pvgpu_sup *m)
{
	uint64_t begin = pvgpu_poll_now();
	char reason[128] = "";
	int r;

	alarm(m->a < 3600000 ? (unsigned int)(m->a / 1000) + 1 : 3600);
	r = canary_run(&w->far, w->opt.id, reason, sizeof(reason));
	control_say(w, PVGPU_SUP_CANARIED, (uint64_t)r, (pvgpu_poll_now() - begin) / 1000, reason);
	return 0;
}

static int say_ready(struct worker *w)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_READY,
			      .a = (uint64_t)w->far.driver_version,
			      .b = w->far.total_mem,
			      .c = PVGPU_SUP_KNOWS_ALL};

	return control_tell(w, &m, w->far.model);
}

static int serve(struct worker *w)
{
	struct pvgpu_sup_assign m;
	int fds[PVGPU_SUP_FDS];
	char reason[128] = "";
	unsigned int n;
	int r = control_wait_assign(w, &m, fds, &n);

	if (r == CONTROL_CANARY)
		return check_gpu(w, &m.head);
	if (r)
		return r < 0;
	if (m.head.a & PVGPU_SUP_KNOWS_TAKEN)
		control_say(w, PVGPU_SUP_TAKEN, 0, 0, NULL);
	take_info(w, &m);
	lease_init(w, w->info.quota);
	w->lease.shares = m.head.a & PVGPU_SUP_KNOWS_SHARE;
	r = link_take(w, &m, fds, n, reason, sizeof(reason));
	if (r == -EPROTO)
		return fail_as(w, PVGPU_END_PROTOCOL, reason);
	if (r < 0 || gpu_open(w, &w->gpu, reason, sizeof(reason)) < 0 ||
	    seal(w, reason, sizeof(reason)) < 0) {
		if (w->page)
			link_say_ended(w, PVGPU_END_FAILED, reason);
		return fail(w, reason);
	}
	gpu_gate_await(w);
	if (gpu_start(w) < 0)
		return fail(w, "cannot start a completion thread");
	if (output_start(w, w->out_fd, w->err_fd) < 0)
		return fail(w, "cannot start the output thread");
	control_say(w, PVGPU_SUP_SEALED, 0, 0, NULL);
	loop_run(w);
	end_process(w);
}

int main(int argc, char **argv)
{
	static struct worker w;
	char reason[128] = "";
	int r;

	parse(&w.opt, argc, argv);
	if (w.opt.check)
		return sandbox_check(&w.opt.sandbox);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_ARENA_MAX, 2);
	if (check_fds(&w) < 0)
		return 2;
	w.info.session = w.opt.id;
	w.end_lock = w.decode = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	w.guest_pidfd = w.evtchn = w.kick = w.epoll = w.rouse = w.standby = w.gate_bell = -1;
	if (sandbox_prepare(&w.opt.sandbox, reason, sizeof(reason)) < 0 ||
	    prepare(&w, reason, sizeof(reason)) < 0 ||
	    gpu_check(&w.far, reason, sizeof(reason)) < 0)
		return fail(&w, reason);
	if (say_ready(&w) < 0)
		return 0;
	r = serve(&w);
	/* The far end's threads may hold locks that atexit handlers want. */
	_exit(r);
}
