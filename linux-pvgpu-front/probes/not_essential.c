/* SPDX-License-Identifier: MIT */
/* xenbus_driver.not_essential: the boot does not wait for these devices. 5.17. */
#include <xen/xenbus.h>

struct xenbus_driver probe = {.not_essential = true};
