/* SPDX-License-Identifier: MIT */
/* Posting commands: the fast path takes one lock, makes no system call and allocates nothing. */
#include "link/runtime.h"

#include <stdatomic.h>

enum { MARKS_DRAIN = 32 };

/* Initial-exec: the path of a launch must not reach the allocator through lazy TLS. */
static _Thread_local uint64_t posted __attribute__((tls_model("initial-exec")));

uint64_t pvgpu_posted(void)
{
	return posted;
}

uint64_t pvgpu_worked(struct pvgpu_session *s)
{
	return pvgpu_load(&s->worked);
}

struct pvgpu_call_slot *pvgpu_take_call(struct pvgpu_session *s, uint32_t seq)
{
	struct pvgpu_call_slot **at = &s->calls[seq % PVGPU_CALL_BUCKETS];

	for (; *at; at = &(*at)->next) {
		struct pvgpu_call_slot *c = *at;

		if (c->seq == seq) {
			*at = c->next;
			return c;
		}
	}
	return NULL;
}

struct pvgpu_mark *pvgpu_take_mark(struct pvgpu_session *s, uint32_t seq)
{
	struct pvgpu_mark **at = &s->marks[seq % PVGPU_MARK_BUCKETS];

	for (; *at; at = &(*at)->next) {
		struct pvgpu_mark *m = *at;

		if (m->seq == seq) {
			*at = m->next;
			return m;
		}
	}
	return NULL;
}

/* Is the session alive, and has the command stream room? 1 yes, 0 no room, else a negative errno.
 */
static int room(struct pvgpu_session *s, uint32_t len)
{
	if (pvgpu_is_dead(s) || pvgpu_load(&s->link->page->status) != PVGPU_RING_RUNNING)
		return -EPIPE;
	return pvgpu_ring_has_space(&s->cmd, len);
}

/*
 * Wait for room. Replies are drained meanwhile: the worker may itself be waiting for room in the
 * reply stream. One thread waits at a time and the others queue behind it; otherwise small records
 * could starve a large one. Returns room()'s answer, post_lock held.
 */
static int reserve_slow(struct pvgpu_session *s, uint32_t len)
{
	int n;

	pvgpu_lock(&s->turn_lock);
	pvgpu_lock(&s->post_lock);
	s->crowded = true;
	while ((n = room(s, len)) == 0) {
		pvgpu_store(&s->space_want, len);
		if (pvgpu_ring_wait_begin(&s->cmd, len)) {
			struct pvgpu_waiter w = {.kind = PVGPU_WAIT_SPACE, .len = len};

			pvgpu_unlock(&s->post_lock);
			pvgpu_wait(s, &w);
			pvgpu_lock(&s->post_lock);
		}
	}
	pvgpu_store(&s->space_want, 0u);
	pvgpu_ring_wait_end(&s->cmd);
	s->crowded = false;
	pvgpu_unlock(&s->turn_lock);
	return n;
}

/* 0 with post_lock held and room for len bytes; or the dead session's result. */
static int reserve(struct pvgpu_session *s, uint32_t len)
{
	int n;

	pvgpu_lock(&s->post_lock);
	if (pvgpu_likely(!s->crowded)) {
		n = room(s, len);
		if (pvgpu_likely(n > 0))
			return 0;
	}
	pvgpu_unlock(&s->post_lock);
	n = reserve_slow(s, len);
	if (n > 0)
		return 0;
	pvgpu_unlock(&s->post_lock);
	if (n == -EPROTO)
		pvgpu_session_fail(s, "the worker's index of the command stream is impossible");
	else
		pvgpu_session_lost(s);
	return PVGPU_DEAD_RESULT;
}

static uint32_t record_len(const struct pvgpu_piece *p, unsigned int n)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < n; i++)
		len += p[i].len;
	return len > PVGPU_CMD_MAX ? 0 : (uint32_t)len;
}

/* Register the call or the mark, copy the record into the stream, publish it. */
static int post(struct pvgpu_session *s, struct pvgpu_call_slot *call, struct pvgpu_mark *mark,
		const struct pvgpu_piece *p, unsigned int n)
{
	const uint32_t len = record_len(p, n);
	struct pvgpu_cmd_hdr hdr;
	uint32_t at = sizeof(hdr);
	bool bell;

	if (pvgpu_unlikely(pvgpu_is_dead(s)))
		return PVGPU_DEAD_RESULT;
	memcpy(&hdr, p[0].base, sizeof(hdr));
	if (pvgpu_unlikely(len < sizeof(hdr) || p[0].len < sizeof(hdr) || hdr.len != len ||
			   len % 8))
		return 1; /* CUDA_ERROR_INVALID_VALUE: more than a record can hold */
	if (pvgpu_unlikely(hdr.op == PVGPU_OP_HOST_FUNC) && !pvgpu_callback_expect(s))
		return 2; /* CUDA_ERROR_OUT_OF_MEMORY */
	if (reserve(s, len))
		return PVGPU_DEAD_RESULT;

	posted = ++s->number;
	hdr.seq = (uint32_t)posted;
	if (!call)
		pvgpu_store(&s->worked, posted);
	if (call) {
		call->seq = hdr.seq;
		call->library = (uint32_t)hdr.op >> PVGPU_OP_BITS;
		call->next = s->calls[hdr.seq % PVGPU_CALL_BUCKETS];
		s->calls[hdr.seq % PVGPU_CALL_BUCKETS] = call;
	} else if (mark) {
		hdr.flags |= PVGPU_CMD_MARK;
		mark->seq = hdr.seq;
		mark->next = s->marks[hdr.seq % PVGPU_MARK_BUCKETS];
		s->marks[hdr.seq % PVGPU_MARK_BUCKETS] = mark;
	}
	pvgpu_ring_put(&s->cmd, 0, &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < n; i++) {
		const uint32_t skip = i ? 0 : sizeof(hdr);

		pvgpu_ring_put(&s->cmd, at, (const char *)p[i].base + skip, p[i].len - skip);
		at += p[i].len - skip;
	}
	bell = pvgpu_ring_publish(&s->cmd, len);
	pvgpu_unlock(&s->post_lock);

	if (bell)
		s->link->ops->doorbell(s->link);
	if (pvgpu_unlikely(hdr.op == PVGPU_OP_HOST_FUNC))
		pvgpu_callback_posted(s);
	return 0;
}

/* The thread that learns of device output fetches it. Fetching is a call, too: do not recurse. */
static void tell_output(struct pvgpu_session *s)
{
	static _Thread_local bool telling;

	if (telling || !s->ops.output)
		return;
	telling = true;
	s->ops.output(s->ops.arg);
	telling = false;
}

int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n)
{
	return post(s, NULL, NULL, p, n);
}

int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned int n)
{
	int err;

	/* The owner's other threads may look at it already. */
	pvgpu_store(&m->done, false);
	m->result = 0;
	err = post(s, NULL, m, p, n);
	/* A program that posts and never waits must not let marks pile up in the reply stream. */
	if (pvgpu_unlikely(!err && m->seq % MARKS_DRAIN == 0))
		pvgpu_try_drain(s, false);
	return err;
}

static _Atomic uint64_t awaited;

uint64_t pvgpu_awaited(void)
{
	return atomic_load_explicit(&awaited, memory_order_relaxed);
}

int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
	       uint32_t cap, uint32_t *rep_len)
{
	struct pvgpu_call_slot call = {.rep = rep, .cap = cap};
	struct pvgpu_waiter w = {.kind = PVGPU_WAIT_CALL, .call = &call};
	int err = post(s, &call, NULL, p, n);

	*rep_len = 0;
	if (err)
		return err;
	atomic_fetch_add_explicit(&awaited, 1, memory_order_relaxed);
	pvgpu_wait(s, &w);
	*rep_len = call.len;
	if (pvgpu_unlikely(call.flags & PVGPU_REP_OUTPUT)) {
		const uint64_t number = posted;

		tell_output(s);
		posted = number; /* fetching posts, too */
	}
	return call.result;
}

bool pvgpu_mark_poll(struct pvgpu_session *s, struct pvgpu_mark *m)
{
	if (!pvgpu_load_acquire(&m->done))
		pvgpu_try_drain(s, false);
	if (!pvgpu_load_acquire(&m->done))
		return false;
	if (m->fn) { /* it runs under the lock, and the owner may free m when we return */
		pvgpu_lock(&s->post_lock);
		pvgpu_unlock(&s->post_lock);
	}
	return true;
}

int pvgpu_mark_wait(struct pvgpu_session *s, struct pvgpu_mark *m)
{
	struct pvgpu_waiter w = {.kind = PVGPU_WAIT_MARK, .mark = m};

	if (!pvgpu_load_acquire(&m->done))
		pvgpu_wait(s, &w);
	if (!pvgpu_load_acquire(&m->done))
		return PVGPU_DEAD_RESULT; /* never posted */
	if (m->fn) {
		pvgpu_lock(&s->post_lock);
		pvgpu_unlock(&s->post_lock);
	}
	if (pvgpu_unlikely(pvgpu_load(&s->output)) && pvgpu_exchange(&s->output, false))
		tell_output(s);
	return m->result;
}

void pvgpu_count_wait(struct pvgpu_session *s, const uint32_t *count, uint32_t seen)
{
	struct pvgpu_waiter w = {.kind = PVGPU_WAIT_COUNT, .count = count, .seen = seen};

	if (pvgpu_load_acquire(count) == seen)
		pvgpu_wait(s, &w);
}

void pvgpu_let_go(struct pvgpu_session *s, uint32_t *word, uint32_t value)
{
	__atomic_add_fetch(&s->let_go, 1, __ATOMIC_RELEASE);
	pvgpu_store_release(word, value);
}
