/* SPDX-License-Identifier: MIT */
/* Snapshots of all statistics (contract/snapshot.h), and the socket that gives them out. */
#ifndef PVGPU_ADMIN_SNAPSHOT_H
#define PVGPU_ADMIN_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/contract/snapshot.h"

struct daemon;

struct snapshots {
	uint64_t made, took_ns;
};

/* snapshot.c: for the caller to free; NULL: out of memory. */
void *snapshot_make(struct daemon *d, struct snapshots *s, size_t *size);

/* snapshot_socket.c: one of this moment or of a moment ago, likewise for the caller to free. */
void *snapshot_copy(struct daemon *d, size_t *size);
/* A failure is logged, and pvgpud goes on without the socket. */
void snapshot_open(struct daemon *d);
void snapshot_close(struct daemon *d);
/* If the socket's file was deleted. */
void snapshot_listen_again(struct daemon *d);

#endif
