/* SPDX-License-Identifier: MIT */
/* The table of instructions: the decoders know each form that it allows. */
#include "tests/simcuda/ptx/isa.h"
#include "tests/simcuda/test/ptx_case.h"

/* One of these fits each form; the last one that did is tried first. */
static const char *const operands[] = {
	"%w3, %w0, %w1",
	"%h3, %h0, %h1",
	"%d3, %d0, %d1",
	"%w3, %w0",
	"%h3, %h0",
	"%d3, %d0",
	"%p3, %p0",
	"%p3, %p0, %p1",
	"%w3, %w0, %w1, %w2",
	"%h3, %h0, %h1, %h2",
	"%d3, %d0, %d1, %d2",
	"%p3, %w0, %w1",
	"%p3, %h0, %h1",
	"%p3, %d0, %d1",
	"%p3, %w0, %w1, %p0",
	"%p3, %h0, %h1, %p0",
	"%p3, %d0, %d1, %p0",
	"%p3|%p4, %w0, %w1",
	"%w3, %h0, %h1",
	"%w3, %d0, %d1",
	"%w3, %w0, %w1, %p0",
	"%w3, %h0, %h1, %p0",
	"%w3, %d0, %d1, %p0",
	"%h3, %h0, %h1, %p0",
	"%d3, %d0, %d1, %p0",
	"%h3, %h0, %h1, %w0",
	"%d3, %d0, %d1, %w0",
	"%h3, %h0, %w0",
	"%d3, %d0, %w0",
	"%w3, %h0",
	"%w3, %d0",
	"%h3, %w0",
	"%h3, %d0",
	"%d3, %w0",
	"%d3, %h0",
	"%p3, %w0",
	"%p3, %d0",
	"%w3, %h0, %h1, %w0",
	"%d3, %w0, %w1, %d0",
	"%d3, %d0, %w0, %w1",
	"%w3, %w0, %w1, %w2, 7",
	"%w3, %w0, %w1, %w2, %w4",
	"%d3, %d0, %d1, %w0, %w1",
	"%d3, %w0, %w1",
	"%w3, [%d0]",
	"%h3, [%d0]",
	"%d3, [%d0]",
	"{%w3, %w4}, [%d0]",
	"{%h3, %h4}, [%d0]",
	"{%d3, %d4}, [%d0]",
	"{%w3, %w4, %w5, %w6}, [%d0]",
	"{%h3, %h4, %h5, %h6}, [%d0]",
	"[%d0], %w0",
	"[%d0], %h0",
	"[%d0], %d1",
	"[%d0], {%w0, %w1}",
	"[%d0], {%h0, %h1}",
	"[%d0], {%d1, %d2}",
	"[%d0], {%w0, %w1, %w2, %w4}",
	"[%d0], {%h0, %h1, %h2, %h4}",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0}]",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1}]",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1, %w2, %w2}]",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0}], %w1",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1}], %w1",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1, %w2, %w2}], %w1",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0}], {%w1}, {%w1}",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1}], {%w1}, {%w1}",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1}], {%w1, %w2}, {%w1, %w2}",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1, %w2, %w2}], {%w1, %w2}, {%w1, %w2}",
	"{%w3, %w4, %w5, %w6}, [%d0, {%w0, %w1, %w2, %w2}], {%w1, %w2, %w2, %w2}, {%w1, %w2, %w2, "
	"%w2}",
	"%h3, [%d0, {%w0}]",
	"%h3, [%d0, {%w0, %w1}]",
	"%h3, [%d0, {%w0, %w1, %w2, %w2}]",
	"%w3, [%d0, {%w0}]",
	"%d3, [%d0, {%w0}]",
	"%d3, [%d0, {%w0, %w1}]",
	"%d3, [%d0, {%w0, %w1, %w2, %w2}]",
	"{%h3, %h4}, [%d0, {%w0}]",
	"{%h3, %h4, %h5, %h6}, [%d0, {%w0}]",
	"{%d3, %d4}, [%d0, {%w0}]",
	"[%d0, {%w0}], %w1",
	"[%d0, {%w0}], %h1",
	"[%d0, {%w0, %w1}], %h1",
	"[%d0, {%w0, %w1, %w2, %w2}], %h1",
	"[%d0, {%w0}], {%h1, %h2}",
	"[%d0, {%w0}], {%h1, %h2, %h3, %h4}",
	"[%d0, {%w0}], %d1",
	"[%d0, {%w0, %w1}], %d1",
	"[%d0, {%w0, %w1, %w2, %w2}], %d1",
	"[%d0, {%w0}], {%d1, %d2}",
	"%w3, [%d0], %w0",
	"%h3, [%d0], %h0",
	"%d3, [%d0], %d1",
	"%w3, [%d0], %w0, %w1",
	"%h3, [%d0], %h0, %h1",
	"%d3, [%d0], %d1, %d2",
	"[%d0]",
	"[%d0], 128",
	"",
	"L",
	"%w0, T",
	"f",
	"%w0",
	"0",
	"0, 32",
	"%w3, 0, %p0",
	"%p3, 0, %p0",
	"%p3, %p0, -1",
	"%w3, %p0, -1",
	"%w3, %p0",
	"%w3, %w0, -1",
	"%w3, %d0, -1",
	"%w3",
	"%w3|%p3, -1",
	"{%w3, %w4}, {%w0, %w1}",
	"{%h3, %h4}, {%h0, %h1}",
	"{%d3, %d4}, {%d0, %d1}",
	"{%w3, %w4, %w5, %w6}, {%w0, %w1, %w2, %w3}",
	"{%h3, %h4, %h5, %h6}, {%h0, %h1, %h2, %h3}",
	"{%d3, %d4, %d5, %d6}, {%d0, %d1, %d2, %d3}",
	"%w3, %w0, %w1, %w2",
	"%h3, %w0, %w1",
	"%h3, %d0, %d1",
	"%h3, %h0, %h1, %p0",
	"%h3, %w0, %w1, %p0",
	"%h3, %d0, %d1, %p0",
	"%d3, 1.0",
	"%d3, %d0, 0f3f800000",
	"%d3, [%d0], %w0, %w1",
	"%w3, [%d0], %d1",
	"%h3, [%d0], %d1",
	"%d3, [%d0], %d1",
	"{%w3, %w4}, [%d0], %d1",
	"{%d3, %d4}, [%d0], %d1",
	"[%d0], %w0, %d1",
	"[%d0], %h0, %d1",
	"[%d0], %d1, %d2",
	"[%d0], {%w0, %w1}, %d1",
	"[%d0], {%d1, %d2}, %d3",
	"%w3, [%d0], %w0, %d1",
	"%h3, [%d0], %h0, %d1",
	"%d3, [%d0], %d1, %d2",
	"%w3, [%d0], %w0, %w1, %d1",
	"%h3, [%d0], %h0, %h1, %d1",
	"%d3, [%d0], %d1, %d2, %d4",
	"{%w3, %w4}, [%d0], {%w0, %w1}",
	"{%w3, %w4}, [%d0], {%w0, %w1}, %d1",
	"{%w3, %w4, %w5, %w6}, [%d0], {%w0, %w1, %w2, %w3}",
	"{%h3, %h4}, [%d0], {%h0, %h1}",
	"{%h3, %h4}, [%d0], {%h0, %h1}, %d1",
	"{%h3, %h4, %h5, %h6}, [%d0], {%h0, %h1, %h2, %h3}",
	"{%h0, %h1, %h2, %h3, %h4, %h5, %h6, %h7}, [%d0], {%h0, %h1, %h2, %h3, %h4, %h5, %h6, %h7}",
	"[%d0], {%h0, %h1, %h2, %h3, %h4, %h5, %h6, %h7}",
	"[%w0], [%d0], 16",
	"[%w0], [%d0], 16, %d1",
	"[%w0], [%d0], %w1",
	"[%d0], [%w0], %w1",
	"[%d0], [%w0], %w1, %d1",
	"[%w0], [%d0], %w1, [%w2]",
	"[%w0], [%d0], %w1, [%w2], %h0",
	"[%w0], [%d0], %w1, [%w2], %d1",
	"[%d0], %w1, %d1",
	"[%w0]",
	"[%w0], %w1",
	"%d3, [%w0]",
	"%d3, [%w0], %w1",
	"%p3, [%w0], %w1",
	"%p3, [%w0], %d1",
	"%w3, %w0",
	"%w3, [%w0]",
	"[%w0], %w1",
	"{%w3, %w4}, [%w0]",
	"{%w3, %w4, %w5, %w6}, [%w0]",
	"[%w0], {%w1, %w2}",
	"[%w0], {%w1, %w2, %w3, %w4}",
	"{%w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7}, [%d0], %w0",
	"{%w0, %w1, %w2, %w3}, [%d0], %w0",
	"{%w0, %w1}, [%d0], %w0",
	"%w0, [%d0], %w1",
	"%d0, [%d0], %w1",
	"{%d1, %d2}, [%d0], %w1",
	"[%d0], {%w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7}, %w0",
	"[%d0], {%w0, %w1, %w2, %w3}, %w0",
	"[%d0], {%w0, %w1}, %w0",
	"[%d0], {%d1, %d2}, %w1",
	"[%d0], {%h0, %h1}, %d1",
};
static size_t last;

static bool parses(const char *insn, const char *args)
{
	struct ptx_module *m = NULL;
	char text[1024], log[256];
	enum ptx_result r;

	snprintf(text, sizeof(text),
		 PTX_HEAD ".func f() { ret; }\n.visible .entry k()\n{\n.reg .pred %%p<8>;\n"
			  ".reg .b16 %%h<8>;\n.reg .b32 %%w<8>;\n.reg .b64 %%d<8>;\n"
			  "L:\nT: .branchtargets L;\n%s %s;\nret;\n}\n",
		 insn, args);
	r = ptx_parse(text, strlen(text), 90, &m, log, sizeof(log));
	ptx_module_free(m);
	return r == PTX_OK;
}

/* {%w0, %w1}: `count` registers of a class */
static void spell_registers(char *to, size_t size, char cls, uint32_t count)
{
	size_t n = (size_t)snprintf(to, size, "{");

	for (uint32_t i = 0; i < count; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%%%c%u", i ? ", " : "", cls, i);
	snprintf(to + n, size - n, "}");
}

/* The numbers of registers of a product depend on its shape and types. */
static bool product_parses(const char *insn)
{
	for (uint32_t i = 0; i < 512; i++) {
		char args[512], one[4][80];

		for (uint32_t k = 0; k < 4; k++)
			spell_registers(one[k], sizeof(one[k]), i & 256 ? 'd' : 'w',
					1u << (i >> 2 * k & 3));
		snprintf(args, sizeof(args), "%s, %s, %s, %s", one[0], one[1], one[2], one[3]);
		if (parses(insn, args))
			return true;
	}
	return false;
}

/* The coordinates of a box and the offsets of pixels depend on the rank. */
static bool tensor_parses(const char *insn)
{
	static const char *const forms[] = {"[%%w0], [%%d0, %s], [%%w2]%s%s%s",
					    "[%%d0, %s], [%%w0]%s%s%s", "[%%d0, %s]%s%s%s"};

	for (uint32_t i = 0; i < CASE_COUNT(forms) * 40; i++) {
		char args[256], at[80], by[80], offsets[96] = "";
		const uint32_t rank = i % 5 + 1;

		spell_registers(at, sizeof(at), 'w', rank);
		spell_registers(by, sizeof(by), 'h', rank > 2 ? rank - 2 : 1);
		if (i / 5 & 1)
			snprintf(offsets, sizeof(offsets), ", %s", by);
		snprintf(args, sizeof(args), forms[i / 40], at, offsets, i / 10 & 1 ? ", %h0" : "",
			 i / 20 & 1 ? ", %d1" : "");
		if (parses(insn, args))
			return true;
	}
	return false;
}

static void check_known(const char *insn)
{
	if (strstr(insn, ".tensor.")) {
		ck_assert_msg(tensor_parses(insn), "%s is in the table, and no decoder takes it",
			      insn);
		return;
	}
	if (!strncmp(insn, "mma", 3) || !strncmp(insn, "wmma.mma", 8)) {
		ck_assert_msg(product_parses(insn), "%s is in the table, and no decoder takes it",
			      insn);
		return;
	}
	for (size_t i = 0; i < CASE_COUNT(operands); i++) {
		size_t n = (last + i) % CASE_COUNT(operands);

		if (parses(insn, operands[n])) {
			last = n;
			return;
		}
	}
	ck_abort_msg("%s is in the table, and no decoder takes it", insn);
}

/* The form with the word `word` in group `group`, the first one in the others. */
static void spell(const struct isa_form *f, const struct isa_groups *g, uint32_t group,
		  uint32_t word, char *to, size_t size)
{
	size_t n = (size_t)snprintf(to, size, "%s", f->name);

	for (uint32_t i = 0; i < g->count; i++) {
		uint32_t w = i == group ? word : 0;

		if (g->of[i].optional && i != group)
			continue;
		n += (size_t)snprintf(to + n, size - n, ".%.*s", g->of[i].words[w].len,
				      g->of[i].words[w].s);
	}
}

START_TEST(every_form_is_decoded)
{
	size_t statements = 0;

	for (size_t i = 0; i < isa_form_count; i++) {
		struct isa_groups g;
		char insn[256];

		isa_split(isa_forms[i].mods, &g);
		if (!g.count)
			check_known(isa_forms[i].name);
		for (uint32_t k = 0; k < g.count; k++) {
			for (uint32_t w = 0; w < g.of[k].count; w++, statements++) {
				spell(&isa_forms[i], &g, k, w, insn, sizeof(insn));
				check_known(insn);
			}
		}
	}
	ck_assert_uint_gt(statements, 1000);
}
END_TEST

START_TEST(every_row_says_something)
{
	for (size_t i = 0; i < isa_form_count; i++) {
		struct isa_groups g;

		isa_split(isa_forms[i].mods, &g);
		for (uint32_t k = 0; k < g.count; k++)
			ck_assert_msg(g.of[k].count > 0, "%s \"%s\": place %u is empty",
				      isa_forms[i].name, isa_forms[i].mods, k);
		ck_assert_msg(!isa_is_refused(isa_forms[i].name), "%s is both done and refused",
			      isa_forms[i].name);
	}
	ck_assert(isa_is_refused("sured"));
}
END_TEST

/* Is a name that of a form, or its beginning? */
static bool is_done(const char *name)
{
	const size_t len = strcspn(name, ".");

	for (size_t i = 0; i < isa_form_count; i++) {
		const struct isa_form *f = &isa_forms[i];
		const char *s = name + len;
		struct isa_groups g;
		uint32_t used = 0;

		if (strlen(f->name) != len || memcmp(f->name, name, len) != 0)
			continue;
		isa_split(f->mods, &g);
		while (*s) {
			const size_t word = strcspn(++s, ".");
			uint32_t k = 0;

			for (; k < g.count; k++) {
				bool found = false;

				for (uint32_t w = 0; w < g.of[k].count && !(used >> k & 1); w++)
					found |= g.of[k].words[w].len == word &&
						 !memcmp(g.of[k].words[w].s, s, word);
				if (found)
					break;
			}
			if (k == g.count)
				break;
			used |= 1u << k;
			s += word;
		}
		if (!*s)
			return true;
	}
	return false;
}

START_TEST(what_llvm_emits_for_sm_80)
{
	static const char *const names[] = {
#include "tests/simcuda/test/llvm_names.h"
	};
	size_t done = 0;

	for (size_t i = 0; i < CASE_COUNT(names); i++) {
		const bool is = is_done(names[i]);

		if (!is && !isa_is_refused(names[i]))
			ck_abort_msg("%s is neither done nor refused by name", names[i]);
		done += is;
	}
	ck_assert_msg(done * 100 >= 95 * CASE_COUNT(names), "%zu of %zu are done", done,
		      CASE_COUNT(names));
}
END_TEST

/* Chapter 9 of the manual of PTX ISA 8.0. */
START_TEST(each_instruction_is_done_or_refused)
{
	static const char *const names[] = {"abs",
					    "activemask",
					    "add",
					    "addc",
					    "alloca",
					    "and",
					    "applypriority",
					    "atom",
					    "bar",
					    "barrier",
					    "barrier.cluster",
					    "bfe",
					    "bfi",
					    "bfind",
					    "bmsk",
					    "bra",
					    "brev",
					    "brkpt",
					    "brx.idx",
					    "call",
					    "clz",
					    "cnot",
					    "copysign",
					    "cos",
					    "cp.async",
					    "cp.async.bulk",
					    "cp.async.bulk.commit_group",
					    "cp.async.bulk.prefetch",
					    "cp.async.bulk.prefetch.tensor",
					    "cp.async.bulk.tensor",
					    "cp.async.bulk.wait_group",
					    "cp.async.commit_group",
					    "cp.async.mbarrier.arrive",
					    "cp.async.wait_all",
					    "cp.async.wait_group",
					    "cp.reduce.async.bulk",
					    "cp.reduce.async.bulk.tensor",
					    "createpolicy",
					    "cvt",
					    "cvt.pack",
					    "cvta",
					    "discard",
					    "div",
					    "dp2a",
					    "dp4a",
					    "elect.sync",
					    "ex2",
					    "exit",
					    "fence",
					    "fence.proxy",
					    "fma",
					    "fns",
					    "getctarank",
					    "griddepcontrol",
					    "isspacep",
					    "istypep",
					    "ld",
					    "ldmatrix",
					    "ldu",
					    "lg2",
					    "lop3",
					    "mad",
					    "mad24",
					    "madc",
					    "mapa",
					    "match.all.sync",
					    "match.any.sync",
					    "max",
					    "mbarrier.arrive",
					    "mbarrier.arrive_drop",
					    "mbarrier.complete_tx",
					    "mbarrier.expect_tx",
					    "mbarrier.init",
					    "mbarrier.inval",
					    "mbarrier.pending_count",
					    "mbarrier.test_wait",
					    "mbarrier.try_wait",
					    "membar",
					    "min",
					    "mma.sp.sync",
					    "mma.sync",
					    "mov",
					    "movmatrix",
					    "mul",
					    "mul24",
					    "nanosleep",
					    "neg",
					    "not",
					    "or",
					    "pmevent",
					    "popc",
					    "prefetch",
					    "prefetchu",
					    "prmt",
					    "rcp",
					    "red",
					    "redux.sync",
					    "rem",
					    "ret",
					    "rsqrt",
					    "sad",
					    "selp",
					    "set",
					    "setmaxnreg",
					    "setp",
					    "shf",
					    "shfl",
					    "shfl.sync",
					    "shl",
					    "shr",
					    "sin",
					    "slct",
					    "sqrt",
					    "st",
					    "stackrestore",
					    "stacksave",
					    "stmatrix",
					    "sub",
					    "subc",
					    "suld.b",
					    "suld.p",
					    "suq",
					    "sured",
					    "sust.b",
					    "sust.p",
					    "szext",
					    "tanh",
					    "testp",
					    "tex",
					    "tld4",
					    "trap",
					    "txq",
					    "vabsdiff",
					    "vabsdiff2",
					    "vabsdiff4",
					    "vadd",
					    "vadd2",
					    "vadd4",
					    "vavrg2",
					    "vavrg4",
					    "vmad",
					    "vmax",
					    "vmax2",
					    "vmax4",
					    "vmin",
					    "vmin2",
					    "vmin4",
					    "vote",
					    "vote.sync",
					    "vset",
					    "vset2",
					    "vset4",
					    "vshl",
					    "vshr",
					    "vsub",
					    "vsub2",
					    "vsub4",
					    "wgmma.commit_group",
					    "wgmma.fence",
					    "wgmma.mma_async",
					    "wgmma.wait_group",
					    "wmma.load",
					    "wmma.mma",
					    "wmma.store",
					    "xor"};

	for (size_t i = 0; i < CASE_COUNT(names); i++)
		ck_assert_msg(is_done(names[i]) != isa_is_refused(names[i]),
			      "%s is neither done nor refused by name, or both", names[i]);
	ck_assert(isa_is_refused("tcgen05.mma"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_isa");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_form_is_decoded);
	tcase_add_test(t, every_row_says_something);
	tcase_add_test(t, what_llvm_emits_for_sm_80);
	tcase_add_test(t, each_instruction_is_done_or_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
