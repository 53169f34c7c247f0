/* SPDX-License-Identifier: MIT */
/*
 * Matrices in the registers of a warp against products computed here. Where an element lies is
 * written as the manual has it, shape by shape.
 */
#include "tests/simcuda/test/ptx_elem.h"

struct product {
	const char *shape, *tail; /* behind the shape: layouts; behind the types: more */
	uint32_t m, n, k;
	enum elem d, a, b, c;
};

struct spot {
	uint32_t row, col;
};

static struct spot spot_a(const struct product *p, uint32_t lane, uint32_t i)
{
	const uint32_t g = lane >> 2, t = lane & 3, each = 32 / elems[p->a].bits;
	uint32_t half; /* elements of a register, or one of the 64-bit ones */

	if (p->m == 8)
		return (struct spot){g, each ? t * each + i : t};
	half = each ? each : 1;
	switch (i / half) {
	case 0:
		return (struct spot){g, t * half + i % half};
	case 1:
		return (struct spot){g + 8, t * half + i % half};
	case 2:
		return (struct spot){g, t * half + i % half + 4 * half};
	case 3:
		return (struct spot){g + 8, t * half + i % half + 4 * half};
	default: /* f64 of k 16 alone */
		return (struct spot){i % 2 ? g + 8 : g, t + i / 2 * 4};
	}
}

static struct spot spot_b(const struct product *p, uint32_t lane, uint32_t i)
{
	const uint32_t each = elems[p->b].bits > 32 ? 1 : 32 / elems[p->b].bits;

	return (struct spot){(lane & 3) * each + i % each + i / each * 4 * each, lane >> 2};
}

static struct spot spot_c(const struct product *p, uint32_t lane, uint32_t i)
{
	return (struct spot){(lane >> 2) + (i < 2 ? 0 : 8), (lane & 3) * 2 + (i & 1)};
}

static void put(uint64_t *regs, enum elem t, uint32_t i, uint64_t v)
{
	const uint32_t bits = elems[t].bits, each = bits > 32 ? 1 : 32 / bits;

	regs[i / each] |= v << (bits > 32 ? 0 : i % each * bits);
}

static uint64_t get(const uint64_t *regs, enum elem t, uint32_t i)
{
	const uint32_t bits = elems[t].bits, each = bits > 32 ? 1 : 32 / bits;

	return bits > 32 ? regs[i] : regs[i / each] >> (i % each * bits) & (~0ull >> (64 - bits));
}

/* What each lane has of A, B, C and, afterwards, D. */
struct lanes {
	uint64_t a[32][REGS], b[32][REGS], c[32][REGS], d[32][REGS];
};

static uint32_t registers(enum elem t, uint32_t elements)
{
	return elems[t].bits > 32 ? elements : elements * elems[t].bits / 32;
}

static size_t load_registers(char *to, size_t size, enum elem t, char name, uint32_t count,
			     uint32_t at)
{
	size_t n =
		(size_t)snprintf(to, size, ".reg .b%d %%%c<%d>;\n", t == F64 ? 64 : 32, name, REGS);

	for (uint32_t i = 0; i < count; i++)
		n += (size_t)snprintf(to + n, size - n, "ld.global.b%d %%%c%u, [%%q0+%u];\n",
				      t == F64 ? 64 : 32, name, i, at + 8 * i);
	return n;
}

/* The statement `insn D, A, B, C;` on registers as they are in l; rows of 4 * REGS words a lane. */
static void run_product(const char *insn, const struct product *p, struct lanes *l,
			const uint32_t elements[4])
{
	static const char names[] = "xyzu"; /* a b c d */
	const enum elem types[] = {p->a, p->b, p->c, p->d};
	char text[8192], one[4][128];
	uint64_t(*mem)[4][REGS];
	struct ptx_world w;
	size_t n;

	n = (size_t)snprintf(text, sizeof(text),
			     PTX_HEAD ".visible .entry k(.param .u64 at)\n{\n.reg .b64 %%q<2>;\n"
				      ".reg .b32 %%t;\nld.param.u64 %%q0, [at];\n"
				      "mov.u32 %%t, %%tid.x;\nmad.wide.u32 %%q0, %%t, %d, %%q0;\n",
			     4 * REGS * 8);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t count = registers(types[i], elements[i]);

		n += load_registers(text + n, sizeof(text) - n, types[i], names[i],
				    i < 3 ? count : 0, i * REGS * 8);
		list_registers(one[i], sizeof(one[i]), names[i], count);
	}
	n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s, %s, %s, %s;\n", insn, one[3],
			      one[0], one[1], one[2]);
	for (uint32_t i = 0; i < registers(p->d, elements[3]); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "st.global.b%d [%%q0+%d], %%u%u;\n", p->d == F64 ? 64 : 32,
				      3 * REGS * 8 + 8 * (int)i, i);
	snprintf(text + n, sizeof(text) - n, "ret;\n}\n");
	world_open(&w, text);
	mem = world_alloc(&w, 32 * sizeof(*mem));
	for (int k = 0; k < 32; k++) {
		memcpy(mem[k][0], l->a[k], sizeof(l->a[k]));
		memcpy(mem[k][1], l->b[k], sizeof(l->b[k]));
		memcpy(mem[k][2], l->c[k], sizeof(l->c[k]));
	}
	world_param_ptr(&w, 0, mem);
	world_run_ok(&w);
	for (int k = 0; k < 32; k++)
		memcpy(l->d[k], mem[k][3], sizeof(l->d[k]));
	world_close(&w);
}

static double dot(const char *insn, const struct product *p, double (*a)[256], double (*b)[8],
		  uint32_t r, uint32_t c, double sum)
{
	for (uint32_t k = 0; k < p->k; k++) {
		const double x = a[r][k], y = b[k][c];

		sum += p->a != B1 ? x * y : strstr(insn, "xor") ? x != y : x && y;
	}
	return p->d == S32 ? limited(sum, insn) : sum;
}

static void check_product(const char *insn, const struct product *p)
{
	const uint32_t elements[4] = {p->m * p->k / 32, p->k * p->n / 32, p->m * p->n / 32,
				      p->m * p->n / 32};
	static double a[16][256], b[256][8], c[16][8];
	struct lanes l;

	memset(&l, 0, sizeof(l));
	for (uint32_t lane = 0; lane < 32; lane++) {
		for (uint32_t i = 0; i < elements[0]; i++) {
			struct spot s = spot_a(p, lane, i);

			a[s.row][s.col] = any_value(p->a);
			put(l.a[lane], p->a, i, encoded(p->a, a[s.row][s.col]));
		}
		for (uint32_t i = 0; i < elements[1]; i++) {
			struct spot s = spot_b(p, lane, i);

			b[s.row][s.col] = any_value(p->b);
			put(l.b[lane], p->b, i, encoded(p->b, b[s.row][s.col]));
		}
		for (uint32_t i = 0; i < elements[2]; i++) {
			struct spot s = spot_c(p, lane, i);

			c[s.row][s.col] = p->c == S32 && rnd(4) == 0
						  ? (rnd(2) ? INT32_MAX : INT32_MIN)
						  : any_value(p->c);
			put(l.c[lane], p->c, i, encoded(p->c, c[s.row][s.col]));
		}
	}
	run_product(insn, p, &l, elements);
	for (uint32_t lane = 0; lane < 32; lane++) {
		for (uint32_t i = 0; i < elements[3]; i++) {
			struct spot s = spot_c(p, lane, i);
			double got = decoded(p->d, get(l.d[lane], p->d, i));
			double want = dot(insn, p, a, b, s.row, s.col, c[s.row][s.col]);

			ck_assert_msg(got == want, "%s: row %u, column %u is %g, not %g", insn,
				      s.row, s.col, got, want);
		}
	}
}

static const struct product products[] = {
	{"m16n8k8", "", 16, 8, 8, F16, F16, F16, F16},
	{"m16n8k8", "", 16, 8, 8, F32, F16, F16, F32},
	{"m16n8k16", "", 16, 8, 16, F16, F16, F16, F16},
	{"m16n8k16", "", 16, 8, 16, F32, F16, F16, F32},
	{"m16n8k8", "", 16, 8, 8, F32, BF16, BF16, F32},
	{"m16n8k16", "", 16, 8, 16, F32, BF16, BF16, F32},
	{"m16n8k4", "", 16, 8, 4, F32, TF32, TF32, F32},
	{"m16n8k8", "", 16, 8, 8, F32, TF32, TF32, F32},
	{"m8n8k4", "", 8, 8, 4, F64, F64, F64, F64},
	{"m16n8k4", "", 16, 8, 4, F64, F64, F64, F64},
	{"m16n8k8", "", 16, 8, 8, F64, F64, F64, F64},
	{"m16n8k16", "", 16, 8, 16, F64, F64, F64, F64},
	{"m16n8k16", "", 16, 8, 16, F32, E4M3, E5M2, F32},
	{"m16n8k32", "", 16, 8, 32, F32, E4M3, E4M3, F32},
	{"m16n8k32", "", 16, 8, 32, F32, E5M2, E5M2, F32},
	{"m16n8k32", "", 16, 8, 32, F16, E5M2, E4M3, F16},
	{"m8n8k16", "", 8, 8, 16, S32, S8, S8, S32},
	{"m8n8k16", "", 8, 8, 16, S32, U8, S8, S32},
	{"m16n8k16", "", 16, 8, 16, S32, S8, U8, S32},
	{"m16n8k32", "", 16, 8, 32, S32, S8, S8, S32},
	{"m16n8k32", "", 16, 8, 32, S32, U8, U8, S32},
	{"m16n8k32", ".satfinite", 16, 8, 32, S32, U8, U8, S32},
	{"m8n8k16", ".satfinite", 8, 8, 16, S32, S8, U8, S32},
	{"m8n8k32", "", 8, 8, 32, S32, S4, S4, S32},
	{"m16n8k32", "", 16, 8, 32, S32, U4, S4, S32},
	{"m16n8k64", "", 16, 8, 64, S32, S4, U4, S32},
	{"m16n8k64", ".satfinite", 16, 8, 64, S32, U4, U4, S32},
	{"m8n8k128", ".xor.popc", 8, 8, 128, S32, B1, B1, S32},
	{"m16n8k128", ".and.popc", 16, 8, 128, S32, B1, B1, S32},
	{"m16n8k256", ".xor.popc", 16, 8, 256, S32, B1, B1, S32},
	{"m16n8k256", ".and.popc", 16, 8, 256, S32, B1, B1, S32},
};

START_TEST(products_of_groups)
{
	const struct product *p = &products[_i];
	bool before = !strcmp(p->tail, ".satfinite");
	char insn[160];

	snprintf(insn, sizeof(insn), "mma.sync.aligned.%s.row.col%s.%s.%s.%s.%s%s", p->shape,
		 before ? p->tail : "", elems[p->d].name, elems[p->a].name, elems[p->b].name,
		 elems[p->c].name, before ? "" : p->tail);
	for (int n = 0; n < 4; n++)
		check_product(insn, p);
}
END_TEST

/* ---- the oldest shape: four products, of lanes 4q to 4q+3 and 16+4q to 16+4q+3 ---- */
static struct spot old_a(bool col, uint32_t lane, uint32_t i)
{
	return col ? (struct spot){i + (lane < 16 ? 0 : 4), lane % 4}
		   : (struct spot){lane % 4 + (lane < 16 ? 0 : 4), i};
}

static struct spot old_b(bool col, uint32_t lane, uint32_t i)
{
	return col ? (struct spot){i, lane % 4 + (lane < 16 ? 0 : 4)}
		   : (struct spot){lane % 4, i + (lane < 16 ? 0 : 4)};
}

static struct spot old_c(enum elem t, uint32_t lane, uint32_t i)
{
	const uint32_t x = (lane & 1) + (i & 2);

	if (t == F16)
		return (struct spot){lane % 4 + (lane < 16 ? 0 : 4), i};
	return (struct spot){lane < 16 ? x : x + 4, (i & 4) + (lane & 2) + (i & 1)};
}

START_TEST(products_of_quads)
{
	static const uint32_t elements[4] = {4, 4, 8, 8};
	const bool col_a = _i & 1, col_b = _i & 2;
	const struct product p = {.m = 8,
				  .n = 8,
				  .k = 4,
				  .d = _i & 4 ? F16 : F32,
				  .a = F16,
				  .b = F16,
				  .c = _i & 8 ? F16 : F32};
	static double a[4][8][256], b[4][4][8], c[4][8][8];
	struct lanes l;
	char insn[128];

	memset(&l, 0, sizeof(l));
	snprintf(insn, sizeof(insn), "mma.sync.aligned.m8n8k4.%s.%s.%s.f16.f16.%s",
		 col_a ? "col" : "row", col_b ? "col" : "row", elems[p.d].name, elems[p.c].name);
	for (uint32_t lane = 0; lane < 32; lane++) {
		const uint32_t q = lane % 16 / 4;

		for (uint32_t i = 0; i < 4; i++) {
			struct spot s = old_a(col_a, lane, i), t = old_b(col_b, lane, i);

			a[q][s.row][s.col] = any_value(F16);
			put(l.a[lane], F16, i, encoded(F16, a[q][s.row][s.col]));
			b[q][t.row][t.col] = any_value(F16);
			put(l.b[lane], F16, i, encoded(F16, b[q][t.row][t.col]));
		}
		for (uint32_t i = 0; i < 8; i++) {
			struct spot s = old_c(p.c, lane, i);

			c[q][s.row][s.col] = any_value(p.c);
			put(l.c[lane], p.c, i, encoded(p.c, c[q][s.row][s.col]));
		}
	}
	run_product(insn, &p, &l, elements);
	for (uint32_t lane = 0; lane < 32; lane++) {
		const uint32_t q = lane % 16 / 4;

		for (uint32_t i = 0; i < 8; i++) {
			struct spot s = old_c(p.d, lane, i);
			double want = dot(insn, &p, a[q], b[q], s.row, s.col, c[q][s.row][s.col]);
			double got = decoded(p.d, get(l.d[lane], p.d, i));

			ck_assert_msg(got == want, "%s: lane %u, element %u is %g, not %g", insn,
				      lane, i, got, want);
		}
	}
}
END_TEST

/* Values that A's element (0, 0) and B's column have; the rest is 0. */
START_TEST(special_values)
{
	static const struct {
		double a, b, c;
		uint32_t want;
	} cases[] = {
		{INFINITY, 1, 0, 0x7f800000},
		{INFINITY, 0, 0, 0x7fffffff},
		{INFINITY, 1, -INFINITY, 0x7fffffff},
		{1, 1, INFINITY, 0x7f800000},
		{1.0009765625, 1.0009765625, 0, 0x3f804008},
		{1, 0x1p-14, 1, 0x3f800200},
		{1, 0x1p-14, 0x1p24, 0x4b800000},
	};
	static const struct product p = {"", "", 16, 8, 16, F32, F16, F16, F32};
	static const uint32_t elements[4] = {8, 4, 4, 4};

	for (size_t n = 0; n < CASE_COUNT(cases); n++) {
		struct lanes l;

		memset(&l, 0, sizeof(l));
		put(l.a[0], F16, 0, isinf(cases[n].a) ? 0x7c00 : encoded(F16, cases[n].a));
		put(l.b[0], F16, 0, encoded(F16, cases[n].b));
		put(l.c[0], F32, 0,
		    isinf(cases[n].c) ? (cases[n].c < 0 ? 0xff800000u : 0x7f800000u)
				      : encoded(F32, cases[n].c));
		run_product("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", &p, &l, elements);
		ck_assert_msg((uint32_t)l.d[0][0] == cases[n].want, "case %zu: %#x, not %#x", n,
			      (uint32_t)l.d[0][0], cases[n].want);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_matrix");
	TCase *t = tcase_create("matrix");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, products_of_groups, 0, (int)CASE_COUNT(products));
	tcase_add_loop_test(t, products_of_quads, 0, 16);
	tcase_add_test(t, special_values);
	suite_add_tcase(s, t);
	return run_suite(s);
}
