/* SPDX-License-Identifier: MIT */
/*
 * xenstore in memory: a test that links fake_xenstore.c gets these functions of libxenstore from
 * it. Who asks is dom0. Transactions are a copy of everything; a watch fires as xenstored's do.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* Empty, with neither watches nor script. */
void fake_reset(void);
/* As the toolstack, outside of any transaction; parents come by themselves. */
void fake_set(const char *path, const char *value);
void fake_remove(const char *path);
/* NULL if there is none; valid until the next change. */
const char *fake_get(const char *path);
/* "n0,r3", as the node's first owner. */
const char *fake_perms(const char *path);
void fake_chmod(const char *path, const char *perms);
/* Fires a special watch such as "@releaseDomain". */
void fake_fire(const char *path);
/* Everything as xenstore-ls -fp prints it; allocated. */
char *fake_dump(void);
size_t fake_nodes(void);
/* How often xenstored was asked for something, since the last call. */
unsigned int fake_requests(void);
/* The next commits find that somebody else was in between. */
void fake_conflicts(unsigned int n);
/* Called whenever somebody looks for events and there is none: the other ends. */
void fake_script(void (*step)(void));
/* Permissions of special watches can be set and not read, as with xenstored 4.17. */
void fake_mute(void);
/* xs_open fails with this errno, or works. */
void fake_absent(int err);
/* Names of domains: /local/domain/N with name, vm and what a vGPU needs of a guest. */
void fake_domain(unsigned int domid, const char *name, const char *uuid);
void fake_domain_gone(unsigned int domid);

#endif
