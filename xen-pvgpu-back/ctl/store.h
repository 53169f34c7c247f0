/* SPDX-License-Identifier: MIT */
/*
 * xenstore, as the operator's tools use it: the only part of them that knows libxenstore.
 *
 * A function that can fail returns 0 or a negative errno. Values are bytes of others: they are
 * copied, have a length, and a NUL behind them; text for people goes through store_printable.
 */
#ifndef PVGPU_CTL_STORE_H
#define PVGPU_CTL_STORE_H

#include "pvgpu_keys.h"

#define STORE_PATH 192 /* bytes of the longest path that is used here */

struct xs_handle;

struct store {
	struct xs_handle *xs;
	uint32_t t; /* the transaction that is under way, or 0 */
};

/* -ENOENT: this machine has no xenstore; -EACCES: it is not this domain's to manage. */
int store_open(struct store *s);
void store_close(struct store *s);

/* Allocated; NULL with errno, which is ENOENT where there is no such key. */
char *store_read(struct store *s, const char *path, size_t *len);
/* The same into a buffer, with what cannot be printed replaced; empty when there is no such key. */
bool store_text(struct store *s, const char *path, char *buf, size_t cap);
bool store_exists(struct store *s, const char *path);
int store_write(struct store *s, const char *path, const char *value);
int store_remove(struct store *s, const char *path);

/* Children of a node: none, too, when there is no such node. */
struct names {
	char **v;
	unsigned int n;
};
int store_list(struct store *s, const char *path, struct names *out);
void names_free(struct names *n);
/* The numbers, in order, up to max, among the children: domains, or vGPUs. Allocated. */
int store_numbers(struct store *s, const char *path, uint32_t max, uint32_t **out, size_t *n);

/* A key of the description: allocated text, NULL if it is missing. */
char *store_key(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids, size_t *len);
/* Written with the permissions that the description gives it. */
int store_put(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value);
/* A new one, in a directory whose permissions are the key's: it is made with those. */
int store_add(struct store *s, enum pvgpu_key_id key, const struct pvgpu_ids *ids,
	      const char *value);
/* A directory with permissions such as "n3,r0". */
int store_directory(struct store *s, const char *path, const char *perms);
/* removed: there is none any more. */
int store_remove_if_empty(struct store *s, const char *path, bool *removed);
/* Let domains hear of a special event ("@releaseDomain"), beside those that may already and for
 * which gone() is false. */
int store_let_hear(struct store *s, const char *event, const uint32_t *domids, size_t n,
		   bool (*gone)(void *arg, uint32_t domid), void *arg);

/*
 * All of the work happens, or nothing: it is done again when another writer was in between.
 * -EAGAIN when that went on too long.
 */
typedef int store_work(struct store *s, void *arg);
int store_atomically(struct store *s, store_work *work, void *arg);

int store_watch(struct store *s, const char *path, const char *token);
void store_unwatch(struct store *s, const char *path, const char *token);
/* Readable when store_event has something to say. */
int store_fd(struct store *s);
/* Has a watch fired? Forgets it; false when none has. */
bool store_event(struct store *s);

/* What cannot be printed becomes '?'. */
void store_printable(char *text);

#endif
