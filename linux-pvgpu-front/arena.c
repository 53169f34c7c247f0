// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Chunks of arena. The addition or removal of a chunk goes on when the process that waits for it is
 * interrupted; the process asks again and finds the chunk.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"

/*
 * Places in the file: the ring at 0, chunk i at FIRST + i GiB. A 32-bit process reaches all of
 * them, and no place is used for two chunks at a time.
 */
#define PLACE_SHIFT 30
#define FIRST       4u

enum chunk_state {
	ADDING,
	READY,
	REMOVING,
	REMOVED, /* or never added; error says why */
};

struct chunk {
	struct kref ref; /* the session's table, waiting callers, the request */
	struct pvgpu_session *s;
	u32 at; /* in s->chunks */
	u64 address, size;
	struct pvgpu_mem *mem;  /* under s->lock */
	enum chunk_state state; /* written under s->lock */
	bool told;              /* GROW has returned it */
	int error;              /* of the latest request; then its text */
	char text[sizeof(((struct pvgpu_ctl_msg *)0)->u.text) + 1];
	struct pvgpu_req req;
};

static void pvgpu_chunk_free(struct kref *ref)
{
	kfree(container_of(ref, struct chunk, ref));
}

static void pvgpu_chunk_put(struct chunk *c)
{
	kref_put(&c->ref, pvgpu_chunk_free);
}

/* Under s->lock: out of the table; its memory is the caller's. */
static struct pvgpu_mem *pvgpu_chunk_take_out(struct chunk *c, int error)
{
	struct pvgpu_mem *m = c->mem;

	lockdep_assert_held(&c->s->lock);
	c->mem = NULL;
	c->error = error;
	/* All releases of the state: with the acquire in pvgpu_chunk_settled(). */
	smp_store_release(&c->state, REMOVED);
	xa_erase(&c->s->chunks, c->at);
	c->s->arena -= c->size;
	pvgpu_chunk_put(c);
	return m;
}

void pvgpu_chunks_drop(struct pvgpu_session *s, struct list_head *list)
{
	struct pvgpu_mem *m;
	struct chunk *c;
	unsigned long i;

	lockdep_assert_held(&s->lock);
	xa_for_each(&s->chunks, i, c) {
		m = pvgpu_chunk_take_out(c, -EPIPE);
		list_add_tail(&m->node, list);
	}
}

struct pvgpu_mem *pvgpu_chunk_at(struct pvgpu_session *s, u64 offset)
{
	const u64 place = offset >> PLACE_SHIFT;
	struct chunk *c = NULL;

	lockdep_assert_held(&s->lock);
	if (place >= FIRST && place < FIRST + PVGPU_CHUNKS_MAX &&
	    !(offset & ((1ull << PLACE_SHIFT) - 1)))
		c = xa_load(&s->chunks, place - FIRST);
	return c && c->state == READY ? c->mem : NULL;
}

/* Under s->lock: a chunk that overlaps [address, address + size). */
static struct chunk *pvgpu_chunk_overlapping(struct pvgpu_session *s, u64 address, u64 size)
{
	struct chunk *c;
	unsigned long i;

	lockdep_assert_held(&s->lock);
	xa_for_each(&s->chunks, i, c)
		if (address < c->address + c->size && c->address < address + size)
			return c;
	return NULL;
}

/* ---- requests ---- */

static void pvgpu_chunk_keep_error(struct chunk *c, const struct pvgpu_req *req)
{
	c->error = req->result;
	c->text[0] = '\0';
	if (req->result && req->result != -EPIPE)
		pvgpu_printable(c->text, sizeof(c->text), req->answer.u.text,
				sizeof(req->answer.u.text));
}

static void pvgpu_chunk_added(struct pvgpu_req *req)
{
	struct chunk *c = container_of(req, struct chunk, req);
	struct pvgpu_session *s = c->s;
	struct pvgpu_mem *end = NULL;

	mutex_lock(&s->lock);
	/* The end of the session may have removed it already. */
	if (c->state == ADDING) {
		pvgpu_chunk_keep_error(c, req);
		if (req->result)
			end = pvgpu_chunk_take_out(c, req->result);
		else
			smp_store_release(&c->state, READY);
		if (c->mem)
			pvgpu_mem_end_dir(c->mem);
	}
	mutex_unlock(&s->lock);
	if (end)
		pvgpu_mem_end(end);
	wake_up_all(&s->wait);
	pvgpu_chunk_put(c);
	pvgpu_session_put(s);
}

static void pvgpu_chunk_removed(struct pvgpu_req *req)
{
	struct chunk *c = container_of(req, struct chunk, req);
	struct pvgpu_session *s = c->s;
	struct pvgpu_mem *end = NULL;

	mutex_lock(&s->lock);
	if (c->state == REMOVING) {
		pvgpu_chunk_keep_error(c, req);
		if (req->result)
			smp_store_release(&c->state, READY);
		else
			end = pvgpu_chunk_take_out(c, 0);
	}
	mutex_unlock(&s->lock);
	if (end)
		pvgpu_mem_end(end);
	wake_up_all(&s->wait);
	pvgpu_chunk_put(c);
	pvgpu_session_put(s);
}

/* Send the request, which holds a reference to the chunk. */
static int pvgpu_chunk_send(struct chunk *c, u32 op)
{
	struct pvgpu_req *req = &c->req;
	int ret;

	memset(req, 0, sizeof(*req));
	req->done = op == PVGPU_CTL_CHUNK_ADD ? pvgpu_chunk_added : pvgpu_chunk_removed;
	req->msg.op = op;
	req->msg.session = c->s->number;
	req->msg.u.chunk.address = c->address;
	req->msg.u.chunk.size = c->size;
	if (op == PVGPU_CTL_CHUNK_ADD)
		req->msg.u.chunk.dir = pvgpu_mem_dir(c->mem);
	kref_get(&c->ref);
	kref_get(&c->s->ref);
	ret = pvgpu_submit(c->s->vgpu, req, c->s->gen);
	if (ret) {
		pvgpu_chunk_put(c);
		pvgpu_session_put(c->s);
	}
	return ret;
}

static bool pvgpu_chunk_settled(const struct chunk *c)
{
	const enum chunk_state state = smp_load_acquire(&c->state); /* with the releases */

	return state == READY || state == REMOVED;
}

/* Wait until the request is answered or the session is gone; drops the chunk's reference. */
static long pvgpu_chunk_await(struct chunk *c, bool grow, struct pvgpu_ioc_chunk *out,
			      struct pvgpu_why *why)
{
	struct pvgpu_session *s = c->s;
	long ret;

	ret = wait_event_interruptible(s->wait, pvgpu_chunk_settled(c));
	if (ret)
		goto out;
	mutex_lock(&s->lock);
	ret = c->error;
	if (ret)
		pvgpu_say(why, "%s", c->text[0] ? c->text : "the session is lost");
	else if (grow && c->state != READY)
		ret = -EPIPE;
	else if (grow && c->told)
		ret = -EEXIST;
	else if (grow) {
		c->told = true;
		out->offset = (u64)(FIRST + c->at) << PLACE_SHIFT;
	}
	mutex_unlock(&s->lock);
out:
	pvgpu_chunk_put(c);
	return ret;
}

static bool pvgpu_chunk_good_range(const struct pvgpu_ioc_chunk *c)
{
	return c->size && c->size <= PVGPU_CTL_CHUNK_MAX && !(c->size & ~PAGE_MASK) &&
	       !(c->address & ~PAGE_MASK) && c->address && c->address <= U64_MAX - c->size;
}

static long pvgpu_chunk_session_lost(struct pvgpu_why *why)
{
	pvgpu_say(why, "the session is lost");
	return -EPIPE;
}

/* ---- grow ---- */

/* Under s->lock: the chunk of an interrupted GROW, NULL if there is none, or an error. */
static struct chunk *pvgpu_chunk_resumed(struct pvgpu_session *s,
					 const struct pvgpu_ioc_chunk *want, struct pvgpu_why *why)
{
	struct chunk *c = pvgpu_chunk_overlapping(s, want->address, want->size);

	if (!c)
		return NULL;
	if (c->address == want->address && c->size == want->size && !c->told &&
	    c->state != REMOVING) {
		kref_get(&c->ref);
		return c;
	}
	pvgpu_say(why, "a chunk at 0x%llx overlaps", c->address);
	return ERR_PTR(-EEXIST);
}

/* Under s->lock: enter the chunk into the table and send it to the backend. */
static int pvgpu_chunk_enter(struct pvgpu_session *s, struct chunk *c, struct pvgpu_why *why)
{
	int ret;

	lockdep_assert_held(&s->lock);
	if (c->size > s->arena_limit || s->arena > s->arena_limit - c->size) {
		pvgpu_say(why, "the session's limit is %llu KiB of arena, %llu are used",
			  s->arena_limit >> 10, s->arena >> 10);
		return -ENOMEM;
	}
	ret = xa_alloc(&s->chunks, &c->at, c, XA_LIMIT(0, PVGPU_CHUNKS_MAX - 1),
		       GFP_KERNEL_ACCOUNT);
	if (ret) {
		pvgpu_say(why, "the session has %u chunks of arena, the maximum", PVGPU_CHUNKS_MAX);
		return ret == -EBUSY ? -ENOMEM : ret;
	}
	ret = pvgpu_chunk_send(c, PVGPU_CTL_CHUNK_ADD);
	if (ret) {
		xa_erase(&s->chunks, c->at);
		return pvgpu_chunk_session_lost(why);
	}
	s->arena += c->size;
	kref_get(&c->ref);
	return 0;
}

static int pvgpu_chunk_new(struct pvgpu_session *s, const struct pvgpu_ioc_chunk *want,
			   struct chunk **out, struct pvgpu_why *why)
{
	struct chunk *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!c) {
		pvgpu_say(why, "out of memory");
		return -ENOMEM;
	}
	kref_init(&c->ref);
	c->s = s;
	c->address = want->address;
	c->size = want->size;
	c->state = ADDING;
	ret = pvgpu_mem_new(s->backend, c->size, true, s->user, &c->mem, why);
	if (ret) {
		pvgpu_chunk_put(c);
		return ret;
	}
	*out = c;
	return 0;
}

long pvgpu_grow(struct pvgpu_session *s, struct pvgpu_ioc_chunk *want, struct pvgpu_why *why)
{
	struct chunk *c, *new;
	long ret;

	if (!pvgpu_chunk_good_range(want)) {
		pvgpu_say(why, "a chunk is of whole pages, at most %u MiB",
			  PVGPU_CTL_CHUNK_MAX >> 20);
		return -EINVAL;
	}
	if (!(s->features & PVGPU_FEATURES_ARENA_GROW)) {
		pvgpu_say(why, "the backend takes no arena memory (feature arena-grow)");
		return -EOPNOTSUPP;
	}
	mutex_lock(&s->lock);
	c = pvgpu_chunk_resumed(s, want, why);
	mutex_unlock(&s->lock);
	if (IS_ERR(c))
		return PTR_ERR(c);
	if (c)
		return pvgpu_chunk_await(c, true, want, why);

	/* Allocated without the lock, so that a large chunk does not block other callers. */
	ret = pvgpu_chunk_new(s, want, &new, why);
	if (ret)
		return ret;
	mutex_lock(&s->lock);
	c = pvgpu_chunk_resumed(s, want, why);
	if (IS_ERR(c))
		ret = PTR_ERR(c);
	else if (!c && (!s->ring || pvgpu_session_life(s) != PVGPU_OPEN))
		ret = pvgpu_chunk_session_lost(why);
	else if (!c)
		ret = pvgpu_chunk_enter(s, new, why);
	mutex_unlock(&s->lock);
	if (!ret && !c)
		return pvgpu_chunk_await(new, true, want, why);
	/* Another thread has added the same chunk, or the chunk is refused. */
	pvgpu_mem_end(new->mem);
	pvgpu_chunk_put(new);
	return ret ? ret : pvgpu_chunk_await(c, true, want, why);
}

/* ---- shrink ---- */

long pvgpu_shrink(struct pvgpu_session *s, struct pvgpu_ioc_chunk *want, struct pvgpu_why *why)
{
	struct chunk *c;
	long ret = 0;

	if (!pvgpu_chunk_good_range(want)) {
		pvgpu_say(why, "no such chunk");
		return -EINVAL;
	}
	if (pvgpu_session_life(s) != PVGPU_OPEN)
		return pvgpu_chunk_session_lost(why);
	mutex_lock(&s->lock);
	c = pvgpu_chunk_overlapping(s, want->address, want->size);
	if (!c) {
		mutex_unlock(&s->lock);
		return 0; /* removed while its process was interrupted */
	}
	if (c->address != want->address || c->size != want->size) {
		pvgpu_say(why, "the chunk at 0x%llx has %llu KiB", c->address, c->size >> 10);
		ret = -EINVAL;
	} else if (c->state == ADDING) {
		pvgpu_say(why, "the chunk is being added");
		ret = -EBUSY;
	} else if (c->state == READY) {
		WRITE_ONCE(c->state, REMOVING);
		ret = pvgpu_chunk_send(c, PVGPU_CTL_CHUNK_REMOVE);
		if (ret) {
			WRITE_ONCE(c->state, READY);
			ret = pvgpu_chunk_session_lost(why);
		}
	}
	if (!ret)
		kref_get(&c->ref);
	mutex_unlock(&s->lock);
	return ret ? ret : pvgpu_chunk_await(c, false, want, why);
}
