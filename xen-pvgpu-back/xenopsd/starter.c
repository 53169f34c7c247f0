/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/xenopsd/starter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/xenopsd/helper.h"

static const char token[] = "starter";

/* The toolstack writes below /vm long before it introduces the domain. */
int starter_watch(struct starter *s)
{
	int err = store_watch(s->store, "/vm", token);

	if (!err)
		err = store_watch(s->store, "@introduceDomain", token);
	return err ? err : store_watch(s->store, "@releaseDomain", token);
}

/* The words of a VM's file, one in each line. Returns their number; 0: there is no file. */
static size_t read_words(const struct starter *s, const char *uuid,
			 char words[STARTER_WORDS][STARTER_WORD])
{
	char path[512];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%.300s/%s" STARTER_SUFFIX, s->xapi_dir, uuid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (n < STARTER_WORDS && fgets(words[n], STARTER_WORD, f)) {
		words[n][strcspn(words[n], "\n")] = '\0';
		n += words[n][0] == '-';
	}
	fclose(f);
	return n;
}

static bool has_state(struct starter *s, uint32_t domid)
{
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "/local/domain/%u/vgpu/state", domid);
	return store_exists(s->store, path);
}

static void start(struct starter *s, const struct domain *d)
{
	char words[STARTER_WORDS][STARTER_WORD], domain[32];
	char *argv[STARTER_WORDS + 3] = {(char *)s->program, domain};
	size_t n = read_words(s, d->uuid, words);

	if (!n)
		return;
	s->done[d->domid] = true;
	/* xenopsd has been faster, or this program was started anew. */
	if (has_state(s, d->domid) || helper_is_served(s->store, d->domid))
		return;
	snprintf(domain, sizeof(domain), "--domain=%u", d->domid);
	for (size_t i = 0; i < n; i++)
		argv[i + 2] = words[i];
	log_info("domain %u (%s): starting %s", d->domid, d->name, s->program);
	s->start(s->arg, argv);
}

/* Its number may come again. */
static void gone(void *arg, uint32_t domid)
{
	struct starter *s = arg;

	s->done[domid] = false;
}

int starter_look(struct starter *s)
{
	int err = domains_update(s->store, &s->domains, s->again, gone, s);

	memset(s->again, 0, sizeof(s->again));
	for (size_t i = 0; !err && i < s->domains.n; i++) {
		const struct domain *d = &s->domains.v[i];

		if (d->domid && d->uuid[0] && !s->done[d->domid])
			start(s, d);
	}
	return err;
}
