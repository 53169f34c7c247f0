/* SPDX-License-Identifier: MIT */
/* Must compile on every kernel. If it does not, no probe's result counts, and the build stops. */
#include <linux/module.h>
#include <linux/mm.h>
#include <xen/xen.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/xenbus.h>

int probe(struct xenbus_device *dev);
int probe(struct xenbus_device *dev)
{
	return gnttab_grant_foreign_access(dev->otherend_id, 0, 0);
}
