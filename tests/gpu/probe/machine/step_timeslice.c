/* SPDX-License-Identifier: MIT */
/*
 * Can a process govern how much of the GPU's time it gets, on a driver as it is? Two processes keep
 * the GPU busy; one of them, the subject, sets the time-slice of its own channel groups, takes them
 * off the GPU, takes them off the list. Said are the driver's answers, and what part of the GPU's
 * time each of the two got meanwhile, in kernels of equal length.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpu/probe/probe.h"
#include "tests/gpu/probe/machine/tsg.h"

extern const char ptx_meter[];

#define GROUPS      64
#define DEEP        4 /* kernels in flight */
#define THREADS     256
#define KERNEL_NS   (opt.quick ? 200000ull : 1000000ull)
#define WINDOW_NS   (opt.quick ? 100000000ull : 1000000000ull)
#define DEADLINE_NS (opt.quick ? 10000000000ull : 40000000000ull)
#define RESUME_NS   5000000000ull
#define PREEMPTS    2000
#define PREEMPT_US  100000 /* the longest that one is waited for */
#define SHARED      "GPU_PROBE_SHARED"
#define FEW_KERNELS 10  /* in a window: no part can be told from them */
#define SAME_SHARE  0.1 /* parts that differ by less are the same */
#define ANOTHER_NS  2000000

#define UNKNOWN     -1.0 /* in place of a part: too few kernels have ended */

enum who { SUBJECT, PEER };

/* Seen by both. */
struct shared {
	_Atomic uint32_t iterations; /* of a kernel that takes KERNEL_NS; 0: not known yet */
	_Atomic uint32_t stop;
	_Atomic uint64_t done[2]; /* kernels that have ended */
};

struct load {
	struct shared *s;
	enum who who;
	CUcontext ctx;
	CUfunction kernel;
	CUdeviceptr out;
	unsigned int blocks;
	CUevent ended[DEEP];
	uint64_t deadline;
};

static void pause_ns(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* ---- kernels ---- */

static struct shared *map_shared(int fd)
{
	void *s = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return s == MAP_FAILED ? NULL : s;
}

static bool load_open(struct load *l, enum who who)
{
	const char *path = getenv(SHARED);
	int sms = 0, fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	CUdevice dev;

	l->who = who;
	l->deadline = now_ns() + DEADLINE_NS;
	l->s = fd >= 0 ? map_shared(fd) : NULL;
	if (!l->s)
		say_text("error", "no shared memory: %s", strerror(errno));
	if (!l->s || !cuda_context(&dev, &l->ctx))
		return false;
	l->kernel = cuda_kernel(ptx_meter, "work");
	if (!l->kernel || CU(cuMemAlloc_v2, &l->out, 4) != CUDA_SUCCESS)
		return false;
	CU(cuDeviceGetAttribute, &sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev);
	l->blocks = sms > 0 ? (unsigned int)sms : 1;
	for (size_t i = 0; i < DEEP; i++)
		if (CU(cuEventCreate, &l->ended[i], CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
			return false;
	return true;
}

static bool launch(const struct load *l, uint32_t iterations)
{
	CUdeviceptr out = l->out;
	void *args[] = {&iterations, &out};

	return CU(cuLaunchKernel, l->kernel, l->blocks, 1, 1, THREADS, 1, 1, 0, NULL, args, NULL) ==
	       CUDA_SUCCESS;
}

/* How many iterations take KERNEL_NS on an idle GPU; 0: they cannot be run. */
static uint32_t calibrate(const struct load *l)
{
	for (uint32_t n = 64;; n *= 2) {
		uint64_t begin = now_ns(), took;

		if (!launch(l, n) || CU(cuCtxSynchronize) != CUDA_SUCCESS)
			return 0;
		took = now_ns() - begin;
		if (took > KERNEL_NS || n > UINT32_MAX / 4)
			return (uint32_t)(n * (double)KERNEL_NS / (double)took) + 1;
	}
}

/* Kernel after kernel, DEEP of them in flight, until told to stop. */
static void *keep_busy(void *arg)
{
	struct load *l = arg;
	uint32_t n = l->s->iterations;

	if (CU(cuCtxSetCurrent, l->ctx) != CUDA_SUCCESS)
		return NULL;
	for (uint64_t i = 0; !l->s->stop && now_ns() < l->deadline; i++) {
		if (i >= DEEP) {
			if (CU(cuEventSynchronize, l->ended[i % DEEP]) != CUDA_SUCCESS)
				return NULL;
			l->s->done[l->who]++;
		}
		if (!launch(l, n) || CU(cuEventRecord, l->ended[i % DEEP], NULL) != CUDA_SUCCESS)
			return NULL;
	}
	CU(cuCtxSynchronize);
	return NULL;
}

/* Until the process has done so many more; false: not in time. */
static bool await_done(const struct load *l, enum who who, uint64_t more, uint64_t limit_ns)
{
	uint64_t from = l->s->done[who], end = now_ns() + limit_ns;

	while (l->s->done[who] < from + more) {
		if (now_ns() > end)
			return false;
		pause_ns(1000000);
	}
	return true;
}

/* ---- what part each gets ---- */

struct measure {
	uint64_t begin, done[2];
};

static void begin(const struct load *l, struct measure *m)
{
	m->begin = now_ns();
	for (int i = 0; i < 2; i++)
		m->done[i] = l->s->done[i];
}

/* Say what both did since then; the subject's part of it, or UNKNOWN. */
static double end(const struct load *l, const struct measure *m, const char *setting)
{
	double s = (double)(now_ns() - m->begin) / 1e9;
	double own = (double)(l->s->done[SUBJECT] - m->done[SUBJECT]);
	double peer = (double)(l->s->done[PEER] - m->done[PEER]);
	double part = own + peer < FEW_KERNELS ? UNKNOWN : own / (own + peer);
	char key[64];

	snprintf(key, sizeof(key), "%s_own_per_s", setting);
	say_num(key, own / s);
	snprintf(key, sizeof(key), "%s_peer_per_s", setting);
	say_num(key, peer / s);
	snprintf(key, sizeof(key), "%s_own_part", setting);
	if (part >= 0)
		say_num(key, part);
	return part;
}

static double window(const struct load *l, const char *setting)
{
	struct measure m;

	begin(l, &m);
	pause_ns(WINDOW_NS);
	return end(l, &m, setting);
}

static void say_status(const char *setting, int64_t status)
{
	char key[64];

	snprintf(key, sizeof(key), "%s_status", setting);
	say_int(key, status);
}

/* A control that the driver does not allow, or does not have, holds. Another failure may be ours:
 * the result has its status, and nothing is concluded. */
static void judge_refusal(enum assumption a, int64_t status)
{
	if (status == TSG_NOT_PERMITTED || status == TSG_NOT_SUPPORTED)
		verdict(a, true, "the driver refuses: status 0x%x", (unsigned int)status);
}

/* ---- the settings ---- */

struct groups {
	struct tsg of[GROUPS];
	size_t n;
};

/* Those that kernels run in; all where the driver does not say which these are. */
static void choose(struct groups *g)
{
	char engines[256] = "";
	size_t n = tsg_list(g->of, GROUPS), chosen = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(engines);

		snprintf(engines + at, sizeof(engines) - at, "%s%u", at ? " " : "",
			 g->of[i].engine);
	}
	say_int("groups", (int64_t)n);
	say_text("groups_engines", "%s", engines);
	for (size_t i = 0; i < n; i++)
		if (g->of[i].engine >= 1 && g->of[i].engine <= 8)
			g->of[chosen++] = g->of[i];
	g->n = chosen ? chosen : n;
	say_int("groups_chosen", (int64_t)g->n);
}

typedef int64_t get_fn(const struct tsg *g, uint64_t *value);
typedef int64_t set_fn(const struct tsg *g, uint64_t value);

/* The first failure, or 0. */
static int64_t set_all(const struct groups *g, set_fn *set, uint64_t value)
{
	int64_t failed = 0;

	for (size_t i = 0; i < g->n; i++) {
		int64_t status = set(&g->of[i], value);

		failed = failed ? failed : status;
	}
	return failed;
}

/* Set a value, measure, put back what was there; the driver's status, and where that is 0 the part.
 */
static int64_t with_value(const struct load *l, const struct groups *g, const char *setting,
			  get_fn *get, set_fn *set, uint64_t value, double *part)
{
	uint64_t before[GROUPS], now = 0;
	int64_t known[GROUPS], status;
	char key[64];

	for (size_t i = 0; i < g->n; i++)
		known[i] = get(&g->of[i], &before[i]);
	status = set_all(g, set, value);
	say_status(setting, status);
	if (!status) {
		*part = window(l, setting);
		snprintf(key, sizeof(key), "%s_read_back", setting);
		if (!get(&g->of[0], &now))
			say_int(key, (int64_t)now);
	}
	/* A value that could not be read is not put back: it ends with this process. */
	for (size_t i = 0; i < g->n; i++)
		if (!known[i])
			set(&g->of[i], before[i]);
	return status;
}

static int64_t with_slice(const struct load *l, const struct groups *g, const char *setting,
			  uint64_t us, double *part)
{
	return with_value(l, g, setting, tsg_get_slice, tsg_set_slice, us, part);
}

static void try_slices(const struct load *l, const struct groups *g, double usual)
{
	uint64_t us;
	int64_t status = tsg_get_slice(&g->of[0], &us);
	double little = UNKNOWN, much = UNKNOWN, other;

	say_status("slice_get", status);
	if (!status)
		say_int("slice_usual_us", (int64_t)us);
	status = with_slice(l, g, "slice_200us", 200, &little);
	if (status)
		judge_refusal(ASSUME_slice_not_ours, status);
	with_slice(l, g, "slice_2ms", 2000, &much);
	if (little >= 0 && much >= 0)
		verdict(ASSUME_slice_not_ours, much - little < SAME_SHARE,
			"its part is %.2f with 200 us, %.2f with 2 ms, %.2f as it was", little,
			much, usual);
	with_value(l, g, "level_2", tsg_get_level, tsg_set_level, 2, &other);
	with_slice(l, g, "slice_0", 0, &other);
}

/* All groups once; what the slowest of them took goes to `slowest`. */
static int64_t preempt_all(const struct groups *g, uint64_t *slowest)
{
	*slowest = 0;
	for (size_t i = 0; i < g->n; i++) {
		uint64_t at = now_ns(), took;
		int64_t status = tsg_preempt(&g->of[i], PREEMPT_US);

		if (status)
			return status;
		took = now_ns() - at;
		*slowest = took > *slowest ? took : *slowest;
	}
	return 0;
}

static void try_preempt(const struct load *l, const struct groups *g, double usual)
{
	static uint64_t all[PREEMPTS], slowest[PREEMPTS];
	struct measure m;
	int64_t status, failed = 0;
	size_t n = 0, failures = 0;
	double part;

	begin(l, &m);
	while (failures < 3 && now_ns() < m.begin + WINDOW_NS) {
		uint64_t at = now_ns();

		status = preempt_all(g, &slowest[n % PREEMPTS]);
		all[n % PREEMPTS] = now_ns() - at;
		n += !status;
		failures += !!status;
		failed = status ? status : failed;
	}
	say_status("preempt", failed);
	say_int("preempt_times", (int64_t)n);
	say_times("preempt_all", all, n < PREEMPTS ? n : PREEMPTS);
	say_times("preempt_one", slowest, n < PREEMPTS ? n : PREEMPTS);
	if (!n) {
		judge_refusal(ASSUME_preempt_not_ours, failed);
		return;
	}
	part = end(l, &m, "preempt");
	if (part >= 0 && usual >= 0)
		verdict(ASSUME_preempt_not_ours, usual - part < SAME_SHARE,
			"its part is %.2f while it is taken off again and again, %.2f as it was",
			part, usual);
}

static int64_t schedule(const struct tsg *g, uint64_t on)
{
	return tsg_schedule(g, on);
}

/* Off the list: kernels that are there must not end until it is back on it. */
static void try_off(const struct load *l, const struct groups *g, double usual)
{
	int64_t status = set_all(g, schedule, 0);
	uint64_t at;
	double part;

	say_status("off", status);
	if (status) {
		set_all(g, schedule, 1);
		judge_refusal(ASSUME_off_not_ours, status);
		return;
	}
	pause_ns(ANOTHER_NS); /* the one that was being waited for */
	part = window(l, "off");
	at = now_ns();
	say_status("on", set_all(g, schedule, 1));
	if (await_done(l, SUBJECT, 1, RESUME_NS))
		say_int("on_first_ns", (int64_t)(now_ns() - at));
	else
		say_text("on_error", "no kernel has ended for %llu s", RESUME_NS / 1000000000ull);
	if (part >= 0 && usual >= 0)
		verdict(ASSUME_off_not_ours, usual - part < SAME_SHARE,
			"its part is %.2f while it is off the list, %.2f as it was", part, usual);
}

/* ---- the two processes, and the step's own ---- */

static void try_all(struct load *l, const struct groups *g)
{
	double usual;

	if (!await_done(l, PEER, DEEP, DEADLINE_NS / 4)) {
		say_text("peer_error", "the other process runs no kernels");
		return;
	}
	usual = window(l, "usual");
	if (usual >= 0)
		verdict(ASSUME_slices_equal, usual > 0.4 && usual < 0.6, "its part is %.2f", usual);
	try_preempt(l, g, usual);
	try_slices(l, g, usual);
	try_off(l, g, usual);
	/* Every setting has its former value again. */
	window(l, "again");
}

static void subject(void)
{
	struct load l = {};
	struct groups g = {};
	struct tsg_seen seen;
	struct timespec limit;
	uint32_t iterations;
	pthread_t thread;

	if (!load_open(&l, SUBJECT))
		return;
	seen = tsg_seen();
	say_int("driver_objects", (int64_t)seen.allocs);
	say_int("driver_controls", (int64_t)seen.controls);
	say_int("driver_slices_set", (int64_t)seen.slices);
	if (seen.slices)
		say_int("driver_slice_us", (int64_t)seen.slice_us);
	choose(&g);
	if (!g.n) {
		say_text("why", "libcuda makes no channel groups that ioctl would show");
		return;
	}
	iterations = calibrate(&l);
	if (!iterations)
		return;
	say_int("kernel_iterations", iterations);
	l.s->iterations = iterations;
	if (pthread_create(&thread, NULL, keep_busy, &l))
		return;
	try_all(&l, &g);
	l.s->stop = 1;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += (time_t)(RESUME_NS / 1000000000);
	/* One that never ends is ended with the process. */
	if (pthread_timedjoin_np(thread, NULL, &limit))
		say_text("error", "kernels in flight do not end");
}

static void peer(void)
{
	struct load l = {};

	if (!load_open(&l, PEER))
		return;
	while (!l.s->iterations && !l.s->stop && now_ns() < l.deadline)
		pause_ns(1000000);
	if (l.s->iterations && !l.s->stop)
		keep_busy(&l);
}

void step_timeslice(void)
{
	const unsigned int limit_ms = (unsigned int)(DEADLINE_NS / 1000000);
	char shared[64];
	const char *const env[] = {shared, NULL};
	struct shared *s;
	struct role other;
	int fd;

	if (opt.role && !strcmp(opt.role, "peer"))
		return peer();
	if (opt.role)
		return subject();
	fd = memfd_create("gpu-probe-timeslice", MFD_CLOEXEC);
	s = fd >= 0 && ftruncate(fd, sizeof(*s)) == 0 ? map_shared(fd) : NULL;
	if (!s) {
		say_text("error", "no shared memory: %s", strerror(errno));
		return;
	}
	/* Roles inherit nothing; they open it by our name for it. */
	snprintf(shared, sizeof(shared), SHARED "=/proc/%d/fd/%d", getpid(), fd);
	if (!role_start(&other, "peer", "peer_", env))
		return;
	role_run("subject", "", env, limit_ms);
	s->stop = 1;
	role_wait(&other, 5000);
}
