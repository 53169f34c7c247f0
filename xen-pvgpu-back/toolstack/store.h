/* SPDX-License-Identifier: MIT */
/*
 * xenstore for the operator's tools. No other file of theirs uses libxenstore.
 *
 * A function that can fail returns 0 or a negative errno. Values are bytes from other domains: they
 * are copied, have a length, and a NUL behind them. Text for a terminal goes through
 * store_printable.
 */
#ifndef PVGPU_CTL_STORE_H
#define PVGPU_CTL_STORE_H

#include "pvgpu_keys.h"

#define STORE_PATH 192 /* bytes of the longest path in use */

struct xs_handle;

struct store {
	struct xs_handle *xs;
	uint32_t t;   /* the transaction in progress, or 0 */
	double until; /* no transaction is repeated after this time of store_now(); 0: no limit */
};

double store_now(void); /* seconds of CLOCK_MONOTONIC */

/* -ENOENT: this machine has no xenstore; -EACCES: this domain may not manage it. */
int store_open(struct store *s);
void store_close(struct store *s);

/* Allocated; NULL with errno, ENOENT for a missing key. */
char *store_read(struct store *s, const char *path, size_t *len);
/* The same into a buffer, made printable; empty for a missing key. */
bool store_text(struct store *s, const char *path, char *buf, size_t cap);
bool store_exists(struct store *s, const char *path);
int store_write(struct store *s, const char *path, const char *value);
int store_remove(struct store *s, const char *path);

/* Children of a node; a missing node has none. */
struct names {
	char **v;
	unsigned int n;
};
int store_list(struct store *s, const char *path, struct names *out);
void names_free(struct names *n);
/* The children that are numbers up to max (domains or vGPUs), in order. Allocated. */
int store_numbers(struct store *s, const char *path, uint32_t max, uint32_t **out, size_t *n);

/* A key of the schema: allocated text, NULL if it is missing. */
char *store_key(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids, size_t *len);
/* Written with the permissions that the schema gives it. */
int store_put(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value);
/* A new key in a directory that has the key's permissions, which the key inherits. */
int store_add(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value);
/* A directory with permissions such as "n3,r0". */
int store_directory(struct store *s, const char *path, const char *perms);
/* *removed: the node was removed. */
int store_remove_if_empty(struct store *s, const char *path, bool *removed);
/* Permits domains to watch a special event ("@releaseDomain"), beside the domains that may already
 * and that are not gone(). */
int store_let_hear(struct store *s, const char *event, const uint32_t *domids, size_t n,
		   bool (*gone)(void *arg, uint32_t domid), void *arg);

/*
 * Runs the work in a transaction and repeats it after a conflict with another writer. -EAGAIN: too
 * many conflicts; -ETIMEDOUT: conflicts up to s->until. A guest can make each transaction conflict
 * that reads or writes in its own directory.
 */
typedef int store_work(struct store *s, void *arg);
int store_atomically(struct store *s, store_work *work, void *arg);
/* With so many tries. */
int store_try(struct store *s, store_work *work, void *arg, int tries);

int store_watch(struct store *s, const char *path, const char *token);
void store_unwatch(struct store *s, const char *path, const char *token);
/* Readable when store_event may return true. */
int store_fd(struct store *s);
/* Takes one event of a watch; false: there is none. */
bool store_event(struct store *s);
/* The same with the path that has changed; empty where it is longer than any in use. */
bool store_event_path(struct store *s, char path[STORE_PATH]);

/* Replaces control and non-ASCII characters by '?'. */
void store_printable(char *text);

#endif
