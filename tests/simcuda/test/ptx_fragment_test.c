/* SPDX-License-Identifier: MIT */
/* Matrices between memory and the registers of a warp: wmma, ldmatrix, stmatrix, movmatrix. */
#include "tests/simcuda/test/ptx_elem.h"

/* ---- wmma: matrices in memory ---- */
#define AREA 6144u /* bytes of each matrix */

static void store_at(uint8_t *mem, enum elem t, uint32_t n, double v)
{
	const uint32_t bits = elems[t].bits;
	uint64_t e = encoded(t, v);

	if (bits >= 8)
		memcpy(mem + (size_t)n * bits / 8, &e, bits / 8);
	else
		mem[n * bits / 8] |= (uint8_t)(e << n * bits % 8);
}

static double load_at(const uint8_t *mem, enum elem t, uint32_t n)
{
	uint64_t e = 0;

	memcpy(&e, mem + (size_t)n * elems[t].bits / 8, elems[t].bits / 8);
	return decoded(t, e);
}

struct fragments {
	const char *shape;
	uint32_t m, n, k;
	enum elem d, a, b, c;
	uint32_t regs[4]; /* of a, b, c, d */
	const char *before, *behind;
};

static const struct fragments fragments[] = {
	{"m16n16k16", 16, 16, 16, F32, F16, F16, F32, {8, 8, 8, 8}, "", ""},
	{"m16n16k16", 16, 16, 16, F16, F16, F16, F16, {8, 8, 4, 4}, "", ""},
	{"m8n32k16", 8, 32, 16, F16, F16, F16, F32, {8, 8, 8, 4}, "", ""},
	{"m32n8k16", 32, 8, 16, F32, F16, F16, F16, {8, 8, 4, 8}, "", ""},
	{"m16n16k16", 16, 16, 16, F32, BF16, BF16, F32, {4, 4, 8, 8}, "", ""},
	{"m8n32k16", 8, 32, 16, F32, BF16, BF16, F32, {2, 8, 8, 8}, "", ""},
	{"m32n8k16", 32, 8, 16, F32, BF16, BF16, F32, {8, 2, 8, 8}, "", ""},
	{"m16n16k8", 16, 16, 8, F32, TF32, TF32, F32, {4, 4, 8, 8}, "", ""},
	{"m8n8k4", 8, 8, 4, F64, F64, F64, F64, {1, 1, 2, 2}, ".rn", ""},
	{"m8n8k4", 8, 8, 4, F64, F64, F64, F64, {1, 1, 2, 2}, "", ""},
	{"m16n16k16", 16, 16, 16, S32, S8, S8, S32, {2, 2, 8, 8}, "", ""},
	{"m8n32k16", 8, 32, 16, S32, U8, S8, S32, {1, 4, 8, 8}, "", ""},
	{"m32n8k16", 32, 8, 16, S32, S8, U8, S32, {4, 1, 8, 8}, "", ".satfinite"},
	{"m8n8k32", 8, 8, 32, S32, S4, U4, S32, {1, 1, 2, 2}, "", ""},
	{"m8n8k32", 8, 8, 32, S32, U4, S4, S32, {1, 1, 2, 2}, "", ".satfinite"},
	{"m8n8k128", 8, 8, 128, S32, B1, B1, S32, {1, 1, 2, 2}, ".xor.popc", ""},
	{"m8n8k128", 8, 8, 128, S32, B1, B1, S32, {1, 1, 2, 2}, ".and.popc", ""},
};

static size_t move_text(char *to, size_t size, const struct fragments *f, const char *what,
			bool col, enum elem t, char name, uint32_t regs, const char *space,
			uint32_t stride)
{
	bool store = what[0] == 's';
	char list[128];

	list_registers(list, sizeof(list), name, regs);
	if (store)
		return (size_t)snprintf(
			to, size, "wmma.%s.sync.aligned.%s.%s%s.%s [%%q%c], %s, %u;\n", what,
			col ? "col" : "row", f->shape, space, elems[t].name, name, list, stride);
	return (size_t)snprintf(to, size,
				".reg .b%d %%%c<%d>;\nwmma.%s.sync.aligned.%s.%s%s.%s %s, "
				"[%%q%c], %u;\n",
				t == F64 ? 64 : 32, name, REGS, what, col ? "col" : "row", f->shape,
				space, elems[t].name, list, name, stride);
}

static void wmma_mma(char *to, size_t size, const struct fragments *f, bool col_a, bool col_b)
{
	static const char names[] = "abcd";
	char list[4][128], types[64];

	for (int i = 0; i < 4; i++)
		list_registers(list[i], sizeof(list[i]), names[i], f->regs[i]);
	if (f->a == F16)
		snprintf(types, sizeof(types), "%s.%s", elems[f->d].name, elems[f->c].name);
	else
		snprintf(types, sizeof(types), "%s.%s.%s.%s", elems[f->d].name, elems[f->a].name,
			 elems[f->b].name, elems[f->c].name);
	snprintf(to, size, "wmma.mma%s.sync.aligned.%s.%s.%s%s.%s%s %s, %s, %s, %s;\n",
		 f->before[1] == 'x' || f->before[1] == 'a' ? f->before : "", col_a ? "col" : "row",
		 col_b ? "col" : "row", f->shape, f->before[1] == 'r' ? f->before : "", types,
		 f->behind, list[3], list[0], list[1], list[2]);
}

/* All matrices from one place to the other, by all lanes. */
static size_t copy_text(char *to, size_t size, const char *from, const char *at, int label)
{
	return (size_t)snprintf(
		to, size,
		"{\n.reg .b64 %%s, %%e, %%t;\n.reg .b32 %%v;\n.reg .pred %%m;\n"
		"mov.u64 %%s, %s;\nmov.u64 %%e, %s;\nmov.u32 %%v, %%tid.x;\n"
		"mul.wide.u32 %%t, %%v, 4;\nL%d:\nadd.u64 %%qs, %%s, %%t;\n"
		"add.u64 %%qe, %%e, %%t;\nld.u32 %%v, [%%qs];\nst.u32 [%%qe], %%v;\n"
		"add.u64 %%t, %%t, 128;\nsetp.lt.u64 %%m, %%t, %u;\n@%%m bra L%d;\n"
		"}\nbar.sync 0;\n",
		from, at, label, 4 * AREA, label);
}

static void wmma_text(char *to, size_t size, const struct fragments *f, const bool col[4],
		      const uint32_t stride[4], const char *space)
{
	const bool shared = space[1] == 's';
	size_t n = (size_t)snprintf(
		to, size,
		PTX_HEAD ".shared .align 32 .b8 sh[%u];\n"
			 ".visible .entry k(.param .u64 at)\n{\n"
			 ".reg .b64 %%qa, %%qb, %%qc, %%qd, %%qs, %%qe, %%qi, %%qx, %%qg;\n"
			 ".reg .b%d %%d<%d>;\nld.param.u64 %%qi, [at];\nmov.u64 %%qx, sh;\n"
			 "cvta.shared.u64 %%qg, %%qx;\n",
		shared ? 4 * AREA : 4, f->d == F64 ? 64 : 32, REGS);

	if (shared)
		n += copy_text(to + n, size - n, "%qi", "%qg", 1);
	n += (size_t)snprintf(to + n, size - n,
			      "mov.u64 %%qa, %s;\nadd.u64 %%qb, %%qa, %u;\n"
			      "add.u64 %%qc, %%qb, %u;\nadd.u64 %%qd, %%qc, %u;\n",
			      shared ? "%qx" : "%qi", AREA, AREA, AREA);
	n += move_text(to + n, size - n, f, "load.a", col[0], f->a, 'a', f->regs[0], space,
		       stride[0]);
	n += move_text(to + n, size - n, f, "load.b", col[1], f->b, 'b', f->regs[1], space,
		       stride[1]);
	n += move_text(to + n, size - n, f, "load.c", col[2], f->c, 'c', f->regs[2], space,
		       stride[2]);
	wmma_mma(to + n, size - n, f, col[0], col[1]);
	n += strlen(to + n);
	n += move_text(to + n, size - n, f, "store.d", col[3], f->d, 'd', f->regs[3], space,
		       stride[3]);
	if (shared)
		n += copy_text(to + n, size - n, "%qg", "%qi", 2);
	snprintf(to + n, size - n, "ret;\n}\n");
}

static double wmma_value(const struct fragments *f, double (*a)[128], double (*b)[32], uint32_t r,
			 uint32_t c, double sum)
{
	for (uint32_t k = 0; k < f->k; k++) {
		const double x = a[r][k], y = b[k][c];

		sum += f->a != B1 ? x * y : f->before[1] == 'x' ? x != y : x && y;
	}
	return f->d == S32 ? limited(sum, f->behind) : sum;
}

static void check_fragments(const struct fragments *f, const bool col[4], const char *space)
{
	static double a[32][128], b[128][32], c[32][32];
	const uint32_t pad = f->a == F64 ? 2 : 32;
	const uint32_t rows[4] = {f->m, f->k, f->m, f->m}, cols[4] = {f->k, f->n, f->n, f->n};
	uint32_t stride[4];
	char text[4096];
	struct ptx_world w;
	uint8_t *mem;

	for (int i = 0; i < 4; i++)
		stride[i] = (col[i] ? rows[i] : cols[i]) + (i < 2 ? pad : 4);
	wmma_text(text, sizeof(text), f, col, stride, space);
	world_open(&w, text);
	mem = world_alloc(&w, 4 * AREA);
	for (uint32_t r = 0; r < 128; r++) {
		for (uint32_t n = 0; n < 128; n++) {
			if (r < f->m && n < f->k)
				store_at(mem, f->a, col[0] ? n * stride[0] + r : r * stride[0] + n,
					 a[r][n] = any_value(f->a));
			if (r < f->k && n < f->n)
				store_at(mem + AREA, f->b,
					 col[1] ? n * stride[1] + r : r * stride[1] + n,
					 b[r][n] = any_value(f->b));
			if (r < f->m && n < f->n)
				store_at(mem + 2 * AREA, f->c,
					 col[2] ? n * stride[2] + r : r * stride[2] + n,
					 c[r][n] = any_value(f->c));
		}
	}
	world_param_ptr(&w, 0, mem);
	world_run_ok(&w);
	for (uint32_t r = 0; r < f->m; r++) {
		for (uint32_t n = 0; n < f->n; n++) {
			double want = wmma_value(f, a, b, r, n, c[r][n]);
			double got = load_at(mem + 3 * AREA, f->d,
					     col[3] ? n * stride[3] + r : r * stride[3] + n);

			ck_assert_msg(got == want, "%s\nrow %u, column %u is %g, not %g", text, r,
				      n, got, want);
		}
	}
	world_close(&w);
}

START_TEST(fragments_in_memory)
{
	static const char *const spaces[] = {"", ".global", ".shared", ".shared::cta"};
	const struct fragments *f = &fragments[_i];

	for (int n = 0; n < 16; n++) {
		/* of less than a byte each, rows of A and columns of B alone */
		bool fixed = elems[f->a].bits < 8;
		const bool col[4] = {!fixed && n & 1, fixed || n & 2, n & 4, n & 8};

		check_fragments(f, col, spaces[n % 4]);
	}
}
END_TEST

/* ---- rows of 8 x 8 matrices ---- */
static void matrix_text(char *to, size_t size, const char *insn, uint32_t count, bool store)
{
	char list[64];

	list_registers(list, sizeof(list), 'r', count);
	snprintf(to, size,
		 PTX_HEAD ".shared .align 16 .b8 sh[512];\n"
			  ".visible .entry k(.param .u64 at)\n{\n.reg .b64 %%d<4>;\n"
			  ".reg .b32 %%r<4>, %%w<8>;\nld.param.u64 %%d0, [at];\n"
			  "mov.u32 %%w0, %%tid.x;\nmad.wide.u32 %%d0, %%w0, 16, %%d0;\n"
			  "mov.u32 %%w1, sh;\nmad.lo.u32 %%w1, %%w0, 16, %%w1;\n"
			  "ld.global.v4.u32 {%%r0, %%r1, %%r2, %%r3}, [%%d0];\n%s%s%s%s%s%s;\n%s"
			  "st.global.v4.u32 [%%d0], {%%r0, %%r1, %%r2, %%r3};\nret;\n}\n",
		 store ? "" : "st.shared.v4.u32 [%w1], {%r0, %r1, %r2, %r3};\nbar.sync 0;\n", insn,
		 store ? " [%w1], " : " ", list, store ? "" : ", [%w1]", "",
		 store ? "bar.sync 0;\nld.shared.v4.u32 {%r0, %r1, %r2, %r3}, [%w1];\n" : "");
}

/* Loading: row r of matrix k lies in the 16 bytes of lane 8k+r; storing puts it there. */
static void check_rows(const char *insn, uint32_t count, bool trans, bool store)
{
	uint16_t matrix[4][8][8], *mem;
	uint32_t regs[32][4];
	struct ptx_world w;
	char text[2048];

	matrix_text(text, sizeof(text), insn, count, store);
	world_open(&w, text);
	mem = world_alloc(&w, 512);
	for (uint32_t i = 0; i < 256; i++)
		matrix[i / 64][i / 8 % 8][i % 8] = (uint16_t)rnd(65536);
	memset(regs, 0, sizeof(regs));
	for (uint32_t lane = 0; lane < 32; lane++) {
		const uint32_t r = lane / 4, c = lane % 4 * 2;

		for (uint32_t k = 0; k < count; k++)
			regs[lane][k] =
				(trans ? matrix[k][c][r] : matrix[k][r][c]) |
				(uint32_t)(trans ? matrix[k][c + 1][r] : matrix[k][r][c + 1]) << 16;
	}
	memcpy(mem, store ? (void *)regs : (void *)matrix, 512);
	world_param_ptr(&w, 0, mem);
	world_run_ok(&w);
	for (uint32_t lane = 0; lane < 32; lane++) {
		const void *want = store ? (void *)matrix[lane / 8][lane % 8] : (void *)regs[lane];
		const size_t bytes = store ? (lane / 8 < count ? 16 : 0) : 4 * count;

		ck_assert_msg(!memcmp(mem + 8 * lane, want, bytes), "%s: lane %u", insn, lane);
	}
	world_close(&w);
}

START_TEST(rows_of_matrices)
{
	for (uint32_t count = 1; count <= 4; count *= 2) {
		for (int n = 0; n < 8; n++) {
			bool trans = n & 1, store = n & 2;
			char insn[96];

			snprintf(insn, sizeof(insn), "%smatrix.sync.aligned.m8n8.x%u%s%s.b16",
				 store ? "st" : "ld", count, trans ? ".trans" : "",
				 n & 4 ? ".shared::cta" : ".shared");
			check_rows(insn, count, trans, store);
		}
	}
}
END_TEST

/* movmatrix: twice is nothing; once is what stmatrix and a transposed ldmatrix do. */
START_TEST(transposed_in_registers)
{
	static uint64_t in[32][3], out[32];

	for (uint32_t l = 0; l < 32; l++)
		in[l][0] = (2 * l + 1) << 16 | 2 * l; /* element (r, c) is 8r + c */
	run_threads("movmatrix.sync.aligned.m8n8.trans.b16 %w3, %w0;", 'w',
		    (const uint64_t(*)[3])in, out, 32);
	for (uint32_t l = 0; l < 32; l++) {
		uint32_t r = l / 4, c = l % 4 * 2;

		ck_assert_uint_eq(out[l], (8 * (c + 1) + r) << 16 | (8 * c + r));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_fragment");
	TCase *t = tcase_create("matrix");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, fragments_in_memory, 0, (int)CASE_COUNT(fragments));
	tcase_add_test(t, rows_of_matrices);
	tcase_add_test(t, transposed_in_registers);
	suite_add_tcase(s, t);
	return run_suite(s);
}
