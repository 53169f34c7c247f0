/* SPDX-License-Identifier: MIT */
/* Waiting for what an attach or detach has caused, and saying why it does not come. */
#ifndef PVGPU_CTL_AWAIT_H
#define PVGPU_CTL_AWAIT_H

#include "xen-pvgpu-back/ctl/vgpus.h"

enum await_goal { AWAIT_CONNECTED, AWAIT_CLOSED };
enum await_end {
	AWAIT_DONE,
	AWAIT_REFUSED, /* one end has closed what should have connected */
	AWAIT_GONE,    /* directories or domains have vanished */
	AWAIT_TIMEOUT,
	AWAIT_FAILED, /* xenstore does not answer */
};

/* Called with every change of state. */
typedef void await_progress(void *arg, const struct vgpu *v);

/* *last is what was there in the end. limit_s below 0: without a limit. A guest has some seconds to
 * close its end after the backend's, and then it is done all the same. */
enum await_end await_vgpu(struct store *s, const struct pvgpu_ids *ids, enum await_goal goal,
			  double limit_s, await_progress *progress, void *arg, struct vgpu *last);
/* Who is at it, in which state, and what to do. */
void await_explain(struct store *s, const struct domains *d, const struct vgpu *v,
		   enum await_goal goal, char *buf, size_t cap);

/* Until xenstore has an event or the time is over; false: it is over. Time as of await_now. */
bool await_event(struct store *s, double end);
double await_now(void);

#endif
