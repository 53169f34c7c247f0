/* SPDX-License-Identifier: MIT */
/* Tokens of PTX text. */
#ifndef PVGPU_SIMCUDA_PTX_LEX_H
#define PVGPU_SIMCUDA_PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
	TOK_EOF,
	TOK_NAME, /* identifier, % and $ included */
	TOK_DOT,  /* .word or .word::word, without the first dot */
	TOK_INT,
	TOK_FLOAT32, /* 0fXXXXXXXX: bits */
	TOK_FLOAT64, /* 0dX..X or decimal: bits */
	TOK_STRING,
	TOK_PUNCT,
	TOK_BAD,
};

struct token {
	enum token_kind kind;
	const char *s;
	size_t len;
	uint32_t line;
	char punct;
	bool is_unsigned, is_decimal;
	uint64_t value;
};

struct lexer {
	const char *p, *end;
	uint32_t line;
};

void lex_next(struct lexer *lx, struct token *t);
/* Go on after the end of the current line. */
void lex_skip_line(struct lexer *lx);

#endif
