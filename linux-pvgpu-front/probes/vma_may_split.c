/* SPDX-License-Identifier: MIT */
/* vm_operations_struct.may_split; before 5.11 its name was split. */
#include <linux/mm.h>

static int probe_split(struct vm_area_struct *vma, unsigned long address)
{
	return -1;
}
struct vm_operations_struct probe = {.may_split = probe_split};
