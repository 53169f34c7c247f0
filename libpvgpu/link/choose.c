/* SPDX-License-Identifier: MIT */
/* Which link a process uses. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/link.h"
#include "link/local.h"

bool pvgpu_link_debug(void)
{
	const char *env = secure_getenv("PVGPU_DEBUG");

	return env && *env && *env != '0';
}

/* A set-user-id program ignores the backend that its caller names. */
static const char *named(const char *variable)
{
	const char *path = secure_getenv(variable);

	return path && *path ? path : NULL;
}

bool pvgpu_link_named(const char **path)
{
	const char *socket = named("PVGPU_SOCKET"), *device = named("PVGPU_DEVICE");

	if (!socket && !device && !access(PVGPU_DEFAULT_DEVICE, F_OK))
		device = PVGPU_DEFAULT_DEVICE;
	*path = socket ? socket : device ? device : PVGPU_DEFAULT_SOCKET;
	return !socket && device;
}

int pvgpu_link_open(struct pvgpu_link **out, char reason[PVGPU_LINK_REASON])
{
	const char *socket = named("PVGPU_SOCKET"), *device = named("PVGPU_DEVICE");
	const bool debug = pvgpu_link_debug();
	int err;

	if (socket)
		return pvgpu_link_open_local(socket, out, reason);
	if (device)
		return pvgpu_link_open_device(device, debug, out, reason);
	err = pvgpu_link_open_device(PVGPU_DEFAULT_DEVICE, debug, out, reason);
	if (err != -ENOENT)
		return err;
	return pvgpu_link_open_local(PVGPU_DEFAULT_SOCKET, out, reason);
}
