/* SPDX-License-Identifier: MIT */
/* Preloaded into pvgpu-attachd: its event loop has been taken over, and tries to get out when the
 * sandbox is closed. */
#include <dlfcn.h>
#include <ev.h>

#include "tests/hostile/ways_out.h"

__attribute__((visibility("default"))) int ev_run(struct ev_loop *loop, int flags)
{
	int (*own)(struct ev_loop *, int) =
		(int (*)(struct ev_loop *, int))dlsym(RTLD_NEXT, "ev_run");

	ways_out_try();
	return own(loop, flags);
}
