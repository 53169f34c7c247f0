/* SPDX-License-Identifier: MIT */
/* The table of instructions, and whether a statement is in it. */
#include "tests/simcuda/ptx/isa.h"
#include "tests/simcuda/ptx/parser.h"

#include <stdio.h>

#define FORM(name, mods)
#define REFUSED(name)
#define SET(name, words) {name, words},
static const struct {
	const char *name, *words;
} sets[] = {
#include "tests/simcuda/ptx/isa.def"
};
#undef SET
#undef FORM
#define SET(name, words)
#define FORM(name, mods) {name, mods},
const struct isa_form isa_forms[] = {
#include "tests/simcuda/ptx/isa.def"
};
#undef FORM
#undef REFUSED
#define FORM(name, mods)
#define REFUSED(name) name,
static const char *const refused[] = {
#include "tests/simcuda/ptx/isa.def"
};

const size_t isa_form_count = sizeof(isa_forms) / sizeof(isa_forms[0]);

bool isa_is_refused(const char *spelled)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		size_t len = strlen(refused[i]);

		if (!strncmp(spelled, refused[i], len) && (!spelled[len] || spelled[len] == '.'))
			return true;
	}
	return false;
}

static const char *set_words(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (word_is(name, len, sets[i].name))
			return sets[i].words;
	}
	return "";
}

static void add_words(struct isa_groups *g, const char *s, const char *end)
{
	uint32_t n = g->count - 1;

	while (s < end && g->of[n].count < ISA_MAX_GROUP) {
		const char *bar = memchr(s, '|', (size_t)(end - s));
		size_t len = (size_t)((bar ? bar : end) - s);

		g->of[n].words[g->of[n].count].s = s;
		g->of[n].words[g->of[n].count++].len = (uint8_t)len;
		s += len + 1;
	}
}

void isa_split(const char *mods, struct isa_groups *g)
{
	g->count = 0;
	while (*mods && g->count < ISA_MAX_MODS) {
		const char *end = mods + strcspn(mods, " "), *stop = end;

		g->of[g->count].count = 0;
		g->of[g->count].optional = end[-1] == '?';
		stop -= end[-1] == '?';
		g->count++;
		if (*mods == '$') {
			const char *words = set_words(mods + 1, (size_t)(stop - mods - 1));

			add_words(g, words, words + strlen(words));
		} else {
			add_words(g, mods, stop);
		}
		mods = end + (*end == ' ');
	}
}

static bool group_has(const struct isa_groups *g, uint32_t n, const struct word *w)
{
	for (uint32_t i = 0; i < g->of[n].count; i++) {
		if (g->of[n].words[i].len == w->len && !memcmp(g->of[n].words[i].s, w->s, w->len))
			return true;
	}
	return false;
}

/* Compilers do not all keep to the manual's order; that of types has a meaning and is kept. */
static bool fits(const struct isa_groups *g, const struct raw *r)
{
	uint32_t filled = 0, type_from = 0;

	for (uint32_t i = 0; i < r->mod_count; i++) {
		bool is_type = type_by_name(r->mods[i].s, r->mods[i].len) != TY_NONE;
		uint32_t n = is_type ? type_from : 0;

		while (n < g->count && (filled >> n & 1 || !group_has(g, n, &r->mods[i])))
			n++;
		if (n == g->count)
			return false;
		filled |= 1u << n;
		if (is_type)
			type_from = n + 1;
	}
	for (uint32_t n = 0; n < g->count; n++) {
		if (!(filled >> n & 1) && !g->of[n].optional)
			return false;
	}
	return true;
}

static uint32_t slot(const char *s, size_t len)
{
	uint32_t h = 5381;

	for (size_t i = 0; i < len; i++)
		h = h * 33 ^ (uint8_t)s[i];
	return h & (OPCODE_SLOTS - 1);
}

static bool has_name(size_t row, const struct word *op)
{
	return row < isa_form_count && word_is(op->s, op->len, isa_forms[row].name);
}

/* Rows of one name follow each other; a slot has the number of the first, plus one. */
void isa_init(struct parser *p)
{
	for (size_t i = 0; i < isa_form_count; i++) {
		const char *name = isa_forms[i].name;
		uint32_t at = slot(name, strlen(name));

		if (i && !strcmp(isa_forms[i - 1].name, name))
			continue;
		while (p->isa_first[at])
			at = (at + 1) & (OPCODE_SLOTS - 1);
		p->isa_first[at] = (uint16_t)(i + 1);
	}
}

void (*isa_used)(size_t form, const char *mods);

static void tell_use(size_t form, const struct raw *r)
{
	char mods[256];
	size_t n = 0;

	mods[0] = 0;
	for (uint32_t i = 0; i < r->mod_count && n < sizeof(mods); i++)
		n += (size_t)snprintf(mods + n, sizeof(mods) - n, ".%.*s", (int)r->mods[i].len,
				      r->mods[i].s);
	isa_used(form, mods);
}

bool isa_allows(const struct parser *p, const struct raw *r)
{
	uint32_t at = slot(r->op.s, r->op.len);
	struct isa_groups g;
	size_t i;

	while (p->isa_first[at] && !has_name(p->isa_first[at] - 1u, &r->op))
		at = (at + 1) & (OPCODE_SLOTS - 1);
	if (!p->isa_first[at])
		return false;
	for (i = p->isa_first[at] - 1u; has_name(i, &r->op); i++) {
		isa_split(isa_forms[i].mods, &g);
		if (fits(&g, r)) {
			if (isa_used)
				tell_use(i, r);
			return true;
		}
	}
	return false;
}
