/* SPDX-License-Identifier: MIT */
/* The far end of worker_fake.h. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tests/unit/worker/worker_fake_far.h"

struct fake_far fake_far;

/* An event: where and after how many operations it was recorded; 0: never. */
struct fake_event {
	LIST_ENTRY(fake_event) link;
	CUcontext ctx;
	int stream;
	uint64_t at;
};

bool fake_ctx_takes_events;
static LIST_HEAD(, fake_event) all_events = LIST_HEAD_INITIALIZER(all_events);
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local CUcontext current;
static CUcontext primary; /* the device has one */
static atomic_int primary_refs;

static void *handle(unsigned long long n)
{
	return (void *)(uintptr_t)n;
}

unsigned long long fake_fresh(void)
{
	unsigned long long n;

	pthread_mutex_lock(&F->lock);
	n = 0x1000 + 16 * ++F->next;
	pthread_mutex_unlock(&F->lock);
	return n;
}

void fake_count(int *what, int by)
{
	pthread_mutex_lock(&F->lock);
	*what += by;
	pthread_mutex_unlock(&F->lock);
}

/* Streams: the handle is the number plus one; the default stream is number 0. */
static int number(CUstream s)
{
	return (int)(uintptr_t)s;
}

CUresult fake_issue(CUstream s)
{
	pthread_mutex_lock(&F->lock);
	F->stream[number(s)].issued++;
	if (!F->manual)
		F->stream[number(s)].done = F->stream[number(s)].issued;
	pthread_mutex_unlock(&F->lock);
	return CUDA_SUCCESS;
}

static CUresult f_attr(int *v, CUdevice_attribute a, CUdevice d)
{
	*v = a == CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS ? 0 : 1;
	if (a == CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE)
		*v = 32 << 20;
	return CUDA_SUCCESS;
}

static CUresult f_name(char *name, int len, CUdevice d)
{
	strncpy(name, "fake", (size_t)len);
	return CUDA_SUCCESS;
}

static CUresult f_bus(char *name, int len, CUdevice d)
{
	strncpy(name, "0000:00:00.0", (size_t)len);
	return CUDA_SUCCESS;
}

static CUresult f_uuid(CUuuid *u, CUdevice d)
{
	memset(u, 7, sizeof(*u));
	return CUDA_SUCCESS;
}

static CUresult f_flags(CUdevice d, unsigned int flags)
{
	return CUDA_SUCCESS;
}

static CUresult f_retain(CUcontext *c, CUdevice d)
{
	ENTER("retain");
	fake_count(&F->ctxs, 1);
	atomic_fetch_add(&primary_refs, 1);
	*c = primary = handle(0x500);
	return CUDA_SUCCESS;
}

/* A context goes when its host functions have returned. */
static void hosts_end(void)
{
	pthread_mutex_lock(&F->lock);
	while (F->hosts)
		pthread_cond_wait(&F->moved, &F->lock);
	pthread_mutex_unlock(&F->lock);
}

static void events_of(CUcontext c)
{
	struct fake_event *e, *next;

	if (!fake_ctx_takes_events)
		return;
	pthread_mutex_lock(&events_lock);
	for (e = LIST_FIRST(&all_events); e; e = next) {
		next = LIST_NEXT(e, link);
		if (e->ctx != c)
			continue;
		LIST_REMOVE(e, link);
		fake_count(&F->events, -1);
		free(e);
	}
	pthread_mutex_unlock(&events_lock);
}

static CUresult f_release(CUdevice d)
{
	hosts_end();
	if (atomic_fetch_sub(&primary_refs, 1) == 1)
		events_of(primary);
	fake_count(&F->ctxs, -1);
	return CUDA_SUCCESS;
}

static CUresult f_reset(CUdevice d)
{
	return CUDA_SUCCESS;
}

static CUresult f_ctx_create(CUcontext *c, unsigned int flags, CUdevice d)
{
	ENTER("ctx_create");
	fake_count(&F->ctxs, 1);
	*c = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_ctx_destroy(CUcontext c)
{
	hosts_end();
	events_of(c);
	fake_count(&F->ctxs, -1);
	return CUDA_SUCCESS;
}

static CUresult f_ctx_pop(CUcontext *c)
{
	return CUDA_SUCCESS;
}

static CUresult f_ctx_set(CUcontext c)
{
	current = c;
	return CUDA_SUCCESS;
}

static CUresult f_ctx_sync(void)
{
	ENTER("ctx_sync");
	return CUDA_SUCCESS;
}

static CUresult f_api(CUcontext c, unsigned int *v)
{
	*v = 3020;
	return CUDA_SUCCESS;
}

static CUresult f_range(int *least, int *greatest)
{
	*least = 0;
	*greatest = -5;
	return CUDA_SUCCESS;
}

static CUresult f_set_limit(CUlimit l, size_t v)
{
	ENTER("set_limit");
	if (l < CU_LIMIT_MAX)
		F->limit[l] = v;
	return CUDA_SUCCESS;
}

static CUresult f_reset_l2(void)
{
	ENTER("reset_l2");
	return CUDA_SUCCESS;
}

static CUresult f_get_limit(size_t *v, CUlimit l)
{
	*v = 1024;
	return l < CU_LIMIT_MAX ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

static CUresult f_set_cache(CUfunc_cache c)
{
	return CUDA_SUCCESS;
}

static CUresult f_get_cache(CUfunc_cache *c)
{
	*c = CU_FUNC_CACHE_PREFER_NONE;
	return CUDA_SUCCESS;
}

static CUresult f_capture(CUstreamCaptureMode *m)
{
	return CUDA_SUCCESS;
}

static CUresult f_module_load(CUmodule *m, const void *image, unsigned int n, CUjit_option *o,
			      void **v)
{
	ENTER("module_load");
	fake_count(&F->modules, 1);
	*m = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_module_unload(CUmodule m)
{
	fake_count(&F->modules, -1);
	return CUDA_SUCCESS;
}

static CUresult f_get_function(CUfunction *f, CUmodule m, const char *name)
{
	ENTER("get_function");
	*f = handle(fake_fresh());
	return strcmp(name, "none") ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static CUresult f_get_global(CUdeviceptr *p, size_t *n, CUmodule m, const char *name)
{
	*p = 0x700000000000 + ((uintptr_t)m << 8);
	*n = 64;
	return CUDA_SUCCESS;
}

static CUresult f_fn_count(unsigned int *n, CUmodule m)
{
	*n = 2;
	return CUDA_SUCCESS;
}

static CUresult f_fn_all(CUfunction *f, unsigned int n, CUmodule m)
{
	for (unsigned int i = 0; i < n && i < 2; i++)
		f[i] = handle(0x900 + i);
	return CUDA_SUCCESS;
}

static CUresult f_fn_name(const char **name, CUfunction f)
{
	*name = "kernel";
	return CUDA_SUCCESS;
}

/* A link writes to the log that it was given as long as it lives. */
static struct {
	char *log;
	size_t room;
} f_link;

static CUresult f_link_create(unsigned int n, CUjit_option *o, void **v, CUlinkState *l)
{
	ENTER("link_create");
	f_link.log = NULL;
	for (unsigned int i = 0; i < n; i++) {
		if (o[i] == CU_JIT_ERROR_LOG_BUFFER)
			f_link.log = v[i];
		if (o[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
			f_link.room = (size_t)v[i];
	}
	fake_count(&F->links, 1);
	*l = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_link_add(CUlinkState l, CUjitInputType type, void *data, size_t size,
			   const char *name, unsigned int n, CUjit_option *o, void **v)
{
	ENTER("link_add");
	if (!size || !strstr(data, "bad"))
		return CUDA_SUCCESS;
	if (f_link.log)
		snprintf(f_link.log, f_link.room, "%s is bad", name);
	return CUDA_ERROR_INVALID_PTX;
}

static CUresult f_link_complete(CUlinkState l, void **image, size_t *size)
{
	static char linked[] = "0123456789";

	ENTER("link_complete");
	*image = linked;
	*size = 10;
	return CUDA_SUCCESS;
}

static CUresult f_link_destroy(CUlinkState l)
{
	fake_count(&F->links, -1);
	return CUDA_SUCCESS;
}

static CUresult f_lib_load(CUlibrary *l, const void *code, CUjit_option *o, void **v,
			   unsigned int n, CUlibraryOption *lo, void **lv, unsigned int ln)
{
	ENTER("library_load");
	fake_count(&F->libraries, 1);
	*l = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_lib_unload(CUlibrary l)
{
	fake_count(&F->libraries, -1);
	return CUDA_SUCCESS;
}

static CUresult f_lib_kernel(CUkernel *k, CUlibrary l, const char *name)
{
	*k = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_lib_count(unsigned int *n, CUlibrary l)
{
	*n = 1;
	return CUDA_SUCCESS;
}

static CUresult f_lib_all(CUkernel *k, unsigned int n, CUlibrary l)
{
	*k = handle(0xa00);
	return CUDA_SUCCESS;
}

static CUresult f_lib_module(CUmodule *m, CUlibrary l)
{
	*m = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_lib_global(CUdeviceptr *p, size_t *n, CUlibrary l, const char *name)
{
	return f_get_global(p, n, (CUmodule)l, name);
}

static CUresult f_kernel_fn(CUfunction *f, CUkernel k)
{
	*f = handle(fake_fresh());
	return CUDA_SUCCESS;
}

static CUresult f_kernel_attr(int *v, CUfunction_attribute a, CUkernel k, CUdevice d)
{
	*v = 1;
	return a < 16 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult f_kernel_set(CUfunction_attribute a, int v, CUkernel k, CUdevice d)
{
	return CUDA_SUCCESS;
}

static CUresult f_kernel_cache(CUkernel k, CUfunc_cache c, CUdevice d)
{
	return CUDA_SUCCESS;
}

static CUresult f_fn_attr(int *v, CUfunction_attribute a, CUfunction f)
{
	*v = 1;
	return a < 16 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult f_fn_set(CUfunction f, CUfunction_attribute a, int v)
{
	return CUDA_SUCCESS;
}

static CUresult f_fn_cache(CUfunction f, CUfunc_cache c)
{
	return CUDA_SUCCESS;
}

/* Two pointers and a number. */
static CUresult f_param(CUfunction f, size_t i, size_t *offset, size_t *size)
{
	*offset = 8 * i;
	*size = i < 2 ? 8 : 4;
	return i < 3 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult f_kernel_param(CUkernel k, size_t i, size_t *offset, size_t *size)
{
	return f_param(NULL, i, offset, size);
}

static CUresult f_launch(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			 unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			 CUstream s, void **params, void **extra)
{
	volatile uint32_t last;

	ENTER("launch");
	last = params ? *(uint32_t *)params[2] : 0;
	(void)last;
	pthread_mutex_lock(&F->lock);
	F->launches++;
	pthread_mutex_unlock(&F->lock);
	return fake_issue(s);
}

static CUresult f_launch_ex(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
	F->attrs = c->numAttrs;
	return f_launch(f, 1, 1, 1, 1, 1, 1, 0, c->hStream, params, extra);
}

static CUresult f_launch_coop(CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz,
			      unsigned int bx, unsigned int by, unsigned int bz,
			      unsigned int shared, CUstream s, void **params)
{
	return f_launch(f, gx, gy, gz, bx, by, bz, shared, s, params, NULL);
}

static CUresult f_occupancy(int *n, CUfunction f, int block, size_t shared, unsigned int flags)
{
	*n = 4;
	return CUDA_SUCCESS;
}

static CUresult f_avail(size_t *n, CUfunction f, int blocks, int size)
{
	*n = 1024;
	return CUDA_SUCCESS;
}

static CUresult f_clusters(int *n, CUfunction f, const CUlaunchConfig *c)
{
	*n = 8;
	return CUDA_SUCCESS;
}

static CUresult f_stream_create(CUstream *s, unsigned int flags, int priority)
{
	ENTER("stream_create");
	for (unsigned int i = 1; i < FAKE_STREAMS; i++) {
		bool no = false;

		if (!atomic_compare_exchange_strong(&F->stream[i].live, &no, true))
			continue;
		pthread_mutex_lock(&F->lock);
		/* Not from 0: events of the stream before it have ended, too, and are asked for. */
		F->stream[i].done = F->stream[i].issued;
		F->streams++;
		pthread_mutex_unlock(&F->lock);
		*s = handle(i);
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult f_stream_destroy(CUstream s)
{
	fake_count(&F->streams, -1);
	atomic_store(&F->stream[number(s)].live, false);
	return CUDA_SUCCESS;
}

static CUresult f_stream_query(CUstream s)
{
	CUresult r;

	ENTER("query");
	pthread_mutex_lock(&F->lock);
	r = F->stream[number(s)].done < F->stream[number(s)].issued ? CUDA_ERROR_NOT_READY
								    : CUDA_SUCCESS;
	pthread_mutex_unlock(&F->lock);
	return r;
}

static CUresult f_stream_sync(CUstream s)
{
	ENTER("sync");
	pthread_mutex_lock(&F->lock);
	while (F->stream[number(s)].done < F->stream[number(s)].issued)
		pthread_cond_wait(&F->moved, &F->lock);
	pthread_mutex_unlock(&F->lock);
	return CUDA_SUCCESS;
}

static CUresult f_wait_event(CUstream s, CUevent e, unsigned int flags)
{
	ENTER("wait_event");
	return CUDA_SUCCESS;
}

static CUresult f_wait_value(CUstream s, CUdeviceptr addr, cuuint32_t value, unsigned int flags)
{
	ENTER("wait_value");
	return CUDA_SUCCESS;
}

static CUresult f_event_create(CUevent *e, unsigned int flags)
{
	struct fake_event *n;

	ENTER("event_create");
	n = calloc(1, sizeof(*n));
	n->ctx = current;
	pthread_mutex_lock(&events_lock);
	LIST_INSERT_HEAD(&all_events, n, link);
	pthread_mutex_unlock(&events_lock);
	*e = (CUevent)n;
	fake_count(&F->events, 1);
	return CUDA_SUCCESS;
}

static CUresult f_event_destroy(CUevent e)
{
	pthread_mutex_lock(&events_lock);
	LIST_REMOVE((struct fake_event *)e, link);
	pthread_mutex_unlock(&events_lock);
	fake_count(&F->events, -1);
	free(e);
	return CUDA_SUCCESS;
}

static CUresult f_event_record(CUevent ev, CUstream s)
{
	struct fake_event *e = (struct fake_event *)ev;

	ENTER("event_record");
	pthread_mutex_lock(&F->lock);
	e->stream = number(s);
	e->at = F->stream[e->stream].issued;
	pthread_mutex_unlock(&F->lock);
	return CUDA_SUCCESS;
}

static bool event_done(const struct fake_event *e)
{
	return F->stuck || F->stream[e->stream].done >= e->at;
}

static CUresult f_event_query(CUevent ev)
{
	bool done;

	ENTER("event_query");
	pthread_mutex_lock(&F->lock);
	done = event_done((struct fake_event *)ev);
	pthread_mutex_unlock(&F->lock);
	return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

static CUresult f_event_sync(CUevent ev)
{
	pthread_mutex_lock(&F->lock);
	while (!event_done((struct fake_event *)ev))
		pthread_cond_wait(&F->moved, &F->lock);
	pthread_mutex_unlock(&F->lock);
	return F->stuck;
}

static CUresult f_elapsed(float *ms, CUevent a, CUevent b)
{
	ENTER("elapsed");
	*ms = F->elapsed_ms;
	return CUDA_SUCCESS;
}

/* Host functions run at once, in a stream's order, on other threads as CUDA's do. */
struct host_call {
	struct fake_stream *s;
	uint64_t number;
	CUhostFn fn;
	CUstreamCallback always;
	void *arg;
};

static void *host_thread(void *p)
{
	struct host_call c = *(struct host_call *)p;

	free(p);
	pthread_mutex_lock(&F->lock);
	while (c.s->hosts_done != c.number)
		pthread_cond_wait(&F->moved, &F->lock);
	pthread_mutex_unlock(&F->lock);
	if (c.fn)
		c.fn(c.arg);
	else
		c.always(NULL, CUDA_SUCCESS, c.arg);
	pthread_mutex_lock(&F->lock);
	c.s->hosts_done++;
	F->hosts--;
	pthread_cond_broadcast(&F->moved);
	pthread_mutex_unlock(&F->lock);
	return NULL;
}

static CUresult host_start(CUstream s, CUhostFn fn, CUstreamCallback always, void *arg)
{
	struct fake_stream *st = &F->stream[number(s)];
	struct host_call *c = malloc(sizeof(*c));
	pthread_t t;

	*c = (struct host_call){st, 0, fn, always, arg};
	pthread_mutex_lock(&F->lock);
	c->number = st->hosts_called++;
	pthread_mutex_unlock(&F->lock);
	fake_count(&F->hosts, 1);
	if (pthread_create(&t, NULL, host_thread, c)) {
		fake_count(&F->hosts, -1);
		free(c);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_detach(t);
	return CUDA_SUCCESS;
}

static CUresult f_host(CUstream s, CUhostFn fn, void *arg)
{
	ENTER("host");
	return host_start(s, fn, NULL, arg);
}

static CUresult f_callback(CUstream s, CUstreamCallback fn, void *arg, unsigned int flags)
{
	ENTER("host");
	return host_start(s, NULL, fn, arg);
}

void fake_hosts_end(void)
{
	pthread_mutex_lock(&F->lock);
	while (F->hosts)
		pthread_cond_wait(&F->moved, &F->lock);
	pthread_mutex_unlock(&F->lock);
}

void fake_complete(int stream, uint64_t n)
{
	pthread_mutex_lock(&F->lock);
	for (int i = 0; i < (int)FAKE_STREAMS; i++) {
		struct fake_stream *s = &F->stream[i];

		if (stream >= 0 && i != stream)
			continue;
		s->done = n > s->issued - s->done ? s->issued : s->done + n;
	}
	pthread_cond_broadcast(&F->moved);
	pthread_mutex_unlock(&F->lock);
}

void fake_far_init(void)
{
	memset(F, 0, sizeof(*F));
	pthread_mutex_init(&F->lock, NULL);
	pthread_cond_init(&F->moved, NULL);
	F->elapsed_ms = 1.5f;
	F->far = (struct far){
		.driver_version = 13000,
		.cuDeviceGetAttribute = f_attr,
		.cuDeviceGetName = f_name,
		.cuDeviceGetPCIBusId = f_bus,
		.cuDeviceGetUuid_v2 = f_uuid,
		.cuDevicePrimaryCtxSetFlags_v2 = f_flags,
		.cuDevicePrimaryCtxRetain = f_retain,
		.cuDevicePrimaryCtxRelease_v2 = f_release,
		.cuDevicePrimaryCtxReset_v2 = f_reset,
		.cuCtxCreate_v2 = f_ctx_create,
		.cuCtxDestroy_v2 = f_ctx_destroy,
		.cuCtxPopCurrent_v2 = f_ctx_pop,
		.cuCtxSetCurrent = f_ctx_set,
		.cuCtxSynchronize = f_ctx_sync,
		.cuCtxGetApiVersion = f_api,
		.cuCtxGetStreamPriorityRange = f_range,
		.cuCtxSetLimit = f_set_limit,
		.cuCtxResetPersistingL2Cache = f_reset_l2,
		.cuCtxGetLimit = f_get_limit,
		.cuCtxSetCacheConfig = f_set_cache,
		.cuCtxGetCacheConfig = f_get_cache,
		.cuThreadExchangeStreamCaptureMode = f_capture,
		.cuModuleLoadDataEx = f_module_load,
		.cuModuleUnload = f_module_unload,
		.cuModuleGetFunction = f_get_function,
		.cuModuleGetGlobal_v2 = f_get_global,
		.cuModuleGetFunctionCount = f_fn_count,
		.cuModuleEnumerateFunctions = f_fn_all,
		.cuFuncGetName = f_fn_name,
		.cuLinkCreate_v2 = f_link_create,
		.cuLinkAddData_v2 = f_link_add,
		.cuLinkComplete = f_link_complete,
		.cuLinkDestroy = f_link_destroy,
		.cuLibraryLoadData = f_lib_load,
		.cuLibraryUnload = f_lib_unload,
		.cuLibraryGetKernel = f_lib_kernel,
		.cuLibraryGetKernelCount = f_lib_count,
		.cuLibraryEnumerateKernels = f_lib_all,
		.cuLibraryGetModule = f_lib_module,
		.cuLibraryGetGlobal = f_lib_global,
		.cuKernelGetFunction = f_kernel_fn,
		.cuKernelGetAttribute = f_kernel_attr,
		.cuKernelSetAttribute = f_kernel_set,
		.cuKernelSetCacheConfig = f_kernel_cache,
		.cuFuncGetAttribute = f_fn_attr,
		.cuFuncSetAttribute = f_fn_set,
		.cuFuncSetCacheConfig = f_fn_cache,
		.cuFuncGetParamInfo = f_param,
		.cuKernelGetParamInfo = f_kernel_param,
		.cuLaunchKernel = f_launch,
		.cuLaunchKernelEx = f_launch_ex,
		.cuLaunchCooperativeKernel = f_launch_coop,
		.cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags = f_occupancy,
		.cuOccupancyAvailableDynamicSMemPerBlock = f_avail,
		.cuOccupancyMaxPotentialClusterSize = f_clusters,
		.cuOccupancyMaxActiveClusters = f_clusters,
		.cuStreamCreateWithPriority = f_stream_create,
		.cuStreamDestroy_v2 = f_stream_destroy,
		.cuStreamQuery = f_stream_query,
		.cuStreamSynchronize = f_stream_sync,
		.cuStreamWaitEvent = f_wait_event,
		.cuStreamWaitValue32_v2 = f_wait_value,
		.cuEventCreate = f_event_create,
		.cuEventDestroy_v2 = f_event_destroy,
		.cuEventRecord = f_event_record,
		.cuEventQuery = f_event_query,
		.cuEventSynchronize = f_event_sync,
		.cuEventElapsedTime = f_elapsed,
		.cuLaunchHostFunc = f_host,
		.cuStreamAddCallback = f_callback,
	};
	fake_far_memory(&F->far);
	fake_far_graphs(&F->far);
	fake_far_green(&F->far);
}
