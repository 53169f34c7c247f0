/* SPDX-License-Identifier: MIT */
/*
 * xenstore in memory: fake_xenstore.c replaces libxenstore in a test that links it. The caller is
 * dom0. A transaction works on a copy of the store. Watches fire under xenstored's rules.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* Empty, with neither watches nor script. */
void fake_reset(void);
/* Changes by the toolstack, outside of any transaction; parents are created. */
void fake_set(const char *path, const char *value);
void fake_remove(const char *path);
/* NULL if there is none; valid until the next change. */
const char *fake_get(const char *path);
/* "n0,r3", as the node's first owner. */
const char *fake_perms(const char *path);
void fake_chmod(const char *path, const char *perms);
/* Fires a special watch such as "@releaseDomain". */
void fake_fire(const char *path);
/* The whole store in the format of xenstore-ls -fp; allocated. */
char *fake_dump(void);
size_t fake_nodes(void);
/* Number of requests to xenstored since the last call. */
unsigned int fake_requests(void);
/* The next n commits fail with EAGAIN, as after a conflicting change. */
void fake_conflicts(unsigned int n);
/* Commits that have touched this path or what is below it fail with EAGAIN, as after a change of
 * another writer who does not stop. */
void fake_writer(const char *path);
/* Called before a transaction begins, and after one is committed: another tool acts at that moment.
 * NULL: nobody does. */
void fake_at_start(void (*act)(void));
void fake_at_end(void (*act)(void));
/* step() is called when a wait for events finds none: it plays the other ends. */
void fake_script(void (*step)(void));
/* Permissions of special watches can be set but not read, as with xenstored 4.17. */
void fake_mute(void);
/* The connection ends, as libxenstore shows it: requests fail, there is an error instead of an
 * event, and the fd says nothing. */
void fake_hang_up(void);
/* xs_open fails with this errno, or works. */
void fake_absent(int err);
/* Adds a domain: /local/domain/N with name, vm and the nodes that a vGPU needs in a guest. */
void fake_domain(unsigned int domid, const char *name, const char *uuid);
void fake_domain_gone(unsigned int domid);

#endif
