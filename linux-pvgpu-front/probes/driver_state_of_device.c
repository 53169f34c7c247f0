/* SPDX-License-Identifier: MIT */
/* xenbus_read_driver_state() takes the device; before 7.0 only a path. */
#include <xen/xenbus.h>

enum xenbus_state probe(const struct xenbus_device *dev);
enum xenbus_state probe(const struct xenbus_device *dev)
{
	return xenbus_read_driver_state(dev, dev->otherend);
}
