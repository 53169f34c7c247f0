/* SPDX-License-Identifier: MIT */
#include "tests/unit/keys/fake_xenstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenstore.h>

#define NODES   4096
#define WATCHES 1024
#define EVENTS  4096
#define VALUE   2048

struct node {
	char path[200];
	char *value;
	size_t len;
	uint32_t hash; /* of its path */
	char perms[128];
};

struct tree {
	struct node v[NODES];
	size_t n;
};

struct xs_handle {
	int fd;
};

static struct tree base, copy;
static struct xs_handle handle = {-1};
static struct {
	char path[200], token[200];
} watches[WATCHES], events[EVENTS];
static size_t n_watches, n_events;
static unsigned int conflicts, changes, requests;
static bool in_transaction, waiting, mute, hung_up;
static int absent;
static void (*script)(void), (*at_start)(void), (*at_end)(void);
static const char *writer; /* who writes here makes transactions conflict */
static bool met;           /* the transaction has touched it */

static struct tree *tree_of(xs_transaction_t t)
{
	return t ? &copy : &base;
}

static bool below(const char *parent, const char *path);

static void touch(xs_transaction_t t, const char *path)
{
	met |= t && writer && below(writer, path);
}

static void clear(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].value);
	t->n = 0;
}

static uint32_t hash_of(const char *path)
{
	uint32_t h = 2166136261u;

	while (*path)
		h = (h ^ (unsigned char)*path++) * 16777619u;
	return h;
}

static struct node *find(struct tree *t, const char *path)
{
	uint32_t hash = hash_of(path);

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].hash == hash && !strcmp(t->v[i].path, path))
			return &t->v[i];
	return NULL;
}

static bool below(const char *parent, const char *path)
{
	size_t n = strlen(parent);

	return !strncmp(parent, path, n) && (path[n] == '/' || !path[n] || n == 1);
}

static void push(const char *path, const char *token)
{
	if (n_events == EVENTS)
		abort();
	snprintf(events[n_events].path, sizeof(events[0].path), "%s", path);
	snprintf(events[n_events++].token, sizeof(events[0].token), "%s", token);
	eventfd_write(handle.fd, 1);
}

void fake_fire(const char *path)
{
	for (size_t i = 0; i < n_watches; i++)
		if (path[0] == '@' ? !strcmp(watches[i].path, path) : below(watches[i].path, path))
			push(path, watches[i].token);
}

/* A node that is removed with its parent fires only watches on the node itself. */
static void fire_removed(const char *path, const char *top)
{
	for (size_t i = 0; i < n_watches; i++)
		if (!strcmp(path, top) ? below(watches[i].path, path)
				       : !strcmp(watches[i].path, path))
			push(path, watches[i].token);
}

/* A node with its parents; new ones inherit their parent's permissions. */
static struct node *make(struct tree *t, const char *path)
{
	struct node *n = find(t, path), *above = NULL;
	char parent[200];
	char *slash;

	if (n)
		return n;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		above = make(t, parent);
	}
	if (t->n == NODES)
		abort();
	n = &t->v[t->n++];
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->hash = hash_of(n->path);
	n->value = strdup("");
	n->len = 0;
	snprintf(n->perms, sizeof(n->perms), "%s", above ? above->perms : "n0");
	return n;
}

static void put(struct tree *t, const char *path, const void *data, size_t len)
{
	struct node *n = make(t, path);

	free(n->value);
	n->value = malloc(len + 1);
	memcpy(n->value, data, len);
	n->value[len] = '\0';
	n->len = len;
}

static bool drop(struct tree *t, const char *path)
{
	size_t left = 0;
	bool found = find(t, path);

	for (size_t i = 0; i < t->n; i++) {
		if (below(path, t->v[i].path))
			free(t->v[i].value);
		else
			t->v[left++] = t->v[i];
	}
	t->n = left;
	return found;
}

/* ---- the test's end ---- */

void fake_reset(void)
{
	clear(&base);
	clear(&copy);
	n_watches = n_events = conflicts = requests = 0;
	in_transaction = waiting = mute = hung_up = false;
	script = at_start = at_end = NULL;
	writer = NULL;
	absent = 0;
	if (handle.fd >= 0)
		close(handle.fd);
	handle.fd = -1;
	make(&base, "/local/domain");
}

void fake_mute(void)
{
	mute = true;
}

void fake_hang_up(void)
{
	hung_up = true;
}

void fake_absent(int err)
{
	absent = err;
}

void fake_set(const char *path, const char *value)
{
	put(&base, path, value, strlen(value));
	changes++;
	fake_fire(path);
}

void fake_remove(const char *path)
{
	for (size_t i = 0; i < base.n; i++)
		if (below(path, base.v[i].path))
			fire_removed(base.v[i].path, path);
	drop(&base, path);
}

const char *fake_get(const char *path)
{
	struct node *n = find(&base, path);

	return n ? n->value : NULL;
}

const char *fake_perms(const char *path)
{
	struct node *n = find(&base, path);

	return n ? n->perms : NULL;
}

void fake_chmod(const char *path, const char *perms)
{
	snprintf(make(&base, path)->perms, sizeof(base.v[0].perms), "%s", perms);
}

unsigned int fake_requests(void)
{
	unsigned int n = requests;

	requests = 0;
	return n;
}

size_t fake_nodes(void)
{
	return base.n;
}

char *fake_dump(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < base.n; i++)
		if (base.v[i].path[0] == '/')
			fprintf(f, "%s = \"%s\"   (%s)\n", base.v[i].path, base.v[i].value,
				base.v[i].perms);
	fclose(f);
	return text;
}

void fake_writer(const char *path)
{
	writer = path;
}

void fake_conflicts(unsigned int n)
{
	conflicts = n;
}

void fake_script(void (*step)(void))
{
	script = step;
}

void fake_at_start(void (*act)(void))
{
	at_start = act;
}

void fake_at_end(void (*act)(void))
{
	at_end = act;
}

void fake_domain(unsigned int domid, const char *name, const char *uuid)
{
	char path[100], value[100];

	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	fake_set(path, name);
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	snprintf(value, sizeof(value), domid ? "n0,r%u" : "n0", domid);
	fake_chmod(path, value);
	snprintf(path, sizeof(path), "/local/domain/%u/vm", domid);
	snprintf(value, sizeof(value), "/vm/%s", uuid);
	fake_set(path, value);
	snprintf(path, sizeof(path), "/local/domain/%u/device", domid);
	fake_set(path, "");
	fake_fire("@introduceDomain");
}

void fake_domain_gone(unsigned int domid)
{
	char path[100];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	fake_remove(path);
	fake_fire("@releaseDomain");
}

/* ---- libxenstore ---- */

struct xs_handle *xs_open(unsigned long flags)
{
	if (absent) {
		errno = absent;
		return NULL;
	}
	if (handle.fd < 0)
		handle.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return &handle;
}

void xs_close(struct xs_handle *h)
{
	n_watches = n_events = 0;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	struct tree *tree = tree_of(t);
	size_t skip = strlen(path) + 1, room = 0;
	char **out, *at;

	requests++;
	touch(t, path);
	*num = 0;
	if (hung_up || !find(tree, path)) {
		errno = hung_up ? EBADF : ENOENT;
		return NULL;
	}
	for (size_t i = 0; i < tree->n; i++) {
		const char *p = tree->v[i].path;

		if (below(path, p) && strlen(p) > skip && !strchr(p + skip, '/')) {
			++*num;
			room += strlen(p + skip) + 1;
		}
	}
	/* One allocation, as in the real library; never of 0 bytes. */
	out = malloc(*num * sizeof(*out) + room + 1);
	at = (char *)(out + *num);
	*num = 0;
	for (size_t i = 0; i < tree->n; i++) {
		const char *p = tree->v[i].path;

		if (!below(path, p) || strlen(p) <= skip || strchr(p + skip, '/'))
			continue;
		out[(*num)++] = strcpy(at, p + skip);
		at += strlen(at) + 1;
	}
	return out;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	struct node *n = find(tree_of(t), path);
	char *text;

	requests++;
	touch(t, path);
	if (!n || hung_up) {
		errno = n ? EBADF : ENOENT;
		return NULL;
	}
	text = malloc(n->len + 1);
	memcpy(text, n->value, n->len + 1);
	*len = (unsigned int)n->len;
	return text;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len)
{
	requests++;
	touch(t, path);
	if (len > VALUE) {
		errno = ENOSPC;
		return false;
	}
	put(tree_of(t), path, data, len);
	if (!t)
		fake_fire(path);
	return true;
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	requests++;
	touch(t, path);
	make(tree_of(t), path);
	if (!t)
		fake_fire(path);
	return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	requests++;
	touch(t, path);
	if (!find(tree_of(t), path)) {
		errno = ENOENT;
		return false;
	}
	if (t)
		drop(&copy, path);
	else
		fake_remove(path);
	return true;
}

struct xs_permissions *xs_get_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
					  unsigned int *num)
{
	struct node *n = path[0] == '@' ? make(&base, path) : find(tree_of(t), path);
	struct xs_permissions *p;

	requests++;
	if (path[0] == '@' && mute) {
		errno = EINVAL;
		return NULL;
	}
	if (!n) {
		errno = ENOENT;
		return NULL;
	}
	p = calloc(16, sizeof(*p));
	*num = 0;
	for (const char *s = n->perms; *s && *num < 16; s += strcspn(s, ","), s += *s == ',') {
		p[*num].perms = *s == 'r' ? XS_PERM_READ : XS_PERM_NONE;
		p[(*num)++].id = (unsigned int)atoi(s + 1);
	}
	return p;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
			struct xs_permissions *perms, unsigned int num_perms)
{
	struct node *n = path[0] == '@' ? make(&base, path) : find(tree_of(t), path);
	size_t at = 0;

	requests++;
	if (!n || !num_perms) {
		errno = n ? EINVAL : ENOENT;
		return false;
	}
	for (unsigned int i = 0; i < num_perms; i++)
		at += (size_t)snprintf(n->perms + at, sizeof(n->perms) - at, "%s%c%u", i ? "," : "",
				       perms[i].perms & XS_PERM_READ ? 'r' : 'n', perms[i].id);
	if (!t && path[0] != '@')
		fake_fire(path);
	return true;
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	char path[100];

	requests++;
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	return find(&base, path);
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	requests++;
	if (n_watches == WATCHES) {
		errno = E2BIG;
		return false;
	}
	snprintf(watches[n_watches].path, sizeof(watches[0].path), "%s", path);
	snprintf(watches[n_watches++].token, sizeof(watches[0].token), "%s", token);
	push(path, token);
	return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	requests++;
	for (size_t i = 0; i < n_watches; i++) {
		if (strcmp(watches[i].path, path) != 0 || strcmp(watches[i].token, token) != 0)
			continue;
		watches[i] = watches[--n_watches];
		return true;
	}
	errno = ENOENT;
	return false;
}

int xs_fileno(struct xs_handle *h)
{
	return h->fd;
}

char **xs_check_watch(struct xs_handle *h)
{
	unsigned int before;
	char **out;
	size_t n;

	if (hung_up) {
		errno = EINVAL;
		return NULL;
	}
	/* The script runs when the caller waits, not when it takes pending events. */
	if (!n_events && script && !waiting) {
		waiting = true;
		eventfd_write(h->fd, 1);
		errno = EAGAIN;
		return NULL;
	}
	do {
		before = changes;
		if (!n_events && script)
			script();
	} while (!n_events && changes != before);
	waiting = false;
	if (!n_events) {
		eventfd_t ignored;

		eventfd_read(h->fd, &ignored);
		errno = EAGAIN;
		return NULL;
	}
	n = strlen(events[0].path) + 1;
	out = malloc(2 * sizeof(*out) + n + strlen(events[0].token) + 1);
	out[XS_WATCH_PATH] = strcpy((char *)(out + 2), events[0].path);
	out[XS_WATCH_TOKEN] = strcpy((char *)(out + 2) + n, events[0].token);
	memmove(events, events + 1, --n_events * sizeof(events[0]));
	return out;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	requests++;
	if (at_start)
		at_start();
	if (hung_up) {
		errno = EBADF;
		return 0;
	}
	if (in_transaction)
		abort();
	in_transaction = true;
	met = false;
	clear(&copy);
	copy.n = base.n;
	for (size_t i = 0; i < base.n; i++) {
		copy.v[i] = base.v[i];
		copy.v[i].value = malloc(base.v[i].len + 1);
		memcpy(copy.v[i].value, base.v[i].value, base.v[i].len + 1);
	}
	return 1;
}

static void fire_changes(void)
{
	for (size_t i = 0; i < copy.n; i++) {
		struct node *old = find(&base, copy.v[i].path);

		if (!old || old->len != copy.v[i].len ||
		    memcmp(old->value, copy.v[i].value, old->len) != 0)
			fake_fire(copy.v[i].path);
	}
	for (size_t i = 0; i < base.n; i++)
		if (!find(&copy, base.v[i].path))
			fake_fire(base.v[i].path);
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abandon)
{
	struct node *events_perms = find(&base, "@releaseDomain");
	char perms[128] = "";

	requests++;
	in_transaction = false;
	if (abandon)
		return true;
	if (conflicts || met) {
		conflicts -= conflicts > 0;
		errno = EAGAIN;
		return false;
	}
	if (events_perms)
		strcpy(perms, events_perms->perms);
	fire_changes();
	clear(&base);
	base = copy;
	copy.n = 0;
	events_perms = find(&base, "@releaseDomain");
	if (events_perms)
		strcpy(events_perms->perms, perms);
	if (at_end)
		at_end();
	return true;
}
