/* SPDX-License-Identifier: MIT */
/* For xenbus_vgpu.c and xenbus_keys.c only. */
#ifndef PVGPU_XENBUS_VGPU_H
#define PVGPU_XENBUS_VGPU_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

/* Its name for the log, also without a struct vgpu. */
const char *xenbus_vgpu_name(const struct xen_vgpu *x);
/* Writes last-reason at once, not with the next change of state. */
void xenbus_vgpu_tell(struct xen_vgpu *x, const char *why);
/* Reads the toolstack's keys and makes or changes its struct vgpu. */
void xenbus_take_keys(struct xen_vgpu *x);

/* Reads one key of dir and parses it into out; fault keeps the first error. */
#define TAKE(x, dir, name, parse, out, fault)                                                      \
	do {                                                                                       \
		char err_[PVGPU_KEY_ERROR], *text_;                                                \
		size_t len_;                                                                       \
		int r_ = xenbus_read((x)->bus, dir, name, &text_, &len_);                          \
                                                                                                   \
		if (r_ && r_ != -ENOENT)                                                           \
			snprintf(err_, sizeof(err_), "%s: %s", name, strerror(-r_));               \
		else                                                                               \
			r_ = parse(text_, len_, out, err_);                                        \
		free(text_);                                                                       \
		if (r_ && !(fault)[0])                                                             \
			memcpy(fault, err_, sizeof(err_));                                         \
	} while (0)

#endif
