/* SPDX-License-Identifier: MIT */
/*
 * The operations of Xen and the kernel's Xen devices that control rings and sessions need. Tests
 * replace them with a simulated guest.
 *
 * No function blocks. Functions that fail return -errno; fds are close-on-exec.
 */
#ifndef PVGPU_XEN_OPS_H
#define PVGPU_XEN_OPS_H

#include <stdbool.h>
#include <stdint.h>

/* The most grants of one call and one mmap: those of a directory page. More take milliseconds. */
#define XEN_MAP_MAX 1022u

struct xen_port;

struct xen_ops {
	/* Map a page of the guest for reading and writing. */
	int (*page_map)(uint32_t domid, uint32_t ref, void **page);
	void (*page_unmap)(void *page);
	/* Copies such a page; the guest may change it at the same time. */
	int (*page_copy)(uint32_t domid, uint32_t ref, void *to);

	/* Our end of a guest's event channel. Its fd becomes readable when the guest rings;
	 * port_take returns true once and masks it until port_unmask. */
	int (*port_open)(uint32_t domid, uint32_t remote, struct xen_port **port);
	int (*port_fd)(const struct xen_port *port);
	bool (*port_take)(struct xen_port *port);
	void (*port_unmask)(struct xen_port *port);
	void (*port_ring)(struct xen_port *port);
	void (*port_close)(struct xen_port *port);

	/*
	 * For an fd to send to a worker. grants: 0, or -errno; count more pages, which can be
	 * mmapped once, at offset; invalid references are detected then. *fd -1: a new one, which
	 * stays -1 with an error. ungrant: takes those back that no process has mapped; closing a
	 * file with many takes long.
	 */
	int (*grants)(uint32_t domid, const uint32_t *refs, uint32_t count, int *fd,
		      uint64_t *offset);
	void (*ungrant)(int fd, uint64_t offset, uint32_t count);
	/*
	 * Proof that nothing of a file is mapped: mark gives it a number, which no other one has,
	 * and marked is true until the last copy and the last mapping of it are gone. 0, or -errno.
	 */
	int (*mark)(int fd, uint64_t number);
	bool (*marked)(uint64_t number);
	/* An fd, or -errno: a bound event channel, restricted to that domain. */
	int (*channel)(uint32_t domid, uint32_t remote, uint32_t *port);
	/* Can the fd be one that grants or channel made? */
	bool (*is_device)(int fd);
};

extern const struct xen_ops xen_ops_real; /* xen_real.c */

#endif
