/* SPDX-License-Identifier: MIT */
/*
 * fork(): the session's memory and threads belong to the parent. The child drops its copy. When the
 * parent had called cuInit(), every CUDA call of the child returns CUDA_ERROR_NOT_INITIALIZED. When
 * not, the child may use CUDA like any process.
 */
#include "cuda/core/init.h"
#include "cuda/core/thread.h"

#include <pthread.h>

#include "link/session.h"

/* Not freed: other threads of the parent may have been changing it at the fork. Referenced here, so
 * that a leak checker does not report it. */
static struct pvgpu_session *volatile inherited;

static void child(void)
{
	struct pvgpu_session *s = init_fork_child();

	init_fork_unlock();
	if (!s)
		return;
	/* The streams are the parent's: this thread must not destroy them at its end. */
	self.streams = 0;
	self.in_callback = false;
	self.depth = 0;
	self.current.ctx = NULL;
	inherited = s;
	pvgpu_session_abandon(s);
}

static __attribute__((constructor)) void watch(void)
{
	pthread_atfork(init_fork_lock, init_fork_unlock, child);
}
