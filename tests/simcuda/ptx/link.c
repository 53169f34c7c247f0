/* SPDX-License-Identifier: MIT */
/*
 * Names of module scope. A module may come from several texts: what is .extern in one is defined by
 * another, what is neither .visible, .weak, .common nor .extern is a text's own, and means nothing
 * to the others.
 */
#include "tests/simcuda/ptx/parser.h"

#include <stdlib.h>

static bool gives_way(enum linkage l)
{
	return l == LINK_WEAK || l == LINK_COMMON;
}

struct sym *module_symbol(struct parser *p, struct name *n, enum linkage linkage)
{
	struct sym *s = n->sym;

	while (s && s->scope > SCOPE_UNIT)
		s = s->shadowed;
	if (!s || s->scope == SCOPE_UNIT || s->unit == p->unit_number)
		return s;
	if (linkage == LINK_LOCAL)
		return NULL;
	s->unit = p->unit_number;
	return s;
}

static struct sym *declare_linked(struct parser *p, struct name *n, enum sym_kind kind,
				  enum linkage linkage, uint32_t line)
{
	return declare_at(p, linkage == LINK_LOCAL ? SCOPE_UNIT : SCOPE_MODULE, n, kind, line);
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

/* The function takes its registers and parameters from the head that stands before its body. */
static void take_head(struct func *f, const struct func *head)
{
	f->params = head->params;
	f->rets = head->rets;
	f->frame_params = head->frame_params;
	f->row_bytes = head->row_bytes;
	f->p_next = head->p_next;
	f->p_rows = head->p_rows;
	f->reg_words = head->reg_words;
	f->local_bytes = 0;
	f->line = head->line;
	f->unit = head->unit;
	f->version = head->version;
	f->target = head->target;
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

static enum builtin builtin_of(const struct func *f)
{
	if (!strcmp(f->name, "vprintf") && takes(f, "88"))
		return BUILTIN_VPRINTF;
	if (!strcmp(f->name, "__assertfail") && takes(f, "88488"))
		return BUILTIN_ASSERTFAIL;
	if (!strcmp(f->name, "malloc") && takes(f, "8") && f->ret_count && f->rets[0]->size == 8)
		return BUILTIN_MALLOC;
	if (!strcmp(f->name, "free") && takes(f, "8") && !f->ret_count)
		return BUILTIN_FREE;
	if (!strcmp(f->name, "simcuda_native") && takes(f, "8") && !f->ret_count)
		return BUILTIN_NATIVE;
	if (!strcmp(f->name, "cudaGraphSetConditional") && takes(f, "84") && !f->ret_count)
		return BUILTIN_CONDITION;
	return BUILTIN_NONE;
}

static struct func *new_function(struct parser *p, const struct func *proto)
{
	struct ptx_module *m = p->m;
	struct func *f = parse_alloc(p, sizeof(*f));

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
	f->builtin = builtin_of(f);
	return f;
}

struct func *link_function(struct parser *p, struct func *proto, struct name *n)
{
	struct sym *s = module_symbol(p, n, proto->linkage);
	struct func *f;

	proto->version = p->version;
	proto->target = p->target;
	if (!s) {
		f = new_function(p, proto);
		declare_linked(p, n, SYM_FUNC, proto->linkage, proto->line)->func = f;
		return f;
	}
	f = s->func;
	if (s->kind != SYM_FUNC || (f->defined && f->unit_number == p->unit_number) ||
	    f->is_entry != proto->is_entry || f->param_count != proto->param_count ||
	    f->ret_count != proto->ret_count ||
	    !same_parameters(f->params, proto->params, f->param_count) ||
	    !same_parameters(f->rets, proto->rets, f->ret_count))
		parse_fail(p, proto->line, "'%.100s' is declared twice", n->s);
	if (!f->defined)
		take_head(f, proto);
	return f;
}

bool link_body(struct parser *p, struct func *f, const struct func *proto)
{
	if (f->defined && gives_way(proto->linkage))
		return false;
	if (f->defined && !gives_way(f->linkage))
		parse_fail(p, proto->line, "'%.100s' is defined twice", f->name);
	if (f->defined)
		take_head(f, proto);
	f->defined = true;
	f->linkage = proto->linkage;
	f->unit_number = p->unit_number;
	f->builtin = BUILTIN_NONE;
	return true;
}

struct var *link_variable(struct parser *p, struct var *v, struct name *n)
{
	struct sym *s = module_symbol(p, n, v->linkage);
	struct var *old;

	if (!s) {
		declare_linked(p, n, SYM_VAR, v->linkage, v->line)->var = v;
		*p->m->vars_tail = v;
		p->m->vars_tail = &v->next;
		return v;
	}
	old = s->var;
	if (s->kind != SYM_VAR || old->space != v->space ||
	    (old->size && v->size && old->size != v->size))
		parse_fail(p, v->line, "'%.100s' is declared twice", n->s);
	if (v->is_extern || (!old->is_extern && gives_way(v->linkage)))
		return v; /* what is known stays */
	if (!old->is_extern && !gives_way(old->linkage))
		parse_fail(p, v->line, "'%.100s' is %s twice", n->s,
			   s->scope == SCOPE_UNIT || old->unit_number == v->unit_number
				   ? "declared"
				   : "defined");
	v->next = old->next;
	v->index = old->index;
	*old = *v;
	return old;
}

/*
 * Shared memory is made by a launch: where no text defines it, what has a size is allocated as if
 * it were defined, and what has none is the launch's dynamic part.
 */
static bool is_missing(const struct var *v)
{
	return v->is_extern && v->space != SPACE_SHARED;
}

void link_check(struct parser *p)
{
	const struct ptx_module *m = p->m;

	if (p->relocatable)
		return;
	for (uint32_t i = 0; i < m->func_count; i++) {
		const struct func *f = m->funcs[i];

		if (f->referenced && !f->defined && f->builtin == BUILTIN_NONE)
			parse_note(p, f->unit, f->line, "unresolved extern function '%.100s'",
				   f->name);
	}
	for (const struct var *v = m->vars; v; v = v->next) {
		if (is_missing(v))
			parse_note(p, v->unit, v->line, "unresolved extern variable '%.100s'",
				   v->name);
	}
	if (p->errors)
		longjmp(*p->recover, 1);
}
