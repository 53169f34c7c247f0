/* SPDX-License-Identifier: MIT */
/*
 * A user of its own for each worker, from a range. One that was given back is taken last again, so
 * that what is left of a dead worker meets no new one with its user.
 */
#ifndef PVGPU_UIDS_H
#define PVGPU_UIDS_H

#include <stdint.h>

struct uids {
	uint32_t first, n, next;
	unsigned char *used; /* NULL: workers have no users of their own */
};

/* From first to last, beginning somewhere: `begin` says where, whatever it is. 0 or -ENOMEM. */
int uids_init(struct uids *u, uint32_t first, uint32_t last, uint64_t begin);
void uids_free(struct uids *u);
/* 0: all are used, or there are none. */
uint32_t uids_take(struct uids *u);
/* A worker that is there already has it. 0, or -EEXIST when another has it, too. Users
 * out of the range, which may have been another one, are left alone. */
int uids_mark(struct uids *u, uint32_t uid);
void uids_put(struct uids *u, uint32_t uid);

#endif
