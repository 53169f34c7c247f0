/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/domains.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char vm_dir[] = "/vm/";
/* libxl's suffix for a domain that is being received by migration. */
static const char incoming[] = "--incoming";

static void read_uuid(struct store *s, uint32_t domid, char uuid[PVGPU_UUID_TEXT])
{
	const size_t skip = sizeof(vm_dir) - 1;
	char path[STORE_PATH], text[128];
	struct pvgpu_uuid u;

	uuid[0] = '\0';
	snprintf(path, sizeof(path), "/local/domain/%u/vm", domid);
	if (!store_text(s, path, text, sizeof(text)) || strncmp(text, vm_dir, skip) != 0 ||
	    strlen(text) < skip + PVGPU_UUID_TEXT - 1)
		return;
	if (pvgpu_backend_uuid_parse(text + skip, PVGPU_UUID_TEXT - 1, &u, NULL) == 0)
		pvgpu_backend_uuid_format(&u, uuid, PVGPU_UUID_TEXT, NULL);
}

void domain_read(struct store *s, uint32_t domid, struct domain *d)
{
	char path[STORE_PATH];

	*d = (struct domain){.domid = domid};
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	store_text(s, path, d->name, sizeof(d->name));
	read_uuid(s, domid, d->uuid);
}

int domains_update(struct store *s, struct domains *d, bool again[PVGPU_DOMID_MAX + 1],
		   void (*gone)(void *arg, uint32_t domid), void *arg)
{
	struct domain *v;
	uint32_t *ids;
	size_t n, old = 0;
	int err = store_numbers(s, "/local/domain", PVGPU_DOMID_MAX, &ids, &n);

	if (err)
		return err;
	v = calloc(n ? n : 1, sizeof(*v));
	if (!v) {
		free(ids);
		return -ENOMEM;
	}
	/* Both are in order. */
	for (size_t i = 0; i < n; i++) {
		const struct domain *had;

		for (; old < d->n && d->v[old].domid < ids[i]; old++)
			gone(arg, d->v[old].domid);
		had = old < d->n && d->v[old].domid == ids[i] ? &d->v[old++] : NULL;
		if (had && had->name[0] && had->uuid[0] && !again[ids[i]]) {
			v[i] = *had;
			continue;
		}
		domain_read(s, ids[i], &v[i]);
		if (!had || strcmp(had->name, v[i].name) != 0 || strcmp(had->uuid, v[i].uuid) != 0)
			again[ids[i]] = true;
	}
	for (; old < d->n; old++)
		gone(arg, d->v[old].domid);
	free(ids);
	free(d->v);
	*d = (struct domains){.v = v, .n = n};
	return 0;
}

int domains_read(struct store *s, struct domains *out)
{
	static bool marks[PVGPU_DOMID_MAX + 1];

	*out = (struct domains){0};
	return domains_update(s, out, marks, NULL, NULL);
}

bool domain_exists(struct store *s, uint32_t domid)
{
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	return store_exists(s, path);
}

void domains_free(struct domains *d)
{
	free(d->v);
	*d = (struct domains){0};
}

const struct domain *domains_find(const struct domains *d, uint32_t domid)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].domid == domid)
			return &d->v[i];
	return NULL;
}

const char *domain_label(const struct domains *d, uint32_t domid, char buf[DOMAIN_NAME])
{
	const struct domain *dom = domains_find(d, domid);

	if (dom && dom->name[0])
		return dom->name;
	snprintf(buf, DOMAIN_NAME, "domain %u", domid);
	return buf;
}

void domain_own_name(const struct domain *d, char name[DOMAIN_NAME])
{
	const size_t n = strlen(d->name), skip = sizeof(incoming) - 1;
	const bool received = n > skip && !strcmp(d->name + n - skip, incoming);

	snprintf(name, DOMAIN_NAME, "%.*s", (int)(received ? n - skip : n), d->name);
}

bool domain_named(const struct domain *d, const char *name)
{
	size_t n = strlen(name);

	return n && strncmp(d->name, name, n) == 0 &&
	       (!d->name[n] || !strcmp(d->name + n, incoming));
}

static bool meant(const struct domain *d, const char *word)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", d->domid);
	return !strcmp(word, number) || (d->name[0] && !strcmp(word, d->name)) ||
	       (d->uuid[0] && !strcasecmp(word, d->uuid));
}

int domains_resolve(const struct domains *d, const char *what, const char *word,
		    const struct domain **out, char err[DOMAIN_ERROR])
{
	size_t at = 0, found = 0;

	*out = NULL;
	for (size_t i = 0; i < d->n; i++) {
		const struct domain *dom = &d->v[i];

		if (!meant(dom, word))
			continue;
		if (!found++) {
			*out = dom;
			continue;
		}
		if (found == 2)
			at = (size_t)snprintf(err, DOMAIN_ERROR,
					      "%s '%s' may be domain %u (%s, %s)", what, word,
					      (*out)->domid, (*out)->name, (*out)->uuid);
		if (at < DOMAIN_ERROR - 1)
			at += (size_t)snprintf(err + at, DOMAIN_ERROR - at,
					       " or domain %u (%s, %s)", dom->domid, dom->name,
					       dom->uuid);
	}
	if (found == 1)
		return 0;
	if (found) {
		*out = NULL;
		return -ENOTUNIQ;
	}
	snprintf(err, DOMAIN_ERROR,
		 "%s '%s': no domain here has that name, uuid or number; xl list shows them", what,
		 word);
	return -ENOENT;
}
