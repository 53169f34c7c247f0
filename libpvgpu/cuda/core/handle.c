/* SPDX-License-Identifier: MIT */
/* Objects and their handles. The tables themselves are in cuda/objects.c. */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "link/session.h"
#include "pvgpu_wire.h"

/* Under t->lock: a free slot, made when there is none. */
static struct object *slot_take(struct object_table *t)
{
	struct object *o = t->free;
	char *chunk;

	if (o) {
		t->free = o->free_next;
		return o;
	}
	if (t->used == PVGPU_HANDLES_MAX)
		return NULL;
	chunk = atomic_load_explicit(&t->chunk[t->used / OBJECT_CHUNK], memory_order_relaxed);
	if (!chunk) {
		chunk = calloc(OBJECT_CHUNK, t->size);
		if (!chunk)
			return NULL;
		atomic_store_explicit(&t->chunk[t->used / OBJECT_CHUNK], chunk,
				      memory_order_release);
	}
	o = (struct object *)(chunk + t->used % OBJECT_CHUNK * t->size);
	o->index = t->used++;
	return o;
}

void *object_new(enum pvgpu_handle_type type)
{
	struct object_table *t = &object_tables[type];
	const uint64_t wire = pvgpu_handle_new(session(), type, 0);
	struct object *o;

	if (!wire)
		return NULL;
	pthread_mutex_lock(&t->lock);
	o = slot_take(t);
	pthread_mutex_unlock(&t->lock);
	if (!o) {
		pvgpu_handle_free(session(), wire);
		return NULL;
	}
	memset((char *)o + sizeof(*o), 0, t->size - sizeof(*o));
	o->type = type;
	o->wire = wire;
	o->ctx = NULL;
	o->prev = o->next = NULL;
	return o;
}

void object_publish(struct object *o)
{
	o->last_generation = (o->last_generation + 1) & 0xffffff;
	if (!o->last_generation)
		o->last_generation = 1;
	if (o->ctx && o->type != PVGPU_H_FUNCTION) {
		pthread_mutex_lock(&o->ctx->lock);
		o->next = o->ctx->objects;
		if (o->next)
			o->next->prev = o;
		o->ctx->objects = o;
		pthread_mutex_unlock(&o->ctx->lock);
	}
	atomic_store_explicit(&o->generation, o->last_generation, memory_order_release);
}

bool object_retire(struct object *o)
{
	struct ctx *c = o->ctx;

	if (!atomic_exchange_explicit(&o->generation, 0, memory_order_acq_rel))
		return false;
	if (!c || o->type == PVGPU_H_FUNCTION)
		return true;
	pthread_mutex_lock(&c->lock);
	if (o->next)
		o->next->prev = o->prev;
	if (o->prev)
		o->prev->next = o->next;
	else if (c->objects == o)
		c->objects = o->next;
	o->prev = o->next = NULL;
	pthread_mutex_unlock(&c->lock);
	return true;
}

void object_free(struct object *o)
{
	struct object_table *t = &object_tables[o->type];

	if (o->wire)
		pvgpu_handle_free(session(), o->wire);
	o->wire = 0;
	pthread_mutex_lock(&t->lock);
	o->free_next = t->free;
	t->free = o;
	pthread_mutex_unlock(&t->lock);
}
