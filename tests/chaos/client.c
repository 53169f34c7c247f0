/* SPDX-License-Identifier: MIT */
/*
 * chaos-client SEED STEPS [THREADS [KIND,KIND... [MIB]]]: does STEPS random pieces of work in each
 * thread (0: until standard input ends) and checks every value against a copy of its own, and keeps
 * so many MIB of device memory, which nobody writes to. Prints "ready" after the first piece.
 *
 * chaos-client first THING: stops itself, and prints the result of making a THING when it goes on.
 *
 * Ends with 0 and "right" when all was right; with 1 and a line on standard error when a value was
 * wrong or an error did not last; with 3 and "error NAME CALL" when a call failed and later calls
 * failed, too.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum {
	WORDS = 8192,
	BYTES = WORDS * 4,
	BUFFERS = 3,
	MAX_THREADS = 8,
	LOST = 3,
};

/* Device memory with a stream of its own, and what must be in it once the stream is done. */
struct buffer {
	CUdeviceptr at;
	CUstream stream;
	CUevent event;
	uint32_t *pinned, *registered; /* of BYTES; the stream is idle before they are written */
	uint32_t model[WORDS];
	int called, calls; /* host functions */
};

struct lane {
	struct random random;
	struct buffer buffers[BUFFERS];
	CUmodule module;
	CUfunction fill, increment, affine;
	uint64_t steps;
};

struct range {
	uint32_t from, words;
};

static CUcontext context;
static struct {
	CUdeviceptr at;
	uint32_t *words; /* what must be there */
	uint32_t n;
} kept;
static pthread_mutex_t ending = PTHREAD_MUTEX_INITIALIZER;

/* Calls that make something: after a session's end each of them says so. */
static union {
	CUgraph graph;
	CUstream stream;
	CUevent event;
	CUmodule module;
	CUdeviceptr device;
	void *host;
} made;

#define MAKERS(X)                                                                                  \
	X(graph, cuGraphCreate(&made.graph, 0))                                                    \
	X(capture, cuStreamBeginCapture(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED))     \
	X(stream, cuStreamCreate(&made.stream, CU_STREAM_NON_BLOCKING))                            \
	X(event, cuEventCreate(&made.event, 0))                                                    \
	X(module, cuModuleLoadData(&made.module, ptx_vector))                                      \
	X(little, cuMemAlloc(&made.device, 1))                                                     \
	X(much, cuMemAlloc(&made.device, 32 << 20))                                                \
	X(ordered, cuMemAllocAsync(&made.device, 1, NULL))                                         \
	X(managed, cuMemAllocManaged(&made.device, 1 << 20, CU_MEM_ATTACH_GLOBAL))                 \
	X(host, cuMemHostAlloc(&made.host, 1 << 20, 0))
#define MAKER(name, call)                                                                          \
	static CUresult make_##name(void)                                                          \
	{                                                                                          \
		return call;                                                                       \
	}
#define ROW(name, call) {#name, make_##name},
MAKERS(MAKER)
static const struct maker {
	const char *name;
	CUresult (*make)(void);
} makers[] = {MAKERS(ROW)};
enum { MAKERS_LEN = sizeof(makers) / sizeof(makers[0]) };

static void all_fail(CUresult why)
{
	/* A call that waits: from then on the others know. */
	cuCtxSetCurrent(context);
	WANT(why, cuCtxSynchronize());
	for (int i = 0; i < MAKERS_LEN; i++) {
		CUresult r = makers[i].make();

		CHECK(r == why, "after %s, %s: %s", result_name(why), makers[i].name,
		      result_name(r));
	}
}

/* Stops itself, and what it then makes first fails. */
static int make_first(const char *name)
{
	int i = 0;

	while (i < MAKERS_LEN && strcmp(makers[i].name, name) != 0)
		i++;
	CHECK(i < MAKERS_LEN, "'%s' is nothing to make", name);
	start();
	raise(SIGSTOP);
	puts(result_name(makers[i].make()));
	return 0;
}

/* The first thread whose call fails ends the program. */
NORETURN static void lost(const char *call, CUresult r)
{
	CUresult again;

	pthread_mutex_lock(&ending);
	printf("error %s %.*s\n", result_name(r), (int)strcspn(call, "("), call);
	fflush(stdout);
	if (r == CUDA_ERROR_DEVICE_UNAVAILABLE && context)
		all_fail(r);
	again = r == CUDA_ERROR_OUT_OF_MEMORY || !context ? r : cuCtxSynchronize();
	CHECK(again == r, "%s: %s, and then cuCtxSynchronize: %s", call, result_name(r),
	      result_name(again));
	_exit(LOST);
}

#define DO(call)                                                                                   \
	do {                                                                                       \
		CUresult do_result = call;                                                         \
		if (do_result)                                                                     \
			lost(#call, do_result);                                                    \
	} while (0)
#define RUN(fn, words, stream, ...)                                                                \
	DO(cuLaunchKernel(fn, ((words) + 255) / 256, 1, 1, 256, 1, 1, 0, stream,                   \
			  (void *[]){__VA_ARGS__}, NULL))

static uint32_t below(struct lane *l, uint32_t n)
{
	return random_next(&l->random) % n;
}

static struct buffer *some_buffer(struct lane *l)
{
	return &l->buffers[below(l, BUFFERS)];
}

static struct range some_range(struct lane *l)
{
	struct range r = {.from = below(l, WORDS)};

	r.words = 1 + below(l, WORDS - r.from);
	return r;
}

static CUdeviceptr address(const struct buffer *b, struct range r)
{
	return b->at + r.from * sizeof(uint32_t);
}

static void must_be(const uint32_t *got, const uint32_t *want, uint32_t words, const char *what)
{
	for (uint32_t i = 0; i < words; i++)
		CHECK(got[i] == want[i], "%s: word %u of %u is %#x, not %#x", what, i, words,
		      got[i], want[i]);
}

/* Memory for a copy: a buffer's pinned or registered one, or pageable memory, which must be freed.
 */
static uint32_t *some_host(struct lane *l, struct buffer *b, bool *pageable)
{
	const uint32_t way = below(l, 3);

	*pageable = way == 0;
	return way == 0 ? host_alloc(BYTES) : way == 1 ? b->pinned : b->registered;
}

/* A part of the kept memory, at times after a pause in which it may be parked. */
static void look(struct lane *l)
{
	const uint32_t from = below(l, kept.n), n = kept.n - from < WORDS ? kept.n - from : WORDS;
	uint32_t *to = host_alloc(BYTES);

	if (below(l, 2))
		usleep(below(l, 60000));
	DO(cuMemcpyDtoH(to, kept.at + from * 4ul, n * 4ul));
	must_be(to, kept.words + from, n, "kept memory");
	free(to);
}

static void check(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = some_range(l);
	bool pageable;
	uint32_t *to = some_host(l, b, &pageable);

	DO(cuStreamSynchronize(b->stream));
	memset(to, 0x5a, r.words * 4);
	DO(cuMemcpyDtoHAsync(to, address(b, r), r.words * 4, b->stream));
	DO(cuStreamSynchronize(b->stream));
	must_be(to, b->model + r.from, r.words, "a copy from the device");
	CHECK(b->called == b->calls, "%d of %d host functions were called", b->called, b->calls);
	if (pageable)
		free(to);
}

static void upload_range(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = some_range(l);
	bool pageable;
	uint32_t *from = some_host(l, b, &pageable);

	DO(cuStreamSynchronize(b->stream));
	random_fill(from, r.words * 4, random_next(&l->random));
	memcpy(b->model + r.from, from, r.words * 4);
	DO(cuMemcpyHtoDAsync(address(b, r), from, r.words * 4, b->stream));
	if (pageable)
		free(from);
}

/* Two streams, ordered by events both ways. */
static void between(struct lane *l)
{
	struct buffer *from = some_buffer(l), *to = some_buffer(l);
	struct range r = some_range(l);

	if (from == to)
		return;
	DO(cuEventRecord(from->event, from->stream));
	DO(cuStreamWaitEvent(to->stream, from->event, 0));
	DO(cuMemcpyDtoDAsync(address(to, r), address(from, r), r.words * 4, to->stream));
	DO(cuEventRecord(to->event, to->stream));
	DO(cuStreamWaitEvent(from->stream, to->event, 0));
	memcpy(to->model + r.from, from->model + r.from, r.words * 4);
}

static void set(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = some_range(l);
	uint32_t value = random_next(&l->random);

	switch (below(l, 3)) {
	case 0:
		DO(cuMemsetD8Async(address(b, r), value & 0xff, r.words * 4, b->stream));
		value = (value & 0xff) * 0x01010101u;
		break;
	case 1:
		DO(cuMemsetD16Async(address(b, r), value & 0xffff, r.words * 2, b->stream));
		value = (value & 0xffff) * 0x00010001u;
		break;
	default:
		DO(cuMemsetD32Async(address(b, r), value, r.words, b->stream));
	}
	for (uint32_t i = 0; i < r.words; i++)
		b->model[r.from + i] = value;
}

/* x -> x * mul + add, into the stream and, if `times` says so, into what must be in the buffer. */
static void affine(struct lane *l, struct buffer *b, struct range r, uint32_t mul, uint32_t add,
		   int times)
{
	CUdeviceptr p = address(b, r);

	RUN(l->affine, r.words, b->stream, &p, &r.words, &mul, &add);
	for (int t = 0; t < times; t++)
		for (uint32_t i = 0; i < r.words; i++)
			b->model[r.from + i] = b->model[r.from + i] * mul + add;
}

static void kernel(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = some_range(l);
	uint32_t seed = random_next(&l->random);
	CUdeviceptr p = address(b, r);

	switch (below(l, 3)) {
	case 0:
		RUN(l->fill, r.words, b->stream, &p, &r.words, &seed);
		for (uint32_t i = 0; i < r.words; i++)
			b->model[r.from + i] = fill_value(seed, i);
		break;
	case 1:
		RUN(l->increment, r.words, b->stream, &p, &r.words);
		for (uint32_t i = 0; i < r.words; i++)
			b->model[r.from + i]++;
		break;
	default:
		affine(l, b, r, seed | 1, seed >> 7, 1);
	}
}

static void graph(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = some_range(l);
	uint32_t mul = random_next(&l->random) | 1;
	int launches = 1 + (int)below(l, 4);
	CUgraphExec exec;
	CUgraph g;

	DO(cuStreamBeginCapture(b->stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	affine(l, b, r, mul, 7, launches);
	DO(cuStreamEndCapture(b->stream, &g));
	DO(cuGraphInstantiate(&exec, g, 0));
	DO(cuGraphDestroy(g));
	for (int i = 0; i < launches; i++)
		DO(cuGraphLaunch(exec, b->stream));
	DO(cuStreamSynchronize(b->stream));
	DO(cuGraphExecDestroy(exec));
}

static void CUDA_CB called(void *buffer)
{
	((struct buffer *)buffer)->called++;
}

static void host_function(struct lane *l)
{
	struct buffer *b = some_buffer(l);

	b->calls++;
	DO(cuLaunchHostFunc(b->stream, called, b));
}

/* Memory that comes and goes, by itself or in a stream's order. */
static void memory(struct lane *l)
{
	uint32_t words = 1 + below(l, 1u << (4 + below(l, 16))), seed = random_next(&l->random);
	uint32_t *want = host_alloc(words * 4ul), *got = host_alloc(words * 4ul);
	struct buffer *b = some_buffer(l);
	bool ordered = below(l, 2);
	CUdeviceptr p;

	if (ordered)
		DO(cuMemAllocAsync(&p, words * 4ul, b->stream));
	else
		DO(cuMemAlloc(&p, words * 4ul));
	for (uint32_t i = 0; i < words; i++)
		want[i] = fill_value(seed, i);
	RUN(l->fill, words, b->stream, &p, &words, &seed);
	DO(cuMemcpyDtoHAsync(got, p, words * 4ul, b->stream));
	if (ordered)
		DO(cuMemFreeAsync(p, b->stream));
	DO(cuStreamSynchronize(b->stream));
	if (!ordered)
		DO(cuMemFree(p));
	must_be(got, want, words, "new memory");
	free(want);
	free(got);
}

/* A module that is loaded again while the other one works. */
static void module(struct lane *l)
{
	CUmodule m;

	DO(cuModuleLoadData(&m, ptx_vector));
	DO(cuModuleGetFunction(&l->fill, m, "fill"));
	kernel(l);
	for (int i = 0; i < BUFFERS; i++)
		DO(cuStreamSynchronize(l->buffers[i].stream));
	DO(cuModuleGetFunction(&l->fill, l->module, "fill"));
	DO(cuModuleUnload(m));
}

static void event(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	CUevent first, second;
	float ms = -1;
	CUresult r;

	DO(cuEventCreate(&first, 0));
	DO(cuEventCreate(&second, CU_EVENT_BLOCKING_SYNC));
	DO(cuEventRecord(first, b->stream));
	kernel(l);
	DO(cuEventRecord(second, b->stream));
	r = cuEventQuery(second);
	if (r != CUDA_SUCCESS && r != CUDA_ERROR_NOT_READY)
		lost("cuEventQuery(second)", r);
	DO(cuEventSynchronize(second));
	DO(cuEventElapsedTime(&ms, first, second));
	CHECK(ms >= 0, "%g ms between two events", (double)ms);
	DO(cuEventDestroy(first));
	DO(cuEventDestroy(second));
}

/* Copies and a kernel behind a host function that waits: nothing of it may happen before. */
static void CUDA_CB wait_for_gate(void *gate)
{
	while (sem_wait(gate))
		;
}

static void gate(struct lane *l)
{
	struct buffer *b = some_buffer(l);
	struct range r = {.words = WORDS};
	sem_t open;

	DO(cuStreamSynchronize(b->stream));
	CHECK(!sem_init(&open, 0, 0), "no semaphore");
	DO(cuLaunchHostFunc(b->stream, wait_for_gate, &open));
	affine(l, b, r, 5, 3, 1);
	DO(cuMemcpyDtoHAsync(b->pinned, b->at, BYTES, b->stream));
	CHECK(cuStreamQuery(b->stream) != CUDA_SUCCESS,
	      "a stream passed a host function that waits");
	sem_post(&open);
	DO(cuStreamSynchronize(b->stream));
	must_be(b->pinned, b->model, WORDS, "work behind a host function");
	sem_destroy(&open);
}

static const struct kind {
	const char *name;
	void (*step)(struct lane *l);
} kinds[] = {
	{"check", check},   {"copy", upload_range}, {"between", between},    {"memset", set},
	{"kernel", kernel}, {"graph", graph},       {"host", host_function}, {"memory", memory},
	{"module", module}, {"event", event},       {"gate", gate},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kind *chosen[KINDS];
static uint32_t n_chosen;
static uint64_t seed, steps;
static bool over;

static void open_lane(struct lane *l)
{
	DO(cuCtxSetCurrent(context));
	DO(cuModuleLoadData(&l->module, ptx_vector));
	DO(cuModuleGetFunction(&l->fill, l->module, "fill"));
	DO(cuModuleGetFunction(&l->increment, l->module, "increment"));
	DO(cuModuleGetFunction(&l->affine, l->module, "affine"));
	for (int i = 0; i < BUFFERS; i++) {
		struct buffer *b = &l->buffers[i];

		DO(cuStreamCreate(&b->stream, CU_STREAM_NON_BLOCKING));
		DO(cuEventCreate(&b->event, CU_EVENT_DISABLE_TIMING));
		DO(cuMemAlloc(&b->at, BYTES));
		DO(cuMemHostAlloc((void **)&b->pinned, BYTES, 0));
		b->registered = aligned_alloc(4096, BYTES);
		CHECK(b->registered, "no memory");
		DO(cuMemHostRegister(b->registered, BYTES, 0));
		DO(cuMemsetD32Async(b->at, 0, WORDS, b->stream));
	}
}

static void close_lane(struct lane *l)
{
	for (int i = 0; i < BUFFERS; i++) {
		struct buffer *b = &l->buffers[i];

		DO(cuMemcpyDtoHAsync(b->pinned, b->at, BYTES, b->stream));
		DO(cuStreamSynchronize(b->stream));
		must_be(b->pinned, b->model, WORDS, "a buffer at the end");
		CHECK(b->called == b->calls, "%d of %d host functions were called", b->called,
		      b->calls);
		DO(cuMemHostUnregister(b->registered));
		free(b->registered);
		DO(cuMemFreeHost(b->pinned));
		DO(cuMemFree(b->at));
		DO(cuEventDestroy(b->event));
		DO(cuStreamDestroy(b->stream));
	}
	DO(cuModuleUnload(l->module));
}

static void *work(void *number)
{
	struct lane *l = calloc(1, sizeof(*l));

	CHECK(l, "no memory");
	l->random.state = seed * MAX_THREADS + (uintptr_t)number + 1;
	open_lane(l);
	do {
		chosen[below(l, n_chosen)]->step(l);
		if (kept.n && !below(l, 4))
			look(l);
		if (!l->steps++ && !number)
			puts("ready");
	} while (steps ? l->steps < steps : !__atomic_load_n(&over, __ATOMIC_RELAXED));
	close_lane(l);
	free(l);
	return NULL;
}

static void keep(size_t mib)
{
	kept.n = (uint32_t)(mib << 18);
	kept.words = host_alloc(mib << 20);
	random_fill(kept.words, mib << 20, (uint32_t)seed);
	DO(cuMemAlloc(&kept.at, mib << 20));
	DO(cuMemcpyHtoD(kept.at, kept.words, mib << 20));
}

static void let_go(void)
{
	uint32_t *all = host_alloc(kept.n * 4ul);

	DO(cuMemcpyDtoH(all, kept.at, kept.n * 4ul));
	must_be(all, kept.words, kept.n, "kept memory at the end");
	DO(cuMemFree(kept.at));
	free(all);
	free(kept.words);
}

static void *watch_input(void *unused)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	return NULL;
}

static void choose(char *names)
{
	if (!names)
		for (int i = 0; i < KINDS; i++)
			chosen[n_chosen++] = &kinds[i];
	for (char *name = names ? strtok(names, ",") : NULL; name; name = strtok(NULL, ",")) {
		int i = 0;

		while (i < KINDS && strcmp(kinds[i].name, name) != 0)
			i++;
		CHECK(i < KINDS && n_chosen < KINDS,
		      "'%s' is no kind of work, or too many are named", name);
		chosen[n_chosen++] = &kinds[i];
	}
	CHECK(n_chosen, "no kind of work is named");
}

int main(int argc, char **argv)
{
	const size_t threads = argument(argc, argv, 3, 1), mib = argument(argc, argv, 5, 0);
	pthread_t ids[MAX_THREADS], input;
	CUdevice device;

	if (argc == 3 && !strcmp(argv[1], "first"))
		return make_first(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	CHECK(argc > 2 && threads && threads <= MAX_THREADS,
	      "usage: chaos-client SEED STEPS [THREADS [KIND,... [MIB]]], at most %d threads",
	      MAX_THREADS);
	seed = strtoull(argv[1], NULL, 10);
	steps = strtoull(argv[2], NULL, 10);
	choose(argc > 4 ? argv[4] : NULL);
	DO(cuInit(0));
	DO(cuDeviceGet(&device, 0));
	DO(cuDevicePrimaryCtxRetain(&context, device));
	DO(cuCtxSetCurrent(context));
	if (mib)
		keep(mib);
	if (!steps)
		CHECK(!pthread_create(&input, NULL, watch_input, NULL), "no thread");
	for (uintptr_t i = 0; i < threads; i++)
		CHECK(!pthread_create(&ids[i], NULL, work, (void *)i), "no thread");
	for (size_t i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	if (mib)
		let_go();
	DO(cuDevicePrimaryCtxRelease(device));
	puts("right");
	return 0;
}
