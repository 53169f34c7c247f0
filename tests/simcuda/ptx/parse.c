/* SPDX-License-Identifier: MIT */
/* Module scope: directives, variables, functions; errors with their lines. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/module.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TEXT (64u << 20)

static void log_line(struct parser *p, uint32_t line, const char *text)
{
	int n;

	if (p->log_used + 1 >= p->log_size)
		return;
	n = snprintf(p->log + p->log_used, p->log_size - p->log_used, "line %u: %s\n", line, text);
	if (n > 0)
		p->log_used += (size_t)n;
	if (p->log_used >= p->log_size)
		p->log_used = p->log_size - 1;
}

void parse_fail(struct parser *p, uint32_t line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 32 || (unsigned char)*c > 126)
			*c = '?';
	}
	log_line(p, line, text);
	p->errors++;
	if (p->result == PTX_OK)
		p->result = PTX_INVALID;
	longjmp(*p->recover, 1);
}

void parse_no_memory(struct parser *p)
{
	p->result = PTX_NO_MEMORY;
	p->errors = MAX_ERRORS;
	longjmp(*p->recover, 1);
}

void *parse_alloc(struct parser *p, size_t n)
{
	void *v = arena_alloc(&p->m->arena, n);

	if (!v)
		parse_no_memory(p);
	return v;
}

void next(struct parser *p)
{
	lex_next(&p->lx, &p->t);
	if (p->t.kind == TOK_BAD)
		parse_fail(p, p->t.line, "malformed token at '%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
}

bool word_is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

bool is_punct(const struct parser *p, char c)
{
	return p->t.kind == TOK_PUNCT && p->t.punct == c;
}

bool accept(struct parser *p, char c)
{
	if (!is_punct(p, c))
		return false;
	next(p);
	return true;
}

void expect(struct parser *p, char c)
{
	if (!accept(p, c))
		parse_fail(p, p->t.line, "expected '%c' at '%.*s'", c,
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
}

bool is_dot(const struct parser *p, const char *word)
{
	return p->t.kind == TOK_DOT && word_is(p->t.s, p->t.len, word);
}

bool accept_dot(struct parser *p, const char *word)
{
	if (!is_dot(p, word))
		return false;
	next(p);
	return true;
}

uint64_t expect_int(struct parser *p)
{
	uint64_t v = p->t.value;

	if (p->t.kind != TOK_INT || v > UINT32_MAX)
		parse_fail(p, p->t.line, "expected a number at '%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	next(p);
	return v;
}

/* Skip { ... } with unparsed contents, as in debug sections. */
void skip_braces(struct parser *p)
{
	uint32_t depth = 0, line = p->t.line;

	do {
		if (is_punct(p, '{'))
			depth++;
		else if (is_punct(p, '}'))
			depth--;
		else if (p->t.kind == TOK_EOF)
			parse_fail(p, line, "'{' without '}'");
		lex_next(&p->lx, &p->t); /* any token is accepted */
	} while (depth);
}

static void parse_version(struct parser *p)
{
	double v;

	if (p->t.kind != TOK_FLOAT64)
		parse_fail(p, p->t.line, "expected a version such as 7.5");
	memcpy(&v, &p->t.value, sizeof(v));
	if (!(v >= 1 && v < 100))
		parse_fail(p, p->t.line, "unknown PTX version");
	p->m->version = (uint32_t)(v * 10 + 0.5);
	next(p);
}

/* map_f64_to_f32 would change what instructions compute. */
static bool is_target_option(const struct token *t)
{
	return word_is(t->s, t->len, "debug") || word_is(t->s, t->len, "texmode_independent") ||
	       word_is(t->s, t->len, "texmode_unified");
}

static void parse_target(struct parser *p)
{
	do {
		uint32_t sm = 0;
		size_t i = 3;

		if (p->t.kind != TOK_NAME)
			parse_fail(p, p->t.line, "expected a target such as sm_70");
		if (p->t.len > 3 && !memcmp(p->t.s, "sm_", 3)) {
			while (i < p->t.len && i < 7 && p->t.s[i] >= '0' && p->t.s[i] <= '9')
				sm = sm * 10 + (uint32_t)(p->t.s[i++] - '0');
			if (i < p->t.len && (p->t.s[i] == 'a' || p->t.s[i] == 'f'))
				i++;
			if (!sm || i != p->t.len)
				parse_fail(p, p->t.line, "unknown target '%.*s'",
					   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
			p->m->target = sm;
			if (sm > p->sm) {
				p->result = PTX_UNSUPPORTED;
				parse_fail(p, p->t.line, "target sm_%u is above the device's sm_%u",
					   sm, p->sm);
			}
		} else if (!is_target_option(&p->t)) {
			parse_fail(p, p->t.line, "unknown target '%.*s'",
				   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
		}
		next(p);
	} while (accept(p, ','));
}

/* A call may have been made by the first declaration, so the second must agree to the byte. */
static bool same_parameters(struct var **a, struct var **b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (a[i]->size != b[i]->size || a[i]->is_row != b[i]->is_row ||
		    a[i]->row_cls != b[i]->row_cls)
			return false;
	}
	return true;
}

static void merge_function(struct parser *p, struct func *f, struct name *n, uint32_t line)
{
	struct func *old = n->sym->func;

	if (n->sym->kind != SYM_FUNC || old->defined || old->is_entry != f->is_entry ||
	    old->param_count != f->param_count || old->ret_count != f->ret_count ||
	    !same_parameters(old->params, f->params, f->param_count) ||
	    !same_parameters(old->rets, f->rets, f->ret_count))
		parse_fail(p, line, "'%.100s' is declared twice", n->s);
	old->params = f->params;
	old->rets = f->rets;
	old->frame_params = f->frame_params;
	old->row_bytes = f->row_bytes;
	old->p_next = f->p_next;
	old->p_rows = f->p_rows;
	old->reg_words = f->reg_words;
	old->line = line;
}

/* Kernel parameters lie in the launch's buffer, a function's in its frame. */
static void place_parameters(struct parser *p, struct func *f, struct var **v, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (v[i]->is_row) {
			if (f->is_entry)
				parse_fail(p, v[i]->line, "a kernel's parameter must be .param");
			v[i]->offset = new_row(p, v[i]->row_cls);
			continue;
		}
		uint64_t align = f->is_entry || v[i]->align > 4 ? v[i]->align : 4;

		v[i]->is_kernel_param = f->is_entry;
		v[i]->offset = (f->frame_params + align - 1) & ~(align - 1);
		if (v[i]->offset + v[i]->size > MAX_PARAM_BYTES)
			parse_fail(p, v[i]->line, "the parameters of '%.100s' are too big",
				   f->name);
		f->frame_params = (uint32_t)(v[i]->offset + v[i]->size);
	}
}

static void tuning_directives(struct parser *p, struct func *f)
{
	for (;;) {
		uint32_t *dims = NULL;

		if (accept_dot(p, "maxntid"))
			dims = f->maxntid;
		else if (accept_dot(p, "reqntid"))
			dims = f->reqntid;
		if (dims) {
			dims[0] = (uint32_t)expect_int(p);
			dims[1] = accept(p, ',') ? (uint32_t)expect_int(p) : 1;
			dims[2] = accept(p, ',') ? (uint32_t)expect_int(p) : 1;
		} else if (accept_dot(p, "maxnreg")) {
			f->max_registers = (uint32_t)expect_int(p);
		} else if (accept_dot(p, "minnctapersm") || accept_dot(p, "maxnctapersm") ||
			   accept_dot(p, "maxclusterrank")) {
			expect_int(p);
		} else if (accept_dot(p, "pragma")) {
			while (p->t.kind == TOK_STRING || is_punct(p, ','))
				next(p);
			expect(p, ';');
		} else if (!accept_dot(p, "noreturn")) {
			return;
		}
	}
}

static bool takes(const struct func *f, const char *sizes)
{
	if (f->param_count != strlen(sizes) || f->ret_count > 1 ||
	    (f->ret_count && f->rets[0]->size > 8))
		return false;
	for (uint32_t i = 0; i < f->param_count; i++) {
		if (f->params[i]->size != (uint32_t)(sizes[i] - '0') || f->params[i]->is_row ||
		    type_info[f->params[i]->type].bytes != f->params[i]->size)
			return false;
	}
	return !f->ret_count ||
	       (type_info[f->rets[0]->type].bytes == f->rets[0]->size && !f->rets[0]->is_row);
}

static struct func *make_function(struct parser *p, struct func *proto, struct name *n,
				  uint32_t line)
{
	struct ptx_module *m = p->m;
	struct func *f;

	if (n->sym) {
		merge_function(p, proto, n, line);
		return n->sym->func;
	}
	f = parse_alloc(p, sizeof(*f));
	*f = *proto;
	f->index = m->func_count;
	if (m->func_count >= m->func_cap) {
		uint32_t cap = m->func_cap ? m->func_cap * 2 : 16;
		struct func **t = realloc(m->funcs, cap * sizeof(*t));

		if (!t)
			parse_no_memory(p);
		m->funcs = t;
		m->func_cap = cap;
	}
	m->funcs[m->func_count++] = f;
	if (word_is(n->s, n->len, "vprintf") && takes(f, "88"))
		f->builtin = BUILTIN_VPRINTF;
	else if (word_is(n->s, n->len, "__assertfail") && takes(f, "88488"))
		f->builtin = BUILTIN_ASSERTFAIL;
	else if (word_is(n->s, n->len, "malloc") && takes(f, "8") && f->ret_count &&
		 f->rets[0]->size == 8)
		f->builtin = BUILTIN_MALLOC;
	else if (word_is(n->s, n->len, "free") && takes(f, "8") && !f->ret_count)
		f->builtin = BUILTIN_FREE;
	return f;
}

static struct func *function_head(struct parser *p, bool is_entry)
{
	struct func *proto = parse_alloc(p, sizeof(*proto)), *f;
	uint32_t line = p->t.line;
	struct name *n;

	proto->is_entry = is_entry;
	proto->line = line;
	p->fn = proto;
	accept_dot(p, "noreturn");
	scope_open(p);
	if (!is_entry && is_punct(p, '('))
		proto->rets = parse_parameter_list(p, &proto->ret_count, false);
	if (p->t.kind != TOK_NAME)
		parse_fail(p, p->t.line, "expected a function's name");
	n = intern(p, p->t.s, p->t.len);
	proto->name = n->s;
	next(p);
	if (is_punct(p, '('))
		proto->params = parse_parameter_list(p, &proto->param_count, false);
	place_parameters(p, proto, proto->rets, proto->ret_count);
	place_parameters(p, proto, proto->params, proto->param_count);
	f = make_function(p, proto, n, line);
	if (!n->sym) {
		uint32_t inner = p->scope;

		p->scope = 0; /* the name belongs to the module, the parameters to the function */
		declare(p, n, SYM_FUNC, line)->func = f;
		p->scope = inner;
	}
	return f;
}

static void parse_function(struct parser *p, bool is_entry)
{
	struct func *f = function_head(p, is_entry);

	p->fn = f;
	tuning_directives(p, f);
	if (accept(p, ';')) {
		scope_close(p);
		p->fn = NULL;
		return;
	}
	if (!is_punct(p, '{'))
		parse_fail(p, p->t.line, "expected the body of '%.100s'", f->name);
	if (f->defined)
		parse_fail(p, p->t.line, "'%.100s' is defined twice", f->name);
	f->defined = true;
	f->builtin = BUILTIN_NONE;
	parse_body(p);
	scope_close(p);
	p->fn = NULL;
}

static bool variable_space(struct parser *p, enum space *space)
{
	if (accept_dot(p, "global"))
		*space = SPACE_GLOBAL;
	else if (accept_dot(p, "const"))
		*space = SPACE_CONST;
	else if (accept_dot(p, "shared"))
		*space = SPACE_SHARED;
	else
		return false;
	return true;
}

static void parse_declaration(struct parser *p)
{
	bool is_extern = false;
	enum space space;

	for (;;) {
		if (accept_dot(p, "extern"))
			is_extern = true;
		else if (!accept_dot(p, "visible") && !accept_dot(p, "weak") &&
			 !accept_dot(p, "common"))
			break;
	}
	if (accept_dot(p, "entry")) {
		parse_function(p, true);
	} else if (accept_dot(p, "func")) {
		parse_function(p, false);
	} else if (variable_space(p, &space)) {
		do
			parse_variable(p, space, is_extern, false);
		while (is_punct(p, ',') && (next(p), true));
		expect(p, ';');
	} else {
		parse_fail(p, p->t.line, "unknown directive '%s%.*s'",
			   p->t.kind == TOK_DOT ? "." : "", (int)(p->t.len < 40 ? p->t.len : 40),
			   p->t.s);
	}
}

static void parse_directive(struct parser *p)
{
	if (accept_dot(p, "version")) {
		parse_version(p);
	} else if (accept_dot(p, "target")) {
		parse_target(p);
	} else if (accept_dot(p, "address_size")) {
		uint32_t line = p->t.line;

		if (expect_int(p) != 64)
			parse_fail(p, line, "only 64-bit addresses are supported");
	} else if (is_dot(p, "file") || is_dot(p, "loc") || is_punct(p, '@')) {
		lex_skip_line(&p->lx);
		next(p);
	} else if (accept_dot(p, "section")) {
		while (!is_punct(p, '{') && p->t.kind != TOK_EOF)
			next(p);
		skip_braces(p);
	} else if (accept_dot(p, "pragma")) {
		while (p->t.kind == TOK_STRING || is_punct(p, ','))
			next(p);
		expect(p, ';');
	} else {
		if (!p->m->version || !p->m->target)
			parse_fail(p, p->t.line, "expected .version and .target first");
		parse_declaration(p);
	}
}

static void parse_module(struct parser *p)
{
	jmp_buf recover;

	p->recover = &recover;
	if (setjmp(recover))
		return;
	opcodes_init(p);
	next(p);
	while (p->t.kind != TOK_EOF && p->errors < MAX_ERRORS)
		parse_directive(p);
	if (!p->m->version || !p->m->target)
		parse_fail(p, p->t.line, "expected .version and .target first");
	if (!p->errors)
		module_finish(p);
}

static void parser_free(struct parser *p)
{
	free(p->names);
	free(p->ranges);
	free(p->fixups);
	free(p->const_hash);
	free(p);
}

enum ptx_result ptx_parse(const char *text, size_t len, unsigned int sm, struct ptx_module **out,
			  char *log, size_t log_size)
{
	struct parser *p = calloc(1, sizeof(*p));
	enum ptx_result result;

	*out = NULL;
	if (log_size)
		log[0] = 0;
	if (!p)
		return PTX_NO_MEMORY;
	p->m = calloc(1, sizeof(*p->m));
	if (!p->m) {
		free(p);
		return PTX_NO_MEMORY;
	}
	p->m->arena.limit = (64u << 20) + 128 * len;
	p->m->vars_tail = &p->m->vars;
	while (len && !text[len - 1])
		len--;
	p->lx = (struct lexer){.p = text, .end = text + len, .line = 1};
	p->sm = sm;
	p->log = log;
	p->log_size = log_size;
	if (len > MAX_TEXT)
		p->result = PTX_NO_MEMORY;
	else
		parse_module(p);
	result = p->result;
	if (result == PTX_OK)
		*out = p->m;
	else
		ptx_module_free(p->m);
	parser_free(p);
	return result;
}
