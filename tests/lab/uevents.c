/* SPDX-License-Identifier: MIT */
/*
 * A small udev: the kernel reports a new device, and its driver is loaded. Without a process for
 * each message, since processes are slow in the emulator and a guest with a hundred devices has
 * many.
 */
#include "tests/lab/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FROM_KERNEL 1u
#define ROOM        (8 << 20) /* of the socket, for the messages of many devices */

static const char xen[] = "xen:";

static void load(const char *alias)
{
	pid_t pid = fork();

	if (!pid) {
		execlp("modprobe", "modprobe", "-q", alias, NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* The value of a message's variable, NULL if it has none; its strings end with a NUL each. */
static const char *value(const char *text, size_t n, const char *name)
{
	const size_t len = strlen(name);

	for (const char *s = text; s < text + n; s += strlen(s) + 1)
		if (!strncmp(s, name, len) && s[len] == '=')
			return s + len + 1;
	return NULL;
}

static void take(const char *text, size_t n)
{
	const char *action = value(text, n, "ACTION"), *alias = value(text, n, "MODALIAS");
	char module[256];

	if (!action || !alias || strcmp(action, "add") != 0 ||
	    strncmp(alias, xen, sizeof(xen) - 1) != 0)
		return;
	snprintf(module, sizeof(module), "/sys/module/%s", alias + sizeof(xen) - 1);
	if (access(module, F_OK) < 0)
		load(alias);
}

int serve_uevents(void)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = FROM_KERNEL};
	int s = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT), room = ROOM;
	static char text[16384];

	if (s >= 0)
		setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (s < 0 || bind(s, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		perror("lab-agent: no messages of the kernel's");
		return 1;
	}
	for (;;) {
		ssize_t n = recv(s, text, sizeof(text) - 1, 0);

		if (n < 0 && errno != EINTR && errno != ENOBUFS) {
			perror("lab-agent: messages of the kernel's");
			return 1;
		}
		if (n > 0) {
			text[n] = '\0';
			take(text, (size_t)n);
		}
	}
}
