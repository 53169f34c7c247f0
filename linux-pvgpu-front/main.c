// SPDX-License-Identifier: GPL-2.0 OR MIT
/* pvgpu.ko: the frontend of a paravirtual GPU. See docs/xen-link.md. */
#include <linux/module.h>
#include <xen/platform_pci.h>
#include <xen/xen.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_version.h"

#define CREATE_TRACE_POINTS
#include "pvgpu_trace.h"

ushort pvgpu_mode = 0666;
module_param_named(mode, pvgpu_mode, ushort, 0444);
MODULE_PARM_DESC(mode, "permissions of /dev/pvgpuN (default 0666)");

module_param_named(max_grants, pvgpu_grants_limit, uint, 0644);
MODULE_PARM_DESC(max_grants,
		 "grants that all sessions may have together (default 7/8 of the guest's)");

module_param_named(max_sessions, pvgpu_sessions_limit, uint, 0644);
MODULE_PARM_DESC(max_sessions, "sessions of all users together (default 512)");

/* Limits of one user, who has no CAP_SYS_RESOURCE. */
module_param_named(user_grants, pvgpu_user_grants, uint, 0644);
MODULE_PARM_DESC(user_grants,
		 "grants of one user, 4 KiB of memory each (default 3/4 of max_grants)");

module_param_named(user_sessions, pvgpu_user_sessions, uint, 0644);
MODULE_PARM_DESC(user_sessions, "sessions of one user (default 128; 0: no limit)");

module_param_named(user_breaches, pvgpu_user_breaches, uint, 0644);
MODULE_PARM_DESC(
	user_breaches,
	"breaches of the protocol after which a user gets no sessions (default 2; 0: never)");

module_param_named(user_breach_seconds, pvgpu_user_breach_seconds, uint, 0644);
MODULE_PARM_DESC(user_breach_seconds, "how long breaches count (default 600)");

static int pvgpu_get_grants_used(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", pvgpu_grants_in_use());
}

static int pvgpu_get_grants_held(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", pvgpu_grants_held());
}

static const struct kernel_param_ops pvgpu_grants_used_ops = {.get = pvgpu_get_grants_used};
static const struct kernel_param_ops pvgpu_grants_held_ops = {.get = pvgpu_get_grants_held};

module_param_cb(grants_used, &pvgpu_grants_used_ops, NULL, 0444);
MODULE_PARM_DESC(grants_used, "read only: grants in use");
module_param_cb(grants_held, &pvgpu_grants_held_ops, NULL, 0444);
MODULE_PARM_DESC(grants_held, "read only: of these, what the backend has not unmapped in time");

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
	if (ret) {
		pvgpu_grants_exit();
		destroy_workqueue(pvgpu_wq);
	}
	return ret;
}
module_init(pvgpu_init);

static void __exit pvgpu_exit(void)
{
	pvgpu_xenbus_exit();
	pvgpu_grants_exit();
	pvgpu_users_exit();
	destroy_workqueue(pvgpu_wq);
}
module_exit(pvgpu_exit);

MODULE_DESCRIPTION("Frontend of pvgpu, a paravirtual GPU for Xen guests");
MODULE_AUTHOR("The pvgpu project");
MODULE_VERSION(PVGPU_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
