/* SPDX-License-Identifier: MIT */
/*
 * A thread that is cancelled (pthread_cancel) must not end inside this library: it would leave
 * locks held and a message half sent. Code that may reach a cancellation point (close, open,
 * printf) is enclosed in:
 *
 *	const int cancel = pvgpu_cancel_off();
 *	...
 *	pvgpu_cancel_back(cancel);
 */
#ifndef PVGPU_LINK_CANCEL_H
#define PVGPU_LINK_CANCEL_H

#include <pthread.h>

static inline int pvgpu_cancel_off(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static inline void pvgpu_cancel_back(int state)
{
	pthread_setcancelstate(state, NULL);
}

#endif
