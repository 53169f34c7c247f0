/* SPDX-License-Identifier: MIT */
/* One request of the admin socket: a line of JSON in, a line of JSON out. Independent of sockets.
 */
#ifndef PVGPU_ADMIN_JSON_H
#define PVGPU_ADMIN_JSON_H

#include "xen-pvgpu-back/daemon/core/above.h"

#define ADMIN_LINE_MAX 4096

#endif
