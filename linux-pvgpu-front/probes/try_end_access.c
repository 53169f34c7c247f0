/* SPDX-License-Identifier: MIT */
/* gnttab_try_end_foreign_access(): 5.17 and what the security fixes of XSA-396 were added to. */
#include <linux/mm.h>
#include <xen/grant_table.h>

int probe(grant_ref_t ref);
int probe(grant_ref_t ref)
{
	return gnttab_try_end_foreign_access(ref);
}
