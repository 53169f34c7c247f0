/* SPDX-License-Identifier: MIT */
/* gnttab_end_foreign_access_ref() takes the reference alone; before 5.18 a flag, too. */
#include <linux/mm.h>
#include <xen/grant_table.h>

int probe(grant_ref_t ref);
int probe(grant_ref_t ref)
{
	return gnttab_end_foreign_access_ref(ref);
}
