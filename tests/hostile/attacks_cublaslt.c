/* SPDX-License-Identifier: MIT */
/* Products of cuBLASLt whose operands are not the session's, whose sizes wrap round, and whose
 * algorithms are forged: all are refused. */
#include "tests/hostile/attack.h"

#include "cublaslt/problem/problem.h"

#include <string.h>

enum { N = 16, BYTES = 4 * N * N };
#define INVALID 1 /* CUDA_ERROR_INVALID_VALUE: the worker's own refusal */
#define UNKNOWN 999
#define LT      PVGPU_HANDLE(PVGPU_H_CUBLASLT, 0, 0, 0)

/* The variable parts of the record. */
struct parts {
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout l[4];
	struct pvgpu_lt_emulation emulation;
	struct pvgpu_lt_algo algo;
};

struct product {
	struct pvgpu_wire_cublas_lt_matmul c;
	struct parts p;
};

/* One that is right. */
static struct product right(const struct guest *g)
{
	struct product k = {
		.c = {HDR(cublas_lt_matmul, CUBLAS_LT_MATMUL), .ctx = g->ctx, .handle = LT,
		      .at_a = g->memory[0], .at_b = g->memory[0] + BYTES,
		      .at_c = g->memory[0] + 2 * BYTES, .at_d = g->memory[0] + 3 * BYTES,
		      .operation_len = sizeof(k.p.op), .a_layout_len = sizeof(k.p.l[0]),
		      .b_layout_len = sizeof(k.p.l[0]), .c_layout_len = sizeof(k.p.l[0]),
		      .d_layout_len = sizeof(k.p.l[0]), .emulation_len = sizeof(k.p.emulation)}};

	lt_operation_begin(&k.p.op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	for (int i = 0; i < 4; i++)
		lt_layout_begin(&k.p.l[i], CUDA_R_32F, N, N, N);
	lt_emulation_begin(&k.p.emulation);
	return k;
}

/* Its error comes with the next synchronising call. */
static int run(struct guest *g, struct product *k)
{
	const uint32_t len = sizeof(k->p) - (k->c.algo_len ? 0 : sizeof(k->p.algo));

	k->c.hdr.len = sizeof(k->c);
	return guest_post_parts(g, &k->c, &k->p, len)
		       ? CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx)
		       : ENDED;
}

static void begin(struct guest *g)
{
	struct product k = right(g);

	WANT(!CALL(g, cublas_lt_create, CUBLAS_LT_CREATE, .ctx = g->ctx, .lightHandle = LT),
	     "no handle");
	WANT(!run(g, &k), "a right product is refused");
}

enum { PLACES = 17, FACTORS = 9 };

/* With an operand of each kind. */
static struct product full(const struct guest *g)
{
	struct product k = right(g);

	k.c.workspace = g->memory[1];
	k.c.workspace_bytes = 4096;
	k.c.alpha = k.c.beta = g->memory[1];
	k.p.op.pointer_mode = LT_DEVICE;
	k.p.op.epilogue = LT_GELU | LT_AUX | LT_BIAS;
	k.p.op.bias = k.p.op.aux = g->memory[1];
	k.p.op.aux_ld = N;
	return k;
}

static uint64_t *place_of(struct product *k, int place)
{
	uint64_t *const at[PLACES] = {&k->c.alpha,       &k->c.beta,          &k->c.at_a,
				      &k->c.at_b,        &k->c.at_c,          &k->c.at_d,
				      &k->c.workspace,   &k->p.op.bias,       &k->p.op.aux,
				      &k->p.op.a_scale,  &k->p.op.b_scale,    &k->p.op.c_scale,
				      &k->p.op.d_scale,  &k->p.op.amax,       &k->p.op.aux_scale,
				      &k->p.op.aux_amax, &k->p.op.d_out_scale};

	return at[place];
}

/* How many bytes are read or written there, by the worker's own function. */
static uint64_t bytes_at(struct product k, int place)
{
	const struct lt_problem p = {&k.p.op,   &k.p.l[0], &k.p.l[1],
				     &k.p.l[2], &k.p.l[3], &k.p.emulation};
	const uint64_t mark = 1ull << 60;
	struct lt_places at;
	struct lt_ranges r;

	*place_of(&k, place) = mark;
	at = (struct lt_places){k.c.alpha, k.c.beta, k.c.at_a,      k.c.at_b,
				k.c.at_c,  k.c.at_d, k.c.workspace, k.c.workspace_bytes};
	lt_product_ranges(&r, &p, &at, false);
	for (unsigned int i = 0; i < r.count; i++)
		if (r.range[i].at == mark)
			return r.range[i].bytes;
	die("nothing is at place %d", place);
}

/* Every place that a product has: up to the end of its memory, one byte further, and elsewhere. */
static void places(struct guest *g)
{
	const uint64_t end = g->memory[1] + MEMORY_SIZE;
	const uint64_t bad[] = {
		end, 1, 0x1000, UINT64_MAX - 3, g->device_base - 4, (uintptr_t)&bad};

	begin(g);
	for (int place = 0; place < PLACES; place++) {
		struct product k = full(g);
		uint64_t bytes;
		int got;

		/* Factors go with types of 8 bits. */
		if (place >= FACTORS) {
			k.p.op.transa = CUBLAS_OP_T;
			k.p.l[0].type = k.p.l[1].type = LT_E4M3;
		}
		bytes = bytes_at(k, place);
		/* The library may not have what the worker lets through. */
		*place_of(&k, place) = end - bytes;
		got = run(g, &k);
		WANT(!got || (place == PLACES - 1 && got == UNKNOWN),
		     "%d for the last bytes as place %d", got, place);
		*place_of(&k, place) = end - bytes + 1;
		got = run(g, &k);
		WANT(got == INVALID, "%d for a byte too few at place %d", got, place);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			*place_of(&k, place) = bad[i];
			got = run(g, &k);
			WANT(got == INVALID, "%d with place %d at %#llx", got, place,
			     (unsigned long long)bad[i]);
		}
	}
}

/* Epilogues that no library has, of which one part needs more memory than the other; and auxiliary
 * matrices whose columns lie on each other, which a library may take apart. */
static void epilogues(struct guest *g)
{
	const uint64_t end = g->memory[1] + MEMORY_SIZE;
	struct product k;

	begin(g);
	for (int64_t ld = -1; ld <= N; ld++) {
		k = full(g);
		k.p.op.aux_ld = ld;
		k.p.op.aux = end - 4 * (uint64_t)(ld * (N - 1) + N);
		WANT(run(g, &k) == (ld < N ? INVALID : 0), "columns %lld apart", (long long)ld);
	}
	k = full(g);
	k.p.op.epilogue = LT_RELU | LT_GELU | LT_AUX;
	k.p.op.aux = end - N * N / 8;
	WANT(run(g, &k) == INVALID, "bits where there are to be numbers");
	for (int i = 1; i < 4; i++) {
		k = full(g);
		k.p.op.epilogue = LT_BIAS | LT_BGRADB;
		k.p.l[1].cols = k.p.l[2].cols = k.p.l[3].cols = 1;
		k.p.op.bias = end - 4 * i;
		WANT(run(g, &k) == INVALID, "a bias of %d numbers", i);
	}
}

/* ---- transforms ---- */

struct transform {
	struct pvgpu_wire_cublas_lt_transform c;
	struct {
		struct pvgpu_lt_transform op;
		struct pvgpu_lt_layout l[3];
	} p;
};

static struct transform turned(const struct guest *g)
{
	struct transform k = {
		.c = {HDR(cublas_lt_transform, CUBLAS_LT_TRANSFORM), .ctx = g->ctx, .handle = LT,
		      .alpha = g->memory[1], .beta = g->memory[1], .at_a = g->memory[0],
		      .at_b = g->memory[0] + BYTES, .at_c = g->memory[0] + 2 * BYTES,
		      .transform_len = sizeof(k.p.op), .a_layout_len = sizeof(k.p.l[0]),
		      .b_layout_len = sizeof(k.p.l[0]), .c_layout_len = sizeof(k.p.l[0])}};

	lt_transform_begin(&k.p.op, CUDA_R_32F);
	k.p.op.pointer_mode = LT_DEVICE;
	for (int i = 0; i < 3; i++)
		lt_layout_begin(&k.p.l[i], CUDA_R_32F, N, N, N);
	return k;
}

static int turn(struct guest *g, struct transform *k)
{
	k->c.hdr.len = sizeof(k->c);
	return guest_post_parts(g, &k->c, &k->p, sizeof(k->p))
		       ? CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx)
		       : ENDED;
}

static void transforms(struct guest *g)
{
	static const int64_t large[] = {1ll << 31, 1ll << 40, 1ll << 62, INT64_MAX, INT64_MIN, -1};
	const uint64_t end = g->memory[1] + MEMORY_SIZE;

	begin(g);
	for (int place = 0; place < 5; place++)
		for (uint64_t more = 0; more < 2; more++) {
			struct transform k = turned(g);
			uint64_t *const at[] = {&k.c.at_a, &k.c.at_b, &k.c.at_c, &k.c.alpha,
						&k.c.beta};

			*at[place] = end - (place < 3 ? BYTES : 4) + more;
			WANT(turn(g, &k) == (more ? INVALID : 0), "place %d, %llu too far", place,
			     (unsigned long long)more);
		}
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		for (int which = 0; which < 12; which++) {
			struct transform k = turned(g);
			struct pvgpu_lt_layout *l = &k.p.l[which % 3];

			if (which < 3)
				l->rows = (uint64_t)large[i];
			else if (which < 6)
				l->cols = (uint64_t)large[i];
			else if (which < 9)
				l->ld = large[i];
			else
				l->batch_stride = large[i];
			for (int j = 0; which >= 9 && j < 3; j++)
				k.p.l[j].batch_count = INT32_MAX;
			WANT(turn(g, &k) == INVALID, "field %d is %lld", which,
			     (long long)large[i]);
		}
}

/* Sizes whose products wrap round 64 bits, or that no matrix has. */
static void sizes(struct guest *g)
{
	static const uint64_t large[] = {1ull << 31, 1ull << 32, 1ull << 40,        1ull << 62,
					 1ull << 63, UINT64_MAX, UINT64_MAX / 4 + 1};

	begin(g);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		for (int which = 0; which < 4; which++)
			for (int field = 0; field < 6; field++) {
				struct product k = right(g);
				struct pvgpu_lt_layout *l = &k.p.l[which];

				if (field == 0)
					l->rows = large[i];
				else if (field == 1)
					l->cols = large[i];
				else if (field == 2)
					l->ld = (int64_t)large[i];
				else if (field == 3)
					l->plane_offset = (int64_t)large[i];
				else
					l->batch_stride = (int64_t)large[i];
				for (int j = 0; field >= 4 && j < 4; j++)
					k.p.l[j].batch_count = field == 4 ? 2 : INT32_MAX;
				WANT(run(g, &k) == INVALID, "field %d of matrix %d is %#llx", field,
				     which, (unsigned long long)large[i]);
			}
	for (int32_t type = -3; type < 64; type++) {
		struct product k = right(g);

		k.p.l[3].type = type;
		k.p.l[3].order = 7;
		WANT(run(g, &k), "an order that there is not");
	}
}

/* Algorithms that nobody gave out, and bytes that look like the library's. */
static void algorithms(struct guest *g)
{
	begin(g);
	for (int i = 0; i < 200; i++) {
		struct product k = right(g);

		k.c.algo_len = sizeof(k.p.algo);
		k.p.algo.entry = i < 64 ? 1ull << i : (uint64_t)attack_random() << 32 | (unsigned)i;
		k.p.algo.id = (int32_t)attack_random();
		k.p.algo.tile = attack_random();
		WANT(run(g, &k), "entry %#llx", (unsigned long long)k.p.algo.entry);
	}
}

/* Whatever the descriptors hold, the session must live, and its neighbours too. */
static void soup(struct guest *g)
{
	begin(g);
	for (int i = 0; i < 2000; i++) {
		struct product k = right(g);
		uint32_t *words = (uint32_t *)(void *)&k.p;
		const size_t count = (sizeof(k.p) - sizeof(k.p.algo)) / sizeof(*words);

		for (uint32_t n = attack_random() % 6; n; n--)
			words[attack_random() % count] =
				attack_random() % 3 ? attack_random() % 40 : attack_random();
		WANT(run(g, &k) != ENDED, "the session has ended");
	}
}

const struct attack attacks_cublaslt[] = {
	{"cublaslt_places", MEMORY, LIVES, places, 0},
	{"cublaslt_epilogues", MEMORY, LIVES, epilogues, 0},
	{"cublaslt_transforms", MEMORY, LIVES, transforms, 0},
	{"cublaslt_sizes", MEMORY, LIVES, sizes, 0},
	{"cublaslt_algorithms", MEMORY, LIVES, algorithms, 0},
	{"cublaslt_soup", MEMORY, LIVES, soup, 0},
	{0},
};
