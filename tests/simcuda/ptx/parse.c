/* SPDX-License-Identifier: MIT */
/* Module scope: directives, variables, functions; errors with their lines. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/module.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TEXT (64u << 20)

static void log_line(struct parser *p, const char *unit, uint32_t line, const char *text)
{
	int n;

	if (p->log_used + 1 >= p->log_size)
		return;
	n = snprintf(p->log + p->log_used, p->log_size - p->log_used, "%.100s%sline %u: %s\n",
		     unit ? unit : "", unit ? ", " : "", line, text);
	if (n > 0)
		p->log_used += (size_t)n;
	if (p->log_used >= p->log_size)
		p->log_used = p->log_size - 1;
}

__attribute__((format(printf, 4, 0))) static void note(struct parser *p, const char *unit,
						       uint32_t line, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 32 || (unsigned char)*c > 126)
			*c = '?';
	}
	log_line(p, unit, line, text);
	p->errors++;
	if (p->result == PTX_OK)
		p->result = PTX_INVALID;
}

void parse_note(struct parser *p, const char *unit, uint32_t line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(p, unit, line, fmt, ap);
	va_end(ap);
}

void parse_fail(struct parser *p, uint32_t line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(p, p->unit, line, fmt, ap);
	va_end(ap);
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
	p->version = (uint32_t)(v * 10 + 0.5);
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
			p->target = sm;
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

/* .reqnctapercluster x, y, z */
static void cluster_size(struct parser *p, struct func *f)
{
	uint32_t line = p->t.line;
	uint64_t blocks = 1;

	for (int i = 0; i < 3; i++) {
		const uint64_t n = !i || accept(p, ',') ? expect_int(p) : 1;

		f->reqcluster[i] = n <= PTX_MAX_CLUSTER ? (uint32_t)n : 0;
		blocks *= f->reqcluster[i];
	}
	if (!blocks || blocks > PTX_MAX_CLUSTER)
		parse_fail(p, line, "a cluster of '%.100s' must have 1 to %u blocks", f->name,
			   PTX_MAX_CLUSTER);
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
		} else if (accept_dot(p, "minnctapersm") || accept_dot(p, "maxnctapersm")) {
			expect_int(p);
		} else if (accept_dot(p, "maxclusterrank")) {
			f->max_cluster = (uint32_t)expect_int(p);
		} else if (accept_dot(p, "reqnctapercluster")) {
			cluster_size(p, f);
		} else if (accept_dot(p, "pragma")) {
			while (p->t.kind == TOK_STRING || is_punct(p, ','))
				next(p);
			expect(p, ';');
		} else if (accept_dot(p, "explicitcluster")) {
			f->explicit_cluster = true;
		} else if (!accept_dot(p, "noreturn")) {
			return;
		}
	}
}

static struct func *function_head(struct parser *p, bool is_entry, enum linkage linkage,
				  struct func *proto)
{
	uint32_t line = p->t.line;
	struct name *n;

	/* a kernel is for the host: it has a name even where it is not .visible */
	proto->linkage = is_entry && linkage == LINK_LOCAL ? LINK_VISIBLE : linkage;
	proto->is_entry = is_entry;
	proto->line = line;
	proto->unit = p->unit;
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
	return link_function(p, proto, n);
}

static void parse_function(struct parser *p, bool is_entry, enum linkage linkage)
{
	struct func *proto = parse_alloc(p, sizeof(*proto));
	struct func *f = function_head(p, is_entry, linkage, proto);

	p->fn = f;
	tuning_directives(p, f);
	/* ptxas does without the semicolon behind a declaration, and XLA's own kernels have none.
	 */
	if (accept(p, ';') || (linkage == LINK_EXTERN && !is_punct(p, '{'))) {
		scope_close(p);
		p->fn = NULL;
		return;
	}
	if (!is_punct(p, '{'))
		parse_fail(p, p->t.line, "expected the body of '%.100s'", f->name);
	if (link_body(p, f, proto))
		parse_body(p);
	else
		skip_braces(p);
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
	enum linkage linkage = LINK_LOCAL;
	enum space space;

	for (;;) {
		if (accept_dot(p, "extern"))
			linkage = LINK_EXTERN;
		else if (accept_dot(p, "visible"))
			linkage = LINK_VISIBLE;
		else if (accept_dot(p, "weak"))
			linkage = LINK_WEAK;
		else if (accept_dot(p, "common"))
			linkage = LINK_COMMON;
		else
			break;
	}
	if (accept_dot(p, "entry")) {
		parse_function(p, true, linkage);
	} else if (accept_dot(p, "func")) {
		parse_function(p, false, linkage);
	} else if (accept_dot(p, "local")) {
		parse_module_local(p, linkage);
	} else if (variable_space(p, &space)) {
		do
			parse_variable(p, space, linkage, false);
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
		if (!p->version || !p->target)
			parse_fail(p, p->t.line, "expected .version and .target first");
		parse_declaration(p);
	}
}

static void parse_unit(struct parser *p, const struct ptx_unit *unit)
{
	size_t len = unit->len;

	while (len && !unit->text[len - 1])
		len--;
	p->lx = (struct lexer){.p = unit->text, .end = unit->text + len, .line = 1};
	p->unit = NULL;
	if (unit->name && *unit->name)
		p->unit = strcpy(parse_alloc(p, strlen(unit->name) + 1), unit->name);
	p->unit_number++;
	p->version = p->target = 0;
	scope_open(p);
	next(p);
	while (p->t.kind != TOK_EOF && p->errors < MAX_ERRORS)
		parse_directive(p);
	if (!p->version || !p->target)
		parse_fail(p, p->t.line, "expected .version and .target first");
	scope_close(p);
}

static void parse_module(struct parser *p, const struct ptx_unit *units, size_t count)
{
	jmp_buf recover;

	p->recover = &recover;
	if (setjmp(recover))
		return;
	opcodes_init(p);
	for (size_t i = 0; i < count && !p->errors; i++)
		parse_unit(p, &units[i]);
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

static enum ptx_result parse_all(struct parser *p, const struct ptx_unit *units, size_t count)
{
	uint64_t len = 0;

	p->m = calloc(1, sizeof(*p->m));
	if (!p->m)
		return PTX_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		len += units[i].len;
	p->m->arena.limit = (64u << 20) + 128 * len;
	p->m->vars_tail = &p->m->vars;
	if (len > MAX_TEXT)
		p->result = PTX_NO_MEMORY;
	else
		parse_module(p, units, count);
	return p->result;
}

static enum ptx_result parse_units(const struct ptx_unit *units, size_t count, unsigned int sm,
				   struct ptx_module **out, char *log, size_t log_size)
{
	struct parser *p = calloc(1, sizeof(*p));
	enum ptx_result result;

	if (log_size)
		log[0] = 0;
	if (!p)
		return PTX_NO_MEMORY;
	p->sm = sm;
	p->log = log;
	p->log_size = log_size;
	p->relocatable = !out;
	result = parse_all(p, units, count);
	if (result == PTX_OK && out)
		*out = p->m;
	else
		ptx_module_free(p->m);
	parser_free(p);
	return result;
}

enum ptx_result ptx_parse(const char *text, size_t len, unsigned int sm, struct ptx_module **out,
			  char *log, size_t log_size)
{
	const struct ptx_unit unit = {.text = text, .len = len};

	*out = NULL;
	return parse_units(&unit, 1, sm, out, log, log_size);
}

enum ptx_result ptx_link(const struct ptx_unit *units, size_t count, unsigned int sm,
			 struct ptx_module **out, char *log, size_t log_size)
{
	*out = NULL;
	return parse_units(units, count, sm, out, log, log_size);
}

enum ptx_result ptx_check(const struct ptx_unit *unit, unsigned int sm, char *log, size_t log_size)
{
	return parse_units(unit, 1, sm, NULL, log, log_size);
}
