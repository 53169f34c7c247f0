/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous copies between the device and memory of the application that the worker does not
 * reach: registered memory, and pinned memory beyond the arena.
 *
 * All pieces are posted at once. In between, the stream is held until a thread of this library, the
 * mover, has moved a piece between the application's memory and the arena; it lets the stream go on
 * by a word in the arena. So the caller does not wait, the application's memory is touched when the
 * copy's turn in the stream has come, and no host function can be in the way.
 */
#include "cuda/core/guest.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "link/cancel.h"

enum { WORDS = 64, WORD_STEP = 64 }; /* one page; words do not share cache lines */

struct move {
	struct move *next;
	bool to_device;
	/* under lock */
	bool dead;   /* the application's memory is gone: move nothing */
	bool busy;   /* its piece is being copied */
	bool posted; /* by its caller, who looks at it until then */
	char *user;
	uint64_t len, piece;
	unsigned int pieces, depth;
	unsigned int moved, ended; /* pieces; marks that are done, at least */
	struct slot *slot[STAGING_DEPTH];
	unsigned int word;
	uint32_t base;            /* the word's value before */
	struct pvgpu_mark turn;   /* to the device: the copy's turn has come */
	struct pvgpu_mark done[]; /* of each piece */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static struct move *moves, **moves_end = &moves;
static bool started;
static uint32_t marks_done; /* atomic: changes with each mark */

/* Words are never set back, so that no wait for one can be missed. Under lock. */
static char *words;
static uint32_t word_value[WORDS];
static bool word_used[WORDS];

static uint32_t *word_at(unsigned int n)
{
	return (uint32_t *)(void *)(words + n * WORD_STEP);
}

static void count_mark(struct pvgpu_mark *m)
{
	__atomic_add_fetch(&marks_done, 1, __ATOMIC_RELEASE);
}

static bool is_done(const struct pvgpu_mark *m)
{
	return __atomic_load_n(&m->done, __ATOMIC_ACQUIRE);
}

/* May the next piece be moved? */
static bool is_ready(const struct move *m)
{
	const unsigned int k = m->moved;

	if (k == m->pieces)
		return false;
	if (!m->to_device)
		return is_done(&m->done[k]);
	return is_done(&m->turn) && (k < m->depth || is_done(&m->done[k - m->depth]));
}

static bool is_over(struct move *m)
{
	while (m->ended < m->pieces && is_done(&m->done[m->ended]))
		m->ended++;
	return m->posted && m->moved == m->pieces && m->ended == m->pieces;
}

/* Under lock, dropped meanwhile. */
static void move_piece(struct move *m)
{
	const uint64_t at = m->moved * m->piece;
	const uint64_t n = m->len - at < m->piece ? m->len - at : m->piece;
	char *const mem = m->slot[m->moved % m->depth]->mem;
	const bool failed = m->to_device ? m->turn.result : m->done[m->moved].result;

	if (!m->dead && !failed) {
		m->busy = true;
		pthread_mutex_unlock(&lock);
		memcpy(m->to_device ? mem : m->user + at, m->to_device ? m->user + at : mem, n);
		pthread_mutex_lock(&lock);
		m->busy = false;
		pthread_cond_broadcast(&idle);
	}
	m->moved++;
	__atomic_store_n(word_at(m->word), m->base + m->moved, __ATOMIC_RELEASE);
}

/* Under lock: it is over. */
static void release(struct move *m)
{
	struct move **at = &moves;

	while (*at && *at != m)
		at = &(*at)->next;
	if (!*at)
		return; /* the session is lost, and its marks may be in use */
	*at = m->next;
	if (!m->next)
		moves_end = at;
	pvgpu_mark_poll(session(), &m->done[m->pieces - 1]); /* no fn runs any more */
	word_used[m->word] = false;
	staging_return(m->slot, m->depth);
	free(m);
	pthread_cond_broadcast(&idle);
}

/* Under lock, dropped meanwhile: so the list is looked at anew after each piece. */
static bool step(void)
{
	for (struct move *m = moves; m; m = m->next) {
		if (is_ready(m)) {
			move_piece(m);
			return true;
		}
		if (is_over(m)) {
			release(m);
			return true;
		}
	}
	return false;
}

static void *mover(void *arg)
{
	struct pvgpu_session *s = arg;

	pthread_mutex_lock(&lock);
	while (!pvgpu_session_status(s)) {
		const uint32_t seen = __atomic_load_n(&marks_done, __ATOMIC_ACQUIRE);

		if (step())
			continue;
		if (!moves) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		pvgpu_count_wait(s, &marks_done, seen);
		pthread_mutex_lock(&lock);
	}
	/* The session is lost, for good: nothing is copied any more. */
	moves = NULL;
	moves_end = &moves;
	pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Under lock. */
static bool start(void)
{
	sigset_t all, old;
	pthread_t thread;

	if (started)
		return true;
	if (!words)
		words = pvgpu_arena_alloc(session(), (uint64_t)WORDS * WORD_STEP, true);
	if (!words)
		return false;
	memset(words, 0, (size_t)WORDS * WORD_STEP);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	started = !pthread_create(&thread, NULL, mover, session());
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (started) {
		pthread_setname_np(thread, "pvgpu-move");
		pthread_detach(thread);
	}
	return started;
}

/* Under lock: a free word, with m->base; false: there is none. */
static bool take_word(struct move *m)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		if (word_used[i])
			continue;
		word_used[i] = true;
		m->word = i;
		m->base = word_value[i];
		word_value[i] += m->pieces;
		return true;
	}
	return false;
}

static struct move *make(void *user, uint64_t len, bool to_device)
{
	const uint64_t piece = staging_piece(len);
	const unsigned int pieces = (unsigned int)((len + piece - 1) / piece);
	struct move *m = calloc(1, sizeof(*m) + pieces * sizeof(m->done[0]));
	bool ok;

	if (!m)
		return NULL;
	m->to_device = to_device;
	m->user = user;
	m->len = len;
	m->piece = piece;
	m->pieces = pieces;
	m->turn.fn = count_mark;
	for (unsigned int i = 0; i < pieces; i++)
		m->done[i].fn = count_mark;
	m->depth = staging_lend(m->slot, pieces < STAGING_DEPTH ? pieces : STAGING_DEPTH);
	pthread_mutex_lock(&lock);
	ok = m->depth && start() && take_word(m);
	pthread_mutex_unlock(&lock);
	if (ok)
		return m;
	staging_return(m->slot, m->depth);
	free(m);
	return NULL;
}

static int post_hold(const struct target *t, const struct move *m, unsigned int pieces)
{
	return pvgpu_do_hold(session(), t->ctx->o.wire, t->stream, (uintptr_t)word_at(m->word),
			     m->base + pieces);
}

static int post_piece(const struct target *t, uint64_t dev, struct move *m, unsigned int k)
{
	const uint64_t at = k * m->piece, mem = (uintptr_t)m->slot[k % m->depth]->mem;
	const uint64_t n = m->len - at < m->piece ? m->len - at : m->piece;

	return pvgpu_do_copy_mark(session(), &m->done[k], t->ctx->o.wire, t->stream,
				  m->to_device ? dev + at : mem, m->to_device ? mem : dev + at, n);
}

/* Each piece behind the hold that the mover ends when its slot is filled, or free again; behind the
 * last one from the device, what follows in the stream finds all of it moved. */
static int post(const struct target *t, uint64_t dev, struct move *m)
{
	int r = 0;

	for (unsigned int k = 0; k < m->pieces && !r; k++) {
		if (m->to_device && !k)
			r = pvgpu_do_hold_mark(session(), &m->turn, t->ctx->o.wire, t->stream,
					       (uintptr_t)word_at(m->word), m->base + 1);
		else if (m->to_device)
			r = post_hold(t, m, k + 1);
		else if (k >= m->depth)
			r = post_hold(t, m, k - m->depth + 1);
		if (!r)
			r = post_piece(t, dev, m, k);
	}
	if (!r && !m->to_device)
		r = post_hold(t, m, m->pieces);
	return r;
}

int move_async(const struct target *t, uint64_t dev, void *user, uint64_t len, bool to_device)
{
	struct move *m;
	int r;

	/* Where the worker may not register the arena, the GPU cannot look at the word. */
	if (!device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
		return MOVE_BUSY;
	m = make(user, len, to_device);
	if (!m)
		return MOVE_BUSY;
	pthread_mutex_lock(&lock);
	m->next = NULL;
	*moves_end = m;
	moves_end = &m->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
	/* Fails only when the session is lost, which ends the mover, too. */
	r = post(t, dev, m);
	pthread_mutex_lock(&lock);
	m->posted = !r;
	/* The mover has looked at it for the last time, perhaps. */
	if (is_over(m))
		release(m);
	pthread_mutex_unlock(&lock);
	return r;
}

bool move_pending(void)
{
	bool some;

	pthread_mutex_lock(&lock);
	some = moves != NULL;
	pthread_mutex_unlock(&lock);
	return some;
}

void move_forget(uint64_t base, uint64_t len)
{
	const int cancel = pvgpu_cancel_off();
	struct move *m;

	pthread_mutex_lock(&lock);
	for (m = moves; m;) {
		const uint64_t at = (uintptr_t)m->user;

		if (at < base + len && base < at + m->len)
			m->dead = true;
		if (m->dead && m->busy) {
			pthread_cond_wait(&idle, &lock);
			m = moves; /* the list may have changed */
			continue;
		}
		m = m->next;
	}
	pthread_mutex_unlock(&lock);
	pvgpu_cancel_back(cancel);
}
