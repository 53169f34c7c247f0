/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/uids.h"

#include <errno.h>
#include <stdlib.h>

int uids_init(struct uids *u, uint32_t first, uint32_t last, uint64_t begin)
{
	const uint32_t n = last - first + 1;

	*u = (struct uids){.first = first, .n = n, .next = (uint32_t)(begin % n)};
	u->used = calloc(n, 1);
	return u->used ? 0 : -ENOMEM;
}

void uids_free(struct uids *u)
{
	free(u->used);
	u->used = NULL;
}

uint32_t uids_take(struct uids *u)
{
	for (uint32_t i = 0; u->used && i < u->n; i++) {
		const uint32_t at = (u->next + i) % u->n;

		if (u->used[at])
			continue;
		u->used[at] = 1;
		u->next = (at + 1) % u->n;
		return u->first + at;
	}
	return 0;
}

int uids_mark(struct uids *u, uint32_t uid)
{
	if (!u->used || uid < u->first || uid - u->first >= u->n)
		return 0;
	if (u->used[uid - u->first])
		return -EEXIST;
	u->used[uid - u->first] = 1;
	return 0;
}

void uids_put(struct uids *u, uint32_t uid)
{
	if (u->used && uid >= u->first && uid - u->first < u->n)
		u->used[uid - u->first] = 0;
}
