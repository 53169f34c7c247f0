/* SPDX-License-Identifier: MIT */
/* The library's data of each thread. */
#include "cuda/core/above.h"
#include "cuda/core/thread.h"

#include <pthread.h>
#include <stdlib.h>

_Thread_local struct thread self;

static pthread_key_t end_key;
static bool have_key;

static void thread_end(void *arg)
{
	struct thread *t = arg;

	stream_thread_end(t);
	free(t->stream);
	free(t->below);
	t->stream = NULL;
	t->below = NULL;
	t->streams_room = t->room = t->depth = 0;
	t->current.ctx = NULL;
	t->registered = false;
}

static void make_key(void)
{
	/* Without a key, the data of ended threads stays until the process ends. */
	have_key = !pthread_key_create(&end_key, thread_end);
}

void thread_register(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (self.registered)
		return;
	pthread_once(&once, make_key);
	if (have_key)
		pthread_setspecific(end_key, &self);
	self.registered = true;
}
