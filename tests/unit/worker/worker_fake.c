/* SPDX-License-Identifier: MIT */
/* The frame of worker_fake.h: stands for loop.c, lease.c, arena.c and the like. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "pvgpu_decode.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/worker.h"

static const struct far *real_far; /* or NULL: fake_far */
/* Of the worker before: making them anew would cost a fuzzer most of its time. */
static struct fake_sent *kept;
static void *kept_arena;

void worker_send(struct worker *w, const void *rec, uint32_t len)
{
	struct pvgpu_rep_hdr hdr;

	memcpy(&hdr, rec, sizeof(hdr));
	pthread_mutex_lock(&w->lock);
	if (w->n_sent < FAKE_SENT) {
		struct fake_sent *s = &w->sent[w->n_sent++];
		const uint32_t body = len - (uint32_t)sizeof(hdr);

		s->hdr = hdr;
		memcpy(s->body, (const char *)rec + sizeof(hdr),
		       body < sizeof(s->body) ? body : sizeof(s->body));
	}
	pthread_cond_broadcast(&w->sent_more);
	pthread_mutex_unlock(&w->lock);
}

uint32_t worker_callbacks_done(const struct worker *w)
{
	atomic_fetch_add(&((struct worker *)w)->cb_looks, 1);
	return atomic_load(&w->cb_done);
}

void worker_mark(struct worker *w, uint32_t seq, int32_t result)
{
	const struct pvgpu_wire_mark m = {
		.hdr = {.len = sizeof(m), .kind = PVGPU_REP_MARK, .seq = seq, .result = result},
	};

	worker_send(w, &m, sizeof(m));
}

void worker_deferred(struct worker *w, void *ctx, int result)
{
	gpu_deferred(w, ctx, result);
}

void worker_end(struct worker *w, int end, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&w->lock);
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	w->ended++;
	pthread_mutex_unlock(&w->lock);
}

void worker_log(struct worker *w, const char *fmt, ...)
{
}

void worker_ended(struct worker *w, uint32_t slot, uint64_t number)
{
	if (slot >= PVGPU_ENDED_SLOTS)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->told[slot] < number)
		w->told[slot] = number;
	pthread_cond_broadcast(&w->sent_more);
	pthread_mutex_unlock(&w->lock);
}

void worker_faulted(struct worker *w)
{
	atomic_store(&w->faulted, true);
}

void worker_kick(struct worker *w)
{
	atomic_store(&w->kicked, true);
	pthread_mutex_lock(&w->lock);
	pthread_cond_broadcast(&w->sent_more);
	pthread_mutex_unlock(&w->lock);
}

bool worker_decode_begin(struct worker *w)
{
	atomic_store(&w->sent_before, atomic_load(&w->n_sent));
	return atomic_load(&w->decode);
}

int worker_stand_by(struct worker *w)
{
	int r;

	pthread_mutex_lock(&w->stand_lock);
	while (!w->roused)
		pthread_cond_wait(&w->stirred, &w->stand_lock);
	w->roused = false;
	r = w->closes ? -1 : 0;
	pthread_mutex_unlock(&w->stand_lock);
	return r;
}

static void rouse(struct worker *w, bool closes)
{
	pthread_mutex_lock(&w->stand_lock);
	w->roused = true;
	w->closes |= closes;
	pthread_cond_broadcast(&w->stirred);
	pthread_mutex_unlock(&w->stand_lock);
}

/* complete.lock is held. */
void worker_rouse(struct worker *w)
{
	rouse(w, false);
}

void worker_decode(struct worker *w, bool rung)
{
	atomic_load (&w->decode)(w);
}

bool lease_try(struct worker *w, uint64_t bytes)
{
	bool ok;

	pthread_mutex_lock(&w->lock);
	ok = bytes <= w->quota - w->leased;
	if (ok)
		w->leased += bytes;
	w->leases += bytes != 0;
	pthread_mutex_unlock(&w->lock);
	return ok;
}

uint64_t lease_of_context(struct worker *w)
{
	return w->context_charge;
}

bool lease_get(struct worker *w, uint64_t bytes)
{
	return lease_try(w, bytes);
}

void lease_put(struct worker *w, uint64_t bytes)
{
	pthread_mutex_lock(&w->lock);
	w->leased -= bytes;
	pthread_mutex_unlock(&w->lock);
	if (w->on_lease)
		w->on_lease(w);
}

/* No pvgpud: nothing of another session can be had. */
int share_ask(struct worker *w, uint32_t id, uint32_t kind, const void *token)
{
	(void)w, (void)id, (void)kind, (void)token;
	return -1;
}

void share_answer(struct worker *w, uint32_t id, int result, uint64_t number, uint64_t bytes,
		  int fd)
{
	(void)w, (void)id, (void)result, (void)number, (void)bytes, (void)fd;
}

bool share_drop(struct worker *w, uint64_t number)
{
	(void)w, (void)number;
	return false;
}

void lease_parked(struct worker *w, uint32_t id, uint64_t bytes, uint64_t us, bool busy,
		  const char *reason)
{
	pthread_mutex_lock(&w->lock);
	w->leased -= bytes;
	w->parked += bytes;
	w->park_answers++;
	w->park_busy = busy;
	snprintf(w->park_reason, sizeof(w->park_reason), "%s", reason);
	pthread_cond_broadcast(&w->sent_more);
	pthread_mutex_unlock(&w->lock);
}

uint64_t lease_resume(struct worker *w)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&w->lock);
	w->asks = w->no_memory;
	if (!w->asks) {
		bytes = w->parked;
		w->leased += bytes;
		w->parked = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return bytes;
}

void lease_unask(struct worker *w)
{
	w->asks = false;
}

void fake_grant(struct worker *w)
{
	uint64_t bytes;

	w->no_memory = false;
	bytes = lease_resume(w);
	gpu_resume(w, bytes);
}

void lease_resumed(struct worker *w, uint64_t bytes, uint64_t us)
{
	pthread_mutex_lock(&w->lock);
	w->resumes++;
	pthread_cond_broadcast(&w->sent_more);
	pthread_mutex_unlock(&w->lock);
}

void lease_info(struct worker *w, uint64_t *free_bytes, uint64_t *total)
{
	pthread_mutex_lock(&w->lock);
	*free_bytes = w->quota - w->leased;
	*total = w->quota;
	pthread_mutex_unlock(&w->lock);
	if (w->on_lease)
		w->on_lease(w);
}

const struct far *worker_far(const struct worker *w)
{
	return real_far ? real_far : &fake_far.far;
}

int arena_reserve(struct worker *w, uint32_t attempt, uint64_t *base, uint64_t *size)
{
	*base = w->arena_base;
	*size = w->arena_size;
	return 0;
}

const struct worker_info *worker_info(const struct worker *w)
{
	return &w->info;
}

struct gpu *worker_gpu(struct worker *w)
{
	return w->gpu;
}

int fake_submit(struct worker *w, void *rec, uint32_t len, uint16_t op, uint32_t seq,
		const void *bytes, uint32_t bytes_len)
{
	const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(op);
	struct pvgpu_cmd_hdr *hdr = rec;
	const uint32_t total = len + PVGPU_PAD8(bytes_len);
	uint64_t buf[PVGPU_CMD_MAX / 8];
	int r;

	hdr->len = total;
	hdr->op = op;
	hdr->seq = seq;
	memset(buf, 0, total);
	memcpy(buf, rec, len);
	if (bytes_len)
		memcpy((char *)buf + len, bytes, bytes_len);
	r = gpu_submit(w, d, buf, total);
	if (!w->posting)
		gpu_pause(w);
	return r;
}

struct worker *fake_open_on(const struct far *far)
{
	real_far = far;
	return fake_open(true);
}

struct worker *fake_open(bool with_ctx)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct pvgpu_wire_session_windows win = {.attempt = 0};
	struct pvgpu_wire_ctx_primary_retain retain = {.ctx = FAKE_CTX};
	char reason[160];

	fake_far_init();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->sent_more, NULL);
	pthread_mutex_init(&w->stand_lock, NULL);
	pthread_cond_init(&w->stirred, NULL);
	w->sent = kept ? kept : calloc(FAKE_SENT, sizeof(*w->sent));
	kept = NULL;
	w->quota = 1ull << 30;
	w->info.zero_copy = true;
	w->info.window_size = 8ull << 30;
	w->arena_size = FAKE_ARENA;
	if (!kept_arena)
		kept_arena = mmap(NULL, FAKE_ARENA, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	w->arena_base = (uintptr_t)kept_arena;
	kept_arena = NULL;
	FAKE_CHECK(gpu_check(worker_far(w), reason, sizeof(reason)) == 0);
	FAKE_CHECK(gpu_open(w, &w->gpu, reason, sizeof(reason)) == 0);
	FAKE_CHECK(gpu_start(w) == 0);
	FAKE_SUBMIT(w, SESSION_WINDOWS, 1, win);
	FAKE_CHECK(fake_result(w, PVGPU_REP_REPLY, 1) == 0);
	if (with_ctx) {
		FAKE_SUBMIT(w, CTX_PRIMARY_RETAIN, 2, retain);
		FAKE_CHECK(fake_result(w, PVGPU_REP_REPLY, 2) == 0);
	}
	return w;
}

void fake_close(struct worker *w)
{
	struct fake_far *f = &fake_far;

	f->manual = false;
	fake_complete(-1, UINT64_MAX);
	rouse(w, true);
	gpu_shutdown(w);
	FAKE_CHECK(f->ctxs == 0);
	FAKE_CHECK(f->streams == 0);
	FAKE_CHECK(f->events == 0);
	FAKE_CHECK(f->modules == 0);
	FAKE_CHECK(f->libraries == 0);
	FAKE_CHECK(f->links == 0);
	FAKE_CHECK(f->arrays == 0);
	FAKE_CHECK(f->mipmaps == 0);
	FAKE_CHECK(f->textures == 0);
	FAKE_CHECK(f->physical == 0);
	FAKE_CHECK(f->mapped == 0);
	FAKE_CHECK(f->reserved == 0);
	FAKE_CHECK(f->registered == 0);
	FAKE_CHECK(f->greens == 0);
	FAKE_CHECK(w->leased == 0);
	fake_graphs_end();
	if (kept_arena)
		munmap(kept_arena, FAKE_ARENA);
	kept_arena = (void *)(uintptr_t)w->arena_base;
	free(w->gpu);
	free(kept);
	kept = w->sent;
	free(w);
}

/* w->lock is held. */
static int64_t position(struct worker *w, uint16_t kind, uint32_t seq)
{
	for (uint32_t i = 0; i < w->n_sent; i++) {
		if (w->sent[i].hdr.kind == kind && w->sent[i].hdr.seq == seq)
			return i;
	}
	return -1;
}

struct sought {
	uint16_t kind;
	uint32_t seq;
};

static bool arrived(struct worker *w, void *arg)
{
	const struct sought *s = arg;

	return position(w, s->kind, s->seq) >= 0;
}

/* Look at the gate as the frame does now and then: work may end without an event. */
static void look_around(struct worker *w)
{
	if (gpu_gate_look_ms(w) >= 0)
		gpu_gate_look(w, false);
}

bool fake_until(struct worker *w, bool (*what)(struct worker *w, void *arg), void *arg)
{
	struct timespec end, t;
	bool ok;

	/* Under a sanitizer on a busy machine some of this takes more than ten seconds. */
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 100;
	pthread_mutex_lock(&w->lock);
	while (!(ok = what(w, arg))) {
		if (atomic_load(&w->kicked)) {
			pthread_mutex_unlock(&w->lock);
			fake_kicked(w);
			pthread_mutex_lock(&w->lock);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &t);
		if (t.tv_sec > end.tv_sec)
			break;
		t.tv_nsec += 10000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		if (pthread_cond_timedwait(&w->sent_more, &w->lock, &t) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&w->lock);
		look_around(w);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return ok;
}

int fake_result(struct worker *w, uint16_t kind, uint32_t seq)
{
	struct sought s = {kind, seq};
	int r = -1000;
	int64_t at;

	fake_until(w, arrived, &s);
	pthread_mutex_lock(&w->lock);
	at = position(w, kind, seq);
	if (at >= 0)
		r = w->sent[at].hdr.result;
	pthread_mutex_unlock(&w->lock);
	return r;
}

bool fake_was_sent(struct worker *w, uint16_t kind, uint32_t seq)
{
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = position(w, kind, seq) >= 0;
	pthread_mutex_unlock(&w->lock);
	return yes;
}

const void *fake_body(struct worker *w, uint16_t kind, uint32_t seq)
{
	const void *body = NULL;
	int64_t at;

	pthread_mutex_lock(&w->lock);
	at = position(w, kind, seq);
	if (at >= 0)
		body = w->sent[at].body;
	pthread_mutex_unlock(&w->lock);
	return body;
}

uint32_t fake_order(struct worker *w, uint16_t kind, uint32_t seq)
{
	int64_t at;

	pthread_mutex_lock(&w->lock);
	at = position(w, kind, seq);
	pthread_mutex_unlock(&w->lock);
	return (uint32_t)at;
}

void fake_kicked(struct worker *w)
{
	while (atomic_exchange(&w->kicked, false)) {
		gpu_kicked(w);
		gpu_pause(w);
	}
}

int fake_number(struct worker *w, uint64_t ctx, uint64_t stream)
{
	struct stream *s;

	if (stream) {
		s = obj_lookup(&w->gpu->tables, PVGPU_H_STREAM, stream);
	} else {
		struct ctx *c = obj_lookup(&w->gpu->tables, PVGPU_H_CTX, ctx);

		s = c->legacy;
	}
	return (int)(uintptr_t)s->far;
}

uint64_t fake_alloc(struct worker *w, uint32_t seq, uint64_t ctx, uint64_t size)
{
	struct pvgpu_wire_mem_alloc a = {.ctx = ctx, .size = size};
	uint64_t addr;

	FAKE_SUBMIT(w, MEM_ALLOC, seq, a);
	if (fake_result(w, PVGPU_REP_REPLY, seq))
		return 0;
	memcpy(&addr, fake_body(w, PVGPU_REP_REPLY, seq), sizeof(addr));
	return addr;
}

void fake_chunk(struct worker *w, uint64_t at, uint64_t size)
{
	FAKE_CHECK(gpu_arena_add(w, w->arena_base + at, size) == 0);
	gpu_arena_register(w, NULL);
}
