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
	ck_assert(isa_is_refused("tld4"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptx_isa");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_form_is_decoded);
	tcase_add_test(t, every_row_says_something);
	suite_add_tcase(s, t);
	return run_suite(s);
}
