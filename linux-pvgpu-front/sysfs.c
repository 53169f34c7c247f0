// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Attributes of /sys/bus/xen/devices/pvgpu-ID, the device of /sys/class/misc/pvgpuN: the vGPU's
 * identity and counters. xenbus itself shows the state. */
#include <linux/sysfs.h>

#include "compat.h"
#include "pvgpu_front.h"

static struct pvgpu_vgpu *pvgpu_sysfs_vgpu(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static struct pvgpu_identity pvgpu_sysfs_identity(struct device *dev)
{
	struct pvgpu_vgpu *v = pvgpu_sysfs_vgpu(dev);
	struct pvgpu_identity id;

	spin_lock(&v->lock);
	id = v->id;
	spin_unlock(&v->lock);
	return id;
}

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct pvgpu_identity id = pvgpu_sysfs_identity(dev);

	return pvgpu_sysfs_emit(buf, "%s\n", id.uuid);
}
static DEVICE_ATTR_RO(uuid);

static ssize_t model_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct pvgpu_identity id = pvgpu_sysfs_identity(dev);

	return pvgpu_sysfs_emit(buf, "%s\n", id.model);
}
static DEVICE_ATTR_RO(model);

static ssize_t memory_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return pvgpu_sysfs_emit(buf, "%llu\n", pvgpu_sysfs_identity(dev).memory);
}
static DEVICE_ATTR_RO(memory);

static ssize_t sessions_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return pvgpu_sysfs_emit(buf, "%u\n", READ_ONCE(pvgpu_sysfs_vgpu(dev)->n_sessions));
}
static DEVICE_ATTR_RO(sessions);

/* In the words of the backend's statistics. */
static ssize_t usage_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct pvgpu_usage u;
	int ret = pvgpu_read_usage(pvgpu_sysfs_vgpu(dev), &u);

	if (ret)
		return ret;
	return pvgpu_sysfs_emit(buf, "memory-used=%llu sessions=%llu gpu-time=%llu\n", u.memory,
				u.sessions, u.gpu_us);
}
static DEVICE_ATTR_RO(usage);

/* In the words of the backend's key. */
static ssize_t gpu_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return pvgpu_read_gpu(pvgpu_sysfs_vgpu(dev), buf);
}
static DEVICE_ATTR_RO(gpu);

static struct attribute *pvgpu_vgpu_attrs[] = {
	&dev_attr_uuid.attr,     &dev_attr_model.attr, &dev_attr_memory.attr,
	&dev_attr_sessions.attr, &dev_attr_usage.attr, &dev_attr_gpu.attr, NULL,
};

static const struct attribute_group pvgpu_vgpu_group = {.attrs = pvgpu_vgpu_attrs};

#define STATISTIC(name)                                                                            \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return pvgpu_sysfs_emit(                                                           \
			buf, "%lld\n",                                                             \
			(long long)atomic64_read(&pvgpu_sysfs_vgpu(dev)->stats.name));             \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

STATISTIC(notifications);
STATISTIC(hypercalls);
STATISTIC(requests);
STATISTIC(answers_dropped);
STATISTIC(events);
STATISTIC(doorbells);
STATISTIC(sessions_total);
STATISTIC(sessions_lost);

static struct attribute *pvgpu_statistics_attrs[] = {
	&dev_attr_notifications.attr,   &dev_attr_hypercalls.attr,    &dev_attr_requests.attr,
	&dev_attr_answers_dropped.attr, &dev_attr_events.attr,        &dev_attr_doorbells.attr,
	&dev_attr_sessions_total.attr,  &dev_attr_sessions_lost.attr, NULL,
};

static const struct attribute_group pvgpu_statistics_group = {
	.name = "statistics",
	.attrs = pvgpu_statistics_attrs,
};

const struct attribute_group *pvgpu_groups[] = {&pvgpu_vgpu_group, &pvgpu_statistics_group, NULL};
