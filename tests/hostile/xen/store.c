/* SPDX-License-Identifier: MIT */
/* Xenstore through the kernel's device: requests and answers of xs_wire.h, one at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include "tests/hostile/xen/front.h"

static int bus = -1;

void store_open(void)
{
	bus = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
	if (bus < 0)
		die("/dev/xen/xenbus: %s", strerror(errno));
}

static void take(void *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		const ssize_t n = read(bus, (char *)to + at, len - at);

		if (n <= 0)
			die("xenstore does not answer: %s", strerror(errno));
		at += (size_t)n;
	}
}

static int error_of(const char *name)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, name))
			return xsd_errors[i].errnum;
	return EINVAL;
}

/* The answer's payload in reply, NUL-terminated: its length, or -errno. */
static int talk(uint32_t type, uint32_t tx, const void *body, size_t len, char *reply, size_t cap)
{
	static char sent[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
	static char got[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg h = {.type = type, .tx_id = tx, .len = (uint32_t)len};

	if (len > XENSTORE_PAYLOAD_MAX)
		die("xenstore: a request of %zu bytes", len);
	memcpy(sent, &h, sizeof(h));
	memcpy(sent + sizeof(h), body, len);
	if (write(bus, sent, sizeof(h) + len) != (ssize_t)(sizeof(h) + len))
		return -errno;
	take(&h, sizeof(h));
	if (h.len > XENSTORE_PAYLOAD_MAX)
		die("xenstore: an answer of %u bytes", h.len);
	take(got, h.len);
	got[h.len] = '\0';
	if (h.type == XS_ERROR)
		return -error_of(got);
	if (reply)
		snprintf(reply, cap, "%s", got);
	return (int)h.len;
}

int store_read(const char *path, char *buf, size_t cap)
{
	return talk(XS_READ, 0, path, strlen(path) + 1, buf, cap);
}

/* A path with its NUL and a value behind it. */
static int talk_about(uint32_t type, uint32_t tx, const char *path, const void *value, size_t len)
{
	char body[XENSTORE_PAYLOAD_MAX];
	const size_t n = strlen(path) + 1;
	int r;

	if (n + len > sizeof(body))
		return -E2BIG;
	memcpy(body, path, n);
	memcpy(body + n, value, len);
	r = talk(type, tx, body, n + len, NULL, 0);
	return r < 0 ? r : 0;
}

int store_write(uint32_t tx, const char *path, const void *value, size_t len)
{
	return talk_about(XS_WRITE, tx, path, value, len);
}

int store_permit(const char *path, const char *perms, size_t len)
{
	return talk_about(XS_SET_PERMS, 0, path, perms, len);
}

int store_remove(uint32_t tx, const char *path)
{
	return talk_about(XS_RM, tx, path, "", 0);
}

uint32_t store_begin(void)
{
	char number[16];
	unsigned int tx;

	if (talk(XS_TRANSACTION_START, 0, "", 1, number, sizeof(number)) < 0 ||
	    sscanf(number, "%u", &tx) != 1)
		die("xenstore: no transaction");
	return tx;
}

bool store_end(uint32_t tx)
{
	const int r = talk(XS_TRANSACTION_END, tx, "T", 2, NULL, 0);

	if (r < 0 && r != -EAGAIN)
		die("xenstore: the transaction: %s", strerror(-r));
	return r >= 0;
}
