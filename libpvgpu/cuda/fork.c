/* SPDX-License-Identifier: MIT */
/*
 * fork(): the session's memory and threads are the parent's alone. The child drops what it
 * inherited. When the parent had called cuInit(), CUDA is over for the child and every call answers
 * CUDA_ERROR_NOT_INITIALIZED; when not, the child may use CUDA as any process.
 */
#include "guest.h"

/* Not freed: other threads of the parent may have been in the middle of changing it. Kept in sight,
 * so that a leak checker does not take it for lost. */
static struct pvgpu_session *volatile inherited;

static void child(void)
{
	struct pvgpu_session *s = init_fork_child();

	init_fork_unlock();
	if (!s)
		return;
	/* The child's copy of this thread must not give the parent's streams back at its end. */
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
