/* SPDX-License-Identifier: MIT */
/*
 * Libraries that only have to be there (libpvgpu/present): what they serve, over the libcuda.so.1
 * that this program uses, and what they refuse. They lie in the folder lib beside that of the
 * programs; where there are none the program says so and ends.
 */
#include <dlfcn.h>
#include <unistd.h>

#include "tests/programs/common.h"

enum { N = 5000, HALF = 6, FLOAT = 7, INVALID_ARGUMENT = 4, INVALID_USAGE = 5 };

typedef struct comm *comm_t;
struct id {
	char bytes[128];
};

static void *library;
static char folder[4096];

static void open_library(const char *soname)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/../lib/%s", folder, soname);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(library, "%s", dlerror());
}

static void *symbol(const char *name)
{
	void *p = dlsym(library, name);

	CHECK(p, "no %s", name);
	return p;
}

/* A call's result, with its arguments' types. */
#define CALL(name, types, ...) (((int(*) types)symbol(#name))(__VA_ARGS__))
#define GIVES(want, name, types, ...)                                                              \
	do {                                                                                       \
		const int got_ = CALL(name, types, __VA_ARGS__);                                   \
		CHECK(got_ == (want), "%s: %d, not %d", #name, got_, (int)(want));                 \
	} while (0)

/* As both reduce and gather over one rank. */
#define REDUCE_TYPES (const void *, void *, size_t, int, int, comm_t, CUstream)
#define COPY_TYPES   (const void *, void *, size_t, int, int, comm_t, CUstream)
#define P(address)   ((void *)(uintptr_t)(address))

struct nccl {
	comm_t comm;
	CUstream stream, other;
	CUdeviceptr from, to;
	float data[N], got[N];
};

static void check_copied(struct nccl *s, const char *what)
{
	CU(cuStreamSynchronize(s->stream));
	download(s->got, s->to, sizeof(s->got));
	CHECK(!memcmp(s->got, s->data, sizeof(s->got)), "%s: the data differ", what);
	CU(cuMemsetD8(s->to, 0xa5, sizeof(s->got)));
}

static void nccl_start(struct nccl *s)
{
	struct id id;
	int value = 0;

	GIVES(0, ncclGetVersion, (int *), &value);
	CHECK(value >= 22000, "NCCL's version is %d", value);
	GIVES(0, ncclGetUniqueId, (struct id *), &id);
	GIVES(INVALID_USAGE, ncclCommInitRank, (comm_t *, int, struct id, int), &s->comm, 2, id, 1);
	CHECK(!s->comm, "a communicator of two ranks");
	printf("%s\n", ((const char *(*)(comm_t))symbol("ncclGetLastError"))(NULL));
	GIVES(0, ncclCommInitRank, (comm_t *, int, struct id, int), &s->comm, 1, id, 0);
	GIVES(0, ncclCommCount, (comm_t, int *), s->comm, &value);
	CHECK(value == 1, "%d ranks", value);
	GIVES(0, ncclCommUserRank, (comm_t, int *), s->comm, &value);
	CHECK(value == 0, "rank %d", value);
}

static void nccl_collectives(struct nccl *s)
{
	GIVES(0, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->to), N, FLOAT, 0, s->comm,
	      s->stream);
	check_copied(s, "AllReduce");
	GIVES(0, ncclBroadcast, COPY_TYPES, P(s->from), P(s->to), 2 * N, HALF, 0, s->comm,
	      s->stream);
	check_copied(s, "Broadcast");
	GIVES(0, ncclAllGather, (const void *, void *, size_t, int, comm_t, CUstream), P(s->from),
	      P(s->to), N, FLOAT, s->comm, s->stream);
	check_copied(s, "AllGather");
	GIVES(0, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->from), N, FLOAT, 2, s->comm,
	      s->stream);
	GIVES(INVALID_ARGUMENT, ncclBroadcast, COPY_TYPES, P(s->from), P(s->to), N, FLOAT, 1,
	      s->comm, s->stream);
	GIVES(INVALID_ARGUMENT, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->to), N, 99, 0,
	      s->comm, s->stream);
	GIVES(INVALID_ARGUMENT, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->to), SIZE_MAX / 2,
	      FLOAT, 0, s->comm, s->stream);
	GIVES(INVALID_ARGUMENT, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->to), N, FLOAT, 0,
	      NULL, s->stream);
}

#define SEND_TYPES (const void *, size_t, int, int, comm_t, CUstream)

/* What is sent in one stream arrives in another after the work before it. */
static void nccl_group(struct nccl *s)
{
	struct gate gate;

	CU(cuMemsetD8Async(s->from, 0, sizeof(s->data), s->other));
	gate_close(&gate, s->other);
	CU(cuMemcpyHtoDAsync(s->from, s->data, sizeof(s->data), s->other));
	GIVES(0, ncclGroupStart, (void));
	GIVES(0, ncclSend, SEND_TYPES, P(s->from), N, FLOAT, 0, s->comm, s->other);
	GIVES(0, ncclRecv, SEND_TYPES, P(s->to), N, FLOAT, 0, s->comm, s->stream);
	GIVES(0, ncclGroupEnd, (void));
	gate_open(&gate);
	check_copied(s, "Send");
	GIVES(INVALID_USAGE, ncclSend, SEND_TYPES, P(s->from), N, FLOAT, 0, s->comm, s->stream);
	GIVES(0, ncclGroupStart, (void));
	GIVES(0, ncclRecv, SEND_TYPES, P(s->to), N, FLOAT, 0, s->comm, s->stream);
	GIVES(INVALID_USAGE, ncclGroupEnd, (void));
	GIVES(INVALID_USAGE, ncclGroupEnd, (void));
}

/* Work behind a send in its stream may overwrite the data that were sent. */
static void nccl_overwrite(struct nccl *s)
{
	struct gate gate;

	gate_close(&gate, s->stream);
	GIVES(0, ncclGroupStart, (void));
	GIVES(0, ncclSend, SEND_TYPES, P(s->from), N, FLOAT, 0, s->comm, s->other);
	GIVES(0, ncclRecv, SEND_TYPES, P(s->to), N, FLOAT, 0, s->comm, s->stream);
	GIVES(0, ncclGroupEnd, (void));
	CU(cuMemsetD8Async(s->from, 0, sizeof(s->data), s->other));
	CHECK(cuStreamQuery(s->other) == CUDA_ERROR_NOT_READY, "the send does not wait");
	gate_open(&gate);
	check_copied(s, "Send before a fill");
	CU(cuStreamSynchronize(s->other));
	CU(cuMemcpyHtoD(s->from, s->data, sizeof(s->data)));
}

/* Nothing is sent from nowhere to nowhere; something is not. */
static void nccl_empty(struct nccl *s)
{
	GIVES(0, ncclGroupStart, (void));
	GIVES(0, ncclRecv, SEND_TYPES, NULL, 0, FLOAT, 0, s->comm, s->stream);
	GIVES(0, ncclSend, SEND_TYPES, NULL, 0, FLOAT, 0, s->comm, s->other);
	GIVES(INVALID_ARGUMENT, ncclSend, SEND_TYPES, NULL, N, FLOAT, 0, s->comm, s->other);
	GIVES(INVALID_ARGUMENT, ncclRecv, SEND_TYPES, NULL, N, FLOAT, 0, s->comm, s->stream);
	GIVES(0, ncclGroupEnd, (void));
}

static void nccl_graph(struct nccl *s)
{
	CUgraphExec exec;
	CUgraph graph;

	CU(cuStreamBeginCapture(s->stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	GIVES(0, ncclAllReduce, REDUCE_TYPES, P(s->from), P(s->to), N, FLOAT, 0, s->comm,
	      s->stream);
	CU(cuStreamEndCapture(s->stream, &graph));
	CU(cuGraphInstantiate(&exec, graph, 0));
	CU(cuGraphLaunch(exec, s->stream));
	check_copied(s, "AllReduce in a graph");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(graph));
}

static void nccl(void)
{
	static struct nccl s;
	comm_t split = NULL;
	void *pointer = NULL;

	open_library("libnccl.so.2");
	random_fill(s.data, sizeof(s.data), 3);
	s.from = upload(s.data, sizeof(s.data));
	s.to = device_alloc(sizeof(s.data));
	CU(cuStreamCreate(&s.stream, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&s.other, CU_STREAM_NON_BLOCKING));
	nccl_start(&s);
	nccl_collectives(&s);
	nccl_group(&s);
	nccl_overwrite(&s);
	nccl_empty(&s);
	nccl_graph(&s);
	GIVES(0, ncclCommSplit, (comm_t, int, int, comm_t *, void *), s.comm, 3, 0, &split, NULL);
	GIVES(0, ncclCommDestroy, (comm_t), split);
	GIVES(0, ncclCommSplit, (comm_t, int, int, comm_t *, void *), s.comm, -1, 0, &split, NULL);
	CHECK(!split, "a communicator without a color");
	GIVES(0, ncclMemAlloc, (void **, size_t), &pointer, 1 << 20);
	GIVES(0, ncclMemFree, (void *), pointer);
	GIVES(0, ncclCommFinalize, (comm_t), s.comm);
	GIVES(0, ncclCommDestroy, (comm_t), s.comm);
	CU(cuStreamDestroy(s.stream));
	CU(cuStreamDestroy(s.other));
	CU(cuMemFree(s.from));
	CU(cuMemFree(s.to));
}

static void cudnn(void)
{
	void *handle = NULL;
	CUstream stream, got = NULL;
	int major = 0;

	open_library("libcudnn.so.9");
	CU(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
	GIVES(0, cudnnGetProperty, (int, int *), 0, &major);
	CHECK(major == 9, "cuDNN's version is %d", major);
	CHECK(((size_t(*)(void))symbol("cudnnGetVersion"))() / 10000 == 9, "another version");
	GIVES(2002, cudnnCreate, (void **), NULL);
	GIVES(0, cudnnCreate, (void **), &handle);
	GIVES(0, cudnnSetStream, (void *, CUstream), handle, stream);
	GIVES(0, cudnnGetStream, (void *, CUstream *), handle, &got);
	CHECK(got == stream, "another stream");
	GIVES(3000, cudnnConvolutionForward, (void *), handle);
	GIVES(3000, cudnnBackendCreateDescriptor, (int, void **), 0, &handle);
	GIVES(0, cudnnDestroy, (void *), handle);
	CU(cuStreamDestroy(stream));
}

static void cupti(const char *soname, uint32_t newest)
{
	void *subscriber = NULL, *second = NULL;
	uint32_t version = 0;
	size_t dropped = 1;

	open_library(soname);
	GIVES(0, cuptiGetVersion, (uint32_t *), &version);
	CHECK(version >= newest, "CUPTI's version is %u", version);
	GIVES(0, cuptiSubscribe, (void **, void *, void *), &subscriber, NULL, NULL);
	GIVES(39, cuptiSubscribe, (void **, void *, void *), &second, NULL, NULL);
	GIVES(0, cuptiEnableDomain, (uint32_t, void *, int), 1, subscriber, 1);
	GIVES(0, cuptiUnsubscribe, (void *), subscriber);
	GIVES(1, cuptiUnsubscribe, (void *), NULL);
	GIVES(0, cuptiActivityEnable, (int), 3);
	GIVES(0, cuptiActivityFlushAll, (uint32_t), 0);
	GIVES(12, cuptiActivityGetNextRecord, (void *, size_t, void **), NULL, 0, &second);
	GIVES(0, cuptiActivityGetNumDroppedRecords, (void *, uint32_t, size_t *), NULL, 0,
	      &dropped);
	CHECK(!dropped, "%zu dropped records", dropped);
	GIVES(27, cuptiProfilerInitialize, (void *), NULL);
}

static void others(void)
{
	int version = 0;

	open_library("libnvToolsExt.so.1");
	GIVES(-2, nvtxRangePushA, (const char *), "x");
	GIVES(-2, nvtxRangePop, (void));
	GIVES(0, nvtxMarkA, (const char *), "x");
	open_library("libnvshmem_host.so.3");
	GIVES(0, nvshmemx_init_status, (void));
	GIVES(3, nvshmemx_hostlib_init_attr, (unsigned int, void *), 0, NULL);
	open_library("libcufile.so.0");
	CHECK(((uint64_t(*)(void *, void *))symbol("cuFileHandleRegister"))(NULL, NULL) == 5007,
	      "cuFileHandleRegister: another error");
	CHECK(((ssize_t(*)(void *, void *, size_t, long, long))symbol("cuFileRead"))(NULL, NULL, 0,
										     0, 0) == -5007,
	      "cuFileRead: another error");
	open_library("libcusparseLt.so.0");
	GIVES(0, cusparseLtGetProperty, (int, int *), 1, &version);
	CHECK(version > 0, "cuSPARSELt's version is 0.%d", version);
	GIVES(10, cusparseLtInit, (void *), NULL);
}

int main(void)
{
	char first[4200];
	char *slash;

	start();
	snprintf(folder, sizeof(folder), "%s", own_path());
	slash = strrchr(folder, '/');
	CHECK(slash, "no folder in %s", folder);
	*slash = 0;
	snprintf(first, sizeof(first), "%s/../lib/libnccl.so.2", folder);
	if (access(first, R_OK)) {
		printf("none of these libraries is here\n");
	} else {
		nccl();
		cudnn();
		cupti("libcupti.so.12", 28);
		cupti("libcupti.so.13", 130000);
		others();
		printf("all are there\n");
	}
	finish();
	return 0;
}
