/* SPDX-License-Identifier: MIT */
/*
 * Device printf: a bounded ring of messages per context, emptied when the host synchronises.
 *
 * The interpreter prints a failed assertion's message like any other, right before the fault. Each
 * worker holds its last message until its turn is over: then it is known whether it was an
 * assertion's, which goes to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct message {
	uint32_t len, to_stderr;
};

void print_init(struct print_fifo *f)
{
	pthread_mutex_init(&f->lock, NULL);
}

void print_free(struct print_fifo *f)
{
	free(f->text);
	f->text = NULL;
	pthread_mutex_destroy(&f->lock);
}

static size_t first_part(const struct print_fifo *f, size_t at, size_t len)
{
	return len < f->size - at ? len : f->size - at;
}

static void ring_put(struct print_fifo *f, size_t at, const void *in, size_t len)
{
	size_t first;

	at %= f->size;
	first = first_part(f, at, len);
	memcpy(f->text + at, in, first);
	memcpy(f->text, (const char *)in + first, len - first);
}

static void ring_get(struct print_fifo *f, size_t at, void *out, size_t len)
{
	size_t first;

	at %= f->size;
	first = first_part(f, at, len);
	memcpy(out, f->text + at, first);
	memcpy((char *)out + first, f->text, len - first);
}

static size_t drop_oldest(struct print_fifo *f, struct message *m)
{
	ring_get(f, f->head, m, sizeof(*m));
	f->head = (f->head + sizeof(*m) + m->len) % f->size;
	f->used -= sizeof(*m) + m->len;
	return m->len;
}

bool print_begun(struct print_fifo *f)
{
	bool begun;

	pthread_mutex_lock(&f->lock);
	begun = f->text;
	pthread_mutex_unlock(&f->lock);
	return begun;
}

/* Like the real ring, a full ring drops its oldest messages. */
static void print_add(struct sim_ctx *ctx, const char *text, size_t len, bool to_stderr)
{
	struct print_fifo *f = &ctx->print;
	struct message m = {(uint32_t)len, to_stderr}, old;

	if (sim_fault.printf_dropped)
		return;
	pthread_mutex_lock(&f->lock);
	if (!f->text) {
		f->size = ctx->limit[CU_LIMIT_PRINTF_FIFO_SIZE];
		f->text = malloc(f->size);
	}
	if (f->text && len + sizeof(m) <= f->size) {
		while (f->used + sizeof(m) + len > f->size)
			drop_oldest(f, &old);
		ring_put(f, f->head + f->used, &m, sizeof(m));
		ring_put(f, f->head + f->used + sizeof(m), text, len);
		f->used += sizeof(m) + len;
		atomic_store(&f->any, true);
	}
	pthread_mutex_unlock(&f->lock);
}

static __thread struct {
	struct sim_ctx *ctx;
	char *text;
	size_t len, room;
} kept;

void print_keep(struct sim_ctx *ctx, const char *text, size_t len)
{
	print_kept(false);
	if (len > kept.room) {
		char *p = realloc(kept.text, len);

		if (!p)
			return; /* dropped, like a message that does not fit the ring */
		kept.text = p;
		kept.room = len;
	}
	memcpy(kept.text, text, len);
	kept.len = len;
	kept.ctx = ctx;
}

void print_kept(bool is_assertion)
{
	if (kept.ctx)
		print_add(kept.ctx, kept.text, kept.len, is_assertion);
	kept.ctx = NULL;
}

void print_flush(struct sim_ctx *ctx)
{
	struct print_fifo *f = &ctx->print;
	struct message m;
	char buf[4096];

	if (likely(!atomic_load_explicit(&f->any, memory_order_acquire)))
		return;
	pthread_mutex_lock(&f->lock);
	while (f->used) {
		size_t at;

		ring_get(f, f->head, &m, sizeof(m));
		at = f->head + sizeof(m);
		for (size_t left = m.len; left;) {
			size_t n = left < sizeof(buf) ? left : sizeof(buf);

			ring_get(f, at, buf, n);
			fwrite(buf, 1, n, m.to_stderr ? stderr : stdout);
			at += n;
			left -= n;
		}
		drop_oldest(f, &m);
	}
	atomic_store(&f->any, false);
	fflush(stdout);
	fflush(stderr);
	pthread_mutex_unlock(&f->lock);
}
