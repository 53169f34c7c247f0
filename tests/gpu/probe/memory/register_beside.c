/* SPDX-License-Identifier: MIT */
/* Registering and unregistering beside running work, and memory whose maker is gone. */
#include "tests/gpu/probe/memory/step_register.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB         (1ull << 20)
#define AT_ONCE_MS  2000 /* what should not wait gets so long */
#define WAITING_MS  (opt.quick ? 150u : 300u)
#define OWNER_BYTES MIB

struct work {
	char *chunk, *other; /* registered; not yet registered */
	size_t bytes;
	CUdeviceptr device;
	CUstream stream;
};

static int do_register(void *arg)
{
	struct work *w = arg;

	return ASK(cuMemHostRegister_v2, w->other, w->bytes, CHUNK_FLAGS);
}

static int do_unregister(void *arg)
{
	struct work *w = arg;

	return ASK(cuMemHostUnregister, w->other);
}

static int do_to_device(void *arg)
{
	struct work *w = arg;

	return ASK(cuMemcpyHtoDAsync_v2, w->device, w->chunk, w->bytes, w->stream);
}

static int do_to_host(void *arg)
{
	struct work *w = arg;

	return ASK(cuMemcpyDtoHAsync_v2, w->chunk, w->device, w->bytes, w->stream);
}

/* Unregister what copies still use: does it wait, and are they right? */
static void under_copies(struct work *w, const struct words *words)
{
	const int rounds = 16;
	uint64_t begin;
	int r = 0;

	host_fill(w->other, w->bytes, 21);
	CU(cuMemsetD8_v2, w->device, 0, w->bytes);
	if (ASK(cuMemHostRegister_v2, w->other, w->bytes, CHUNK_FLAGS))
		return;
	for (int i = 0; i < rounds && !r; i++)
		r = ASK(cuMemcpyHtoDAsync_v2, w->device, w->other, w->bytes, w->stream);
	begin = now_ns();
	say_int("unregister_under_copies_result", ASK(cuMemHostUnregister, w->other));
	say_int("unregister_under_copies_ns", (int64_t)(now_ns() - begin));
	say_int("unregister_under_copies_busy", ASK(cuStreamQuery, w->stream) != CUDA_SUCCESS);
	CU(cuStreamSynchronize, w->stream);
	say_int("unregister_under_copies_wrong_words",
		words_verify(words, w->device, w->bytes, 21));
}

/* A stream is held by a word in registered memory, and goes on when the processor has written it.
 */
static void word_waits(struct work *w)
{
	uint32_t *word = (uint32_t *)(void *)w->chunk;
	uint64_t begin;
	CUstream s;
	int r, held, passed;

	*word = 5;
	if (CU(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING))
		return;
	r = ASK(cuStreamWaitValue32_v2, s, (uintptr_t)word, 7, CU_STREAM_WAIT_VALUE_GEQ);
	if (!r)
		r = ASK(cuMemsetD8Async, w->device, 3, 64, s);
	held = ASK(cuStreamQuery, s);
	begin = now_ns();
	__atomic_store_n(word, 7, __ATOMIC_RELEASE);
	do
		passed = ASK(cuStreamQuery, s);
	while (passed == CUDA_ERROR_NOT_READY && now_ns() - begin < AT_ONCE_MS * 1000000ull);
	say_int("word_wait_ended_after_ns", (int64_t)(now_ns() - begin));
	verdict(ASSUME_word_waits, !r && held == CUDA_ERROR_NOT_READY && !passed,
		"cuStreamWaitValue32 %d, before the write %d, then %d", r, held, passed);
}

void register_beside(void)
{
	struct work w = {.bytes = opt.quick ? MIB : 64 * MIB};
	struct words words;
	struct hold h;
	bool to, from;

	if (!part_context() || !words_make(&words) || !hold_make(&h) ||
	    !(w.chunk = chunk_new(0, w.bytes)) || !(w.other = chunk_map(w.bytes, w.bytes, NULL)) ||
	    CU(cuMemAlloc_v2, &w.device, w.bytes))
		return;
	verdict(ASSUME_register_beside_kernel,
		call_beside(&h, &(struct beside){"register", do_register, &w, AT_ONCE_MS}),
		"of %zu KiB", w.bytes / 1024);
	call_beside(&h, &(struct beside){"unregister", do_unregister, &w, WAITING_MS});
	/* Behind the kernel, in its stream: the calls must return all the same. */
	w.stream = h.stream;
	to = call_beside(&h, &(struct beside){"htod_async", do_to_device, &w, AT_ONCE_MS});
	from = call_beside(&h, &(struct beside){"dtoh_async", do_to_host, &w, AT_ONCE_MS});
	verdict(ASSUME_registered_async, to && from, "to the device: %s, from it: %s",
		to ? "at once" : "waits", from ? "at once" : "waits");
	under_copies(&w, &words);
	word_waits(&w);
}

/* ---- the maker exits ---- */

/* The maker's side: fill the memory, and say so by ending. */
static int make_memory(int fd)
{
	void *p = mmap(NULL, OWNER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return 1;
	host_fill(p, OWNER_BYTES, 31);
	return 0;
}

/* The maker is a fork from before cuInit that never touches CUDA; it lives until the memory is
 * registered. */
void register_owner(void)
{
	const int fd = memfd_create("gpu-probe", MFD_CLOEXEC);
	int64_t wrong = -1, wrote = -1;
	CUdeviceptr device;
	struct words w;
	int go[2], r;
	char byte;
	pid_t pid;
	char *p;

	if (fd < 0 || ftruncate(fd, OWNER_BYTES) || pipe2(go, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		close(go[1]);
		r = make_memory(fd);
		_exit(read(go[0], &byte, 1) < 0 ? 1 : r);
	}
	close(go[0]);
	if (pid < 0 || !window_get() || !part_context() || !words_make(&w) ||
	    CU(cuMemAlloc_v2, &device, OWNER_BYTES))
		return;
	p = mmap(window_get(), OWNER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED || CU(cuMemHostRegister_v2, p, OWNER_BYTES, CHUNK_FLAGS))
		return;
	close(fd);
	close(go[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	r = ASK(cuMemcpyHtoDAsync_v2, device, p, OWNER_BYTES, NULL);
	if (!r && !CU(cuCtxSynchronize))
		wrong = words_verify(&w, device, OWNER_BYTES, 31);
	if (!words_increment(&w, (uintptr_t)p, OWNER_BYTES))
		wrote = host_verify(p, OWNER_BYTES, 31, 1);
	verdict(ASSUME_register_owner_exits, !r && !wrong && !wrote,
		"copy %d, words wrong: %lld read, %lld written", r, (long long)wrong,
		(long long)wrote);
}

/* The memfd is cut while it is registered: does the GPU keep the pages? Where a processor does its
 * work, this process ends with a bus error. */
void register_shrunk(void)
{
	const size_t bytes = MIB;
	CUdeviceptr device;
	struct words w;
	char *p;
	int fd;

	if (!part_context() || !words_make(&w) || CU(cuMemAlloc_v2, &device, bytes) ||
	    !(p = chunk_map(0, bytes, &fd)))
		return;
	host_fill(p, bytes, 41);
	if (CU(cuMemHostRegister_v2, p, bytes, CHUNK_FLAGS) || ftruncate(fd, 0))
		return;
	say_int("kernel_result", (int)words_increment(&w, (uintptr_t)p, bytes));
	say_int("copy_result", ASK(cuMemcpyHtoDAsync_v2, device, p, bytes, NULL));
	say_int("synchronize_result", ASK(cuCtxSynchronize));
	say_int("wrong_words", words_verify(&w, device, bytes, 42));
	say_int("unregister_result", ASK(cuMemHostUnregister, p));
}
