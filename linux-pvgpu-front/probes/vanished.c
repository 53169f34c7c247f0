/* SPDX-License-Identifier: MIT */
/* xenbus_device.vanished: xenbus notices that a directory was made anew. */
#include <xen/xenbus.h>

struct xenbus_device probe = {.vanished = true};
