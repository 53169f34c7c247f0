/* SPDX-License-Identifier: MIT */
/*
 * One interface over the kernels that pvgpu.ko is built for. PVGPU_HAS_* are the results of the
 * probes (see Kbuild): a new difference is a file in probes/ and a wrapper here.
 *
 * Interfaces that differ between kernels and are not used at all: no_llseek (.llseek is left out,
 * and nonseekable_open() called), xenbus_grant_ring() (pages are granted one by one), the argument
 * of .uevent (left out), the resume notifiers (in 7.2 modules cannot unregister one; work that
 * .suspend puts on a freezable queue runs after every suspend, also after one that was cancelled).
 * Before 5.18 C is gnu89.
 */
#ifndef PVGPU_COMPAT_H
#define PVGPU_COMPAT_H

#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/sysfs.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/xenbus.h>

#include "pvgpu_probed.h"

/* ---- grants ---- */

/*
 * End a grant and drop one reference to its page: at once, or when the backend has unmapped it,
 * which the kernel checks from time to time. The page must be a separate one of order 0.
 */
static inline void pvgpu_end_access(grant_ref_t ref, struct page *page)
{
#if PVGPU_HAS_END_ACCESS_PAGE
	gnttab_end_foreign_access(ref, page);
#else
	gnttab_end_foreign_access(ref, 0, (unsigned long)page_address(page));
#endif
}

/*
 * True: the grant has ended; the page is the caller's. False: the backend has mapped it. A kernel
 * that cannot tell takes a reference to the page and ends the grant when it can.
 */
static inline bool pvgpu_try_end_access(grant_ref_t ref, struct page *page)
{
#if PVGPU_HAS_TRY_END_ACCESS
	return gnttab_try_end_foreign_access(ref);
#else
	get_page(page);
	pvgpu_end_access(ref, page);
	return true;
#endif
}

/* ---- event channels ---- */

/*
 * The interrupt number, or a negative errno. The handler, or work that it starts, ends each
 * interrupt with pvgpu_eoi(); no other comes before. Without lateeoi the next one may come at any
 * time after the handler, and a hostile backend can keep a CPU busy.
 *
 * Not bind_evtchn_to_irqhandler(): when it fails, the port may be closed or not.
 */
static inline int pvgpu_bind_evtchn(evtchn_port_t port)
{
#if PVGPU_HAS_LATEEOI
	return bind_evtchn_to_irq_lateeoi(port);
#else
	return bind_evtchn_to_irq(port);
#endif
}

/* spurious: there was nothing to do. The kernel delays events of a backend that repeats this. */
static inline void pvgpu_eoi(unsigned int irq, bool spurious)
{
#if PVGPU_HAS_LATEEOI
	xen_irq_lateeoi(irq, spurious ? XEN_EOI_FLAG_SPURIOUS : 0);
#endif
}

/* ---- xenbus ---- */

/*
 *	static PVGPU_REMOVE_TYPE pvgpu_remove(struct xenbus_device *dev)
 *	{
 *		...
 *		PVGPU_REMOVE_RETURN;
 *	}
 */
#if PVGPU_HAS_REMOVE_VOID
#define PVGPU_REMOVE_TYPE   void
#define PVGPU_REMOVE_RETURN return
#else
#define PVGPU_REMOVE_TYPE   int
#define PVGPU_REMOVE_RETURN return 0
#endif

/* The boot does not wait for the driver's devices. */
static inline void pvgpu_not_essential(struct xenbus_driver *drv)
{
#if PVGPU_HAS_NOT_ESSENTIAL
	drv->not_essential = true;
#endif
}

/*
 * Newer kernels remove a device whose state in xenstore they have read as Initialising and know as
 * another: they take the directory for a new one, write nothing to it, and probe it if its state is
 * Initialising then. The frontend may have moved between the reading and the comparison.
 */
static inline bool pvgpu_taken_for_vanished(const struct xenbus_device *dev)
{
#if PVGPU_HAS_VANISHED
	return dev->vanished;
#else
	return false;
#endif
}

/* The directory is the device's own: its state can be written again. */
static inline void pvgpu_has_not_vanished(struct xenbus_device *dev)
{
#if PVGPU_HAS_VANISHED
	dev->vanished = false;
#endif
}

/* ---- memory, sysfs ---- */

/* For pages that processes map. Where it matters that they are charged to a memory cgroup, they are
 * not: user.c limits them. */
#if PVGPU_HAS_KMEMCG_TYPE
#define PVGPU_GFP_MAPPED GFP_KERNEL
#else
#define PVGPU_GFP_MAPPED GFP_KERNEL_ACCOUNT
#endif

static inline void pvgpu_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if PVGPU_HAS_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

#if PVGPU_HAS_SYSFS_EMIT
#define pvgpu_sysfs_emit(page, ...) sysfs_emit(page, __VA_ARGS__)
#else
#define pvgpu_sysfs_emit(page, ...) scnprintf(page, PAGE_SIZE, __VA_ARGS__)
#endif

#endif
