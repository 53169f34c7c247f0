/* SPDX-License-Identifier: MIT */
/* xenbus_alloc_evtchn() and xenbus_free_evtchn() take evtchn_port_t; before 5.7 an int. */
#include <xen/xenbus.h>

int (*probe_alloc)(struct xenbus_device *dev, evtchn_port_t *port) = xenbus_alloc_evtchn;
int (*probe_free)(struct xenbus_device *dev, evtchn_port_t port) = xenbus_free_evtchn;
