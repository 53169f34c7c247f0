/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous copies between the device and memory of the application that the worker does not
 * reach: registered memory, and pinned memory beyond the arena.
 *
 * All pieces are posted at once. In between, the stream is held until a thread of this library, the
 * mover, has moved a piece between the application's memory and the arena; it lets the stream go on
 * by a word in the arena. So the caller does not wait, the application's memory is touched when the
 * copy's turn in the stream has come, and no host function can be in the way.
 *
 * Copies of one stream take their turns one after another, so they share a word and a buffer: any
 * number of them may be pending. A stream with such copies is a lane.
 */
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/staging/move.h"
#include "cuda/staging/staging.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "link/cancel.h"
#include "link/session.h"
#include "pvgpu_stubs.h"

enum {
	WORD_STEP = 64, /* words do not share cache lines */
	WORDS = 64,     /* of a page */
	LANES_MAX = PVGPU_HOLD_WORDS,
	BUFFER_LEAST = 64 * 1024,
	BUFFER_UNIT = 64,
};

struct buffer {
	char *mem;
	uint64_t size;
	unsigned int users; /* moves, and the lane while it gives it to new ones */
};

struct move {
	struct move *next;
	struct lane *lane;
	struct moving v;
	/* under lock */
	bool dead;    /* the application's memory is gone: move nothing */
	bool busy;    /* its piece is being copied */
	bool posted;  /* by its caller, who looks at it until then */
	bool follows; /* nothing lies between it and the copy to the device before it in the stream,
		       * and it has memory of its own: both may be read in one turn */
	unsigned int depth, moved, ended; /* pieces; ended: marks that are done, at least */
	struct buffer *buffer;
	char *mem;                /* in it: depth pieces */
	uint32_t base;            /* the word's value before */
	struct pvgpu_mark turn;   /* to the device: the copy's turn has come */
	struct pvgpu_mark done[]; /* of each piece */
};

struct lane {
	struct lane *next;
	struct lane *next_idle;
	uint64_t stream; /* the worker's handle; a context's for its default stream */
	uint32_t *word;  /* never set back, so that no wait for it can be missed */
	unsigned int users;
	pthread_mutex_t posting; /* the order of moves is that of their commands */
	/* under lock */
	struct move *first, *last; /* oldest first; last is valid if first is */
	struct move *at;           /* the first of them that has pieces left to be moved */
	struct buffer *buffer;
	uint64_t used;   /* of the buffer, by moves that follow one another */
	uint64_t number; /* of the last command posted */
	uint32_t value;  /* of the word when all is moved */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static struct lane *lanes, *idle_lanes; /* with moves; without */
static unsigned int lanes_made;
static char *words; /* of the lanes made last */
static bool started;
static uint32_t marks_done; /* atomic: changes with each mark */

static void count_mark(struct pvgpu_mark *m)
{
	__atomic_add_fetch(&marks_done, 1, __ATOMIC_RELEASE);
}

static bool is_done(const struct pvgpu_mark *m)
{
	return __atomic_load_n(&m->done, __ATOMIC_ACQUIRE);
}

/* Under lock. */
static void buffer_put(struct buffer *b)
{
	if (!b || --b->users)
		return;
	pvgpu_arena_free(session(), b->mem);
	free(b);
}

static struct buffer *buffer_make(uint64_t size)
{
	struct buffer *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->size = size;
	b->users = 1;
	b->mem = pvgpu_arena_alloc(session(), size, true);
	if (b->mem)
		return b;
	free(b);
	return NULL;
}

/* May the next piece be moved? */
static bool is_ready(const struct move *m)
{
	const unsigned int k = m->moved;

	if (!m->v.to_device)
		return is_done(&m->done[k]);
	return (m->follows || is_done(&m->turn)) &&
	       (k < m->depth || is_done(&m->done[k - m->depth]));
}

static bool is_over(struct move *m)
{
	while (m->ended < m->v.pieces && is_done(&m->done[m->ended]))
		m->ended++;
	return m->posted && m->moved == m->v.pieces && m->ended == m->v.pieces &&
	       (!m->v.to_device || is_done(&m->turn));
}

static char *piece_of(const struct move *m, unsigned int k)
{
	return m->mem + k % m->depth * m->v.piece;
}

/* Under lock, dropped meanwhile. */
static void move_piece(struct move *m)
{
	const bool failed =
		m->v.to_device ? is_done(&m->turn) && m->turn.result : m->done[m->moved].result;
	struct lane *const l = m->lane;

	if (!m->dead && !failed) {
		m->busy = true;
		pthread_mutex_unlock(&lock);
		m->v.pack(&m->v, m->moved, piece_of(m, m->moved));
		pthread_mutex_lock(&lock);
		m->busy = false;
		pthread_cond_broadcast(&idle);
	}
	m->moved++;
	pvgpu_let_go(session(), l->word, m->base + m->moved);
	if (m->moved == m->v.pieces)
		l->at = m->next;
}

static void move_free(struct move *m)
{
	free(m->v.what);
	free(m);
}

/* Under lock: one user of the lane less. */
static void lane_put(struct lane *l)
{
	struct lane **at = &lanes;

	if (--l->users)
		return;
	while (*at && *at != l)
		at = &(*at)->next;
	if (!*at)
		return; /* the session is lost */
	*at = l->next;
	buffer_put(l->buffer);
	l->buffer = NULL;
	l->next_idle = idle_lanes;
	idle_lanes = l;
}

/* Under lock: the lane's first moves that are over go. False: there were none. */
static bool release_first(struct lane *l)
{
	struct move *m = l->first;

	if (!m || !is_over(m))
		return false;
	l->first = m->next;
	pvgpu_mark_poll(session(), &m->done[m->v.pieces - 1]); /* no fn runs any more */
	buffer_put(m->buffer);
	move_free(m);
	lane_put(l);
	pthread_cond_broadcast(&idle);
	return true;
}

/* Under lock, dropped meanwhile: so the list is looked at anew after each piece. */
static bool step(void)
{
	for (struct lane *l = lanes; l; l = l->next) {
		if (l->at && is_ready(l->at)) {
			move_piece(l->at);
			return true;
		}
		if (release_first(l))
			return true;
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
		if (!lanes) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		pvgpu_count_wait(s, &marks_done, seen);
		pthread_mutex_lock(&lock);
	}
	/* The session is lost, for good: nothing is copied any more. */
	lanes = NULL;
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

/* Under lock. */
static struct lane *lane_make(void)
{
	const unsigned int n = lanes_made % WORDS;
	struct lane *l;

	if (lanes_made == LANES_MAX)
		return NULL;
	if (!n) {
		char *page = pvgpu_arena_alloc(session(), (uint64_t)WORDS * WORD_STEP, true);

		if (!page)
			return NULL;
		memset(page, 0, (size_t)WORDS * WORD_STEP);
		words = page;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		if (!n)
			pvgpu_arena_free(session(), words);
		return NULL;
	}
	lanes_made++;
	l->word = (uint32_t *)(void *)(words + (size_t)n * WORD_STEP);
	pthread_mutex_init(&l->posting, NULL);
	return l;
}

/* Under lock: the stream's lane; NULL: there is no room. */
static struct lane *lane_get(uint64_t stream)
{
	struct lane *l = lanes;

	while (l && l->stream != stream)
		l = l->next;
	if (!l) {
		l = idle_lanes;
		if (l)
			idle_lanes = l->next_idle;
		else
			l = lane_make();
		if (!l)
			return NULL;
		l->stream = stream;
		l->first = l->at = NULL;
		l->number = 0;
		l->next = lanes;
		lanes = l;
	}
	l->users++;
	return l;
}

/* Under lock and l->posting: have a buffer of `want` bytes, or at least of `least` bytes where
 * memory is short. A larger one takes the place of the one that earlier moves use. */
static bool lane_buffer(struct lane *l, uint64_t want, uint64_t least)
{
	struct buffer *b = NULL;
	uint64_t size = BUFFER_LEAST;

	if (l->buffer && l->buffer->size >= want)
		return true;
	while (size < want)
		size *= 2;
	b = buffer_make(size);
	if (!b && (!l->buffer || l->buffer->size < least))
		b = buffer_make(least);
	if (!b)
		return l->buffer && l->buffer->size >= least;
	buffer_put(l->buffer);
	l->buffer = b;
	return true;
}

/* Under lock and l->posting: memory for m. Without a place behind the move before it, it begins at
 * the buffer's: when its turn has come, all moves before it have left that. */
static bool place(struct lane *l, struct move *m)
{
	const unsigned int depth = m->v.pieces < STAGING_DEPTH ? m->v.pieces : STAGING_DEPTH;
	const struct move *const last = l->first ? l->last : NULL;
	const struct buffer *const before = l->buffer;
	uint64_t room;

	if (!lane_buffer(l, depth * m->v.piece, m->v.piece))
		return false;
	room = l->buffer->size;
	m->follows = last && last->v.to_device && m->v.to_device && l->buffer == before &&
		     l->number == pvgpu_worked(session()) && m->v.pieces == 1 &&
		     m->v.piece <= room - l->used;
	if (!m->follows)
		l->used = 0;
	m->mem = l->buffer->mem + l->used;
	m->depth = room / m->v.piece < depth ? (unsigned int)(room / m->v.piece) : depth;
	l->used += m->depth * m->v.piece;
	m->buffer = l->buffer;
	m->buffer->users++;
	return true;
}

/* Under l->posting: into the lane, to be posted. */
static bool enter(struct lane *l, struct move *m)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = start() && place(l, m);
	if (ok) {
		m->lane = l;
		m->base = l->value;
		l->value += m->v.pieces;
		*(l->first ? &l->last->next : &l->first) = m;
		l->last = m;
		if (!l->at)
			l->at = m;
		l->users++;
		pthread_cond_signal(&more);
	}
	pthread_mutex_unlock(&lock);
	return ok;
}

static struct move *make(const struct moving *v)
{
	struct move *m = calloc(1, sizeof(*m) + v->pieces * sizeof(m->done[0]));

	if (!m)
		return NULL;
	m->v = *v;
	m->v.piece = (v->piece + BUFFER_UNIT - 1) / BUFFER_UNIT * BUFFER_UNIT;
	m->turn.fn = count_mark;
	for (unsigned int i = 0; i < v->pieces; i++)
		m->done[i].fn = count_mark;
	return m;
}

static int post_hold(const struct target *t, const struct move *m, unsigned int pieces)
{
	return pvgpu_do_hold(session(), t->ctx->o.wire, t->stream, (uintptr_t)m->lane->word,
			     m->base + pieces);
}

/* Each piece behind the hold that the mover ends when its place is filled, or free again; behind
 * the last one from the device, what follows in the stream finds all of it moved. */
static int post(const struct target *t, struct move *m)
{
	int r = 0;

	for (unsigned int k = 0; k < m->v.pieces && !r; k++) {
		if (m->v.to_device && !k)
			r = pvgpu_do_hold_mark(session(), &m->turn, t->ctx->o.wire, t->stream,
					       (uintptr_t)m->lane->word, m->base + 1);
		else if (m->v.to_device)
			r = post_hold(t, m, k + 1);
		else if (k >= m->depth)
			r = post_hold(t, m, k - m->depth + 1);
		if (!r)
			r = m->v.post(&m->v, t, k, piece_of(m, k), &m->done[k]);
	}
	if (!r && !m->v.to_device)
		r = post_hold(t, m, m->v.pieces);
	return r;
}

/* Under l->posting. */
static int enter_and_post(struct lane *l, const struct target *t, struct move *m)
{
	int r;

	if (!enter(l, m))
		return MOVE_BUSY;
	/* Fails only when the session is lost, which ends the mover, too. */
	r = post(t, m);
	l->number = pvgpu_posted();
	pthread_mutex_lock(&lock);
	m->posted = !r;
	/* The mover has looked at it for the last time, perhaps. */
	while (!r && release_first(l))
		;
	pthread_mutex_unlock(&lock);
	return r;
}

int move_async(const struct target *t, const struct moving *v)
{
	struct lane *l;
	struct move *m;
	int r;

	/* Where the worker may not register the arena, the GPU cannot look at the word. */
	if (!device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY))
		return MOVE_BUSY;
	m = make(v);
	if (!m)
		return MOVE_BUSY;
	pthread_mutex_lock(&lock);
	l = lane_get(target_key(t));
	pthread_mutex_unlock(&lock);
	if (!l) {
		free(m);
		return MOVE_BUSY;
	}
	pthread_mutex_lock(&l->posting);
	r = enter_and_post(l, t, m);
	pthread_mutex_unlock(&l->posting);
	if (r == MOVE_BUSY)
		free(m);
	pthread_mutex_lock(&lock);
	lane_put(l);
	pthread_mutex_unlock(&lock);
	return r;
}

bool move_pending(void)
{
	bool some;

	pthread_mutex_lock(&lock);
	some = lanes != NULL;
	pthread_mutex_unlock(&lock);
	return some;
}

/* Under lock: a move of this memory is under way. */
static bool forget_in(struct lane *l, uint64_t base, uint64_t len)
{
	bool busy = false;

	for (struct move *m = l->first; m; m = m->next) {
		if (m->v.user < base + len && base < m->v.user + m->v.extent) {
			m->dead = true;
			busy |= m->busy;
		}
	}
	return busy;
}

void move_forget(uint64_t base, uint64_t len)
{
	const int cancel = pvgpu_cancel_off();
	bool busy;

	pthread_mutex_lock(&lock);
	do {
		busy = false;
		for (struct lane *l = lanes; l; l = l->next)
			busy |= forget_in(l, base, len);
		if (busy)
			pthread_cond_wait(&idle, &lock);
	} while (busy);
	pthread_mutex_unlock(&lock);
	pvgpu_cancel_back(cancel);
}
