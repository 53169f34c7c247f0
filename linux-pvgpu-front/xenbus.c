// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The vGPU as a device of xenbus: probe, remove, suspend and resume.
 *
 * After a restore or a migration the toolstack may create the vGPU's directories after the guest
 * has resumed. xenbus did not find them and has dropped the device: it calls no .resume, has no
 * watch on the backend, and ignores a new directory of that name. So this driver watches the
 * frontend's state: when the key is created again, the driver is bound to the device once more. One
 * watch serves all vGPUs: xenstored allows a guest 128 watches, and xenbus needs one for the
 * backend of each vGPU.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"

#define REMOVE_MAX    (5 * HZ)
#define REMOVE_LOOK   (HZ / 20)
#define OWN_DIRECTORY "device/pvgpu"

static DEFINE_IDA(pvgpu_indices);
static LIST_HEAD(pvgpu_vgpus);
static DEFINE_SPINLOCK(pvgpu_vgpus_lock);

/* ---- reference, kick ---- */

static void pvgpu_vgpu_free(struct kref *ref)
{
	struct pvgpu_vgpu *v = container_of(ref, struct pvgpu_vgpu, ref);

	put_device(&v->xdev->dev);
	kfree(v);
}

void pvgpu_vgpu_put(struct pvgpu_vgpu *v)
{
	kref_put(&v->ref, pvgpu_vgpu_free);
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

/* ---- restored, migrated, attached again ---- */

struct reprobe {
	struct work_struct work;
	struct device *dev;
};

/* A work of its own: it removes the driver, which waits for the state work. */
static void pvgpu_reprobe_work(struct work_struct *w)
{
	struct reprobe *r = container_of(w, struct reprobe, work);

	if (device_reprobe(r->dev))
		dev_warn(r->dev, "cannot bind the driver again: detach and attach the vGPU\n");
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
	INIT_WORK(&r->work, pvgpu_reprobe_work);
	r->dev = get_device(&v->xdev->dev);
	queue_work(pvgpu_wq, &r->work);
}

/* ---- xenbus ---- */

/* May a change at path be one of this frontend's state: at the key, or at a directory above? */
static bool pvgpu_watch_concerns(const struct pvgpu_vgpu *v, const char *path)
{
	const char *own = v->xdev->nodename;
	const size_t len = strlen(own);

	if (!strncmp(path, own, len))
		return !path[len] || !strcmp(path + len, "/state");
	return !strcmp(path, OWN_DIRECTORY);
}

static void pvgpu_watch_changed(struct xenbus_watch *watch, const char *path, const char *token)
{
	struct pvgpu_vgpu *v;

	spin_lock(&pvgpu_vgpus_lock);
	list_for_each_entry(v, &pvgpu_vgpus, node)
		if (pvgpu_watch_concerns(v, path))
			pvgpu_kick(v);
	spin_unlock(&pvgpu_vgpus_lock);
}

static struct xenbus_watch pvgpu_watch = {
	.node = OWN_DIRECTORY,
	.callback = pvgpu_watch_changed,
};

static void pvgpu_vgpu_list(struct pvgpu_vgpu *v)
{
	spin_lock(&pvgpu_vgpus_lock);
	list_add_tail(&v->node, &pvgpu_vgpus);
	spin_unlock(&pvgpu_vgpus_lock);
}

static void pvgpu_vgpu_unlist(struct pvgpu_vgpu *v)
{
	spin_lock(&pvgpu_vgpus_lock);
	list_del(&v->node);
	spin_unlock(&pvgpu_vgpus_lock);
}

static struct pvgpu_vgpu *pvgpu_vgpu_new(struct xenbus_device *dev)
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
	mutex_init(&v->usage_lock);
	pvgpu_channel_init(&v->channel);
	INIT_DELAYED_WORK(&v->state_work, pvgpu_state_work);
	INIT_WORK(&v->event_work, pvgpu_event_work);
	INIT_DELAYED_WORK(&v->pump_work, pvgpu_pump_work);
	get_device(&dev->dev);
	v->xdev = dev;
	v->retry_at = v->limbo_until = jiffies;
	set_bit(PVGPU_FRESH, &v->flags);
	return v;
}

static int pvgpu_probe(struct xenbus_device *dev, const struct xenbus_device_id *id)
{
	struct pvgpu_vgpu *v = pvgpu_vgpu_new(dev);
	int ret = -ENOMEM;

	if (!v)
		return ret;
	ret = kstrtou32(kbasename(dev->nodename), 10, &v->devid);
	if (!ret)
		ret = v->index = ida_alloc(&pvgpu_indices, GFP_KERNEL);
	if (ret < 0)
		goto out_put;
	snprintf(v->name, sizeof(v->name), "pvgpu%d", v->index);
	snprintf(v->channel.name, sizeof(v->channel.name), "%s-control", v->name);
	dev_set_drvdata(&dev->dev, v);
	pvgpu_vgpu_list(v);
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
 * The queue is frozen: the state work runs when the guest has resumed, and detects whether it was
 * restored or the suspend was cancelled.
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
 * The frontend's directory was removed and created again before xenbus has removed this device. The
 * new directory's state must not be written: if it were set to Closed, it would never be probed.
 */
static bool pvgpu_xenbus_is_another(const struct pvgpu_vgpu *v, enum pvgpu_state own)
{
	return own == PVGPU_STATE_INITIALISING && v->xdev->state != XenbusStateInitialising;
}

/*
 * The module is unloaded or the driver unbound by hand: close the vGPU and give the backend time to
 * unmap its pages. The kernel keeps pages that are still mapped afterwards.
 */
static void pvgpu_xenbus_close(struct pvgpu_vgpu *v, enum pvgpu_state own)
{
	const unsigned long end = jiffies + REMOVE_MAX;
	enum pvgpu_state other;

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
	if (pvgpu_read_state(v, true, &own) || pvgpu_xenbus_is_another(v, own))
		return;
	xenbus_frontend_closed(v->xdev);
}

static void pvgpu_xenbus_leave(struct pvgpu_vgpu *v)
{
	const bool mistaken = pvgpu_taken_for_vanished(v->xdev);
	enum pvgpu_state own;

	if (test_bit(PVGPU_REPROBE, &v->flags) || !v->xdev->otherend ||
	    pvgpu_read_state(v, true, &own))
		return;
	if (own == PVGPU_STATE_UNKNOWN || pvgpu_xenbus_is_another(v, own) ||
	    (mistaken && own == PVGPU_STATE_INITIALISING))
		return;
	/* Only this frontend can have moved the state on. */
	pvgpu_has_not_vanished(v->xdev);
	if (own != PVGPU_STATE_CLOSED)
		pvgpu_xenbus_close(v, own);
	/* For the probe that follows, without which the guest would have lost the vGPU. */
	if (mistaken && pvgpu_read_online(v))
		xenbus_switch_state(v->xdev, XenbusStateInitialising);
}

static PVGPU_REMOVE_TYPE pvgpu_remove(struct xenbus_device *dev)
{
	struct pvgpu_vgpu *v = dev_get_drvdata(&dev->dev);

	spin_lock(&v->kick_lock);
	v->removed = true;
	spin_unlock(&v->kick_lock);
	pvgpu_vgpu_unlist(v);
	cancel_delayed_work_sync(&v->state_work);
	pvgpu_unpublish(v);
	pvgpu_disconnect(v, "the vGPU was removed");
	pvgpu_xenbus_leave(v);
	pvgpu_flush_limbo(v);
	ida_free(&pvgpu_indices, v->index);
	dev_set_drvdata(&dev->dev, NULL);
	pvgpu_vgpu_put(v);
	PVGPU_REMOVE_RETURN;
}

/* ---- shutdown, kexec ---- */

bool pvgpu_going_down;

static bool pvgpu_all_closed(void)
{
	struct pvgpu_vgpu *v;
	bool closed = true;

	spin_lock(&pvgpu_vgpus_lock);
	list_for_each_entry(v, &pvgpu_vgpus, node)
		if (READ_ONCE(v->xdev->state) != XenbusStateClosed)
			closed = false;
	spin_unlock(&pvgpu_vgpus_lock);
	return closed;
}

/*
 * Close all vGPUs and do not connect again: after a kexec the next kernel uses the memory that the
 * backend would have mapped still.
 */
static int pvgpu_go_down(struct notifier_block *nb, unsigned long action, void *data)
{
	const unsigned long end = jiffies + REMOVE_MAX;
	struct pvgpu_vgpu *v;

	WRITE_ONCE(pvgpu_going_down, true);
	spin_lock(&pvgpu_vgpus_lock);
	list_for_each_entry(v, &pvgpu_vgpus, node)
		pvgpu_kick(v);
	spin_unlock(&pvgpu_vgpus_lock);
	while (!pvgpu_all_closed() || (pvgpu_held_try(), pvgpu_grants_in_use())) {
		if (time_after(jiffies, end)) {
			pr_warn("pvgpu: the backend keeps %u pages of this guest mapped\n",
				pvgpu_grants_in_use());
			break;
		}
		schedule_timeout_uninterruptible(REMOVE_LOOK);
	}
	return NOTIFY_DONE;
}

static struct notifier_block pvgpu_reboot = {.notifier_call = pvgpu_go_down};

/* ---- driver ---- */

static const struct xenbus_device_id pvgpu_no_ids[] = {{""}};
static const struct xenbus_device_id pvgpu_ids[] = {{"pvgpu"}, {""}};
MODULE_ALIAS("xen:pvgpu");

static struct xenbus_driver pvgpu_driver = {
	.name = "pvgpu",
	.ids = pvgpu_no_ids,
	/* Otherwise xenbus would set the state itself after a removal. */
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

	ret = register_xenbus_watch(&pvgpu_watch);
	if (ret)
		return ret;
	pvgpu_not_essential(&pvgpu_driver);
	/* No owner: xenbus would hold the module for every device. Open files hold it. */
	ret = __xenbus_register_frontend(&pvgpu_driver, NULL, KBUILD_MODNAME);
	if (ret)
		goto out_watch;
	/* The ids are set after the registration: registering a driver waits up to half a minute
	 * for the backends of devices that match. */
	pvgpu_driver.ids = pvgpu_ids;
	ret = driver_attach(&pvgpu_driver.driver);
	if (!ret)
		ret = register_reboot_notifier(&pvgpu_reboot);
	if (!ret)
		return 0;
	xenbus_unregister_driver(&pvgpu_driver);
out_watch:
	unregister_xenbus_watch(&pvgpu_watch);
	return ret;
}

void pvgpu_xenbus_exit(void)
{
	unregister_reboot_notifier(&pvgpu_reboot);
	xenbus_unregister_driver(&pvgpu_driver);
	unregister_xenbus_watch(&pvgpu_watch);
}
