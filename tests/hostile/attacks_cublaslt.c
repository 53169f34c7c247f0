/* SPDX-License-Identifier: MIT */
/* Products of cuBLASLt whose operands are not the session's, whose sizes wrap round, and whose
 * algorithms are forged: all are refused. */
#include "tests/hostile/attack.h"

#include "cublaslt/problem/problem.h"

#include <string.h>

enum { N = 16, BYTES = 4 * N * N };
#define LT PVGPU_HANDLE(PVGPU_H_CUBLASLT, 0, 0, 0)

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

static uint64_t end_of(const struct guest *g)
{
	return (g->memory[0] > g->memory[1] ? g->memory[0] : g->memory[1]) + MEMORY_SIZE;
}

/* Every place that a product has, with its last bytes outside and all of it outside. */
static void places(struct guest *g)
{
	const uint64_t bad[] = {end_of(g) - 4,      end_of(g),      1, 0x1000, UINT64_MAX - 3,
				g->device_base - 4, (uintptr_t)&bad};

	begin(g);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (int place = 0; place < 15; place++) {
			struct product k = right(g);
			uint64_t *const at[] = {&k.c.at_a,         &k.c.at_b,       &k.c.at_c,
						&k.c.at_d,         &k.c.workspace,  &k.p.op.bias,
						&k.p.op.aux,       &k.p.op.a_scale, &k.p.op.b_scale,
						&k.p.op.c_scale,   &k.p.op.d_scale, &k.p.op.amax,
						&k.p.op.aux_scale, &k.c.alpha,      &k.c.beta};

			k.c.workspace = g->memory[1];
			k.c.workspace_bytes = 4096;
			k.c.alpha = k.c.beta = g->memory[1];
			k.p.op.pointer_mode = LT_DEVICE;
			k.p.op.epilogue = LT_GELU | LT_AUX | LT_BIAS;
			k.p.op.bias = k.p.op.aux = g->memory[1];
			k.p.op.aux_ld = N;
			/* Factors of rows, so that the last four bytes do not hold them. */
			if (place >= 7 && place <= 12 && i == 0)
				continue;
			if (place >= 13 && i == 0)
				continue;
			*at[place] = bad[i];
			WANT(run(g, &k), "place %d at %#llx", place, (unsigned long long)bad[i]);
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
				WANT(run(g, &k), "field %d of matrix %d is %#llx", field, which,
				     (unsigned long long)large[i]);
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
	{"cublaslt_sizes", MEMORY, LIVES, sizes, 0},
	{"cublaslt_algorithms", MEMORY, LIVES, algorithms, 0},
	{"cublaslt_soup", MEMORY, LIVES, soup, 0},
	{0},
};
