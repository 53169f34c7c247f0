/* SPDX-License-Identifier: MIT */
/* A parsed module: its layout, its tables, its binding to addresses. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/module.h"

#include <stdlib.h>
#include <sys/mman.h>

#define STATIC_SHARED_LIMIT (48u * 1024)
#define ARENA_CHUNK         (64u << 10)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->head;
	void *v;

	n = (n + 15) & ~(size_t)15;
	if (n > a->limit || a->used > a->limit - n)
		return NULL;
	if (!c || c->size - c->used < n) {
		size_t size = n > ARENA_CHUNK / 4 ? n : ARENA_CHUNK;

		c = calloc(1, sizeof(*c) + size);
		if (!c)
			return NULL;
		c->size = size;
		if (a->head && size == n) { /* a large piece: continue to fill the current chunk */
			c->next = a->head->next;
			a->head->next = c;
		} else {
			c->next = a->head;
			a->head = c;
		}
	}
	v = c->bytes + c->used;
	c->used += n;
	a->used += n;
	return v;
}

void arena_free(struct arena *a)
{
	while (a->head) {
		struct arena_chunk *c = a->head;

		a->head = c->next;
		free(c);
	}
}

/* The functions that can run in a kernel: a work list over calls and taken addresses. */
struct reach {
	struct func **list;
	uint32_t count, mark;
};

static void reach_add(struct reach *r, struct func *f)
{
	if (f->visit == r->mark)
		return;
	f->visit = r->mark;
	r->list[r->count++] = f;
}

static void reach_from(struct parser *p, struct reach *r, struct func *entry)
{
	bool indirect = false;

	r->count = 0;
	r->mark++;
	reach_add(r, entry);
	for (uint32_t i = 0; i < r->count; i++) {
		struct func *f = r->list[i];

		for (struct use *u = f->uses; u; u = u->next) {
			if (u->func)
				reach_add(r, u->func);
		}
		if (!f->calls_indirectly || indirect)
			continue;
		indirect = true;
		for (uint32_t k = 0; k < p->m->func_count; k++) {
			if (p->m->funcs[k]->address_taken)
				reach_add(r, p->m->funcs[k]);
		}
	}
}

static uint64_t shared_top(const struct reach *r)
{
	uint64_t top = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		for (const struct use *u = r->list[i]->uses; u; u = u->next) {
			const struct var *v = u->var;

			if (v && v->space == SPACE_SHARED && v->placed && v->offset + v->size > top)
				top = v->offset + v->size;
		}
	}
	return top;
}

/*
 * Shared variables get fixed offsets: each lies after those that were placed before it and that
 * share a kernel with it, so that a kernel pays only for what it can reach. The strictest
 * alignments come first, which leaves no holes.
 */
static void layout_shared(struct parser *p, struct reach *r, const struct func *entry,
			  struct ptx_kernel *k)
{
	uint64_t top = shared_top(r);

	for (uint64_t align = 4096; align; align >>= 1) {
		for (uint32_t i = 0; i < r->count; i++) {
			for (struct use *u = r->list[i]->uses; u; u = u->next) {
				struct var *v = u->var;

				if (!v || v->space != SPACE_SHARED || v->is_dynamic || v->placed ||
				    v->align != align)
					continue;
				v->offset = (top + align - 1) & ~(align - 1);
				top = v->offset + v->size;
				v->placed = true;
				if (top > STATIC_SHARED_LIMIT)
					break;
			}
		}
	}
	if (top > STATIC_SHARED_LIMIT)
		parse_fail(p, entry->line,
			   "kernel '%.100s' uses too much shared memory (more than %u bytes)",
			   entry->name, STATIC_SHARED_LIMIT);
	k->shared_bytes = (uint32_t)top;
	if (top > p->m->dynamic_shared)
		p->m->dynamic_shared = (uint32_t)top;
}

static uint32_t local_estimate(const struct parser *p, const struct reach *r)
{
	uint64_t bytes = (p->m->local_bytes + 15) & ~15ull;

	for (uint32_t i = 0; i < r->count; i++)
		bytes += ((uint64_t)r->list[i]->local_bytes + 15) & ~15ull;
	return bytes > MAX_LOCAL_BYTES ? MAX_LOCAL_BYTES : (uint32_t)bytes;
}

static void fill_parameters(struct parser *p, const struct func *f, struct ptx_kernel *k)
{
	struct ptx_param *t = parse_alloc(p, sizeof(*t) * (f->param_count + 1));

	for (uint32_t i = 0; i < f->param_count; i++) {
		t[i].offset = (uint32_t)f->params[i]->offset;
		t[i].size = (uint32_t)f->params[i]->size;
		t[i].align = (uint32_t)f->params[i]->align;
		k->param_bytes = t[i].offset + t[i].size;
	}
	k->params = t;
	k->param_count = f->param_count;
}

/* The real number is known only after register allocation: estimate at most 64. */
static uint32_t register_estimate(const struct func *f)
{
	uint32_t n = 8 + f->reg_words / 4;

	n = n < 16 ? 16 : n > 64 ? 64 : n;
	return f->max_registers && f->max_registers < n ? f->max_registers : n;
}

static void fill_kernel(struct parser *p, struct func *f, struct ptx_kernel *k, struct reach *r)
{
	uint64_t threads = 1;

	k->name = f->name;
	k->version = f->version;
	k->target = f->target;
	fill_parameters(p, f, k);
	reach_from(p, r, f);
	layout_shared(p, r, f, k);
	k->local_bytes = local_estimate(p, r);
	k->registers = register_estimate(f);
	for (uint32_t i = 0; i < r->count; i++)
		k->uses_heap |= r->list[i]->builtin == BUILTIN_MALLOC ||
				r->list[i]->builtin == BUILTIN_FREE;
	memcpy(k->maxntid, f->maxntid, sizeof(k->maxntid));
	memcpy(k->reqntid, f->reqntid, sizeof(k->reqntid));
	memcpy(k->reqcluster, f->reqcluster, sizeof(k->reqcluster));
	k->explicit_cluster = f->explicit_cluster;
	k->max_cluster = f->max_cluster;
	const uint32_t *dims = f->reqntid[0] ? f->reqntid : f->maxntid;

	for (int i = 0; i < 3 && dims[0]; i++)
		threads = dims[i] && threads <= 1024 ? threads * dims[i] : threads;
	k->max_threads = dims[0] && threads < 1024 ? (uint32_t)threads : 1024;
	f->kernel = k;
}

static void make_kernels(struct parser *p)
{
	struct ptx_module *m = p->m;
	struct reach r = {.list = parse_alloc(p, sizeof(*r.list) * (m->func_count + 1))};
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->func_count; i++)
		n += m->funcs[i]->is_entry && m->funcs[i]->defined;
	m->kernels = parse_alloc(p, sizeof(*m->kernels) * (n + 1));
	m->kernel_funcs = parse_alloc(p, sizeof(*m->kernel_funcs) * (n + 1));
	for (uint32_t i = 0; i < m->func_count; i++) {
		struct func *f = m->funcs[i];

		if (!f->is_entry || !f->defined)
			continue;
		m->kernel_funcs[m->kernel_count] = f;
		fill_kernel(p, f, &m->kernels[m->kernel_count++], &r);
	}
	m->dynamic_shared = (m->dynamic_shared + 127) & ~127u;
	for (struct var *v = m->vars; v; v = v->next) {
		if (v->space == SPACE_SHARED && v->is_dynamic)
			v->offset = m->dynamic_shared;
	}
}

static void make_globals(struct parser *p)
{
	struct ptx_module *m = p->m;
	uint64_t const_bytes = 0;
	uint32_t n = 0;

	for (struct var *v = m->vars; v; v = v->next) {
		if (v->space != SPACE_GLOBAL && v->space != SPACE_CONST)
			continue;
		n++;
		if (!v->init && v->size > m->zeros_size)
			m->zeros_size = v->size;
	}
	m->zeros_size = (m->zeros_size | 4095) + 1;
	m->zeros = mmap(NULL, m->zeros_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (m->zeros == MAP_FAILED) {
		m->zeros = NULL;
		parse_no_memory(p);
	}
	m->globals = parse_alloc(p, sizeof(*m->globals) * (n + 1));
	m->global_vars = parse_alloc(p, sizeof(*m->global_vars) * (n + 1));
	for (struct var *v = m->vars; v; v = v->next) {
		if (v->space != SPACE_GLOBAL && v->space != SPACE_CONST)
			continue;
		v->index = m->global_count++;
		m->global_vars[v->index] = v;
		m->globals[v->index] = (struct ptx_global){
			.name = v->name,
			.size = v->size,
			.align = v->align,
			.init = v->init ? v->init : m->zeros,
			.is_const = v->space == SPACE_CONST,
			.is_local = v->linkage == LINK_LOCAL,
			.is_managed = v->is_managed,
		};
		if (v->space == SPACE_CONST)
			const_bytes += v->size;
	}
	for (uint32_t i = 0; i < m->kernel_count; i++)
		m->kernels[i].const_bytes =
			const_bytes < UINT32_MAX ? (uint32_t)const_bytes : UINT32_MAX;
}

void module_finish(struct parser *p)
{
	link_check(p);
	make_kernels(p);
	make_globals(p);
}

void ptx_module_free(struct ptx_module *m)
{
	if (!m)
		return;
	if (m->zeros)
		munmap(m->zeros, m->zeros_size);
	free(m->code);
	free(m->lines);
	free(m->consts);
	free(m->funcs);
	arena_free(&m->arena);
	free(m);
}

size_t ptx_kernel_count(const struct ptx_module *m)
{
	return m->kernel_count;
}

const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *m, size_t i)
{
	return i < m->kernel_count ? &m->kernels[i] : NULL;
}

const struct ptx_kernel *ptx_kernel_find(const struct ptx_module *m, const char *name)
{
	for (uint32_t i = 0; i < m->kernel_count; i++) {
		if (!strcmp(m->kernels[i].name, name))
			return &m->kernels[i];
	}
	return NULL;
}

size_t ptx_global_count(const struct ptx_module *m)
{
	return m->global_count;
}

const struct ptx_global *ptx_global_at(const struct ptx_module *m, size_t i)
{
	return i < m->global_count ? &m->globals[i] : NULL;
}
