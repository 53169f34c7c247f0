/* SPDX-License-Identifier: MIT */
/* gnttab_end_foreign_access() takes a page; before 5.18 it took a flag and an address. */
#include <linux/mm.h>
#include <xen/grant_table.h>

void probe(grant_ref_t ref, struct page *page);
void probe(grant_ref_t ref, struct page *page)
{
	gnttab_end_foreign_access(ref, page);
}
