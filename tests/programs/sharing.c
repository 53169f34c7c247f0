/* SPDX-License-Identifier: MIT */
/*
 * Memory and events that two processes share: handles (cuIpc*), file descriptors of physical
 * memory, and pools. The other process is this program again, which has one end of a socket as its
 * standard input. Its lines are said by the first process, so that their order is always the same.
 * A number as argument: so many MiB of memory that both write.
 */
#include <errno.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

extern char **environ;

enum { SMALL = 4096, LARGE = 4 << 20, PAGE = 2 << 20 };

static int peer; /* the socket */

/* What one process tells the other; an fd may come along. */
struct told {
	CUipcMemHandle memory, small, gone;
	CUipcEventHandle begun, ended;
	CUmemPoolPtrExportData block;
	uint64_t bytes;
};

static void tell(const void *what, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} c = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
			 .cmsg_level = SOL_SOCKET,
			 .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {(void *)(uintptr_t)what, len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(CMSG_DATA(&c.align), &fd, sizeof(fd));
	if (fd >= 0) {
		h.msg_control = &c;
		h.msg_controllen = sizeof(c);
	}
	if (sendmsg(peer, &h, MSG_NOSIGNAL) != (ssize_t)len)
		FAIL("cannot write to the other process: %s", strerror(errno));
}

/* Returns the fd that came along, or -1. */
static int hear(void *what, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} c = {0};
	struct iovec iov = {what, len};
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	int fd = -1;

	if (recvmsg(peer, &h, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)len)
		FAIL("the other process has ended");
	if (CMSG_FIRSTHDR(&h))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(fd));
	return fd;
}

static void step(char name)
{
	char got;

	tell(&name, 1, -1);
	hear(&got, 1);
	CHECK(got == name, "step %c of the other process, %c here", got, name);
}

static void fill(CUdeviceptr p, uint64_t bytes, uint32_t value, CUstream s)
{
	CU(cuMemsetD32Async(p, value, bytes / 4, s));
}

/* All words of the memory, in pieces. */
static void check(CUdeviceptr p, uint64_t bytes, uint32_t value, CUstream s, const char *what)
{
	const size_t piece = bytes < PAGE ? bytes : PAGE;
	uint32_t *got = host_alloc(piece);

	for (uint64_t at = 0; at < bytes; at += piece) {
		CU(cuMemcpyDtoHAsync(got, p + at, piece, s));
		CU(cuStreamSynchronize(s));
		for (size_t i = 0; i < piece / 4; i++)
			CHECK(got[i] == value, "%s: word %zu is %#x, not %#x", what,
			      (size_t)(at / 4) + i, got[i], value);
	}
	free(got);
}

static CUevent shared_event(void)
{
	CUevent e;

	CU(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS));
	return e;
}

/* The other process. */
static void other_memory(const struct told *t, CUstream s)
{
	CUdeviceptr memory, again, small;
	CUevent begun, ended;
	size_t bytes;
	CUdeviceptr base;

	CU(cuIpcOpenEventHandle(&begun, t->begun));
	CU(cuIpcOpenEventHandle(&ended, t->ended));
	CU(cuIpcOpenMemHandle(&memory, t->memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CU(cuIpcOpenMemHandle(&again, t->memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CHECK(memory == again, "opened twice, it has two addresses");
	CU(cuIpcOpenMemHandle(&small, t->small, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CU(cuMemGetAddressRange(&base, &bytes, memory + 5));
	CHECK(base == memory && bytes == t->bytes, "a range of %zu bytes", bytes);
	CU(cuMemGetAddressRange(&base, &bytes, small));
	CHECK(base == small && bytes == SMALL, "a small range of %zu bytes", bytes);
	check(small, SMALL, 0x11111111, s, "small memory of the first process");
	/* The first process's kernels fill it, held up until we are here. */
	step('a');
	CU(cuStreamWaitEvent(s, begun, 0));
	check(memory, t->bytes, 0x22222222, s, "memory of the first process");
	fill(memory, t->bytes, 0x33333333, s);
	fill(small, SMALL, 0x44444444, s);
	CU(cuEventRecord(ended, s));
	step('b');
	step('c');
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(memory));
	CU(cuIpcCloseMemHandle(memory));
	fill(memory, SMALL, 0x33333333, s);
	CU(cuIpcCloseMemHandle(memory));
	WANT(CUDA_ERROR_INVALID_VALUE, cuIpcCloseMemHandle(memory));
	CU(cuIpcCloseMemHandle(small));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuIpcOpenMemHandle(&memory, t->gone, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CU(cuEventDestroy(begun));
	CU(cuEventDestroy(ended));
}

static void other_wrong(const struct told *t)
{
	CUipcMemHandle h = t->memory;
	CUipcEventHandle e = t->begun;
	CUdeviceptr p;
	CUevent event;

	for (size_t i = 32; i < sizeof(h.reserved); i += 8) {
		h = t->memory;
		h.reserved[i < 56 ? i : 24] ^= 1;
		WANT(CUDA_ERROR_INVALID_VALUE,
		     cuIpcOpenMemHandle(&p, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	}
	memset(&h, 0, sizeof(h));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuIpcOpenMemHandle(&p, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	memcpy(&h, &t->begun, sizeof(h));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuIpcOpenMemHandle(&p, h, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	memcpy(&e, &t->memory, sizeof(e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuIpcOpenEventHandle(&event, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuIpcOpenMemHandle(&p, t->memory, 0));
}

static CUdeviceptr map(CUmemGenericAllocationHandle h)
{
	const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
					.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	CUdeviceptr at;

	CU(cuMemAddressReserve(&at, LARGE, 0, 0, 0));
	CU(cuMemMap(at, LARGE, 0, h, 0));
	CU(cuMemSetAccess(at, LARGE, &access, 1));
	return at;
}

static void unmap(CUdeviceptr at, CUmemGenericAllocationHandle h)
{
	CU(cuMemUnmap(at, LARGE));
	CU(cuMemRelease(h));
	CU(cuMemAddressFree(at, LARGE));
}

static void *as_handle(int fd)
{
	return (void *)(intptr_t)fd;
}

static void other_physical(int fd, CUstream s)
{
	const CUmemAllocationHandleType type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CUmemGenericAllocationHandle h, again;
	CUmemAllocationProp prop;
	CUdeviceptr at;

	CU(cuMemImportFromShareableHandle(&h, as_handle(fd), type));
	CU(cuMemImportFromShareableHandle(&again, as_handle(fd), type));
	CU(cuMemRelease(again));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemImportFromShareableHandle(&again, as_handle(0), type));
	close(fd);
	CU(cuMemGetAllocationPropertiesFromHandle(&prop, h));
	CHECK(prop.type == CU_MEM_ALLOCATION_TYPE_PINNED && !prop.location.id,
	      "imported memory has other properties");
	at = map(h);
	check(at, LARGE, 0x55555555, s, "physical memory of the first process");
	fill(at, LARGE, 0x66666666, s);
	CU(cuStreamSynchronize(s));
	step('d');
	unmap(at, h);
}

static void other_pool(int fd, const struct told *t, CUstream s)
{
	CUmemoryPool pool;
	CUdeviceptr p, mine;

	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolImportFromShareableHandle(&pool, as_handle(0),
						CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	CU(cuMemPoolImportFromShareableHandle(&pool, as_handle(fd),
					      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	close(fd);
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAllocFromPoolAsync(&mine, SMALL, pool, s));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolImportPointer(NULL, pool, (CUmemPoolPtrExportData *)(uintptr_t)&t->block));
	CU(cuMemPoolImportPointer(&p, pool, (CUmemPoolPtrExportData *)(uintptr_t)&t->block));
	check(p, SMALL, 0x77777777, s, "pool memory of the first process");
	fill(p, SMALL, 0x88888888, s);
	CU(cuMemFreeAsync(p, s));
	CU(cuStreamSynchronize(s));
	CU(cuMemPoolDestroy(pool));
	step('e');
}

static int other(void)
{
	struct told t;
	CUstream s;
	int fd;

	peer = 0;
	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	hear(&t, sizeof(t));
	other_wrong(&t);
	other_memory(&t, s);
	fd = hear(&t, sizeof(t));
	other_physical(fd, s);
	fd = hear(&t, sizeof(t));
	other_pool(fd, &t, s);
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}

/* The first process. */
static pid_t begin_other(void)
{
	char *argv[] = {(char *)(uintptr_t)own_path(), (char *)(uintptr_t) "other", NULL};
	posix_spawn_file_actions_t fa;
	int ends[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		FAIL("socketpair: %s", strerror(errno));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, ends[1], 0);
	err = posix_spawn(&pid, argv[0], &fa, NULL, argv, environ);
	if (err)
		FAIL("%s: %s", argv[0], strerror(err));
	posix_spawn_file_actions_destroy(&fa);
	close(ends[1]);
	peer = ends[0];
	return pid;
}

static void share_memory(uint64_t bytes, CUstream s)
{
	CUdeviceptr memory = device_alloc(bytes), small = device_alloc(SMALL),
		    gone = device_alloc(LARGE), p;
	CUevent begun = shared_event(), ended = shared_event(), plain;
	struct told t = {.bytes = bytes};
	struct gate gate;

	CU(cuEventCreate(&plain, CU_EVENT_DISABLE_TIMING));
	WANT(CUDA_ERROR_INVALID_VALUE, cuIpcGetEventHandle(&t.begun, plain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuEventCreate(&plain, CU_EVENT_INTERPROCESS));
	CU(cuEventDestroy(plain));
	fill(small, SMALL, 0x11111111, s);
	CU(cuStreamSynchronize(s));
	WANT(CUDA_ERROR_INVALID_VALUE, cuIpcGetMemHandle(NULL, memory));
	CU(cuIpcGetMemHandle(&t.memory, memory));
	CU(cuIpcGetMemHandle(&t.gone, memory + SMALL));
	CHECK(!memcmp(&t.memory, &t.gone, sizeof(t.gone)), "an allocation has two handles");
	CU(cuIpcGetMemHandle(&t.gone, gone));
	CU(cuIpcGetMemHandle(&t.small, small));
	CU(cuIpcGetEventHandle(&t.begun, begun));
	CU(cuIpcGetEventHandle(&t.ended, ended));
	WANT(CUDA_ERROR_INVALID_CONTEXT,
	     cuIpcOpenMemHandle(&p, t.memory, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CU(cuMemFree(gone));
	CU(cuEventSynchronize(begun));
	tell(&t, sizeof(t), -1);
	gate_close(&gate, s);
	fill(memory, bytes, 0x22222222, s);
	CU(cuEventRecord(begun, s));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(begun));
	step('a');
	gate_open(&gate);
	step('b');
	CU(cuStreamWaitEvent(s, ended, 0));
	check(memory, bytes, 0x33333333, s, "memory that the other process has filled");
	check(small, SMALL, 0x44444444, s, "small memory that the other process has filled");
	CU(cuEventSynchronize(ended));
	CU(cuEventQuery(begun));
	printf("memory: both processes write %llu MiB\n", (unsigned long long)bytes >> 20);
	step('c');
	CU(cuEventDestroy(begun));
	CU(cuEventDestroy(ended));
	CU(cuMemFree(memory));
	CU(cuMemFree(small));
}

static void share_physical(CUstream s)
{
	CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	const CUmemAllocationHandleType type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CUmemGenericAllocationHandle h;
	struct told t = {0};
	CUdeviceptr at;
	int fd = -1;

	CU(cuMemCreate(&h, LARGE, &prop, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemExportToShareableHandle(&fd, h, type, 0));
	CU(cuMemRelease(h));
	prop.requestedHandleTypes = type;
	CU(cuMemCreate(&h, LARGE, &prop, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemExportToShareableHandle(NULL, h, type, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemExportToShareableHandle(&fd, h, type, 1));
	at = map(h);
	fill(at, LARGE, 0x55555555, s);
	CU(cuStreamSynchronize(s));
	CU(cuMemExportToShareableHandle(&fd, h, type, 0));
	tell(&t, sizeof(t), fd);
	close(fd);
	step('d');
	check(at, LARGE, 0x66666666, s, "physical memory that the other process has filled");
	unmap(at, h);
	puts("physical memory: both processes map it");
}

static void share_pool(CUstream s)
{
	const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
				      .handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
				      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemPoolPtrExportData none;
	struct told t = {0};
	CUmemoryPool pool;
	CUdeviceptr p, of_standard;
	int fd = -1;

	CU(cuMemAllocAsync(&of_standard, SMALL, s));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPoolExportPointer(&none, of_standard));
	CU(cuMemFreeAsync(of_standard, s));
	CU(cuMemPoolCreate(&pool, &props));
	CU(cuMemAllocFromPoolAsync(&p, SMALL, pool, s));
	fill(p, SMALL, 0x77777777, s);
	CU(cuStreamSynchronize(s));
	CU(cuMemPoolExportToShareableHandle(&fd, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
					    0));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemPoolExportToShareableHandle(NULL, pool, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
					      0));
	CU(cuMemPoolExportPointer(&t.block, p));
	tell(&t, sizeof(t), fd);
	close(fd);
	step('e');
	check(p, SMALL, 0x88888888, s, "pool memory that the other process has filled");
	CU(cuMemFreeAsync(p, s));
	CU(cuStreamSynchronize(s));
	CU(cuMemPoolDestroy(pool));
	puts("pools: the other process has their memory");
}

int main(int argc, char **argv)
{
	uint64_t mib;
	CUstream s;
	int status;
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "other"))
		return other();
	mib = argument(argc, argv, 1, 8);
	pid = begin_other();
	start();
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	share_memory(mib << 20, s);
	share_physical(s);
	share_pool(s);
	CU(cuStreamDestroy(s));
	finish();
	if (waitpid(pid, &status, 0) != pid || status)
		FAIL("the other process ended with %#x", status);
	puts("sharing: done");
	return 0;
}
