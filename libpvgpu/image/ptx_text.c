/* SPDX-License-Identifier: MIT */
#include "libpvgpu/image/ptx_text.h"

#include <string.h>

#define DEPTH_MAX 64 /* brackets and signs in each other */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Is the text at p, of which n bytes are left, one of these operators of two characters? */
static bool is_pair(const char *p, size_t n)
{
	static const char pairs[][3] = {"<<", ">>", "<=", ">=", "==", "!=", "&&", "||"};

	for (size_t i = 0; n >= 2 && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (!memcmp(p, pairs[i], 2))
			return true;
	return false;
}

/* Beyond spaces, comments and strings. */
static void skip(struct ptx_text *t)
{
	while (t->at < t->end) {
		const size_t left = (size_t)(t->end - t->at);
		const char *p = NULL;

		if (strchr(" \t\r\n\f\v", *t->at)) {
			t->at++;
			continue;
		}
		if (left > 1 && !memcmp(t->at, "//", 2)) {
			p = memchr(t->at, '\n', left);
			t->at = p ? p + 1 : t->end;
		} else if (left > 1 && !memcmp(t->at, "/*", 2)) {
			p = left > 3 ? memmem(t->at + 2, left - 2, "*/", 2) : NULL;
			t->at = p ? p + 2 : t->end;
		} else if (*t->at == '"') {
			p = memchr(t->at + 1, '"', left - 1);
			t->at = p ? p + 1 : t->end;
		} else {
			return;
		}
	}
}

bool ptx_next(struct ptx_text *t, struct ptx_word *w)
{
	const char *p;

	skip(t);
	if (t->at >= t->end)
		return false;
	p = w->at = t->at;
	if (is_digit(*p)) {
		/* In 4.b8 a type begins at the point. */
		while (p < t->end && (is_digit(*p) || (is_letter(*p) && *p != '%')))
			p++;
	} else if (is_letter(*p) ||
		   (*p == '.' && t->end - p > 1 && (is_letter(p[1]) || is_digit(p[1])))) {
		const bool directive = *p == '.';

		for (p++;
		     p < t->end && (is_letter(*p) || is_digit(*p) || (*p == '.' && !directive));)
			p++;
	} else {
		p += is_pair(p, (size_t)(t->end - p)) ? 2 : 1;
	}
	w->len = (size_t)(p - w->at);
	t->at = p;
	return true;
}

void ptx_back(struct ptx_text *t, const struct ptx_word *w)
{
	t->at = w->at;
}

bool ptx_is(const struct ptx_word *w, const char *what)
{
	return w->len == strlen(what) && !memcmp(w->at, what, w->len);
}

bool ptx_is_name(const struct ptx_word *w)
{
	return is_letter(w->at[0]);
}

/* 10, 0x1F, 017, 0b11, each with U or not. */
static bool literal(const struct ptx_word *w, int64_t *value)
{
	size_t i = 0, n = w->len;
	uint64_t base = 10, v = 0;

	if (n > 1 && w->at[n - 1] == 'U')
		n--;
	if (n > 2 && w->at[0] == '0' && (w->at[1] | 32) == 'x')
		base = 16, i = 2;
	else if (n > 2 && w->at[0] == '0' && (w->at[1] | 32) == 'b')
		base = 2, i = 2;
	else if (n > 1 && w->at[0] == '0')
		base = 8, i = 1;
	for (; i < n; i++) {
		const char c = w->at[i];
		const uint64_t d =
			is_digit(c) ? (uint64_t)(c - '0') : (uint64_t)((c | 32) - 'a') + 10;

		if ((!is_digit(c) && !is_letter(c)) || d >= base)
			return false;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			v = INT64_MAX;
	}
	*value = v > INT64_MAX ? INT64_MAX : (int64_t)v;
	return true;
}

/* The smaller number binds less. 0: no operator of two values. */
static int strength(const struct ptx_word *w)
{
	static const struct {
		char text[3];
		int strength;
	} all[] = {{"||", 1}, {"&&", 2}, {"|", 3}, {"^", 4},  {"&", 5},  {"==", 6},
		   {"!=", 6}, {"<", 7},  {">", 7}, {"<=", 7}, {">=", 7}, {"<<", 8},
		   {">>", 8}, {"+", 9},  {"-", 9}, {"*", 10}, {"/", 10}, {"%", 10}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (ptx_is(w, all[i].text))
			return all[i].strength;
	return 0;
}

/* Sums and products that are too large stay the largest number: the size is refused anyway. */
static bool compute(const struct ptx_word *op, int64_t a, int64_t b, int64_t *out)
{
	const uint64_t ua = (uint64_t)a;
	const char c = op->at[0];

	if (op->len == 2) {
		switch (c) {
		case '<':
			if (op->at[1] == '=')
				*out = a <= b;
			else if (b < 0 || b > 62 || a < 0 || ua > (uint64_t)INT64_MAX >> b)
				*out = INT64_MAX;
			else
				*out = (int64_t)(ua << b);
			return true;
		case '>':
			*out = op->at[1] == '=' ? a >= b : b < 0 || b > 63 ? 0 : a >> b;
			return true;
		case '=':
		case '!':
			*out = (a == b) == (c == '=');
			return true;
		default:
			*out = c == '&' ? a && b : a || b;
			return true;
		}
	}
	if ((c == '/' || c == '%') && (!b || b == -1))
		return false;
	switch (c) {
	case '+':
		return __builtin_add_overflow(a, b, out) ? (*out = INT64_MAX, true) : true;
	case '-':
		return __builtin_sub_overflow(a, b, out) ? (*out = INT64_MAX, true) : true;
	case '*':
		return __builtin_mul_overflow(a, b, out) ? (*out = INT64_MAX, true) : true;
	case '<':
	case '>':
		*out = c == '<' ? a < b : a > b;
		return true;
	case '&':
	case '|':
	case '^':
		*out = c == '&' ? a & b : c == '|' ? a | b : a ^ b;
		return true;
	default:
		*out = c == '/' ? a / b : a % b;
		return true;
	}
}

static bool expression(struct ptx_text *t, int least, int depth, int64_t *out);

/* With the closing bracket: a value, or the type that another one is made to. */
static bool bracketed(struct ptx_text *t, int depth, int64_t *out);

/* One value with its signs. */
static bool value(struct ptx_text *t, int depth, int64_t *out)
{
	struct ptx_word w;

	if (depth > DEPTH_MAX || !ptx_next(t, &w))
		return false;
	if (is_digit(w.at[0]))
		return literal(&w, out);
	if (ptx_is(&w, "("))
		return bracketed(t, depth + 1, out);
	if (w.len != 1 || !strchr("+-~!", w.at[0])) {
		ptx_back(t, &w);
		return false;
	}
	if (!value(t, depth + 1, out))
		return false;
	if (w.at[0] == '-')
		*out = *out == INT64_MIN ? INT64_MAX : -*out;
	else if (w.at[0] == '~')
		*out = ~*out;
	else if (w.at[0] == '!')
		*out = !*out;
	return true;
}

static bool bracketed(struct ptx_text *t, int depth, int64_t *out)
{
	struct ptx_word w;

	if (!ptx_next(t, &w))
		return false;
	if (ptx_is(&w, ".s64") || ptx_is(&w, ".u64"))
		return ptx_next(t, &w) && ptx_is(&w, ")") && value(t, depth, out);
	ptx_back(t, &w);
	return expression(t, 0, depth, out) && ptx_next(t, &w) && ptx_is(&w, ")");
}

/* c ? a : b, of which c has been read. */
static bool choice(struct ptx_text *t, int depth, int64_t *out)
{
	int64_t yes, no;
	struct ptx_word w;

	if (!expression(t, 0, depth + 1, &yes) || !ptx_next(t, &w) || !ptx_is(&w, ":") ||
	    !expression(t, 0, depth + 1, &no))
		return false;
	*out = *out ? yes : no;
	return true;
}

/* least: operators that bind less are the caller's. 0: also a choice. */
static bool expression(struct ptx_text *t, int least, int depth, int64_t *out)
{
	struct ptx_word w;
	int64_t right;

	if (depth > DEPTH_MAX || !value(t, depth, out))
		return false;
	while (ptx_next(t, &w)) {
		int s;

		if (w.at[0] == '%') { /* not the beginning of a name here */
			w.len = 1;
			t->at = w.at + 1;
		}
		s = strength(&w);
		if (!least && ptx_is(&w, "?"))
			return choice(t, depth, out);
		if (!s || s <= least) {
			ptx_back(t, &w);
			return true;
		}
		if (!expression(t, s, depth + 1, &right) || !compute(&w, *out, right, out))
			return false;
	}
	return true;
}

bool ptx_literal(struct ptx_text *t, int64_t *out)
{
	struct ptx_word w;

	return ptx_next(t, &w) && is_digit(w.at[0]) && literal(&w, out);
}

bool ptx_number(struct ptx_text *t, int64_t *out)
{
	return expression(t, 0, 0, out);
}
