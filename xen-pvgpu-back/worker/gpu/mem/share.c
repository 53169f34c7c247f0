/* SPDX-License-Identifier: MIT */
/*
 * Memory that sessions of one vGPU share. The owner makes a token, which the guests pass on; the
 * worker that gets it from its guest asks the owner's worker, by way of pvgpud (frame/share.c),
 * which then exports the area or the physical memory that the token names as a file descriptor.
 * The whole of it is mapped: of a small allocation the page, with its neighbours.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/share.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/vmm.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define TOKENS_MOST  65536u
#define IMPORTS_MOST 256u

_Static_assert(sizeof(struct share_bytes) == PVGPU_SHARE_TOKEN, "what guests carry");
_Static_assert(SHARE_TOKEN == PVGPU_SHARE_TOKEN, "what workers carry");

struct token {
	struct share_bytes bytes;
	bool used;
	enum share_kind kind;
	struct obj *o;         /* referenced; NULL: memory of an area */
	uint64_t addr, serial; /* the memory, and its area's */
};

/* This session wants something. */
struct import {
	struct job job;
	struct import *next;
	uint32_t id, seq;
	enum share_kind kind;
	struct ctx *ctx; /* referenced; NULL: of none */
	struct obj *o;   /* referenced: the handle that is being made; NULL: none is */
	struct share_bytes bytes;
	int result, fd;
	uint64_t number, size;
};

static void token_free(struct token *t)
{
	if (t->o)
		obj_unref(t->o);
	*t = (struct token){0};
}

/* A place for a token, or NULL. Tokens of physical memory that is gone make room. */
static struct token *place(struct shares *s)
{
	const uint32_t cap = s->cap ? 2 * s->cap : 16;
	struct token *more;

	for (uint32_t i = 0; i < s->tokens; i++) {
		struct token *t = &s->token[i];

		if (t->used && t->kind == SHARE_KIND_PHYSICAL &&
		    atomic_load(&((struct physical *)t->o)->gone))
			token_free(t);
		if (!t->used)
			return t;
	}
	if (s->tokens == TOKENS_MOST)
		return NULL;
	if (s->tokens == s->cap) {
		more = realloc(s->token, cap * sizeof(*more));
		if (!more)
			return NULL;
		s->token = more;
		s->cap = cap;
	}
	s->token[s->tokens] = (struct token){0};
	return &s->token[s->tokens++];
}

static struct token *find(struct shares *s, enum share_kind kind, const struct share_bytes *what,
			  const struct obj *o, uint64_t addr, uint64_t serial)
{
	for (uint32_t i = 0; i < s->tokens; i++) {
		struct token *t = &s->token[i];

		if (t->used && t->kind == kind && t->o == o && t->addr == addr &&
		    t->serial == serial && t->bytes.from == what->from && t->bytes.len == what->len)
			return t;
	}
	return NULL;
}

int token_new(struct gpu *g, enum share_kind kind, const struct share_bytes *what, struct obj *o,
	      uint64_t addr, uint64_t serial, struct share_bytes *out)
{
	struct shares *s = &g->shares;
	struct token *t = find(s, kind, what, o, addr, serial);

	if (!t) {
		t = place(s);
		if (!t)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->bytes = *what;
		if (getrandom(t->bytes.secret, sizeof(t->bytes.secret), 0) !=
		    (ssize_t)sizeof(t->bytes.secret))
			return CUDA_ERROR_OPERATING_SYSTEM;
		t->bytes.session = worker_info(g->w)->session;
		t->bytes.index = (uint32_t)(t - s->token);
		t->kind = kind;
		t->o = o ? obj_ref(o) : NULL;
		t->addr = addr;
		t->serial = serial;
		t->used = true;
	}
	*out = t->bytes;
	return 0;
}

void share_forget(struct gpu *g, uint64_t addr, uint64_t size)
{
	struct shares *s = &g->shares;

	for (uint32_t i = 0; i < s->tokens; i++) {
		struct token *t = &s->token[i];

		if (t->used && !t->o && t->addr - addr < size)
			token_free(t);
	}
}

void share_forget_object(struct gpu *g, const struct obj *o)
{
	struct shares *s = &g->shares;

	for (uint32_t i = 0; i < s->tokens; i++)
		if (s->token[i].used && s->token[i].o == o)
			token_free(&s->token[i]);
}

uint64_t share_number(struct gpu *g)
{
	return (uint64_t)worker_info(g->w)->session << 32 | ++g->shares.numbers;
}

static bool able(const struct gpu *g)
{
	return g->mem.prop.requestedHandleTypes != 0;
}

int handle_share_memory(struct worker *w, const struct pvgpu_in_share_memory *in,
			struct pvgpu_out_share_memory *out)
{
	struct gpu *g = worker_gpu(w);
	struct share_bytes what = {.len = in->size};
	uint64_t serial;
	struct area *a;
	int r;

	if (!able(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	a = mem_shareable(g, in->address, in->size, &serial);
	if (!a)
		return CUDA_ERROR_INVALID_VALUE;
	what.from = in->address - a->addr;
	r = token_new(g, (enum share_kind)in->kind, &what, NULL, in->address, serial,
		      (struct share_bytes *)(void *)g->scratch);
	if (r)
		return r;
	a->tokens = true;
	out->token = g->scratch;
	out->token_len = PVGPU_SHARE_TOKEN;
	return 0;
}

int handle_share_physical(struct worker *w, const struct pvgpu_in_share_physical *in,
			  struct pvgpu_out_share_physical *out)
{
	struct gpu *g = worker_gpu(w);
	struct physical *p = in->physical;
	int r = obj_error(p);

	if (!r && !able(g))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (!r && p->imported)
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = token_new(g, SHARE_KIND_PHYSICAL, &(struct share_bytes){.len = p->size}, &p->o,
			      0, 0, (struct share_bytes *)(void *)g->scratch);
	if (r)
		return r;
	out->token = g->scratch;
	out->token_len = PVGPU_SHARE_TOKEN;
	return 0;
}

/* Memory that is being exported: it stays until give_end(). */
struct given {
	unsigned long long far;
	uint64_t size, number;
	uint32_t *giving;
};

/* A CUresult. */
static int give_begin(struct gpu *g, const struct token *t, struct given *v)
{
	struct physical *p = (struct physical *)t->o;
	struct area *a = NULL;

	pthread_mutex_lock(&g->mem.lock);
	if (p && !atomic_load(&p->gone)) {
		p->number = p->number ? p->number : share_number(g);
		*v = (struct given){p->far, p->size, p->number, &p->giving};
	} else if (!p && (a = mem_shared(&g->mem, t->addr, t->serial))) {
		a->number = a->number ? a->number : share_number(g);
		*v = (struct given){a->far, a->size, a->number, &a->giving};
	}
	if (v->giving)
		++*v->giving;
	pthread_mutex_unlock(&g->mem.lock);
	return v->giving ? 0 : CUDA_ERROR_INVALID_VALUE;
}

static void give_end(struct gpu *g, struct given *v)
{
	pthread_mutex_lock(&g->mem.lock);
	--*v->giving;
	pthread_mutex_unlock(&g->mem.lock);
}

void share_given_wait(struct gpu *g, const uint32_t *giving)
{
	const struct timespec pause = {.tv_nsec = 50000};

	pthread_mutex_lock(&g->mem.lock);
	while (*giving) {
		pthread_mutex_unlock(&g->mem.lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&g->mem.lock);
	}
	pthread_mutex_unlock(&g->mem.lock);
}

/* At once, on the decoding thread: the side lane may wait for work of the owner's, which may wait
 * for the importer. */
static void give(struct gpu *g, uint32_t id, const struct token *t)
{
	struct given v = {0};
	int fd = -1, r = give_begin(g, t, &v);

	if (!r)
		r = (int)g->far->cuMemExportToShareableHandle(
			&fd, v.far, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
	share_answer(g->w, id, r, v.number, v.size, fd);
	if (fd >= 0)
		close(fd);
	if (v.giving)
		give_end(g, &v);
}

/* Equal, found out in the same time wherever they differ. */
static bool same(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;
	unsigned char differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

static struct token *known(struct gpu *g, const struct share_bytes *b)
{
	struct shares *s = &g->shares;
	struct token *t = b->index < s->tokens ? &s->token[b->index] : NULL;

	return t && t->used && same(&t->bytes, b, sizeof(*b)) ? t : NULL;
}

void gpu_share_wanted(struct worker *w, uint32_t id, uint64_t kind, const void *token)
{
	struct gpu *g = worker_gpu(w);
	struct share_bytes b;
	struct token *t;

	memcpy(&b, token, sizeof(b));
	t = known(g, &b);
	if (t && t->kind != kind)
		t = NULL;
	if (!t)
		share_answer(w, id, CUDA_ERROR_INVALID_VALUE, 0, 0, -1);
	else if (t->kind == SHARE_KIND_EVENT)
		shared_event_give(g, id, t->o);
	else
		give(g, id, t);
}

static void reply(struct gpu *g, struct import *m, int r, uint64_t addr)
{
	const struct pvgpu_out_share_open open = {.address = addr, .size = m->bytes.len};
	const struct pvgpu_out_share_import import = {.size = m->size};

	if (m->o)
		obj_ready(m->o, r);
	if (m->kind == SHARE_KIND_EVENT)
		worker_reply_shared_event_open(g->w, m->seq, r, NULL);
	else if (m->kind == SHARE_KIND_PHYSICAL)
		worker_reply_share_import(g->w, m->seq, r, &import);
	else
		worker_reply_share_open(g->w, m->seq, ctx_result(m->ctx, r), &open);
	if (m->ctx)
		obj_unref(m->ctx);
	if (m->o)
		obj_unref(m->o);
	free(m);
}

/* Map what was imported: the whole area. */
static int map(struct gpu *g, struct import *m, unsigned long long far, uint64_t *addr)
{
	const CUmemAccessDesc access = {.location = g->mem.prop.location,
					.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	struct window *v = &g->mem.win;
	struct area *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*a = (struct area){.size = m->size,
			   .len = m->bytes.len,
			   .far = far,
			   .number = m->number,
			   .from = m->bytes.from,
			   .imported = true};
	pthread_mutex_lock(&g->mem.lock);
	a->addr = window_take(v, m->size / v->page);
	pthread_mutex_unlock(&g->mem.lock);
	r = a->addr ? (int)g->far->cuMemMap(a->addr, a->size, 0, far, 0) : CUDA_ERROR_OUT_OF_MEMORY;
	if (!r) {
		r = (int)g->far->cuMemSetAccess(a->addr, a->size, &access, 1);
		if (r)
			g->far->cuMemUnmap(a->addr, a->size);
	}
	if (!r) {
		*addr = a->addr + a->from;
		mem_import(g, m->ctx, a);
		return 0;
	}
	pthread_mutex_lock(&g->mem.lock);
	if (a->addr)
		window_put(v, a->addr, a->size / v->page);
	pthread_mutex_unlock(&g->mem.lock);
	free(a);
	return r;
}

/* The peer says how large it is: it must hold what the token names. */
static bool fits(const struct gpu *g, const struct import *m)
{
	return m->size && m->size % g->mem.win.page == 0 && m->size <= g->mem.win.size &&
	       m->bytes.len && m->bytes.from <= m->size && m->bytes.len <= m->size - m->bytes.from;
}

static int take_memory(struct gpu *g, struct import *m, uint64_t *addr)
{
	CUmemGenericAllocationHandle far = 0;
	int r = fits(g, m) ? 0 : CUDA_ERROR_INVALID_VALUE;

	if (!r && m->ctx)
		r = ctx_enter(m->ctx);
	if (!r)
		r = (int)g->far->cuMemImportFromShareableHandle(
			&far, (void *)(intptr_t)m->fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
	if (r)
		return r;
	if (m->kind == SHARE_KIND_PHYSICAL) {
		struct physical *p = (struct physical *)m->o;

		p->far = far;
		p->size = m->size;
		p->number = m->number;
		p->users = 1;
		return 0;
	}
	r = map(g, m, far, addr);
	if (r)
		g->far->cuMemRelease(far);
	return r;
}

static void run_import(struct gpu *g, struct job *job)
{
	struct import *m = (struct import *)job;
	uint64_t addr = 0;
	int r = m->result;

	if (!r && m->kind == SHARE_KIND_EVENT)
		r = shared_event_take(m->o, m->fd, m->bytes.from, m->number);
	else if (!r)
		r = take_memory(g, m, &addr);
	if (m->fd >= 0)
		close(m->fd);
	if (r && m->number)
		share_drop(g->w, m->number);
	reply(g, m, r, addr);
}

void gpu_share_given(struct worker *w, uint32_t id, int result, uint64_t number, uint64_t bytes,
		     int fd)
{
	struct gpu *g = worker_gpu(w);
	struct import **at = &g->shares.imports, *m;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	m = *at;
	if (!m) {
		if (fd >= 0)
			close(fd);
		if (!result)
			share_drop(w, number);
		return;
	}
	*at = m->next;
	m->result = result;
	m->number = result ? 0 : number;
	m->size = bytes;
	m->fd = fd;
	m->job.run = run_import;
	side_push(g, &m->job);
}

/* Ask for it; the reply follows. */
static int import(struct gpu *g, enum share_kind kind, const unsigned char *token, uint32_t seq,
		  struct ctx *c, struct obj *o)
{
	struct import *m;
	uint32_t n = 0;

	for (m = g->shares.imports; m; m = m->next)
		n++;
	m = n < IMPORTS_MOST ? calloc(1, sizeof(*m)) : NULL;
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	m->kind = kind;
	m->seq = seq;
	m->fd = -1;
	m->id = ++g->shares.ids ? g->shares.ids : ++g->shares.ids;
	memcpy(&m->bytes, token, sizeof(m->bytes));
	if (m->bytes.session == worker_info(g->w)->session) {
		free(m);
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	m->ctx = c ? obj_ref(c) : NULL;
	m->o = o ? obj_ref(o) : NULL;
	m->next = g->shares.imports;
	g->shares.imports = m;
	if (share_ask(g->w, m->id, kind, token) == 0)
		return PVGPU_PENDING;
	g->shares.imports = m->next;
	if (m->ctx)
		obj_unref(m->ctx);
	if (m->o)
		obj_unref(m->o);
	free(m);
	return CUDA_ERROR_NOT_SUPPORTED;
}

int handle_share_open(struct worker *w, const struct pvgpu_in_share_open *in,
		      struct pvgpu_out_share_open *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	int r = obj_error(c);

	if (!r && !able(g))
		r = CUDA_ERROR_NOT_SUPPORTED;
	return r ? r : import(g, (enum share_kind)in->kind, in->token, in->hdr->seq, c, NULL);
}

int handle_share_import(struct worker *w, const struct pvgpu_in_share_import *in,
			struct pvgpu_out_share_import *out)
{
	struct gpu *g = worker_gpu(w);
	struct physical *p;
	int r;

	if (!able(g) || g->mem.win.page != PVGPU_ALLOC_PAGE)
		return CUDA_ERROR_NOT_SUPPORTED;
	p = obj_new(g, PVGPU_H_PHYSICAL, in->physical_h, sizeof(*p), NULL, NULL, &r);
	if (!p)
		return r;
	p->imported = true;
	r = import(g, SHARE_KIND_PHYSICAL, in->token, in->hdr->seq, NULL, &p->o);
	if (r != PVGPU_PENDING)
		obj_ready(p, r);
	return r;
}

int handle_shared_event_open(struct worker *w, const struct pvgpu_in_shared_event_open *in,
			     struct pvgpu_out_shared_event_open *out)
{
	struct gpu *g = worker_gpu(w);
	struct obj *o = shared_event_new(g, in->ctx, in->event_h, &(int){0});
	int r;

	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = import(g, SHARE_KIND_EVENT, in->token, in->hdr->seq, NULL, o);
	if (r != PVGPU_PENDING)
		obj_ready(o, r);
	return r;
}

struct close_job {
	struct job job;
	struct area *area;
};

static void run_close(struct gpu *g, struct job *job)
{
	struct close_job *j = (struct close_job *)job;

	area_unmap(g, j->area);
	atomic_fetch_sub(&g->mem.pending, 1);
	free(j);
}

int handle_share_close(struct worker *w, const struct pvgpu_in_share_close *in,
		       struct pvgpu_out_share_close *out)
{
	struct gpu *g = worker_gpu(w);
	struct close_job *j = calloc(1, sizeof(*j));

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->area = mem_forget_import(g, in->address);
	if (!j->area) {
		free(j);
		return CUDA_ERROR_INVALID_VALUE;
	}
	j->job.run = run_close;
	atomic_fetch_add(&g->mem.pending, 1);
	side_after_work(g, NULL, &j->job);
	return 0;
}

int handle_share_forget(struct worker *w, const struct pvgpu_in_share_forget *in,
			struct pvgpu_out_share_forget *out)
{
	share_forget(worker_gpu(w), in->address, in->size);
	return 0;
}

void shares_end(struct gpu *g)
{
	struct shares *s = &g->shares;
	struct import *m;

	while ((m = s->imports)) {
		s->imports = m->next;
		if (m->ctx)
			obj_unref(m->ctx);
		if (m->o)
			obj_unref(m->o);
		free(m);
	}
	for (uint32_t i = 0; i < s->tokens; i++)
		if (s->token[i].used)
			token_free(&s->token[i]);
	free(s->token);
	s->token = NULL;
	s->tokens = s->cap = 0;
	shared_event_pages_free(g);
}
