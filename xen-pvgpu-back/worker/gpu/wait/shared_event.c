/* SPDX-License-Identifier: MIT */
/*
 * Events that processes share: three words in a page that all workers map which have the event. A
 * record has a number, which is given out at once, so that a process that hears of the record finds
 * it pending; the GPU writes it behind the work of its stream. Waits are for a number, by the GPU
 * itself where it reaches the page. The pages of one session have many events, as the driver's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/hold.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/share.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define UNITS (SHARE_EVENT_BYTES / SHARE_EVENT_UNIT)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct words {
	_Atomic uint32_t recorded, done; /* numbers of records */
	_Atomic uint32_t by;             /* the session of the last record */
};

/* A page of this session's. Side lane. */
struct event_page {
	struct event_page *next;
	unsigned char *at;
	int fd;
	bool far_sees;
	uint64_t taken; /* a bit for each unit */
};

struct shared_event {
	struct obj o;
	_Atomic(struct words *) words; /* NULL: not yet */
	struct event_page *page;       /* side lane: of its own event, NULL: it is another's */
	unsigned char *mapped;         /* of another's: the page */
	bool far_sees;
	_Atomic uint64_t number; /* 0: no other session was given it */
	const struct stream *s; /* decoding thread: of this session's last record; not referenced */
};

static struct words *words_of(struct shared_event *e)
{
	return atomic_load_explicit(&e->words, memory_order_acquire);
}

/* May the GPU look at the page? */
static bool lock_page(struct gpu *g, void *at)
{
	return !g->far->cuMemHostRegister_v2(
		at, SHARE_EVENT_BYTES, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
}

static void unmap_page(struct gpu *g, void *at, bool far_sees)
{
	if (far_sees)
		g->far->cuMemHostUnregister(at);
	munmap(at, SHARE_EVENT_BYTES);
}

static void *map_page(int fd)
{
	void *at = mmap(NULL, SHARE_EVENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static struct event_page *page_new(struct gpu *g)
{
	struct event_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->fd = memfd_create("pvgpu-events", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd >= 0 && !ftruncate(p->fd, SHARE_EVENT_BYTES) && !fcntl(p->fd, F_ADD_SEALS, SEALS))
		p->at = map_page(p->fd);
	if (!p->at) {
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		return NULL;
	}
	p->far_sees = lock_page(g, p->at);
	p->next = g->shares.pages;
	g->shares.pages = p;
	return p;
}

/* A place for an event; false: there is no memory. A place that is used again goes on counting. */
static bool take_place(struct gpu *g, struct shared_event *e)
{
	struct event_page *p = g->shares.pages;
	unsigned int i;

	while (p && p->taken == UINT64_MAX)
		p = p->next;
	if (!p)
		p = page_new(g);
	if (!p)
		return false;
	i = (unsigned int)__builtin_ctzll(~p->taken);
	p->taken |= 1ull << i;
	e->page = p;
	e->far_sees = p->far_sees;
	atomic_store(&e->words, (struct words *)(void *)(p->at + i * SHARE_EVENT_UNIT));
	return true;
}

void shared_event_pages_free(struct gpu *g)
{
	struct event_page *p;

	while ((p = g->shares.pages)) {
		g->shares.pages = p->next;
		unmap_page(g, p->at, p->far_sees);
		close(p->fd);
		free(p);
	}
}

struct obj *shared_event_new(struct gpu *g, struct ctx *c, uint64_t handle, int *err)
{
	struct shared_event *e =
		obj_new(g, PVGPU_H_SHARED_EVENT, handle, sizeof(*e), c, (struct obj *)c, err);

	return e ? &e->o : NULL;
}

/* Its words go: no work of this session may wait for them any more. Side lane. */
static void retire(struct shared_event *e)
{
	struct gpu *g = e->o.gpu;
	struct words *w = words_of(e);

	if (!w)
		return;
	atomic_store(&e->words, NULL);
	if (e->page)
		e->page->taken &= ~(1ull << ((unsigned char *)w - e->page->at) / SHARE_EVENT_UNIT);
	else
		unmap_page(g, e->mapped, e->far_sees);
	if (e->number)
		share_drop(g->w, e->number);
}

void shared_event_free(struct obj *o)
{
	struct shared_event *e = (struct shared_event *)o;

	if (!e->page)
		retire(e); /* a context took it along, whose work has ended */
}

struct event_job {
	struct job job;
	struct shared_event *e; /* referenced */
	uint32_t seq;
};

static struct event_job *job_new(struct shared_event *e, uint32_t seq,
				 void (*run)(struct gpu *g, struct job *j))
{
	struct event_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->e = obj_ref(e);
	j->seq = seq;
	j->job.run = run;
	return j;
}

static void run_create(struct gpu *g, struct job *job)
{
	struct event_job *j = (struct event_job *)job;
	int r = ctx_enter(j->e->o.ctx);

	if (!r && !take_place(g, j->e))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	obj_ready(j->e, r);
	worker_reply_shared_event_create(g->w, j->seq, r, NULL);
	obj_unref(j->e);
	free(j);
}

int handle_shared_event_create(struct worker *w, const struct pvgpu_in_shared_event_create *in,
			       struct pvgpu_out_shared_event_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct event_job *j;
	struct obj *o;
	int r = obj_error(in->ctx);

	if (r)
		return r;
	o = shared_event_new(g, in->ctx, in->event_h, &r);
	if (!o)
		return r;
	j = job_new((struct shared_event *)o, in->hdr->seq, run_create);
	if (!j) {
		obj_ready(o, CUDA_ERROR_OUT_OF_MEMORY);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

void shared_event_give(struct gpu *g, uint32_t id, struct obj *o)
{
	struct shared_event *e = (struct shared_event *)o;

	if (!words_of(e) || !e->page) {
		share_answer(g->w, id, CUDA_ERROR_INVALID_VALUE, 0, 0, -1);
		return;
	}
	if (!e->number)
		e->number = share_number(g);
	share_answer(g->w, id, 0, e->number, 0, e->page->fd);
}

int shared_event_take(struct obj *o, int fd, uint64_t from, uint64_t number)
{
	struct shared_event *e = (struct shared_event *)o;
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	int r = ctx_enter(o->ctx);

	if (r)
		return r;
	/* The peer may be hostile: the page must stay as large as it is. */
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) ||
	    st.st_size != SHARE_EVENT_BYTES || from % SHARE_EVENT_UNIT || from >= SHARE_EVENT_BYTES)
		return CUDA_ERROR_INVALID_VALUE;
	e->mapped = map_page(fd);
	if (!e->mapped)
		return CUDA_ERROR_OUT_OF_MEMORY;
	e->far_sees = lock_page(o->gpu, e->mapped);
	e->number = number;
	atomic_store(&e->words, (struct words *)(void *)(e->mapped + from));
	return 0;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct event_job *j = (struct event_job *)job;

	(void)g;
	retire(j->e);
	obj_unref(j->e); /* the job's, */
	obj_unref(j->e); /* and the table's */
	free(j);
}

int handle_shared_event_destroy(struct worker *w, const struct pvgpu_in_shared_event_destroy *in,
				struct pvgpu_out_shared_event_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct shared_event *e = in->event;
	struct event_job *j = job_new(e, in->hdr->seq, run_destroy);

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	share_forget_object(g, &e->o);
	obj_remove(g, &e->o);
	side_after_work(g, NULL, &j->job);
	return 0;
}

int handle_shared_event_token(struct worker *w, const struct pvgpu_in_shared_event_token *in,
			      struct pvgpu_out_shared_event_token *out)
{
	struct gpu *g = worker_gpu(w);
	struct shared_event *e = in->event;
	struct share_bytes what = {0};
	int r = obj_error(e);

	if (r)
		return r;
	if (!e->page)
		return CUDA_ERROR_INVALID_VALUE;
	what.from = (uint64_t)((unsigned char *)words_of(e) - e->page->at);
	r = token_new(g, SHARE_KIND_EVENT, &what, &e->o, 0, 0,
		      (struct share_bytes *)(void *)g->scratch);
	if (r)
		return r;
	out->token = g->scratch;
	out->token_len = PVGPU_SHARE_TOKEN;
	return 0;
}

int handle_shared_event_mark(struct worker *w, const struct pvgpu_in_shared_event_mark *in,
			     struct pvgpu_out_shared_event_mark *out)
{
	struct shared_event *e = in->event;
	const int r = obj_error(e);

	if (r)
		return r;
	atomic_store(&words_of(e)->by, worker_info(w)->session);
	out->number = atomic_fetch_add(&words_of(e)->recorded, 1) + 1;
	return 0;
}

int handle_shared_event_look(struct worker *w, const struct pvgpu_in_shared_event_look *in,
			     struct pvgpu_out_shared_event_look *out)
{
	struct shared_event *e = in->event;
	const int r = obj_error(e);

	if (r)
		return r;
	out->recorded = atomic_load(&words_of(e)->recorded);
	out->done = atomic_load(&words_of(e)->done);
	return 0;
}

struct write {
	_Atomic uint32_t *at;
	uint32_t value;
};

static void CUDA_CB run_write(void *arg)
{
	struct write *k = arg;

	atomic_store(k->at, k->value);
	free(k);
}

/* Behind the stream's work; a CUresult. */
static int write_word(struct gpu *g, struct stream *s, struct shared_event *e, uint32_t value)
{
	_Atomic uint32_t *at = &words_of(e)->done;
	int r = CUDA_ERROR_NOT_SUPPORTED;
	struct write *k;

	if (g->far->cuStreamWriteValue32_v2 && e->far_sees)
		r = (int)g->far->cuStreamWriteValue32_v2(s->far, (uintptr_t)at, value, 0);
	if (!r || result_is_sticky(r))
		return r;
	k = malloc(sizeof(*k));
	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*k = (struct write){at, value};
	r = (int)g->far->cuLaunchHostFunc(s->far, run_write, k);
	if (r)
		free(k);
	return r;
}

static int wait_word(struct gpu *g, struct stream *s, struct shared_event *e, uint32_t value)
{
	return hold_stream(g, s, (uintptr_t)&words_of(e)->done, value, e->far_sees);
}

static bool is_done(struct shared_event *e, uint32_t number)
{
	return (int32_t)(atomic_load(&words_of(e)->done) - number) >= 0;
}

/* The stream, if work may wait for the event or record it there; NULL: *r says why not. */
static struct stream *usable(void *ctx, void *stream, struct shared_event *e, int *r)
{
	struct stream *s = stream_of(ctx, stream, r);

	if (s)
		*r = obj_error(e);
	if (s && !*r && s->capture)
		*r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	return *r ? NULL : s;
}

int handle_shared_event_record(struct worker *w, const struct pvgpu_in_shared_event_record *in,
			       struct pvgpu_out_shared_event_record *out)
{
	struct gpu *g = worker_gpu(w);
	struct shared_event *e = in->event;
	struct stream *s;
	int r;

	s = usable(in->ctx, in->stream, e, &r);
	if (!s)
		return r;
	/* The word must not go back: the record before it, in another stream or process, first. */
	if (e->s != s && !is_done(e, in->number - 1))
		r = wait_word(g, s, e, in->number - 1);
	if (!r)
		r = write_word(g, s, e, in->number);
	e->s = s;
	if (!r)
		stream_issued(s);
	return ctx_result(s->o.ctx, r);
}

int handle_shared_event_wait(struct worker *w, const struct pvgpu_in_shared_event_wait *in,
			     struct pvgpu_out_shared_event_wait *out)
{
	struct gpu *g = worker_gpu(w);
	struct shared_event *e = in->event;
	struct stream *s;
	int r;

	s = usable(in->ctx, in->stream, e, &r);
	if (!s || is_done(e, in->number))
		return r;
	/* However long it takes, the work before it ends when it ends. */
	stream_fence(s);
	return wait_word(g, s, e, in->number);
}

/* The session that recorded it last has ended, and with it what the record stood behind. */
void gpu_share_left(struct worker *w, uint64_t number, uint32_t session)
{
	struct gpu *g = worker_gpu(w);
	struct obj *c, *o;

	TAILQ_FOREACH(c, &g->root.owned, of_owner)
	{
		TAILQ_FOREACH(o, &c->owned, of_owner)
		{
			struct shared_event *e = (struct shared_event *)o;
			struct words *words;

			if (o->type != PVGPU_H_SHARED_EVENT || obj_error(o) || e->number != number)
				continue;
			words = words_of(e);
			if (words && atomic_load(&words->by) == session)
				atomic_store(&words->done, atomic_load(&words->recorded));
		}
	}
}
