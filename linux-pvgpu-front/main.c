// SPDX-License-Identifier: GPL-2.0 OR MIT
/* pvgpu.ko: the frontend of a paravirtual GPU. See docs/xen-link.md. */
#include <linux/module.h>
#include <linux/notifier.h>
#include <xen/platform_pci.h>
#include <xen/xen-ops.h>
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

/* After every suspend, one that was given up included: the state work finds out what it was. */
static int resumed(struct notifier_block *nb, unsigned long action, void *data)
{
	pvgpu_kick_all();
	return NOTIFY_OK;
}

static struct notifier_block resume_notifier = {.notifier_call = resumed};

static int __init pvgpu_init(void)
{
	int ret;

	if (!xen_domain() || !xen_has_pv_devices())
		return -ENODEV;
	pvgpu_grants_init();
	/* Frozen while the guest is suspended, when there is no xenstore. */
	pvgpu_wq = alloc_workqueue("pvgpu", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!pvgpu_wq)
		return -ENOMEM;
	xen_resume_notifier_register(&resume_notifier);
	/* No owner: xenbus would hold the module for every device. What uses it are open files. */
	ret = __xenbus_register_frontend(&pvgpu_driver, NULL, KBUILD_MODNAME);
	if (ret) {
		xen_resume_notifier_unregister(&resume_notifier);
		destroy_workqueue(pvgpu_wq);
	}
	return ret;
}
module_init(pvgpu_init);

static void __exit pvgpu_exit(void)
{
	xenbus_unregister_driver(&pvgpu_driver);
	xen_resume_notifier_unregister(&resume_notifier);
	destroy_workqueue(pvgpu_wq);
}
module_exit(pvgpu_exit);

MODULE_DESCRIPTION("Frontend of pvgpu, a paravirtual GPU for Xen guests");
MODULE_VERSION(PVGPU_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
