/* SPDX-License-Identifier: MIT */
/*
 * The reply stream. Any thread may send; a reply for which the guest has left no room waits in a
 * bounded queue of this process and the decoding thread moves it on, so that no sender ever waits
 * for the guest. A guest that lets the queue fill up does not read its replies, and loses its
 * session.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <stdlib.h>
#include <string.h>

#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define QUEUE_MAX (4u << 20)
#define QUEUE_MIN (64u << 10)

void send_init(struct worker *w, uint32_t cmd_size, uint32_t rep_size)
{
	pthread_mutex_init(&w->send.lock, NULL);
	pvgpu_ring_init_producer(&w->send.rep, w->page, PVGPU_RING_REP, cmd_size, rep_size);
}

/* Room for len bytes at the queue's tail; send.lock is held. */
static bool queue_room(struct send *s, uint32_t len)
{
	uint32_t used = s->tail - s->head;
	uint32_t cap = s->cap ? s->cap : QUEUE_MIN;
	unsigned char *p;

	if (s->cap - s->tail >= len)
		return true;
	if (s->head) {
		memmove(s->queue, s->queue + s->head, used);
		s->head = 0;
		s->tail = used;
	}
	if (s->cap - s->tail >= len)
		return true;
	while (cap - used < len)
		cap *= 2;
	if (cap > QUEUE_MAX)
		return false;
	p = realloc(s->queue, cap);
	if (!p)
		return false;
	s->queue = p;
	s->cap = cap;
	return true;
}

/* send.lock is held. True: ring the guest. */
static bool put_now(struct send *s, const struct pvgpu_rep_hdr *hdr, const void *rec, uint32_t len)
{
	pvgpu_ring_put(&s->rep, 0, hdr, sizeof(*hdr));
	if (len > sizeof(*hdr))
		pvgpu_ring_put(&s->rep, sizeof(*hdr), (const char *)rec + sizeof(*hdr),
			       len - (uint32_t)sizeof(*hdr));
	return pvgpu_ring_publish(&s->rep, len);
}

void worker_send(struct worker *w, const void *rec, uint32_t len)
{
	struct send *s = &w->send;
	struct pvgpu_rep_hdr hdr;
	bool ring = false, full = false, queued = false;
	int room = 0;

	/* What the session's end keeps from being done is no answer: the guest hears of the end. */
	if (has_ended(w))
		return;
	memcpy(&hdr, rec, sizeof(hdr));
	if (hdr.kind == PVGPU_REP_REPLY)
		hdr.flags |= output_flags(w);
	pthread_mutex_lock(&s->lock);
	if (s->head == s->tail)
		room = pvgpu_ring_has_space(&s->rep, len);
	if (room > 0) {
		ring = put_now(s, &hdr, rec, len);
	} else if (room == 0) {
		full = !queue_room(s, len);
		if (!full) {
			memcpy(s->queue + s->tail, &hdr, sizeof(hdr));
			memcpy(s->queue + s->tail + sizeof(hdr), (const char *)rec + sizeof(hdr),
			       len - sizeof(hdr));
			s->tail += len;
			queued = true;
			atomic_store(&s->queued, s->tail - s->head);
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (ring)
		link_ring_guest(w);
	if (queued)
		worker_kick(w);
	if (room < 0)
		worker_end(w, PVGPU_END_PROTOCOL, "the reply stream's index is impossible");
	if (full)
		worker_end(w, PVGPU_END_PROTOCOL, "the guest does not read its replies");
}

void worker_mark(struct worker *w, uint32_t seq, int32_t result)
{
	struct pvgpu_wire_mark m = {
		.hdr = {.len = sizeof(m), .kind = PVGPU_REP_MARK, .seq = seq, .result = result}};

	worker_send(w, &m, sizeof(m));
}

void worker_ended(struct worker *w, uint32_t slot, uint64_t number)
{
	struct send *s = &w->send;

	if (slot >= PVGPU_ENDED_SLOTS || !w->page || has_ended(w))
		return;
	pthread_mutex_lock(&s->lock);
	if (s->ended[slot] < number) {
		s->ended[slot] = number;
		/* Not before the marks that wait in the queue. */
		if (s->head == s->tail)
			pvgpu_store_release(&w->page->ended[slot], number);
		else
			s->late = true;
	}
	pthread_mutex_unlock(&s->lock);
}

void worker_faulted(struct worker *w)
{
	/* The canary's worker has no guest. */
	if (w->page)
		pvgpu_store_release(&w->page->faults.v, 1u);
}

/* send.lock is held; the queue is empty. */
static void tell_late(struct worker *w)
{
	for (uint32_t i = 0; w->send.late && i < PVGPU_ENDED_SLOTS; i++)
		pvgpu_store_release(&w->page->ended[i], w->send.ended[i]);
	w->send.late = false;
}

void send_queued(struct worker *w)
{
	struct send *s = &w->send;
	bool ring = false;
	int room = 1;

	if (!atomic_load(&s->queued))
		return;
	pthread_mutex_lock(&s->lock);
	while (s->head != s->tail) {
		struct pvgpu_rep_hdr hdr;

		memcpy(&hdr, s->queue + s->head, sizeof(hdr));
		room = pvgpu_ring_has_space(&s->rep, hdr.len);
		if (room <= 0)
			break;
		ring |= put_now(s, &hdr, s->queue + s->head, hdr.len);
		s->head += hdr.len;
	}
	if (s->head == s->tail) {
		tell_late(w);
		s->head = s->tail = 0;
		if (s->cap > QUEUE_MIN) {
			free(s->queue);
			s->queue = NULL;
			s->cap = 0;
		}
	}
	atomic_store(&s->queued, s->tail - s->head);
	pthread_mutex_unlock(&s->lock);
	if (ring)
		link_ring_guest(w);
	if (room < 0)
		worker_end(w, PVGPU_END_PROTOCOL, "the reply stream's index is impossible");
}

bool send_wait_begin(struct worker *w)
{
	struct send *s = &w->send;
	bool sleep = true;

	if (!atomic_load(&s->queued))
		return true;
	pthread_mutex_lock(&s->lock);
	if (s->head != s->tail) {
		struct pvgpu_rep_hdr hdr;

		memcpy(&hdr, s->queue + s->head, sizeof(hdr));
		sleep = pvgpu_ring_wait_begin(&s->rep, hdr.len);
	}
	pthread_mutex_unlock(&s->lock);
	return sleep;
}

void send_wait_end(struct worker *w)
{
	pvgpu_ring_wait_end(&w->send.rep);
}
