/* SPDX-License-Identifier: MIT */
/* Waits for the effect of an attach or detach, and explains why it does not come. */
#ifndef PVGPU_CTL_AWAIT_H
#define PVGPU_CTL_AWAIT_H

#include "xen-pvgpu-back/toolstack/vgpus.h"

enum await_goal { AWAIT_CONNECTED, AWAIT_CLOSED };
enum await_end {
	AWAIT_DONE,
	AWAIT_REFUSED, /* one end closed the vGPU instead of connecting */
	AWAIT_GONE,    /* directories or domains have vanished */
	AWAIT_TIMEOUT,
	AWAIT_FAILED, /* xenstore does not answer */
};

/* Called with every change of state. */
typedef void await_progress(void *arg, const struct vgpu *v);

/* *last: the vGPU as read last. limit_s below 0: no limit. For AWAIT_CLOSED the guest has some
 * seconds to close its end after the backend's; then the wait ends as done. */
enum await_end await_vgpu(struct store *s, const struct pvgpu_ids *ids, enum await_goal goal,
			  double limit_s, await_progress *progress, void *arg, struct vgpu *last);
/* Explains which end has not acted, its state, and what to do. */
void await_explain(struct store *s, const struct domains *d, const struct vgpu *v,
		   enum await_goal goal, char *buf, size_t cap);

/* Waits until xenstore has an event (true) or until `end` (false), a time of await_now; below 0: no
 * limit. */
bool await_event(struct store *s, double end);
double await_now(void);

#endif
