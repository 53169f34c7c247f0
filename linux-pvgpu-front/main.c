// SPDX-License-Identifier: GPL-2.0 OR MIT
/* pvgpu.ko: the frontend of a paravirtual GPU. See docs/xen-link.md. */
#include <linux/module.h>
#include <xen/platform_pci.h>
#include <xen/xen.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_version.h"

ushort pvgpu_mode = 0666;
module_param_named(mode, pvgpu_mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/pvgpuN (default 0666)");

module_param_named(max_grants, pvgpu_grants_limit, uint, 0644);
MODULE_PARM_DESC(max_grants,
		 "grants that all sessions may have together (default 7/8 of the guest's)");

struct workqueue_struct *pvgpu_wq;

static int __init pvgpu_init(void)
{
	int ret;

	if (!xen_domain() || !xen_has_pv_devices())
		return -ENODEV;
	pvgpu_grants_init();
	/* Frozen while the guest is suspended: xenstore cannot be reached then. */
	pvgpu_wq = alloc_workqueue("pvgpu", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!pvgpu_wq)
		return -ENOMEM;
	ret = pvgpu_xenbus_init();
	if (ret)
		destroy_workqueue(pvgpu_wq);
	return ret;
}
module_init(pvgpu_init);

static void __exit pvgpu_exit(void)
{
	pvgpu_xenbus_exit();
	destroy_workqueue(pvgpu_wq);
}
module_exit(pvgpu_exit);

MODULE_DESCRIPTION("Frontend of pvgpu, a paravirtual GPU for Xen guests");
MODULE_VERSION(PVGPU_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
