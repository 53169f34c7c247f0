/* SPDX-License-Identifier: MIT */
/*
 * CUDA calls on command: obeys lines on standard input, so that a scenario decides which work is in
 * flight when an event happens. Each line is answered by "COMMAND RESULT"; a result is the name of
 * a CUresult, or "right" or "wrong" where bytes were compared.
 *
 *   open              initialise, make device 0's primary context current, load the kernels
 *   alloc BYTES       device memory, kept to the end
 *   pin BYTES         host memory of the arena, kept until the next unpin, or to the end
 *   unpin
 *   check             bytes there, a kernel on them, bytes back, compared
 *   load N            check N times (0: until one fails); says "load 1" after the first
 *   copy BYTES N      pageable memory there and back N times (0: until one fails), compared; says
 *                     "copy 1" after the first
 *   threads T N       N checks in each of T threads
 *   spin              launch a kernel that does not end before "stop"; does not wait
 *   stop              end such kernels
 *   sync              wait for all work of the context
 *   launch N          launch N small kernels without waiting between them, then compare
 *   keep BYTES        fill device memory, which stays until the end
 *   kept              a kernel on the first of it, and all of it back, compared; as often as wanted
 *   memory            cuMemGetInfo: free and total bytes
 *   quit              release everything and end; the end of input does the same
 *
 * A load, copy or threads that fails says after which round: "load CUDA_ERROR_UNKNOWN in 12".
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#define WORDS       20011u
#define MAX_THREADS 64u

extern const char ptx_vector[], ptx_fault[];

static CUcontext context;
static CUfunction increment, endless;
static CUdeviceptr stop_word, launch_words;
static CUstream side;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static const char *name_of(CUresult r)
{
	const char *name = NULL;

	return cuGetErrorName(r, &name) == CUDA_SUCCESS && name ? name : "an unknown result";
}

#define TRY(call)                                                                                  \
	do {                                                                                       \
		r = (call);                                                                        \
		if (r != CUDA_SUCCESS)                                                             \
			return r;                                                                  \
	} while (0)

static CUresult open_device(void)
{
	CUmodule vector, fault;
	CUdevice device;
	CUresult r;

	TRY(cuInit(0));
	TRY(cuDeviceGet(&device, 0));
	TRY(cuDevicePrimaryCtxRetain(&context, device));
	TRY(cuCtxSetCurrent(context));
	TRY(cuModuleLoadData(&vector, ptx_vector));
	TRY(cuModuleGetFunction(&increment, vector, "increment"));
	TRY(cuModuleLoadData(&fault, ptx_fault));
	TRY(cuModuleGetFunction(&endless, fault, "endless"));
	TRY(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
	TRY(cuMemAlloc(&stop_word, sizeof(uint32_t)));
	TRY(cuMemsetD32(stop_word, 0, 1));
	TRY(cuMemAlloc(&launch_words, WORDS * sizeof(uint32_t)));
	return cuCtxSynchronize();
}

static CUresult run_increment(CUdeviceptr words, uint32_t n, CUstream stream)
{
	return cuLaunchKernel(increment, 8, 1, 1, 64, 1, 1, 0, stream, (void *[]){&words, &n},
			      NULL);
}

static void fill(uint32_t *words, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		words[i] = seed + i * 2654435761u;
}

static bool filled(const uint32_t *words, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		if (words[i] != seed + i * 2654435761u)
			return false;
	return true;
}

/* The first wrong result: a CUresult's name, or "wrong"; NULL: all are right. */
static const char *check_in(CUdeviceptr p, uint32_t *words, uint32_t seed)
{
	CUresult r;

	fill(words, WORDS, seed);
	r = cuMemcpyHtoD(p, words, WORDS * sizeof(*words));
	if (r == CUDA_SUCCESS)
		r = run_increment(p, WORDS, NULL);
	memset(words, 0, WORDS * sizeof(*words));
	if (r == CUDA_SUCCESS)
		r = cuMemcpyDtoH(words, p, WORDS * sizeof(*words));
	if (r != CUDA_SUCCESS)
		return name_of(r);
	return filled(words, WORDS, seed + 1) ? NULL : "wrong";
}

static const char *check(uint32_t seed)
{
	uint32_t *words = malloc(WORDS * sizeof(*words));
	const char *bad = "no host memory";
	CUdeviceptr p = 0;
	CUresult r = CUDA_SUCCESS;

	if (words) {
		r = cuMemAlloc(&p, WORDS * sizeof(*words));
		bad = r == CUDA_SUCCESS ? check_in(p, words, seed) : name_of(r);
	}
	if (p) {
		r = cuMemFree(p);
		if (!bad && r != CUDA_SUCCESS)
			bad = name_of(r);
	}
	free(words);
	return bad;
}

static void load(uint32_t rounds)
{
	for (uint32_t i = 0; !rounds || i < rounds; i++) {
		const char *bad = check(i * 7919u);

		if (bad) {
			say("load %s in %u", bad, i + 1);
			return;
		}
		if (!i)
			say("load 1");
	}
	say("load right");
}

static const char *copy_once(CUdeviceptr p, uint32_t *words, uint32_t n, uint32_t seed)
{
	CUresult r;

	fill(words, n, seed);
	r = cuMemcpyHtoD(p, words, n * sizeof(*words));
	memset(words, 0, n * sizeof(*words));
	if (r == CUDA_SUCCESS)
		r = cuMemcpyDtoH(words, p, n * sizeof(*words));
	if (r != CUDA_SUCCESS)
		return name_of(r);
	return filled(words, n, seed) ? NULL : "wrong";
}

static void copy(size_t bytes, uint32_t rounds)
{
	uint32_t n = (uint32_t)(bytes / sizeof(uint32_t));
	uint32_t *words = malloc(n * sizeof(*words));
	const char *bad = NULL;
	CUdeviceptr p = 0;
	uint32_t i = 0;

	if (!words)
		bad = "no host memory";
	else if (cuMemAlloc(&p, n * sizeof(*words)) != CUDA_SUCCESS)
		bad = "no device memory";
	for (; !bad && (!rounds || i < rounds); i++) {
		bad = copy_once(p, words, n, i * 104729u);
		if (!bad && !i)
			say("copy 1");
	}
	if (p)
		cuMemFree(p);
	free(words);
	if (bad)
		say("copy %s in %u", bad, i);
	else
		say("copy right");
}

struct thread {
	pthread_t id;
	uint32_t number, rounds;
	const char *bad;
};

static void *work(void *arg)
{
	struct thread *t = arg;
	CUresult r = cuCtxSetCurrent(context);

	t->bad = r == CUDA_SUCCESS ? NULL : name_of(r);
	for (uint32_t i = 0; !t->bad && i < t->rounds; i++)
		t->bad = check(t->number * 1000003u + i);
	return NULL;
}

static void threads(uint32_t n, uint32_t rounds)
{
	struct thread t[MAX_THREADS];
	const char *bad = NULL;
	uint32_t made = 0;

	for (; made < n && made < MAX_THREADS; made++) {
		t[made] = (struct thread){.number = made, .rounds = rounds};
		if (pthread_create(&t[made].id, NULL, work, &t[made])) {
			bad = "no thread";
			break;
		}
	}
	for (uint32_t i = 0; i < made; i++) {
		pthread_join(t[i].id, NULL);
		bad = bad ? bad : t[i].bad;
	}
	say("threads %s", bad ? bad : "right");
}

/* Each launch adds one to every word: the sum shows whether one was lost. */
static const char *launch(uint32_t n)
{
	uint32_t *words = calloc(WORDS, sizeof(*words));
	CUresult r = CUDA_SUCCESS;
	const uint32_t few = 64;
	const char *bad = NULL;

	if (!words)
		return "no host memory";
	r = cuMemsetD32(launch_words, 0, few);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < n; i++)
		r = run_increment(launch_words, few, NULL);
	if (r == CUDA_SUCCESS)
		r = cuMemcpyDtoH(words, launch_words, few * sizeof(*words));
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < few; i++)
		bad = words[i] == n ? bad : "wrong";
	free(words);
	return r == CUDA_SUCCESS ? bad : name_of(r);
}

/* Device memory with all words as filled, but the first, to which each kernel has added one. */
static struct {
	CUdeviceptr at;
	uint32_t words, added;
} store;

enum { KEPT_SEED = 271828 };

static const char *keep(size_t bytes)
{
	uint32_t n = (uint32_t)(bytes / sizeof(uint32_t));
	uint32_t *words = malloc(n * sizeof(*words));
	CUresult r;

	if (!words || n < WORDS || store.at) {
		free(words);
		return "no host memory, too few bytes, or some are kept";
	}
	fill(words, n, KEPT_SEED);
	r = cuMemAlloc(&store.at, n * sizeof(*words));
	if (r == CUDA_SUCCESS)
		r = cuMemcpyHtoD(store.at, words, n * sizeof(*words));
	store.words = n;
	free(words);
	return name_of(r);
}

static const char *kept(void)
{
	uint32_t *words = calloc(store.words, sizeof(*words));
	CUresult r;
	bool same;

	if (!words || !store.at) {
		free(words);
		return "no host memory, or none is kept";
	}
	r = run_increment(store.at, WORDS, NULL);
	if (r == CUDA_SUCCESS)
		r = cuMemcpyDtoH(words, store.at, store.words * sizeof(*words));
	store.added++;
	for (uint32_t i = 0; i < WORDS; i++)
		words[i] -= store.added;
	same = filled(words, store.words, KEPT_SEED);
	free(words);
	return r != CUDA_SUCCESS ? name_of(r) : same ? "right" : "wrong";
}

static CUresult set_stop(uint32_t value)
{
	CUresult r;

	TRY(cuMemsetD32Async(stop_word, value, 1, side));
	return cuStreamSynchronize(side);
}

static CUresult spin(void)
{
	CUresult r;

	TRY(set_stop(0));
	return cuLaunchKernel(endless, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&stop_word}, NULL);
}

static void memory(void)
{
	size_t free_bytes = 0, total = 0;
	CUresult r = cuMemGetInfo(&free_bytes, &total);

	if (r == CUDA_SUCCESS)
		say("memory %zu %zu", free_bytes, total);
	else
		say("memory %s", name_of(r));
}

static bool obey(const char *word, size_t a, size_t b)
{
	static void *host;
	CUdeviceptr p;
	const char *bad;

	if (!strcmp(word, "open"))
		say("open %s", name_of(open_device()));
	else if (!strcmp(word, "alloc"))
		say("alloc %s", name_of(cuMemAlloc(&p, a)));
	else if (!strcmp(word, "pin"))
		say("pin %s", name_of(cuMemHostAlloc(&host, a, 0)));
	else if (!strcmp(word, "unpin"))
		say("unpin %s", name_of(cuMemFreeHost(host)));
	else if (!strcmp(word, "check"))
		say("check %s", (bad = check(12345u)) ? bad : "right");
	else if (!strcmp(word, "load"))
		load((uint32_t)a);
	else if (!strcmp(word, "copy"))
		copy(a, (uint32_t)b);
	else if (!strcmp(word, "threads"))
		threads((uint32_t)a, (uint32_t)b);
	else if (!strcmp(word, "spin"))
		say("spin %s", name_of(spin()));
	else if (!strcmp(word, "stop"))
		say("stop %s", name_of(set_stop(1)));
	else if (!strcmp(word, "sync"))
		say("sync %s", name_of(cuCtxSynchronize()));
	else if (!strcmp(word, "launch"))
		say("launch %s", (bad = launch((uint32_t)a)) ? bad : "right");
	else if (!strcmp(word, "keep"))
		say("keep %s", keep(a));
	else if (!strcmp(word, "kept"))
		say("kept %s", kept());
	else if (!strcmp(word, "memory"))
		memory();
	else
		return false;
	return true;
}

int main(void)
{
	char line[256], word[32];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned long long a = 0, b = 0;

		if (sscanf(line, "%31s %llu %llu", word, &a, &b) < 1)
			continue;
		if (!strcmp(word, "quit"))
			break;
		if (!obey(word, a, b)) {
			say("%s is no command", word);
			return 2;
		}
	}
	if (context)
		cuDevicePrimaryCtxRelease(0);
	say("bye");
	return 0;
}
