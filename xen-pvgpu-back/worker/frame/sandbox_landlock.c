/* SPDX-License-Identifier: MIT */
/*
 * A second lock on what the empty root and the filter shut, of the decoding thread and those that
 * it starts; the far end's own are not bound.
 */
#include "xen-pvgpu-back/confine/confine.h"
#include "xen-pvgpu-back/confine/landlock.h"

#include <errno.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/frame/sandbox.h"

static int allow(const char *path, void *arg)
{
	return landlock_allow(arg, path, true);
}

int sandbox_landlock_rules(const struct sandbox *s)
{
	struct landlock l;

	if (landlock_open(&l) < 0)
		return -1;
	if (confine_each_file(s->files, allow, &l) == 0)
		return l.fd;
	close(l.fd);
	return -1;
}

int sandbox_landlock(int rules)
{
	struct landlock l = {.fd = rules};

	return landlock_close(&l);
}
