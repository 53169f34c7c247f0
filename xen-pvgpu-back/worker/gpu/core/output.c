/* SPDX-License-Identifier: MIT */
/*
 * Device output. libcuda prints into this process's standard output and error, which are pipes that
 * a thread of ours empties into bounded buffers until the guest pulls them. Before a synchronising
 * call is answered, bytes in stdio and in the pipes are taken in, so that the answer can say that
 * there is output.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/output.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

#define TEXT_MAX (1u << 20) /* of each; what comes after it is lost, and counted */
#define PULL_MAX (8u << 10)
#define CHUNK    4096

static const char lost_line[] = "\n[pvgpu: %llu bytes of device output lost]\n";

/* out.lock held: the oldest is kept. */
static void keep(struct text *t, const char *bytes, size_t n)
{
	const size_t room = TEXT_MAX - t->len;

	if (n > room) {
		t->lost += n - room;
		n = room;
	}
	if (t->len + n > t->cap) {
		size_t cap = t->cap ? t->cap : CHUNK;
		char *more;

		while (cap < t->len + n)
			cap *= 2;
		more = realloc(t->buf, cap);
		if (!more) {
			t->lost += n;
			return;
		}
		t->buf = more;
		t->cap = cap;
	}
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
}

/* out.lock held: everything that a pipe holds. */
static void drain(struct text *t)
{
	char bytes[CHUNK];
	ssize_t n;

	while (t->fd >= 0) {
		n = read(t->fd, bytes, sizeof(bytes));
		if (n > 0) {
			keep(t, bytes, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (!n || (errno != EAGAIN && errno != EWOULDBLOCK))
			t->fd = -1; /* no thread can write it any more */
		return;
	}
}

static void drain_all(struct output *o)
{
	pthread_mutex_lock(&o->lock);
	drain(&o->text[0]);
	drain(&o->text[1]);
	atomic_store_explicit(&o->waiting, o->text[0].len || o->text[1].len, memory_order_release);
	pthread_mutex_unlock(&o->lock);
}

static void *output_thread(void *arg)
{
	struct output *o = &((struct gpu *)arg)->out;

	for (;;) {
		struct pollfd p[3] = {{.fd = o->wake[0], .events = POLLIN}};

		pthread_mutex_lock(&o->lock);
		for (int i = 0; i < 2; i++) {
			p[i + 1].fd = o->text[i].fd;
			p[i + 1].events = POLLIN;
		}
		pthread_mutex_unlock(&o->lock);
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[0].revents)
			return NULL;
		drain_all(o);
	}
}

int output_start(struct worker *w, int out_fd, int err_fd)
{
	struct gpu *g = worker_gpu(w);
	struct output *o = &g->out;

	if (fcntl(out_fd, F_SETFL, O_NONBLOCK) || fcntl(err_fd, F_SETFL, O_NONBLOCK) ||
	    pipe2(o->wake, O_CLOEXEC))
		return -1;
	o->text[0].fd = out_fd;
	o->text[1].fd = err_fd;
	if (pthread_create(&o->thread, NULL, output_thread, g)) {
		close(o->wake[0]);
		close(o->wake[1]);
		return -1;
	}
	o->started = true;
	return 0;
}

void output_sync(struct gpu *g)
{
	if (!g->out.started)
		return;
	fflush(stdout);
	drain_all(&g->out);
}

uint16_t output_flags(struct worker *w)
{
	const struct gpu *g = worker_gpu(w);

	return g && atomic_load_explicit(&g->out.waiting, memory_order_acquire) ? PVGPU_REP_OUTPUT
										: 0;
}

/* out.lock held: the next bytes for the guest. */
static uint32_t pull(struct text *t, char *to)
{
	size_t n = t->len < PULL_MAX ? t->len : PULL_MAX;

	memcpy(to, t->buf, n);
	memmove(t->buf, t->buf + n, t->len - n);
	t->len -= n;
	if (!t->len && t->lost) {
		char line[96];
		const int len =
			snprintf(line, sizeof(line), lost_line, (unsigned long long)t->lost);

		t->lost = 0;
		keep(t, line, (size_t)len);
	}
	if (!t->len) {
		free(t->buf);
		t->buf = NULL;
		t->cap = 0;
	}
	return (uint32_t)n;
}

int handle_output_pull(struct worker *w, const struct pvgpu_in_output_pull *in,
		       struct pvgpu_out_output_pull *out)
{
	struct gpu *g = worker_gpu(w);
	struct output *o = &g->out;

	pthread_mutex_lock(&o->lock);
	for (uint32_t i = 0; i < 2 && !out->text_len; i++) {
		if (!o->text[i].len)
			continue;
		out->which = i + 1;
		out->text = g->scratch;
		out->text_len = pull(&o->text[i], (char *)g->scratch);
	}
	out->more = o->text[0].len || o->text[1].len;
	atomic_store_explicit(&o->waiting, out->more, memory_order_release);
	pthread_mutex_unlock(&o->lock);
	return 0;
}

void output_stop(struct gpu *g)
{
	struct output *o = &g->out;

	if (o->started) {
		close(o->wake[1]);
		pthread_join(o->thread, NULL);
		close(o->wake[0]);
		o->started = false;
	}
	free(o->text[0].buf);
	free(o->text[1].buf);
	o->text[0].buf = o->text[1].buf = NULL;
}
