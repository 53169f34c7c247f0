/* SPDX-License-Identifier: MIT */
/*
 * What pvgpud asks of Xen and of the kernel's Xen devices for control rings and sessions. Tests put
 * a guest of their own behind it.
 *
 * Nothing waits. Functions that fail return -errno; files are close-on-exec.
 */
#ifndef PVGPU_XEN_OPS_H
#define PVGPU_XEN_OPS_H

#include <stdbool.h>
#include <stdint.h>

/* Most grants that one mmap can map. */
#define XEN_MAP_MAX 65536u

struct xen_port;

struct xen_ops {
	/* One page of the guest's, read and written. */
	int (*page_map)(uint32_t domid, uint32_t ref, void **page);
	void (*page_unmap)(void *page);
	/* Copy such a page, now, whatever the guest does with it meanwhile. */
	int (*page_copy)(uint32_t domid, uint32_t ref, void *to);

	/*
	 * Our end of a guest's event channel. Its file becomes readable when it was rung; port_take
	 * says so once and masks it until port_unmask.
	 */
	int (*port_open)(uint32_t domid, uint32_t remote, struct xen_port **port);
	int (*port_fd)(const struct xen_port *port);
	bool (*port_take)(struct xen_port *port);
	void (*port_unmask)(struct xen_port *port);
	void (*port_ring)(struct xen_port *port);
	void (*port_close)(struct xen_port *port);

	/*
	 * Files to give away, or -errno. grants: can be mmapped once, count pages at offset; that
	 * the references are good is found out then. channel: a bound event channel in a file that
	 * can talk to no other domain.
	 */
	int (*grants)(uint32_t domid, const uint32_t *refs, uint32_t count, uint64_t *offset);
	int (*channel)(uint32_t domid, uint32_t remote, uint32_t *port);
};

extern const struct xen_ops xen_ops_real; /* xen_real.c */

#endif
