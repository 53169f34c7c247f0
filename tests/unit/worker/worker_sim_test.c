/* SPDX-License-Identifier: MIT */
/*
 * The worker's GPU side on the simulated GPU, driven record by record in place of the frame,
 * without process, ring and guest.
 */
#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "tests/unit/worker/worker_fake_sim.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/worker.h"

#define MODULE   PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 1)
#define FUNCTION PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 1, 1)
#define STREAM   PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 1)
#define N        1000u
#define IMAGE_AT 0
#define DATA_AT  (1u << 20)

static struct far far;

/* dst[i] = a[i] + b[i]. */
static const char ptx[] =
	".version 6.0\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry add(.param .u64 pd, .param .u64 pa, .param .u64 pb, .param .u32 pn)\n"
	"{\n"
	"	.reg .pred %p<2>;\n"
	"	.reg .b32 %r<9>;\n"
	"	.reg .b64 %rd<12>;\n"
	"	ld.param.u64 %rd1, [pd];\n"
	"	ld.param.u64 %rd2, [pa];\n"
	"	ld.param.u64 %rd3, [pb];\n"
	"	ld.param.u32 %r1, [pn];\n"
	"	mov.u32 %r2, %ctaid.x;\n"
	"	mov.u32 %r3, %ntid.x;\n"
	"	mov.u32 %r4, %tid.x;\n"
	"	mad.lo.s32 %r5, %r2, %r3, %r4;\n"
	"	setp.ge.u32 %p1, %r5, %r1;\n"
	"	@%p1 bra DONE;\n"
	"	mul.wide.u32 %rd4, %r5, 4;\n"
	"	add.s64 %rd5, %rd2, %rd4;\n"
	"	add.s64 %rd6, %rd3, %rd4;\n"
	"	add.s64 %rd7, %rd1, %rd4;\n"
	"	ld.global.u32 %r6, [%rd5];\n"
	"	ld.global.u32 %r7, [%rd6];\n"
	"	add.s32 %r8, %r6, %r7;\n"
	"	st.global.u32 [%rd7], %r8;\n"
	"DONE:\n"
	"	ret;\n"
	"}\n";

static struct worker *open_sim(void)
{
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX, .image_len = sizeof(ptx), .module = MODULE};
	struct pvgpu_wire_module_get_function f = {
		.module = MODULE, .function = FUNCTION, .name_len = 3};
	struct pvgpu_wire_stream_create s = {.ctx = FAKE_CTX, .stream = STREAM};
	struct worker *w = fake_open_sim(&far);

	fake_chunk(w, 0, 4u << 20);
	memcpy((void *)(uintptr_t)(w->arena_base + IMAGE_AT), ptx, sizeof(ptx));
	m.image = w->arena_base + IMAGE_AT;
	FAKE_SUBMIT(w, MODULE_LOAD, 3, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 3), 0);
	fake_submit(w, &f, sizeof(f), PVGPU_OP_MODULE_GET_FUNCTION, 4, "add\0", 4);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 4), 0);
	FAKE_SUBMIT(w, STREAM_CREATE, 5, s);
	return w;
}

static void launch(struct worker *w, uint64_t dst, uint64_t a, uint64_t b, uint32_t n)
{
	struct pvgpu_wire_launch l = {
		.ctx = FAKE_CTX,
		.stream = STREAM,
		.function = FUNCTION,
		.grid_x = (n + 127) / 128,
		.grid_y = 1,
		.grid_z = 1,
		.block_x = 128,
		.block_y = 1,
		.block_z = 1,
		.params_len = 28,
	};
	struct {
		uint64_t dst, a, b;
		uint32_t n, pad;
	} params = {dst, a, b, n, 0};

	fake_submit(w, &l, sizeof(l), PVGPU_OP_LAUNCH, 0, &params, 28);
}

static void copy(struct worker *w, uint32_t seq, uint64_t dst, uint64_t src, uint64_t n)
{
	struct pvgpu_wire_copy c = {
		.hdr = {.flags = PVGPU_CMD_MARK},
		.ctx = FAKE_CTX,
		.stream = STREAM,
		.dst = dst,
		.src = src,
		.size = n,
	};

	FAKE_SUBMIT(w, COPY, seq, c);
}

static int sync_stream(struct worker *w, uint32_t seq)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = STREAM};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

#ifdef __SANITIZE_ADDRESS__
/*
 * The leak check reads the thread-local tables of running threads and follows a wrong pointer in
 * those that a library loaded by dlopen() has started: its own crash would be this test's failure.
 */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}
#endif

START_TEST(vectors)
{
	struct worker *w = open_sim();
	const uint64_t at = w->arena_base + DATA_AT;
	uint32_t *in = (uint32_t *)(uintptr_t)at, *out = in + 2 * N;
	uint64_t a, b, d;

	a = fake_alloc(w, 10, FAKE_CTX, 4 * N);
	b = fake_alloc(w, 11, FAKE_CTX, 4 * N);
	d = fake_alloc(w, 12, FAKE_CTX, 3u << 20);
	ck_assert(a && b && d);
	for (uint32_t i = 0; i < 2 * N; i++)
		in[i] = i * 2654435761u;
	copy(w, 20, a, at, 4 * N);
	copy(w, 21, b, at + 4 * N, 4 * N);
	launch(w, d, a, b, N);
	copy(w, 22, at + 8 * N, d, 4 * N);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 22), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 20), 0);
	for (uint32_t i = 0; i < N; i++)
		ck_assert_uint_eq(out[i], in[i] + in[N + i]);
	ck_assert_int_eq(sync_stream(w, 23), 0);
	fake_close(w);
}
END_TEST

/* Far more launches than a stream takes at once, and small copies between them. */
START_TEST(many_launches)
{
	struct worker *w = open_sim();
	const uint64_t a = fake_alloc(w, 10, FAKE_CTX, 4096);
	struct pvgpu_wire_copy_inline i = {
		.ctx = FAKE_CTX, .stream = STREAM, .dst = a, .data_len = 4};
	struct pvgpu_wire_copy_fetch f = {.ctx = FAKE_CTX, .stream = STREAM, .size = 4};
	const unsigned char *body;
	uint32_t value = 0;

	fake_submit(w, &i, sizeof(i), PVGPU_OP_COPY_INLINE, 0, &value, 4);
	value = 1;
	i.dst = a + 512;
	fake_submit(w, &i, sizeof(i), PVGPU_OP_COPY_INLINE, 0, &value, 4);
	for (uint32_t n = 0; n < 3000; n++)
		launch(w, a, a, a + 512, 1);
	f.src = a;
	FAKE_SUBMIT(w, COPY_FETCH, 20, f);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), 0);
	body = fake_body(w, PVGPU_REP_REPLY, 20);
	memcpy(&value, body + 8, 4);
	ck_assert_uint_eq(value, 3000);
	fake_close(w);
}
END_TEST

START_TEST(wild_pointer)
{
	struct worker *w = open_sim();
	const uint64_t a = fake_alloc(w, 10, FAKE_CTX, 4096);

	launch(w, 0x10, a, a, 1);
	ck_assert_int_eq(sync_stream(w, 20), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_int_eq(sync_stream(w, 21), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_uint_eq(fake_alloc(w, 22, FAKE_CTX, 16), 0);
	fake_close(w);
}
END_TEST

START_TEST(bad_image)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX,
		.image = w->arena_base + DATA_AT,
		.error_log_size = 200,
		.module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 1, 2),
	};
	static const char bad[] = ".version 6.0\n.target sm_70\n.address_size 64\nnonsense\n";

	memcpy((void *)(uintptr_t)m.image, bad, sizeof(bad));
	m.image_len = sizeof(bad);
	FAKE_SUBMIT(w, MODULE_LOAD, 20, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), CUDA_ERROR_INVALID_PTX);
	fake_close(w);
}
END_TEST

static CUresult CUDAAPI no_wait_value(CUstream s, CUdeviceptr addr, cuuint32_t value,
				      unsigned int flags)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* A held stream waits for the guest's word; the mark says that its turn has come, and a host
 * function of another stream that does not end is not in the way. */
START_TEST(holds_wait_for_the_word)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_host_func f = {.ctx = FAKE_CTX, .id = 7};
	struct pvgpu_wire_hold h = {.hdr = {.flags = PVGPU_CMD_MARK},
				    .ctx = FAKE_CTX,
				    .stream = STREAM,
				    .word = w->arena_base + DATA_AT,
				    .value = 2};
	struct pvgpu_wire_stream_create s = {
		.ctx = FAKE_CTX, .stream = PVGPU_HANDLE(PVGPU_H_STREAM, 0, 1, 2), .flags = 1};
	uint32_t *word = (uint32_t *)(uintptr_t)h.word;
	const uint64_t d = fake_alloc(w, 10, FAKE_CTX, 4096);

	f.stream = s.stream;
	if (!_i) {
		FAKE_SUBMIT(w, STREAM_CREATE, 11, s);
		FAKE_SUBMIT(w, HOST_FUNC, 0, f);
	}
	/* Then a thread looks. */
	if (_i == 1)
		w->info.zero_copy = false;
	if (_i == 2)
		far.cuStreamWaitValue32_v2 = no_wait_value;
	*word = 0;
	FAKE_SUBMIT(w, HOLD, 20, h);
	copy(w, 21, d, h.word, 4096);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 20), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_MARK, 21));
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	ck_assert(!fake_was_sent(w, PVGPU_REP_MARK, 21));
	__atomic_store_n(word, 2, __ATOMIC_RELEASE);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 21), 0);
	/* Reached, over the overflow too: they do not wait. */
	h.value = 0xfffffff0;
	FAKE_SUBMIT(w, HOLD, 22, h);
	ck_assert_int_eq(sync_stream(w, 23), 0);
	/* Not a word of the arena. */
	h.word += 2;
	FAKE_SUBMIT(w, HOLD, 24, h);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 24), CUDA_ERROR_INVALID_VALUE);
	h.word = d;
	FAKE_SUBMIT(w, HOLD, 25, h);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 25), CUDA_ERROR_INVALID_VALUE);
	/* A guest that is gone holds nothing up. */
	h.word = w->arena_base + DATA_AT;
	h.value = 100;
	FAKE_SUBMIT(w, HOLD, 26, h);
	fake_close(w);
}
END_TEST

/* The primary context retained twice has streams that each does not know of: nobody decodes while
 * one waits for the guest, and the answer waits for both. */
START_TEST(two_of_one_context)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_ctx_primary_retain retain = {.ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2)};
	struct pvgpu_wire_ctx_synchronize sync = {.ctx = retain.ctx};
	struct pvgpu_wire_hold h = {.hdr = {.flags = PVGPU_CMD_MARK},
				    .ctx = FAKE_CTX,
				    .stream = STREAM,
				    .word = w->arena_base + DATA_AT,
				    .value = 1};
	uint32_t *word = (uint32_t *)(uintptr_t)h.word;

	*word = 0;
	FAKE_SUBMIT(w, CTX_PRIMARY_RETAIN, 20, retain);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), 0);
	FAKE_SUBMIT(w, HOLD, 21, h);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 21), 0);
	FAKE_SUBMIT(w, CTX_SYNCHRONIZE, 22, sync);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 22));
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 22), 0);
	fake_close(w);
}
END_TEST

/* ---- page-locking ---- */

static sem_t locking, may_lock, locked;

static CUresult CUDAAPI slow_register(void *p, size_t bytes, unsigned int flags)
{
	sem_post(&locking);
	sem_wait(&may_lock);
	return CUDA_SUCCESS;
}

static CUresult CUDAAPI slow_unregister(void *p)
{
	return CUDA_SUCCESS;
}

static void told(struct worker *w, struct gpu_arena_then *then)
{
	sem_post(&locked);
}

/* The decoding thread goes on while a chunk is page-locked; what is to be told is told afterwards,
 * and a context that ends waits for it. */
START_TEST(locking_pages_waits_elsewhere)
{
	struct worker *w = open_sim();
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};
	struct gpu_arena_then then = {told};
	int n;

	sem_init(&locking, 0, 0);
	sem_init(&may_lock, 0, 0);
	sem_init(&locked, 0, 0);
	far.cuMemHostRegister_v2 = slow_register;
	far.cuMemHostUnregister = slow_unregister;
	ck_assert_int_eq(gpu_arena_add(w, w->arena_base + (4u << 20), 4u << 20), 0);
	gpu_arena_register(w, &then);
	sem_wait(&locking);
	ck_assert(fake_alloc(w, 10, FAKE_CTX, 4096));
	ck_assert_int_eq(sync_stream(w, 11), 0);
	FAKE_SUBMIT(w, CTX_DESTROY, 12, d);
	ck_assert_int_eq(gpu_arena_remove(w, w->arena_base + (4u << 20), 4u << 20), -EBUSY);
	sem_getvalue(&locked, &n);
	ck_assert_int_eq(n, 0);
	sem_post(&may_lock);
	sem_wait(&locked);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	fake_close(w);
}
END_TEST

static void copy_box(struct worker *w, uint32_t seq, uint64_t dst, const uint64_t *to, uint64_t src,
		     const uint64_t *from, const uint64_t *box)
{
	struct pvgpu_wire_copy_3d c = {
		.hdr = {.flags = PVGPU_CMD_MARK},
		.ctx = FAKE_CTX,
		.stream = STREAM,
		.dst = dst,
		.dst_pitch = to[0],
		.dst_height = to[1],
		.src = src,
		.src_pitch = from[0],
		.src_height = from[1],
		.width = box[0],
		.height = box[1],
		.depth = box[2],
	};

	FAKE_SUBMIT(w, COPY_3D, seq, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, seq), 0);
}

static uint64_t offset(const uint64_t *side, uint64_t x, uint64_t y, uint64_t z)
{
	return (z * side[1] + y) * side[0] + x;
}

/* ---- chunks side by side, each registered on its own ---- */
static uint64_t wrong_bytes(const unsigned char *p, uint64_t n, unsigned int seed)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < n; i++)
		wrong += p[i] != (unsigned char)(i * 7 + i / 256 + seed);
	return wrong;
}

static void fill_bytes(unsigned char *p, uint64_t n, unsigned int seed)
{
	for (uint64_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 7 + i / 256 + seed);
}

static void copy_fill(struct worker *w, uint64_t dst, uint64_t pitch, uint64_t width,
		      uint64_t height, uint32_t seq)
{
	struct pvgpu_wire_memset m = {.ctx = FAKE_CTX,
				      .stream = STREAM,
				      .dst = dst,
				      .pitch = pitch,
				      .width = width,
				      .height = height,
				      .value = 0x5a5a5a5a,
				      .element = 4};

	FAKE_SUBMIT(w, MEMSET, 0, m);
	ck_assert_int_eq(sync_stream(w, seq), 0);
}

/* Rows of an array of words: a word lies in one chunk. */
static void array_over_chunks(struct worker *w, uint64_t from, uint64_t to, uint32_t seq)
{
	enum { WIDTH = 40000, HEIGHT = 3, PITCH = 4 * WIDTH + 4 };
	const uint64_t array = PVGPU_HANDLE(PVGPU_H_ARRAY, 0, 1, 1);
	struct pvgpu_wire_array_create a = {.ctx = FAKE_CTX,
					    .width = WIDTH,
					    .height = HEIGHT,
					    .format = CU_AD_FORMAT_UNSIGNED_INT32,
					    .channels = 1,
					    .array = array};
	struct pvgpu_wire_copy_array c = {.hdr = {.flags = PVGPU_CMD_MARK},
					  .ctx = FAKE_CTX,
					  .stream = STREAM,
					  .dst_array = array,
					  .src = from,
					  .src_pitch = PITCH,
					  .src_height = HEIGHT,
					  .width = 4 * WIDTH,
					  .height = HEIGHT,
					  .depth = 1};

	FAKE_SUBMIT(w, ARRAY_CREATE, seq, a);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), 0);
	FAKE_SUBMIT(w, COPY_ARRAY, seq + 1, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, seq + 1), 0);
	c.src_array = array;
	c.src = c.src_pitch = c.src_height = c.dst_array = 0;
	c.dst = to;
	c.dst_pitch = PITCH;
	c.dst_height = HEIGHT;
	FAKE_SUBMIT(w, COPY_ARRAY, seq + 2, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, seq + 2), 0);
	for (uint64_t y = 0; y < HEIGHT; y++)
		ck_assert_mem_eq((void *)(uintptr_t)(to + y * PITCH),
				 (void *)(uintptr_t)(from + y * PITCH), 4 * WIDTH);
}

/* The driver refuses a copy or a fill that reaches from one into the next. */
START_TEST(over_chunks)
{
	enum { CHUNK = 64 << 10, BYTES = 5 * CHUNK, PITCH = 3000, ROWS = 40, PLANES = 2 };
	struct worker *w = open_sim();
	const uint64_t base = w->arena_base + (8u << 20), to = base + 4 * BYTES;
	const uint64_t box[] = {PITCH - 8, ROWS, PLANES}, side[] = {PITCH, ROWS + 1};
	unsigned char *p = (unsigned char *)(uintptr_t)base, *q = p + 4 * BYTES;
	const uint64_t d = fake_alloc(w, 10, FAKE_CTX, 4 * BYTES);

	for (unsigned int i = 0; i < 40; i++)
		fake_chunk(w, (8u << 20) + i * CHUNK, CHUNK);
	fill_bytes(p, BYTES, 1);
	copy(w, 20, d, base, BYTES);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 20), 0);
	copy(w, 21, to + 100, d, BYTES); /* begins inside a chunk */
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 21), 0);
	ck_assert_uint_eq(wrong_bytes(q + 100, BYTES, 1), 0);
	fill_bytes(p, BYTES, 2);
	copy(w, 22, to, base, BYTES); /* within the arena */
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 22), 0);
	ck_assert_uint_eq(wrong_bytes(q, BYTES, 2), 0);
	/* rows and planes, of which some lie in two chunks */
	memset(q, 0, BYTES);
	copy_box(w, 23, d, side, base + 40000, side, box);
	copy_box(w, 24, to + 40000, side, d, side, box);
	for (uint64_t z = 0; z < PLANES; z++)
		for (uint64_t y = 0; y < ROWS; y++) {
			const uint64_t at = 40000 + offset(side, 0, y, z);

			ck_assert_mem_eq(q + at, p + at, box[0]);
			ck_assert_uint_eq(q[at + box[0]], 0);
		}
	fill_bytes(p, 2 * BYTES, 3);
	array_over_chunks(w, base + 12, to + 8, 40);
	memset(q, 1, BYTES);
	copy_fill(w, to + 4, 0, BYTES / 8, 1, 30);
	copy_fill(w, to + 4 + BYTES / 2, 4000, 10, 30, 31);
	for (uint64_t i = 0; i < BYTES; i++) {
		const uint64_t k = i - 4 - BYTES / 2;
		const bool set = i >= 4 && (i < 4 + BYTES / 2 || (k / 4000 < 30 && k % 4000 < 40));

		ck_assert_msg(q[i] == (set ? 0x5a : 1), "byte %llu is %u", (unsigned long long)i,
			      q[i]);
	}
	fake_close(w);
}
END_TEST

/* ---- an arena that is not registered ---- */

static struct worker *open_copying(void)
{
	struct worker *w = open_sim();

	/* Nothing was copied yet; the registered part of the arena does not matter. */
	w->info.zero_copy = false;
	return w;
}

/* Copies behind a host function that the guest has not run: the decoding thread does not wait for
 * them, and they move what is there when their turn comes. */
START_TEST(copies_wait_in_the_stream)
{
	enum { BYTES = 3u << 20, COPIES = 40 };
	struct worker *w = open_copying();
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = STREAM, .id = 7};
	const uint64_t at = w->arena_base + DATA_AT;
	unsigned char *bytes = (unsigned char *)(uintptr_t)at;
	uint64_t d;

	if (_i)
		far.cuStreamWaitValue32_v2 = no_wait_value;
	/* More than the slots hold: 1 MiB of a first chunk, and another. */
	fake_chunk(w, 4u << 20, 12u << 20);
	d = fake_alloc(w, 10, FAKE_CTX, BYTES);
	ck_assert(d);
	memset(bytes, 1, BYTES);
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	copy(w, 20, d, at, BYTES);
	for (uint32_t i = 0; i < COPIES; i++)
		copy(w, 21 + i, at + BYTES, d, BYTES);
	/* All of it is in the stream. */
	ck_assert(!fake_was_sent(w, PVGPU_REP_MARK, 20));
	for (uint32_t i = 0; i < BYTES; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 4096);
	bytes[BYTES] = 99;
	ck_assert_int_eq(gpu_arena_remove(w, w->arena_base + (4u << 20), 12u << 20), -EBUSY);
	/* A function that was not asked for cannot have been run. */
	ck_assert_int_eq(fake_result(w, PVGPU_REP_CALLBACK, 0), 0);
	callback_done(w, 1);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 20 + COPIES), 0);
	ck_assert_int_eq(sync_stream(w, 100), 0);
	ck_assert_mem_eq(bytes + BYTES, bytes, BYTES);
	ck_assert_int_eq(gpu_arena_remove(w, w->arena_base + (4u << 20), 12u << 20), 0);
	fake_close(w);
}
END_TEST

static int batch(struct worker *w, uint32_t seq, const struct pvgpu_copy_line *line, uint32_t n,
		 uint32_t extra)
{
	struct pvgpu_wire_copy_batch b = {.hdr = {.flags = PVGPU_CMD_MARK},
					  .ctx = FAKE_CTX,
					  .stream = STREAM,
					  .lines_len = n * (uint32_t)sizeof(*line) + extra};

	return fake_submit(w, &b, sizeof(b), PVGPU_OP_COPY_BATCH, seq, line, b.lines_len);
}

/* All of a batch is checked before any of it is done; its chunks stay until its mark. */
START_TEST(batches_are_checked_whole)
{
	struct pvgpu_copy_line line[PVGPU_COPIES_MAX + 1];
	struct worker *w = open_sim();
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = STREAM, .id = 7};
	const uint64_t at = w->arena_base + DATA_AT, chunk = w->arena_base + (4u << 20);
	unsigned char *bytes = (unsigned char *)(uintptr_t)at;
	uint64_t d = fake_alloc(w, 10, FAKE_CTX, 1 << 20);

	fake_chunk(w, 4u << 20, 4u << 20);
	for (uint32_t i = 0; i < PVGPU_COPIES_MAX; i++) {
		line[i] = (struct pvgpu_copy_line){d + i * 64, at + i * 32, 32};
		memset(bytes + i * 32, (int)i, 32);
	}
	ck_assert_int_eq(batch(w, 20, line, PVGPU_COPIES_MAX, 0), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 20), 0);
	copy(w, 21, at, d, PVGPU_COPIES_MAX * 64);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 21), 0);
	for (uint32_t i = 0; i < PVGPU_COPIES_MAX; i++)
		ck_assert_int_eq(bytes[i * 64 + 31], (int)(i & 255));
	/* The worker's own memory; beyond the window; nothing; over the end of addresses. */
	for (int bad = 0; bad < 4; bad++) {
		const struct pvgpu_copy_line was = line[3];

		memset(bytes, 77, 64);
		line[3] = (struct pvgpu_copy_line[]){{d, (uintptr_t)&line[0], 16},
						     {d + (1ull << 46), at, 32},
						     {d, at, 0},
						     {d, at, UINT64_MAX - 5}}[bad];
		ck_assert_int_eq(batch(w, 30 + (uint32_t)bad, line, 5, 0), 0);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 30 + (uint32_t)bad),
				 CUDA_ERROR_INVALID_VALUE);
		line[3] = was;
	}
	copy(w, 35, at, d, 64);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 35), 0);
	ck_assert_int_eq(bytes[0], 0);
	ck_assert_int_eq(batch(w, 36, line, 2, 8), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 36), CUDA_ERROR_INVALID_VALUE);
	/* Behind a host function: the chunk is in use. */
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	line[0].src = chunk;
	ck_assert_int_eq(batch(w, 40, line, 2, 0), 0);
	ck_assert_int_eq(gpu_arena_remove(w, chunk, 4u << 20), -EBUSY);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_CALLBACK, 0), 0);
	callback_done(w, 1);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 40), 0);
	ck_assert_int_eq(gpu_arena_remove(w, chunk, 4u << 20), 0);
	fake_close(w);
}
END_TEST

static int ops(struct worker *w, uint32_t seq, bool waits, const struct pvgpu_mem_op *op,
	       uint32_t n)
{
	struct pvgpu_wire_stream_ops o = {
		.ctx = FAKE_CTX, .stream = STREAM, .ops_len = n * (uint32_t)sizeof(*op)};

	return fake_submit(w, &o, sizeof(o), waits ? PVGPU_OP_STREAM_OPS : PVGPU_OP_STREAM_WRITE,
			   seq, op, o.ops_len);
}

/* Words are the session's alone; nothing of what is refused is done. */
START_TEST(operations_stay_inside)
{
	struct worker *w = open_sim();
	const uint64_t at = w->arena_base + DATA_AT;
	uint32_t *word = (uint32_t *)(uintptr_t)at, own = 0, seq = 30;
	uint64_t d = fake_alloc(w, 10, FAKE_CTX, 4096);
	const struct pvgpu_mem_op first = {CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, at, 99};
	const struct pvgpu_mem_op bad[] = {
		{CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, (uintptr_t)&own, 1},
		{CU_STREAM_MEM_OP_WAIT_VALUE_32, 0, (uintptr_t)&own, 0},
		{CU_STREAM_MEM_OP_WRITE_VALUE_32, 0, d + 2, 1},
		{CU_STREAM_MEM_OP_WRITE_VALUE_64, 0, d + 4, 1},
		{CU_STREAM_MEM_OP_WRITE_VALUE_64, 0, UINT64_MAX - 7, 1},
		{CU_STREAM_MEM_OP_WRITE_VALUE_32, 2, d, 1},
		{CU_STREAM_MEM_OP_WAIT_VALUE_32, 4, d, 1},
		{CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES, 0, 0, 0},
		{CU_STREAM_MEM_OP_BARRIER, 2, 0, 0},
		{7, 0, d, 1},
	};

	*word = 5;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(ops(w, 0, true, (struct pvgpu_mem_op[]){first, bad[i]}, 2), 0);
		/* The next call that waits says so. */
		ck_assert_int_eq(sync_stream(w, seq++), CUDA_ERROR_INVALID_VALUE);
	}
	/* A wait has no place among writes, which do not count against the kernel limit. */
	ck_assert_int_eq(ops(w, 0, false,
			     &(struct pvgpu_mem_op){CU_STREAM_MEM_OP_WAIT_VALUE_32, 0, at, 5}, 1),
			 0);
	ck_assert_int_eq(sync_stream(w, seq++), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(*word, 5);
	ck_assert_uint_eq(own, 0);
	ck_assert_int_eq(ops(w, 0, false, &first, 1), 0);
	ck_assert_int_eq(
		ops(w, 0, true,
		    (struct pvgpu_mem_op[]){
			    {CU_STREAM_MEM_OP_WAIT_VALUE_32, CU_STREAM_WAIT_VALUE_EQ, at, 99},
			    {CU_STREAM_MEM_OP_BARRIER, 1, 0, 0},
			    {CU_STREAM_MEM_OP_WRITE_VALUE_64, 0, at + 8, 1ull << 40}},
		    3),
		0);
	ck_assert_int_eq(sync_stream(w, seq++), 0);
	ck_assert_uint_eq(word[3], 1u << 8);
	fake_close(w);
}
END_TEST

static int move_graph(struct worker *w, uint32_t seq, uint64_t graph, uint64_t child)
{
	struct pvgpu_wire_graph_move m = {.ctx = FAKE_CTX, .graph = graph, .child = child};

	FAKE_SUBMIT(w, GRAPH_MOVE, seq, m);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

/* A graph becomes one node's, and never one of a graph inside of it. */
START_TEST(graphs_move_once)
{
	struct worker *w = open_sim();
	uint64_t graph[3];

	for (uint32_t i = 0; i < 3; i++) {
		graph[i] = PVGPU_HANDLE(PVGPU_H_GRAPH, 0, 1, i + 1);
		FAKE_SUBMIT(w, GRAPH_CREATE, 0,
			    (struct pvgpu_wire_graph_create){.graph = graph[i]});
	}
	ck_assert_int_eq(move_graph(w, 20, graph[0], graph[0]), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(move_graph(w, 21, graph[0], graph[1]), 0);
	ck_assert_int_eq(move_graph(w, 22, graph[1], graph[2]), 0);
	ck_assert_int_eq(move_graph(w, 23, graph[2], graph[0]), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(move_graph(w, 24, graph[0], graph[2]), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(move_graph(w, 25, graph[0], graph[0] + (1ull << 32)),
			 CUDA_ERROR_INVALID_HANDLE);
	/* The outermost goes first: those inside are of no use then. */
	FAKE_SUBMIT(w, GRAPH_DESTROY, 0, (struct pvgpu_wire_graph_destroy){.graph = graph[0]});
	ck_assert_int_ne(move_graph(w, 26, graph[2], graph[1]), 0);
	fake_close(w);
}
END_TEST

/* width, height, depth, pitch and rows of one side, of the other */
static const uint64_t boxes[][7] = {
	{100, 7, 5, 128, 9, 112, 7},
	{4096, 300, 3, 4096, 300, 5000, 301},
	{1, 1, 2000, 64, 1, 1, 3},
	{(1u << 20) + 17, 2, 2, (1u << 20) + 24, 2, (1u << 20) + 17, 3},
	{(1u << 20) - 1, 1, 3, 1u << 20, 1, (1u << 20) + 512, 1},
};

/* To the device, to another place of the arena, and within it: the box, and nothing around it. */
START_TEST(boxes_of_all_shapes)
{
	const uint64_t *box = boxes[_i], *a = box + 3, *b = box + 5;
	const uint64_t room = 8u << 20;
	struct worker *w = open_copying();
	unsigned char *from, *to;
	uint64_t d, wrong = 0, outside = 0;

	fake_chunk(w, 4u << 20, 28u << 20);
	from = (unsigned char *)(uintptr_t)w->arena_base + (4u << 20);
	to = from + room;
	d = fake_alloc(w, 10, FAKE_CTX, room);
	for (uint64_t i = 0; i < room; i++)
		from[i] = (unsigned char)(i * 31 + i / 512 + 1);
	memset(to, 0, 2 * room);
	copy_box(w, 20, d, b, (uintptr_t)from, a, box);
	copy_box(w, 21, (uintptr_t)to, a, d, b, box);
	copy_box(w, 22, (uintptr_t)to + room, b, (uintptr_t)to, a, box);
	for (uint64_t z = 0; z < box[2]; z++) {
		for (uint64_t y = 0; y < box[1]; y++) {
			unsigned char *is = to + offset(a, 0, y, z);
			unsigned char *then = to + room + offset(b, 0, y, z);

			wrong += memcmp(is, from + offset(a, 0, y, z), box[0]) != 0;
			wrong += memcmp(is, then, box[0]) != 0;
			memset(is, 0, box[0]);
			memset(then, 0, box[0]);
		}
	}
	for (uint64_t i = 0; i < 2 * room; i++)
		outside += to[i] != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(outside, 0);
	fake_close(w);
}
END_TEST

/* A fault ends the stream's work: its copies do not happen, and no slot stays taken. */
START_TEST(fault_before_copies)
{
	struct worker *w = open_copying();
	const uint64_t at = w->arena_base + DATA_AT, d = fake_alloc(w, 10, FAKE_CTX, 1u << 20);

	memset((void *)(uintptr_t)at, 5, 1u << 20);
	copy(w, 19, d, at, 1u << 20);
	ck_assert_int_eq(sync_stream(w, 20), 0);
	launch(w, 0x10, d, d, 1);
	for (uint32_t i = 0; i < 20; i++)
		copy(w, 30 + i, at + (1u << 20), d, 1u << 20);
	ck_assert_int_eq(sync_stream(w, 60), CUDA_ERROR_ILLEGAL_ADDRESS);
	fake_close(w);
}
END_TEST

static void private_gpu(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/dev/shm/worker_sim_test.%d", (int)getpid());
	setenv("SIMCUDA_GPU", name, 1);
}

static void remove_gpu(void)
{
	unlink(getenv("SIMCUDA_GPU"));
}

int main(void)
{
	Suite *s = suite_create("worker on the simulated GPU");
	TCase *t = tcase_create("sim");
	SRunner *r;
	int failed;

	private_gpu();
	suite_add_tcase(s, t);
	tcase_add_test(t, vectors);
	tcase_add_test(t, many_launches);
	tcase_add_test(t, wild_pointer);
	tcase_add_test(t, over_chunks);
	tcase_add_test(t, locking_pages_waits_elsewhere);
	tcase_add_loop_test(t, holds_wait_for_the_word, 0, 3);
	tcase_add_test(t, two_of_one_context);
	tcase_add_test(t, bad_image);
	tcase_add_loop_test(t, copies_wait_in_the_stream, 0, 2);
	tcase_add_loop_test(t, boxes_of_all_shapes, 0, (int)(sizeof(boxes) / sizeof(boxes[0])));
	tcase_add_test(t, batches_are_checked_whole);
	tcase_add_test(t, operations_stay_inside);
	tcase_add_test(t, graphs_move_once);
	tcase_add_test(t, fault_before_copies);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	remove_gpu();
	return failed != 0;
}
