/* SPDX-License-Identifier: MIT */
/* The domains of this host, as their toolstack has written them into xenstore. */
#ifndef PVGPU_CTL_DOMAINS_H
#define PVGPU_CTL_DOMAINS_H

#include "xen-pvgpu-back/ctl/store.h"

#define DOMAIN_NAME  128
#define DOMAIN_ERROR 512

struct domain {
	uint32_t domid;
	char name[DOMAIN_NAME];     /* printable; empty if it has none */
	char uuid[PVGPU_UUID_TEXT]; /* in lower case; empty if it has none */
};

struct domains {
	struct domain *v;
	size_t n;
};

int domains_read(struct store *s, struct domains *out);
void domains_free(struct domains *d);
const struct domain *domains_find(const struct domains *d, uint32_t domid);
/* For people: the name, or else the number. */
const char *domain_label(const struct domains *d, uint32_t domid, char buf[DOMAIN_NAME]);
/*
 * The domain that a name, uuid or domid means. -ENOENT: none; -ENOTUNIQ: several, which err lists.
 * what, such as "VM", begins the error.
 */
int domains_resolve(const struct domains *d, const char *what, const char *word,
		    const struct domain **out, char err[DOMAIN_ERROR]);
/* Is the domain's name this one, perhaps with the end that it has while it is being received? */
bool domain_named(const struct domain *d, const char *name);

#endif
