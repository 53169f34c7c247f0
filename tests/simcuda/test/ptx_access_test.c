/* SPDX-License-Identifier: MIT */
/* Loads, stores and atomics of every type, in every space, in each order that they can ask for. */
#include "tests/simcuda/test/ptx_case.h"
#include "tests/simcuda/test/ptx_real.h"

#include <stdarg.h>

#define SIZE 2048

/* A text that grows. */
struct text {
	char s[65536];
	size_t n;
};

static void put(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->s + t->n, sizeof(t->s) - t->n, format, args);
	va_end(args);
	ck_assert_uint_lt(t->n, sizeof(t->s));
}

/* ---- loads and stores ---- */
static const struct type {
	const char *name;
	uint32_t bytes;
	char cls;
} types[] = {{"b8", 1, 'h'},  {"b16", 2, 'h'}, {"b32", 4, 'w'}, {"u8", 1, 'h'},  {"s8", 1, 'h'},
	     {"u16", 2, 'h'}, {"s16", 2, 'h'}, {"u32", 4, 'w'}, {"s32", 4, 'w'}, {"f32", 4, 'w'},
	     {"b64", 8, 'd'}, {"u64", 8, 'd'}, {"s64", 8, 'd'}, {"f64", 8, 'd'}};

static const char *elements(uint32_t count, char c)
{
	static char s[64];

	if (count == 1)
		snprintf(s, sizeof(s), "%%%c1", c);
	else if (count == 2)
		snprintf(s, sizeof(s), "{%%%c1, %%%c2}", c, c);
	else
		snprintf(s, sizeof(s), "{%%%c1, %%%c2, %%%c3, %%%c4}", c, c, c, c);
	return s;
}

/* How a space is named in an instruction, what its address is, and whether it can be written. */
static const struct place {
	const char *name, *address;
	bool fixed; /* has the first bytes of the source from the beginning */
} places[] = {
	{".global", "%d5", false},         {"", "%d5", false},
	{".shared", "sm", false},          {".shared::cta", "sm", false},
	{".shared::cluster", "sm", false}, {".local", "loc", false},
	{".const", "con", true},           {".param", "par", true},
	{".param::entry", "par", true},
};
#define FIXED 64

static void head(struct text *t)
{
	t->n = 0;
	put(t, PTX_HEAD ".const .align 16 .b8 con[%d] = {0", FIXED);
	for (int i = 1; i < FIXED; i++)
		put(t, ", %d", i * 7 & 255);
	put(t,
	    "};\n.visible .entry k(.param .u64 in, .param .u64 out, .param .u64 tmp, "
	    ".param .align 16 .b8 par[%d])\n{\n"
	    ".reg .pred %%p<8>;\n.reg .b16 %%h<8>;\n.reg .b32 %%w<8>;\n.reg .b64 %%d<8>;\n"
	    ".shared .align 16 .b8 sm[%d];\n.local .align 16 .b8 loc[%d];\n"
	    "ld.param.u64 %%d6, [in];\nld.param.u64 %%d7, [out];\nld.param.u64 %%d5, [tmp];\n",
	    FIXED, SIZE, SIZE);
}

/* Runs the text; the output must be the first n bytes of the input, and in front of them what it
 * was. */
static void copies(struct text *t, const uint8_t *want, size_t n)
{
	struct ptx_world w;
	uint8_t *in, *out;

	put(t, "ret;\n}\n");
	world_open(&w, t->s);
	in = world_alloc(&w, SIZE);
	out = world_alloc(&w, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		in[i] = (uint8_t)(i * 7);
	w.launch.block[0] = 1;
	world_param_ptr(&w, 0, in);
	world_param_ptr(&w, 1, out);
	world_param_ptr(&w, 2, world_alloc(&w, SIZE));
	world_param(&w, 3, in);
	world_run_ok(&w);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(out[i] == want[i], "byte %zu is %#x, not %#x:\n%s", i, out[i],
			      want[i], t->s);
	world_close(&w);
}

/*
 * Each type, alone and as a vector, from the input through the place to the output, in rows of 16
 * bytes; ld and st: what stands between the instruction and the space.
 */
static void through(const struct place *p, const char *ld, const char *st, const char *after,
		    uint32_t most)
{
	static struct text t;
	uint8_t want[SIZE] = {0};
	uint32_t row = 0;

	head(&t);
	for (size_t i = 0; i < CASE_COUNT(types); i++) {
		for (uint32_t count = 1; count <= most && count * types[i].bytes <= 16;
		     count *= 2, row += 16) {
			const char *regs = elements(count, types[i].cls);
			const char *v = count == 1 ? "" : count == 2 ? ".v2" : ".v4";
			const uint32_t at = p->fixed ? row % FIXED : row;

			if (!p->fixed) {
				put(&t, "ld.global%s.%s %s, [%%d6+%u];\n", v, types[i].name, regs,
				    row);
				put(&t, "st%s%s%s.%s [%s+%u], %s;\n", st, p->name, v, types[i].name,
				    p->address, row, regs);
			}
			put(&t, "ld%s%s%s%s.%s %s, [%s+%u];\n", ld, p->name, after, v,
			    types[i].name, regs, p->address, at);
			put(&t, "st.global%s.%s [%%d7+%u], %s;\n", v, types[i].name, row, regs);
			for (uint32_t b = 0; b < count * types[i].bytes; b++)
				want[row + b] = (uint8_t)((at + b) * 7);
		}
	}
	ck_assert_uint_le(row, SIZE);
	copies(&t, want, row);
}

static const char *const scopes[] = {"", ".cta", ".cluster", ".gpu", ".sys"};

START_TEST(loads_and_stores)
{
	const struct place *p = &places[_i];
	char ld[32], st[32];

	through(p, "", "", "", 4);
	if (!p->fixed && strcmp(p->name, ".local")) {
		through(p, ".weak", ".weak", "", 4);
		through(p, ".volatile", ".volatile", "", 4);
		for (size_t k = 1; k < CASE_COUNT(scopes); k++) {
			snprintf(ld, sizeof(ld), ".relaxed%s", scopes[k]);
			through(p, ld, ld, "", 4);
			snprintf(ld, sizeof(ld), ".acquire%s", scopes[k]);
			snprintf(st, sizeof(st), ".release%s", scopes[k]);
			through(p, ld, st, "", 4);
		}
	}
	if (!strcmp(p->name, ".global")) {
		through(p, "", "", ".nc", 4);
		through(p, ".mmio.relaxed.sys", ".mmio.relaxed.sys", "", 1);
		through(p, "u", "", "", 4);
	}
	if (!*p->name) {
		through(p, ".mmio.relaxed.sys", ".mmio.relaxed.sys", "", 1);
		through(p, "u", "", "", 4);
	}
}
END_TEST

/* Arguments and results of functions, by both names of their space. */
START_TEST(parameters_of_functions)
{
	static struct text t, entry;
	uint8_t want[SIZE] = {0};
	uint32_t row = 0;

	for (int named = 0; named < 2; named++) {
		const char *space = named ? ".param::func" : ".param";

		head(&entry);
		t.n = 0;
		put(&t,
		    PTX_HEAD
		    ".func (.param .align 16 .b8 r[16]) same(.param .align 16 .b8 a[16])\n{\n"
		    ".reg .b64 %%x<3>;\nld%s.v2.u64 {%%x1, %%x2}, [a];\n"
		    "st%s.v2.u64 [r], {%%x1, %%x2};\nret.uni;\n}\n",
		    space, space);
		put(&t, "%s", strstr(entry.s, ".const")); /* behind the function */
		row = 0;
		for (size_t i = 0; i < CASE_COUNT(types); i++, row += 16) {
			const char *regs = elements(1, types[i].cls);

			put(&t,
			    "ld.global.%s %s, [%%d6+%u];\n{ .param .align 16 .b8 p[16]; .param "
			    ".align 16 .b8 q[16];\n",
			    types[i].name, regs, row);
			put(&t,
			    "st%s.v2.u64 [p], {0, 0};\nst%s.%s [p], %s;\ncall.uni (q), same, "
			    "(p);\nld%s.%s %s, [q]; }\n",
			    space, space, types[i].name, regs, space, types[i].name, regs);
			put(&t, "st.global.%s [%%d7+%u], %s;\n", types[i].name, row, regs);
			for (uint32_t b = 0; b < types[i].bytes; b++)
				want[row + b] = (uint8_t)((row + b) * 7);
		}
		copies(&t, want, row);
	}
}
END_TEST

/* ---- atomics ---- */
static const struct atom {
	const char *op, *type;
	uint32_t bytes;
	char cls;
	bool has_red;
} atoms[] = {
	{"add", "u32", 4, 'w', true},        {"add", "s32", 4, 'w', true},
	{"add", "u64", 8, 'd', true},        {"add", "s64", 8, 'd', true},
	{"add", "f32", 4, 'w', true},        {"add", "f64", 8, 'd', true},
	{"add.noftz", "f16", 2, 'h', true},  {"add.noftz", "f16x2", 4, 'w', true},
	{"add.noftz", "bf16", 2, 'h', true}, {"add.noftz", "bf16x2", 4, 'w', true},
	{"min", "u32", 4, 'w', true},        {"min", "s32", 4, 'w', true},
	{"min", "u64", 8, 'd', true},        {"min", "s64", 8, 'd', true},
	{"max", "u32", 4, 'w', true},        {"max", "s32", 4, 'w', true},
	{"max", "u64", 8, 'd', true},        {"max", "s64", 8, 'd', true},
	{"and", "b32", 4, 'w', true},        {"and", "b64", 8, 'd', true},
	{"or", "b32", 4, 'w', true},         {"or", "b64", 8, 'd', true},
	{"xor", "b32", 4, 'w', true},        {"xor", "b64", 8, 'd', true},
	{"exch", "b32", 4, 'w', false},      {"exch", "b64", 8, 'd', false},
	{"inc", "u32", 4, 'w', true},        {"dec", "u32", 4, 'w', true},
	{"cas", "b16", 2, 'h', false},       {"cas", "b32", 4, 'w', false},
	{"cas", "b64", 8, 'd', false},
};
#define ATOMS CASE_COUNT(atoms)
/* Memory, second and third operand, 24 bytes each. */
static const uint64_t operands[][3] = {
	{0x3c003f803f800000ull, 0x4048123440490fdbull, 0x1122334455667788ull},
	{5, 5, 0xffffffffffffffffull},
	{0xffffffff80000000ull, 0x7fffffffffffffffull, 3},
	{0x8000000000000001ull, 0x8000000000000000ull, 0x8000000000000001ull},
	{0x7bff7bff7f7f7f7full, 0x3c0000013f807f7full, 0},
	{0x4000000100000007ull, 0x0000000300000007ull, 9},
};

static uint64_t cut(uint64_t v, uint32_t bytes)
{
	return bytes == 8 ? v : v & ((1ull << 8 * bytes) - 1);
}

static uint64_t sum(const char *type, uint64_t a, uint64_t b, uint32_t bytes)
{
	static const struct format *const formats[] = {&f16, &bf16, &f32, &f64};
	uint64_t r = 0;

	for (size_t i = 0; i < CASE_COUNT(formats); i++) {
		const struct format *f = formats[i];
		const size_t len = strlen(f->name);
		const uint64_t mask = f->bits == 64 ? UINT64_MAX : (1ull << f->bits) - 1;

		if (strncmp(type, f->name, len))
			continue;
		for (uint32_t at = 0; at < 8 * bytes; at += (uint32_t)f->bits)
			r |= real_to(f,
				     real_add(real_from(f, a >> at & mask),
					      real_from(f, b >> at & mask), TO_NEAREST),
				     TO_NEAREST)
			     << at;
		return r;
	}
	return cut(a + b, bytes);
}

static bool below(const char *type, uint64_t a, uint64_t b)
{
	if (type[0] == 'u')
		return a < b;
	return !strcmp(type, "s32") ? (int32_t)a < (int32_t)b : (int64_t)a < (int64_t)b;
}

/* What memory holds afterwards. */
static uint64_t after(const struct atom *o, uint64_t m, uint64_t b, uint64_t c)
{
	m = cut(m, o->bytes);
	b = cut(b, o->bytes);
	switch (o->op[0]) {
	case 'a':
		return o->op[1] == 'd' ? sum(o->type, m, b, o->bytes) : m & b;
	case 'm':
		return below(o->type, m, b) == (o->op[1] == 'i') ? m : b;
	case 'o':
		return m | b;
	case 'x':
		return m ^ b;
	case 'e':
		return b;
	case 'i':
		return m >= b ? 0 : m + 1;
	case 'd':
		return m == 0 || m > b ? b : m - 1;
	default:
		return m == b ? cut(c, o->bytes) : m;
	}
}

/* Each atomic once on memory of its own; what it gives and what it leaves. */
static void run_atoms(const char *insn, const char *order, const struct place *p,
		      const uint64_t x[3])
{
	static struct text t;
	struct ptx_world w;
	uint64_t *out;

	head(&t);
	put(&t, "ld.global.u64 %%d1, [%%d6];\nld.global.u64 %%d2, [%%d6+8];\nld.global.u64 %%d3, "
		"[%%d6+16];\n"
		"cvt.u32.u64 %%w2, %%d2;\ncvt.u32.u64 %%w3, %%d3;\ncvt.u16.u64 %%h2, "
		"%%d2;\ncvt.u16.u64 %%h3, %%d3;\n");
	for (uint32_t i = 0; i < ATOMS; i++) {
		const struct atom *o = &atoms[i];
		const bool red = *insn == 'r';
		char result[8] = "";

		if (red && !o->has_red)
			continue;
		if (!red)
			snprintf(result, sizeof(result), "%%%c1, ", o->cls);
		put(&t, "st%s.u64 [%s+%u], %%d1;\n%s%s%s.%s.%s %s[%s+%u], %%%c2%s%c%s;\n", p->name,
		    p->address, 8 * i, insn, order, p->name, o->op, o->type, result, p->address,
		    8 * i, o->cls, *o->op == 'c' ? ", %" : "", *o->op == 'c' ? o->cls : ' ',
		    *o->op == 'c' ? "3" : "");
		put(&t, "ld%s.u64 %%d4, [%s+%u];\nst.global.u64 [%%d7+%u], %%d4;\n", p->name,
		    p->address, 8 * i, 16 * i);
		put(&t, "st.global.u64 [%%d7+%u], %%d1;\n", 16 * i + 8);
		if (!red)
			put(&t, "st.global.b%u [%%d7+%u], %%%c1;\nld.global.u64 %%d1, [%%d6];\n",
			    8 * o->bytes, 16 * i + 8, o->cls);
	}
	put(&t, "ret;\n}\n");
	world_open(&w, t.s);
	memcpy(world_alloc(&w, SIZE), x, 24);
	out = world_alloc(&w, SIZE);
	w.launch.block[0] = 1;
	world_param_ptr(&w, 0, w.mem + (w.used - 2 * SIZE));
	world_param_ptr(&w, 1, out);
	world_param_ptr(&w, 2, world_alloc(&w, SIZE));
	world_run_ok(&w);
	for (uint32_t i = 0; i < ATOMS; i++) {
		const struct atom *o = &atoms[i];
		const uint64_t kept = x[0] & ~cut(UINT64_MAX, o->bytes);
		char what[128];

		if (*insn == 'r' && !o->has_red)
			continue;
		snprintf(what, sizeof(what), "%s%s%s.%s.%s", insn, order, p->name, o->op, o->type);
		if (strcmp(o->type, "f64") || !bits_are_nan(&f64, out[2 * i]))
			expect_value(what, x, out[2 * i], kept | after(o, x[0], x[1], x[2]));
		else /* its payload is free */
			ck_assert(bits_are_nan(&f64, after(o, x[0], x[1], x[2])));
		if (*insn == 'a')
			expect_value(what, x, cut(out[2 * i + 1], o->bytes), cut(x[0], o->bytes));
	}
	world_close(&w);
}

START_TEST(atomics)
{
	static const char *const orders[] = {"", ".relaxed", ".acquire", ".release", ".acq_rel"};
	const struct place *p = &places[_i];
	char order[32];

	for (size_t k = 0; k < CASE_COUNT(orders) * CASE_COUNT(scopes); k++) {
		const size_t how = k / CASE_COUNT(scopes);

		snprintf(order, sizeof(order), "%s%s", orders[how], scopes[k % CASE_COUNT(scopes)]);
		for (size_t n = 0; n < (k ? 1 : CASE_COUNT(operands)); n++) {
			run_atoms("atom", order, p, operands[n]);
			if (how != 2 && how != 4)
				run_atoms("red", order, p, operands[n]);
		}
	}
}
END_TEST

/* ---- addresses, and what only orders or hints ---- */
START_TEST(addresses)
{
	static const struct {
		const char *space, *name;
		uint32_t is; /* bit by bit, which of the spaces below it is in */
	} of[] = {{"global", "glo", 1},         {"shared", "sm", 2 + 4},
		  {"shared::cta", "sm", 2 + 4}, {"shared::cluster", "sm", 2 + 4},
		  {"local", "loc", 8},          {"const", "con", 16},
		  {"param", "par", 32 + 64},    {"param::entry", "par", 32 + 64}};
	static const char *const asked[] = {"global", "shared", "shared::cta",  "local",
					    "const",  "param",  "param::entry", "shared::cluster"};
	static struct text t;
	struct ptx_world w;
	uint32_t *out;

	for (size_t i = 0; i < CASE_COUNT(of); i++) {
		head(&t);
		put(&t,
		    ".global .align 8 .b64 glo;\nmov.u64 %%d1, %s;\ncvta.%s.u64 %%d2, "
		    "%%d1;\ncvta.to.%s.u64 %%d3, %%d2;\n"
		    "setp.eq.u64 %%p1, %%d1, %%d3;\nselp.u32 %%w1, 1, 0, %%p1;\nst.global.u32 "
		    "[%%d7], %%w1;\n",
		    of[i].name, of[i].space, of[i].space);
		for (uint32_t k = 0; k < CASE_COUNT(asked); k++)
			put(&t,
			    "isspacep.%s %%p1, %%d2;\nselp.u32 %%w1, 1, 0, %%p1;\nst.global.u32 "
			    "[%%d7+%u], %%w1;\n",
			    asked[k], 4 * k + 4);
		put(&t, "ret;\n}\n");
		world_open(&w, t.s);
		out = world_alloc(&w, SIZE);
		w.launch.block[0] = 1;
		world_param_ptr(&w, 1, out);
		world_run_ok(&w);
		ck_assert_msg(out[0] == 1, "%s: there and back again", of[i].space);
		for (uint32_t k = 0; k < CASE_COUNT(asked); k++) {
			/* the block's shared memory is a part of its cluster's; a constant is in
			 * the global window */
			bool want = k == 7 ? of[i].is & 2 : of[i].is >> k & 1;

			if (!strcmp(of[i].space, "const") ||
			    (k == 4 && !strcmp(of[i].space, "global")))
				continue;
			ck_assert_msg(out[k + 1] == want, "isspacep.%s of %s is %u", asked[k],
				      of[i].space, out[k + 1]);
		}
		world_close(&w);
	}
}
END_TEST

START_TEST(orders_and_hints)
{
	static const char *const text[] = {"membar.cta",
					   "membar.gl",
					   "membar.sys",
					   "fence.cta",
					   "fence.cluster",
					   "fence.gpu",
					   "fence.sys",
					   "fence.sc.cta",
					   "fence.sc.cluster",
					   "fence.sc.gpu",
					   "fence.sc.sys",
					   "fence.acq_rel.cta",
					   "fence.acq_rel.cluster",
					   "fence.acq_rel.gpu",
					   "fence.acq_rel.sys",
					   "fence.proxy.alias",
					   "fence.proxy.async",
					   "fence.proxy.async.global",
					   "fence.proxy.async.shared::cta",
					   "fence.proxy.async.shared::cluster",
					   "fence.mbarrier_init.release.cluster",
					   "griddepcontrol.wait",
					   "griddepcontrol.launch_dependents",
					   "setmaxnreg.inc.sync.aligned.u32 64",
					   "setmaxnreg.dec.sync.aligned.u32 32",
					   "pmevent.mask 3",
					   "prefetch.L1 [%d5]",
					   "prefetch.L2 [%d5]",
					   "prefetch.global.L1 [%d5]",
					   "prefetch.global.L2 [%d5]",
					   "prefetch.local.L1 [loc]",
					   "prefetch.local.L2 [loc]",
					   "prefetch.global.L2::evict_last [%d5]",
					   "prefetch.global.L2::evict_normal [%d5]",
					   "prefetchu.L1 [%d5]",
					   "applypriority.L2::evict_normal [%d5], 128",
					   "applypriority.global.L2::evict_normal [%d5], 128",
					   "pmevent 3",
					   "nanosleep.u32 10"};
	static struct text t;
	uint8_t want[8];

	head(&t);
	put(&t, "ld.global.u64 %%d1, [%%d6];\nst.global.u64 [%%d5], %%d1;\n");
	for (size_t i = 0; i < CASE_COUNT(text); i++)
		put(&t, "%s;\n", text[i]);
	put(&t, "ld.global.u64 %%d1, [%%d5];\nst.global.u64 [%%d7], %%d1;\n"
		/* what is discarded may be anything */
		"discard.L2::128B [%%d5], 128;\ndiscard.global.L2::128B [%%d5], 128;\n");
	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 7);
	copies(&t, want, sizeof(want));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_access");
	TCase *t = tcase_create("accesses");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, loads_and_stores, 0, (int)CASE_COUNT(places));
	tcase_add_test(t, parameters_of_functions);
	tcase_add_loop_test(t, atomics, 0, 5);
	tcase_add_test(t, addresses);
	tcase_add_test(t, orders_and_hints);
	suite_add_tcase(s, t);
	return run_suite(s);
}
