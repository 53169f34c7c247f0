/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "tests/programs/common.h"

static const char *base_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

/* ---- with PVGPU_TEST_GO_ON ---- */
static _Thread_local struct {
	const char *file, *call;
	int line;
} at;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool goes_on;
static const char *skipped;

static void crashed(int sig)
{
	char text[512];
	const int n =
		snprintf(text, sizeof(text), "%s:%d: %s: signal %d\n",
			 at.file ? base_of(at.file) : "?", at.line, at.call ? at.call : "?", sig);

	if (write(STDERR_FILENO, text,
		  (size_t)(n < (int)sizeof(text) ? n : (int)sizeof(text) - 1)) < 0)
		_exit(1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void set_up(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL};

	goes_on = getenv("PVGPU_TEST_GO_ON") != NULL;
	skipped = getenv("PVGPU_TEST_SKIP");
	for (size_t i = 0; goes_on && i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], crashed);
}

/* Is this line in the list? */
static bool is_skipped(const char *file, int line)
{
	char word[128];
	const size_t n = (size_t)snprintf(word, sizeof(word), "%s:%d", base_of(file), line);

	for (const char *p = skipped; p && (p = strstr(p, word)); p += n)
		if ((p == skipped || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

bool asks_at(const char *file, int line, const char *call)
{
	pthread_once(&once, set_up);
	if (!goes_on)
		return true;
	at.file = file;
	at.line = line;
	at.call = call;
	return !is_skipped(file, line);
}

static void say_wrong(const char *file, int line, const char *format, va_list args)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: ", base_of(file), line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void fail_at(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_wrong(file, line, format, args);
	va_end(args);
	exit(1);
}

void wrong_at(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_wrong(file, line, format, args);
	va_end(args);
	pthread_once(&once, set_up);
	if (!goes_on)
		exit(1);
}

const char *result_name(CUresult r)
{
	const char *name = NULL;

	if (cuGetErrorName(r, &name) != CUDA_SUCCESS || !name)
		return "an unknown result";
	return name;
}

void want_at(const char *file, int line, const char *call, CUresult want, CUresult got)
{
	if (want != got)
		wrong_at(file, line, "%s: %s (%d), not %s", call, result_name(got), got,
			 result_name(want));
}

bool handles_are_checked(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW);
	char name[256] = "";
	bool ours;

	CHECK(library, "libcuda.so.1 is not found");
	ours = dlsym(library, "pvgpuClient") != NULL;
	dlclose(library);
	CU(cuDeviceGetName(name, sizeof(name), 0));
	return ours || strstr(name, "simulated");
}

CUdevice start(void)
{
	CUdevice device;
	CUcontext ctx;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	CU(cuInit(0));
	CU(cuDeviceGet(&device, 0));
	CU(cuDevicePrimaryCtxRetain(&ctx, device));
	CU(cuCtxSetCurrent(ctx));
	return device;
}

void finish(void)
{
	CUdevice device;
	unsigned int flags;
	int active = -1;

	CU(cuCtxSynchronize());
	CU(cuCtxGetDevice(&device));
	CU(cuCtxSetCurrent(NULL));
	CU(cuDevicePrimaryCtxRelease(device));
	CU(cuDevicePrimaryCtxGetState(device, &flags, &active));
	CHECK(active == 0, "the primary context is still active after its last release");
}

CUmodule load(const char *image)
{
	CUmodule module;

	CU(cuModuleLoadData(&module, image));
	return module;
}

CUfunction function(CUmodule module, const char *name)
{
	CUfunction fn;
	CUresult r = cuModuleGetFunction(&fn, module, name);

	CHECK(r == CUDA_SUCCESS, "function %s: %s", name, result_name(r));
	return fn;
}

void *host_alloc(size_t bytes)
{
	void *p = malloc(bytes ? bytes : 1);

	CHECK(p, "no memory for %zu bytes", bytes);
	return p;
}

const char *own_path(void)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	CHECK(n > 0, "/proc/self/exe cannot be read");
	path[n] = '\0';
	return path;
}

size_t counted_late(size_t total)
{
	return total >= 8ull << 30 ? 1 << 30 : 0;
}

CUdeviceptr device_alloc(size_t bytes)
{
	CUdeviceptr p = 0;

	CU(cuMemAlloc(&p, bytes));
	CHECK(p, "cuMemAlloc gave address 0");
	/* Memory that a kernel fails to write must not hold the right value by chance. */
	CU(cuMemsetD8(p, 0xa5, bytes));
	CU(cuStreamSynchronize(NULL));
	return p;
}

CUdeviceptr upload(const void *data, size_t bytes)
{
	CUdeviceptr p = device_alloc(bytes);

	CU(cuMemcpyHtoD(p, data, bytes));
	/* Such a copy may return before the bytes have arrived, and non-blocking streams do not
	 * wait for it. */
	CU(cuStreamSynchronize(NULL));
	return p;
}

void download(void *data, CUdeviceptr from, size_t bytes)
{
	CU(cuMemcpyDtoH(data, from, bytes));
}

static void CUDA_CB gate_wait(void *g)
{
	while (sem_wait(&((struct gate *)g)->open))
		;
}

void gate_close(struct gate *g, CUstream stream)
{
	CHECK(!sem_init(&g->open, 0, 0), "no semaphore");
	CU(cuLaunchHostFunc(stream, gate_wait, g));
}

void gate_open(struct gate *g)
{
	sem_post(&g->open);
}

size_t argument(int argc, char **argv, int index, size_t fallback)
{
	size_t v;
	char *end;

	if (index >= argc)
		return fallback;
	v = strtoull(argv[index], &end, 0);
	switch (*end) {
	case 'G':
		v *= 1024;
		/* fall through */
	case 'M':
		v *= 1024;
		/* fall through */
	case 'K':
		v *= 1024;
		end++;
		break;
	default:
		break;
	}
	CHECK(!*end && end != argv[index] && v, "argument %d: '%s' is no number", index,
	      argv[index]);
	return v;
}

uint32_t random_next(struct random *r)
{
	r->state = r->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(r->state >> 32);
}

void random_fill(void *bytes, size_t len, uint32_t seed)
{
	struct random r = {seed};
	uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)random_next(&r);
}

uint64_t digest(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ull;
	return h;
}

void check_filled(CUdeviceptr p, uint32_t words, uint32_t seed, const char *what)
{
	uint32_t *got = host_alloc((size_t)words * 4);

	download(got, p, (size_t)words * 4);
	for (uint32_t i = 0; i < words; i++)
		CHECK(got[i] == fill_value(seed, i), "%s: word %u is %x", what, i, got[i]);
	free(got);
}
