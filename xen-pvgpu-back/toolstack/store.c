/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

#define TRIES     200 /* of a transaction that conflicts with other writers */
#define PERMS_MAX 64
#define TEXT_MAX  2048

static int bad(bool ok)
{
	return ok ? 0 : errno ? -errno : -EIO;
}

double store_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int store_open(struct store *s)
{
	struct names n;
	int err;

	*s = (struct store){.xs = xs_open(0)};
	if (!s->xs)
		return -ENOENT;
	/* Every guest can open xenstore, but only dom0 may list it. */
	err = store_list(s, "/local/domain", &n);
	if (err) {
		store_close(s);
		return err;
	}
	names_free(&n);
	return 0;
}

void store_close(struct store *s)
{
	if (s->xs)
		xs_close(s->xs);
	s->xs = NULL;
}

char *store_read(struct store *s, const char *path, size_t *len)
{
	unsigned int n = 0;
	char *text = xs_read(s->xs, s->t, path, &n);

	*len = n;
	return text;
}

void store_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

bool store_text(struct store *s, const char *path, char *buf, size_t cap)
{
	size_t len;
	char *text = store_read(s, path, &len);

	buf[0] = '\0';
	if (!text)
		return false;
	snprintf(buf, cap, "%s", text);
	store_printable(buf);
	free(text);
	return true;
}

bool store_exists(struct store *s, const char *path)
{
	size_t len;
	char *text = store_read(s, path, &len);
	bool there = text;

	free(text);
	return there;
}

int store_write(struct store *s, const char *path, const char *value)
{
	return bad(xs_write(s->xs, s->t, path, value, (unsigned int)strlen(value)));
}

int store_remove(struct store *s, const char *path)
{
	int err = bad(xs_rm(s->xs, s->t, path));

	return err == -ENOENT ? 0 : err;
}

int store_list(struct store *s, const char *path, struct names *out)
{
	*out = (struct names){0};
	out->v = xs_directory(s->xs, s->t, path, &out->n);
	if (out->v)
		return 0;
	out->n = 0;
	return errno == ENOENT ? 0 : bad(false);
}

void names_free(struct names *n)
{
	free(n->v); /* one allocation holds the names too */
	*n = (struct names){0};
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A number in the form that xenstore's paths use: plain decimal. */
static bool number(const char *s, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	size_t n = strlen(s);

	if (!n || n > 9 || (s[0] == '0' && n > 1))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = 10 * v + (uint64_t)(s[i] - '0');
	}
	*out = (uint32_t)v;
	return v <= max;
}

int store_numbers(struct store *s, const char *path, uint32_t max, uint32_t **out, size_t *n)
{
	struct names names;
	int err = store_list(s, path, &names);

	*out = NULL;
	*n = 0;
	if (err)
		return err;
	*out = calloc(names.n ? names.n : 1, sizeof(**out));
	if (!*out) {
		names_free(&names);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < names.n; i++)
		if (number(names.v[i], max, &(*out)[*n]))
			++*n;
	names_free(&names);
	qsort(*out, *n, sizeof(**out), by_number);
	return 0;
}

static int key_path(enum pvgpu_key_id key, const struct pvgpu_ids *ids, char path[STORE_PATH])
{
	return pvgpu_tree_path(pvgpu_keys[key].tree, ids, pvgpu_keys[key].name, path, STORE_PATH);
}

char *store_key(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids, size_t *len)
{
	char path[STORE_PATH];

	*len = 0;
	return key_path(key, ids, path) ? NULL : store_read(s, path, len);
}

/* Parses "n3,r0" for libxenstore; returns the number of entries. */
static unsigned int parse_perms(const char *text, struct xs_permissions *p)
{
	unsigned int n = 0;

	while (n < PERMS_MAX && (*text == 'n' || *text == 'r')) {
		char *end;

		p[n].perms = *text == 'r' ? XS_PERM_READ : XS_PERM_NONE;
		p[n++].id = (unsigned int)strtoul(text + 1, &end, 10);
		text = *end == ',' ? end + 1 : end;
	}
	return n;
}

static int set_perms(struct store *s, const char *path, const char *perms)
{
	struct xs_permissions p[PERMS_MAX];

	return bad(xs_set_permissions(s->xs, s->t, path, p, parse_perms(perms, p)));
}

int store_put(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value)
{
	char path[STORE_PATH], perms[64];
	int err = key_path(key, ids, path);

	if (!err)
		err = pvgpu_key_perms(&pvgpu_keys[key], ids, perms, sizeof(perms));
	if (!err)
		err = store_write(s, path, value);
	return err ? err : set_perms(s, path, perms);
}

int store_add(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value)
{
	char path[STORE_PATH];
	int err = key_path(key, ids, path);

	return err ? err : store_write(s, path, value);
}

int store_directory(struct store *s, const char *path, const char *perms)
{
	int err = bad(xs_mkdir(s->xs, s->t, path));

	return err ? err : set_perms(s, path, perms);
}

int store_remove_if_empty(struct store *s, const char *path, bool *removed)
{
	struct names n;
	int err = store_list(s, path, &n);

	*removed = false;
	if (err)
		return err;
	*removed = !n.n;
	err = n.n ? 0 : store_remove(s, path);
	names_free(&n);
	return err;
}

static bool among(const struct xs_permissions *p, unsigned int n, uint32_t domid)
{
	for (unsigned int i = 0; i < n; i++)
		if (p[i].id == domid)
			return true;
	return false;
}

int store_let_hear(struct store *s, const char *event, const uint32_t *domids, size_t n_domids,
		   bool (*gone)(void *arg, uint32_t domid), void *arg)
{
	struct xs_permissions p[PERMS_MAX] = {{.id = 0, .perms = XS_PERM_NONE}}, *old;
	unsigned int n_old = 0, n = 1;

	/* xenstored 4.17 can set these permissions but not read them; then only the new ones are
	 * set. */
	old = xs_get_permissions(s->xs, 0, event, &n_old);
	for (unsigned int i = 1; old && i < n_old && n < PERMS_MAX; i++)
		if (!among(p, n, old[i].id) && !gone(arg, old[i].id))
			p[n++] = old[i];
	free(old);
	for (size_t i = 0; i < n_domids && n < PERMS_MAX; i++)
		if (!among(p, n, domids[i]))
			p[n++] = (struct xs_permissions){.id = domids[i], .perms = XS_PERM_READ};
	return bad(xs_set_permissions(s->xs, 0, event, p, n));
}

int store_try(struct store *s, store_work *work, void *arg, int tries)
{
	for (int i = 0; i < tries; i++) {
		int err;

		s->t = xs_transaction_start(s->xs);
		if (!s->t)
			return bad(false);
		err = work(s, arg);
		if (xs_transaction_end(s->xs, s->t, err != 0)) {
			s->t = 0;
			return err;
		}
		s->t = 0;
		if (err)
			return err;
		if (errno != EAGAIN)
			return bad(false);
		if (s->until > 0 && store_now() >= s->until)
			return -ETIMEDOUT;
	}
	return -EAGAIN;
}

int store_atomically(struct store *s, store_work *work, void *arg)
{
	return store_try(s, work, arg, TRIES);
}

int store_watch(struct store *s, const char *path, const char *token)
{
	return bad(xs_watch(s->xs, path, token));
}

void store_unwatch(struct store *s, const char *path, const char *token)
{
	xs_unwatch(s->xs, path, token);
}

int store_fd(struct store *s)
{
	return xs_fileno(s->xs);
}

bool store_event_path(struct store *s, char path[STORE_PATH])
{
	char **event = xs_check_watch(s->xs);
	bool fired = event;

	path[0] = '\0';
	if (event && strlen(event[XS_WATCH_PATH]) < STORE_PATH)
		strcpy(path, event[XS_WATCH_PATH]);
	free(event);
	return fired;
}

bool store_event(struct store *s)
{
	char path[STORE_PATH];

	return store_event_path(s, path);
}
