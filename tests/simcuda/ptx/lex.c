/* SPDX-License-Identifier: MIT */
#include "tests/simcuda/ptx/lex.h"

#include <stdlib.h>
#include <string.h>

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_block_comment(struct lexer *lx)
{
	lx->p += 2;
	while (lx->p < lx->end) {
		if (*lx->p == '\n')
			lx->line++;
		if (*lx->p == '*' && lx->p + 1 < lx->end && lx->p[1] == '/') {
			lx->p += 2;
			return;
		}
		lx->p++;
	}
}

static void skip_space(struct lexer *lx)
{
	while (lx->p < lx->end) {
		char c = *lx->p;

		if (c == '\n') {
			lx->line++;
			lx->p++;
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
			lx->p++;
		} else if (c == '/' && lx->p + 1 < lx->end && lx->p[1] == '/') {
			while (lx->p < lx->end && *lx->p != '\n')
				lx->p++;
		} else if (c == '/' && lx->p + 1 < lx->end && lx->p[1] == '*') {
			skip_block_comment(lx);
		} else {
			return;
		}
	}
}

void lex_skip_line(struct lexer *lx)
{
	while (lx->p < lx->end && *lx->p != '\n')
		lx->p++;
}

static int digit_of(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Digits in a base; false when there is none or the value does not fit. */
static bool take_digits(struct lexer *lx, int base, uint64_t *value)
{
	const char *first = lx->p;
	uint64_t v = 0;
	bool fits = true;

	while (lx->p < lx->end && digit_of(*lx->p) < base) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit_of(*lx->p), &v))
			fits = false;
		lx->p++;
	}
	*value = v;
	return fits && lx->p > first;
}

static bool decimal_float(struct lexer *lx, struct token *t)
{
	char buf[64];
	const char *q = lx->p;
	double d;

	while (q < lx->end && is_digit(*q))
		q++;
	if (q >= lx->end || (*q != '.' && *q != 'e' && *q != 'E'))
		return false;
	if (*q == '.') {
		q++;
		while (q < lx->end && is_digit(*q))
			q++;
	}
	if (q < lx->end && (*q == 'e' || *q == 'E')) {
		q++;
		if (q < lx->end && (*q == '+' || *q == '-'))
			q++;
		while (q < lx->end && is_digit(*q))
			q++;
	}
	if ((size_t)(q - lx->p) >= sizeof(buf))
		return false;
	memcpy(buf, lx->p, (size_t)(q - lx->p));
	buf[q - lx->p] = 0;
	d = strtod(buf, NULL);
	memcpy(&t->value, &d, sizeof(d));
	t->kind = TOK_FLOAT64;
	t->is_decimal = true;
	lx->p = q;
	return true;
}

static bool hex_float(struct lexer *lx, struct token *t, int digits)
{
	const char *first = lx->p + 2;

	lx->p = first;
	if (!take_digits(lx, 16, &t->value) || lx->p - first != digits)
		return false;
	t->kind = digits == 8 ? TOK_FLOAT32 : TOK_FLOAT64;
	return true;
}

static void lex_number(struct lexer *lx, struct token *t)
{
	char next = lx->p + 1 < lx->end ? lx->p[1] : 0;
	bool ok;

	t->kind = TOK_INT;
	if (*lx->p == '0' && (next == 'f' || next == 'F')) {
		ok = hex_float(lx, t, 8);
	} else if (*lx->p == '0' && (next == 'd' || next == 'D')) {
		ok = hex_float(lx, t, 16);
	} else if (*lx->p == '0' && (next == 'x' || next == 'X')) {
		lx->p += 2;
		ok = take_digits(lx, 16, &t->value);
	} else if (*lx->p == '0' && (next == 'b' || next == 'B')) {
		lx->p += 2;
		ok = take_digits(lx, 2, &t->value);
	} else if (decimal_float(lx, t)) {
		ok = true;
	} else {
		ok = take_digits(lx, *lx->p == '0' ? 8 : 10, &t->value);
	}
	if (t->kind == TOK_INT && lx->p < lx->end && *lx->p == 'U') {
		t->is_unsigned = true;
		lx->p++;
	}
	if (!ok || (lx->p < lx->end && is_word(*lx->p))) {
		while (lx->p < lx->end && is_word(*lx->p))
			lx->p++;
		t->kind = TOK_BAD;
	}
}

static void lex_string(struct lexer *lx, struct token *t)
{
	lx->p++;
	t->s = lx->p;
	while (lx->p < lx->end && *lx->p != '"' && *lx->p != '\n')
		lx->p++;
	t->len = (size_t)(lx->p - t->s);
	if (lx->p < lx->end && *lx->p == '"') {
		t->kind = TOK_STRING;
		lx->p++;
	} else {
		t->kind = TOK_BAD;
	}
}

static void lex_dot(struct lexer *lx, struct token *t)
{
	lx->p++;
	t->kind = TOK_DOT;
	t->s = lx->p;
	for (;;) {
		while (lx->p < lx->end && is_word(*lx->p))
			lx->p++;
		if (lx->end - lx->p > 2 && lx->p[0] == ':' && lx->p[1] == ':' && is_word(lx->p[2]))
			lx->p += 2;
		else
			break;
	}
	t->len = (size_t)(lx->p - t->s);
	if (!t->len)
		t->kind = TOK_BAD;
}

void lex_next(struct lexer *lx, struct token *t)
{
	char c;

	skip_space(lx);
	memset(t, 0, sizeof(*t));
	t->line = lx->line;
	t->s = lx->p;
	if (lx->p >= lx->end) {
		t->kind = TOK_EOF;
		return;
	}
	c = *lx->p;
	if (is_digit(c)) {
		lex_number(lx, t);
	} else if (is_word(c) || c == '%') {
		lx->p++;
		while (lx->p < lx->end && is_word(*lx->p))
			lx->p++;
		t->kind = TOK_NAME;
	} else if (c == '"') {
		lex_string(lx, t);
		return;
	} else if (c == '.') {
		lex_dot(lx, t);
		return;
	} else {
		lx->p++;
		t->kind = TOK_PUNCT;
		t->punct = c;
	}
	t->len = (size_t)(lx->p - t->s);
}
