/* SPDX-License-Identifier: MIT */
/*
 * What this session shares with others of its vGPU, as far as pvgpud counts it: a list of what it
 * has (its own that others have been given, and others'), and the imports that pvgpud has not
 * answered. A drop is told when pvgpud is there; until then the bytes stay in the lease.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

struct share_has {
	struct share_has *next;
	uint64_t number, bytes;
	bool charged; /* the bytes are in the lease */
	bool dropped; /* pvgpud is to be told */
};

struct share_asks {
	struct share_asks *next;
	uint32_t id;
	uint32_t kind;
	bool sent;
	unsigned char token[PVGPU_SUP_TOKEN];
};

/* With the lease's lock held in all of these, but for what worker.h and frame.h declare. */

static int say(struct worker *w, struct pvgpu_sup *m, int fd)
{
	m->session = w->info.session;
	return msg_send(PVGPU_SUP_CONTROL_FD, m, sizeof(*m), &fd, fd >= 0);
}

static bool say_drops(struct worker *w)
{
	struct lease *l = &w->lease;
	struct share_has **at = &l->has, *h;

	while ((h = *at)) {
		struct pvgpu_sup m = {.kind = PVGPU_SUP_DROP, .b = h->number, .c = h->bytes};

		if (!h->dropped) {
			at = &h->next;
			continue;
		}
		if (say(w, &m, -1) < 0)
			return false;
		if (h->charged)
			l->leased -= h->bytes;
		*at = h->next;
		free(h);
	}
	return true;
}

void share_tell(struct worker *w)
{
	struct lease *l = &w->lease;

	if (!l->shares || !say_drops(w))
		return;
	for (struct share_asks *x = l->asks; x; x = x->next) {
		struct pvgpu_sup m = {.kind = PVGPU_SUP_IMPORT, .id = x->id, .a = x->kind};
		uint32_t session;

		if (x->sent)
			continue;
		memcpy(m.token, x->token, sizeof(m.token));
		memcpy(&session, x->token, sizeof(session));
		m.b = session;
		if (say(w, &m, -1) < 0)
			return;
		x->sent = true;
	}
}

bool share_behind(const struct worker *w)
{
	const struct lease *l = &w->lease;

	for (const struct share_has *h = l->has; l->shares && h; h = h->next)
		if (h->dropped)
			return true;
	for (const struct share_asks *x = l->asks; l->shares && x; x = x->next)
		if (!x->sent)
			return true;
	return false;
}

void share_up(struct worker *w)
{
	struct lease *l = &w->lease;

	if (l->shares)
		return;
	for (struct share_has *h = l->has; h; h = h->next) {
		struct pvgpu_sup m = {
			.kind = PVGPU_SUP_HELD, .a = h->charged, .b = h->number, .c = h->bytes};

		if (say(w, &m, -1) < 0)
			worker_log(w, "pvgpud does not hear all that this session shares");
	}
	l->shares = true;
}

void share_down(struct worker *w)
{
	w->lease.shares = false;
	for (struct share_asks *x = w->lease.asks; x; x = x->next)
		x->sent = false;
}

static struct share_has *find(struct lease *l, uint64_t number)
{
	struct share_has *h = l->has;

	while (h && (h->number != number || h->dropped))
		h = h->next;
	return h;
}

/* NULL: out of memory. */
static struct share_has *add(struct lease *l, uint64_t number, uint64_t bytes, bool charged)
{
	struct share_has *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct share_has){
		.next = l->has, .number = number, .bytes = bytes, .charged = charged};
	l->has = h;
	return h;
}

int share_ask(struct worker *w, uint32_t id, uint32_t kind, const void *token)
{
	struct lease *l = &w->lease;
	struct share_asks *x = calloc(1, sizeof(*x));
	bool able;

	if (!x)
		return -1;
	x->id = id;
	x->kind = kind;
	memcpy(x->token, token, sizeof(x->token));
	pthread_mutex_lock(&l->lock);
	able = l->shares || !l->up;
	if (able) {
		x->next = l->asks;
		l->asks = x;
		share_tell(w);
	}
	pthread_mutex_unlock(&l->lock);
	if (!able)
		free(x);
	return able ? 0 : -1;
}

void share_answer(struct worker *w, uint32_t id, int result, uint64_t number, uint64_t bytes,
		  int fd)
{
	struct pvgpu_sup m = {
		.kind = PVGPU_SUP_SHARED, .id = id, .a = (uint64_t)result, .b = number, .c = bytes};
	struct lease *l = &w->lease;
	struct share_has *made = NULL;

	pthread_mutex_lock(&l->lock);
	/* On the list first: a drop must not be forgotten. */
	if (!result && l->shares && !find(l, number)) {
		made = add(l, number, bytes, bytes != 0);
		if (!made)
			m.a = CUDA_ERROR_OUT_OF_MEMORY;
	}
	/* A pvgpud that has come meanwhile has not asked. */
	if (l->shares && say(w, &m, m.a ? -1 : fd) < 0) {
		worker_log(w, "cannot tell pvgpud what this session shares");
		if (made) {
			l->has = made->next;
			free(made);
		}
	}
	pthread_mutex_unlock(&l->lock);
}

bool share_drop(struct worker *w, uint64_t number)
{
	struct lease *l = &w->lease;
	struct share_has *h;

	pthread_mutex_lock(&l->lock);
	h = find(l, number);
	if (h)
		h->dropped = true;
	share_tell(w);
	pthread_mutex_unlock(&l->lock);
	return h != NULL;
}

/* Returns the id of the import that is answered; 0: none was asked for. */
static uint32_t answered(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;
	struct share_asks **at = &l->asks, *x;
	uint32_t id = 0;

	pthread_mutex_lock(&l->lock);
	while (*at && (*at)->id != m->id)
		at = &(*at)->next;
	x = *at;
	if (x) {
		id = x->id;
		*at = x->next;
	}
	if (!m->a)
		add(l, m->b, m->c, false);
	pthread_mutex_unlock(&l->lock);
	free(x);
	return id;
}

static void charged(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;
	struct share_has *h;

	pthread_mutex_lock(&l->lock);
	h = l->has;
	while (h && (h->number != m->b || h->charged))
		h = h->next;
	if (h) {
		h->charged = true;
		l->leased += h->bytes;
	}
	pthread_mutex_unlock(&l->lock);
}

void share_heard(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	switch (m->kind) {
	case PVGPU_SUP_WANTED:
		gpu_share_wanted(w, m->id, m->a, m->token);
		break;
	case PVGPU_SUP_GIVEN:
		if (answered(w, m)) {
			gpu_share_given(w, m->id, (int)m->a, m->b, m->c, fd);
			return;
		}
		if (!m->a)
			share_drop(w, m->b);
		break;
	case PVGPU_SUP_CHARGED:
		charged(w, m);
		break;
	case PVGPU_SUP_LEFT:
		gpu_share_left(w, m->b, (uint32_t)m->a);
		break;
	}
	if (fd >= 0)
		close(fd);
}
