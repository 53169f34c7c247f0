/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: gen/pvgpu_decode.c gen/pvgpu_handlers.c tests/unit/worker/worker_fake.c
 * tests/unit/worker/worker_fake_far.c tests/unit/worker/worker_fake_mem.c
 * tests/unit/worker/worker_fake_graph.c xen-pvgpu-back/worker/gpu/ libpvgpu/image/fatbin.c
 * libpvgpu/image/unpack.c libpvgpu/image/declared.c libpvgpu/image/ptx_text.c
 * libpvgpu/image/ptx_variable.c tests/unit/worker/worker_fake_green.c tests/fuzz/threads.c */
/* FUZZ_LIBS: -lzstd -llz4 -Wl,--wrap=pthread_create,--wrap=pthread_join,--wrap=pthread_detach */
/*
 * Hostile guests, beyond the decoder: sessions of records go through the whole of the worker's GPU
 * side, with a far end that has no memory and whose work ends when the input says so. At the end
 * nothing may be left at the far end and no byte leased.
 *
 * Input: steps, each a u16 and what belongs to it.
 *   0 to 0x0fff  a record for the command of that number: u16 length, then the record; its header's
 *                length, op and zero are put right. A u64 with 0xfe on top is an address: bits
 * 55-48 are 0 for the arena, n for the n-th allocation; the rest is added. 0x1000       work ends
 * at once from here on    0x1001  work waits 0x1002       u16 operations of every stream end 0x1003
 * calls of the far end fail: u16 n, every (n+1)-th from here on; 0: none 0x1004       parked work
 * goes on                0x1005  the side lane gets time 0x1006       u16 host functions have run
 * 0x1007  u16: that chunk of the arena goes or comes
 *   0x1008       u16: words of the gate (see set_gate), and a ring
 *   0x1009       the gate's pages come, or new ones     0x100a  pvgpud goes
 *   0x100b       u16: microseconds that what is measured from here on took
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pvgpu_cublas.h"
#include "pvgpu_cublaslt.h"
#include "pvgpu_decode.h"
#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define STEPS_MAX   512
#define ALLOCS_MAX  64
#define CHUNK       (1u << 20)
#define PATIENCE    1000u
#define GROUPS      1000u
#define GRAPHS_MOST 2000u
#define GROUPS_AT   65536u

static struct {
	const uint8_t *at;
	size_t left;
	uint64_t alloc[ALLOCS_MAX];
	uint32_t allocs;
	uint32_t seen; /* records sent that were looked at */
	unsigned int patience;
} in;

/* At the arena's beginning, so that some loads succeed. */
static const char image[] = ".version 7.0\n.target sm_70\n.address_size 64\n";

static atomic_uint fail_every, calls;

static CUresult fail_some(const char *call)
{
	const unsigned int n = atomic_load(&fail_every);

	return n && !(atomic_fetch_add(&calls, 1) % (n + 1)) ? CUDA_ERROR_OUT_OF_MEMORY
							     : CUDA_SUCCESS;
}

static uint16_t take16(void)
{
	uint16_t v = 0;

	if (in.left < 2) {
		in.left = 0;
		return 0;
	}
	memcpy(&v, in.at, 2);
	in.at += 2;
	in.left -= 2;
	return v;
}

/* Addresses that allocations were answered with. */
static void look_at_replies(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	for (; in.seen < w->n_sent; in.seen++) {
		const struct fake_sent *s = &w->sent[in.seen];

		/* Sequence numbers of allocations carry a mark of ours. */
		if (s->hdr.seq >> 31 && !s->hdr.result && in.allocs < ALLOCS_MAX)
			memcpy(&in.alloc[in.allocs++], s->body, 8);
	}
	pthread_mutex_unlock(&w->lock);
}

static uint64_t address(struct worker *w, uint64_t token)
{
	const uint32_t n = (uint32_t)(token >> 48 & 0xff);
	const uint64_t add = token & 0xffffffffffff;

	if (!n)
		return w->arena_base + add;
	return n <= in.allocs ? in.alloc[n - 1] + add : add;
}

static bool record(struct worker *w, uint16_t op)
{
	const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(op);
	uint32_t len = take16();
	struct pvgpu_cmd_hdr *hdr;
	uint64_t *rec;
	bool on;

	if (len > in.left)
		len = (uint32_t)in.left;
	if (!d)
		return true;
	len &= ~7u;
	if (len < d->min_len || len > d->max_len || len < sizeof(*hdr)) {
		in.at += len;
		in.left -= len;
		return true;
	}
	rec = malloc(len); /* of just this size, for the sanitizer */
	memcpy(rec, in.at, len);
	in.at += len;
	in.left -= len;
	for (uint32_t i = 2; i < len / 8; i++) {
		if (rec[i] >> 56 == 0xfe)
			rec[i] = address(w, rec[i]);
	}
	hdr = (struct pvgpu_cmd_hdr *)rec;
	hdr->len = len;
	hdr->op = op;
	hdr->zero = 0;
	hdr->seq = (hdr->seq & 0x7fffffff) |
		   (op == PVGPU_OP_MEM_ALLOC || op == PVGPU_OP_MEM_RESERVE ? 1u << 31 : 0);
	on = gpu_submit(w, d, rec, len) != PVGPU_FATAL;
	gpu_pause(w);
	free(rec);
	return on;
}

/* A job may wait for what never comes: an input has so much patience in all, or on a busy machine
 * it takes minutes. */
static void side_time(struct worker *w)
{
	for (; in.patience && atomic_load(&w->gpu->side.jobs); in.patience--)
		sched_yield();
}

static void chunk(struct worker *w, uint16_t n)
{
	const uint64_t at = w->arena_base + (uint64_t)(n % 8) * CHUNK;

	if (chunks_contain(&w->gpu->arena.chunks, at, CHUNK))
		gpu_arena_remove(w, at, CHUNK);
	else if (!gpu_arena_add(w, at, CHUNK))
		gpu_arena_register(w, NULL);
}

/* ---- a library beside the driver, whose arrays are read to their ends ---- */

static cublasStatus_t lib_create(cublasHandle_t *h)
{
	if (fail_some("cublasCreate"))
		return CUBLAS_STATUS_ALLOC_FAILED;
	*h = malloc(1);
	return *h ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t lib_destroy(cublasHandle_t h)
{
	free(h);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lib_stream(cublasHandle_t h, CUstream s)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lib_mode(cublasHandle_t h, cublasPointerMode_t m)
{
	if (m > 1)
		abort();
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lib_grouped(cublasHandle_t h, const cublasOperation_t *ta,
				  const cublasOperation_t *tb, const int *m, const int *n,
				  const int *k, const float *alpha, const uint64_t *a,
				  const int *lda, const uint64_t *b, const int *ldb,
				  const float *beta, const uint64_t *c, const int *ldc, int count,
				  const int *size)
{
	float sum = 0;

	for (int i = 0; i < count; i++) {
		sum += alpha[i] * beta[i];
		if (ta[i] > 2 || tb[i] > 2 || m[i] < 0 || n[i] < 0 || k[i] < 0 || size[i] < 0 ||
		    lda[i] < (ta[i] ? k[i] : m[i]) || ldb[i] < (tb[i] ? n[i] : k[i]) ||
		    ldc[i] < m[i] || ldc[i] < 1)
			abort();
	}
	return sum != 0 || fail_some("cublas") ? CUBLAS_STATUS_EXECUTION_FAILED
					       : CUBLAS_STATUS_SUCCESS;
}

/* cuBLASLt, which takes the bytes of an algorithm on trust: all that come must be its own. */
static const cublasLtMatmulAlgo_t lt_known = {{0x6c74, 1, 2, 3, 4, 5, 6, 7}};

static cublasStatus_t lt_set(void *descriptor, int number, const void *value, size_t bytes)
{
	static volatile unsigned char last;

	last = ((const unsigned char *)value)[bytes - 1];
	((unsigned char *)descriptor)[0] = last;
	return fail_some("cublasLtSet") ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

#define LT_SET_OF(Name)                                                                            \
	static cublasStatus_t lt_set_##Name(cublasLt##Name##_t x, int n, const void *v, size_t b)  \
	{                                                                                          \
		return lt_set(x, n, v, b);                                                         \
	}
LT_SET_OF(MatmulDesc)
LT_SET_OF(MatrixLayout)
LT_SET_OF(MatrixTransformDesc)
LT_SET_OF(MatmulPreference)

static cublasStatus_t lt_init_op(cublasLtMatmulDesc_t x, size_t size, cublasComputeType_t compute,
				 cudaDataType_t scale)
{
	memset(x, 0, size);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_init_layout(cublasLtMatrixLayout_t x, size_t size, cudaDataType_t type,
				     uint64_t rows, uint64_t cols, int64_t ld)
{
	memset(x, 0, size);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_init_transform(cublasLtMatrixTransformDesc_t x, size_t size,
					cudaDataType_t scale)
{
	memset(x, 0, size);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_init_preference(cublasLtMatmulPreference_t x, size_t size)
{
	memset(x, 0, size);
	return CUBLAS_STATUS_SUCCESS;
}

static void lt_check(const cublasLtMatmulAlgo_t *algo)
{
	/* Its second word is a setting. */
	if (algo && (algo->data[0] != lt_known.data[0] ||
		     memcmp(&algo->data[2], &lt_known.data[2], 6 * sizeof(algo->data[0]))))
		abort();
}

static cublasStatus_t lt_matmul(cublasLtHandle_t h, cublasLtMatmulDesc_t op, const void *alpha,
				const void *A, cublasLtMatrixLayout_t a, const void *B,
				cublasLtMatrixLayout_t b, const void *beta, const void *C,
				cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
				const cublasLtMatmulAlgo_t *algo, void *workspace, size_t bytes,
				CUstream stream)
{
	lt_check(algo);
	if (!alpha || !beta)
		abort();
	return fail_some("cublasLtMatmul") ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_transform(cublasLtHandle_t h, cublasLtMatrixTransformDesc_t t,
				   const void *alpha, const void *A, cublasLtMatrixLayout_t a,
				   const void *beta, const void *B, cublasLtMatrixLayout_t b,
				   void *C, cublasLtMatrixLayout_t c, CUstream stream)
{
	if (!C || !c || (A && (!a || !alpha)) || (B && (!b || !beta)))
		abort();
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_heuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t op,
				   cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
				   cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
				   cublasLtMatmulPreference_t p, int most,
				   cublasLtMatmulHeuristicResult_t *results, int *count)
{
	for (*count = 0; *count < most; ++*count)
		results[*count].algo = lt_known;
	return fail_some("cublasLtHeuristic") ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_judge(cublasLtHandle_t h, cublasLtMatmulDesc_t op,
			       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
			       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
			       const cublasLtMatmulAlgo_t *algo,
			       cublasLtMatmulHeuristicResult_t *result)
{
	lt_check(algo);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_ids(cublasLtHandle_t h, cublasComputeType_t compute, cudaDataType_t scale,
			     cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cudaDataType_t d,
			     int most, int *ids, int *count)
{
	for (*count = 0; *count < most; ++*count)
		ids[*count] = *count;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_make(cublasLtHandle_t h, cublasComputeType_t compute, cudaDataType_t scale,
			      cudaDataType_t a, cudaDataType_t b, cudaDataType_t c,
			      cudaDataType_t d, int id, cublasLtMatmulAlgo_t *algo)
{
	*algo = lt_known;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_property(const cublasLtMatmulAlgo_t *algo, int number, void *to,
				  size_t bytes, size_t *written)
{
	lt_check(algo);
	memset(to, 0, bytes);
	*written = bytes + (number & 7);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_get_setting(const cublasLtMatmulAlgo_t *algo, int number, void *to,
				     size_t bytes, size_t *written)
{
	memcpy(to, &algo->data[1], bytes);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_set_setting(cublasLtMatmulAlgo_t *algo, int number, const void *from,
				     size_t bytes)
{
	memcpy(&algo->data[1], from, bytes);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t lt_create(cublasLtHandle_t *h)
{
	*h = malloc(1);
	return *h ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t lt_destroy(cublasLtHandle_t h)
{
	free(h);
	return CUBLAS_STATUS_SUCCESS;
}

static void lt_library(void)
{
	__typeof__(fake_far.far.lib.cublaslt) *l = &fake_far.far.lib.cublaslt;

	l->cublasLtCreate = lt_create;
	l->cublasLtDestroy = lt_destroy;
	l->cublasLtMatmul = lt_matmul;
	l->cublasLtMatrixTransform = lt_transform;
	l->cublasLtMatmulDescInit_internal = lt_init_op;
	l->cublasLtMatmulDescSetAttribute = lt_set_MatmulDesc;
	l->cublasLtMatrixLayoutInit_internal = lt_init_layout;
	l->cublasLtMatrixLayoutSetAttribute = lt_set_MatrixLayout;
	l->cublasLtMatrixTransformDescInit_internal = lt_init_transform;
	l->cublasLtMatrixTransformDescSetAttribute = lt_set_MatrixTransformDesc;
	l->cublasLtMatmulPreferenceInit_internal = lt_init_preference;
	l->cublasLtMatmulPreferenceSetAttribute = lt_set_MatmulPreference;
	l->cublasLtMatmulAlgoGetHeuristic = lt_heuristic;
	l->cublasLtMatmulAlgoCheck = lt_judge;
	l->cublasLtMatmulAlgoGetIds = lt_ids;
	l->cublasLtMatmulAlgoInit = lt_make;
	l->cublasLtMatmulAlgoCapGetAttribute = lt_property;
	l->cublasLtMatmulAlgoConfigGetAttribute = lt_get_setting;
	l->cublasLtMatmulAlgoConfigSetAttribute = lt_set_setting;
}

/* Also the numbers of so many groups, as a guest would have them in the arena, all right. */
static void library(struct worker *w)
{
	static const int value[] = {0, 0, 2, 2, 2, 0, 2, 2, 0, 2, 1};
	char *at = (char *)(uintptr_t)w->arena_base + GROUPS_AT;

	for (unsigned int i = 0; i < 11 * GROUPS; i++)
		memcpy(at + 4 * i, &value[i / GROUPS], 4);
	fake_far.far.lib.cublas.cublasCreate_v2 = lib_create;
	fake_far.far.lib.cublas.cublasDestroy_v2 = lib_destroy;
	fake_far.far.lib.cublas.cublasSetStream_v2 = lib_stream;
	fake_far.far.lib.cublas.cublasSetPointerMode_v2 = lib_mode;
	fake_far.far.lib.cublas.cublasSgemmGroupedBatched = lib_grouped;
	lt_library();
}

/* ---- pvgpud's side of the gate ---- */

static struct pvgpu_gate *gate;

static int page(void **at)
{
	const int fd = memfd_create("gate", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	*at = MAP_FAILED;
	if (fd < 0 || ftruncate(fd, 4096) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		abort();
	*at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*at == MAP_FAILED)
		abort();
	return fd;
}

static void pages_go(void)
{
	if (gate)
		munmap(gate, 4096);
	gate = NULL;
}

static void pages_come(struct worker *w)
{
	void *at, *report;
	const int fds[] = {page(&at), page(&report), eventfd(0, EFD_NONBLOCK)};
	char reason[160];

	if (gpu_gate_take(w, fds[0], fds[1], fds[2], reason, sizeof(reason)))
		abort();
	pages_go();
	gate = at;
	munmap(report, 4096);
	for (unsigned int i = 0; i < 3; i++)
		close(fds[i]);
}

/* Four bits each: open, contended, exclusive, learn; depth; commands, and bytes, beyond those so
 * far (15: no limit); milliseconds in flight. */
static void set_gate(struct worker *w, uint16_t v)
{
	const struct gate *t = &w->gpu->gate;
	const uint32_t more = v >> 8 & 15;

	if (!gate)
		return;
	gate->contended = v >> 1 & 1;
	gate->exclusive = v >> 2 & 1;
	gate->learn = v >> 3 & 1;
	gate->depth = v >> 4 & 15;
	gate->commands = more == 15 ? PVGPU_GATE_NO_LIMIT : t->commands + more;
	gate->bytes = more == 15 ? PVGPU_GATE_NO_LIMIT : t->bytes + more;
	gate->inflight_ns = (uint64_t)(v >> 12) * 1000000;
	gate->open = v & 1;
	gpu_gate_look(w, true);
	fake_kicked(w);
}

static bool step(struct worker *w)
{
	const uint16_t what = take16();

	switch (what) {
	case 0x1000:
		fake_far.manual = false;
		fake_complete(-1, UINT64_MAX);
		break;
	case 0x1001:
		fake_far.manual = true;
		break;
	case 0x1002:
		fake_complete(-1, take16());
		break;
	case 0x1003:
		atomic_store(&fail_every, take16());
		break;
	case 0x1004:
		fake_kicked(w);
		break;
	case 0x1005:
		side_time(w);
		look_at_replies(w);
		break;
	case 0x1006:
		callback_done(w, take16());
		break;
	case 0x1007:
		chunk(w, take16());
		break;
	case 0x1008:
		set_gate(w, take16());
		break;
	case 0x1009:
		pages_come(w);
		break;
	case 0x100a:
		gpu_gate_lost(w);
		break;
	case 0x100b:
		fake_far.elapsed_ms = (float)take16() / 1000;
		break;
	default:
		look_at_replies(w);
		return what > 0xfff || record(w, what);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct worker *w = fake_open(true);

	library(w);
	memset(&in, 0, sizeof(in));
	in.at = data;
	in.left = size;
	in.patience = PATIENCE;
	atomic_store(&fail_every, 0);
	fake_far.fail = fail_some;
	/* An event outlives its context when another context's stream waits for it. */
	fake_ctx_takes_events = true;
	fake_graphs_most = GRAPHS_MOST;
	memcpy((void *)(uintptr_t)w->arena_base, image, sizeof(image));
	for (unsigned int i = 0; i < STEPS_MAX && in.left && step(w); i++)
		;
	atomic_store(&fail_every, 0);
	fake_close(w);
	pages_go();
	return 0;
}
