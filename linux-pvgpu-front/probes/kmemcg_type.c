/* SPDX-License-Identifier: MIT */
/* Pages that are charged to a memory cgroup have a page type, and cannot be mapped into processes:
 * before 5.11. */
#include <linux/page-flags.h>

int probe(struct page *page);
int probe(struct page *page)
{
	return PageKmemcg(page);
}
