/* SPDX-License-Identifier: MIT */
/* Which link a process uses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/link.h"
#include "link/local.h"

bool pvgpu_link_debug(void)
{
	const char *env = secure_getenv("PVGPU_DEBUG");

	return env && *env && *env != '0';
}

void pvgpu_link_explain(int err, const char *what, const char reason[PVGPU_LINK_REASON])
{
	static bool said;
	const char *env = secure_getenv("PVGPU_DEBUG");
	char text[PVGPU_LINK_REASON];

	if (!pvgpu_link_debug() && ((err != -EPERM && err != -EREMOTEIO) || (env && *env == '0') ||
				    __atomic_exchange_n(&said, true, __ATOMIC_RELAXED)))
		return;
	/* The backend's words are not trusted to be text for a terminal. */
	snprintf(text, sizeof(text), "%s", reason);
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	fprintf(stderr, "pvgpu: %s: %s\n", what, text);
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
