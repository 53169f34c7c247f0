/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "xen-pvgpu-back/contract/log.h"

#define TRIES 32 /* of a transaction that conflicts with other writers */
#define TOKEN "pvgpu"

/* An empty key stands for the directory itself. */
static int join(char path[2 * XENBUS_PATH], const char *dir, const char *key)
{
	int n = snprintf(path, 2 * XENBUS_PATH, "%s%s%s", dir, key[0] ? "/" : "", key);

	return n > 0 && n < 2 * XENBUS_PATH ? 0 : -ENAMETOOLONG;
}

static int failed(void)
{
	return errno ? -errno : -EIO;
}

int xenbus_read(struct xenbus *b, const char *dir, const char *key, char **text, size_t *len)
{
	char path[2 * XENBUS_PATH];
	unsigned int n = 0;
	int err = join(path, dir, key);

	*text = err ? NULL : xs_read(b->xs, XBT_NULL, path, &n);
	*len = n;
	return err ? err : *text ? 0 : failed();
}

int xenbus_list(struct xenbus *b, const char *dir, char ***names, unsigned int *n)
{
	*n = 0;
	*names = xs_directory(b->xs, XBT_NULL, dir, n);
	return *names ? 0 : failed();
}

bool xenbus_exists(struct xenbus *b, const char *path)
{
	unsigned int n;
	void *text = xs_read(b->xs, XBT_NULL, path, &n);

	free(text);
	return text || errno != ENOENT;
}

static int put_once(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *there,
		    const struct xenbus_write *w, unsigned int n)
{
	char path[2 * XENBUS_PATH];
	unsigned int len;
	void *text;
	int err = join(path, dir, there);

	text = err ? NULL : xs_read(xs, t, path, &len);
	if (!text)
		return err ? err : failed();
	free(text);
	for (unsigned int i = 0; i < n; i++) {
		bool ok;

		err = join(path, dir, w[i].key);
		if (err)
			return err;
		ok = w[i].text ? xs_write(xs, t, path, w[i].text, (unsigned int)strlen(w[i].text))
			       : xs_rm(xs, t, path) || errno == ENOENT;
		if (!ok)
			return failed();
	}
	return 0;
}

static int put_by(struct xs_handle *xs, const char *dir, const char *there,
		  const struct xenbus_write *w, unsigned int n)
{
	for (int i = 0; i < TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(xs);
		int err;

		if (t == XBT_NULL)
			return failed();
		err = put_once(xs, t, dir, there, w, n);
		if (xs_transaction_end(xs, t, err != 0) || err)
			return err;
		if (errno != EAGAIN)
			return failed();
	}
	return -EAGAIN;
}

int xenbus_put(struct xenbus *b, const char *dir, const char *there, const struct xenbus_write *w,
	       unsigned int n)
{
	return put_by(b->xs, dir, there, w, n);
}

int xenbus_put_often(struct xenbus *b, const char *dir, const char *there,
		     const struct xenbus_write *w, unsigned int n)
{
	return put_by(b->often ? b->often : b->xs, dir, there, w, n);
}

/* Cuts the last part of path in place. False: what is left is not ours to remove. Outside dom0 that
 * is all that dom0 has made directly below the domain's own directory, where we can make nothing.
 */
static bool go_up(const struct xenbus *b, char *path)
{
	char *slash = strrchr(path, '/');
	char own[XENBUS_PATH];

	if (!slash)
		return false;
	*slash = '\0';
	snprintf(own, sizeof(own), "/local/domain/%u", b->domid);
	if (strlen(path) <= strlen(own))
		return false;
	return !b->domid || strchr(path + strlen(own) + 1, '/');
}

void xenbus_remove(struct xenbus *b, const char *path)
{
	for (int i = 0; i < TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(b->xs);
		char at[XENBUS_PATH];
		char **names;
		unsigned int n = 0;

		if (t == XBT_NULL)
			return;
		snprintf(at, sizeof(at), "%s", path);
		if (!xs_rm(b->xs, t, at) && errno != ENOENT) {
			log_debug("xenstore: cannot remove %s: %s", at, strerror(errno));
			xs_transaction_end(b->xs, t, true);
			return;
		}
		while (go_up(b, at)) {
			names = xs_directory(b->xs, t, at, &n);
			free(names);
			if (names ? n > 0 : errno != ENOENT)
				break;
			if (names && !xs_rm(b->xs, t, at))
				break;
		}
		if (xs_transaction_end(b->xs, t, false) || errno != EAGAIN)
			return;
	}
}

bool xenbus_watch(struct xenbus *b, const char *path, bool on)
{
	return on ? xs_watch(b->xs, path, TOKEN) : xs_unwatch(b->xs, path, TOKEN);
}
