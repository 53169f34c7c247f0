/* SPDX-License-Identifier: MIT */
/* The domains of this host, as their toolstack has written them into xenstore. */
#ifndef PVGPU_CTL_DOMAINS_H
#define PVGPU_CTL_DOMAINS_H

#include "xen-pvgpu-back/toolstack/store.h"

#define DOMAIN_NAME  128
#define DOMAIN_ERROR 1024

struct domain {
	uint32_t domid;
	char name[DOMAIN_NAME];     /* printable; empty if it has none */
	char uuid[PVGPU_UUID_TEXT]; /* in lower case; empty if it has none */
};

struct domains {
	struct domain *v;
	size_t n;
};

void domain_read(struct store *s, uint32_t domid, struct domain *out);
int domains_read(struct store *s, struct domains *out);
/*
 * Lists the domains again. Of those in d only these are read again: the ones marked in `again`, and
 * those that had no name or uuid yet. Marks the new ones, and reports the ones that are gone. d may
 * be empty at first.
 */
int domains_update(struct store *s, struct domains *d, bool again[PVGPU_DOMID_MAX + 1],
		   void (*gone)(void *arg, uint32_t domid), void *arg);
void domains_free(struct domains *d);
/* Is it there now? */
bool domain_exists(struct store *s, uint32_t domid);
const struct domain *domains_find(const struct domains *d, uint32_t domid);
/* For messages: the name, or "domain N". */
const char *domain_label(const struct domains *d, uint32_t domid, char buf[DOMAIN_NAME]);
/* The domain with this name, uuid or domid. -ENOENT: none; -ENOTUNIQ: several, listed in err. The
 * error begins with `what`, such as "VM". */
int domains_resolve(const struct domains *d, const char *what, const char *word,
		    const struct domain **out, char err[DOMAIN_ERROR]);
/* The domain's name without the suffix of a domain that is being received. */
void domain_own_name(const struct domain *d, char name[DOMAIN_NAME]);
/* Is this the domain's name, with or without the suffix of a domain that is being received? */
bool domain_named(const struct domain *d, const char *name);

#endif
