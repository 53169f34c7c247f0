/* SPDX-License-Identifier: MIT */
/*
 * fork(): the session's memory and threads are the parent's alone. The child drops what it
 * inherited; its CUDA calls answer CUDA_ERROR_NOT_INITIALIZED. A child of a process that had not
 * called CUDA yet may use it as any process.
 */
#include "guest.h"

static void child(void)
{
	struct pvgpu_session *s = init_fork_child();

	if (!s)
		return;
	/* The child's copy of this thread must not give the parent's streams back at its end. */
	self.streams = 0;
	self.depth = 0;
	self.current.ctx = NULL;
	pvgpu_session_abandon(s);
}

void fork_watch(void)
{
	static bool watched; /* under init.c's lock */

	if (!watched)
		watched = !pthread_atfork(NULL, NULL, child);
}
