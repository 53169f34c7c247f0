/* SPDX-License-Identifier: MIT */
/* vm_flags_set(): 6.3. Before, vm_flags was written. */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTCOPY);
}
