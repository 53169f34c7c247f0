/* SPDX-License-Identifier: MIT */
/*
 * NCCL for one rank: a collective is a copy in the stream's order, or nothing where it is in place.
 * Types and numbers are those of NCCL's documentation. More ranks are refused with a reason, which
 * ncclGetLastError returns, too.
 */
#include <cuda.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "present/present.h"

enum { NCCL_VERSION = 23203, ID_BYTES = 128, NO_COLOR = -1, OPS = 5 };

typedef enum {
	ncclSuccess = 0,
	ncclUnhandledCudaError = 1,
	ncclSystemError = 2,
	ncclInternalError = 3,
	ncclInvalidArgument = 4,
	ncclInvalidUsage = 5,
} ncclResult_t;

typedef struct {
	char internal[ID_BYTES];
} ncclUniqueId;

typedef struct ncclComm {
	CUcontext ctx;
	CUdevice device;
} * ncclComm_t;

typedef struct ncclWindow {
	void *pointer;
} * ncclWindow_t;

/* A send or a receive of this thread's group: both ends are this rank. */
struct transfer {
	ncclComm_t comm;
	bool sends;
	const void *from; /* of a send; NULL where there are no bytes */
	void *to;         /* of a receive, likewise */
	size_t bytes;
	CUstream stream;
};

static _Thread_local struct {
	int depth;
	size_t count, room;
	struct transfer *all;
} group;
static _Thread_local char last[256];

static ncclResult_t fails(ncclResult_t result, const char *why)
{
	snprintf(last, sizeof(last), "pvgpu's libnccl.so.2: %s", why);
	return result;
}

static ncclResult_t of_cuda(CUresult r, const char *what)
{
	const char *name = NULL;
	char text[128];

	if (!r)
		return ncclSuccess;
	cuGetErrorName(r, &name);
	snprintf(text, sizeof(text), "%s: %s", what, name ? name : "unknown error");
	return fails(ncclUnhandledCudaError, text);
}

static ncclResult_t comm_new(ncclComm_t *comm, int ranks, int rank)
{
	struct ncclComm *c;
	CUcontext ctx = NULL;
	ncclResult_t r;
	char text[160];

	if (!comm)
		return fails(ncclInvalidArgument, "no place for the communicator");
	*comm = NULL;
	if (ranks != 1 || rank != 0) {
		snprintf(text, sizeof(text),
			 "one rank is served, and this is rank %d of %d: use another backend "
			 "between "
			 "processes (PyTorch: gloo)",
			 rank, ranks);
		fprintf(stderr, "pvgpu: libnccl.so.2: %s\n", text);
		return fails(ncclInvalidUsage, text);
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return fails(ncclSystemError, "out of memory");
	r = of_cuda(cuCtxGetCurrent(&ctx), "cuCtxGetCurrent");
	if (!r && !ctx)
		r = of_cuda(cuInit(0), "cuInit");
	if (!r && !ctx)
		r = of_cuda(cuDevicePrimaryCtxRetain(&ctx, 0), "cuDevicePrimaryCtxRetain");
	if (!r)
		r = of_cuda(cuCtxSetCurrent(ctx), "cuCtxSetCurrent");
	if (!r)
		r = of_cuda(cuCtxGetDevice(&c->device), "cuCtxGetDevice");
	if (r) {
		free(c);
		return r;
	}
	c->ctx = ctx;
	*comm = c;
	return ncclSuccess;
}

static ncclResult_t is_comm(const struct ncclComm *comm)
{
	return comm ? ncclSuccess : fails(ncclInvalidArgument, "no communicator");
}

static int type_bytes(int type)
{
	static const int bytes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};

	return type >= 0 && type < (int)(sizeof(bytes) / sizeof(bytes[0])) ? bytes[type] : 0;
}

static ncclResult_t size_of(size_t count, int type, size_t *bytes)
{
	const int each = type_bytes(type);

	if (!each)
		return fails(ncclInvalidArgument, "unknown data type");
	if (count > SIZE_MAX / (size_t)each)
		return fails(ncclInvalidArgument, "the count is too large");
	*bytes = count * (size_t)each;
	return ncclSuccess;
}

static ncclResult_t copy(ncclComm_t comm, const void *from, void *to, size_t bytes, CUstream stream)
{
	CUcontext ctx = NULL;
	ncclResult_t r = ncclSuccess;

	if (!bytes || from == to)
		return ncclSuccess;
	if (cuCtxGetCurrent(&ctx) || !ctx)
		r = of_cuda(cuCtxSetCurrent(comm->ctx), "cuCtxSetCurrent");
	return r ? r
		 : of_cuda(cuMemcpyAsync((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from,
					 bytes, stream),
			   "cuMemcpyAsync");
}

static ncclResult_t collective(const void *from, void *to, size_t count, int type, int op, int root,
			       ncclComm_t comm, CUstream stream)
{
	size_t bytes = 0;
	ncclResult_t r = is_comm(comm);

	if (!r)
		r = size_of(count, type, &bytes);
	if (!r && (op < 0 || op >= OPS))
		r = fails(ncclInvalidArgument, "unknown operation");
	if (!r && root)
		r = fails(ncclInvalidArgument, "the only rank is 0: no such root");
	if (!r && bytes && (!from || !to))
		r = fails(ncclInvalidArgument, "a buffer is missing");
	return r ? r : copy(comm, from, to, bytes, stream);
}

static ncclResult_t grouped(const struct transfer *t)
{
	struct transfer *all;

	if (!group.depth)
		return fails(ncclInvalidUsage,
			     "a rank sends to itself in a group that receives, too");
	if (group.count == group.room) {
		all = realloc(group.all, (group.room * 2 + 8) * sizeof(*all));
		if (!all)
			return fails(ncclSystemError, "out of memory");
		group.all = all;
		group.room = group.room * 2 + 8;
	}
	group.all[group.count++] = *t;
	return ncclSuccess;
}

static ncclResult_t transfer(struct transfer *t, size_t count, int type, int peer)
{
	ncclResult_t r = is_comm(t->comm);

	if (!r)
		r = size_of(count, type, &t->bytes);
	if (!r && peer)
		r = fails(ncclInvalidArgument, "the only rank is 0: no such peer");
	if (!r && t->bytes && !t->from && !t->to)
		r = fails(ncclInvalidArgument, "a buffer is missing");
	return r ? r : grouped(t);
}

/* Later work in a stream waits for what another has so far. */
static ncclResult_t follow(CUstream later, CUstream earlier)
{
	CUevent event = NULL;
	ncclResult_t r;

	if (later == earlier)
		return ncclSuccess;
	r = of_cuda(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
	if (!r)
		r = of_cuda(cuEventRecord(event, earlier), "cuEventRecord");
	if (!r)
		r = of_cuda(cuStreamWaitEvent(later, event, 0), "cuStreamWaitEvent");
	if (event)
		cuEventDestroy(event);
	return r;
}

/*
 * Copy a send's data in the receive's stream, after the work before the send in its own, and before
 * the work behind the send, which may overwrite them.
 */
static ncclResult_t deliver(const struct transfer *s, const struct transfer *t)
{
	ncclResult_t r;

	if (s->bytes != t->bytes)
		return fails(ncclInvalidArgument, "what is sent and received differs in size");
	r = follow(t->stream, s->stream);
	if (!r)
		r = copy(t->comm, s->from, t->to, t->bytes, t->stream);
	return r ? r : follow(s->stream, t->stream);
}

/* The nth send goes to the nth receive of the same communicator. */
static ncclResult_t group_run(void)
{
	ncclResult_t r = ncclSuccess;
	size_t s, t;

	for (t = 0; !r && t < group.count; t++) {
		if (group.all[t].sends)
			continue;
		for (s = 0; s < group.count; s++)
			if (group.all[s].sends && group.all[s].comm == group.all[t].comm)
				break;
		if (s == group.count) {
			r = fails(ncclInvalidUsage, "the group receives what it does not send");
		} else {
			r = deliver(&group.all[s], &group.all[t]);
			group.all[s].comm = NULL;
		}
	}
	for (s = 0; !r && s < group.count; s++)
		if (group.all[s].sends && group.all[s].comm)
			r = fails(ncclInvalidUsage, "the group sends what it does not receive");
	group.count = 0;
	return r;
}

static ncclResult_t number(const struct ncclComm *comm, int *to, int value)
{
	ncclResult_t r = is_comm(comm);

	if (!r && !to)
		r = fails(ncclInvalidArgument, "no place for the answer");
	if (!r)
		*to = value;
	return r;
}

#pragma GCC visibility push(default)

ncclResult_t ncclGetVersion(int *version)
{
	return number(&(struct ncclComm){0}, version, NCCL_VERSION);
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	if (!id)
		return fails(ncclInvalidArgument, "no place for the id");
	memset(id, 0, sizeof(*id));
	snprintf(id->internal, sizeof(id->internal), "pvgpu: one rank");
	return ncclSuccess;
}

ncclResult_t ncclCommGetUniqueId(ncclComm_t comm, ncclUniqueId *id)
{
	return comm ? ncclGetUniqueId(id) : is_comm(comm);
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank)
{
	return comm_new(comm, ranks, rank);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
				    const void *config)
{
	return comm_new(comm, ranks, rank);
}

ncclResult_t ncclCommInitRankScalable(ncclComm_t *comm, int ranks, int rank, int count,
				      const ncclUniqueId *ids, const void *config)
{
	return comm_new(comm, ranks, rank);
}

ncclResult_t ncclCommInitAll(ncclComm_t *comms, int count, const int *devices)
{
	if (devices && count == 1 && devices[0])
		return fails(ncclInvalidArgument, "there is device 0 only");
	return comm_new(comms, count, 0);
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *to, const void *config)
{
	const ncclResult_t r = is_comm(comm);

	if (r)
		return r;
	if (color == NO_COLOR && to)
		*to = NULL;
	return color == NO_COLOR ? ncclSuccess : comm_new(to, 1, 0);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
	free(comm);
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
	return ncclCommDestroy(comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
	return number(comm, (int *)error, ncclSuccess);
}

ncclResult_t ncclCommCount(ncclComm_t comm, int *count)
{
	return number(comm, count, 1);
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int *rank)
{
	return number(comm, rank, 0);
}

ncclResult_t ncclCommCuDevice(ncclComm_t comm, int *device)
{
	return number(comm, device, comm ? comm->device : 0);
}

ncclResult_t ncclCommRegister(ncclComm_t comm, void *buffer, size_t size, void **handle)
{
	const ncclResult_t r = is_comm(comm);

	if (!r && handle)
		*handle = buffer;
	return r;
}

ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *buffer, size_t size, ncclWindow_t *to,
				    int flags)
{
	ncclResult_t r = is_comm(comm);

	if (!r && !to)
		r = fails(ncclInvalidArgument, "no place for the window");
	if (r)
		return r;
	*to = malloc(sizeof(**to));
	if (!*to)
		return fails(ncclSystemError, "out of memory");
	(*to)->pointer = buffer;
	return ncclSuccess;
}

ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window)
{
	free(window);
	return ncclSuccess;
}

ncclResult_t ncclWinGetUserPtr(ncclComm_t comm, ncclWindow_t window, void **pointer)
{
	if (!window || !pointer)
		return fails(ncclInvalidArgument, "no window");
	*pointer = window->pointer;
	return ncclSuccess;
}

ncclResult_t ncclCommMemStats(ncclComm_t comm, int what, uint64_t *value)
{
	const ncclResult_t r = is_comm(comm);

	if (!r && value)
		*value = 0;
	return r;
}

ncclResult_t ncclMemAlloc(void **pointer, size_t size)
{
	CUdeviceptr p = 0;
	const ncclResult_t r = pointer ? of_cuda(cuMemAlloc(&p, size), "cuMemAlloc")
				       : fails(ncclInvalidArgument, "no place for the address");

	if (!r)
		*pointer = (void *)(uintptr_t)p;
	return r;
}

ncclResult_t ncclMemFree(void *pointer)
{
	return pointer ? of_cuda(cuMemFree((CUdeviceptr)(uintptr_t)pointer), "cuMemFree")
		       : ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, int type, int op,
			   ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, op, 0, comm, stream);
}

ncclResult_t ncclReduceScatter(const void *from, void *to, size_t count, int type, int op,
			       ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, op, 0, comm, stream);
}

ncclResult_t ncclReduce(const void *from, void *to, size_t count, int type, int op, int root,
			ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, op, root, comm, stream);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, int type, int root,
			   ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, 0, root, comm, stream);
}

ncclResult_t ncclBcast(void *buffer, size_t count, int type, int root, ncclComm_t comm,
		       CUstream stream)
{
	return collective(buffer, buffer, count, type, 0, root, comm, stream);
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, int type, ncclComm_t comm,
			   CUstream stream)
{
	return collective(from, to, count, type, 0, 0, comm, stream);
}

ncclResult_t ncclAlltoAll(const void *from, void *to, size_t count, int type, ncclComm_t comm,
			  CUstream stream)
{
	return collective(from, to, count, type, 0, 0, comm, stream);
}

ncclResult_t ncclGather(const void *from, void *to, size_t count, int type, int root,
			ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, 0, root, comm, stream);
}

ncclResult_t ncclScatter(const void *from, void *to, size_t count, int type, int root,
			 ncclComm_t comm, CUstream stream)
{
	return collective(from, to, count, type, 0, root, comm, stream);
}

ncclResult_t ncclSend(const void *from, size_t count, int type, int peer, ncclComm_t comm,
		      CUstream stream)
{
	struct transfer t = {.comm = comm, .sends = true, .from = from, .stream = stream};

	return transfer(&t, count, type, peer);
}

ncclResult_t ncclRecv(void *to, size_t count, int type, int peer, ncclComm_t comm, CUstream stream)
{
	struct transfer t = {.comm = comm, .to = to, .stream = stream};

	return transfer(&t, count, type, peer);
}

ncclResult_t ncclGroupStart(void)
{
	group.depth++;
	return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void)
{
	if (!group.depth)
		return fails(ncclInvalidUsage, "no group has been started");
	return --group.depth ? ncclSuccess : group_run();
}

const char *ncclGetErrorString(ncclResult_t result)
{
	static const char *const texts[] = {"no error",
					    "unhandled cuda error",
					    "unhandled system error",
					    "internal error",
					    "invalid argument",
					    "invalid usage",
					    "remote process exited or there was a network error",
					    "in progress",
					    "timeout"};

	return (size_t)result < sizeof(texts) / sizeof(texts[0]) ? texts[result]
								 : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t comm)
{
	return last;
}

#pragma GCC visibility pop
