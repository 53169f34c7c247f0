// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The vGPU as xenbus's device: found, removed, resumed.
 *
 * After a restore or a migration the toolstack may make the vGPU's directories only when the guest
 * runs again. xenbus, which did not find them, has then given the device up: no .resume, no watch
 * on the backend, and it takes no new notice of a directory of that name. So we watch our own
 * state: when it is made anew, the driver is bound to the device once more. One watch serves all
 * vGPUs: a guest may have 128, and xenbus takes one for the backend of each.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"

#define REMOVE_MAX    (5 * HZ)
#define REMOVE_LOOK   (HZ / 20)
#define OWN_DIRECTORY "device/pvgpu"

static DEFINE_IDA(indices);
static LIST_HEAD(vgpus);
static DEFINE_SPINLOCK(vgpus_lock);

/* ---- reference, kick ---- */

static void free_vgpu(struct kref *ref)
{
	struct pvgpu_vgpu *v = container_of(ref, struct pvgpu_vgpu, ref);

	put_device(&v->xdev->dev);
	kfree(v);
}

void pvgpu_vgpu_put(struct pvgpu_vgpu *v)
{
	kref_put(&v->ref, free_vgpu);
}

void pvgpu_kick_in(struct pvgpu_vgpu *v, unsigned long delay)
{
	spin_lock(&v->kick_lock);
	if (!v->removed)
		mod_delayed_work(pvgpu_wq, &v->state_work, delay);
	spin_unlock(&v->kick_lock);
}

void pvgpu_kick(struct pvgpu_vgpu *v)
{
	pvgpu_kick_in(v, 0);
}

/* ---- restored, migrated, made anew ---- */

struct reprobe {
	struct work_struct work;
	struct device *dev;
};

/* Not in the state work, which the driver's removal waits for. */
static void reprobe_work(struct work_struct *w)
{
	struct reprobe *r = container_of(w, struct reprobe, work);

	if (device_reprobe(r->dev))
		dev_warn(r->dev, "cannot be bound again\n");
	put_device(r->dev);
	kfree(r);
}

void pvgpu_reprobe(struct pvgpu_vgpu *v)
{
	struct reprobe *r;

	if (test_and_set_bit(PVGPU_REPROBE, &v->flags))
		return;
	r = kmalloc(sizeof(*r), GFP_KERNEL);
	if (!r) {
		clear_bit(PVGPU_REPROBE, &v->flags);
		pvgpu_kick_in(v, PVGPU_RETRY_MIN);
		return;
	}
	INIT_WORK(&r->work, reprobe_work);
	r->dev = get_device(&v->xdev->dev);
	queue_work(pvgpu_wq, &r->work);
}

/* ---- xenbus ---- */

/* Whether a change at path may be one of our state: there, or in what lies above it. */
static bool concerns(const struct pvgpu_vgpu *v, const char *path)
{
	const char *own = v->xdev->nodename;
	const size_t len = strlen(own);

	if (!strncmp(path, own, len))
		return !path[len] || !strcmp(path + len, "/state");
	return !strcmp(path, OWN_DIRECTORY);
}

static void own_changed(struct xenbus_watch *watch, const char *path, const char *token)
{
	struct pvgpu_vgpu *v;

	spin_lock(&vgpus_lock);
	list_for_each_entry(v, &vgpus, node)
		if (concerns(v, path))
			pvgpu_kick(v);
	spin_unlock(&vgpus_lock);
}

static struct xenbus_watch own_watch = {
	.node = OWN_DIRECTORY,
	.callback = own_changed,
};

static void list_vgpu(struct pvgpu_vgpu *v)
{
	spin_lock(&vgpus_lock);
	list_add_tail(&v->node, &vgpus);
	spin_unlock(&vgpus_lock);
}

static void unlist_vgpu(struct pvgpu_vgpu *v)
{
	spin_lock(&vgpus_lock);
	list_del(&v->node);
	spin_unlock(&vgpus_lock);
}

static struct pvgpu_vgpu *new_vgpu(struct xenbus_device *dev)
{
	struct pvgpu_vgpu *v = kzalloc(sizeof(*v), GFP_KERNEL);

	if (!v)
		return NULL;
	kref_init(&v->ref);
	INIT_LIST_HEAD(&v->limbo);
	INIT_LIST_HEAD(&v->sessions);
	INIT_LIST_HEAD(&v->queued);
	INIT_LIST_HEAD(&v->sent);
	spin_lock_init(&v->kick_lock);
	spin_lock_init(&v->lock);
	spin_lock_init(&v->ctl_lock);
	pvgpu_channel_init(&v->channel);
	INIT_DELAYED_WORK(&v->state_work, pvgpu_state_work);
	INIT_WORK(&v->event_work, pvgpu_event_work);
	get_device(&dev->dev);
	v->xdev = dev;
	v->retry_at = v->limbo_until = jiffies;
	set_bit(PVGPU_FRESH, &v->flags);
	return v;
}

static int pvgpu_probe(struct xenbus_device *dev, const struct xenbus_device_id *id)
{
	struct pvgpu_vgpu *v = new_vgpu(dev);
	int ret = -ENOMEM;

	if (!v)
		return ret;
	ret = kstrtou32(kbasename(dev->nodename), 10, &v->devid);
	if (!ret)
		ret = v->index = ida_alloc(&indices, GFP_KERNEL);
	if (ret < 0)
		goto out_put;
	snprintf(v->name, sizeof(v->name), "pvgpu%d", v->index);
	snprintf(v->channel.name, sizeof(v->channel.name), "%s-control", v->name);
	dev_set_drvdata(&dev->dev, v);
	list_vgpu(v);
	pvgpu_kick(v);
	return 0;
out_put:
	pvgpu_vgpu_put(v);
	return ret;
}

static void pvgpu_otherend_changed(struct xenbus_device *dev, enum xenbus_state state)
{
	struct pvgpu_vgpu *v = dev_get_drvdata(&dev->dev);

	if (v)
		pvgpu_kick(v);
}

/*
 * The queue is frozen: the state work runs when the guest does again, and finds out whether it was
 * restored, or the suspend given up.
 */
static int pvgpu_suspend(struct xenbus_device *dev)
{
	struct pvgpu_vgpu *v = dev_get_drvdata(&dev->dev);

	if (v)
		pvgpu_kick(v);
	return 0;
}

static int pvgpu_resume(struct xenbus_device *dev)
{
	struct pvgpu_vgpu *v = dev_get_drvdata(&dev->dev);

	if (!v)
		return 0;
	set_bit(PVGPU_RESUMED, &v->flags);
	pvgpu_kick(v);
	return 0;
}

/*
 * Our directory was removed and made anew before xenbus has removed us: the new one's state is not
 * ours to write. Closed at birth, it would never be probed.
 */
static bool is_another(const struct pvgpu_vgpu *v, enum pvgpu_state own)
{
	return own == PVGPU_STATE_INITIALISING && v->xdev->state != XenbusStateInitialising;
}

/*
 * The module is unloaded or the driver unbound by hand: say so, and give the backend a moment to
 * let go. It need not: what it still maps, the kernel looks after.
 */
static void leave(struct pvgpu_vgpu *v)
{
	const unsigned long end = jiffies + REMOVE_MAX;
	enum pvgpu_state own, other;

	if (test_bit(PVGPU_REPROBE, &v->flags) || !v->xdev->otherend ||
	    pvgpu_read_state(v, true, &own))
		return;
	if (own == PVGPU_STATE_UNKNOWN || own == PVGPU_STATE_CLOSED || is_another(v, own))
		return;
	pvgpu_read_state(v, false, &other);
	if (own == PVGPU_STATE_INITIALISED && other == PVGPU_STATE_CONNECTED)
		xenbus_switch_state(v->xdev, XenbusStateConnected);
	if (own != PVGPU_STATE_INITIALISING)
		xenbus_switch_state(v->xdev, XenbusStateClosing);
	while (own != PVGPU_STATE_INITIALISING &&
	       (other == PVGPU_STATE_CONNECTED || other == PVGPU_STATE_CLOSING)) {
		if (time_after(jiffies, end) || schedule_timeout_killable(REMOVE_LOOK))
			break;
		if (fatal_signal_pending(current) || pvgpu_read_state(v, false, &other))
			break;
	}
	if (pvgpu_read_state(v, true, &own) || is_another(v, own))
		return;
	xenbus_frontend_closed(v->xdev);
}

static PVGPU_REMOVE_TYPE pvgpu_remove(struct xenbus_device *dev)
{
	struct pvgpu_vgpu *v = dev_get_drvdata(&dev->dev);

	spin_lock(&v->kick_lock);
	v->removed = true;
	spin_unlock(&v->kick_lock);
	unlist_vgpu(v);
	cancel_delayed_work_sync(&v->state_work);
	pvgpu_unpublish(v);
	pvgpu_disconnect(v, "the vGPU was removed");
	leave(v);
	pvgpu_flush_limbo(v);
	ida_free(&indices, v->index);
	dev_set_drvdata(&dev->dev, NULL);
	pvgpu_vgpu_put(v);
	PVGPU_REMOVE_RETURN;
}

/* ---- driver ---- */

static const struct xenbus_device_id no_ids[] = {{""}};
static const struct xenbus_device_id pvgpu_ids[] = {{"pvgpu"}, {""}};
MODULE_ALIAS("xen:pvgpu");

static struct xenbus_driver pvgpu_driver = {
	.name = "pvgpu",
	.ids = no_ids,
	/* The state after a removal is ours to write. */
	.allow_rebind = true,
	.probe = pvgpu_probe,
	.remove = pvgpu_remove,
	.suspend = pvgpu_suspend,
	.resume = pvgpu_resume,
	.otherend_changed = pvgpu_otherend_changed,
	.driver.dev_groups = pvgpu_groups,
};

int pvgpu_xenbus_init(void)
{
	int ret;

	ret = register_xenbus_watch(&own_watch);
	if (ret)
		return ret;
	pvgpu_not_essential(&pvgpu_driver);
	/* No owner: xenbus would hold the module for every device. What uses it are open files. */
	ret = __xenbus_register_frontend(&pvgpu_driver, NULL, KBUILD_MODNAME);
	if (ret)
		goto out_watch;
	/* Only now is it the driver of anything: registering a driver waits up to half a minute
	 * for the backends of its devices. */
	pvgpu_driver.ids = pvgpu_ids;
	ret = driver_attach(&pvgpu_driver.driver);
	if (!ret)
		return 0;
	xenbus_unregister_driver(&pvgpu_driver);
out_watch:
	unregister_xenbus_watch(&own_watch);
	return ret;
}

void pvgpu_xenbus_exit(void)
{
	xenbus_unregister_driver(&pvgpu_driver);
	unregister_xenbus_watch(&own_watch);
}
