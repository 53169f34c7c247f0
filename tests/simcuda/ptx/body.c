/* SPDX-License-Identifier: MIT */
/* Function bodies: blocks, declarations, labels, statements. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

#include <stdio.h>

struct var **parse_parameter_list(struct parser *p, uint32_t *count, bool anonymous)
{
	struct var *list[MAX_ARGS], **v;
	uint32_t n = 0, left = 0;

	expect(p, '(');
	while (!is_punct(p, ')')) {
		struct var *first = NULL, *part;

		do {
			if (n == MAX_ARGS)
				parse_fail(p, p->t.line, "more than %d parameters", MAX_ARGS);
			if (!first) {
				list[n++] = first = parse_parameter(p, anonymous);
				left = first->vector;
				continue;
			}
			/* the other elements of a vector, whose rows follow the first one's */
			list[n++] = part = parse_alloc(p, sizeof(*part));
			*part = *first;
			part->vector = 0;
		} while (left && --left);
		if (!accept(p, ','))
			break;
	}
	expect(p, ')');
	v = parse_alloc(p, sizeof(*v) * (n + 1));
	memcpy(v, list, sizeof(*v) * n);
	*count = n;
	return v;
}

static void place_call_parameter(struct parser *p, struct var *v)
{
	uint64_t align = v->align > 4 ? v->align : 4;

	v->offset = (p->param_top + align - 1) & ~(align - 1);
	if (v->offset + v->size > MAX_PARAM_BYTES)
		parse_fail(p, v->line, "the parameters of a call are too big");
	p->param_top = (uint32_t)(v->offset + v->size);
	if (p->param_top > p->fn->frame_params)
		p->fn->frame_params = p->param_top;
}

/* name<3> stands for name0, name1 and name2; name itself is none. */
static void call_parameter_range(struct parser *p, const struct var *v)
{
	struct name *base = intern(p, v->name, strlen(v->name));
	uint64_t count = expect_int(p);

	expect(p, '>');
	if (!count || count > MAX_ARGS)
		parse_fail(p, v->line, "'%.100s' has none or more than %d parameters", v->name,
			   MAX_ARGS);
	p->scopes[p->scope] = base->sym->scope_next;
	base->sym = base->sym->shadowed;
	for (uint32_t i = 0; i < count; i++) {
		struct var *one = parse_alloc(p, sizeof(*one));
		char text[64];
		struct name *n;

		n = intern(p, text, (size_t)snprintf(text, sizeof(text), "%.40s%u", v->name, i));
		*one = *v;
		one->name = n->s;
		declare(p, n, SYM_VAR, v->line)->var = one;
		place_call_parameter(p, one);
	}
}

/* .param variables that are not formal parameters: they hold arguments and results of calls. */
static void call_parameters(struct parser *p)
{
	do {
		struct var *v = parse_variable(p, SPACE_PARAM, LINK_LOCAL, true);

		if (strlen(v->name) <= 40 && accept(p, '<'))
			call_parameter_range(p, v);
		else
			place_call_parameter(p, v);
	} while (accept(p, ','));
	expect(p, ';');
}

static void place_local(struct parser *p, struct var *v, uint32_t *bytes, const char *whose)
{
	uint64_t align = v->align > 4 ? v->align : 4;
	uint64_t at = (*bytes + align - 1) & ~(align - 1);

	if (v->size > MAX_LOCAL_BYTES || at + v->size > MAX_LOCAL_BYTES)
		parse_fail(p, v->line, "the local memory of '%.100s' is too big", whose);
	v->offset = at;
	*bytes = (uint32_t)(at + v->size);
}

static void local_variables(struct parser *p)
{
	struct func *f = p->fn;

	do {
		struct var *v = parse_variable(p, SPACE_LOCAL, LINK_LOCAL, true);

		v->in_frame = true;
		place_local(p, v, &f->local_bytes, f->name);
	} while (accept(p, ','));
	expect(p, ';');
}

/* Each thread has one at a fixed place; a body's are on its stack. */
void parse_module_local(struct parser *p, enum linkage linkage)
{
	do {
		struct var *v;

		if (linkage != LINK_LOCAL)
			parse_fail(p, p->t.line, "a .local variable is of one text alone");
		v = parse_variable(p, SPACE_LOCAL, LINK_LOCAL, false);
		place_local(p, v, &p->m->local_bytes, v->name);
	} while (accept(p, ','));
	expect(p, ';');
}

static void static_variables(struct parser *p, enum space space)
{
	do
		parse_variable(p, space, LINK_LOCAL, true);
	while (accept(p, ','));
	expect(p, ';');
}

static bool parse_body_directive(struct parser *p)
{
	if (p->t.kind != TOK_DOT)
		return false;
	if (accept_dot(p, "reg")) {
		parse_registers(p);
	} else if (accept_dot(p, "param")) {
		call_parameters(p);
	} else if (accept_dot(p, "local")) {
		local_variables(p);
	} else if (accept_dot(p, "shared")) {
		static_variables(p, SPACE_SHARED);
	} else if (accept_dot(p, "global")) {
		static_variables(p, SPACE_GLOBAL);
	} else if (accept_dot(p, "const")) {
		static_variables(p, SPACE_CONST);
	} else if (is_dot(p, "loc") || is_dot(p, "file")) {
		lex_skip_line(&p->lx);
		next(p);
	} else if (accept_dot(p, "pragma")) {
		while (p->t.kind == TOK_STRING || is_punct(p, ','))
			next(p);
		expect(p, ';');
	} else {
		parse_fail(p, p->t.line, "unknown directive '.%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	}
	return true;
}

/* label: .branchtargets a, b, c; */
static void branch_targets(struct parser *p, struct sym *s)
{
	struct name *labels[1024];
	struct branch_table *t;
	uint32_t n = 0;

	do {
		if (p->t.kind != TOK_NAME || n == 1024)
			parse_fail(p, p->t.line, "expected at most 1024 labels");
		labels[n++] = intern(p, p->t.s, p->t.len);
		next(p);
	} while (accept(p, ','));
	t = parse_alloc(p, sizeof(*t) + n * sizeof(t->target[0]));
	t->count = n;
	for (uint32_t i = 0; i < n; i++)
		add_fixup(p, labels[i], &t->target[i], 0, p->stmt_line);
	s->kind = SYM_TABLE;
	s->table = t;
	expect(p, ';');
}

static void call_prototype(struct parser *p, struct sym *s)
{
	struct proto *t = parse_alloc(p, sizeof(*t));

	/* the parameters' names are local to the prototype */
	if (is_punct(p, '('))
		t->rets = parse_parameter_list(p, &t->ret_count, true);
	if (p->t.kind != TOK_NAME)
		parse_fail(p, p->t.line, "expected '_' in the call prototype");
	next(p);
	if (is_punct(p, '('))
		t->params = parse_parameter_list(p, &t->param_count, true);
	while (accept_dot(p, "noreturn"))
		;
	s->kind = SYM_PROTO;
	s->proto = t;
	expect(p, ';');
}

/* label: .calltargets f, g; not needed: a call checks its target itself. */
static void call_targets(struct parser *p, struct sym *s)
{
	struct proto *t = parse_alloc(p, sizeof(*t));
	struct sym *f = NULL;

	do {
		if (p->t.kind != TOK_NAME)
			parse_fail(p, p->t.line, "expected a function's name");
		f = lookup(p, intern(p, p->t.s, p->t.len));
		if (!f || f->kind != SYM_FUNC)
			parse_fail(p, p->t.line, "unknown function '%.*s'",
				   (int)(p->t.len < 100 ? p->t.len : 100), p->t.s);
		next(p);
	} while (accept(p, ','));
	t->params = f->func->params;
	t->rets = f->func->rets;
	t->param_count = f->func->param_count;
	t->ret_count = f->func->ret_count;
	s->kind = SYM_PROTO;
	s->proto = t;
	expect(p, ';');
}

static bool parse_label(struct parser *p)
{
	struct lexer ahead = p->lx;
	struct token t;
	struct sym *s;

	lex_next(&ahead, &t);
	if (p->t.kind != TOK_NAME || t.kind != TOK_PUNCT || t.punct != ':')
		return false;
	s = declare(p, intern(p, p->t.s, p->t.len), SYM_LABEL, p->t.line);
	s->row = p->m->code_count;
	next(p);
	next(p);
	if (accept_dot(p, "branchtargets"))
		branch_targets(p, s);
	else if (accept_dot(p, "callprototype"))
		call_prototype(p, s);
	else if (accept_dot(p, "calltargets"))
		call_targets(p, s);
	return true;
}

static void parse_guard(struct parser *p)
{
	bool negated = accept(p, '!');
	struct sym *s = NULL;

	if (p->t.kind == TOK_NAME)
		s = lookup(p, intern(p, p->t.s, p->t.len));
	if (!s || s->kind != SYM_REG || s->type != TY_PRED)
		parse_fail(p, p->t.line, "expected a predicate register after '@'");
	p->guard = s->row | (negated ? 1 : 0);
	next(p);
}

static void parse_instruction(struct parser *p)
{
	struct raw r = {.line = p->t.line};

	p->stmt_line = p->t.line;
	p->guard = GUARD_NONE;
	if (accept(p, '@'))
		parse_guard(p);
	if (p->t.kind != TOK_NAME)
		parse_fail(p, p->t.line, "expected an instruction at '%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	r.op = (struct word){p->t.s, p->t.len};
	next(p);
	while (p->t.kind == TOK_DOT) {
		if (r.mod_count == MAX_MODS)
			unknown_instruction(p, &r);
		r.mods[r.mod_count++] = (struct word){p->t.s, p->t.len};
		next(p);
	}
	/* before the operands: those of an unknown instruction may be of a kind of their own */
	if (!isa_allows(p, &r))
		unknown_instruction(p, &r);
	p->group_is_list = word_is(r.op.s, r.op.len, "call");
	while (!is_punct(p, ';')) {
		if (r.op_count == MAX_OPERANDS)
			parse_fail(p, r.line, "too many operands");
		parse_operand(p, &r.ops[r.op_count++]);
		if (!accept(p, ','))
			break;
	}
	if (!is_punct(p, ';'))
		parse_fail(p, p->t.line, "expected ';' at '%.*s'",
			   (int)(p->t.len < 40 ? p->t.len : 40), p->t.s);
	p->group_is_list = false;
	decode(p, &r);
	next(p);
}

static void parse_statement(struct parser *p)
{
	p->nesting = 0;
	if (accept(p, '{')) {
		scope_open(p);
	} else if (is_punct(p, '}')) {
		scope_close(p);
		next(p);
	} else if (p->t.kind == TOK_EOF) {
		parse_fail(p, p->t.line, "'%.100s' has no '}'", p->fn->name);
	} else if (is_punct(p, '@') && p->lx.p < p->lx.end && *p->lx.p == '@') {
		lex_skip_line(&p->lx);
		next(p);
	} else if (!accept(p, ';') && !parse_body_directive(p) && !parse_label(p)) {
		parse_instruction(p);
	}
}

/* After an error: continue after the statement, so that one log names several errors. */
static void resynchronise(struct parser *p)
{
	while (p->t.kind != TOK_EOF && !is_punct(p, ';'))
		lex_next(&p->lx, &p->t);
	if (is_punct(p, ';'))
		lex_next(&p->lx, &p->t);
}

static void parse_statements(struct parser *p, uint32_t outer)
{
	jmp_buf *above = p->recover;
	jmp_buf recover;

	p->recover = &recover;
	if (setjmp(recover)) {
		if (p->errors >= MAX_ERRORS || p->t.kind == TOK_EOF)
			longjmp(*above, 1);
		resynchronise(p);
	}
	while (p->scope > outer)
		parse_statement(p);
	p->recover = above;
}

void parse_body(struct parser *p)
{
	struct func *f = p->fn;
	struct insn *i;

	f->start = p->m->code_count;
	p->carry_row = OPERAND_NONE;
	p->param_top = f->is_entry ? 0 : f->frame_params;
	if (f->is_entry)
		f->frame_params = 0;
	scope_open(p);
	next(p);
	parse_statements(p, p->scope - 1);
	p->stmt_line = p->t.line;
	i = emit(p, op_ret);
	i->x = 1;
	f->end = p->m->code_count;
	resolve_labels(p);
}
